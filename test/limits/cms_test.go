package limits

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"testing"

	"paperknife/seal"
)

// A small writer of CMS objects that no honest program makes.

// element is one DER element of any size.
func element(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	out := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}

// indefinite is one BER element of indefinite length.
func indefinite(tag byte, parts ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
}

const (
	tagOctets      = 0x04
	tagSequence    = 0x30
	tagSet         = 0x31
	tagConstructed = 0x20
	tagContext     = 0xa0 // [0], constructed
)

var (
	oidData          = oid(1, 2, 840, 113549, 1, 7, 1)
	oidSignedData    = oid(1, 2, 840, 113549, 1, 7, 2)
	oidEnvelopedData = oid(1, 2, 840, 113549, 1, 7, 3)
	oidRSA           = oid(1, 2, 840, 113549, 1, 1, 1)
	oidSHA256        = oid(2, 16, 840, 1, 101, 3, 4, 2, 1)
	oidAES256CBC     = oid(2, 16, 840, 1, 101, 3, 4, 1, 42)
)

func oid(numbers ...int) []byte { return marshal(asn1.ObjectIdentifier(numbers)) }

func marshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err) // of constants only
	}
	return der
}

// split returns the elements inside a DER element.
func split(t testing.TB, der []byte) [][]byte {
	t.Helper()
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for rest := outer.Bytes; len(rest) > 0; {
		var v asn1.RawValue
		next, err := asn1.Unmarshal(rest, &v)
		if err != nil {
			t.Fatal(err)
		}
		list, rest = append(list, v.FullBytes), next
	}
	return list
}

// An envelope is an EnvelopedData for our DCA under a key that the test knows.
type envelope struct {
	key, iv []byte
}

var testEnvelope = envelope{key: bytes.Repeat([]byte{7}, 32), iv: make([]byte, aes.BlockSize)}

// encrypt is CBC without padding.
func (e envelope) encrypt(t testing.TB, blocks []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(e.key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(blocks))
	cipher.NewCBCEncrypter(block, e.iv).CryptBlocks(out, blocks)
	return out
}

// der is the ContentInfo around a ciphertext.
func (e envelope) der(t testing.TB, ciphertext []byte) []byte {
	t.Helper()
	certificate := everyone(t).dca.Certificate
	//lint:ignore SA1019 what mail uses
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, certificate.PublicKey.(*rsa.PublicKey), e.key)
	if err != nil {
		t.Fatal(err)
	}
	recipient := element(tagSequence, marshal(0), signerID(certificate), element(tagSequence, oidRSA, []byte{5, 0}), element(tagOctets, encrypted))
	content := element(tagSequence, oidData, element(tagSequence, oidAES256CBC, element(tagOctets, e.iv)), element(0x80, ciphertext))
	return element(tagSequence, oidEnvelopedData, element(tagContext, element(tagSequence, marshal(0), element(tagSet, recipient), content)))
}

func signerID(c *x509.Certificate) []byte {
	return element(tagSequence, c.RawIssuer, marshal(c.SerialNumber))
}

// pad is PKCS #7 padding.
func pad(b []byte) []byte {
	n := aes.BlockSize - len(b)%aes.BlockSize
	return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
}

// signedParts are the elements of an opaque SignedData by Alice.
type signedParts struct {
	version, digests, certificates, signerInfos []byte
	content                                     []byte
}

func signedDataOf(t testing.TB, entity []byte, o seal.SignOptions) signedParts {
	t.Helper()
	sealed, err := seal.Sign(entity, everyone(t).alice, o)
	if err != nil {
		t.Fatal(err)
	}
	_, encoded, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
	der, err := base64.StdEncoding.AppendDecode(nil, bytes.ReplaceAll(encoded, []byte("\r\n"), nil))
	if err != nil {
		t.Fatal(err)
	}
	list := split(t, split(t, split(t, der)[1])[0])
	if len(list) != 5 {
		t.Fatalf("%d elements in SignedData, want 5", len(list))
	}
	return signedParts{list[0], list[1], list[3], list[4], entity}
}

// der is the ContentInfo around a content, whole or in pieces.
func (s signedParts) der(content []byte) []byte {
	return indefinite(tagSequence, oidSignedData, indefinite(tagContext, indefinite(tagSequence,
		s.version, s.digests, indefinite(tagSequence, oidData, indefinite(tagContext, content)), s.certificates, s.signerInfos)))
}
