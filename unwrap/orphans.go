package unwrap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Limits of the search for orphans.
const (
	maxBoundaries = 100
	maxDelimiter  = 2 + 70 + 2 // "--", a boundary (RFC 2046 section 5.1.1), "--"
	leastBoundary = 8          // of a boundary that counts without a part behind it
)

// orphans reports whether a text has the delimiter of a part, but nowhere before it the boundary that makes it one.
//
// CBC content can be cut off at any block, and 16 octets put in its place, without a block of noise: the initialization
// vector is authenticated by nothing. An attacker whose own words stand in the mail, as in a quotation or a forwarded
// part, makes them the beginning of a new mail, in which what follows them is his to send (THREATS A04). He does not
// know the boundary in the part he cut off, and nearly every such mail is a multipart in which it comes again.
func orphans(text io.Reader) (bool, error) {
	o := orphanage{declared: map[string]bool{}}
	r := bufio.NewReaderSize(text, readBuffer)
	for whole := true; ; {
		line, err := r.ReadSlice('\n')
		if whole && len(line) > 0 && o.line(bytes.TrimRight(line, "\r\n")) {
			return true, nil
		}
		whole = !errors.Is(err, bufio.ErrBufferFull) // of a longer line the rest says nothing
		switch {
		case errors.Is(err, io.EOF):
			return o.end(), nil
		case err != nil && whole:
			return false, err
		}
	}
}

// An orphanage is what orphans knows of the lines before.
type orphanage struct {
	declared  map[string]bool
	delimiter string // without "--", when the line before may be one
	last      string // line that is not blank, when it is short
}

// line takes one line and reports whether it begins a part that nobody declared.
func (o *orphanage) line(line []byte) bool {
	if o.delimiter != "" && !o.declared[o.delimiter] && strings.EqualFold(string(line[:min(len(line), len("content-"))]), "content-") {
		return true
	}
	o.delimiter = ""
	trimmed := bytes.TrimRight(line, " \t")
	if len(trimmed) > 0 {
		o.last = ""
	}
	if after, found := bytes.CutPrefix(trimmed, []byte("--")); found && len(trimmed) <= maxDelimiter {
		o.delimiter, o.last = string(after), string(trimmed)
	}
	return bytes.IndexByte(line, '=') >= 0 && !o.declare(string(line))
}

const parameter = "boundary"

// declare takes every boundary parameter in a line. It returns false when there are too many.
func (o *orphanage) declare(line string) bool {
	for {
		name, after, found := strings.Cut(line, "=")
		if !found {
			return true
		}
		line = after
		if len(name) < len(parameter) || !strings.EqualFold(name[len(name)-len(parameter):], parameter) {
			continue
		}
		value, _, _ := strings.Cut(line, ";")
		value = strings.TrimSpace(value)
		if inner, quoted := strings.CutPrefix(strings.TrimLeft(line, " \t"), `"`); quoted {
			value, _, _ = strings.Cut(inner, `"`)
		}
		if len(o.declared) == maxBoundaries {
			return false
		}
		if len(value) <= maxDelimiter {
			o.declared[value] = true
		}
	}
}

// end reports whether the last line closes a multipart that nobody declared.
func (o *orphanage) end() bool {
	boundary, found := strings.CutSuffix(strings.TrimPrefix(o.last, "--"), "--")
	return found && len(boundary) >= leastBoundary && !strings.ContainsAny(boundary, " \t") &&
		strings.Trim(boundary, "-=_*#.") != "" && !o.declared[boundary]
}
