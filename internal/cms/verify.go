package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Verify checks that the key in cert made this signature over content with the given digest (by si.Hash) and type.
// The errors are ErrAlgorithm, ErrAttributes, ErrDigest, ErrSignature and ErrCertificate. It does not ask whose
// certificate it is, nor what it is for, nor when it was valid; SHA-1 and RSA from 1024 bits verify, and the caller
// judges them. A signature without signed attributes verifies too: see HasSignedAttrs and LooksLikeSignedAttrs.
func (si *SignerInfo) Verify(cert []byte, digest []byte, eContentType asn1.ObjectIdentifier) error {
	scheme := si.scheme()
	if si.Hash == nil || scheme == nil {
		return fmt.Errorf("%w: digest %v, signature %v", ErrAlgorithm, si.DigestAlgorithm.Algorithm, si.SignatureAlgorithm.Algorithm)
	}
	c, ok := parseCertificate(cert)
	if !ok {
		return fmt.Errorf("%w: not an X.509 certificate", ErrCertificate)
	}
	key, err := scheme.key(c, si)
	if err != nil {
		return err
	}
	si.keyName = key.name
	if len(digest) != si.Hash.Size() {
		return fmt.Errorf("%w: %d octets for %v", ErrDigest, len(digest), si.Hash)
	}
	if !si.HasSignedAttrs {
		return si.verifyContent(key, digest, eContentType)
	}
	if err := si.signingCertificate(cert); err != nil {
		return err
	}
	return si.verifyAttributes(key, digest, eContentType)
}

// verifyContent is RFC 5652 5.4 without signed attributes, which only id-data may lack (5.3).
func (si *SignerInfo) verifyContent(key publicKey, digest []byte, eContentType asn1.ObjectIdentifier) error {
	if !eContentType.Equal(OIDData) {
		return fmt.Errorf("%w: none over content of type %v", ErrAttributes, eContentType)
	}
	if key.hash != si.Hash {
		return fmt.Errorf("%w: %s without signed attributes is over something else than a digest by %v", ErrAlgorithm, key.name, si.Hash)
	}
	if !key.verify(digest, si.Signature) {
		return ErrSignature
	}
	return nil
}

// verifyAttributes is RFC 5652 5.4 with signed attributes. The signature is over the DER of a SET OF. Signers exist
// that leave the order of DER in what they send but not in what they sign, and others that sign what they send, so
// both orders are tried; what the attributes say is the same in either.
func (si *SignerInfo) verifyAttributes(key publicKey, digest []byte, eContentType asn1.ObjectIdentifier) error {
	signed, err := si.signedDigest(eContentType)
	if err != nil {
		return err
	}
	if !bytes.Equal(signed, digest) {
		return ErrDigest
	}
	if si.verifySet(key, si.rawAttrs) {
		return nil
	}
	if sorted := sortSet(si.attributes); !bytes.Equal(sorted, si.rawAttrs) && si.verifySet(key, sorted) {
		return nil
	}
	return ErrSignature
}

func (si *SignerInfo) verifySet(key publicKey, content []byte) bool {
	header := appendLength([]byte{tagSet}, int64(len(content)))
	if key.hash == nil {
		return key.verify(append(header, content...), si.Signature)
	}
	h := key.hash.New()
	h.Write(header)
	h.Write(content)
	return key.verify(h.Sum(nil), si.Signature)
}

// signedDigest checks the attributes that say something about the object (RFC 5652 11, RFC 6211) and returns
// messageDigest. Each of them may stand once, with one value (THREATS A18).
func (si *SignerInfo) signedDigest(eContentType asn1.ObjectIdentifier) ([]byte, error) {
	contentType, err := si.single(OIDAttrContentType)
	if err != nil {
		return nil, err
	}
	messageDigest, err := si.single(OIDAttrMessageDigest)
	if err != nil {
		return nil, err
	}
	if contentType == nil || messageDigest == nil {
		return nil, fmt.Errorf("%w: contentType or messageDigest is missing", ErrAttributes)
	}
	if !bytes.Equal(contentType, marshalOID(eContentType)) {
		return nil, fmt.Errorf("%w: contentType is not %v", ErrAttributes, eContentType)
	}
	if err := si.once(); err != nil {
		return nil, err
	}
	if err := si.algorithmProtection(); err != nil {
		return nil, err
	}
	s := cryptobyte.String(messageDigest)
	var digest cryptobyte.String
	if !s.ReadASN1(&digest, casn1.OCTET_STRING) {
		return nil, fmt.Errorf("%w: messageDigest is no OCTET STRING", ErrAttributes)
	}
	return digest, nil
}

// single returns the value of a signed attribute that may stand once with one value; nil when it is absent.
func (si *SignerInfo) single(oid asn1.ObjectIdentifier) ([]byte, error) {
	return single(si.SignedAttrs, oid)
}

func single(attributes []Attribute, oid asn1.ObjectIdentifier) ([]byte, error) {
	var value []byte
	for _, a := range attributes {
		if !a.Type.Equal(oid) {
			continue
		}
		if value != nil || len(a.Values) != 1 {
			return nil, fmt.Errorf("%w: %v stands twice or has not one value", ErrAttributes, oid)
		}
		value = a.Values[0]
	}
	return value, nil
}

// algorithmProtection holds the algorithms of the SignerInfo against CMSAlgorithmProtection, RFC 6211.
func (si *SignerInfo) algorithmProtection() error {
	value, err := si.single(OIDAttrAlgorithmProtection)
	if err != nil || value == nil {
		return err
	}
	fault := fmt.Errorf("%w: algorithms are not those of cmsAlgorithmProtection", ErrAttributes)
	s := cryptobyte.String(value)
	var seq, tagged cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) {
		return fault
	}
	digest, ok := readAlgorithm(&seq)
	if !ok || !sameAlgorithm(digest, si.DigestAlgorithm) {
		return fault
	}
	if !seq.ReadASN1(&tagged, casn1.Tag(1).Constructed().ContextSpecific()) || !seq.Empty() {
		return fault
	}
	// signatureAlgorithm [1] IMPLICIT AlgorithmIdentifier
	inner := cryptobyte.String(appendElement(nil, tagSequence, tagged))
	signature, ok := readAlgorithm(&inner)
	if !ok || !sameAlgorithm(signature, si.SignatureAlgorithm) {
		return fault
	}
	return nil
}

func sameAlgorithm(a, b AlgorithmIdentifier) bool {
	return a.Algorithm.Equal(b.Algorithm) && (bytes.Equal(a.Parameters, b.Parameters) || a.plain() && b.plain())
}

// LooksLikeSignedAttrs reports whether content that begins with prefix could be the DER of signed attributes. A
// signature without signed attributes over such content may have been made for another content (THREATS A17).
// Sixteen octets are enough to tell.
func LooksLikeSignedAttrs(prefix []byte) bool {
	b := ber{buf: prefix, w: min(len(prefix), 64), err: errTruncated}
	for _, tag := range []byte{tagSet, tagSequence} {
		e, err := b.next()
		if err != nil || e.tag != tag {
			return false
		}
	}
	e, err := b.next()
	return err == nil && e.tag == tagOID
}
