package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
)

// A description shows nothing that could move a terminal's cursor or a line end, and never panics.
func TestDescribe(t *testing.T) {
	ca := newCA(t, "Describing CA")
	c := ca.leaf(func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "a\x1b[31m\r\nb\u202e" + strings.Repeat("x", 100)}
		c.EmailAddresses = []string{"alice@example.com"}
	})
	d, err := Describe(c.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{d.Subject, d.Issuer, d.Serial, d.Fingerprint, d.Key} {
		if text == "" || len(text) > 64 || strings.Trim(text, printable) != "" {
			t.Errorf("%q", text)
		}
	}
	if d.Key != "ecdsa P-256" || d.CA || d.Issuer != "CN=Describing CA" || len(d.Emails) != 1 || !d.NotAfter.Equal(c.cert.NotAfter) {
		t.Errorf("%+v", d)
	}
	if d, err := Describe(ca.cert.Raw); err != nil || !d.CA {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := Describe([]byte{0x30, 0}); err == nil {
		t.Error("no error for what is no certificate")
	}
}

var printable = func() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()
