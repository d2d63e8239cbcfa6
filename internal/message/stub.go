package message

import (
	"bufio"
	"errors"
	"io"
)

var errStub = errors.New("message: not yet")

// Errors that callers decide by.
var (
	ErrHeaderTooLong = errors.New("message: header too long")
	ErrFieldTooLong  = errors.New("message: field too long")
	ErrEncoding      = errors.New("message: bad transfer encoding")
)

// MaxField is the length of the longest field that Raw and Value return.
const MaxField = 64 << 10

// Header is the header section of a message.
type Header struct{}

func ParseHeader(src Source) (*Header, error)                { return nil, errStub }
func ReadHeader(r *bufio.Reader, limit int) (*Header, error) { return nil, errStub }
func (h *Header) Len() int                                   { return 0 }
func (h *Header) Name(i int) string                          { return "" }
func (h *Header) Raw(i int) ([]byte, error)                  { return nil, errStub }
func (h *Header) Value(i int) (string, error)                { return "", errStub }
func (h *Header) Find(name string) []int                     { return nil }
func (h *Header) Span(i int) (start, end int64)              { return 0, 0 }
func (h *Header) BodyOffset() int64                          { return 0 }
func (h *Header) Malformed() bool                            { return false }
func (h *Header) EnvelopeLine() int64                        { return 0 }
func (h *Header) CRLF() bool                                 { return true }
func (h *Header) Overflow() bool                             { return false }

type View struct {
	Received  Source
	Header    *Header
	Edits     []Edit
	Body      Content
	DropNames []string
}

func (v *View) Write(w io.Writer, ends LineEnds, prepend ...string) error { return errStub }

func Bytes(b []byte) Content                   { return nil }
func Section(src Source, off, n int64) Content { return nil }
func Concat(parts ...Content) Content          { return nil }
func Canonical(r io.Reader) io.Reader          { return nil }

type MediaType struct {
	Type   string
	Params map[string]string
}

func ParseMediaType(value string) (MediaType, error) { return MediaType{}, errStub }

type Encoding string

const (
	SevenBit        Encoding = "7bit"
	EightBit        Encoding = "8bit"
	Binary          Encoding = "binary"
	Base64          Encoding = "base64"
	QuotedPrintable Encoding = "quoted-printable"
)

func ParseEncoding(value string) (Encoding, error) { return "", errStub }
func Decode(r io.Reader, e Encoding) io.Reader     { return nil }

type Multipart struct{}

func NewMultipart(r io.Reader, boundary string) *Multipart { return nil }
func (m *Multipart) NextPart() (io.Reader, error)          { return nil, errStub }
func (m *Multipart) PreambleBlank() bool                   { return false }
func (m *Multipart) Preamble() string                      { return "" }
func (m *Multipart) EpilogueBlank() (bool, error)          { return false, errStub }
func (m *Multipart) Offset() (start, end int64)            { return 0, 0 }
func (m *Multipart) Closed() bool                          { return false }
