package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signingCertificate holds cert against the signing certificate attributes, RFC 2634 5.4 and RFC 5035 3: the first
// of the certificates they list is the signer's, and another one that fits the key is not.
func (si *SignerInfo) signingCertificate(cert []byte) error {
	for _, attribute := range []struct {
		oid  asn1.ObjectIdentifier
		hash func(*cryptobyte.String) (crypto.Hash, bool)
	}{
		{OIDAttrSigningCertificate, func(*cryptobyte.String) (crypto.Hash, bool) { return crypto.SHA1, true }},
		{OIDAttrSigningCertificateV2, essHash},
	} {
		value, err := si.single(attribute.oid)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		s := cryptobyte.String(value)
		var all, ids, id, sum cryptobyte.String
		if !s.ReadASN1(&all, casn1.SEQUENCE) || !all.ReadASN1(&ids, casn1.SEQUENCE) || !ids.ReadASN1(&id, casn1.SEQUENCE) {
			return fmt.Errorf("%w: signing certificate attribute", ErrAttributes)
		}
		hash, ok := attribute.hash(&id)
		if !ok || !id.ReadASN1(&sum, casn1.OCTET_STRING) {
			return fmt.Errorf("%w: signing certificate attribute", ErrAttributes)
		}
		if hash == 0 {
			continue // nothing can be said by a hash that is not known
		}
		h := hash.New()
		h.Write(cert)
		if !bytes.Equal(h.Sum(nil), sum) {
			return fmt.Errorf("%w: signed with another certificate in mind", ErrAttributes)
		}
	}
	return nil
}

// essHash reads hashAlgorithm of an ESSCertIDv2, by default SHA-256.
func essHash(id *cryptobyte.String) (crypto.Hash, bool) {
	if !id.PeekASN1Tag(casn1.SEQUENCE) {
		return crypto.SHA256, true
	}
	a, ok := readAlgorithm(id)
	return digestHash(a), ok
}
