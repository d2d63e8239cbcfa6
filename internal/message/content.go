package message

import (
	"bytes"
	"errors"
	"io"
)

// Bytes returns b as a Content. The caller no longer changes b.
func Bytes(b []byte) Content { return bytesContent(b) }

type bytesContent []byte

func (b bytesContent) Open() (io.Reader, error) { return bytes.NewReader(b), nil }

// Section returns n octets of src from off on as a Content.
func Section(src Source, off, n int64) Content { return section{src, off, n} }

type section struct {
	src    Source
	off, n int64
}

var errSection = errors.New("message: section outside of the message")

func (s section) Open() (io.Reader, error) {
	if s.off < 0 || s.n < 0 || s.off > s.src.Size()-s.n {
		return nil, errSection
	}
	return &sectionReader{s}, nil
}

// A sectionReader is an io.SectionReader for which an early end is an error: a body must not get shorter in silence.
type sectionReader struct{ section }

func (r *sectionReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.n)]
	if len(p) == 0 {
		return 0, nil
	}
	if err := readFull(r.src, p, r.off); err != nil {
		return 0, err
	}
	r.off += int64(len(p))
	r.n -= int64(len(p))
	return len(p), nil
}

// Concat returns the parts one after the other. Each is opened when the one before it has ended.
func Concat(parts ...Content) Content { return concat(parts) }

type concat []Content

func (c concat) Open() (io.Reader, error) { return &concatReader{rest: c}, nil }

type concatReader struct {
	rest concat
	now  io.Reader
}

func (r *concatReader) Read(p []byte) (int, error) {
	for {
		if r.now == nil {
			if len(r.rest) == 0 {
				return 0, io.EOF
			}
			now, err := r.rest[0].Open()
			if err != nil {
				return 0, err
			}
			r.now, r.rest = now, r.rest[1:]
		}
		n, err := r.now.Read(p)
		if err == io.EOF {
			r.now, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

// Canonical returns the octets of r with every bare LF made CRLF: the form that signatures are computed over
// (RFC 8551 section 3.1.1). A bare CR stays.
func Canonical(r io.Reader) io.Reader { return &canonicalReader{r: r} }

type canonicalReader struct {
	r      io.Reader
	err    error
	buf    []byte
	rest   []byte // read, not yet given out
	before byte   // last octet given out
	full   bool   // the last read filled buf
}

const (
	canonicalFirst  = 4 << 10 // grows with what comes
	canonicalBuffer = 32 << 10
)

func (c *canonicalReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.rest) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(p) && len(c.rest) > 0 {
		n += c.line(p[n:])
	}
	return n, nil
}

// fill reads until there is an octet or an error.
func (c *canonicalReader) fill() error {
	switch {
	case c.buf == nil:
		c.buf = make([]byte, canonicalFirst)
	case c.full && len(c.buf) < canonicalBuffer:
		c.buf = make([]byte, 2*len(c.buf))
	}
	n, err := readSome(c.r, c.buf, &c.err)
	c.rest, c.full = c.buf[:n], n == len(c.buf)
	return err
}

// line copies up to the next LF, and the CR that it lacks.
func (c *canonicalReader) line(p []byte) int {
	if c.rest[0] == '\n' {
		if c.before != '\r' {
			c.before, p[0] = '\r', '\r'
			return 1
		}
		c.before, p[0], c.rest = '\n', '\n', c.rest[1:]
		return 1
	}
	n := bytes.IndexByte(c.rest, '\n')
	if n < 0 {
		n = len(c.rest)
	}
	n = copy(p, c.rest[:n])
	c.before, c.rest = c.rest[n-1], c.rest[n:]
	return n
}

// readSome reads until there is at least one octet, or an error. An error that comes with octets is kept in sticky
// and returned by the next call.
func readSome(r io.Reader, p []byte, sticky *error) (int, error) {
	for range maxEmptyReads {
		if *sticky != nil {
			return 0, *sticky
		}
		var n int
		if n, *sticky = r.Read(p); n > 0 {
			return n, nil
		}
	}
	if *sticky == nil {
		*sticky = io.ErrNoProgress
	}
	return 0, *sticky
}
