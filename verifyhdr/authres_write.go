package verifyhdr

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of the writer, in octets. They keep the longest word that cannot be folded far under the 998 octets of
// RFC 5322 section 2.1.1.
const (
	maxKeyword  = 64
	maxIdentity = 254 // an address or domain: whole or left out, a cut name is another name
	maxText     = 64  // any other value, which may come from the message
	maxRemark   = 128 // reason and comment
	maxWritten  = maxFieldLen - 4<<10
	lineWidth   = 78
)

// identities are the properties that name somebody or something: a value that does not fit leaves the property out,
// where other text is cut and cleaned.
var identities = map[string]func(string) bool{
	"body.domsec-signer":    isASCIIDomain,
	"body.mtas-signer":      isASCIIDomain,
	"body.smime-identifier": isASCIIAddress,
	"body.smime-serial":     isNumber,
	"header.d":              isASCIIDomain,
	"header.from":           isAddressOrDomain,
	"header.i":              isAddressOrDomain,
	"header.s":              isTokenString,
	"header.u":              isAddressOrDomain,
	"smtp.helo":             isASCIIDomain,
	"smtp.mailfrom":         isAddressOrDomain,
	"smtp.rcptto":           isAddressOrDomain,
}

// Field returns the whole field with CRLF line ends, folded at 78 octets where that can be. Whatever the strings
// hold, the result is one field that ParseAuthenticationResults reads: names that are no keyword take their result
// or property with them, text is cleaned and cut, results past 60 KiB are left out (SEEDS 0.5, THREATS B19).
func (a *AuthenticationResults) Field() string {
	c := a.clean()
	l := line{}
	l.write(fieldName + ": " + tokenOrQuoted(c.AuthservID))
	if c.Version != 1 {
		l.word(strconv.Itoa(c.Version))
	}
	if len(c.Results) == 0 {
		l.write(";")
		l.word("none")
	}
	for _, res := range c.Results {
		l.write(";")
		l.fold(" ")
		words := res.words()
		l.write(words[0])
		for _, word := range words[1:] {
			l.word(word)
		}
	}
	l.b.WriteString("\r\n")
	return l.b.String()
}

// A line counts columns while a field is written.
type line struct {
	b      strings.Builder
	column int
}

func (l *line) write(s string) {
	l.b.WriteString(s)
	l.column += len(s)
}

func (l *line) fold(indent string) {
	l.b.WriteString("\r\n" + indent)
	l.column = len(indent)
}

// word writes s after a space, or on a new line when it would not fit with a ";" after it.
func (l *line) word(s string) {
	if l.column+1+len(s)+1 > lineWidth {
		l.fold("  ")
	} else {
		l.write(" ")
	}
	l.write(s)
}

// words returns a clean result in the pieces between which a line may be folded.
func (res *ResInfo) words() []string {
	method := res.Method
	if res.Version != 1 {
		method += "/" + strconv.Itoa(res.Version)
	}
	words := []string{method + "=" + res.Result}
	if res.Comment != "" {
		words = append(words, "("+res.Comment+")")
	}
	if res.Remark != "" {
		words = append(words, "("+res.Remark+")")
	}
	if res.Reason != "" {
		words = append(words, `reason="`+res.Reason+`"`)
	}
	for _, p := range res.Properties {
		value := p.Value
		if !isAddressOrDomain(value) {
			value = tokenOrQuoted(value)
		}
		words = append(words, p.Type+"."+p.Name+"="+value)
	}
	return words
}

func tokenOrQuoted(s string) string {
	if isTokenString(s) {
		return s
	}
	return `"` + s + `"`
}

// clean returns what Field writes of a: reading the field gives exactly this.
func (a *AuthenticationResults) clean() *AuthenticationResults {
	c := &AuthenticationResults{AuthservID: cleanText(a.AuthservID, maxIdentity), Version: cleanVersion(a.Version)}
	if c.AuthservID == "" {
		c.AuthservID = "invalid" // never one that anybody trusts, RFC 2606
	}
	size := 0
	for _, res := range a.Results {
		res, ok := res.clean()
		if !ok {
			continue
		}
		for _, word := range res.words() {
			size += len(word) + len("\r\n  ;")
		}
		if size > maxWritten {
			break
		}
		c.Results = append(c.Results, res)
	}
	return c
}

func (res ResInfo) clean() (ResInfo, bool) {
	c := ResInfo{
		Method:  strings.ToLower(res.Method),
		Version: cleanVersion(res.Version),
		Result:  strings.ToLower(res.Result),
		Comment: cleanText(res.Comment, maxRemark),
		Remark:  cleanText(res.Remark, maxRemark),
		Reason:  cleanText(res.Reason, maxRemark),
	}
	if c.Comment == "" {
		c.Comment, c.Remark = c.Remark, ""
	}
	for _, p := range res.Properties {
		if p, ok := p.clean(); ok {
			c.Properties = append(c.Properties, p)
		}
	}
	// RFC 7281 section 3.2.3: either both or neither.
	if !c.has("body", "smime-serial") || !c.has("body", "smime-issuer") {
		c.drop("body", "smime-serial")
		c.drop("body", "smime-issuer")
	}
	return c, isName(c.Method) && isName(c.Result)
}

func (res *ResInfo) has(ptype, name string) bool {
	for _, p := range res.Properties {
		if p.Type == ptype && p.Name == name {
			return true
		}
	}
	return false
}

func (res *ResInfo) drop(ptype, name string) {
	var kept []Property
	for _, p := range res.Properties {
		if p.Type != ptype || p.Name != name {
			kept = append(kept, p)
		}
	}
	res.Properties = kept
}

func (p Property) clean() (Property, bool) {
	c := Property{Type: strings.ToLower(p.Type), Name: strings.ToLower(p.Name), Value: p.Value}
	fits, identity := identities[c.Type+"."+c.Name]
	switch {
	case identity && (len(p.Value) > maxIdentity || !fits(p.Value)):
		return c, false
	case !identity && (len(p.Value) > maxIdentity || !isAddressOrDomain(p.Value)):
		c.Value = cleanText(p.Value, maxText)
	}
	return c, c.Value != "" && isName(c.Type) && isName(c.Name)
}

func cleanVersion(n int) int {
	if n < 1 || len(strconv.Itoa(n)) > maxVersionLen {
		return 1
	}
	return n
}

// cleanText makes s safe in a quoted-string and in a comment: printable ASCII without quotes, backslashes,
// parentheses, and semicolons, at which careless readers split; no encoded-word, which careful ones decode. Each
// character that must go gives way to "?".
func cleanText(s string, limit int) string {
	b := make([]byte, 0, limit)
	for _, r := range strings.TrimSpace(s) {
		if len(b) == limit {
			break
		}
		if r < ' ' || r >= 0x7f || strings.ContainsRune(`"\();`, r) {
			r = '?'
		}
		b = append(b, byte(r))
	}
	for i := len(b) - 2; i >= 0; i-- {
		if b[i] == '=' && b[i+1] == '?' {
			b[i] = '?'
		}
	}
	return strings.TrimSpace(string(b))
}

// isName is for what Field takes as a keyword: it begins and ends with a letter or digit.
func isName(s string) bool {
	if s == "" || len(s) > maxKeyword || !isLetDig(s[0]) || !isLetDig(s[len(s)-1]) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf || !isKeyword(byte(r)) }) < 0
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isASCIIDomain(s string) bool { return isASCII(s) && isDomainName(s) }

// isASCIIAddress is for local@domain that can be written bare; a quoted local-part is left to nobody's parser.
func isASCIIAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && isASCII(s) && len(local) <= 64 && isDotAtom(local) && isASCIIDomain(domain)
}

// isAddressOrDomain is [[local-part] "@"] domain-name, as header.i of DKIM has it.
func isAddressOrDomain(s string) bool {
	return isASCIIAddress(s) || isASCIIDomain(strings.TrimPrefix(s, "@"))
}
