package cms

import (
	"crypto"
	"encoding/asn1"
)

// SignedData is RFC 5652 section 5, read up to its content. Read gives the content; Finish reads what follows it.
type SignedData struct {
	Version          int
	DigestAlgorithms []AlgorithmIdentifier
	EContentType     asn1.ObjectIdentifier
	Detached         bool // there is no eContent: the content is elsewhere

	Certificates [][]byte      // as received, the first 32; valid after Finish
	SignerInfos  []*SignerInfo // valid after Finish
}

// SignedData reads a SignedData up to its content.
func (r *Reader) SignedData() (*SignedData, error) { return nil, ErrSyntax }

// AddHash asks for one more digest of the content. It has an effect before the first Read only.
func (s *SignedData) AddHash(h crypto.Hash) {}

// Read gives the octets of the content and hashes them on the way, with every known algorithm of digestAlgorithms
// (all of them when it names none). It returns io.EOF at the end of the content, at once when it is detached.
func (s *SignedData) Read(p []byte) (int, error) { return 0, ErrSyntax }

// Finish reads the rest of the content, then certificates, crls and signerInfos, to the end of the ContentInfo.
// Blank octets may follow it, anything else is ErrSyntax.
func (s *SignedData) Finish() error { return ErrSyntax }

// Digest returns the digest of the content that Read has hashed, nil when that hash was not computed or the content
// is detached. It is that of all the content once Read has given io.EOF, or after Finish.
func (s *SignedData) Digest(h crypto.Hash) []byte { return nil }

// DetachedObject returns the ContentInfo without its content, for a multipart/signed made of an opaque signature.
// Certificates, CRLs and signerInfos keep their octets. It is valid after Finish.
func (s *SignedData) DetachedObject() []byte { return nil }
