package cms

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"github.com/smallstep/pkcs7"
)

// Objects by another implementation in Go, which makes them for the sending side, and its opinion on ours.
func TestPKCS7(t *testing.T) {
	rsaCert, err := x509.ParseCertificate(cert(t, "rsa"))
	if err != nil {
		t.Fatal(err)
	}
	for _, detached := range []bool{false, true} {
		made, err := pkcs7.NewSignedData(content)
		if err != nil {
			t.Fatal(err)
		}
		made.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := made.AddSigner(rsaCert, signerKey(t, "rsa"), pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		if detached {
			made.Detach()
		}
		object, err := made.Finish()
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify(bytes.NewReader(object), content)
		if err != nil || v.errs[0] != nil || v.signed.Detached != detached || !bytes.Equal(v.content, content) {
			t.Errorf("detached %v: %v %v", detached, err, v)
		}
	}

	theirs, err := pkcs7.Parse(signing{content: content}.der(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Verify(); err != nil {
		t.Error(err)
	}

	before := pkcs7.ContentEncryptionAlgorithm
	defer func() { pkcs7.ContentEncryptionAlgorithm = before }()
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
	object, err := pkcs7.Encrypt(content, []*x509.Certificate{rsaCert})
	if err != nil {
		t.Fatal(err)
	}
	got, e, err := decrypt(bytes.NewReader(object), rsaCert.Raw, decrypter(t, "rsa"))
	if err != nil || !bytes.Equal(got, content) || e.Cipher != "aes256-cbc" {
		t.Errorf("%q, %v", got, err)
	}

	envelope, err := pkcs7.Parse(enveloping{padded: pad(content)}.der(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := envelope.Decrypt(rsaCert, signerKey(t, "rsa").(*rsa.PrivateKey)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%q, %v", got, err)
	}
}
