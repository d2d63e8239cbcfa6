package message

import (
	"fmt"
	"io"
)

// A quotedPrintableReader decodes quoted-printable, RFC 2045 section 6.7. White space at the end of a line goes, as
// the RFC asks for; a soft line break may have white space before its line end, or be the end of the input; lower-case
// digits count; line ends, 8-bit octets and controls come through as they are. Any other "=" is an error: guessing what
// it meant would be repairing.
type quotedPrintableReader struct {
	r      io.Reader
	sticky error
	err    error

	raw  []byte
	work []byte // octets that wait for what follows, then a new block
	out  []byte
}

const (
	quotedBlock = 8 << 10
	maxWaiting  = 1 << 10 // octets of white space that may wait for the end of their line: no line may be that long
)

func (q *quotedPrintableReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(q.out) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		q.err = q.fill()
	}
	n := copy(p, q.out)
	q.out = q.out[n:]
	return n, nil
}

// fill decodes one block in place: what comes out is never longer than what went in.
func (q *quotedPrintableReader) fill() error {
	if q.raw == nil {
		q.raw = make([]byte, maxWaiting+2+quotedBlock)
	}
	waiting := copy(q.raw, q.work)
	n, err := readSome(q.r, q.raw[waiting:], &q.sticky)
	if err != nil && err != io.EOF {
		return err
	}
	in := q.raw[:waiting+n]
	written, used, bad := decodeQuoted(in, err == io.EOF)
	q.out, q.work = in[:written], in[used:]
	if bad {
		return fmt.Errorf("%w: quoted-printable %.10q", ErrEncoding, q.work)
	}
	return err
}

// decodeQuoted decodes p in place. It stops before octets whose meaning depends on what follows, unless this is the end,
// and before what is wrong.
func decodeQuoted(p []byte, end bool) (written, used int, bad bool) {
	for used < len(p) {
		n := plainRun(p[used:])
		written += copy(p[written:], p[used:used+n])
		if used += n; used == len(p) {
			break
		}
		if p[used] != '=' {
			n, keep := spaceRun(p[used:], end)
			if n <= 0 {
				return written, used, n < 0
			}
			if keep {
				written += copy(p[written:], p[used:used+n])
			}
			used += n
			continue
		}
		n, c := escape(p[used:], end)
		if n <= 0 {
			return written, used, n < 0
		}
		if c >= 0 {
			p[written] = byte(c)
			written++
		}
		used += n
	}
	return written, used, false
}

func plainRun(p []byte) int {
	for i, c := range p {
		if c == '=' || c == ' ' || c == '\t' {
			return i
		}
	}
	return len(p)
}

// whiteSpace returns the number of SP and HTAB that p begins with.
func whiteSpace(p []byte) int {
	for i, c := range p {
		if c != ' ' && c != '\t' {
			return i
		}
	}
	return len(p)
}

// spaceRun returns the length of the white space that p begins with and whether it stays; 0 when that is not known yet, -1
// when no line may have that much.
func spaceRun(p []byte, end bool) (n int, keep bool) {
	n = whiteSpace(p)
	if n > maxWaiting {
		return -1, false
	}
	eol, more := lineEndAt(p[n:], end)
	if more {
		return 0, false
	}
	return n, eol < 0
}

// escape reads what begins with "=". It returns the length and the octet, or -1 for a soft line break; length 0 when p
// is too short to tell, and a negative length when it is wrong.
func escape(p []byte, end bool) (n, c int) {
	if len(p) >= 3 {
		if high, low := unhex(p[1]), unhex(p[2]); high >= 0 && low >= 0 {
			return 3, high<<4 | low
		}
	}
	n = 1 + whiteSpace(p[1:])
	eol, more := lineEndAt(p[n:], end)
	switch {
	case n > maxWaiting:
		return -1, -1
	case more || len(p) == 2 && unhex(p[1]) >= 0 && !end:
		return 0, -1
	case eol < 0:
		return -1, -1
	}
	return n + eol, -1
}

// lineEndAt returns the length of the line end that p begins with, -1 when there is none. The end of the input is one of
// length 0. More says that p is too short to tell.
func lineEndAt(p []byte, end bool) (n int, more bool) {
	switch {
	case len(p) == 0:
		return 0, !end
	case p[0] == '\n':
		return 1, false
	case p[0] != '\r':
		return -1, false
	case len(p) == 1:
		return -1, !end
	case p[1] == '\n':
		return 2, false
	}
	return -1, false
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
