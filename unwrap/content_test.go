package unwrap_test

import (
	"crypto/x509"
	"io"
	"testing"

	"paperknife/seal"
)

// Content gives what is inside each layer, header and all; nothing for a ciphertext that stays shut.
func TestContent(t *testing.T) {
	p, m := newParties(t), must(t)
	signed := m(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{Detached: true}))
	domain := m(seal.SignAsDomain(signed, p.signer, seal.SignOptions{}))
	sealed := m(seal.EncryptTo(domain, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	shut := m(seal.EncryptTo(domain, []*x509.Certificate{p.other.Certificate}, seal.EncryptOptions{}))

	r := open(t, seal.Message([]byte(header), sealed))
	for i, want := range [][]byte{domain, signed, []byte(entity)} {
		content, err := r.Layers[i].Content().Open()
		check(t, err)
		got, err := io.ReadAll(content)
		check(t, err)
		if string(got) != string(want) {
			t.Errorf("layer %d: got %q, want %q", i, got, want)
		}
	}
	if got := open(t, seal.Message([]byte(header), shut)).Layers[0].Content(); got != nil {
		t.Errorf("a ciphertext for others has content %v", got)
	}
}
