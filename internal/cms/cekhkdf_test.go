package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"testing"
)

// The first example of RFC 9709, appendix A.
func TestCEKHKDFVector(t *testing.T) {
	key, err := deriveCEK(unhex(t, "c702e7d0a9e064b09ba55245fb733cf3"), unhex(t, "301b0609608648016503040106300e040c5c79058ba2f43447639d29e2"))
	if err != nil || hex.EncodeToString(key) != "2124ffb29fac4e0fbbc7d5d87492bff3" {
		t.Errorf("%x, %v", key, err)
	}
}

// RFC 9709 in both containers; the same object under another name of the cipher, or without the derivation, is noise
// (THREATS A06).
func TestCEKHKDF(t *testing.T) {
	plain := pattern(100)
	came := []byte("0123456789abcdef")
	iv := []byte("fedcba9876543210")
	inner := algorithm(oidAES128, octetString(iv))
	key, err := deriveCEK(came, inner)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext := pad(plain)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
	e := enveloping{ciphertext: appendElement(nil, tagContextPrimitive, ciphertext), oid: oidCEKHKDF, params: inner}
	got, envelope, err := decrypt(bytes.NewReader(e.der(t)), cert(t, "rsa"), decrypter(t, "rsa"))
	if err != nil || !bytes.Equal(got, plain) || envelope.Cipher != "aes128-cbc" {
		t.Errorf("%v, %q", err, got)
	}
	e.oid, e.params = oidAES128, octetString(iv)
	if got, _, err := decrypt(bytes.NewReader(e.der(t)), cert(t, "rsa"), decrypter(t, "rsa")); bytes.Contains(got, plain[:16]) {
		t.Errorf("without the derivation: %v", err)
	}

	g := authEnveloping{plaintext: plain, oid: oidCEKHKDF, nonce: []byte("fedcba987654")}
	gcm := algorithm(ciphers[5].oid, seq(octetString(g.nonce), number(16)))
	came = []byte("0123456789abcdef0123456789abcdef")
	if g.key, err = deriveCEK(came, gcm); err != nil {
		t.Fatal(err)
	}
	g.params, g.encrypted = gcm, encryptKey(t, came)
	got, a, err := authDecrypt(g.der(t), readers["whole"], decrypter(t, "rsa"))
	if err != nil || !bytes.Equal(got, plain) || a.Cipher != "aes256-gcm" {
		t.Errorf("%v, %q", err, got)
	}
	g.encrypted = encryptKey(t, g.key)
	if _, _, err := authDecrypt(g.der(t), readers["whole"], decrypter(t, "rsa")); err != ErrDecrypt {
		t.Errorf("underived key: %v", err)
	}
	for name, params := range map[string][]byte{
		"none": {}, "NULL": null, "GCM in EnvelopedData": gcm, "itself": algorithm(oidCEKHKDF, inner), "unknown": algorithm(OIDData),
	} {
		object := enveloping{padded: pad(plain), oid: oidCEKHKDF, params: params}.der(t)
		if _, _, err := decrypt(bytes.NewReader(object), cert(t, "rsa"), decrypter(t, "rsa")); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
