package cms

import (
	"crypto"
	"encoding/asn1"
	"math/big"
)

// SignerInfo is one signature of a SignedData, RFC 5652 section 5.3. Either Issuer and Serial, or SubjectKeyID, name
// the signer's certificate.
type SignerInfo struct {
	Version            int
	Issuer             []byte // DER Name
	Serial             *big.Int
	SubjectKeyID       []byte
	DigestAlgorithm    AlgorithmIdentifier
	Hash               crypto.Hash // of DigestAlgorithm; 0 when unknown or refused
	SignatureAlgorithm AlgorithmIdentifier
	SignedAttrs        []Attribute
	UnsignedAttrs      []Attribute // nobody vouches for them; nil when they cannot be read
	HasSignedAttrs     bool
	Signature          []byte
}

// An Attribute is a type and the DER of each of its values.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// Certificate returns the first of certs that the signer names as its own, nil when none is.
func (si *SignerInfo) Certificate(certs [][]byte) []byte { return nil }

// Verify checks that the key in cert made this signature over content with the given digest (by si.Hash) and type.
// The errors are ErrAlgorithm, ErrAttributes, ErrDigest, ErrSignature and ErrCertificate. It does not ask whose
// certificate it is, nor what it is for, nor when it was valid; SHA-1 and RSA from 1024 bits verify, and the caller
// judges them. A signature without signed attributes verifies too: see HasSignedAttrs and LooksLikeSignedAttrs.
func (si *SignerInfo) Verify(cert []byte, digest []byte, eContentType asn1.ObjectIdentifier) error {
	return ErrSignature
}

// KeyBits returns the size of the public key in cert, 0 when it cannot be read.
func (si *SignerInfo) KeyBits(cert []byte) int { return 0 }

// Names returns the digest and the signature algorithm as people write them, "sha256" and "rsa"; the signature
// algorithm of an unknown kind is its OBJECT IDENTIFIER.
func (si *SignerInfo) Names() (digest, signature string) { return "", "" }

// LooksLikeSignedAttrs reports whether content that begins with prefix could be the DER of signed attributes. A
// signature without signed attributes over such content may have been made for another content (THREATS A17).
func LooksLikeSignedAttrs(prefix []byte) bool { return false }
