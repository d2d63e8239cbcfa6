package trust

import (
	"errors"
	"time"
)

// The reasons of a Judgement. They are constants, fit for a header field.
const (
	ReasonUnreadable           = "unreadable certificate"
	ReasonUntrusted            = "untrusted certificate"
	ReasonExpired              = "certificate expired"
	ReasonNotYetValid          = "certificate not yet valid"
	ReasonRevoked              = "certificate revoked"
	ReasonKeyUsage             = "wrong key usage"
	ReasonExtendedKeyUsage     = "wrong extended key usage"
	ReasonCA                   = "ca certificate as signer"
	ReasonWeakKey              = "weak key"
	ReasonKeyTooLarge          = "key too large"
	ReasonUnsupportedKey       = "unsupported key"
	ReasonWeakSignature        = "weak certificate signature"
	ReasonUnsupportedSignature = "unsupported certificate signature"
	ReasonNameConstraints      = "name constraints violated"
	ReasonTooManyNames         = "too many names in certificate"
	ReasonCertificateTooLong   = "certificate too large"
)

// A fault is a reason and its detail for the log.
type fault struct {
	reason string
	err    error
}

func faultf(reason, detail string) *fault { return &fault{reason, errors.New(detail)} }

// A Judgement is what a certificate is worth. The zero Judgement trusts nothing.
//
// Names are filled in for a certificate that is not trusted too, so that a report can say who it claims to be:
// look at Trusted first.
type Judgement struct {
	Trusted bool
	Revoked bool   // on a revocation list whose issuer is part of a good path
	Reason  string // why not Trusted: one of the Reason constants, or ""
	Err     error  // detail, for the log only

	Emails []string // the rfc822Names of the SubjectAltName that NormalizeAddress takes, normalised
	Agents []Agent  // Kind Domain: the agent names that the configured profiles find usable

	Serial   string // decimal; "" for a number of more than 20 octets, which RFC 5280 forbids
	Issuer   string // RFC 4514, printable ASCII, at most 64 octets
	NotAfter time.Time

	StaleCRL bool // Trusted, though a revocation list the path depends on is past its next update and no fresh one is at hand
}

// An Agent is a domain that the certificate of a domain agent names, and the profile that found the name.
type Agent struct{ Profile, Domain string }

// Covers returns the agent name that is the given domain or an ancestor of it (DOM-R6, DOM-R7), the closest one if
// several are. It speaks of names alone and says nothing about trust.
func (j Judgement) Covers(domain string) (Agent, bool) {
	domain, err := NormalizeDomain(domain)
	if err != nil {
		return Agent{}, false
	}
	var best Agent
	for _, a := range j.Agents {
		if sameOrAncestor(a.Domain, domain) && len(a.Domain) > len(best.Domain) {
			best = a
		}
	}
	return best, best.Domain != ""
}
