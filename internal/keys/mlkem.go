package keys

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/sha3"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

type mlkemSet struct {
	name string
	oid  asn1.ObjectIdentifier
	key  func(seed []byte) (crypto.Decapsulator, error)
}

// mlkems are the parameter sets of ML-KEM that keys may have, RFC 9935.
var mlkems = []mlkemSet{
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
			if !m.oid.Equal(oid) {
				continue
			}
			private, err := mlkemKey(key, m.key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			return private, nil
		}
		if oid.Equal(oidX448) {
			return parseX448(key)
		}
	}
	return x509.ParsePKCS8PrivateKey(der)
}

var (
	errExpanded = errors.New("the key has no seed, only its expanded form: export it with the seed (RFC 9935 section 6)")
	errForm     = errors.New("the key has none of the forms of RFC 9935 section 6")
	errSeed     = errors.New("the seed and the expanded key are not of one key")
)

// mlkemKey reads an ML-KEM-PrivateKey, RFC 9935 section 6: the seed under [0], the expanded key, or both.
func mlkemKey(s cryptobyte.String, from func(seed []byte) (crypto.Decapsulator, error)) (crypto.Decapsulator, error) {
	var seed, both, expanded cryptobyte.String
	seedTag := casn1.Tag(0).ContextSpecific()
	switch {
	case s.PeekASN1Tag(casn1.OCTET_STRING):
		return nil, errExpanded
	case s.PeekASN1Tag(seedTag) && s.ReadASN1(&seed, seedTag) && s.Empty():
		return from(seed)
	case !s.ReadASN1(&both, casn1.SEQUENCE) || !s.Empty() || !both.ReadASN1(&seed, casn1.OCTET_STRING) ||
		!both.ReadASN1(&expanded, casn1.OCTET_STRING) || !both.Empty():
		return nil, errForm
	}
	key, err := from(seed)
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(expanded, expandedEnd(key, seed)) {
		return nil, errSeed
	}
	return key, nil
}

// expandedEnd returns what an expanded key ends in (FIPS 203, algorithm 16): the public key, its hash, and the
// second half of the seed. That much shows whether both forms are of one key.
func expandedEnd(key crypto.Decapsulator, seed []byte) []byte {
	public := key.Encapsulator().Bytes()
	hash := sha3.Sum256(public)
	return slices.Concat(public, hash[:], seed[len(seed)/2:])
}

// kemOf returns the encapsulation key of a certificate.
func kemOf(cert *x509.Certificate) ([]byte, bool) {
	oid, key, ok := subjectPublicKey(cert)
	return key, ok && slices.ContainsFunc(mlkems, func(m mlkemSet) bool { return m.oid.Equal(oid) })
}
