package verifyhdr

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseAuthenticationResults reads a field, whole or its body alone, by the grammar of RFC 8601 section 2.2 and
// nothing wider: where readers could differ about a field, this one returns an error. Lines may end in CRLF or LF.
// UTF-8 is taken where RFC 6532 and RFC 8601 section 2.5 admit it.
func ParseAuthenticationResults(field []byte) (*AuthenticationResults, error) {
	body, err := unfold(field)
	if err != nil {
		return nil, err
	}
	r := &reader{s: body}
	a := r.head()
	for r.more() {
		r.resinfo(a)
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}

// unfold checks the octets and lines of a field and returns its body on one line. A continuation line of nothing
// but white space is refused: some readers take it for the end of the header section (RFC 5322 section 3.2.2).
func unfold(field []byte) (string, error) {
	if len(field) > maxFieldLen {
		return "", ErrFieldTooLong
	}
	if !utf8.Valid(field) {
		return "", &SyntaxError{What: "octets that are not UTF-8"}
	}
	var b strings.Builder
	b.Grow(len(field))
	for first := true; len(field) > 0; first = false {
		line := field
		if i := bytes.IndexByte(field, '\n'); i >= 0 {
			line, field = bytes.TrimSuffix(field[:i], []byte{'\r'}), field[i+1:]
		} else {
			field = nil
		}
		if !first && (len(line) == 0 || !isWSP(line[0]) || len(bytes.Trim(line, " \t")) == 0) {
			return "", &SyntaxError{b.Len(), "bad continuation line"}
		}
		if i := bytes.IndexFunc(line, isControl); i >= 0 {
			return "", &SyntaxError{b.Len() + i, "control character"}
		}
		b.Write(line)
	}
	return cutName(b.String()), nil
}

// cutName takes the field name off, if there is one. No body begins like it, since no authserv-id holds a colon
// outside quotes. White space before the colon is the obsolete form of RFC 5322 section 4.5.
func cutName(s string) string {
	if len(s) < len(fieldName) || !strings.EqualFold(s[:len(fieldName)], fieldName) {
		return s
	}
	if rest, ok := strings.CutPrefix(strings.TrimLeft(s[len(fieldName):], " \t"), ":"); ok {
		return rest
	}
	return s
}

// A reader goes once over an unfolded field body. After the first error it is at its end.
type reader struct {
	s   string
	pos int
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = &SyntaxError{r.pos, what}
	}
	r.pos = len(r.s)
}

// more reports whether anything but comments and white space is left.
func (r *reader) more() bool {
	r.skip()
	return r.pos < len(r.s)
}

// peek returns the next octet, 0 at the end; no octet of a field is 0.
func (r *reader) peek() byte {
	if r.pos < len(r.s) {
		return r.s[r.pos]
	}
	return 0
}

func (r *reader) accept(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

func (r *reader) expect(c byte) {
	if !r.accept(c) {
		r.fail("no " + strconv.QuoteRune(rune(c)))
	}
}

// run takes octets as long as they are of a class.
func (r *reader) run(class func(byte) bool) string {
	start := r.pos
	for r.pos < len(r.s) && class(r.s[r.pos]) {
		r.pos++
	}
	return r.s[start:r.pos]
}

// skip takes optional comments and white space, CFWS of RFC 5322 section 3.2.2, and reports whether it took anything.
func (r *reader) skip() bool {
	_, _, any := r.remarks()
	return any
}

// remarks is skip for a place whose comments say something: it returns the texts of the first two.
func (r *reader) remarks() (first, second string, any bool) {
	start, seen := r.pos, 0
	for {
		r.run(isWSP)
		if r.peek() != '(' {
			return first, second, r.pos > start
		}
		text := r.comment()
		switch seen++; seen {
		case 1:
			first = text
		case 2:
			second = text
		}
	}
}

// comment takes one comment, which may hold others, and returns its text without the outer parentheses.
func (r *reader) comment() string {
	var b strings.Builder
	for depth := 0; r.pos < len(r.s); r.pos++ {
		c := r.s[r.pos]
		switch {
		case c == '\\' && r.pos+1 < len(r.s):
			r.pos++
			c = r.s[r.pos]
		case c == '(':
			if depth++; depth == 1 {
				continue
			}
		case c == ')':
			if depth--; depth == 0 {
				r.pos++
				return b.String()
			}
		}
		if depth > maxCommentDepth {
			r.err, r.pos = ErrCommentTooDeep, len(r.s)
			return ""
		}
		b.WriteByte(c)
	}
	r.fail("comment without end")
	return ""
}

// quoted takes a quoted-string and returns its text.
func (r *reader) quoted() string {
	var b strings.Builder
	for r.expect('"'); r.pos < len(r.s); r.pos++ {
		c := r.s[r.pos]
		switch {
		case c == '\\' && r.pos+1 < len(r.s):
			r.pos++
			c = r.s[r.pos]
		case c == '"':
			r.pos++
			return b.String()
		}
		b.WriteByte(c)
	}
	r.fail("quoted-string without end")
	return ""
}

// head takes what stands before the first ";": authserv-id and version.
func (r *reader) head() *AuthenticationResults {
	a := &AuthenticationResults{Version: 1}
	r.skip()
	if r.peek() == '"' {
		a.AuthservID = r.quoted()
	} else {
		a.AuthservID = r.run(func(c byte) bool { return isToken(c) || c >= utf8.RuneSelf })
	}
	if strings.TrimSpace(a.AuthservID) == "" {
		r.fail("no authserv-id")
	}
	if r.skip() && isDigit(r.peek()) {
		a.Version = r.version()
	}
	r.skip()
	if r.peek() != ';' {
		r.fail("no ';' after the authserv-id")
	}
	return a
}

func (r *reader) version() int {
	digits := r.run(isDigit)
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > maxVersionLen {
		r.fail("bad version")
	}
	return n
}

func (r *reader) keyword() string {
	word := r.run(isKeyword)
	if word == "" || word[len(word)-1] == '-' {
		r.fail("no keyword")
	}
	return strings.ToLower(word)
}

// resinfo takes one result with the ";" before it, or "none" when nothing else stands in the field.
func (r *reader) resinfo(a *AuthenticationResults) {
	r.expect(';')
	r.skip()
	res := ResInfo{Method: r.keyword(), Version: 1}
	r.skip()
	if res.Method == "none" && len(a.Results) == 0 && r.pos == len(r.s) {
		return
	}
	if r.accept('/') {
		r.skip()
		res.Version = r.version()
		r.skip()
	}
	r.expect('=')
	r.skip()
	res.Result = r.keyword()
	var space bool
	res.Comment, res.Remark, space = r.remarks()
	r.properties(&res, space)
	a.Results = append(a.Results, res)
}

// properties takes reasonspec and propspecs up to the next ";". Each must be set off by CFWS from what is before it.
func (r *reader) properties(res *ResInfo, space bool) {
	for first := true; r.pos < len(r.s) && r.peek() != ';'; first = false {
		if !space {
			r.fail("no space before a property")
		}
		word := r.keyword()
		r.skip()
		if first && word == "reason" && r.accept('=') {
			res.Reason, space = r.pvalue(false)
			continue
		}
		p := Property{Type: word}
		r.expect('.')
		r.skip()
		p.Name = r.keyword()
		r.skip()
		r.expect('=')
		p.Value, space = r.pvalue(true)
		res.Properties = append(res.Properties, p)
	}
}

// pvalue takes a value with the CFWS around it, and reports whether any followed it. With address it may also be
// [[local-part] "@"] domain-name; comments inside an address are left out of the value.
func (r *reader) pvalue(address bool) (value string, space bool) {
	r.skip()
	quoted := r.peek() == '"'
	if quoted {
		value = r.quoted()
	} else {
		value = r.run(func(c byte) bool { return isToken(c) || isAtext(c) || c == '.' })
	}
	space = r.skip()
	if address && r.accept('@') {
		if !quoted && value != "" && !isDotAtom(value) {
			r.fail("bad local-part")
		}
		if quoted && !isDotAtom(value) {
			value = quote(value)
		}
		domain := r.run(func(c byte) bool { return isLetDig(c) || c == '-' || c == '.' || c >= utf8.RuneSelf })
		if !isDomainName(domain) {
			r.fail("bad domain name")
		}
		space = r.skip()
		return value + "@" + domain, space
	}
	if !quoted && !isTokenString(value) && !isDomainName(value) {
		r.fail("bad value")
	}
	return value, space
}

// quote writes a local-part that is no dot-atom.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
