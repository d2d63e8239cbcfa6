// Package trust says who a signer is: whether a certificate leads to an anchor the administrator named, was good at
// the time of receipt, may sign mail, and which addresses and domains it speaks for.
//
// A Store is a snapshot of anchors and revocation lists. Judging reads nothing else: no clock, no file, no network
// (THREATS A32), and its cost is bounded whatever the message brings along (THREATS A33, A34). This package never
// looks at a signature of a message, never reads an address out of a subject name (THREATS A27), and never decides
// what becomes of the mail.
package trust

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// A Kind is the role a signer is judged in. The role decides the anchors.
type Kind int

const (
	// Person is everybody who signs with an address of his own: PersonAnchors.
	Person Kind = iota
	// Domain is an agent that signs for a domain: DomainAnchors.
	Domain
)

// String returns the name of the kind.
func (k Kind) String() string {
	if k == Domain {
		return "domain"
	}
	return "person"
}

// Settings are what the administrator trusts.
type Settings struct {
	DomainAnchors []*x509.Certificate    // may issue certificates of domain agents
	PersonAnchors []*x509.Certificate    // may issue certificates of persons
	Naming        []string               // naming profiles that count, see Profiles
	CRLs          []*x509.RevocationList // as LoadCRLs returns them; none at all is no fault
	RequireEKU    bool                   // a signer without extended key usage is refused too
}

// A Store judges certificates. What it trusts never changes after New, and it may be used by many goroutines.
type Store struct {
	domain, person anchors
	naming         []profile
	lists          *revocation
	requireEKU     bool
	warnings       []string
	memory         memory
}

// New returns a Store. An unknown naming profile is an error.
func New(settings Settings) (*Store, error) {
	s := &Store{
		domain:     newAnchors(settings.DomainAnchors),
		person:     newAnchors(settings.PersonAnchors),
		requireEKU: settings.RequireEKU,
	}
	for _, name := range settings.Naming {
		i := slices.IndexFunc(profiles, func(p profile) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown naming profile %q (known: %q)", name, Profiles())
		}
		if !slices.ContainsFunc(s.naming, func(p profile) bool { return p.name == name }) {
			s.naming = append(s.naming, profiles[i])
		}
	}
	s.warnings = slices.Concat(s.domain.warnings, s.person.warnings)
	var skipped []string
	s.lists, skipped = newRevocation(settings.CRLs, s.domain, s.person)
	s.warnings = append(s.warnings, skipped...)
	return s, nil
}

// Warnings returns what the administrator should know about the anchors and revocation lists, one line each.
func (s *Store) Warnings() []string { return slices.Clone(s.warnings) }

// Judge says what the DER certificate cert is worth at the given time, which is the time of receipt: a signer's own
// signingTime is no proof of when he signed (THREATS A26). The intermediates are certificates that came along, in
// any order; they help to build the path and are trusted in nothing.
func (s *Store) Judge(cert []byte, intermediates [][]byte, kind Kind, at time.Time) (j Judgement) {
	// crypto/x509 has panicked on crafted keys before (THREATS A34); a certificate that does that is not trusted.
	defer func() {
		if r := recover(); r != nil {
			j = Judgement{Reason: ReasonUnreadable, Err: fmt.Errorf("certificate check panicked: %v", r)}
		}
	}()
	if len(intermediates) > maxIntermediates {
		intermediates = intermediates[:maxIntermediates]
	}
	key := keyOf(cert, intermediates, kind)
	if j, ok := s.recall(key, at); ok {
		return j
	}
	leaf, f := readCertificate(cert)
	if f != nil {
		o, _ := readOutline(cert)
		return o.judgement(f)
	}
	j = Judgement{
		Serial:   serialText(leaf.SerialNumber),
		Issuer:   nameText(leaf.RawIssuer),
		NotAfter: leaf.NotAfter,
	}
	names := readNames(extension(leaf, oidSubjectAltName))
	j.Emails = names.emails
	path, f := s.judgePath(leaf, names, intermediates, kind, at)
	if kind == Domain {
		j.Agents = s.agents(names, path.constraints)
	}
	if f != nil {
		j.Reason, j.Err, j.Revoked = f.reason, f.err, f.reason == ReasonRevoked
		return j
	}
	j.Trusted, j.StaleCRL = true, path.staleCRL
	s.remember(key, j, path.chain)
	return j
}

// A path leads from a signer to an anchor.
type path struct {
	chain       []*x509.Certificate
	constraints []constraints
	staleCRL    bool
}

// judgePath returns the path that makes leaf trusted, or why there is none: revocation before any other reason.
func (s *Store) judgePath(leaf *x509.Certificate, names certificateNames, intermediates [][]byte, kind Kind, at time.Time) (path, *fault) {
	if f := checkSigner(leaf, s.requireEKU, at); f != nil {
		return path{}, f
	}
	from := s.person
	if kind == Domain {
		from = s.domain
	}
	chains, f := from.paths(leaf, intermediates, at)
	if f != nil {
		return path{}, f
	}
	var first *fault
	for _, chain := range chains {
		constraints, f := checkPath(chain, names)
		if f == nil {
			status := s.lists.check(chain, at)
			if !status.revoked {
				return path{chain, constraints, status.stale}, nil
			}
			f = &fault{ReasonRevoked, status.err}
		}
		if first == nil || f.reason == ReasonRevoked {
			first = f
		}
	}
	return path{}, first
}
