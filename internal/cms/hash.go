package cms

import (
	"crypto"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/sha3"
)

// A Hash is a message digest of content: a crypto.Hash, or SHAKE256. Two are the same if they are equal.
type Hash interface {
	New() hash.Hash
	Size() int
}

// SHAKE256 is the function of FIPS 202 with 64 octets of output, as Ed448 and ML-DSA use it (RFC 8419, RFC 9882).
var SHAKE256 Hash = shake256{}

type shake256 struct{}

func (shake256) New() hash.Hash { return sha3.NewShake256() }

func (shake256) Size() int { return 64 }

func (shake256) String() string { return "SHAKE256" }

// contentHash returns the hash that digestAlgorithm names, nil when there is none.
func contentHash(a AlgorithmIdentifier) Hash {
	if h := digestHash(a); h != 0 {
		return h
	}
	if isSHAKE256(a) {
		return SHAKE256
	}
	return nil
}

// isSHAKE256 reports id-shake256, whose output is 512 bits in CMS (RFC 8702 3.1), or id-shake256-len of 512 bits.
func isSHAKE256(a AlgorithmIdentifier) bool {
	if a.Algorithm.Equal(oidSHAKE256) {
		return a.Parameters == nil
	}
	s := cryptobyte.String(a.Parameters)
	var bits int
	return a.Algorithm.Equal(oidSHAKE256Len) && s.ReadASN1Integer(&bits) && s.Empty() && bits == 512
}

// digestName names a message digest.
func digestName(a AlgorithmIdentifier) string {
	for _, d := range digests {
		if d.oid.Equal(a.Algorithm) {
			return d.name
		}
	}
	if isSHAKE256(a) {
		return "shake256"
	}
	return algorithmName(a.Algorithm)
}

// hashName names a hash of the table.
func hashName(h crypto.Hash) string {
	for _, d := range digests {
		if d.hash == h {
			return d.name
		}
	}
	return ""
}
