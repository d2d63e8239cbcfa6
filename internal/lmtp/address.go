package lmtp

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Limits of RFC 5321 section 4.5.3.1: a path has 256 octets with its angle brackets.
const (
	maxLocalPart = 64
	maxMailbox   = 254
	maxLabel     = 63
)

// Why an address was refused. The reply depends on which it is.
var (
	errAddressSyntax = errors.New("malformed address")
	errAddressLength = errors.New("address too long")
	errAddressUTF8   = errors.New("address needs SMTPUTF8")
)

// checkMailbox tells whether s is a Mailbox of RFC 5321 section 4.1.2, with RFC 6531 when allowUTF8 is set. What passes
// holds no control character, exactly one at-sign outside quotes, and no source route (THREATS C14, C30). An address
// without a domain is refused, postmaster included: a mail server that hands over mail has completed it, and a
// guess at the domain could put mail where nobody reads it.
func checkMailbox(s string, allowUTF8 bool, localMax int) error {
	if len(s) > maxMailbox {
		return errAddressLength
	}
	if !utf8.ValidString(s) {
		return errAddressSyntax
	}
	at, err := localPart(s)
	if err != nil {
		return err
	}
	if at > localMax {
		return errAddressLength
	}
	if err := checkDomain(s[at+1:]); err != nil {
		return err
	}
	if !allowUTF8 && !isASCII(s) {
		return errAddressUTF8
	}
	return nil
}

// localPart returns the offset of the at-sign that ends the local part.
func localPart(s string) (at int, err error) {
	if strings.HasPrefix(s, `"`) {
		at, err = quotedString(s)
	} else {
		at, err = dotString(s)
	}
	if err != nil {
		return 0, err
	}
	if at == 0 || at >= len(s) || s[at] != '@' {
		return 0, errAddressSyntax
	}
	return at, nil
}

// quotedString returns the offset just after the closing quote of the string that s begins with. An empty one is
// refused: it names nobody.
func quotedString(s string) (int, error) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if i == 1 {
				return 0, errAddressSyntax
			}
			return i + 1, nil
		case c < ' ' || c == 0x7f:
			return 0, errAddressSyntax
		case c == '\\':
			i++
			if i >= len(s) || s[i] < ' ' || s[i] > '~' {
				return 0, errAddressSyntax
			}
		}
	}
	return 0, errAddressSyntax
}

// dotString returns the offset just after the atoms that s begins with.
func dotString(s string) (int, error) {
	end := strings.IndexByte(s, '@')
	if end < 0 {
		return 0, errAddressSyntax
	}
	for atom := range strings.SplitSeq(s[:end], ".") {
		if atom == "" {
			return 0, errAddressSyntax
		}
		for i := range len(atom) {
			if !isAtext(atom[i]) {
				return 0, errAddressSyntax
			}
		}
	}
	return end, nil
}

func isAtext(c byte) bool {
	return isAlphanumeric(c) || c >= 0x80 || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// checkDomain accepts host names (with the underscore that networks do use) and address literals.
func checkDomain(s string) error {
	if strings.HasPrefix(s, "[") {
		return checkLiteral(s)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return errAddressSyntax
		}
		if len(label) > maxLabel && isASCII(label) {
			return errAddressLength
		}
		for i := range len(label) {
			if c := label[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c < 0x80 {
				return errAddressSyntax
			}
		}
	}
	return nil
}

func checkLiteral(s string) error {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return errAddressSyntax
	}
	v6, tagged := cutPrefixFold(inner, "IPv6:")
	addr, err := netip.ParseAddr(v6)
	if err != nil || addr.Zone() != "" || addr.Is4() == tagged {
		return errAddressSyntax
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isPrintable tells whether s is valid UTF-8 without control characters.
func isPrintable(s string) bool {
	for _, r := range s {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}

func cutPrefixFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
