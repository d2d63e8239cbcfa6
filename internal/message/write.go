package message

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrText: a text that was to be written as header fields is none. See CheckText.
var ErrText = errors.New("message: not a header field")

// ErrEdit: an edit names a field that the header does not have.
var ErrEdit = errors.New("message: edit of a field that is not there")

// fragmentGuard goes between our fields and a received first line that begins with white space. Without it that line
// would become part of our own last field, and a sender could write into our Authentication-Results.
const fragmentGuard = "X-Malformed-Header:\r\n"

// Write writes the view. It is the one function that applies edits to a header section; a new one is built in a single
// pass (THREATS B17). The fields of prepend come first, then those of Prepend edits, then what is left of the received ones.
//
// AsGiven keeps received octets as they are, the envelope line included; texts of ours and Body follow Header.CRLF.
// LF and CRLF drop the envelope line and convert line ends, those of Body too. No other octet changes: a bare CR
// stays, and a missing final line end stays missing.
//
// Nothing is written when a text is not whole fields (ErrText) or an edit has no field (ErrEdit).
func (v *View) Write(w io.Writer, ends LineEnds, prepend ...string) error {
	top, changes, err := v.plan(prepend)
	if err != nil {
		return err
	}
	o := newOutput(w)
	defer o.release()
	p := printer{View: v, output: o, received: asGiven, ours: toCRLF}
	switch {
	case ends == LF:
		p.received, p.ours = toLF, toLF
	case ends == CRLF:
		p.received = toCRLF
	case !v.Header.CRLF():
		p.ours = toLF
	}
	if ends == AsGiven {
		p.section(0, v.Header.envelope)
	}
	p.top(top, changes)
	p.fields(changes)
	if err := p.body(); err != nil {
		return err
	}
	return o.finish()
}

// plan checks everything that can be wrong before the first octet is written, and sorts the edits by field.
func (v *View) plan(prepend []string) (top []string, changes []Edit, err error) {
	for _, text := range prepend {
		if err := CheckText(text); err != nil {
			return nil, nil, err
		}
	}
	top = slices.Clone(prepend)
	for _, e := range v.Edits {
		if e.Op != Remove {
			if err := CheckText(e.Text); err != nil {
				return nil, nil, err
			}
		}
		if e.Op == Prepend {
			top = append(top, e.Text)
			continue
		}
		if e.Index < 0 || e.Index >= v.Header.Len() {
			return nil, nil, fmt.Errorf("%w: %d of %d", ErrEdit, e.Index, v.Header.Len())
		}
		changes = append(changes, e)
	}
	slices.SortStableFunc(changes, func(a, b Edit) int { return cmp.Compare(a.Index, b.Index) })
	return top, changes, nil
}

// A printer writes one view once.
type printer struct {
	*View
	*output
	received conversion // of received octets
	ours     conversion // of everything else
	ahead    *window    // where there are many sections; nil: each is read for itself
}

// manySections is how many short sections are worth a block of their own.
const manySections = 64

// section copies received octets.
func (p *printer) section(start, end int64) {
	if p.ahead == nil || end-start > blockSize {
		p.copySource(p.received, p.Received, start, end)
		return
	}
	if start >= end || p.err != nil {
		return
	}
	octets, err := p.ahead.read(start, end)
	if err != nil {
		p.fail(err)
		return
	}
	p.write(p.received, p.block[:copy(p.block, octets)])
}

func (p *printer) text(text string) {
	if text == "" {
		return
	}
	p.writeString(p.ours, text)
	if !strings.HasSuffix(text, "\n") {
		p.writeString(p.ours, "\r\n")
	}
}

func (p *printer) top(texts []string, changes []Edit) {
	written := false
	for _, text := range texts {
		p.text(text)
		written = written || text != ""
	}
	firstStays := len(changes) == 0 || changes[0].Index > 0
	if written && p.Header.fragment && firstStays {
		p.text(fragmentGuard)
	}
}

// fields copies the received fields between the changes. Several edits of one field add up.
func (p *printer) fields(changes []Edit) {
	pos := p.Header.envelope
	if len(changes) > manySections || p.Header.Overflow() {
		p.ahead = &window{src: p.Received, end: p.Header.end}
	}
	for _, e := range changes {
		start, end := p.Header.Span(e.Index)
		if start >= pos {
			p.section(pos, start)
			pos = end
		}
		if e.Op == Replace {
			p.text(e.Text)
		}
	}
	if !p.Header.Overflow() || len(p.DropNames) == 0 {
		p.section(pos, p.Header.end)
	} else {
		p.section(pos, p.Header.indexed)
		p.unindexed()
	}
	p.ahead = nil
}

// unindexed copies the fields that have no index, without those in DropNames.
func (p *printer) unindexed() {
	drop := make(map[string]bool, len(p.DropNames))
	for _, name := range p.DropNames {
		drop[strings.ToLower(name)] = true
	}
	pos := p.Header.indexed
	s := scanner{src: p.Received, size: p.Received.Size()}
	s.field = func(start, end int64, name []byte) {
		if drop[string(name)] {
			p.section(pos, start)
			pos = end
		}
	}
	if err := s.run(pos); err != nil {
		p.fail(err)
		return
	}
	p.section(pos, p.Header.end)
}

// body writes the blank line and the body.
func (p *printer) body() error {
	if p.Body == nil {
		p.section(p.Header.end, p.Received.Size())
		return p.err
	}
	if p.Header.end < p.Header.body {
		p.section(p.Header.end, p.Header.body)
	} else {
		p.separate()
	}
	r, err := p.Body.Open()
	if err != nil {
		return err
	}
	p.copyReader(p.ours, r)
	return p.err
}

// separate ends a header section that has no blank line.
func (p *printer) separate() {
	if !p.atLineStart() {
		p.writeString(p.ours, "\r\n")
	}
	p.writeString(p.ours, "\r\n")
}

// CheckText returns ErrText unless text is nothing or whole header fields. Octets that some reader of mail could take
// for a line end or for the end of the text (a bare CR, NUL) are refused, so that no field we write can be broken out
// of (THREATS B24). Whoever makes a field from foreign octets asks here first.
func CheckText(text string) error {
	for first := true; text != ""; first = false {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		line = strings.TrimSuffix(line, "\r")
		if strings.ContainsAny(line, "\r\x00") || !isFieldLine(line, first) {
			return fmt.Errorf("%w: %.80q", ErrText, line)
		}
	}
	return nil
}

func isFieldLine(line string, first bool) bool {
	if !first && line != "" && (line[0] == ' ' || line[0] == '\t') {
		return true
	}
	name, _, colon := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !colon || name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		if !isNameOctet(name[i]) {
			return false
		}
	}
	return true
}
