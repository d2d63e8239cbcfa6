package message

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// A conversion is what happens to line ends on the way out.
type conversion int

const (
	asGiven conversion = iota
	toLF               // CRLF becomes LF
	toCRLF             // bare LF becomes CRLF
)

// copySize is the block in which bodies move.
const copySize = 128 << 10

// buffers are used again: most messages are smaller than one.
var buffers = sync.Pool{New: func() any {
	return &buffer{out: bufio.NewWriterSize(nil, blockSize), block: make([]byte, copySize)}
}}

type buffer struct {
	out   *bufio.Writer
	block []byte
}

// An output converts line ends. Its first error is sticky and ends all work.
type output struct {
	*buffer
	err  error
	held bool // toLF: a CR that may belong to a CRLF was not written yet
	last byte // last octet taken, 0 at the beginning
	some bool // an octet was taken
}

func newOutput(w io.Writer) *output {
	b := buffers.Get().(*buffer)
	b.out.Reset(w)
	return &output{buffer: b}
}

// release gives the buffers back. Nothing of a message stays in reach of the next writer: both are written before
// they are read.
func (o *output) release() {
	o.out.Reset(nil)
	buffers.Put(o.buffer)
	o.buffer = nil
}

func (o *output) finish() error {
	o.releaseCR()
	if o.err != nil {
		return o.err
	}
	return o.out.Flush()
}

func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// atLineStart reports whether what was taken so far ends in a line end, or is nothing.
func (o *output) atLineStart() bool { return !o.some || o.last == '\n' }

// copySource copies octets of src from start to end.
func (o *output) copySource(c conversion, src Source, start, end int64) {
	for start < end && o.err == nil {
		p := o.block[:min(copySize, end-start)]
		if err := readFull(src, p, start); err != nil {
			o.fail(err)
			return
		}
		o.write(c, p)
		start += int64(len(p))
	}
}

// copyReader copies r to its end.
func (o *output) copyReader(c conversion, r io.Reader) {
	for empty := 0; o.err == nil; {
		n, err := r.Read(o.block)
		if n > 0 {
			o.write(c, o.block[:n])
			empty = 0
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			o.fail(err)
		case n == 0:
			if empty++; empty == maxEmptyReads {
				o.fail(io.ErrNoProgress)
			}
		}
	}
}

func (o *output) writeString(c conversion, s string) {
	for len(s) > 0 && o.err == nil {
		n := copy(o.block, s)
		o.write(c, o.block[:n])
		s = s[n:]
	}
}

// write takes octets of o.block, which it may change.
func (o *output) write(c conversion, p []byte) {
	if len(p) == 0 {
		return
	}
	before := o.last
	o.last, o.some = p[len(p)-1], true
	switch c {
	case toLF:
		o.lf(p)
	case toCRLF:
		o.crlf(p, before)
	default:
		o.put(p)
	}
}

func (o *output) put(p []byte) {
	if o.err == nil {
		_, o.err = o.out.Write(p)
	}
}

func (o *output) releaseCR() {
	if o.held {
		o.held = false
		o.put([]byte{'\r'})
	}
}

// lf moves the octets together in place, so that the block still goes out in one piece.
func (o *output) lf(p []byte) {
	if p[0] == '\n' {
		o.held = false
	}
	o.releaseCR()
	if n := len(p) - 1; p[n] == '\r' {
		o.held = true
		p = p[:n]
	}
	o.put(p[:dropCR(p)])
}

// dropCR takes the CR out of every CRLF and returns the new length.
func dropCR(p []byte) int {
	n := bytes.IndexByte(p, '\r')
	if n < 0 {
		return len(p)
	}
	for from := n; from < len(p); {
		// p[from] is a CR, or what follows one
		if p[from] == '\r' && from+1 < len(p) && p[from+1] == '\n' {
			from++
		}
		next := bytes.IndexByte(p[from+1:], '\r')
		to := len(p)
		if next >= 0 {
			to = from + 1 + next
		}
		n += copy(p[n:], p[from:to])
		from = to
	}
	return n
}

// crlf writes whole runs of lines that are right already, and a CR before each bare LF.
func (o *output) crlf(p []byte, before byte) {
	start := 0
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			break
		}
		at += i
		if at > 0 {
			before = p[at-1]
		}
		if before != '\r' {
			o.put(p[start:at])
			o.put(crlfOctets[:1])
			start = at
		}
		at++
	}
	o.put(p[start:])
}

var crlfOctets = []byte("\r\n")

// maxEmptyReads is how often in a row a reader may give neither octets nor an error.
const maxEmptyReads = 100
