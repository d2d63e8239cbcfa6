package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// certificate is what this package needs of an RFC 5280 certificate: which one it is, and its key. It is read
// leniently, since whether a certificate is a good one is not asked here, and without big-number work.
type certificate struct {
	serial, issuer []byte // content of the INTEGER; DER Name
	keyAlgorithm   AlgorithmIdentifier
	key            []byte            // content of the BIT STRING
	rest           cryptobyte.String // of the TBSCertificate, behind the key
}

var oidSubjectKeyID = asn1.ObjectIdentifier{2, 5, 29, 14}

func parseCertificate(der []byte) (*certificate, bool) {
	var c certificate
	var cert, tbs, serial, issuer, spki cryptobyte.String
	s := cryptobyte.String(der)
	if !s.ReadASN1(&cert, casn1.SEQUENCE) || !cert.ReadASN1(&tbs, casn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(casn1.Tag(0).Constructed().ContextSpecific()) || // version
		!tbs.ReadASN1(&serial, casn1.INTEGER) ||
		!tbs.SkipASN1(casn1.SEQUENCE) || // signature
		!tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) ||
		!tbs.SkipASN1(casn1.SEQUENCE) || // validity
		!tbs.SkipASN1(casn1.SEQUENCE) || // subject
		!tbs.ReadASN1(&spki, casn1.SEQUENCE) {
		return nil, false
	}
	c.serial, c.issuer = serial, issuer
	var ok bool
	if c.keyAlgorithm, ok = readAlgorithm(&spki); !ok || !spki.ReadASN1BitStringAsBytes(&c.key) {
		return nil, false
	}
	c.rest = tbs
	return &c, true
}

// keyID returns the subjectKeyIdentifier, or else the first identifier of RFC 5280 4.2.1.2.
func (c *certificate) keyID() []byte {
	if id := subjectKeyID(c.rest); id != nil {
		return id
	}
	sum := sha1.Sum(c.key)
	return sum[:]
}

// subjectKeyID finds the extension in what follows the key of a TBSCertificate, nil when it is not there.
func subjectKeyID(tbs cryptobyte.String) []byte {
	var wrapped, extensions cryptobyte.String
	var present bool
	if !tbs.SkipOptionalASN1(casn1.Tag(1).ContextSpecific()) || !tbs.SkipOptionalASN1(casn1.Tag(2).ContextSpecific()) ||
		!tbs.ReadOptionalASN1(&wrapped, &present, casn1.Tag(3).Constructed().ContextSpecific()) || !present ||
		!wrapped.ReadASN1(&extensions, casn1.SEQUENCE) {
		return nil
	}
	for range maxExtensions {
		var extension, value, id cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !extensions.ReadASN1(&extension, casn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) {
			return nil
		}
		if !oid.Equal(oidSubjectKeyID) {
			continue
		}
		if !extension.SkipOptionalASN1(casn1.BOOLEAN) || !extension.ReadASN1(&value, casn1.OCTET_STRING) ||
			!value.ReadASN1(&id, casn1.OCTET_STRING) {
			return nil
		}
		return id
	}
	return nil
}

// isNamed reports whether the certificate is the one named by keyID, or else by issuer and serial.
func (c *certificate) isNamed(issuer []byte, serial *big.Int, keyID []byte) bool {
	if keyID != nil {
		return bytes.Equal(c.keyID(), keyID)
	}
	if serial == nil || len(c.serial) > maxSerial {
		return false
	}
	own, ok := integer(c.serial)
	return ok && own.Cmp(serial) == 0 && SameName(c.issuer, issuer)
}

// integer is the value of an INTEGER with the given content, negative ones included: they exist as serial numbers.
func integer(content []byte) (*big.Int, bool) {
	s := cryptobyte.String(appendElement(nil, tagInteger, content))
	n := new(big.Int)
	return n, s.ReadASN1Integer(n)
}

// rsaParts splits RSAPublicKey; both numbers are positive and without a sign octet.
func rsaParts(der []byte) (modulus, exponent []byte, ok bool) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&modulus) || !seq.ReadASN1Integer(&exponent) ||
		!seq.Empty() {
		return nil, nil, false
	}
	return modulus, exponent, true
}

func rsaKey(der []byte) *rsa.PublicKey {
	modulus, exponent, ok := rsaParts(der)
	if !ok || len(modulus) > maxModulus/8 || len(exponent) > 4 {
		return nil
	}
	var e uint64
	for _, c := range exponent {
		e = e<<8 | uint64(c)
	}
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() < minModulus || n.Bit(0) == 0 || e < 3 || e%2 == 0 || e > 1<<31-1 { // crypto/rsa's bound
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e)}
}

// namedCurve returns the curve that ECParameters name.
func namedCurve(parameters []byte) elliptic.Curve {
	switch {
	case isOID(parameters, oidP256):
		return elliptic.P256()
	case isOID(parameters, oidP384):
		return elliptic.P384()
	case isOID(parameters, oidP521):
		return elliptic.P521()
	}
	return nil
}

// isOID reports whether der is this OBJECT IDENTIFIER and nothing else.
func isOID(der []byte, want asn1.ObjectIdentifier) bool {
	s := cryptobyte.String(der)
	var oid asn1.ObjectIdentifier
	return s.ReadASN1ObjectIdentifier(&oid) && s.Empty() && oid.Equal(want)
}

// ecdsaKey returns the key and the name of its curve; nil for a curve or a point that is not used here.
func ecdsaKey(parameters, point []byte) (*ecdsa.PublicKey, string) {
	if b := brainpoolCurve(parameters); b != nil {
		return b.key(point), b.name
	}
	curve := namedCurve(parameters)
	if curve == nil {
		return nil, ""
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, ""
	}
	return key, fmt.Sprintf("p%d", curve.Params().BitSize)
}

// bits returns the size of the key, without asking whether it can be used.
func (c *certificate) bits() int {
	switch {
	case c.keyAlgorithm.Algorithm.Equal(oidRSAEncryption), c.keyAlgorithm.Algorithm.Equal(oidRSASSAPSS):
		if modulus, _, ok := rsaParts(c.key); ok {
			return new(big.Int).SetBytes(modulus).BitLen()
		}
	case c.keyAlgorithm.Algorithm.Equal(oidECPublicKey):
		if curve := namedCurve(c.keyAlgorithm.Parameters); curve != nil {
			return curve.Params().BitSize
		}
		if b := brainpoolCurve(c.keyAlgorithm.Parameters); b != nil {
			return b.curve.Params().BitSize
		}
	case c.keyAlgorithm.Algorithm.Equal(oidEd25519):
		return 256
	case c.keyAlgorithm.Algorithm.Equal(oidEd448):
		return 448
	}
	return 0
}
