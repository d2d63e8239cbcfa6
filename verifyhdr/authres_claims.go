package verifyhdr

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Claims reports whether a received field must go before ours is added: it names our authserv-id in any spelling,
// or cannot be read strictly, so that some reader might take it for ours (RFC 8601 section 5, THREATS B16). A field
// too long to be read is claimed too.
func Claims(field []byte, authservID string) bool {
	a, err := ParseAuthenticationResults(field)
	if err != nil || a.Version != 1 {
		return true
	}
	theirs, ok := canonicalID(a.AuthservID)
	return !ok || sameID(theirs, authservID)
}

// Trusted reports whether a field names one of the trusted authserv-ids. Only the part before the results is read
// strictly, since filters in wide use leave "/" unquoted in header.b; in the rest every comment and quoted-string
// must be closed. An id that is also our own is never trusted.
func Trusted(field []byte, trusted []string, authservID string) bool {
	body, err := unfold(field)
	if err != nil {
		return false
	}
	r := &reader{s: body}
	a := r.head()
	for r.more() {
		if r.peek() == '"' {
			r.quoted()
		} else {
			r.pos++
		}
	}
	theirs, ok := canonicalID(a.AuthservID)
	if r.err != nil || a.Version != 1 || !ok || sameID(theirs, authservID) {
		return false
	}
	for _, id := range trusted {
		if sameID(theirs, id) {
			return true
		}
	}
	return false
}

func sameID(canonical, id string) bool {
	ours, ok := canonicalID(id)
	return ok && canonical == ours
}

// idProfile maps as lookup does, and takes the underscores that host names in an authserv-id may have.
var idProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// canonicalID returns the one spelling of an authserv-id: lower case, A-labels, no dot at the end. It is not ok when
// the id cannot be compared: octets outside token, which only a quoted-string can hold, or a false A-label, which
// turns into our id for a reader who decodes without checking. Nor is one that is longer than any domain: punycode
// takes time by the square of the length.
func canonicalID(id string) (canonical string, ok bool) {
	id = strings.TrimRight(strings.TrimSpace(id), ".")
	if id == "" || len(id) > maxIdentity {
		return id, false
	}
	id = strings.ToLower(id)
	for i := range len(id) {
		if !isToken(id[i]) && id[i] < utf8.RuneSelf {
			return id, false
		}
	}
	if isASCII(id) && !strings.Contains(id, "xn--") {
		return id, true
	}
	ascii, err := idProfile.ToASCII(id)
	return strings.TrimRight(ascii, "."), err == nil
}
