package unwrap_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/seal"
	"paperknife/unwrap"
)

// THREATS A41: layers of every kind count, in MIME and bare, and the walk ends at ten of them.
func TestA41EveryKind(t *testing.T) {
	p := newParties(t)
	e := compressEntity(t, []byte(entity))
	for range 14 {
		e = compressEntity(t, e)
	}
	if r := open(t, seal.Message([]byte(header), e)); len(r.Layers) != 10 || !r.LimitReached {
		t.Errorf("compressed: %d layers, limit reached %v", len(r.Layers), r.LimitReached)
	}
	_, bare := bareOf(t, must(t)(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{})))
	contentType := cms.OIDSignedData
	for range 14 {
		bare = compressedData(t, bare, contentType)
		contentType = cms.OIDCompressedData
	}
	r := open(t, seal.Message([]byte(header), pkcs7Entity(contentInfo(contentType, bare))))
	if len(r.Layers) != 10 || !r.LimitReached {
		t.Errorf("bare: %d layers, limit reached %v", len(r.Layers), r.LimitReached)
	}
	// What is left when all ten are off is the eleventh, whole.
	if rest := open(t, []byte(view(t, r.View(10)))); len(rest.Layers) != 5 || !rest.Layers[4].Good() {
		t.Errorf("the rest: %s", describe(rest))
	}
	to := []*x509.Certificate{p.dca.Certificate}
	e = must(t)(seal.EncryptTo([]byte(entity), to, seal.EncryptOptions{Cipher: seal.AES128GCM}))
	for range 6 {
		e = must(t)(seal.EncryptTo(compressEntity(t, e), to, seal.EncryptOptions{}))
	}
	if r := open(t, seal.Message([]byte(header), e)); r.PrivateKeyUses != 4 || !r.LimitReached {
		t.Errorf("encrypted: %d private-key operations, limit reached %v", r.PrivateKeyUses, r.LimitReached)
	}
}

// THREATS A42: a multipart/signed that does not say what signed it costs two parts, however many there are and however
// deep they go.
func TestA42WithoutProtocol(t *testing.T) {
	many := "Content-Type: multipart/signed; boundary=m\r\n\r\n" + strings.Repeat("--m\r\nContent-Type: text/plain\r\n\r\nx\r\n", 100_000) + "--m--\r\n"
	var deep strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/signed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, e := range map[string]string{"many": many, "deep": deep.String()} {
		msg := header + e
		r := open(t, []byte(msg))
		if len(r.Layers) != 0 || view(t, r.View(1)) != msg {
			t.Errorf("%s: %s", name, describe(r))
		}
	}
}

// THREATS A45: one ciphertext in every transfer encoding, good and bad: what opens is fixed here.
func TestA45Encodings(t *testing.T) {
	p := newParties(t)
	sealed := must(t)(seal.EncryptTo([]byte(entity), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	_, body, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
	object, err := base64.StdEncoding.DecodeString(string(body))
	check(t, err)
	for len(object)%3 != 1 { // NULs behind an object are blank, and padding is there to be damaged
		object = append(object, 0)
	}
	text := strings.ReplaceAll(string(chunked(base64.StdEncoding.EncodeToString(object))), "\n", "\r\n")
	var quoted strings.Builder
	for i, c := range object {
		fmt.Fprintf(&quoted, "=%02X", c)
		if i%24 == 23 {
			quoted.WriteString("=\r\n")
		}
	}
	middle := len(text) / 2
	for _, tt := range []struct {
		name, encoding, body string
		opens                bool
	}{
		{"base64", "base64", text + "\r\n", true},
		{"in capitals", "BASE64", text + "\r\n", true},
		{"in one line", "base64", strings.ReplaceAll(text, "\r\n", "") + "\r\n", true},
		{"other octets between", "base64", text[:middle] + "!\x00*-_" + text[middle:] + "\r\n", true},
		{"blank behind", "base64", text + "\r\n \t\r\n\r\n", true},
		{"without padding", "base64", strings.TrimRight(text, "=") + "\r\n", false},
		{"text behind the padding", "base64", text + "\r\nfooter\r\n", false},
		{"a second one behind", "base64", text + "\r\n" + text + "\r\n", false},
		{"padding in the middle", "base64", text[:middle] + "=" + text[middle:] + "\r\n", false},
		{"quoted-printable", "quoted-printable", quoted.String() + "\r\n", true},
		{"8bit", "8bit", string(object), true},
		{"binary", "binary", string(object), true},
		{"7bit", "7bit", string(object), true},
		{"none", "", string(object), true},
		{"base64 that is not said", "", text + "\r\n", false},
		{"unknown", "x-uuencode", text + "\r\n", false},
		{"two words", "base64 base64", text + "\r\n", false},
	} {
		head := header + "Content-Type: application/pkcs7-mime\r\n"
		if tt.encoding != "" {
			head += "Content-Transfer-Encoding: " + tt.encoding + "\r\n"
		}
		r := open(t, []byte(head+"\r\n"+tt.body))
		opened := len(r.Layers) == 1 && r.Layers[0].Opened
		if opened != tt.opens {
			t.Errorf("%s: opened %v: %s", tt.name, opened, describe(r))
		}
		if !opened && view(t, r.View(len(r.Layers))) != head+"\r\n"+tt.body {
			t.Errorf("%s: not as received", tt.name)
		}
	}
}

// THREATS A05: what is not on the list of ciphers stays shut, and the private key is not asked.
func TestA05Unlisted(t *testing.T) {
	p := newParties(t)
	sealed := seal.Message([]byte(header), must(t)(seal.EncryptTo([]byte(entity), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{})))
	for name, arc := range map[string]string{"OFB": "\x2b", "CFB": "\x2c", "ECB": "\x29", "key wrap": "\x2d", "CTR": "\x09"} {
		msg := reseal(t, sealed, replace(aes+cbc256, aes+arc))
		r := open(t, msg)
		if l := r.Layers[0]; !l.ForUs || l.Opened || l.Fault != unwrap.ErrCipher || r.PrivateKeyUses != 0 {
			t.Errorf("%s: opened %v, %v, %d operations", name, l.Opened, l.Fault, r.PrivateKeyUses)
		}
	}
}
