package cms

import "github.com/cloudflare/circl/sign/ed448"

// ed448Signer is RFC 8419, with the parameters absent on both sides (RFC 8410 3).
func ed448Signer(c *certificate, si *SignerInfo) (publicKey, error) {
	if si.SignatureAlgorithm.Parameters != nil {
		return publicKey{}, si.badParameters()
	}
	if !c.keyAlgorithm.Algorithm.Equal(oidEd448) || c.keyAlgorithm.Parameters != nil || len(c.key) != ed448.PublicKeySize {
		return publicKey{}, c.unusable()
	}
	key := ed448.PublicKey(c.key)
	return publicKey{"ed448", nil, func(message, signature []byte) bool {
		return len(signature) == ed448.SignatureSize && ed448.Verify(key, message, signature, "")
	}}, nil
}
