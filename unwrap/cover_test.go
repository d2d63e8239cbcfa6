package unwrap_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/smallstep/pkcs7"

	"paperknife/seal"
)

// object is a SignedData of another implementation: without signed attributes when bare.
func object(t *testing.T, content string, bare bool) []byte {
	t.Helper()
	p := newParties(t)
	s, err := pkcs7.NewSignedData([]byte(content))
	check(t, err)
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if bare {
		check(t, s.SignWithoutAttr(p.author.Certificate, p.author.Key, pkcs7.SignerInfoConfig{}))
	} else {
		check(t, s.AddSigner(p.author.Certificate, p.author.Key, pkcs7.SignerInfoConfig{}))
	}
	return must(t)(s.Finish())
}

func signedMessage(der []byte) []byte {
	return seal.Message([]byte(header), signedEntity(der))
}

func signedEntity(der []byte) []byte {
	return []byte("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(der) + "\r\n")
}

// DESIGN rule 5, THREATS A17: a signature without signed attributes covers no ciphertext, for it may have been made for
// something else.
func TestBareSignatureCoversNothing(t *testing.T) {
	p := newParties(t)
	for _, bare := range []bool{false, true} {
		e := must(t)(seal.EncryptTo(signedEntity(object(t, entity, bare)), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
		r := open(t, seal.Message([]byte(header), e))
		if len(r.Layers) != 2 || !r.Layers[1].Good() || r.Layers[0].Covered == bare {
			t.Errorf("bare %v: %s, covered %v", bare, describe(r), r.Layers[0].Covered)
		}
	}
}

// THREATS A17: what looks like the signed attributes of another message is not content that was signed.
func TestAttributesAreNoContent(t *testing.T) {
	attributes := "\x31\x1a\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	r := open(t, signedMessage(object(t, attributes, true)))
	if len(r.Layers) != 1 || len(r.Layers[0].Signers) != 1 || r.Layers[0].Good() {
		t.Errorf("%s", describe(r))
	}
}

// What is signed as something else than data or another layer is no message: nothing inside is read as one, and nothing comes off.
func TestContentTypeOfAnotherKind(t *testing.T) {
	data, unknown := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 9}
	r := open(t, signedMessage(bytes.ReplaceAll(object(t, entity, true), data, unknown)))
	if len(r.Layers) != 1 || r.Layers[0].Strippable || r.Layers[0].Repackable || r.Layers[0].Content() != nil {
		t.Errorf("%s: strippable %v, repackable %v", describe(r), r.Layers[0].Strippable, r.Layers[0].Repackable)
	}
}

// THREATS B12, B13: only what is plainly a MIME entity takes the place of a layer.
func TestWhatComesOffIsAnEntity(t *testing.T) {
	for inner, want := range map[string]bool{
		entity:                                  true,
		"\r\ntext\r\n":                          true,
		"content-type: text/plain\r\n\r\nx\r\n": true,
		"Content-Type: text/plain\r\nSubject: other\r\n\r\nx\r\n":                             true, // Subject stays inside
		"Subject: other\r\n\r\nx\r\n":                                                         false,
		"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n":                    false,
		"Content-Type : text/plain\r\n\r\nx\r\n":                                              false,
		"Content-Type: text/plain; name=\"\x00\"\r\n\r\nx\r\n":                                false,
		"Content-Type: text/plain;\r X-Unwrapped: mx.example.net\r\n\r\nx\r\n":                false,
		"Content-Type: text/plain\rAuthentication-Results: mx.example.net; none\r\n\r\nx\r\n": false,
		"no field\r\nContent-Type: text/plain\r\n\r\nx\r\n":                                   false,
		" Content-Type: text/plain\r\n\r\nx\r\n":                                              false,
	} {
		r := open(t, signedMessage(object(t, inner, false)))
		if len(r.Layers) != 1 || !r.Layers[0].Good() || r.Layers[0].Strippable != want {
			t.Errorf("%q: %s, strippable %v", inner, describe(r), r.Layers[0].Strippable)
		}
	}
}
