package cms

import (
	"encoding/asn1"
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Reader reads one ContentInfo, BER or DER, from front to back. Ask it for the ContentType first if that is not
// known, then once for the content of that type.
type Reader struct {
	// Lenient lets deviations of known senders through. Each is named in the object that was read.
	Lenient bool

	b           ber
	bare        bool // the content is to stand without its ContentInfo
	wrapped     bool // and has one all the same
	begun       bool
	contentType asn1.ObjectIdentifier
	err         error
	taken       bool
	deviations  []Deviation
}

// NewReader returns a Reader of the ContentInfo in r. It reads ahead.
func NewReader(r io.Reader) *Reader { return &Reader{b: ber{src: r}} }

// NewContentReader returns a Reader of the content of another object, which has the given type and no ContentInfo
// around it (RFC 5652 5.2). A lenient one puts up with a ContentInfo, of that type too.
func NewContentReader(r io.Reader, contentType asn1.ObjectIdentifier) *Reader {
	return &Reader{b: ber{src: r}, bare: true, contentType: contentType}
}

// another reads the same object from another source.
func (r *Reader) another(src io.Reader) *Reader {
	a := &Reader{Lenient: r.Lenient, b: ber{src: src}, bare: r.bare}
	if r.bare {
		a.contentType = r.contentType
	}
	return a
}

// ContentType returns what the ContentInfo holds.
func (r *Reader) ContentType() (asn1.ObjectIdentifier, error) {
	if !r.begun {
		r.begun = true
		r.contentType, r.err = r.begin()
	}
	return r.contentType, r.err
}

// begin reads ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT } up to the content. All content types in
// use are a SEQUENCE that begins with a version, so what stands without ContentInfo can be told from it.
func (r *Reader) begin() (asn1.ObjectIdentifier, error) {
	if err := r.b.open(tagSequence); err != nil {
		return nil, err
	}
	if !r.bare {
		return r.b.oid()
	}
	if err := r.b.need(1); err != nil {
		return nil, err
	}
	if r.b.buf[r.b.r] != tagOID || !r.Lenient {
		return r.contentType, nil
	}
	got, err := r.b.oid()
	if err != nil {
		return nil, err
	}
	if !got.Equal(r.contentType) {
		return nil, syntax("content type %v inside one that is said to be %v", got, r.contentType)
	}
	r.wrapped = true
	r.deviates(ContentInfoInside)
	return got, nil
}

// errTaken: a mistake of the caller.
var errTaken = errors.New("cms: the content of this object was asked for before")

// content enters the content, which must be of type want.
func (r *Reader) content(want asn1.ObjectIdentifier) (*ber, error) {
	got, err := r.ContentType()
	if err != nil {
		return nil, err
	}
	if r.taken {
		return nil, errTaken
	}
	r.taken = true
	if !got.Equal(want) {
		return nil, syntax("content type %v where %v belongs", got, want)
	}
	if r.bare && !r.wrapped { // its SEQUENCE is open
		return &r.b, nil
	}
	if err := r.b.open(tagContextConstructed); err != nil {
		return nil, err
	}
	return &r.b, r.b.open(tagSequence)
}

// finish closes the content and the ContentInfo, behind which only blank octets may stand.
func (b *ber) finish() error {
	for b.depth > 0 {
		if err := b.leave(); err != nil {
			return err
		}
	}
	return b.blankToEOF()
}

// oid reads an OBJECT IDENTIFIER.
func (b *ber) oid() (asn1.ObjectIdentifier, error) {
	der, err := b.der(tagOID, maxAlgorithm)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&oid) {
		return nil, syntax("OBJECT IDENTIFIER")
	}
	return oid, nil
}

// version reads a CMSVersion. No rule of RFC 5652 makes a reader refuse one for its number.
func (b *ber) version() (v int, der []byte, err error) {
	if der, err = b.der(tagInteger, 8); err != nil {
		return 0, nil, err
	}
	s := cryptobyte.String(der)
	if !s.ReadASN1Integer(&v) {
		return 0, nil, syntax("version")
	}
	return v, der, nil
}

// algorithm reads an AlgorithmIdentifier.
func (b *ber) algorithm() (a AlgorithmIdentifier, der []byte, err error) {
	if der, err = b.der(tagSequence, maxAlgorithm); err != nil {
		return a, nil, err
	}
	s := cryptobyte.String(der)
	a, ok := readAlgorithm(&s)
	if !ok {
		return a, nil, syntax("AlgorithmIdentifier")
	}
	return a, der, nil
}

// readAlgorithm reads an AlgorithmIdentifier in DER.
func readAlgorithm(s *cryptobyte.String) (a AlgorithmIdentifier, ok bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&a.Algorithm) {
		return a, false
	}
	if !seq.Empty() {
		var params cryptobyte.String
		var tag casn1.Tag
		if !seq.ReadAnyASN1Element(&params, &tag) || !seq.Empty() {
			return a, false
		}
		a.Parameters = params
	}
	return a, true
}

// marshalOID returns the DER of an OBJECT IDENTIFIER that was read from DER.
func marshalOID(oid asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(oid)
	return b.BytesOrPanic()
}
