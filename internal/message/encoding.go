package message

import (
	"errors"
	"fmt"
	"io"
)

// An Encoding is a content transfer encoding, RFC 2045 section 6.
type Encoding string

// The encodings there are.
const (
	SevenBit        Encoding = "7bit"
	EightBit        Encoding = "8bit"
	Binary          Encoding = "binary"
	Base64          Encoding = "base64"
	QuotedPrintable Encoding = "quoted-printable"
)

// ErrEncoding: the octets are not what the transfer encoding allows, or the encoding is unknown.
var ErrEncoding = errors.New("message: bad transfer encoding")

// ParseEncoding parses the value of a Content-Transfer-Encoding field. Comments are allowed, anything else beside one
// of the five names is an error. A field that is absent means SevenBit, which the caller knows.
func ParseEncoding(value string) (Encoding, error) {
	if len(value) > MaxField {
		return "", fmt.Errorf("%w: too long", ErrEncoding)
	}
	l := &lexer{s: value}
	e := Encoding(l.token())
	if l.err == nil && !l.end() {
		l.fail("%.40q after %q", l.s[l.pos:], string(e))
	}
	if l.err != nil {
		return "", fmt.Errorf("%w: %w", ErrEncoding, l.err)
	}
	switch e {
	case SevenBit, EightBit, Binary, Base64, QuotedPrintable:
		return e, nil
	}
	return "", fmt.Errorf("%w: %.40q", ErrEncoding, string(e))
}

// Decode returns the octets that r holds in a transfer encoding. What is accepted is written at the readers below and
// fixed by a table in the tests (THREATS A45). An error comes after the octets before it.
func Decode(r io.Reader, e Encoding) io.Reader {
	switch e {
	case SevenBit, EightBit, Binary:
		return r
	case Base64:
		return &base64Reader{r: r}
	case QuotedPrintable:
		return &quotedPrintableReader{r: r}
	}
	return errorReader{fmt.Errorf("%w: %.40q", ErrEncoding, string(e))}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
