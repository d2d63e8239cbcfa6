package testpki

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestCertificates(t *testing.T) {
	start := time.Now()
	p := Shared(t)
	t.Logf("made in %v", time.Since(start))
	for _, c := range certificates {
		text, err := p.OpenSSL(nil, "x509", "-in", c.name+".pem", "-noout", "-text")
		if err != nil {
			t.Fatal(err)
		}
		year := "Not After : Dec 31 23:59:59 2049 GMT"
		if c.name == ExpiredSigner {
			year = "Not After : Dec 31 23:59:59 2020 GMT"
		}
		if !strings.Contains(string(text), year) {
			t.Errorf("%s: no %q in\n%s", c.name, year, text)
		}
		_, err = p.OpenSSL(nil, "verify", "-attime", "1600000000", "-CAfile", c.issuer+".pem", c.name+".pem")
		if err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		DomainSigner: "URI:smtp://example.com, DNS:example.com", ForeignSigner: "URI:smtp://other.test, DNS:other.test",
		DCANet: "URI:smtp://example.net, DNS:example.net", Alice: "email:alice@sales.example.com",
	} {
		text, err := p.OpenSSL(nil, "x509", "-in", name+".pem", "-noout", "-text")
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, no %q in\n%s", name, err, want, text)
		}
	}
	if serial, err := p.OpenSSL(nil, "x509", "-in", DomainSigner+".pem", "-noout", "-serial"); string(serial) != "serial=03E9\n" {
		t.Errorf("domain signer: %s, %v", serial, err)
	}
}

// read opens a message again with openssl; a signed one is verified against both authorities, with
// Alice's certificate at hand or not.
func read(p *PKI, message []byte, recipient string, signerKnown bool) ([]byte, error) {
	if recipient != "" {
		return p.OpenSSL(message, "cms", "-decrypt", "-recip", recipient+".pem", "-inkey", recipient+".key")
	}
	args := []string{"cms", "-verify", "-CAfile", Anchors + ".pem"}
	if signerKnown {
		args = append(args, "-certfile", Alice+".pem")
	}
	if !bytes.Contains(message, []byte("multipart/signed")) {
		args = append(args, "-binary")
	}
	out, err := p.OpenSSL(message, args...)
	return toCRLF(out), err
}

// Every kind of message opens to its entity, with both kinds of line ends.
func TestMessages(t *testing.T) {
	p := Shared(t)
	long := []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("A line of 24 octets...\r\n", 2000))
	for name, o := range map[string]Options{
		"default": {},
		"LF":      {LF: true},
		"stream":  {Stream: true, Entity: long},
		"P-256":   {Signer: AliceP256, Digest: "sha384", Cipher: "aes-128-cbc"},
		"domain":  {Signer: DomainSigner, OAEP: "sha1", LF: true},
		"key id":  {KeyID: true, OAEP: "sha256", Recipients: []string{DCAOrg, DCANet}},
		"bare":    {NoAttributes: true, NoCertificates: true, Cipher: "aes-192-cbc"},
		"PSS":     {PSS: true, Cipher: "des3"},
		"no data": {Entity: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			opaque, entity := p.SignOpaque(t, o)
			detached, _ := p.SignDetached(t, o)
			for form, message := range map[string][]byte{"smime-type=signed-data": opaque, "multipart/signed": detached} {
				check(t, message, form, o)
				if got, err := read(p, message, "", o.NoCertificates); err != nil || !bytes.Equal(got, entity) {
					t.Errorf("%s: opens to %.200q, %v", form, got, err)
				}
			}
			encrypted, _ := p.Encrypt(t, o)
			check(t, encrypted, "smime-type=enveloped-data", o)
			if got, err := read(p, encrypted, DCANet, false); err != nil || !bytes.Equal(got, entity) {
				t.Errorf("enveloped: opens to %.200q, %v", got, err)
			}
			for _, detached := range []bool{false, true} {
				message, _ := p.SignThenEncrypt(t, detached, o)
				inner, err := read(p, message, DCANet, false)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := read(p, inner, "", o.NoCertificates); err != nil || !bytes.Equal(got, entity) {
					t.Errorf("signed, then enveloped: opens to %.200q, %v", got, err)
				}
			}
		})
	}
}

func check(t *testing.T, message []byte, form string, o Options) {
	t.Helper()
	header, _, _ := bytes.Cut(message, []byte("\n\n"))
	if !o.LF {
		header, _, _ = bytes.Cut(message, []byte("\r\n\r\n"))
	}
	for _, want := range []string{"From: Alice Arden <alice@sales.example.com>", "To: bob@example.net", "MIME-Version: 1.0", form} {
		if !bytes.Contains(header, []byte(want)) {
			t.Errorf("no %q in the header:\n%s", want, header)
		}
	}
	lf, crlf := bytes.Count(message, []byte("\n")), bytes.Count(message, []byte("\r\n"))
	if o.LF && crlf > 0 || !o.LF && lf != crlf {
		t.Errorf("%s: %d line ends, %d of them CRLF", form, lf, crlf)
	}
}
