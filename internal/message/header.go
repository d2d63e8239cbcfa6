package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
)

// Limits of the header section. What is beyond them is kept and written; it is only not looked at.
const (
	MaxField  = 64 << 10 // octets of a field that Raw and Value return
	MaxFields = 1 << 17  // fields that have an index
	maxName   = 998      // octets of a field name: no line of a message is longer, RFC 5322 section 2.1.1

	keepHeader = 256 << 10 // octets of a header section kept in memory
	chunk      = 1 << 10   // fields in one piece of the index
)

// Errors of this package that callers decide by.
var (
	// ErrHeaderTooLong: the header section of an entity is longer than the limit given.
	ErrHeaderTooLong = errors.New("message: header section too long")
	// ErrFieldTooLong: the field is longer than MaxField.
	ErrFieldTooLong = errors.New("message: header field too long")
)

// A Header is the fields of a header section by their offsets, top first. It never changes after parsing and may be
// used by several goroutines.
type Header struct {
	src      Source
	octets   []byte // the header section, when it is short enough to keep
	index    [][]field
	count    int
	envelope int64
	indexed  int64 // end of the last field that has an index
	end      int64 // end of the last field
	body     int64

	crlf      bool
	malformed bool
	fragment  bool // the first line begins with white space
	bareCR    bool
}

// A field is what the index keeps of one field. Its name stands at start.
type field struct {
	start int64
	hash  uint32
	name  uint16 // length of the name; 0: a line that is no field
}

var seed = maphash.MakeSeed()

func hashName(lower []byte) uint32 { return uint32(maphash.Bytes(seed, lower)) }

// ParseHeader finds the header section of a top-level message. Every sequence of octets has one; an error means that
// src could not be read.
func ParseHeader(src Source) (*Header, error) {
	return parseHeader(src, true, MaxFields)
}

func parseHeader(src Source, envelope bool, maxFields int) (*Header, error) {
	h := &Header{src: src}
	s := scanner{src: src, size: src.Size(), mayEnvelope: envelope}
	s.field = func(start, end int64, name []byte) { h.add(start, end, name, maxFields) }
	if err := s.run(0); err != nil {
		return nil, err
	}
	h.envelope, h.end, h.body = s.envelope, s.end, s.body
	h.crlf, h.malformed, h.fragment, h.bareCR = s.crlf || !s.sawLineEnd, s.malformed, s.fragment, s.bareCR
	if h.count < maxFields {
		h.indexed = h.end
	}
	return h, h.keep(s.first)
}

// add puts one field into the index, while there is room.
func (h *Header) add(start, end int64, name []byte, maxFields int) {
	if h.count == maxFields {
		return
	}
	f := field{start: start, name: uint16(len(name))}
	if len(name) > 0 {
		f.hash = hashName(name)
	}
	if h.count%chunk == 0 {
		h.index = append(h.index, nil)
	}
	last := &h.index[len(h.index)-1]
	if *last == nil && h.count > 0 {
		*last = make([]field, 0, chunk)
	}
	*last = append(*last, f)
	h.count++
	h.indexed = end
}

// keep has a short header section in memory, since fields are asked for many times.
func (h *Header) keep(first []byte) error {
	switch {
	case h.body <= int64(len(first)):
		h.octets = first[:h.body:h.body]
	case h.body <= keepHeader:
		h.octets = make([]byte, h.body)
		return readFull(h.src, h.octets, 0)
	}
	return nil
}

// bytesSource is a Source in memory.
type bytesSource []byte

func (b bytesSource) Size() int64 { return int64(len(b)) }

func (b bytesSource) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readFull reads len(p) octets at off. A Source that has fewer than it said is broken, not at its end.
func readFull(src Source, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("message: read at %d: %w", off, err)
}

// ReadHeader reads the header section of an entity in the middle of a stream, up to and including the blank line,
// or to the end of the stream. Offsets count from where r stood. After more than limit octets it gives up with
// ErrHeaderTooLong. A "From " line has no meaning here.
func ReadHeader(r *bufio.Reader, limit int) (*Header, error) {
	octets, err := readHeaderOctets(r, limit)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(bytesSource(octets), false, MaxFields)
	if err != nil {
		return nil, err
	}
	h.octets = octets
	return h, nil
}

func readHeaderOctets(r *bufio.Reader, limit int) ([]byte, error) {
	var octets []byte
	lineStart := 0
	for {
		piece, err := r.ReadSlice('\n')
		if len(octets)+len(piece) > limit {
			return nil, ErrHeaderTooLong
		}
		octets = append(octets, piece...)
		switch err {
		case nil:
			if isBlank(octets[lineStart:]) {
				return octets, nil
			}
			lineStart = len(octets)
		case bufio.ErrBufferFull:
		case io.EOF:
			return octets, nil
		default:
			return nil, err
		}
	}
}

// isBlank reports whether line, which has a line end, has nothing else.
func isBlank(line []byte) bool {
	return line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// Len returns the number of fields that have an index. A line that is no field counts as one, with its continuation
// lines.
func (h *Header) Len() int { return h.count }

// Overflow reports whether there are more than MaxFields fields. Those beyond have no index; only View.DropNames
// reaches them.
func (h *Header) Overflow() bool { return h.indexed < h.end }

// BodyOffset returns the offset of the first octet of the body, the size of the message when there is no blank line.
func (h *Header) BodyOffset() int64 { return h.body }

// Malformed reports whether there is a line that is neither field nor continuation line, or a first line that begins
// with white space. Signature schemes refuse such a header section (SEEDS 0.3).
func (h *Header) Malformed() bool { return h.malformed }

// BareCR reports whether a CR stands in the header section that is not part of a line end. Here it is an ordinary octet;
// some readers of mail end a line there, and for them a field may hold others (THREATS B24).
func (h *Header) BareCR() bool { return h.bareCR }

// EnvelopeLine returns the length of the mbox "From " line on top, 0 when there is none. It is no field.
func (h *Header) EnvelopeLine() int64 { return h.envelope }

// CRLF reports whether the first line ends in CRLF. A message without line ends counts as CRLF.
func (h *Header) CRLF() bool { return h.crlf }

func (h *Header) at(i int) field { return h.index[i/chunk][i%chunk] }

// Span returns where field i stands, its line ends included.
func (h *Header) Span(i int) (start, end int64) {
	if i+1 < h.count {
		return h.at(i).start, h.at(i + 1).start
	}
	return h.at(i).start, h.indexed
}

// Name returns the name of field i in lower case, or "" for a line that is no field. For counting fields it is
// tolerant: white space, even folded, may stand before the colon (THREATS B03). It is also "" when the octets can
// no longer be read.
func (h *Header) Name(i int) string {
	f := h.at(i)
	name, err := h.read(f.start, f.start+int64(f.name))
	if err != nil {
		return ""
	}
	return strings.ToLower(string(name))
}

// read returns octets of the header section, which the caller must not change.
func (h *Header) read(start, end int64) ([]byte, error) {
	if h.octets != nil {
		return h.octets[start:end:end], nil
	}
	p := make([]byte, end-start)
	return p, readFull(h.src, p, start)
}

// Raw returns field i as it stands, with its line ends. The caller must not change the octets.
func (h *Header) Raw(i int) ([]byte, error) {
	start, end := h.Span(i)
	if end-start > MaxField {
		return nil, ErrFieldTooLong
	}
	return h.read(start, end)
}

// Head returns the first octets of field i, at most n.
func (h *Header) Head(i int, n int64) ([]byte, error) {
	start, end := h.Span(i)
	return h.read(start, min(end, start+n))
}

// Value returns the body of field i without line ends and without white space around it; for a line that is no field,
// the line.
func (h *Header) Value(i int) (string, error) {
	raw, err := h.Raw(i)
	if err != nil {
		return "", err
	}
	if n := h.at(i).name; n > 0 {
		raw = raw[n:]
		raw = raw[bytes.IndexByte(raw, ':')+1:]
	}
	return strings.Trim(unfold(raw), " \t"), nil
}

// unfold takes the line ends out (RFC 5322 section 2.2.3).
func unfold(raw []byte) string {
	var b strings.Builder
	b.Grow(len(raw))
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			b.Write(raw)
			break
		}
		b.Write(trimCR(raw[:i]))
		raw = raw[i+1:]
	}
	return b.String()
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// Find returns the positions of all fields with this name, top first. Like Name it is tolerant about white space
// before the colon.
func (h *Header) Find(name string) []int {
	lower := []byte(strings.ToLower(name))
	if len(lower) == 0 || len(lower) > maxName {
		return nil
	}
	var found []int
	hash := hashName(lower)
	octets := window{src: h.src, end: h.end}
	for c, fields := range h.index {
		for k, f := range fields {
			if f.hash == hash && int(f.name) == len(lower) && h.named(&octets, f.start, lower) {
				found = append(found, c*chunk+k)
			}
		}
	}
	return found
}

// named reports whether a name stands at start. When the octets can no longer be read, it does not.
func (h *Header) named(octets *window, start int64, lower []byte) bool {
	end := start + int64(len(lower))
	if h.octets != nil {
		return bytes.EqualFold(h.octets[start:end], lower)
	}
	name, err := octets.read(start, end)
	return err == nil && bytes.EqualFold(name, lower)
}

// A window reads a long header section front to back in blocks, so that 10^6 fields are not 10^6 system calls.
type window struct {
	src   Source
	end   int64 // nothing is read past it
	start int64
	buf   []byte
}

// read returns octets of the section, at most blockSize of them, which are valid until the next call.
func (w *window) read(start, end int64) ([]byte, error) {
	if start < w.start || end > w.start+int64(len(w.buf)) {
		if n := min(blockSize, w.end-start); int64(cap(w.buf)) < n {
			w.buf = make([]byte, n)
		} else {
			w.buf = w.buf[:n]
		}
		w.start = start
		if err := readFull(w.src, w.buf, start); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	return w.buf[start-w.start : end-w.start], nil
}
