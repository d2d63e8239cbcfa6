package message

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a Content-Type field.
const (
	maxParams       = 100 // a flood of RFC 2231 pieces is no media type (THREATS C25)
	maxBoundary     = 70  // RFC 2046 section 5.1.1
	maxCommentDepth = 32
)

// ErrMediaType: a Content-Type that two readers could take for two things.
var ErrMediaType = errors.New("message: bad media type")

// A MediaType is the value of a Content-Type field.
type MediaType struct {
	Type   string            // type/subtype in lower case
	Params map[string]string // names in lower case, values without quotes
}

// ParseMediaType parses the value of a Content-Type field by the grammar of RFC 2045 section 5.1, with white space and
// comments between tokens and with 8-bit octets in quoted strings. What readers of mail are known to read in different
// ways is an error, and the caller then leaves the message alone (THREATS B23): a parameter given twice, RFC 2231 forms
// of the parameters that steer us, anything after a value, a multipart without a boundary that RFC 2046 allows, or with
// comments or quoted pairs. A
// semicolon at the very end is accepted: nobody reads it in two ways.
func ParseMediaType(value string) (MediaType, error) {
	if len(value) > MaxField {
		return MediaType{}, fmt.Errorf("%w: too long", ErrMediaType)
	}
	l := &lexer{s: value}
	m := MediaType{Type: l.mediaType(), Params: map[string]string{}}
	for l.err == nil && !l.end() {
		l.param(m.Params)
	}
	if l.err == nil && strings.HasPrefix(m.Type, "multipart/") {
		l.boundary(m.Params["boundary"])
		if l.remarked {
			l.fail("multipart with a comment or a quoted pair") // some readers take them for part of a value
		}
	}
	if l.err != nil {
		return MediaType{}, fmt.Errorf("%w: %w", ErrMediaType, l.err)
	}
	return m, nil
}

// extended are the parameters that must not come in the forms of RFC 2231, which not every reader knows.
var extended = map[string]bool{"boundary": true, "protocol": true, "smime-type": true, "micalg": true}

// A lexer reads structured field values. After its first error it reads nothing more.
type lexer struct {
	s        string
	pos      int
	err      error
	remarked bool // there was a comment or a quoted pair
}

func (l *lexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
		l.pos = len(l.s)
	}
}

func (l *lexer) mediaType() string {
	major := l.token()
	l.expect('/')
	return major + "/" + l.token()
}

// param reads ";" and the parameter after it.
func (l *lexer) param(params map[string]string) {
	l.expect(';')
	if l.err != nil || l.end() {
		return
	}
	name := l.token()
	l.expect('=')
	value := l.value()
	if l.err != nil {
		return
	}
	base, _, star := strings.Cut(name, "*")
	_, twice := params[name]
	switch {
	case star && extended[base]:
		l.fail("%q in the form of RFC 2231", base)
	case twice:
		l.fail("%q given twice", name)
	case len(params) == maxParams:
		l.fail("more than %d parameters", maxParams)
	default:
		params[name] = value
	}
}

// boundary checks what a delimiter line could be recognised by. Of the characters, more are accepted than RFC 2046
// lists, since programs use them and no reader is confused.
func (l *lexer) boundary(b string) {
	switch {
	case b == "":
		l.fail("multipart without a boundary")
	case len(b) > maxBoundary:
		l.fail("boundary longer than %d", maxBoundary)
	case b[len(b)-1] == ' ':
		l.fail("boundary %q ends with a space", b)
	}
	for i := range len(b) {
		if b[i] < ' ' || b[i] > '~' {
			l.fail("boundary %q", b)
		}
	}
}

// end skips white space and comments and reports whether nothing follows.
func (l *lexer) end() bool {
	l.space()
	return l.pos == len(l.s)
}

func (l *lexer) space() {
	for l.pos < len(l.s) {
		switch l.s[l.pos] {
		case ' ', '\t':
			l.pos++
		case '(':
			l.comment()
		default:
			return
		}
	}
}

// comment skips one comment, RFC 5322 section 3.2.2.
func (l *lexer) comment() {
	l.remarked = true
	depth := 0
	for i := l.pos; i < len(l.s); i++ {
		switch c := l.s[i]; {
		case c == '\\':
			i++
		case c == '(':
			depth++
		case c == ')':
			depth--
		case isControl(c):
			l.fail("control character in a comment")
			return
		}
		if depth > maxCommentDepth {
			l.fail("comments nested too deeply")
			return
		}
		if depth == 0 {
			l.pos = i + 1
			return
		}
	}
	l.fail("comment without an end")
}

func (l *lexer) expect(c byte) {
	if l.end() || l.s[l.pos] != c {
		l.fail("no %q at %.40q", c, l.s[l.pos:])
		return
	}
	l.pos++
}

// token returns a token in lower case.
func (l *lexer) token() string {
	l.space()
	start := l.pos
	for l.pos < len(l.s) && isToken(l.s[l.pos]) {
		l.pos++
	}
	if start == l.pos {
		l.fail("no token at %.40q", l.s[start:])
		return ""
	}
	return asciiLower(l.s[start:l.pos])
}

// value returns the value of a parameter, in the case it has.
func (l *lexer) value() string {
	if !l.end() && l.s[l.pos] == '"' {
		return l.quoted()
	}
	start := l.pos
	if l.token(); l.err != nil {
		return ""
	}
	return l.s[start:l.pos]
}

func (l *lexer) quoted() string {
	var b strings.Builder
	for i := l.pos + 1; i < len(l.s); i++ {
		c := l.s[i]
		switch {
		case c == '"':
			l.pos = i + 1
			return b.String()
		case c == '\\' && i+1 < len(l.s):
			l.remarked = true
			i++
			c = l.s[i]
		}
		if isControl(c) {
			break
		}
		b.WriteByte(c)
	}
	l.fail("quoted string without an end, or with a control character")
	return ""
}

// isControl reports control characters other than HTAB. 8-bit octets are none.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// isToken is token of RFC 2045 section 5.1: no space, control, 8-bit octet or tspecial.
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c))
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}
