package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"

	_ "crypto/sha1" // the hashes of the table
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// An AlgorithmIdentifier names an algorithm and its parameters.
type AlgorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters []byte // one DER element; nil when absent
}

// plain reports whether the parameters are absent or NULL. Both are in use where RFC 5754 asks for one of them.
func (a AlgorithmIdentifier) plain() bool {
	return a.Parameters == nil || bytes.Equal(a.Parameters, []byte{tagNull, 0})
}

// digests is every message digest this package computes, but for SHAKE256, which has no crypto.Hash. MD5 is not among them and never will be (THREATS A24).
var digests = []struct {
	name string
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
}{
	{"sha1", crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}},
	{"sha224", crypto.SHA224, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}},
	{"sha256", crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}},
	{"sha384", crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}},
	{"sha512", crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}},
}

// digestHash returns the hash a names, 0 when it is not in the table.
func digestHash(a AlgorithmIdentifier) crypto.Hash {
	for _, d := range digests {
		if d.oid.Equal(a.Algorithm) && a.plain() {
			return d.hash
		}
	}
	return 0
}

// refused are names of algorithms that mail is made with and that this package does not verify or open.
var refused = []struct {
	name string
	oid  asn1.ObjectIdentifier
}{
	{"md5", asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}},
	{"rsa-md5", asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}},
	{"rc2-cbc", asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}},
	{"des-cbc", asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}},
}

// algorithmName is the name of an algorithm that is not in use here, or else its dotted numbers.
func algorithmName(oid asn1.ObjectIdentifier) string {
	for _, r := range refused {
		if r.oid.Equal(oid) {
			return r.name
		}
	}
	return oid.String()
}

// Keys and key transport: RFC 8017 A, RFC 5480.
var (
	oidRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSASSAPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidSHAKE256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 12}
	oidSHAKE256Len   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 18}
	oidEd25519       = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidEd448         = asn1.ObjectIdentifier{1, 3, 101, 113}
	oidMLDSA44       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}
	oidMLDSA65       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}
	oidMLDSA87       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}
	oidRSAESOAEP     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSpecified    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 9}
	oidECPublicKey   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256          = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384          = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidP521          = asn1.ObjectIdentifier{1, 3, 132, 0, 35}
)
