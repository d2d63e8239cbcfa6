package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"

	"filippo.io/mldsa"
)

// A signatureScheme is one way to sign, by its OBJECT IDENTIFIER.
type signatureScheme struct {
	name string
	hash Hash // that digestAlgorithm must name; nil: any that is known
	oid  asn1.ObjectIdentifier
	key  func(*certificate, *SignerInfo) (publicKey, error) // ErrAlgorithm or ErrCertificate
}

// A publicKey verifies signatures of one scheme.
type publicKey struct {
	name   string // of the scheme, with the curve
	hash   Hash   // of the message, which is what is signed then; nil: the message itself is signed
	verify func(signed, signature []byte) bool
}

// signatures is every signature algorithm this package verifies. rsaEncryption leaves the hash to digestAlgorithm
// (RFC 3370 3.2), RSASSA-PSS has it in its parameters; any other must be that of digestAlgorithm.
var signatures = []signatureScheme{
	{"rsa", nil, oidRSAEncryption, rsaSigner},
	{"rsa", crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, rsaSigner},
	{"rsa", crypto.SHA224, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, rsaSigner},
	{"rsa", crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, rsaSigner},
	{"rsa", crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, rsaSigner},
	{"rsa", crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, rsaSigner},
	{"rsa-pss", nil, oidRSASSAPSS, pssSigner},
	{"ecdsa", crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, ecdsaSigner},
	{"ecdsa", crypto.SHA224, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, ecdsaSigner},
	{"ecdsa", crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, ecdsaSigner},
	{"ecdsa", crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, ecdsaSigner},
	{"ecdsa", crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, ecdsaSigner},
	{"ed25519", crypto.SHA512, oidEd25519, ed25519Signer}, // RFC 8419 3.1
	{"ed448", SHAKE256, oidEd448, ed448Signer},
	{"ml-dsa-44", nil, oidMLDSA44, mldsaSigner("ml-dsa-44", mldsa.MLDSA44(), 32)},
	{"ml-dsa-65", nil, oidMLDSA65, mldsaSigner("ml-dsa-65", mldsa.MLDSA65(), 48)},
	{"ml-dsa-87", nil, oidMLDSA87, mldsaSigner("ml-dsa-87", mldsa.MLDSA87(), 64)},
}

// scheme returns how the signature was made, nil when that is not known or does not go with digestAlgorithm.
func (si *SignerInfo) scheme() *signatureScheme {
	for i, s := range signatures {
		if s.oid.Equal(si.SignatureAlgorithm.Algorithm) && (s.hash == nil || s.hash == si.Hash) {
			return &signatures[i]
		}
	}
	return nil
}

// unusable is the error for a key that does not go with the signature, or that this package does not use.
func (c *certificate) unusable() error {
	return fmt.Errorf("%w: key of type %v and %d bits", ErrCertificate, c.keyAlgorithm.Algorithm, c.bits())
}

// badParameters is the error for a signature algorithm with parameters that it does not have.
func (si *SignerInfo) badParameters() error {
	return fmt.Errorf("%w: parameters of signature algorithm %v", ErrAlgorithm, si.SignatureAlgorithm.Algorithm)
}

func rsaSigner(c *certificate, si *SignerInfo) (publicKey, error) {
	hash, ok := si.Hash.(crypto.Hash)
	if !ok || !si.SignatureAlgorithm.plain() {
		return publicKey{}, si.badParameters()
	}
	if !c.keyAlgorithm.Algorithm.Equal(oidRSAEncryption) || !c.keyAlgorithm.plain() {
		return publicKey{}, c.unusable()
	}
	key := rsaKey(c.key)
	if key == nil {
		return publicKey{}, c.unusable()
	}
	return publicKey{"rsa", hash, func(digest, signature []byte) bool {
		return len(signature) == key.Size() && rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	}}, nil
}

func ecdsaSigner(c *certificate, si *SignerInfo) (publicKey, error) {
	if !si.SignatureAlgorithm.plain() {
		return publicKey{}, si.badParameters()
	}
	if !c.keyAlgorithm.Algorithm.Equal(oidECPublicKey) {
		return publicKey{}, c.unusable()
	}
	key, curve := ecdsaKey(c.keyAlgorithm.Parameters, c.key)
	if key == nil {
		return publicKey{}, c.unusable()
	}
	return publicKey{"ecdsa-" + curve, si.Hash, func(digest, signature []byte) bool {
		return len(signature) <= maxAlgorithm && ecdsa.VerifyASN1(key, digest, signature)
	}}, nil
}

// ed25519Signer is RFC 8419, with the parameters absent on both sides (RFC 8410 3).
func ed25519Signer(c *certificate, si *SignerInfo) (publicKey, error) {
	if si.SignatureAlgorithm.Parameters != nil {
		return publicKey{}, si.badParameters()
	}
	if !c.keyAlgorithm.Algorithm.Equal(oidEd25519) || c.keyAlgorithm.Parameters != nil || len(c.key) != ed25519.PublicKeySize {
		return publicKey{}, c.unusable()
	}
	key := ed25519.PublicKey(c.key)
	return publicKey{"ed25519", nil, func(message, signature []byte) bool {
		return ed25519.Verify(key, message, signature)
	}}, nil
}
