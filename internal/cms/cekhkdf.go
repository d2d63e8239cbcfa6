package cms

import (
	"crypto"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
)

// oidCEKHKDF says that the content key is derived from the one that came, under the name of the cipher, which stands
// in the parameters: then a changed name is another key (THREATS A06). RFC 9709.
var oidCEKHKDF = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 31}

// underHKDF returns the cipher that a names; info is not nil when the key is to be derived for it.
func underHKDF(a AlgorithmIdentifier) (inner AlgorithmIdentifier, info []byte) {
	if !a.Algorithm.Equal(oidCEKHKDF) {
		return a, nil
	}
	s := cryptobyte.String(a.Parameters)
	inner, ok := readAlgorithm(&s)
	if !ok || !s.Empty() {
		return a, nil
	}
	return inner, inner.der()
}

// deriveCEK is CMS_CEK_HKDF_SHA256, RFC 9709 section 2.
func deriveCEK(key, info []byte) ([]byte, error) {
	return deriveHKDF(crypto.SHA256, key, []byte("The Cryptographic Message Syntax"), info, len(key))
}
