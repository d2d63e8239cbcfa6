package cms

import (
	"encoding/asn1"
	"io"
)

// A Reader reads one ContentInfo, BER or DER, from front to back. Ask it for the ContentType first, then once for
// the content of that type.
type Reader struct {
}

// NewReader returns a Reader of the ContentInfo in r. It reads ahead.
func NewReader(r io.Reader) *Reader { return &Reader{} }

// ContentType returns what the ContentInfo holds.
func (r *Reader) ContentType() (asn1.ObjectIdentifier, error) { return nil, ErrSyntax }
