package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"
)

// Errors of the name checks.
var (
	ErrDomain  = errors.New("not a domain name")
	ErrAddress = errors.New("not an address")
)

const (
	maxDomain = 253 // octets, RFC 1035 section 2.3.4 without the root
	maxLabel  = 63
	maxLocal  = 64 // octets, RFC 5321 section 4.5.3.1.1
)

// labelProfile turns one label into an A-label: RFC 5891 lookup with case mapping. Hyphens in the third and fourth
// place are left alone, since such ASCII domains exist.
var labelProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false), idna.StrictDomainName(true))

// NormalizeDomain returns a domain as lower-case A-labels. It is strict: letters, digits and hyphens, no empty
// label, no trailing dot, nothing that could be an IP address.
func NormalizeDomain(s string) (string, error) {
	if len(s) > 4*maxDomain || !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: %d octets", ErrDomain, len(s))
	}
	labels := strings.Split(s, ".")
	for i, label := range labels {
		normal, err := normalizeLabel(label)
		if err != nil {
			return "", fmt.Errorf("%w: %q", ErrDomain, s)
		}
		labels[i] = normal
	}
	domain := strings.Join(labels, ".")
	if len(domain) > maxDomain || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", fmt.Errorf("%w: %q", ErrDomain, s)
	}
	return domain, nil
}

// normalizeLabel returns one label as a lower-case A-label.
func normalizeLabel(label string) (string, error) {
	normal := strings.ToLower(label)
	if !isASCII(label) || strings.HasPrefix(normal, "xn--") {
		ascii, err := labelProfile.ToASCII(label)
		if err != nil {
			return "", err
		}
		// An A-label that does not come back is a second spelling of another name.
		if isASCII(label) && ascii != normal {
			return "", ErrDomain
		}
		normal = ascii
	}
	if len(normal) == 0 || len(normal) > maxLabel || normal[0] == '-' || normal[len(normal)-1] == '-' {
		return "", ErrDomain
	}
	for _, c := range []byte(normal) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", ErrDomain
		}
	}
	return normal, nil
}

// NormalizeAddress returns an address with its domain normalised; the local part keeps its case. Only a dot-atom
// (RFC 5322 section 3.2.3) is a local part here: a quoted one, which could hold a second @ or a control, is refused
// (THREATS A29), and so is an address literal.
func NormalizeAddress(s string) (string, error) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || !isDotAtom(local) {
		return "", fmt.Errorf("%w: %q", ErrAddress, s)
	}
	domain, err := NormalizeDomain(domain)
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrAddress, s)
	}
	return local + "@" + domain, nil
}

// EqualAddress reports whether two addresses are the same mailbox: local parts octet by octet, as RFC 5280 section
// 7.5 wants it for certificates, since only the mailbox's own domain knows whether case matters there; domains as
// A-labels in any case. What is not an address equals nothing, not even itself.
func EqualAddress(a, b string) bool {
	a, errA := NormalizeAddress(a)
	b, errB := NormalizeAddress(b)
	return errA == nil && errB == nil && a == b
}

func isDotAtom(s string) bool {
	if len(s) == 0 || len(s) > maxLocal || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// certificateNames are the SubjectAltName entries that can name somebody. Hosts and URIs are as they stand in the
// certificate; the addresses are normalised and those that are none are left out.
type certificateNames struct {
	emails, hosts, uris []string
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// readNames reads the SubjectAltName itself: crypto/x509 hands out parsed URIs, in which percent-encoded hosts and
// empty queries can no longer be seen.
func readNames(subjectAltName []byte) certificateNames {
	var names certificateNames
	der := cryptobyte.String(subjectAltName)
	var list cryptobyte.String
	if !der.ReadASN1(&list, cbasn1.SEQUENCE) {
		return names
	}
	for !list.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) {
			return names
		}
		switch tag {
		case tagEmail:
			if address, err := NormalizeAddress(string(value)); err == nil {
				names.emails = append(names.emails, address)
			}
		case tagHost:
			names.hosts = append(names.hosts, string(value))
		case tagURI:
			names.uris = append(names.uris, string(value))
		}
	}
	return names
}

// Tags of GeneralName, RFC 5280 section 4.2.1.6.
var (
	tagEmail     = cbasn1.Tag(1).ContextSpecific()
	tagHost      = cbasn1.Tag(2).ContextSpecific()
	tagDirectory = cbasn1.Tag(4).ContextSpecific().Constructed()
	tagURI       = cbasn1.Tag(6).ContextSpecific()
	tagIP        = cbasn1.Tag(7).ContextSpecific()
)

// extension returns the value of an extension, nil if the certificate has none.
func extension(cert *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oid) {
			return e.Value
		}
	}
	return nil
}
