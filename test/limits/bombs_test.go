package limits

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperknife/seal"
)

// bombTime is the processor time that a bomb may take, for two recipients with different views; a message of more than
// 32 MB has that much for every 32 MB.
const bombTime = time.Second

// A bomb is a message that is made to hurt.
type bomb struct {
	name string
	make func(t *testing.T) []byte
	// opened is the body for a recipient whose reader knows no S/MIME, where something comes off; nil: nothing does.
	opened []byte
	// partly says that some layers come off and some do not: only the recipient of the received message is checked.
	partly bool
	// drops says that fields are removed from the header, which is too long to be read field by field.
	drops bool
}

var textLine = "Third quarter: 42.\r\n"

const textHeader = "Content-Type: text/plain; charset=us-ascii\r\n\r\n"

// bombs are those of THREATS A22, A33, A37, A38, A39 to A42, A45 and of sizes.
var bombs = []bomb{
	{name: "30 80 four million times", make: object(bytes.Repeat([]byte{0x30, 0x80}, 4_000_000))},
	{name: "24 80 four million times in a content", make: object(
		[]byte{0x30, 0x80}, oidSignedData, []byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80}, oidData, []byte{0xa0, 0x80},
		bytes.Repeat([]byte{0x24, 0x80}, 4_000_000))},
	{name: "92 octets", make: object(overlapping(22))},
	{name: "124 octets", make: object(overlapping(30))},
	{name: "overlapping signerInfos", make: object([]byte{0x30, 0x80}, oidSignedData,
		[]byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80}, oidData, []byte{0, 0, 0x31, 0x80}, overlapping(30))},
	{name: "length 84 FF FF FF FF", make: object([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})},
	{name: "length 84 FF FF FF FF of a content", make: object([]byte{0x30, 0x80}, oidSignedData,
		[]byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80}, oidData, []byte{0xa0, 0x80, 4, 0x84, 0xff, 0xff, 0xff, 0xff})},
	{name: "fuzz 30 82 06", make: object([]byte{0x30, 0x82, 0x06})},
	{name: "fuzz 5f 4d", make: object([]byte{0x5f, 0x4d})},
	{name: "fuzz 1f 80", make: object([]byte{0x1f, 0x80})},
	{name: "padding 200", make: func(t *testing.T) []byte {
		return smime("enveloped-data", testEnvelope.der(t, testEnvelope.encrypt(t, append(bytes.Repeat([]byte("text "), 12), 'a', 'b', 'c', 200))))
	}},
	{name: "15 octets of ciphertext", make: func(t *testing.T) []byte {
		return smime("enveloped-data", testEnvelope.der(t, make([]byte, 15)))
	}},
	{name: "A40, 64 MB of zeros, compressed", make: func(t *testing.T) []byte {
		return smime("compressed-data", compressed(t, append([]byte(textHeader), make([]byte, 64<<20)...)))
	}},
	{name: "A40, text compressed seven times", partly: true, make: func(t *testing.T) []byte {
		der := compressed(t, append([]byte(textHeader), bytes.Repeat([]byte(textLine), 1<<20)...))
		for range 6 {
			der = compressed(t, binaryEntity("compressed-data", der))
		}
		return smime("compressed-data", der)
	}},
	{name: "A42, 500000 parts, one to be signed, without protocol", make: func(*testing.T) []byte {
		return plain(manyParts("signed", 500_000))
	}},
	{name: "50 nested envelopes", make: nestedEnvelopes},
	{name: "50 nested signatures", make: nestedSignatures, partly: true},
	{name: "a million pieces of one octet", make: pieces, opened: bytes.Repeat([]byte(textLine), 50_000)},
	{name: "20 signers with a key of 262144 bits", make: giantKey, opened: []byte(textLine)},
	{name: "5 MB of unsigned attributes", make: unsignedAttributes, opened: []byte(textLine)},
	{name: "10000 recipients", make: manyRecipients},
	{name: "6000 nested multiparts", make: func(*testing.T) []byte { return plain(nestedMultiparts(6000)) }},
	{name: "6000 nested multiparts, signed", make: func(t *testing.T) []byte {
		entity, err := seal.Sign([]byte(nestedMultiparts(6000)), everyone(t).alice, seal.SignOptions{Detached: true})
		if err != nil {
			t.Fatal(err)
		}
		return plain(string(entity))
	}, opened: []byte(strings.SplitN(nestedMultiparts(6000), "\r\n\r\n", 2)[1])},
	{name: "500000 parts", make: func(*testing.T) []byte { return plain(manyParts("mixed", 500_000)) }},
	{name: "500000 parts, one to be signed", make: func(*testing.T) []byte {
		return plain(manyParts("signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256", 500_000))
	}},
	{name: "a million header fields", make: func(*testing.T) []byte {
		return plain(strings.Repeat("X-Filler: a\r\n", 1_000_000) + textHeader + textLine)
	}},
	{name: "a million Authentication-Results fields", drops: true, make: func(*testing.T) []byte {
		return plain(strings.Repeat("Authentication-Results: a.example; none\r\n", 1_000_000) + textHeader + textLine)
	}},
	{name: "a million fields, every other one forged", drops: true, make: func(*testing.T) []byte {
		return plain(strings.Repeat("X-Unwrapped: a\r\nX-A: a\r\n", 500_000) + textHeader + textLine)
	}},
	{name: "16 MB of Authentication-Results fields of 60 KB", drops: true, make: func(*testing.T) []byte {
		return plain(strings.Repeat("Authentication-Results: a.example; none ("+strings.Repeat("a", 60_000)+")\r\n", 280) + textHeader + textLine)
	}},
	{name: "a million From fields", make: func(*testing.T) []byte {
		return plain(strings.Repeat("From: a@example.com\r\n", 1_000_000) + textHeader + textLine)
	}},
	{name: "header field of 50 MB", make: func(*testing.T) []byte {
		return plain("X-Filler: " + strings.Repeat("a", 50<<20) + "\r\n" + textHeader + textLine)
	}},
	{name: "folded header field of 50 MB", make: func(*testing.T) []byte {
		return plain("X-Filler: a\r\n" + strings.Repeat(" aaaaaaaa, bbbbbbbb; \"cccccccc\" (dddddddd)\r\n", 50<<20/44) + textHeader + textLine)
	}},
	{name: "From field of 50 MB", make: func(*testing.T) []byte {
		return plain("From: " + strings.Repeat("a@example.com, ", 50<<20/15) + "b@example.com\r\n" + textHeader + textLine)
	}},
	{name: "Content-Type field of 50 MB", make: func(*testing.T) []byte {
		return plain("Content-Type: application/pkcs7-mime" + strings.Repeat("; a=b", 50<<20/5) + "\r\n\r\n" + textLine)
	}},
	{name: "comments 30000 deep in Content-Type and From", make: func(*testing.T) []byte {
		deep := strings.Repeat("(", 30_000)
		return plain("From: a@example.com " + deep + "\r\nContent-Type: application/pkcs7-mime " + deep + "\r\n\r\n" + textLine)
	}},
	{name: "line of 50 MB", make: func(*testing.T) []byte {
		return plain(textHeader + strings.Repeat("a", 50<<20) + "\r\n")
	}},
	{name: "base64 in lines of one letter", make: func(*testing.T) []byte {
		head := strings.TrimSuffix(string(smime("signed-data", nil)), "\r\n")
		return []byte(head + strings.Repeat("M\r\nI\r\nA\r\nA\r\n", 1_000_000))
	}},
	{name: "base64 of nothing but other octets", make: func(*testing.T) []byte {
		head := strings.TrimSuffix(string(smime("signed-data", nil)), "\r\n")
		return []byte(head + strings.Repeat(strings.Repeat("!*", 38)+"\r\n", 200_000))
	}},
	{name: "quoted-printable", make: func(*testing.T) []byte {
		return plain("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
			strings.Repeat("=30=80=\r\n", 1_000_000))
	}},
}

const bombHeader = "From: Alice Arden <" + sender + ">\r\nTo: erin@example.net\r\nSubject: Bomb\r\nMIME-Version: 1.0\r\n"

func plain(entity string) []byte { return []byte(bombHeader + entity) }

// object makes a message of an S/MIME object that is in parts.
func object(parts ...[]byte) func(*testing.T) []byte {
	return func(*testing.T) []byte { return smime("signed-data", bytes.Join(parts, nil)) }
}

// smime is a message around a CMS object.
func smime(kind string, der []byte) []byte {
	var b bytes.Buffer
	b.WriteString(bombHeader + "Content-Type: application/pkcs7-mime; smime-type=" + kind + "; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(der)
	for len(encoded) > 76 {
		b.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	b.WriteString(encoded + "\r\n")
	return b.Bytes()
}

// overlapping is 30 02 30 LL over and over: each element reaches past the end of its parent, so a reader that bounds it
// by the input and goes on inside it reads all the rest twice at every level.
func overlapping(levels int) []byte {
	b := []byte{0x05, 0}
	for range levels {
		b = append([]byte{0x30, 2, 0x30, byte(len(b))}, b...)
	}
	return append([]byte{0x30, byte(len(b))}, b...)
}

// binaryEntity is an entity around a CMS object, without a transfer encoding, so that nesting costs no size.
func binaryEntity(kind string, der []byte) []byte {
	return append([]byte("Content-Type: application/pkcs7-mime; smime-type="+kind+"\r\nContent-Transfer-Encoding: binary\r\n\r\n"), der...)
}

func nestedEnvelopes(t *testing.T) []byte {
	der := testEnvelope.der(t, testEnvelope.encrypt(t, pad([]byte(textHeader+textLine))))
	for range 49 {
		der = testEnvelope.der(t, testEnvelope.encrypt(t, pad(binaryEntity("enveloped-data", der))))
	}
	return smime("enveloped-data", der)
}

// nestedSignatures are signatures of no value, which is not for the walk to know before it has been inside.
// compressed is a CompressedData.
func compressed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return indefinite(tagSequence, oid(1, 2, 840, 113549, 1, 9, 16, 1, 9), indefinite(tagContext, indefinite(tagSequence, []byte{2, 1, 0},
		element(tagSequence, oid(1, 2, 840, 113549, 1, 9, 16, 3, 8)), element(tagSequence, oidData, element(tagContext, element(tagOctets, b.Bytes()))))))
}

func nestedSignatures(t *testing.T) []byte {
	s := signedDataOf(t, []byte(textHeader+textLine), seal.SignOptions{})
	der := s.der(element(tagOctets, s.content))
	for range 49 {
		der = s.der(element(tagOctets, binaryEntity("signed-data", der)))
	}
	return smime("signed-data", der)
}

func pieces(t *testing.T) []byte {
	entity := append([]byte(textHeader), bytes.Repeat([]byte(textLine), 50_000)...)
	s := signedDataOf(t, entity, seal.SignOptions{})
	b := make([]byte, 0, 3*len(entity))
	for _, c := range entity {
		b = append(b, tagOctets, 1, c)
	}
	return smime("signed-data", s.der(indefinite(tagOctets|tagConstructed, b)))
}

func giantKey(t *testing.T) []byte {
	const octets = 262144 / 8
	modulus := make([]byte, octets)
	if _, err := rand.Read(modulus); err != nil {
		t.Fatal(err)
	}
	modulus[0] |= 0x80
	modulus[octets-1] |= 1
	ca := everyone(t).personCA
	template := &x509.Certificate{SerialNumber: big.NewInt(262144), Subject: pkix.Name{CommonName: "giant"}, EmailAddresses: []string{sender},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	modulus[0] >>= 1
	s := signedDataOf(t, []byte(textHeader+textLine), seal.SignOptions{})
	attributes := split(t, split(t, s.signerInfos)[0])[3]
	info := element(tagSequence, marshal(1), signerID(certificate), element(tagSequence, oidSHA256), attributes,
		element(tagSequence, oidRSA, []byte{5, 0}), element(tagOctets, modulus))
	s.certificates = element(tagContext, der)
	s.signerInfos = element(tagSet, bytes.Repeat(info, 20))
	return smime("signed-data", s.der(element(tagOctets, s.content)))
}

func unsignedAttributes(t *testing.T) []byte {
	junk := bytes.Repeat(element(tagSequence, []byte{5, 0, 5, 0}), 5<<20/6)
	entity, err := seal.Sign([]byte(textHeader+textLine), everyone(t).alice, seal.SignOptions{UnsignedAttributes: []seal.Attribute{
		{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 55555, 1}, Values: [][]byte{element(tagSequence, junk)}}}})
	if err != nil {
		t.Fatal(err)
	}
	return plain(string(entity))
}

// manyRecipients is for 10000 others.
func manyRecipients(t *testing.T) []byte {
	ca := everyone(t).domainCA.Certificate
	var infos [][]byte
	for i := range 10_000 {
		id := element(tagSequence, ca.RawSubject, marshal(i))
		infos = append(infos, element(tagSequence, marshal(0), id, element(tagSequence, oidRSA, []byte{5, 0}), element(tagOctets, make([]byte, 256))))
	}
	content := element(tagSequence, oidData, element(tagSequence, oidAES256CBC, element(tagOctets, make([]byte, 16))), element(0x80, make([]byte, 64)))
	return smime("enveloped-data", element(tagSequence, oidEnvelopedData,
		element(tagContext, element(tagSequence, marshal(0), element(tagSet, infos...), content))))
}

func nestedMultiparts(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString(textHeader + textLine)
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\r\n--b%d--\r\n", i)
	}
	return b.String()
}

func manyParts(kind string, n int) string {
	return "Content-Type: multipart/" + kind + "; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\na\r\n", n) + "--b--\r\n"
}

// Every bomb is answered 250 and delivered, octet by octet where nothing may come off, at little cost, and the server
// is the same process afterwards.
func TestBombs(t *testing.T) {
	t.Parallel()
	s := start(t, siteIn(t, inMemory(), ""))
	for _, b := range bombs {
		t.Run(b.name, func(t *testing.T) {
			message := b.make(t)
			b.throughServer(t, s, message)
			b.throughFilter(t, s.dir, message)
		})
	}
	if !s.runs() {
		t.Error("the server is not the same process")
	}
	s.deliver(t, strings.NewReader(small), untouched)
	t.Logf("peak of lmtpd: %s", mib(s.memory(t, "VmHWM")))
}

// tries: other work on the machine only ever adds to the processor time that is counted, so the least of three counts.
const tries = 3

// noise is how much slower a shared machine can be from one minute to the next: the same program was seen to take three
// times the processor time. The figure of a quiet machine is in the log of the test.
const noise = 4

// allowed is the processor time for a message.
func allowed(size int) time.Duration { return noise * bombTime * time.Duration(1+size/(32<<20)) }

func (b bomb) throughServer(t *testing.T, s *server, message []byte) {
	var received, delivered []byte
	for try := 1; ; try++ {
		before := s.cpu(t)
		s.deliver(t, bytes.NewReader(message), incapable, untouched)
		used := s.cpu(t) - before
		received, delivered = take(t, s.box(untouched)), take(t, s.box(incapable))
		t.Logf("%d octets, lmtpd: cpu %v", len(message), used)
		if used <= allowed(len(message)) {
			break
		}
		if try == tries {
			t.Errorf("lmtpd used %v", used)
			break
		}
	}
	lf := bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	if b.drops {
		checkDropped(t, delivered, lf)
		return
	}
	checkUnchanged(t, received, lf)
	switch {
	case b.partly:
	case b.opened == nil:
		checkUnchanged(t, delivered, lf)
	default:
		checkOpened(t, delivered, bytes.ReplaceAll(b.opened, []byte("\r\n"), []byte("\n")))
	}
}

// filterOnce runs the filter and returns the processor time it took.
func (b bomb) filterOnce(t *testing.T, dir string, message []byte, output string) time.Duration {
	in := openFile(t, writeFile(t, filepath.Join(dir, "input"), message))
	out, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	r := filter(t, dir, in, out)
	t.Logf("filter: cpu %v, wall %v, peak %s", r.cpu.Round(time.Millisecond), r.wall.Round(time.Millisecond), mib(r.peak))
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("filter: exit %d, %q", r.code, r.stderr)
	}
	return r.cpu
}

func (b bomb) throughFilter(t *testing.T, dir string, message []byte) {
	output := filepath.Join(dir, "output")
	for try := 1; ; try++ {
		used := b.filterOnce(t, dir, message, output)
		if used <= allowed(len(message)) {
			break
		}
		if try == tries {
			t.Errorf("the filter used %v", used)
			break
		}
	}
	switch got := readFile(t, output); {
	case b.drops:
		checkDropped(t, got, message)
	case b.partly:
	case b.opened == nil:
		checkUnchanged(t, got, message)
	default:
		checkOpened(t, got, b.opened)
	}
}

// take reads the one message of a Maildir and removes it.
func take(t *testing.T, box string) []byte {
	t.Helper()
	name := only(t, box)
	content := readFile(t, name)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	return content
}

// ours are the fields that a delivery puts on top.
var ours = []string{"return-path", "delivered-to", "received", "authentication-results", "x-unwrapped"}

// checkUnchanged holds what was delivered against what was sent: fields of ours, then the same octets.
func checkUnchanged(t *testing.T, got, want []byte) {
	t.Helper()
	added, same := bytes.CutSuffix(got, want)
	if !same {
		t.Errorf("changed: %d octets, begins %q; want %d octets", len(got), got[:min(len(got), 600)], len(want))
		return
	}
	for line := range strings.Lines(string(added)) {
		name, _, _ := strings.Cut(line, ":")
		if line[0] != ' ' && line[0] != '\t' && !slices.Contains(ours, strings.ToLower(name)) {
			t.Errorf("added: %q", line)
		}
	}
}

func checkOpened(t *testing.T, got, want []byte) {
	t.Helper()
	end := []byte("\n\n")
	if bytes.Contains(want, []byte("\r\n")) {
		end = []byte("\r\n\r\n")
	}
	header, body, _ := bytes.Cut(got, end)
	if !bytes.Equal(body, want) {
		t.Errorf("body of %d octets, want %d; header:\n%s", len(body), len(want), header)
	}
}

// checkDropped allows for fields that are gone, but for no others and for nothing in the body.
func checkDropped(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.HasSuffix(got, []byte(textHeader+textLine)) && !bytes.HasSuffix(got, []byte(strings.ReplaceAll(textHeader+textLine, "\r\n", "\n"))) {
		t.Errorf("the end differs: %q", got[max(0, len(got)-200):])
	}
	if n := bytes.Count(want, []byte("\nX-A:")); bytes.Count(got, []byte("\nX-A:")) != n {
		t.Errorf("other fields are gone")
	}
	if bytes.Contains(got, []byte("\nX-Unwrapped: a")) {
		t.Errorf("a forged field is left")
	}
}
