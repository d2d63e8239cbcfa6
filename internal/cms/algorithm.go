package cms

import "encoding/asn1"

// An AlgorithmIdentifier names an algorithm and its parameters.
type AlgorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters []byte // one DER element; nil when absent
}
