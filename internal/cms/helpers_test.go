package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/iotest"

	"paperknife/test/need"

	"github.com/cloudflare/circl/dh/x448"
)

// testdata returns a file made by testdata/make.sh.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pemBytes(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode(testdata(t, name))
	if block == nil {
		t.Fatalf("%s: no PEM", name)
	}
	return block.Bytes
}

// cert returns the DER of a certificate of make.sh.
func cert(t testing.TB, name string) []byte { return pemBytes(t, name+".crt") }

func signerKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(pemBytes(t, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

func decrypter(t testing.TB, name string) crypto.Decrypter {
	return signerKey(t, name).(crypto.Decrypter)
}

// private returns a key as ContentKey takes it.
func private(t testing.TB, name string) crypto.PrivateKey {
	t.Helper()
	der := pemBytes(t, name+".key")
	if name == "x448" {
		return x448Private(der[len(der)-sizeX448:])
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		if key, err = ec.ECDH(); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// x448Private is a key of X448.
type x448Private x448.Key

// X448 implements X448Key.
func (k x448Private) X448(point []byte) ([]byte, bool, error) {
	secret, private, public := new(x448.Key), x448.Key(k), x448.Key(point)
	ok := x448.Shared(secret, &private, &public)
	return secret[:], ok, nil
}

// openssl runs the command line in the directory of the test data.
func openssl(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = "testdata"
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

func needOpenSSL(t testing.TB) {
	t.Helper()
	need.Command(t, "openssl")
}

// readers are the ways a source may deliver.
var readers = map[string]func(io.Reader) io.Reader{
	"whole":   func(r io.Reader) io.Reader { return r },
	"half":    iotest.HalfReader,
	"onebyte": iotest.OneByteReader,
	"dataerr": iotest.DataErrReader,
}

// verified is what a signature covers according to this package.
type verified struct {
	content []byte
	signed  *SignedData
	errs    []error // one per signer
}

// verify reads a SignedData and verifies every signer, with the certificates in the object and extra ones.
func verify(src io.Reader, detached []byte, extra ...[]byte) (*verified, error) {
	s, err := NewReader(src).SignedData()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(s)
	if err != nil {
		return nil, err
	}
	if err := s.Finish(); err != nil {
		return nil, err
	}
	v := &verified{content: content, signed: s}
	if s.Detached {
		v.content = detached
	}
	for _, si := range s.SignerInfos {
		var digest []byte
		if si.Hash != nil {
			if digest = s.Digest(si.Hash); digest == nil {
				h := si.Hash.New()
				h.Write(v.content)
				digest = h.Sum(nil)
			}
		}
		cert := si.Certificate(append(s.Certificates, extra...))
		v.errs = append(v.errs, si.Verify(cert, digest, s.EContentType))
	}
	return v, nil
}

// decrypt reads an EnvelopedData and decrypts it with the first RecipientInfo that names the certificate.
func decrypt(src io.Reader, cert []byte, key crypto.PrivateKey) ([]byte, *EnvelopedData, error) {
	e, err := NewReader(src).EnvelopedData()
	if err != nil {
		return nil, nil, err
	}
	var contentKey []byte
	for _, ri := range e.RecipientInfos {
		if ri.IsFor(cert) {
			if contentKey, err = only(&ri, cert).ContentKey(key, e.KeySize); err != nil {
				return nil, e, err
			}
			break
		}
	}
	var out bytes.Buffer
	err = e.Decrypt(contentKey, &out)
	return out.Bytes(), e, err
}

// only narrows a RecipientInfo to the recipient with this certificate.
func only(ri *RecipientInfo, cert []byte) *RecipientInfo {
	for i := range ri.Recipients {
		if one := ri.Only(i); one.IsFor(cert) {
			return one
		}
	}
	return ri
}

// authDecrypt is decrypt for an AuthEnvelopedData. Both readings are made by reader.
func authDecrypt(object []byte, reader func(io.Reader) io.Reader, key crypto.PrivateKey) ([]byte, *AuthEnvelopedData, error) {
	again := func() (io.Reader, error) { return reader(bytes.NewReader(object)), nil }
	src, _ := again()
	a, err := NewReader(src).AuthEnvelopedData()
	if err != nil {
		return nil, nil, err
	}
	if len(a.RecipientInfos) == 0 {
		return nil, nil, ErrAlgorithm
	}
	contentKey, err := a.RecipientInfos[0].ContentKey(key, a.KeySize)
	if err != nil {
		return nil, a, err
	}
	var out bytes.Buffer
	err = a.Decrypt(contentKey, again, &out)
	return out.Bytes(), a, err
}
