package seal

import (
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SEEDS DOM D3, D7, R9: what the certificates say, read by openssl.
func TestCertificates(t *testing.T) {
	w := testWorld(t)
	person, err := w.ca.IssuePerson("bob@example.net", CertificateOptions{Key: RSA3072, Serial: big.NewInt(1001)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pair KeyPair
		want []string
		not  string // empty: nothing is looked for
	}{
		"domain signer": {w.rsa, []string{"DNS:example.com, URI:smtp://example.com", "Digital Signature\n", "E-mail Protection", "CN = example.com signing"}, "Key Encipherment"},
		"DCA":           {w.dca, []string{"DNS:example.net, URI:smtp://example.net", "Key Encipherment\n", "E-mail Protection"}, "Digital Signature"},
		"person":        {person, []string{"email:bob@example.net", "Digital Signature, Key Encipherment\n", "E-mail Protection", "Serial Number: 1001 ", "(3072 bit)"}, "DNS:"},
		"person P-256":  {w.aliceP256, []string{"email:alice@sales.example.com", "Digital Signature\n", "prime256v1"}, "Key Encipherment"},
		"CA":            {w.ca.KeyPair, []string{"CA:TRUE", "Certificate Sign, CRL Sign"}, "E-mail"},
		"below a CA":    {w.subordinate, []string{"Issuer: CN = Test Sub CA"}, "CA:TRUE"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := openssl(t, c.pair.CertificatePEM(), "x509", "-noout", "-text")
			if err != nil {
				t.Fatal("openssl does not read it")
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("%q in\n%s", c.not, text)
			}
			file := filepath.Join(t.TempDir(), "chain.pem")
			if err := os.WriteFile(file, c.pair.CertificatePEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := openssl(t, nil, "verify", "-x509_strict", "-CAfile", "ca.pem", "-untrusted", file, file); err != nil {
				t.Error("openssl does not verify it")
			}
			key, err := c.pair.KeyPEM()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseKeyPair(c.pair.CertificatePEM(), key)
			if err != nil || !again.Certificate.Equal(c.pair.Certificate) || len(again.Chain) != len(c.pair.Chain) {
				t.Errorf("not read back: %v", err)
			}
		})
	}
	key, err := w.alice.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseKeyPair(w.rsa.CertificatePEM(), key); err == nil {
		t.Error("another's key is taken")
	}
}

func TestCertificateOptions(t *testing.T) {
	w := testWorld(t)
	from, to := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	pair, err := w.ca.IssueDomainSigner("example.com", CertificateOptions{Key: P256, NotBefore: from, NotAfter: to,
		Edit: func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }})
	if err != nil {
		t.Fatal(err)
	}
	c := pair.Certificate
	if !c.NotBefore.Equal(from) || !c.NotAfter.Equal(to) || c.DNSNames[0] != "*.example.com" || c.URIs[0].String() != "smtp://example.com" {
		t.Errorf("%v %v %v %v", c.NotBefore, c.NotAfter, c.DNSNames, c.URIs)
	}
	for _, domain := range []string{"", "com", "Example.com", "exa mple.com", "example.com.", ".example.com", "a..b", "-a.example", "a-.example",
		"*.example.com", "m\u00fcller.example", "user@example.com", "example.com/x", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 130) + "example"} {
		if _, err := w.ca.IssueDomainSigner(domain, CertificateOptions{Key: P256}); err == nil {
			t.Errorf("%q is taken for a domain", domain)
		}
	}
	for _, address := range []string{"", "alice", "Alice <alice@example.com>", "a@example.com, b@example.com", "<a@example.com>"} {
		if _, err := w.ca.IssuePerson(address, CertificateOptions{Key: P256}); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
	if _, err := w.ca.IssueDCA("example.net", CertificateOptions{Key: P256}); err == nil {
		t.Error("a P-256 key to encrypt to")
	}
	if _, err := NewCA("CA", CertificateOptions{Key: 99}); err == nil {
		t.Error("an unknown key type")
	}
}
