package cms

import (
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignerInfo is one signature of a SignedData, RFC 5652 section 5.3. Either Issuer and Serial, or SubjectKeyID, name
// the signer's certificate.
type SignerInfo struct {
	Version            int
	Issuer             []byte // DER Name
	Serial             *big.Int
	SubjectKeyID       []byte
	DigestAlgorithm    AlgorithmIdentifier
	Hash               Hash // of DigestAlgorithm; nil when unknown or refused
	SignatureAlgorithm AlgorithmIdentifier
	SignedAttrs        []Attribute
	UnsignedAttrs      []Attribute // nobody vouches for them; nil when they cannot be read
	HasSignedAttrs     bool
	Signature          []byte

	rawAttrs   []byte   // content of signedAttrs in the order received
	attributes [][]byte // the DER of each of them
	keyName    string   // "ecdsa-p256", once the key is known
}

// An Attribute is a type and the DER of each of its values.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// parseSignerInfo reads a SignerInfo of BER or DER.
func parseSignerInfo(raw []byte) (*SignerInfo, error) {
	der, err := toDER(raw)
	if err != nil {
		return nil, err
	}
	si := new(SignerInfo)
	var seq cryptobyte.String
	s := cryptobyte.String(der)
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&si.Version) {
		return nil, syntax("SignerInfo")
	}
	var ok bool
	if si.Issuer, si.Serial, si.SubjectKeyID, ok = readIdentifier(&seq); !ok {
		return nil, syntax("identifier of a signer")
	}
	if si.DigestAlgorithm, ok = readAlgorithm(&seq); !ok {
		return nil, syntax("digestAlgorithm")
	}
	si.Hash = contentHash(si.DigestAlgorithm)
	if err := si.readSignedAttrs(&seq); err != nil {
		return nil, err
	}
	if si.SignatureAlgorithm, ok = readAlgorithm(&seq); !ok {
		return nil, syntax("signatureAlgorithm")
	}
	var signature, unsigned cryptobyte.String
	var hasUnsigned bool
	if !seq.ReadASN1(&signature, casn1.OCTET_STRING) ||
		!seq.ReadOptionalASN1(&unsigned, &hasUnsigned, casn1.Tag(1).Constructed().ContextSpecific()) || !seq.Empty() {
		return nil, syntax("signature of a SignerInfo")
	}
	si.Signature = signature
	if attrs, _, ok := readAttributes(unsigned); ok {
		si.UnsignedAttrs = attrs
	}
	return si, nil
}

// readIdentifier reads SignerIdentifier or RecipientIdentifier: issuerAndSerialNumber, or [0] IMPLICIT
// SubjectKeyIdentifier.
func readIdentifier(s *cryptobyte.String) (issuer []byte, serial *big.Int, keyID []byte, ok bool) {
	var id cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&id, &present, casn1.Tag(0).ContextSpecific()) {
		return nil, nil, nil, false
	}
	if present {
		return nil, nil, append([]byte{}, id...), true // never nil
	}
	var seq, name, number cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1Element(&name, casn1.SEQUENCE) ||
		!seq.ReadASN1(&number, casn1.INTEGER) || !seq.Empty() || len(number) > maxSerial {
		return nil, nil, nil, false
	}
	serial, ok = integer(number)
	return name, serial, nil, ok
}

func (si *SignerInfo) readSignedAttrs(seq *cryptobyte.String) error {
	var signed cryptobyte.String
	if !seq.ReadOptionalASN1(&signed, &si.HasSignedAttrs, casn1.Tag(0).Constructed().ContextSpecific()) {
		return syntax("signedAttrs")
	}
	if !si.HasSignedAttrs {
		return nil
	}
	si.rawAttrs = signed
	var ok bool
	if si.SignedAttrs, si.attributes, ok = readAttributes(signed); !ok {
		return syntax("signedAttrs")
	}
	return nil
}

// readAttributes reads the content of a SET OF Attribute, and gives each one's DER too.
func readAttributes(s cryptobyte.String) (attrs []Attribute, elements [][]byte, ok bool) {
	for !s.Empty() {
		var element, attribute, values cryptobyte.String
		var a Attribute
		if len(attrs) == maxAttributes || !s.ReadASN1Element(&element, casn1.SEQUENCE) {
			return nil, nil, false
		}
		elements = append(elements, element)
		if !element.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&a.Type) ||
			!attribute.ReadASN1(&values, casn1.SET) || !attribute.Empty() {
			return nil, nil, false
		}
		for !values.Empty() {
			var value cryptobyte.String
			var tag casn1.Tag
			if len(a.Values) == maxAttributes || !values.ReadAnyASN1Element(&value, &tag) {
				return nil, nil, false
			}
			a.Values = append(a.Values, value)
		}
		attrs = append(attrs, a)
	}
	return attrs, elements, true
}

// Certificate returns the first of certs that the signer names as its own, nil when none is. Several may have the same
// name, or key identifier: then it is the first one with a key that could have made the signature.
func (si *SignerInfo) Certificate(certs [][]byte) []byte {
	var named []byte
	for _, der := range certs {
		c, ok := parseCertificate(der)
		if !ok || !c.isNamed(si.Issuer, si.Serial, si.SubjectKeyID) {
			continue
		}
		if si.suits(c) {
			return der
		}
		if named == nil {
			named = der
		}
	}
	return named
}

// suits reports whether the key could have made the signature.
func (si *SignerInfo) suits(c *certificate) bool {
	scheme := si.scheme()
	if scheme == nil || si.Hash == nil {
		return false
	}
	_, err := scheme.key(c, si)
	return err == nil
}

// KeyBits returns the size of the public key in cert, 0 when it cannot be read.
func (si *SignerInfo) KeyBits(cert []byte) int {
	c, ok := parseCertificate(cert)
	if !ok {
		return 0
	}
	return c.bits()
}

// Names returns the digest and the signature algorithm as people write them: "sha256", and "rsa", "rsa-pss",
// "ecdsa-p256", "ed25519". One that is unknown is its OBJECT IDENTIFIER. The curve is that of the certificate last given
// to Verify; before that it is "ecdsa".
func (si *SignerInfo) Names() (digest, signature string) {
	digest = digestName(si.DigestAlgorithm)
	if si.keyName != "" {
		return digest, si.keyName
	}
	if s := si.scheme(); s != nil {
		return digest, s.name
	}
	return digest, algorithmName(si.SignatureAlgorithm.Algorithm)
}

// MaskedDigests returns the names of the hashes inside an RSASSA-PSS signature, that of the message and that of MGF1. They
// need not be that of the content. It is nil for any other signature.
func (si *SignerInfo) MaskedDigests() []string {
	if !si.SignatureAlgorithm.Algorithm.Equal(oidRSASSAPSS) {
		return nil
	}
	p, ok := readPSS(si.SignatureAlgorithm.Parameters)
	if !ok {
		return nil
	}
	return []string{hashName(p.hash), hashName(p.mask)}
}
