package cms

import "filippo.io/mldsa"

// mldsaSigner returns the key of an ML-DSA signature, RFC 9882 and RFC 9881: the pure form with an empty context, no
// parameters anywhere, and a digest of the content as strong as the signature (RFC 9882 3.3, table 1).
func mldsaSigner(name string, params mldsa.Parameters, digest int) func(*certificate, *SignerInfo) (publicKey, error) {
	return func(c *certificate, si *SignerInfo) (publicKey, error) {
		if si.SignatureAlgorithm.Parameters != nil || si.Hash.Size() < digest {
			return publicKey{}, si.badParameters()
		}
		if !c.keyAlgorithm.Algorithm.Equal(si.SignatureAlgorithm.Algorithm) || c.keyAlgorithm.Parameters != nil {
			return publicKey{}, c.unusable()
		}
		key, err := mldsa.NewPublicKey(params, c.key)
		if err != nil {
			return publicKey{}, c.unusable()
		}
		return publicKey{name, nil, func(message, signature []byte) bool {
			return mldsa.Verify(key, message, signature, nil) == nil
		}}, nil
	}
}
