package message

import "bytes"

// blockSize is what one read of a Source asks for.
const blockSize = 64 << 10

// firstBlock is the first read: most header sections are shorter.
const firstBlock = 16 << 10

// A scanner walks a header section line by line, in blocks, and calls field for each field at its end. Lines end at
// LF, and a CR before it belongs to the line end; a CR elsewhere is an ordinary octet.
type scanner struct {
	src         Source
	size        int64
	mayEnvelope bool // a "From " line may stand on top
	field       func(start, end int64, name []byte)

	first     []byte // the first block, from offset 0
	name      nameScanner
	inLine    bool // the block ended within a line
	inField   bool
	firstLine bool  // of the field
	bare      bool  // the line before was "From " alone
	start     int64 // of the field
	done      bool

	envelope   int64
	end        int64 // end of the last field
	body       int64
	crlf       bool // the first line end
	sawLineEnd bool
	previous   byte // last octet of the block before
	malformed  bool
	fragment   bool
	bareCR     bool
}

// run scans from off, which is the start of a line, to the blank line or to the end.
func (s *scanner) run(off int64) error {
	buf := make([]byte, min(s.size-off, firstBlock))
	for off < s.size && !s.done {
		if off > 0 && len(buf) < blockSize {
			buf = make([]byte, min(s.size-off, blockSize))
		}
		buf = buf[:min(int64(len(buf)), s.size-off)]
		if err := readFull(s.src, buf, off); err != nil {
			return err
		}
		if off == 0 {
			s.first = buf
		}
		off += s.block(buf, off)
	}
	if !s.done {
		s.close(s.size)
		s.end, s.body = s.size, s.size
	}
	return nil
}

// block takes one block and returns how much of it was used: a CR that may begin a blank line is left for the next.
func (s *scanner) block(buf []byte, off int64) int64 {
	last := off+int64(len(buf)) == s.size
	rest := buf
	for len(rest) > 0 && !s.done {
		if !s.inLine && len(rest) == 1 && !last {
			break
		}
		n := bytes.IndexByte(rest, '\n') + 1
		complete := n > 0
		if !complete {
			n = len(rest)
		}
		s.piece(rest[:n], off+int64(len(buf)-len(rest)), complete)
		rest = rest[n:]
	}
	return int64(len(buf) - len(rest))
}

// piece takes a line, or as much of it as the block holds.
func (s *scanner) piece(p []byte, off int64, complete bool) {
	if complete {
		s.lineEnd(p)
	}
	s.lookForCR(p, complete)
	if !s.inLine {
		if complete && isBlank(p) {
			s.close(off)
			s.end, s.body, s.done = off, off+int64(len(p)), true
			return
		}
		s.line(p[0], off)
	}
	s.name.feed(p)
	s.inLine = !complete
	s.previous = p[len(p)-1]
	if complete {
		s.endOfLine(off + int64(len(p)))
	}
}

// lookForCR notes a CR that is not part of a line end.
func (s *scanner) lookForCR(p []byte, complete bool) {
	text := p
	if complete {
		text = trimCR(p[:len(p)-1])
	} else if p[len(p)-1] == '\r' {
		text = p[:len(p)-1] // the next piece tells
	}
	split := s.inLine && s.previous == '\r' && p[0] != '\n'
	s.bareCR = s.bareCR || split || bytes.IndexByte(text, '\r') >= 0
}

// lineEnd notes the style of the first line end.
func (s *scanner) lineEnd(p []byte) {
	if s.sawLineEnd {
		return
	}
	s.sawLineEnd = true
	if len(p) > 1 {
		s.crlf = p[len(p)-2] == '\r'
		return
	}
	s.crlf = s.inLine && s.previous == '\r'
}

// line begins a line: a continuation line goes on with the field, everything else begins one.
func (s *scanner) line(first byte, off int64) {
	space := first == ' ' || first == '\t'
	if space && s.inField {
		s.bare = false
		return
	}
	if s.bare {
		s.envelope, s.inField, s.malformed, s.bare = off, false, false, false
	}
	if space {
		s.fragment = true
	}
	s.close(off)
	s.inField, s.firstLine, s.start = true, true, off
	s.name.reset()
}

// endOfLine is where a first line must have shown its name, or it is neither field nor continuation line.
func (s *scanner) endOfLine(end int64) {
	if !s.firstLine {
		return
	}
	s.firstLine = false
	if s.isEnvelope() {
		s.envelope, s.inField = end, false
		return
	}
	if s.name.state != nameDone || s.name.folded {
		s.malformed = true
	}
	s.bare = s.isBareEnvelope()
}

// isEnvelope tells an mbox "From " line from the field "From :". Both begin alike.
func (s *scanner) isEnvelope() bool {
	return s.mayEnvelope && s.start == 0 && s.name.state == nameBad && s.name.spaceAfter &&
		string(s.name.octets[:s.name.n]) == "from" && s.name.upperFrom
}

// isBareEnvelope is for the "From " line with nothing on it that some mailboxes have. A continuation line makes it the
// field From written over two lines, which must be counted (THREATS B03), so the next line decides.
func (s *scanner) isBareEnvelope() bool {
	return s.mayEnvelope && s.start == 0 && s.name.state == nameAfter && s.name.spaceAfter &&
		string(s.name.octets[:s.name.n]) == "from" && s.name.upperFrom
}

// close ends the field, if there is one.
func (s *scanner) close(end int64) {
	if !s.inField {
		return
	}
	if s.firstLine { // the last line has no line end
		s.endOfLine(end)
		if !s.inField {
			return
		}
	}
	var name []byte
	if s.name.state == nameDone {
		name = s.name.octets[:s.name.n]
	}
	s.field(s.start, end, name)
	s.inField = false
}

type nameState byte

const (
	nameIn    nameState = iota // within the name
	nameAfter                  // in white space after it
	nameDone                   // the colon came
	nameBad                    // no name
)

// A nameScanner takes the octets of a field until it is clear whether they begin with a name and a colon. White
// space and folds before the colon are accepted: some readers of mail do, so a field hidden like that must be
// counted (THREATS B03, B16).
type nameScanner struct {
	state      nameState
	spaceAfter bool // SP stood right after the name
	folded     bool // CR or LF stood before the colon
	upperFrom  bool // the first octet is "F" and the others are lower case
	n          int
	octets     [maxName]byte // the name in lower case
}

func (s *nameScanner) reset() {
	s.state, s.spaceAfter, s.folded, s.upperFrom, s.n = nameIn, false, false, true, 0
}

func (s *nameScanner) feed(p []byte) {
	for _, c := range p {
		if s.state >= nameDone {
			return
		}
		s.octet(c)
	}
}

func (s *nameScanner) octet(c byte) {
	switch {
	case c == ':' && s.n > 0:
		s.state = nameDone
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		s.space(c)
	case s.state == nameAfter || !isNameOctet(c) || s.n == maxName:
		s.state = nameBad
	default:
		s.upperFrom = s.upperFrom && isUpper(c) == (s.n == 0)
		s.octets[s.n] = lower(c)
		s.n++
	}
}

func (s *nameScanner) space(c byte) {
	if s.n == 0 {
		s.state = nameBad
		return
	}
	if s.state == nameIn {
		s.state, s.spaceAfter = nameAfter, c == ' '
	}
	s.folded = s.folded || c == '\r' || c == '\n'
}

// isNameOctet is ftext of RFC 5322 section 2.2, which has no colon.
func isNameOctet(c byte) bool { return c > ' ' && c < 0x7f && c != ':' }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}
