package trust

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// A profile is one convention for how the certificate of a domain agent names its domain. Its function returns
// candidates in the order of the certificate; what they have in common is checked by the Store.
type profile struct {
	name   string
	agents func(names certificateNames) []string // nil: the name is known, the profile finds nothing yet
}

// profiles are all naming profiles. A new one is a file of its own and a line here.
var profiles = []profile{
	{"melnikov", melnikov},
	{"rfc3183", nil},
	{"direct", nil},
	{"public-br", nil},
	{"pinned", nil},
}

// Profiles returns the names of all naming profiles.
func Profiles() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	return names
}

// agents returns the usable agent names of a certificate, each domain once. With a path, a name must also be one
// that the CAs of the path may give.
func (s *Store) agents(names certificateNames, path []constraints) []Agent {
	var agents []Agent
	seen := make(map[string]bool)
	for _, p := range s.naming {
		if p.agents == nil {
			continue
		}
		for _, name := range p.agents(names) {
			domain, ok := agentDomain(name)
			if !ok || seen[domain] || !mayNameHost(path, domain) {
				continue
			}
			seen[domain] = true
			agents = append(agents, Agent{p.name, domain})
		}
	}
	return agents
}

// agentDomain returns the domain of an agent name (DOM-R5): no wildcard, no address, at least two labels, not a
// public suffix; a trailing dot is taken off.
//
// Of the public suffix list only the part of the registries themselves counts (the ICANN section). The private
// section also lists domains of one owner who lets others use sub-domains; he may well seal mail for all of them,
// and whether he may is the administrator's choice of anchors.
func agentDomain(name string) (string, bool) {
	domain, err := NormalizeDomain(strings.TrimSuffix(name, "."))
	if err != nil || !strings.Contains(domain, ".") {
		return "", false
	}
	return domain, !publicSuffix(domain)
}

// publicSuffix reports whether a registry gives out names right below a domain, or below every name right below it.
func publicSuffix(domain string) bool {
	suffix, registry := publicsuffix.PublicSuffix(domain)
	if registry && suffix == domain {
		return true
	}
	suffix, registry = publicsuffix.PublicSuffix("0." + domain)
	return registry && len(suffix) > len(domain)
}

// sameOrAncestor reports whether agent is domain itself or above it, on a label boundary (DOM-R7). Both are
// normalised.
func sameOrAncestor(agent, domain string) bool {
	rest, ok := strings.CutSuffix(domain, agent)
	return ok && agent != "" && (rest == "" || strings.HasSuffix(rest, "."))
}
