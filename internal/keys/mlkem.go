package keys

import (
	"crypto"
	"crypto/mlkem"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// mlkems are the parameter sets of ML-KEM that keys may have, RFC 9935.
var mlkems = []struct {
	name string
	oid  asn1.ObjectIdentifier
	key  func(seed []byte) (crypto.Decapsulator, error)
}{
	{"ML-KEM-512", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 1}, newDecapsulationKey512},
	{"ML-KEM-768", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2},
		func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey768(seed) }},
	{"ML-KEM-1024", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3},
		func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey1024(seed) }},
}

// parsePKCS8 reads a PKCS #8 key, ML-KEM included.
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	s := cryptobyte.String(der)
	var info, algorithm, key cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	if s.ReadASN1(&info, casn1.SEQUENCE) && info.ReadASN1Integer(&version) && info.ReadASN1(&algorithm, casn1.SEQUENCE) &&
		algorithm.ReadASN1ObjectIdentifier(&oid) && info.ReadASN1(&key, casn1.OCTET_STRING) {
		for _, m := range mlkems {
			if m.oid.Equal(oid) {
				seed, err := mlkemSeed(key)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", m.name, err)
				}
				return m.key(seed)
			}
		}
	}
	return x509.ParsePKCS8PrivateKey(der)
}

var errExpanded = errors.New("the key has no seed, only its expanded form: export it with the seed (RFC 9935 section 6)")

// mlkemSeed reads the seed of an ML-KEM-PrivateKey, RFC 9935 section 6: seed [0], or both in a SEQUENCE.
func mlkemSeed(s cryptobyte.String) ([]byte, error) {
	var seed, both cryptobyte.String
	seedTag := casn1.Tag(0).ContextSpecific()
	switch {
	case s.PeekASN1Tag(seedTag):
		if s.ReadASN1(&seed, seedTag) && s.Empty() {
			return seed, nil
		}
	case s.PeekASN1Tag(casn1.SEQUENCE):
		if s.ReadASN1(&both, casn1.SEQUENCE) && s.Empty() && both.ReadASN1(&seed, casn1.OCTET_STRING) {
			return seed, nil
		}
	case s.PeekASN1Tag(casn1.OCTET_STRING):
		return nil, errExpanded
	}
	return nil, errors.New("private key has none of the forms of RFC 9935")
}

// kemOf returns the encapsulation key of a certificate.
func kemOf(cert *x509.Certificate) ([]byte, bool) {
	var info struct {
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, false
	}
	for _, m := range mlkems {
		if m.oid.Equal(info.Algorithm.OID) {
			return info.Key.Bytes, true
		}
	}
	return nil, false
}
