package seal

import (
	"bufio"
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
	"time"
)

// The SignatureType attribute and its values, RFC 3183 section 3.1 with the identifiers of RFC 7107 (SEEDS DOM-R1,
// DOM-R2).
var (
	OIDSignatureType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 28}
	OIDOriginatorSignature  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 1}
	OIDDomainSignature      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 2}
	OIDAdditionalAttributes = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 3}
	OIDReviewSignature      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 4}
)

// ErrNotSigned is returned by SignAsDomain for an entity that is no signature layer.
var ErrNotSigned = errors.New("a domain signature must encapsulate a signature, an empty one at least (RFC 3183 section 3.1.1)")

// An Attribute is one CMS attribute; Values are whole DER elements.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// SignOptions are the choices for a signature. The zero value is an opaque signature with SHA-256, made now, that
// carries the signer's certificate and chain.
type SignOptions struct {
	Detached    bool        // multipart/signed instead of application/pkcs7-mime
	Boundary    string      // of the multipart/signed; empty: random
	Hash        crypto.Hash // SHA-256, SHA-384, SHA-512
	AllowSHA1   bool        // admit SHA-1 in Hash: only for showing what a verifier does with it
	SigningTime time.Time   // zero: now

	SignatureTypes     []asn1.ObjectIdentifier // values of the SignatureType attribute; none: no attribute
	Attributes         []Attribute             // more signed attributes
	UnsignedAttributes []Attribute

	SubjectKeyID     bool // name the signer by subjectKeyIdentifier instead of issuer and serial number
	OmitCertificates bool
	CoSigners        []CoSigner // parallel SignerInfos
}

// A CoSigner is one more SignerInfo over the same content. Of its options only those of one SignerInfo count.
type CoSigner struct {
	Signer  Signer
	Options SignOptions
}

// SignAsDomain puts a domain signature around an entity that is a signature layer already: the originator's, or
// EmptySignature where there is none (SEEDS DOM D1, D10, D13). For any other entity it returns ErrNotSigned. That the
// signatures inside are valid and that the originator is who he says, the caller has found out before (D18).
func SignAsDomain(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	if !isSigned(entity) {
		return nil, ErrNotSigned
	}
	return Sign(entity, signer, asDomain(o))
}

// asDomain adds the domain's type to every signer: parallel SignerInfos carry the same SignatureType (SEEDS DOM D16).
func asDomain(o SignOptions) SignOptions {
	return o.withTypes(func(types []asn1.ObjectIdentifier) []asn1.ObjectIdentifier {
		if slices.ContainsFunc(types, OIDDomainSignature.Equal) {
			return types
		}
		return append([]asn1.ObjectIdentifier{OIDDomainSignature}, types...)
	})
}

// asOriginator takes the type off every signer.
func asOriginator(o SignOptions) SignOptions {
	return o.withTypes(func([]asn1.ObjectIdentifier) []asn1.ObjectIdentifier { return nil })
}

// withTypes returns options whose signers, the co-signers as well, have other SignatureTypes.
func (o SignOptions) withTypes(change func([]asn1.ObjectIdentifier) []asn1.ObjectIdentifier) SignOptions {
	o.SignatureTypes = change(o.SignatureTypes)
	o.CoSigners = slices.Clone(o.CoSigners)
	for i := range o.CoSigners {
		types := &o.CoSigners[i].Options.SignatureTypes
		*types = change(*types)
	}
	return o
}

// SignAsPerson puts an originator's signature around the entity: one without a SignatureType (SEEDS DOM D12).
func SignAsPerson(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	return Sign(entity, signer, asOriginator(o))
}

// SignAsMailingList puts the signature of a mailing list agent around the entity: one that has an mlExpansionHistory
// of one entry (RFC 2634 section 4.2).
func SignAsMailingList(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	history, err := expansionHistory(signer.Certificate, o.signingTime())
	if err != nil {
		return nil, err
	}
	o.Attributes = append(slices.Clone(o.Attributes), Attribute{oidMLExpansionHistory, [][]byte{history}})
	return Sign(entity, signer, o)
}

// Sign is the signature without rules: it puts around the entity what the options say.
func Sign(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	s, err := newSigning(signer, o)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if o.Detached {
		err = s.writeDetached(&out, bytes.NewReader(entity), o.Boundary)
	} else {
		err = s.writeOpaque(&out, s.der(entity))
	}
	return out.Bytes(), err
}

// WriteSigned is Sign for an entity of any size, in constant memory. The opaque form is BER of indefinite length.
func WriteSigned(w io.Writer, entity io.Reader, signer Signer, o SignOptions) error {
	s, err := newSigning(signer, o)
	if err != nil {
		return err
	}
	if o.Detached {
		return s.writeDetached(w, entity, o.Boundary)
	}
	return s.writeOpaque(w, s.ber(entity))
}

// WriteSignedAsDomain is SignAsDomain for an entity of any size.
func WriteSignedAsDomain(w io.Writer, entity io.Reader, signer Signer, o SignOptions) error {
	r := bufio.NewReaderSize(entity, peekLimit)
	head, err := r.Peek(peekLimit)
	if err != nil && err != io.EOF {
		return err
	}
	if !isSigned(head) {
		return ErrNotSigned
	}
	return WriteSigned(w, r, signer, asDomain(o))
}

// EmptySignature puts a signedData without signers around the entity. Unlike RFC 5652 section 5.2 the content is
// there, and its type is id-data (SEEDS DOM D1).
func EmptySignature(entity []byte) []byte {
	var out bytes.Buffer
	s := &signing{}
	_ = s.writeOpaque(&out, s.der(entity)) // a bytes.Buffer does not fail, and nobody signs
	return out.Bytes()
}

// WriteEmptySignature is EmptySignature for an entity of any size.
func WriteEmptySignature(w io.Writer, entity io.Reader) error {
	s := &signing{}
	return s.writeOpaque(w, s.ber(entity))
}

func (o SignOptions) signingTime() time.Time {
	if o.SigningTime.IsZero() {
		return time.Now()
	}
	return o.SigningTime
}
