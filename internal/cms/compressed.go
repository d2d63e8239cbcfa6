package cms

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
)

// oidZlib is id-alg-zlibCompress, the one algorithm of RFC 3274.
var oidZlib = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}

// CompressedData is RFC 3274, read up to its content. Read gives the content, expanded; Finish reads what follows it.
type CompressedData struct {
	Version     int
	Compression AlgorithmIdentifier
	ContentType asn1.ObjectIdentifier // of what is compressed

	// Limit bounds the octets of content, where a caller knows more than the ratio says; 0 sets no bound. It has no
	// effect after the first Read.
	Limit int64

	b        *ber
	in       *meter
	zlib     io.ReadCloser
	out      int64
	readErr  error // sticky; io.EOF at the end of the content
	finished bool
	err      error // of Finish
}

// ErrExpansion: content that expands beyond maxExpansion or the limit that was set (THREATS A40). It is ErrSyntax too.
var ErrExpansion = fmt.Errorf("%w: compressed beyond the limit", ErrSyntax)

// CompressedData reads a CompressedData up to its content.
func (r *Reader) CompressedData() (*CompressedData, error) {
	b, err := r.content(OIDCompressedData)
	if err != nil {
		return nil, err
	}
	c := &CompressedData{b: b}
	if c.Version, _, err = b.version(); err != nil {
		return nil, err
	}
	if c.Compression, _, err = b.algorithm(); err != nil {
		return nil, err
	}
	if !c.Compression.Algorithm.Equal(oidZlib) || !c.Compression.plain() {
		return nil, fmt.Errorf("%w: compression %v", ErrAlgorithm, c.Compression.Algorithm)
	}
	if err := b.open(tagSequence); err != nil {
		return nil, err
	}
	if c.ContentType, err = b.oid(); err != nil {
		return nil, err
	}
	if err := b.open(tagContextConstructed); err != nil {
		return nil, err
	}
	e, err := b.next()
	if err != nil {
		return nil, err
	}
	if !e.is(tagOctetString) {
		return nil, syntax("tag %#02x as eContent", e.tag)
	}
	content, err := newOctets(b, e)
	if err != nil {
		return nil, err
	}
	c.in = &meter{buffer: bufio.NewReaderSize(&contentReader{octets: content}, smallBuffer)}
	return c, nil
}

// A contentReader is the content of an OCTET STRING as an io.Reader. It remembers what ended it.
type contentReader struct {
	octets octets
	err    error
}

func (c *contentReader) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	q, err := c.octets.peek()
	if err != nil {
		c.err = err
		return 0, err
	}
	n := copy(p, q)
	c.octets.use(n)
	return n, nil
}

// A meter counts the octets that the decompressor has used, not those that were read ahead, so that the count at an
// octet of the content does not depend on how anyone reads.
type meter struct {
	buffer *bufio.Reader
	used   int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.buffer.Read(p)
	m.used += int64(n)
	return n, err
}

func (m *meter) ReadByte() (byte, error) {
	c, err := m.buffer.ReadByte()
	if err == nil {
		m.used++
	}
	return c, err
}

// Read gives the octets of the content, io.EOF at its end. Content that is damaged, too large or followed by other
// octets is ErrSyntax; what came before is then worth nothing.
func (c *CompressedData) Read(p []byte) (int, error) {
	if c.readErr != nil || len(p) == 0 {
		return 0, c.readErr
	}
	n, err := c.read(p)
	if err == io.EOF {
		err = c.end()
	}
	c.readErr = err
	return n, err
}

func (c *CompressedData) read(p []byte) (n int, err error) {
	if c.zlib == nil {
		if c.zlib, err = zlib.NewReader(c.in); err != nil {
			return 0, c.damaged(err)
		}
	}
	n, err = c.zlib.Read(p)
	c.out += int64(n)
	if c.Limit > 0 && c.out > c.Limit || c.out > maxExpansion*c.in.used+expansionSlack {
		return 0, ErrExpansion
	}
	if err != nil && err != io.EOF {
		return 0, c.damaged(err)
	}
	return n, err
}

// end is io.EOF when the content ends where the compressed octets do, and the ratio is kept over the whole of it.
func (c *CompressedData) end() error {
	if c.out > maxExpansion*c.in.used {
		return ErrExpansion
	}
	switch _, err := c.in.ReadByte(); {
	case err == nil:
		return syntax("octets after the compressed content")
	case err != io.EOF:
		return ended(err)
	}
	return io.EOF
}

// damaged tells a fault of the compressed octets from one of the source, which passes through.
func (c *CompressedData) damaged(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF, errors.As(err, &corrupt),
		err == zlib.ErrHeader, err == zlib.ErrChecksum, err == zlib.ErrDictionary:
		return syntax("compressed content: %v", err)
	}
	return err
}

// Finish reads what is left of the content, and to the end of the ContentInfo.
func (c *CompressedData) Finish() error {
	if !c.finished {
		c.finished = true
		c.err = c.finish()
	}
	return c.err
}

func (c *CompressedData) finish() error {
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, make([]byte, decryptSize)); err != nil {
		return err
	}
	return c.b.finish()
}
