package lmtp

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

var errXtext = errors.New("malformed xtext")

// decodeXtext undoes the encoding of RFC 3461 section 4: "+" and two upper-case hexadecimal digits.
func decodeXtext(s string) (string, error) {
	if !strings.Contains(s, "+") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || !isUpperHex(s[i+1]) || !isUpperHex(s[i+2]) {
			return "", errXtext
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", errXtext
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), nil
}

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// decodeUnitext undoes the encoding of RFC 6533 section 3: "\x{" hexadecimal "}".
func decodeUnitext(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		digits, after, closed := strings.Cut(rest, "}")
		digits, opened := strings.CutPrefix(digits, "x{")
		n, err := strconv.ParseUint(digits, 16, 21)
		if !closed || !opened || err != nil || !utf8.ValidRune(rune(n)) {
			return "", errXtext
		}
		b.WriteRune(rune(n))
		s = after
	}
}

// decodeORCPT returns the address of an ORCPT parameter (RFC 3461 section 4.2, RFC 6533). The address of a type that
// is not mail is not handed on: it would be taken for a mail address.
func decodeORCPT(value string) (string, error) {
	kind, encoded, found := strings.Cut(value, ";")
	if !found || kind == "" || encoded == "" || len(value) > 500 {
		return "", errXtext
	}
	var addr string
	var err error
	switch strings.ToLower(kind) {
	case "rfc822":
		addr, err = decodeXtext(encoded)
	case "utf-8":
		addr, err = decodeUnitext(encoded)
	default:
		return "", nil
	}
	if err != nil || !isPrintable(addr) {
		return "", errXtext
	}
	return addr, nil
}
