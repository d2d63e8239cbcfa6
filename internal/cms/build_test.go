package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"testing"
)

// What follows makes objects, good ones and others, out of elements.

func seq(parts ...[]byte) []byte  { return appendElement(nil, tagSequence, parts...) }
func set(parts ...[]byte) []byte  { return appendElement(nil, tagSet, parts...) }
func octetString(p []byte) []byte { return appendElement(nil, tagOctetString, p) }
func tagged(n byte, parts ...[]byte) []byte {
	return appendElement(nil, tagContextConstructed|n, parts...)
}
func number(n byte) []byte { return []byte{tagInteger, 1, n} }
func endless(tag byte, parts ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
}

func algorithm(oid asn1.ObjectIdentifier, params ...[]byte) []byte {
	return seq(marshalOID(oid), bytes.Join(params, nil))
}

var null = []byte{tagNull, 0}

func digestOID(h crypto.Hash) asn1.ObjectIdentifier {
	for _, d := range digests {
		if d.hash == h {
			return d.oid
		}
	}
	return asn1.ObjectIdentifier{1, 2, 3}
}

func attribute(oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return seq(marshalOID(oid), set(values...))
}

func identifier(t testing.TB, der []byte) []byte {
	t.Helper()
	c, ok := parseCertificate(der)
	if !ok {
		t.Fatal("no certificate")
	}
	return seq(c.issuer, appendElement(nil, tagInteger, c.serial))
}

// A signing is a SignedData by the test's RSA key, with everything that a test wants otherwise.
type signing struct {
	content   []byte
	eContent  []byte // the element in [0]; default: an OCTET STRING of content
	oid       asn1.ObjectIdentifier
	hash      crypto.Hash
	digests   []byte   // content of digestAlgorithms; default that of hash
	digestAlg []byte   // of the SignerInfo
	attrs     [][]byte // default: contentType and messageDigest
	noAttrs   bool
	signOver  []byte // octets signed in place of the attributes
	signature []byte // algorithm; default rsaEncryption
	unsigned  []byte // whole element
	certs     []byte // content of certificates; default that of the signer
	signer    []byte // certificate; default that of the RSA key
	sign      func(message []byte) []byte
	trailer   []byte
}

func (s signing) der(t testing.TB) []byte {
	t.Helper()
	if s.hash == 0 {
		s.hash = crypto.SHA256
	}
	if s.oid == nil {
		s.oid = OIDData
	}
	if s.eContent == nil {
		s.eContent = octetString(s.content)
	}
	if s.digestAlg == nil {
		s.digestAlg = algorithm(digestOID(s.hash), null)
	}
	if s.digests == nil {
		s.digests = s.digestAlg
	}
	if s.signature == nil {
		s.signature = algorithm(oidRSAEncryption, null)
	}
	if s.signer == nil {
		s.signer = cert(t, "rsa")
	}
	if s.certs == nil {
		s.certs = s.signer
	}
	if s.sign == nil {
		s.sign = func(message []byte) []byte {
			signature, err := signerKey(t, "rsa").Sign(rand.Reader, sum(s.hash, message), s.hash)
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}
	}
	if s.attrs == nil {
		s.attrs = [][]byte{
			attribute(OIDAttrContentType, marshalOID(s.oid)),
			attribute(OIDAttrMessageDigest, octetString(sum(s.hash, s.content))),
		}
	}
	info := [][]byte{number(1), identifier(t, s.signer), s.digestAlg}
	over := s.content
	if !s.noAttrs {
		info = append(info, tagged(0, s.attrs...))
		over = set(s.attrs...)
	}
	if s.signOver != nil {
		over = s.signOver
	}
	info = append(info, s.signature, octetString(s.sign(over)), s.unsigned)
	signed := seq(number(1), set(s.digests), seq(marshalOID(s.oid), tagged(0, s.eContent)), tagged(0, s.certs), set(seq(info...)))
	return append(seq(marshalOID(OIDSignedData), tagged(0, signed)), s.trailer...)
}

func sum(h Hash, p []byte) []byte {
	state := h.New()
	state.Write(p)
	return state.Sum(nil)
}

// An enveloping is an EnvelopedData for the test's RSA key.
type enveloping struct {
	padded     []byte // plaintext with its padding
	ciphertext []byte // in place of that; whole element
	key        []byte // default 16 octets
	oid        asn1.ObjectIdentifier
	params     []byte
	transport  []byte // key encryption algorithm
	encrypted  []byte // encrypted key
	recipients []byte // content of recipientInfos
}

var oidAES128 = ciphers[0].oid

func (e enveloping) der(t testing.TB) []byte {
	t.Helper()
	if e.key == nil {
		e.key = []byte("0123456789abcdef")
	}
	if e.oid == nil {
		e.oid = oidAES128
	}
	iv := []byte("fedcba9876543210")
	if e.params == nil {
		e.params = octetString(iv)
	}
	if e.ciphertext == nil {
		block, err := aes.NewCipher(e.key)
		if err != nil {
			t.Fatal(err)
		}
		ciphertext := bytes.Clone(e.padded)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
		e.ciphertext = appendElement(nil, tagContextPrimitive, ciphertext)
	}
	if e.transport == nil {
		e.transport = algorithm(oidRSAEncryption, null)
	}
	if e.encrypted == nil {
		e.encrypted = encryptKey(t, e.key)
	}
	if e.recipients == nil {
		e.recipients = seq(number(0), identifier(t, cert(t, "rsa")), e.transport, octetString(e.encrypted))
	}
	info := seq(marshalOID(OIDData), algorithm(e.oid, e.params), e.ciphertext)
	return seq(marshalOID(OIDEnvelopedData), tagged(0, seq(number(0), set(e.recipients), info)))
}

func encryptKey(t testing.TB, key []byte) []byte {
	t.Helper()
	//lint:ignore SA1019 what mail uses
	out, err := rsa.EncryptPKCS1v15(rand.Reader, signerKey(t, "rsa").Public().(*rsa.PublicKey), key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pad pads as RFC 5652 6.3 says.
func pad(p []byte) []byte {
	n := 16 - len(p)%16
	return append(bytes.Clone(p), bytes.Repeat([]byte{byte(n)}, n)...)
}

// An authEnveloping is an AuthEnvelopedData for the test's RSA key, sealed by the standard library.
type authEnveloping struct {
	plaintext   []byte
	key         []byte // default 32 octets
	nonce       []byte
	params      []byte
	oid         asn1.ObjectIdentifier
	contentType asn1.ObjectIdentifier
	attrs       [][]byte // authAttrs, in the order of DER
	rawAttrs    []byte   // whole element in their place
	tagSize     int
	mac         []byte                                    // in place of the right one; whole element
	ciphertext  func(raw []byte) []byte                   // the element; default: primitive
	transport   []byte                                    // key encryption algorithm
	encrypted   []byte                                    // encrypted key
	unauthAttrs []byte                                    // whole element
	seal        func(e authEnveloping, aad []byte) []byte // default: AES-GCM
}

func (e authEnveloping) der(t testing.TB) []byte {
	t.Helper()
	if e.key == nil {
		e.key = []byte("0123456789abcdef0123456789abcdef")
	}
	if e.nonce == nil {
		e.nonce = []byte("fedcba987654")
	}
	if e.tagSize == 0 {
		e.tagSize = 16
	}
	if e.params == nil {
		e.params = seq(octetString(e.nonce), number(byte(e.tagSize)))
	}
	if e.oid == nil {
		for _, c := range ciphers {
			if c.mode == modeGCM && c.size == len(e.key) {
				e.oid = c.oid
			}
		}
	}
	if e.contentType == nil {
		e.contentType = OIDData
	}
	var aad []byte
	if e.attrs != nil {
		aad = set(e.attrs...)
		if e.rawAttrs == nil {
			e.rawAttrs = tagged(1, e.attrs...)
		}
	}
	if e.seal == nil {
		e.seal = func(e authEnveloping, aad []byte) []byte { return sealGCM(t, e, aad) }
	}
	sealed := e.seal(e, aad)
	raw := sealed[:len(e.plaintext)]
	if e.mac == nil {
		e.mac = octetString(sealed[len(e.plaintext):][:min(e.tagSize, 16)])
	}
	element := appendElement(nil, tagContextPrimitive, raw)
	if e.ciphertext != nil {
		element = e.ciphertext(raw)
	}
	if e.transport == nil {
		e.transport = algorithm(oidRSAEncryption, null)
	}
	if e.encrypted == nil {
		e.encrypted = encryptKey(t, e.key)
	}
	recipient := seq(number(0), identifier(t, cert(t, "rsa")), e.transport, octetString(e.encrypted))
	info := seq(marshalOID(e.contentType), algorithm(e.oid, e.params), element)
	return seq(marshalOID(OIDAuthEnvelopedData), tagged(0, seq(number(0), set(recipient), info, e.rawAttrs, e.mac, e.unauthAttrs)))
}

func sealGCM(t testing.TB, e authEnveloping, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(e.key)
	if err != nil {
		t.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return g.Seal(nil, e.nonce, e.plaintext, aad)
}

// pieces returns the ciphertext as OpenSSL writes it with -stream, each piece of at most n octets.
func pieces(n int) func([]byte) []byte {
	return func(raw []byte) []byte {
		var parts [][]byte
		for ; len(raw) > n; raw = raw[n:] {
			parts = append(parts, octetString(raw[:n]))
		}
		return endless(tagContextConstructed, append(parts, octetString(raw))...)
	}
}
