package seal

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"paperknife/test/need"
)

// world is the certificates of all tests, made once.
type world struct {
	ca          *CA
	rsa, p256   Signer
	dca         KeyPair
	alice       Signer
	aliceP256   Signer
	subordinate Signer
}

var makeWorld = sync.OnceValues(func() (*world, error) {
	var w world
	var errs [7]error
	w.ca, errs[0] = NewCA("Test CA", CertificateOptions{Key: P256})
	if errs[0] != nil {
		return nil, errs[0]
	}
	w.rsa, errs[1] = w.ca.IssueDomainSigner("example.com", CertificateOptions{})
	w.p256, errs[2] = w.ca.IssueDomainSigner("example.com", CertificateOptions{Key: P256})
	w.dca, errs[3] = w.ca.IssueDCA("example.net", CertificateOptions{})
	w.alice, errs[4] = w.ca.IssuePerson("alice@sales.example.com", CertificateOptions{})
	w.aliceP256, errs[5] = w.ca.IssuePerson("alice@sales.example.com", CertificateOptions{Key: P256})
	var sub *CA
	if sub, errs[6] = w.ca.IssueCA("Test Sub CA", CertificateOptions{Key: P256}); errs[6] != nil {
		return nil, errs[6]
	}
	w.subordinate, errs[0] = sub.IssueDomainSigner("example.com", CertificateOptions{Key: P256})
	return &w, errors.Join(errs[:]...)
})

func testWorld(t *testing.T) *world {
	t.Helper()
	w, err := makeWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// openssl runs the tool, the reader that was not written by us, in a fresh directory that has the CA and the keys.
func openssl(t *testing.T, input []byte, args ...string) (string, error) {
	t.Helper()
	path := need.Command(t, "openssl")
	cmd := exec.Command(path, args...)
	cmd.Dir = keyDir(t)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Logf("openssl %s: %s", strings.Join(args, " "), stderr.String())
	}
	return string(out), err
}

func keyDir(t *testing.T) string {
	t.Helper()
	w := testWorld(t)
	dir := t.TempDir()
	key, err := w.dca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca.pem": w.ca.CertificatePEM(), "dca.pem": w.dca.CertificatePEM(), "dca.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// verify returns what openssl finds signed.
func verify(t *testing.T, entity []byte) string {
	t.Helper()
	args := []string{"cms", "-verify", "-CAfile", "ca.pem", "-purpose", "any"}
	if !bytes.HasPrefix(entity, []byte("Content-Type: multipart/signed")) {
		args = append(args, "-binary")
	}
	out, err := openssl(t, entity, args...)
	if err != nil {
		t.Fatalf("openssl does not verify:\n%s", entity)
	}
	if args[len(args)-1] != "-binary" {
		return verifyDetached(t, entity)
	}
	return out
}

// verifyDetached gives openssl the two parts by themselves: its own reader of multipart/signed changes line ends.
func verifyDetached(t *testing.T, entity []byte) string {
	t.Helper()
	_, rest, _ := bytes.Cut(entity, []byte("boundary=\""))
	boundary, rest, _ := bytes.Cut(rest, []byte("\"\r\n\r\n"))
	delimiter := "--" + string(boundary)
	_, rest, _ = bytes.Cut(rest, []byte(delimiter+"\r\n"))
	content, rest, _ := bytes.Cut(rest, []byte("\r\n"+delimiter+"\r\n"))
	_, rest, _ = bytes.Cut(rest, []byte("\r\n\r\n"))
	signature, rest, found := bytes.Cut(rest, []byte(delimiter+"--\r\n"))
	if !found || len(rest) > 0 {
		t.Fatalf("no multipart/signed:\n%s", entity)
	}
	der, err := base64.StdEncoding.DecodeString(string(signature))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := openssl(t, der, "cms", "-verify", "-binary", "-inform", "DER", "-content", file, "-CAfile", "ca.pem", "-purpose", "any")
	if err != nil {
		t.Fatalf("openssl does not verify the parts:\n%s", entity)
	}
	return out
}

func decrypt(t *testing.T, entity []byte) string {
	t.Helper()
	out, err := openssl(t, entity, "cms", "-decrypt", "-recip", "dca.pem", "-inkey", "dca.key")
	if err != nil {
		t.Fatalf("openssl does not decrypt:\n%s", entity)
	}
	return out
}

const plainEntity = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// entities are contents whose lengths sit around every boundary of the formats.
func entities() map[string]string {
	return map[string]string{
		"plain":       plainEntity,
		"empty":       "",
		"header only": "Content-Type: text/plain\r\n\r\n",
		"no newline":  plainEntity + "end",
		"block":       "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 36),
		"chunk":       "Content-Type: text/plain\r\n\r\n" + strings.Repeat("y", chunk-28),
		"long":        "Content-Type: text/plain\r\n\r\n" + strings.Repeat("A line of 24 octets...\r\n", 9000),
	}
}

// Every form of signature opens to the same octets in openssl.
func TestSignatures(t *testing.T) {
	w := testWorld(t)
	for name, entity := range entities() {
		for signerName, signer := range map[string]Signer{"rsa": w.rsa, "p256": w.p256, "subordinate": w.subordinate} {
			for formName, o := range map[string]SignOptions{
				"opaque":   {},
				"detached": {Detached: true},
				"ski":      {SubjectKeyID: true, Hash: crypto.SHA512},
				"domain":   {SignatureTypes: []asn1.ObjectIdentifier{OIDDomainSignature}, Hash: crypto.SHA384},
			} {
				if name != "plain" && (signerName != "p256" || (formName != "opaque" && formName != "detached")) {
					continue // the product is large, and a signer does not see lengths
				}
				t.Run(name+"/"+signerName+"/"+formName, func(t *testing.T) {
					t.Parallel()
					signed, err := Sign([]byte(entity), signer, o)
					if err != nil {
						t.Fatal(err)
					}
					if got := verify(t, signed); got != entity {
						t.Errorf("opens to %q", got)
					}
					var stream bytes.Buffer
					if err := WriteSigned(&stream, iotest.HalfReader(strings.NewReader(entity)), signer, o); err != nil {
						t.Fatal(err)
					}
					if got := verify(t, stream.Bytes()); got != entity {
						t.Errorf("the stream opens to %q", got)
					}
				})
			}
		}
	}
}

// SEEDS DOM D1, D10, D13: SignatureType in the signed attributes, around a signature or an empty one, nothing else.
func TestDomainSignature(t *testing.T) {
	w := testWorld(t)
	person, err := SignAsPerson([]byte(plainEntity), w.alice, SignOptions{Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	opaque, err := SignAsPerson([]byte(plainEntity), w.aliceP256, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, inner := range map[string][]byte{"empty": EmptySignature([]byte(plainEntity)), "detached": person, "opaque": opaque} {
		for form, o := range map[string]SignOptions{"opaque": {}, "detached": {Detached: true}} {
			t.Run(name+"/"+form, func(t *testing.T) {
				outer, err := SignAsDomain(inner, w.rsa, o)
				if err != nil {
					t.Fatal(err)
				}
				if got := verify(t, outer); got != string(inner) {
					t.Fatalf("opens to %q, want %q", got, inner)
				}
				printed, err := openssl(t, outer, "cms", "-cmsout", "-print", "-noout")
				if err != nil {
					t.Fatal("openssl does not print")
				}
				signed, _, _ := strings.Cut(printed, "signatureAlgorithm:")
				for _, want := range []string{"id-smime-aa-signatureType (1.2.840.113549.1.9.16.2.28)", "1.2.840.113549.1.9.16.9.2", "signingTime", "messageDigest", "contentType"} {
					if !strings.Contains(strings.ReplaceAll(signed, "undefined (", "id-smime-aa-signatureType ("), want) {
						t.Errorf("no %s among the signed attributes:\n%s", want, signed)
					}
				}
				if name != "empty" {
					if got := verify(t, inner); got != plainEntity {
						t.Errorf("the inner layer opens to %q", got)
					}
				}
			})
		}
	}
	enveloped, err := EncryptTo([]byte(plainEntity), []*x509.Certificate{w.dca.Certificate}, EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entity := range []string{plainEntity, "", string(enveloped),
		"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n",
		"Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\nMIAGCSqGSIb3DQEHAqCA",
		"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nnothing"} {
		if _, err := SignAsDomain([]byte(entity), w.rsa, SignOptions{}); !errors.Is(err, ErrNotSigned) {
			t.Errorf("%.80q: %v", entity, err)
		}
		if err := WriteSignedAsDomain(io.Discard, strings.NewReader(entity), w.rsa, SignOptions{}); !errors.Is(err, ErrNotSigned) {
			t.Errorf("stream of %.80q: %v", entity, err)
		}
	}
}

// SEEDS DOM D1.
func TestEmptySignature(t *testing.T) {
	for name, entity := range entities() {
		t.Run(name, func(t *testing.T) {
			var stream bytes.Buffer
			if err := WriteEmptySignature(&stream, iotest.OneByteReader(strings.NewReader(entity))); err != nil {
				t.Fatal(err)
			}
			for form, layer := range map[string][]byte{"DER": EmptySignature([]byte(entity)), "BER": stream.Bytes()} {
				printed, err := openssl(t, layer, "cms", "-cmsout", "-print", "-noout")
				if err != nil {
					t.Fatalf("openssl does not read %s", form)
				}
				for _, want := range []string{"pkcs7-signedData", "eContentType: pkcs7-data", "signerInfos:\n      <EMPTY>", "digestAlgorithms:\n      <EMPTY>"} {
					if !strings.Contains(printed, want) {
						t.Errorf("%s: no %q in\n%s", form, want, printed)
					}
				}
				if !isSigned(layer) {
					t.Errorf("%s: not recognised", form)
				}
			}
		})
	}
}

// Every form of encryption opens to the same octets in openssl.
func TestEncryption(t *testing.T) {
	w := testWorld(t)
	recipients := []*x509.Certificate{w.alice.Certificate, w.dca.Certificate}
	for name, entity := range entities() {
		for form, o := range map[string]EncryptOptions{
			"aes256":            {},
			"aes192":            {Cipher: AES192CBC},
			"aes128":            {Cipher: AES128CBC},
			"gcm256":            {Cipher: AES256GCM},
			"gcm192":            {Cipher: AES192GCM, OAEP: crypto.SHA256},
			"gcm128-ski":        {Cipher: AES128GCM, SubjectKeyID: true},
			"ski":               {SubjectKeyID: true},
			"oaep-sha1":         {OAEP: crypto.SHA1},
			"oaep-sha256":       {OAEP: crypto.SHA256},
			"oaep-sha256-mgf1":  {OAEP: crypto.SHA256, MGFHash: crypto.SHA1},
			"oaep-sha1-mgf256":  {OAEP: crypto.SHA1, MGFHash: crypto.SHA256},
			"oaep-sha512-label": {OAEP: crypto.SHA512, Label: []byte("label")},
		} {
			if name != "plain" && form != "aes256" && form != "gcm256" {
				continue
			}
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				sealed, err := EncryptTo([]byte(entity), recipients, o)
				if err != nil {
					t.Fatal(err)
				}
				if got := decrypt(t, sealed); got != entity {
					t.Errorf("opens to %q", got)
				}
				var stream bytes.Buffer
				if err := WriteEncrypted(&stream, iotest.HalfReader(strings.NewReader(entity)), recipients, o); err != nil {
					t.Fatal(err)
				}
				if got := decrypt(t, stream.Bytes()); got != entity {
					t.Errorf("the stream opens to %q", got)
				}
			})
		}
	}
}

// The worked message of SEEDS D(c): enveloped(signed-as-domain(signed-as-person)), and back layer by layer.
func TestWorkedMessage(t *testing.T) {
	w := testWorld(t)
	const message = "From: Alice Arden <alice@sales.example.com>\nTo: bob@example.net\nSubject: Figures\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain;\n charset=us-ascii\n\nThird quarter: 42.\n"
	outer, entity := Split([]byte(message))
	at := time.Date(2014, 1, 20, 9, 0, 0, 0, time.UTC)
	person, err := SignAsPerson(entity, w.alice, SignOptions{Detached: true, Boundary: "b1", SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	domain, err := SignAsDomain(person, w.rsa, SignOptions{SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := EncryptTo(domain, []*x509.Certificate{w.dca.Certificate}, EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	whole := Message(outer, sealed)
	const want = "From: Alice Arden <alice@sales.example.com>\r\nTo: bob@example.net\r\nSubject: Figures\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n"
	if !strings.HasPrefix(string(whole), want) {
		t.Errorf("message begins %q", whole[:min(len(whole), len(want))])
	}
	if got := decrypt(t, whole); got != string(domain) {
		t.Fatal("the envelope does not open to the domain signature")
	}
	if got := verify(t, domain); got != string(person) {
		t.Fatal("the domain signature does not open to the originator's")
	}
	if got := verify(t, person); got != string(entity) {
		t.Fatal("the originator's signature does not open to the entity")
	}
	if want := "Content-Type: text/plain;\r\n charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"; string(entity) != want {
		t.Errorf("entity %q", entity)
	}
}
