package deliver

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"

	"paperknife/internal/status"
)

// An address is an envelope address taken apart.
type address struct {
	local  string // unquoted, as received
	domain string // lower-case A-label, or empty
}

var errAddress = errors.New("no mailbox address")

func badAddress(err error) Result {
	return status.Reject(codeAddress, "bad destination mailbox address syntax", err)
}

// parseAddress reads an envelope address without angle brackets: a dot-string or quoted-string, and a domain unless
// there is no "@". It is more lenient than RFC 5321 where that does no harm ("a..b@docomo.example" exists).
func parseAddress(s string) (address, error) {
	local, domain, err := splitAddress(s)
	if err != nil {
		return address{}, err
	}
	if domain == "" {
		return address{local: local}, nil
	}
	domain, err = foldDomain(domain[1:])
	return address{local, domain}, err
}

// splitAddress returns the unquoted local part and the domain with its "@", if there is one.
func splitAddress(s string) (local, domain string, err error) {
	if strings.HasPrefix(s, `"`) {
		local, domain, err = unquote(s)
	} else {
		at := strings.LastIndexByte(s, '@')
		if at < 0 {
			at = len(s)
		}
		local, domain = s[:at], s[at:]
		if strings.ContainsAny(local, " \"(),:;<>@[\\]") {
			err = errAddress
		}
	}
	if err != nil || local == "" || domain != "" && domain[0] != '@' {
		return "", "", errAddress
	}
	return local, domain, nil
}

// unquote reads a quoted-string (RFC 5321 section 4.1.2) and returns what follows it.
func unquote(s string) (content, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", "", errAddress
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errAddress
}

// foldDomain returns a domain as lower-case A-label. The underscore is let pass, private networks use it; an address
// literal is not a domain.
func foldDomain(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if !isASCII(s) {
		var err error
		if s, err = idna.Lookup.ToASCII(s); err != nil {
			return "", err
		}
	}
	s = lowerASCII(s)
	if len(s) > 253 {
		return "", errAddress
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", errAddress
		}
		for _, c := range []byte(label) {
			if !isLetterDigit(c) && c != '-' && c != '_' {
				return "", errAddress
			}
		}
	}
	return s, nil
}

// splitDetail cuts the local part at the first delimiter octet that is not its first (Postfix's
// recipient_delimiter: a set of characters).
func splitDetail(local, delimiters string) (user, detail string) {
	if delimiters == "" || len(local) < 2 {
		return local, ""
	}
	if i := strings.IndexAny(local[1:], delimiters); i >= 0 {
		return local[:i+1], local[i+2:]
	}
	return local, ""
}

// Mailbox returns an address in the form in which two spellings of one mailbox are equal, without the detail that one
// of the delimiters sets off.
func Mailbox(addr, delimiters string) string {
	addr = strings.Trim(addr, " \t<>")
	a, err := parseAddress(addr)
	if err != nil {
		return lowerASCII(addr)
	}
	user, _ := splitDetail(a.local, delimiters)
	return lowerASCII(user) + "@" + a.domain
}

func isLetterDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// lowerASCII folds A-Z only: Unicode folding joins mailboxes of different people (U+212A KELVIN SIGN becomes "k").
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
