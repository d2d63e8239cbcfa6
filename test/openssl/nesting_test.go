// Package openssl_test puts layers of package seal and layers of the openssl command around each other, and opens them
// again with the openssl command, from the outside in, down to the entity.
package openssl_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/seal"
	"paperknife/test/testpki"
)

func TestMain(m *testing.M) { os.Exit(testpki.Main(m)) }

const entity = testpki.Entity

// A layer puts something around an entity; open takes it off again.
type layer struct {
	put  func(*testing.T, *testpki.PKI, []byte) []byte
	open func(*testing.T, *testpki.PKI, []byte) []byte
}

func pair(t *testing.T, p *testpki.PKI, name string) seal.KeyPair {
	t.Helper()
	out, err := seal.ParseKeyPair(p.Certificate(t, name), p.Key(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t *testing.T, out []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verify is for opaque signatures; with -binary openssl changes no line end.
func verify(t *testing.T, p *testpki.PKI, in []byte) []byte {
	t.Helper()
	out, err := p.OpenSSL(in, "cms", "-verify", "-binary", "-CAfile", testpki.Anchors+".pem", "-purpose", "any")
	return must(t, out, err)
}

// verifyDetached lets openssl verify, and takes the first part out: openssl would give it back with other line ends.
func verifyDetached(t *testing.T, p *testpki.PKI, in []byte) []byte {
	t.Helper()
	if _, err := p.OpenSSL(in, "cms", "-verify", "-CAfile", testpki.Anchors+".pem", "-purpose", "any"); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(in, []byte(`boundary="`))
	boundary, rest, _ := bytes.Cut(rest, []byte(`"`))
	_, rest, _ = bytes.Cut(rest, []byte("\r\n--"+string(boundary)+"\r\n"))
	part, _, found := bytes.Cut(rest, []byte("\r\n--"+string(boundary)+"\r\n"))
	if !found {
		t.Fatalf("no multipart/signed:\n%s", in)
	}
	return part
}

// readEmpty lets openssl read a signature that has no signers, which it would not verify, and takes out the eContent, an
// entity that the test knows.
func readEmpty(t *testing.T, p *testpki.PKI, in []byte) []byte {
	t.Helper()
	der, err := p.OpenSSL(in, "cms", "-cmsout", "-outform", "DER")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(der, []byte(entity)) {
		t.Fatal("the entity is not in the empty signature")
	}
	return []byte(entity)
}

func decryptWith(name string) func(*testing.T, *testpki.PKI, []byte) []byte {
	return func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		t.Helper()
		out, err := p.OpenSSL(in, "cms", "-decrypt", "-recip", name+".pem", "-inkey", name+".key")
		return must(t, out, err)
	}
}

// layers by the letters of SEEDS D(b): S signature, DS domain signature, ML mailing list, E encryption; lower case is
// made by openssl.
var layers = map[string]layer{
	"s": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		return p.SignEntity(t, in, false, testpki.Options{})
	}, verify},
	"s-detached": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		return p.SignEntity(t, in, true, testpki.Options{Signer: testpki.AliceP256, NoPreamble: true})
	}, verifyDetached},
	"S": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.SignAsPerson(in, pair(t, p, testpki.AliceP256), seal.SignOptions{})
		return must(t, out, err)
	}, verify},
	"S-detached": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.SignAsPerson(in, pair(t, p, testpki.Alice), seal.SignOptions{Detached: true})
		return must(t, out, err)
	}, verifyDetached},
	"empty": {func(t *testing.T, _ *testpki.PKI, in []byte) []byte { return seal.EmptySignature(in) }, readEmpty},
	"DS": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.SignAsDomain(in, pair(t, p, testpki.DomainSigner), seal.SignOptions{})
		return must(t, out, err)
	}, verify},
	"DS-detached": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.SignAsDomain(in, pair(t, p, testpki.DomainSignerP256), seal.SignOptions{Detached: true})
		return must(t, out, err)
	}, verifyDetached},
	"ML": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.SignAsMailingList(in, pair(t, p, testpki.ForeignSigner), seal.SignOptions{})
		return must(t, out, err)
	}, verify},
	"e": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		return p.EncryptEntity(t, in, testpki.Options{Stream: true, OAEP: "sha256"})
	}, decryptWith(testpki.DCANet)},
	"E": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		to := []*x509.Certificate{pair(t, p, testpki.DCAOrg).Certificate, pair(t, p, testpki.DCANet).Certificate}
		out, err := seal.EncryptTo(in, to, seal.EncryptOptions{})
		return must(t, out, err)
	}, decryptWith(testpki.DCANet)},
	"g": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		return p.EncryptEntity(t, in, testpki.Options{Cipher: "aes-256-gcm"})
	}, decryptWith(testpki.DCANet)},
	"G": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		to := []*x509.Certificate{pair(t, p, testpki.DCAOrg).Certificate, pair(t, p, testpki.DCANet).Certificate}
		out, err := seal.EncryptTo(in, to, seal.EncryptOptions{Cipher: seal.AES128GCM})
		return must(t, out, err)
	}, decryptWith(testpki.DCANet)},
	"E-bob": {func(t *testing.T, p *testpki.PKI, in []byte) []byte {
		out, err := seal.EncryptTo(in, []*x509.Certificate{pair(t, p, testpki.Bob).Certificate}, seal.EncryptOptions{})
		return must(t, out, err)
	}, decryptWith(testpki.Bob)},
}

// SEEDS D(b), section 5.1: what arrives in the seven examples, outermost layer first, in forms by both makers.
func TestNesting(t *testing.T) {
	p := testpki.Shared(t)
	for _, nest := range []string{
		"DS S", "DS s", "DS-detached s-detached", "DS-detached S-detached", "DS s-detached", "DS empty", "DS-detached empty",
		"DS s S s-detached",
		"E DS S", "e DS s", "E DS-detached s-detached", "e DS S-detached", "E DS empty",
		"ML E DS S", "ML e DS s-detached", "ML DS S",
		"E DS s E-bob S", "e DS-detached S E-bob s",
		"DS DS S", "E DS ML S",
		"G DS S", "g DS-detached s", "ML G DS s E-bob S", "E G S-detached", "g E DS S",
	} {
		t.Run(nest, func(t *testing.T) {
			names := strings.Fields(nest)
			// inside[i] is what layer i holds.
			inside := make([][]byte, len(names))
			content := []byte(entity)
			for i := len(names) - 1; i >= 0; i-- {
				inside[i] = content
				content = layers[names[i]].put(t, p, content)
			}
			_, sealed, found := bytes.Cut(seal.Message([]byte(testpki.Header), content), []byte("MIME-Version: 1.0\r\n"))
			if !found {
				t.Fatal("no MIME-Version")
			}
			content = sealed
			for i, name := range names {
				content = layers[name].open(t, p, content)
				if !bytes.Equal(content, inside[i]) {
					t.Fatalf("layer %d, %s, opens to\n%q, want\n%q", i+1, name, content, inside[i])
				}
			}
		})
	}
}

// The stream forms around a large entity open to the same octets. PAPERKNIFE_LARGE=100 makes it 100 MiB.
func TestLarge(t *testing.T) {
	p := testpki.Shared(t)
	size := int64(3 << 20)
	if s := os.Getenv("PAPERKNIFE_LARGE"); s != "" {
		if _, err := fmt.Sscan(s, &size); err != nil {
			t.Fatal(err)
		}
		size <<= 20
	}
	dir := t.TempDir()
	signed, sealed, opened, content := filepath.Join(dir, "signed"), filepath.Join(dir, "sealed"), filepath.Join(dir, "opened"), filepath.Join(dir, "content")
	digest := sha256.New()
	line := strings.Repeat("x", 70) + "\r\n"
	plain := io.TeeReader(io.LimitReader(&lines{line: line}, size), digest)
	writeFile(t, signed, func(w io.Writer) error {
		return seal.WriteSigned(w, plain, pair(t, p, testpki.AliceP256), seal.SignOptions{})
	})
	writeFile(t, sealed, func(w io.Writer) error {
		in, err := os.Open(signed)
		if err != nil {
			return err
		}
		defer in.Close()
		to := []*x509.Certificate{pair(t, p, testpki.DCANet).Certificate}
		return seal.WriteEncrypted(w, in, to, seal.EncryptOptions{Cipher: seal.AES128CBC})
	})
	if _, err := p.OpenSSL(nil, "cms", "-decrypt", "-in", sealed, "-recip", testpki.DCANet+".pem", "-inkey", testpki.DCANet+".key", "-out", opened); err != nil {
		t.Fatal(err)
	}
	if _, err := p.OpenSSL(nil, "cms", "-verify", "-binary", "-in", opened, "-CAfile", testpki.Anchors+".pem", "-out", content); err != nil {
		t.Fatal(err)
	}
	got, err := p.OpenSSL(nil, "dgst", "-sha256", "-r", content)
	if want := hex.EncodeToString(digest.Sum(nil)); err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("content has digest %s, want %s, %v", got, want, err)
	}
}

func writeFile(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// lines is one line for ever.
type lines struct {
	line string
	at   int
}

func (l *lines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], l.line[l.at:])
		n += k
		l.at = (l.at + k) % len(l.line)
	}
	return n, nil
}
