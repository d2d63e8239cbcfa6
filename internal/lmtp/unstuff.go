package lmtp

import (
	"bufio"
	"bytes"
	"io"
)

var (
	endOfData = []byte(".\r\n")
	crlfDot   = []byte("\r\n.")
)

// copyMessage reads one message that was sent with DATA and hands its octets to put, in pieces, without the dots that
// RFC 5321 section 4.5.2 adds. It ends after CRLF.CRLF and at nothing else: a bare CR or LF is an octet of the
// message and never ends a line (THREATS C01, C24). The first line counts as if a CRLF stood before it. It looks
// only for the line ends that a dot follows, so its speed does not depend on the length of lines. An end of input
// before the end of data is io.ErrUnexpectedEOF.
func copyMessage(r *bufio.Reader, put func([]byte)) error {
	for {
		// At the start of a line at least three octets are to come, those of the end of data.
		start, err := r.Peek(len(endOfData))
		if err != nil {
			return unexpected(err)
		}
		if bytes.Equal(start, endOfData) {
			return discard(r, len(endOfData))
		}
		if start[0] == '.' {
			if err := discard(r, 1); err != nil {
				return err
			}
		}
		if err := copyLines(r, put); err != nil {
			return err
		}
	}
}

// copyLines copies up to and including the next CRLF that a dot follows.
func copyLines(r *bufio.Reader, put func([]byte)) error {
	for held := 0; ; {
		if _, err := r.Peek(held + 1); err != nil {
			return unexpected(err)
		}
		block, err := r.Peek(r.Buffered())
		if err != nil {
			return unexpected(err)
		}
		if i := bytes.Index(block, crlfDot); i >= 0 {
			put(block[:i+2])
			return discard(r, i+2)
		}
		held = beginning(block)
		put(block[:len(block)-held])
		if err := discard(r, len(block)-held); err != nil {
			return err
		}
	}
}

// beginning returns how many octets at the end of block may be the beginning of CRLF and a dot.
func beginning(block []byte) int {
	switch {
	case bytes.HasSuffix(block, crlfDot[:2]):
		return 2
	case bytes.HasSuffix(block, crlfDot[:1]):
		return 1
	}
	return 0
}

func discard(r *bufio.Reader, n int) error {
	_, err := r.Discard(n)
	return unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
