package cms

import (
	"crypto"
	"crypto/rsa"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// oaepOptions reads RSAES-OAEP-params, RFC 8017 A.2.1. Absent parameters are all defaults, as is NULL, which some
// software writes. The hash and that of MGF1 are independent of each other.
func oaepOptions(parameters []byte) (*rsa.OAEPOptions, bool) {
	opts := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	if (AlgorithmIdentifier{Parameters: parameters}).plain() {
		return opts, true
	}
	s := cryptobyte.String(parameters)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	if a, present, ok := optionalAlgorithm(&seq, 0); !ok {
		return nil, false
	} else if present {
		opts.Hash = digestHash(a)
	}
	if a, present, ok := optionalAlgorithm(&seq, 1); !ok {
		return nil, false
	} else if present {
		opts.MGFHash = mgf1Hash(a)
	}
	if a, present, ok := optionalAlgorithm(&seq, 2); !ok {
		return nil, false
	} else if present {
		if opts.Label, ok = oaepLabel(a); !ok {
			return nil, false
		}
	}
	return opts, seq.Empty() && opts.Hash != 0 && opts.MGFHash != 0
}

// optionalAlgorithm reads an AlgorithmIdentifier under an explicit tag, if it is there.
func optionalAlgorithm(s *cryptobyte.String, tag uint8) (a AlgorithmIdentifier, present, ok bool) {
	var explicit cryptobyte.String
	if !s.ReadOptionalASN1(&explicit, &present, casn1.Tag(tag).Constructed().ContextSpecific()) {
		return a, false, false
	}
	if !present {
		return a, false, true
	}
	a, ok = readAlgorithm(&explicit)
	return a, true, ok && explicit.Empty()
}

// mgf1Hash returns the hash of MGF1, 0 for another function or hash.
func mgf1Hash(a AlgorithmIdentifier) crypto.Hash {
	s := cryptobyte.String(a.Parameters)
	inner, ok := readAlgorithm(&s)
	if !a.Algorithm.Equal(oidMGF1) || !ok || !s.Empty() {
		return 0
	}
	return digestHash(inner)
}

// oaepLabel reads pSourceFunc id-pSpecified.
func oaepLabel(a AlgorithmIdentifier) ([]byte, bool) {
	s := cryptobyte.String(a.Parameters)
	var label cryptobyte.String
	if !a.Algorithm.Equal(oidPSpecified) || !s.ReadASN1(&label, casn1.OCTET_STRING) || !s.Empty() {
		return nil, false
	}
	return label, true
}
