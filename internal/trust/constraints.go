package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Name constraints, RFC 5280 section 4.2.1.10. crypto/x509 has checked addresses, hosts, URIs and IP addresses, but
// it reads the constraint "example.com" on addresses as if sub-domains were meant too, knows no directoryName, and
// ignores kinds it does not know when the extension is not critical. That is made good here. The checks are on top:
// nothing it refused is allowed.

// constraints is one nameConstraints extension.
type constraints struct{ permitted, excluded subtrees }

// subtrees are the constraints of one direction, by kind.
type subtrees struct {
	emails, hosts, uris []string
	directories         []directoryName
}

// readConstraints reads the extension of a CA. It is not ok if there is a kind of constraint that nobody checks, or
// a minimum or maximum, which RFC 5280 forbids.
func readConstraints(ca *x509.Certificate) (c constraints, ok bool) {
	extensionValue := cryptobyte.String(extension(ca, oidNameConstraints))
	if extensionValue == nil {
		return c, true
	}
	var content cryptobyte.String
	if !extensionValue.ReadASN1(&content, cbasn1.SEQUENCE) {
		return c, false
	}
	ok = walk(content, func(tag cbasn1.Tag, value cryptobyte.String) bool {
		switch tag {
		case cbasn1.Tag(0).ContextSpecific().Constructed():
			return c.permitted.read(value)
		case cbasn1.Tag(1).ContextSpecific().Constructed():
			return c.excluded.read(value)
		}
		return false
	})
	return c, ok
}

func (s *subtrees) read(content cryptobyte.String) bool {
	return walk(content, func(_ cbasn1.Tag, subtree cryptobyte.String) bool {
		var base cryptobyte.String
		var tag cbasn1.Tag
		if !subtree.ReadAnyASN1(&base, &tag) || !subtree.Empty() {
			return false
		}
		switch tag {
		case tagEmail:
			s.emails = append(s.emails, string(base))
		case tagHost:
			s.hosts = append(s.hosts, string(base))
		case tagURI:
			s.uris = append(s.uris, string(base))
		case tagIP: // nothing here is named by an IP address
		case tagDirectory:
			var rdns cryptobyte.String
			if !base.ReadASN1(&rdns, cbasn1.SEQUENCE) {
				return false
			}
			name, ok := readDirectoryName(rdns)
			s.directories = append(s.directories, name)
			return ok
		default:
			return false
		}
		return true
	})
}

// takeDirectoryConstraints lets crypto/x509 go on with a CA whose critical constraints it understands in part,
// where checkConstraints does the rest.
func takeDirectoryConstraints(ca *x509.Certificate) {
	if _, ok := readConstraints(ca); ok {
		ca.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(ca.UnhandledCriticalExtensions), func(oid asn1.ObjectIdentifier) bool {
			return oid.Equal(oidNameConstraints)
		})
	}
}

// readPathConstraints reads the constraints of every CA of a path; element i is those of chain[i].
func readPathConstraints(chain []*x509.Certificate) ([]constraints, *fault) {
	all := make([]constraints, len(chain))
	for i, ca := range chain {
		if i == 0 {
			continue // a signer has nothing to constrain
		}
		var ok bool
		if all[i], ok = readConstraints(ca); !ok {
			return nil, faultf(ReasonNameConstraints, fmt.Sprintf("constraints of %q are of an unknown kind", nameText(ca.RawSubject)))
		}
	}
	return all, nil
}

// checkConstraints holds the names below every CA of a path against its constraints.
func checkConstraints(chain []*x509.Certificate, all []constraints, addresses []string) *fault {
	for i, c := range all {
		for _, address := range addresses {
			if !c.permitted.allowEmail(address) {
				return faultf(ReasonNameConstraints, fmt.Sprintf("address %q is not permitted by %q", address, nameText(chain[i].RawSubject)))
			}
		}
		for j, below := range chain[:i] {
			// A self-issued certificate in the middle is a rollover of the CA's own key.
			if j > 0 && bytes.Equal(below.RawSubject, below.RawIssuer) {
				continue
			}
			if !c.allowSubject(below) {
				return faultf(ReasonNameConstraints, fmt.Sprintf("subject %q is not permitted by %q", nameText(below.RawSubject), nameText(chain[i].RawSubject)))
			}
		}
	}
	return nil
}

// allowEmail: a constraint is one address, one host, or with a dot in front all hosts below a domain.
func (s subtrees) allowEmail(address string) bool {
	if len(s.emails) == 0 {
		return true
	}
	_, host, _ := strings.Cut(address, "@")
	return slices.ContainsFunc(s.emails, func(constraint string) bool {
		switch {
		case strings.Contains(constraint, "@"):
			return EqualAddress(constraint, address)
		case strings.HasPrefix(constraint, "."):
			return within(constraint, host)
		}
		return strings.EqualFold(constraint, host) || constraint == ""
	})
}

func (c constraints) allowSubject(cert *x509.Certificate) bool {
	if len(c.permitted.directories) == 0 && len(c.excluded.directories) == 0 {
		return true
	}
	raw := cryptobyte.String(cert.RawSubject)
	var rdns cryptobyte.String
	if !raw.ReadASN1(&rdns, cbasn1.SEQUENCE) {
		return false
	}
	subject, ok := readDirectoryName(rdns)
	if !ok {
		return false
	}
	if len(subject) == 0 {
		return true // an empty subject claims nothing
	}
	below := func(base directoryName) bool { return subject.below(base) }
	if len(c.permitted.directories) > 0 && !slices.ContainsFunc(c.permitted.directories, below) {
		return false
	}
	return !slices.ContainsFunc(c.excluded.directories, below)
}

// mayNameHost reports whether every CA of a path may name a domain agent of this host. RFC 5280 applies constraints
// to names of the same kind only, so that a CA held to the hosts of one domain could still issue for every URI. An
// agent name stands for a domain in whatever form it is written: it is held to the dNSName constraints, or else to
// those on URIs, or else to those on addresses.
func mayNameHost(all []constraints, host string) bool {
	return !slices.ContainsFunc(all, func(c constraints) bool { return !c.allowHost(host) })
}

func (c constraints) allowHost(host string) bool {
	covers := func(constraint string) bool { return within(constraint, host) }
	if slices.ContainsFunc(c.excluded.hosts, covers) || slices.ContainsFunc(c.excluded.uris, covers) {
		return false
	}
	for _, permitted := range [][]string{c.permitted.hosts, c.permitted.uris, c.permitted.emails} {
		if len(permitted) > 0 {
			return slices.ContainsFunc(permitted, covers)
		}
	}
	return true
}

// within reports whether host lies in the domain of a constraint; a dot in front asks for one more label.
func within(constraint, host string) bool {
	constraint = strings.ToLower(constraint)
	if strings.HasPrefix(constraint, ".") {
		return strings.HasSuffix(host, constraint)
	}
	return constraint == "" || sameOrAncestor(constraint, host)
}
