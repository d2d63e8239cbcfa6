package verifyhdr

import (
	"strings"
	"unicode/utf8"
)

func isWSP(c byte) bool   { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetDig(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isControl reports a control character that has no place on a header line: all but the tab.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// isKeyword is for the octets of Keyword, RFC 5321 section 4.1.2.
func isKeyword(c byte) bool { return isLetDig(c) || c == '-' }

// isToken is for the octets of token, RFC 2045 section 5.1.
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c))
}

// isAtext is for the octets of atext, RFC 5322 section 3.2.3, with those of RFC 6532.
func isAtext(c byte) bool {
	return isLetDig(c) || c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isTokenString(s string) bool {
	for i := range len(s) {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.IndexFunc(atom, func(r rune) bool { return r < utf8.RuneSelf && !isAtext(byte(r)) }) >= 0 {
			return false
		}
	}
	return true
}

// isDomainName is domain-name of RFC 6376 section 3.5 with U-labels (RFC 8616), and a single label for "localhost".
func isDomainName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < utf8.RuneSelf && !isKeyword(byte(r)) }) < 0
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
