package unwrap_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/seal"
	"paperknife/unwrap"
)

// DESIGN rule 2: whatever lies inside a ciphertext, text that passes the gate, octets that do not, a bomb, a broken
// object, a signature, or nothing that can be read, the work on the ciphertext is the same, and so is the use of the
// private key. The failures before that are TestOracleEveryCipher in internal/cms.
func TestOracleInside(t *testing.T) {
	p := newParties(t)
	const size = 60_000
	fill := func(e string) []byte {
		if len(e) > size {
			t.Fatalf("%d octets", len(e))
		}
		return []byte(e + strings.Repeat("\r\n", (size-len(e))/2) + strings.Repeat("x", (size-len(e))%2))
	}
	text := "Content-Type: text/plain\r\n\r\nThird quarter\r\n"
	bomb := contentInfo(cms.OIDCompressedData, compressedData(t, make([]byte, 8<<20), cms.OIDData))
	insides := map[string][]byte{
		"text":              fill(text),
		"gate refuses":      fill(text + "\x00\xff\x80"),
		"no entity":         bytes.Repeat([]byte{0xff}, size),
		"no field":          fill("\r\nx"),
		"bomb":              fill(string(pkcs7Entity(bomb))),
		"compressed":        fill(string(compressEntity(t, []byte(text)))),
		"unreadable object": fill(string(pkcs7Entity([]byte{0x30, 0x80, 1}))),
		"signed":            fill(string(must(t)(seal.SignAsPerson([]byte(text), p.author, seal.SignOptions{})))),
		"bad signature": fill(strings.Replace(string(must(t)(seal.SignAsPerson([]byte(text), p.author, seal.SignOptions{Detached: true}))),
			"quarter", "quArter", 1)),
		"for others": fill(string(must(t)(seal.EncryptTo([]byte(text), []*x509.Certificate{p.other.Certificate}, seal.EncryptOptions{})))),
	}
	for _, cipher := range []seal.Cipher{seal.AES256CBC, seal.AES256GCM} {
		var want string
		for name, inside := range insides {
			object := must(t)(seal.EncryptTo(inside, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: cipher}))
			r := open(t, seal.Message([]byte(header), object))
			l := r.Layers[0]
			got := fmt.Sprintf("%+v, %d operations of the key", unwrap.Stats(l), r.PrivateKeyUses)
			if want == "" {
				want = got
			}
			if got != want || l.Fault != nil || !l.Opened {
				t.Errorf("cipher %d, %s: %s, %v; want %s", cipher, name, got, l.Fault, want)
			}
		}
	}
}
