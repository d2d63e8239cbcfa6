package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Limits of delimiter lines and of what is kept of a preamble.
const (
	maxPadding      = 1 << 10 // white space after a boundary; no line may be that long
	maxPreamble     = 256
	multipartFirst  = 8 << 10
	multipartBuffer = 64 << 10
)

// A Multipart splits a multipart body at its delimiter lines and gives out the octets of the parts as they are. It
// follows the grammar of RFC 2046 section 5.1.1 for a line that begins with the boundary: only white space may follow,
// or "--" and white space. Lines may end in CRLF or LF. It holds one buffer, whatever the body.
type Multipart struct {
	r      io.Reader
	sticky error // of r
	dash   []byte

	buf        []byte
	start, end int   // of the unread octets in buf
	offset     int64 // of buf[start] in r
	content    int   // unread octets that are known to be content
	found      *delimiter
	lineStart  bool // the next octet begins a line

	part      *partReader
	partStart int64
	partEnd   int64
	begun     bool // the first delimiter, or the end, was looked for
	closed    bool
	err       error // NextPart returns it from now on

	preamble      []byte
	preambleBlank bool
	preambleCut   bool // it is longer than what is kept
	lookalike     bool
}

// A delimiter is a delimiter line, together with the line end before it.
type delimiter struct {
	length int
	close  bool
}

// NewMultipart returns a splitter of r. The boundary is one that ParseMediaType accepted.
func NewMultipart(r io.Reader, boundary string) *Multipart {
	return &Multipart{r: r, dash: []byte("--" + boundary), lineStart: true, preambleBlank: true}
}

var errStalePart = errors.New("message: read of a part after NextPart")

// NextPart returns the next part, its header included and the line end before the delimiter excluded. What was not read
// of the part before is passed over. After the close delimiter, or when the input ends without one, the error is io.EOF:
// see Closed.
func (m *Multipart) NextPart() (io.Reader, error) {
	if m.err != nil {
		return nil, m.err
	}
	if err := m.finishPart(); err != nil {
		m.err = err
		return nil, err
	}
	d := m.found
	if d == nil { // the input ended
		m.err = io.EOF
		return nil, io.EOF
	}
	m.consume(d.length)
	m.found, m.lineStart = nil, true
	if d.close {
		m.closed, m.err = true, io.EOF
		return nil, io.EOF
	}
	m.part = &partReader{m}
	m.partStart, m.partEnd = m.offset, m.offset
	return m.part, nil
}

// finishPart passes over the rest of the part, or over the preamble.
func (m *Multipart) finishPart() error {
	for {
		p, err := m.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if !m.begun {
			m.addPreamble(p)
		}
		m.consume(len(p))
	}
	if m.part != nil {
		m.partEnd = m.offset
		m.part.m = nil
		m.part = nil
	}
	m.begun = true
	return nil
}

func (m *Multipart) addPreamble(p []byte) {
	m.preambleBlank = m.preambleBlank && isWhiteSpace(p)
	room := min(maxPreamble-len(m.preamble), len(p))
	m.preamble = append(m.preamble, p[:room]...)
	m.preambleCut = m.preambleCut || room < len(p)
}

// PreambleBlank reports whether there is nothing but white space before the first delimiter. It is known after the first
// NextPart.
func (m *Multipart) PreambleBlank() bool { return m.preambleBlank }

// Preamble returns the first octets of the preamble, 256 at most, without white space around them, for those who know
// harmless ones, and whether that is all there is.
func (m *Multipart) Preamble() (text string, whole bool) {
	return strings.Trim(string(m.preamble), " \t\r\n"), !m.preambleCut
}

// EpilogueBlank reads the input to its end and reports whether there is nothing but white space after the close
// delimiter. It is called after NextPart returned io.EOF.
func (m *Multipart) EpilogueBlank() (bool, error) {
	blank := true
	for {
		blank = blank && isWhiteSpace(m.buf[m.start:m.end])
		m.consume(m.end - m.start)
		if err := m.fill(); err != nil {
			if err == io.EOF {
				return blank, nil
			}
			return false, err
		}
	}
}

// Offset returns where the part last returned stands in the input. The end is known when the part was read to its end,
// or passed over.
func (m *Multipart) Offset() (start, end int64) { return m.partStart, m.partEnd }

// Lookalike reports whether a line that was read so far begins with the boundary and is no delimiter line. Not every
// reader of mail goes by the grammar: some compare the beginning of a line only, others take any white space, and they
// see other parts than are given out here (THREATS B23).
func (m *Multipart) Lookalike() bool { return m.lookalike }

// Closed reports whether the close delimiter was seen.
func (m *Multipart) Closed() bool { return m.closed }

func isWhiteSpace(p []byte) bool { return len(bytes.Trim(p, " \t\r\n")) == 0 }

// A partReader reads one part, as long as it is the current one.
type partReader struct{ m *Multipart }

func (r *partReader) Read(p []byte) (int, error) {
	if r.m == nil {
		return 0, errStalePart
	}
	if len(p) == 0 {
		return 0, nil
	}
	q, err := r.m.next()
	if err != nil {
		r.m.partEnd = r.m.offset
		return 0, err
	}
	n := copy(p, q)
	r.m.consume(n)
	return n, nil
}

// WriteTo saves the copy that Read makes.
func (r *partReader) WriteTo(w io.Writer) (int64, error) {
	var written int64
	if r.m == nil {
		return 0, errStalePart
	}
	for {
		p, err := r.m.next()
		if err != nil {
			r.m.partEnd = r.m.offset
			if err == io.EOF {
				err = nil
			}
			return written, err
		}
		n, err := w.Write(p)
		r.m.consume(n)
		written += int64(n)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

func (m *Multipart) consume(n int) {
	m.start += n
	m.offset += int64(n)
	m.content = max(0, m.content-n)
}

// next returns octets of content, at least one; io.EOF before a delimiter and at the end of the input.
func (m *Multipart) next() ([]byte, error) {
	for m.content == 0 {
		if m.found != nil {
			return nil, io.EOF
		}
		more := m.scan()
		if m.content > 0 || m.found != nil {
			continue
		}
		if !more {
			return nil, io.EOF
		}
		if err := m.fill(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	return m.buf[m.start : m.start+m.content], nil
}

// scan looks for the next delimiter in what is in the buffer and says how much before it is content. It returns true when
// it needs more octets to tell.
func (m *Multipart) scan() (more bool) {
	w := m.buf[m.start:m.end]
	ended := m.sticky == io.EOF // another error is for fill to return
	if m.lineStart {
		d, short := m.match(w, ended)
		if d != nil {
			m.found = d
			return false
		}
		if short {
			return true
		}
		m.lineStart = false
	}
	for from := 0; ; {
		i := bytes.Index(w[from:], lineDash)
		if i < 0 {
			break
		}
		i += from
		d, short := m.match(w[i+1:], ended)
		if d == nil && !short {
			from = i + 1
			continue
		}
		m.content = i
		if i > 0 && w[i-1] == '\r' {
			m.content--
		}
		if d != nil {
			d.length += i + 1 - m.content
			m.found = d
		}
		return short
	}
	if ended {
		m.content = len(w)
		return false
	}
	m.content = len(w) - heldBack(w)
	return true
}

var lineDash = []byte("\n--")

// heldBack returns how many octets at the end of w may be the beginning of a delimiter.
func heldBack(w []byte) int {
	n := len(w)
	switch {
	case bytes.HasSuffix(w, lineDash[:2]):
		n -= 2
	case bytes.HasSuffix(w, lineDash[:1]):
		n--
	}
	if n > 0 && w[n-1] == '\r' {
		n--
	}
	return len(w) - n
}

// match tells whether w, at the start of a line, begins with a delimiter line. Short means that w must be longer to tell.
func (m *Multipart) match(w []byte, ended bool) (d *delimiter, short bool) {
	if len(w) < len(m.dash) {
		return nil, !ended && bytes.HasPrefix(m.dash, w)
	}
	if !bytes.HasPrefix(w, m.dash) {
		return nil, false
	}
	n := len(m.dash)
	d = &delimiter{}
	switch {
	case bytes.HasPrefix(w[n:], lineDash[1:]):
		d.close = true
		n += 2
	case len(w) == n || len(w) == n+1 && w[n] == '-':
		if !ended {
			return nil, true
		}
	}
	space := whiteSpace(w[n:])
	if space > maxPadding {
		m.lookalike = true
		return nil, false
	}
	n += space
	eol, more := lineEndAt(w[n:], ended)
	if more || eol < 0 {
		m.lookalike = m.lookalike || !more
		return nil, more
	}
	d.length = n + eol
	return d, false
}

// fill reads more octets behind those that are there.
func (m *Multipart) fill() error {
	switch {
	case m.start == m.end:
		m.start, m.end = 0, 0
		if len(m.buf) < multipartBuffer && m.offset >= multipartFirst {
			m.buf = make([]byte, multipartBuffer)
		}
	case m.start > 0:
		m.end = copy(m.buf, m.buf[m.start:m.end])
		m.start = 0
	}
	if m.buf == nil {
		m.buf = make([]byte, multipartFirst)
	}
	n, err := readSome(m.r, m.buf[m.end:], &m.sticky)
	m.end += n
	return err
}
