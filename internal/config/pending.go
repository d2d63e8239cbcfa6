package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// pendingKeys are the keys that are read but do nothing yet. A key leaves the table with the change that makes it work.
var pendingKeys = []struct {
	key  string
	used func(c, standard *Config) bool
}{
	{"filter.listen", func(c, _ *Config) bool { return c.Filter.Listen != "" }},
	{"filter.trusted_users", func(c, _ *Config) bool { return len(c.Filter.TrustedUsers) > 0 }},
	{`trust.naming "rfc3183"`, func(c, _ *Config) bool { return slices.Contains(c.Trust.Naming, "rfc3183") }},
	{`trust.naming "direct"`, func(c, _ *Config) bool { return slices.Contains(c.Trust.Naming, "direct") }},
	{`trust.naming "public-br"`, func(c, _ *Config) bool { return slices.Contains(c.Trust.Naming, "public-br") }},
	{`trust.naming "pinned"`, func(c, _ *Config) bool { return slices.Contains(c.Trust.Naming, "pinned") }},
	{`partner.unauthenticated "release"`, func(c, _ *Config) bool {
		return slices.ContainsFunc(c.Partners, func(p Partner) bool { return p.Unauthenticated == "release" })
	}},
	{"verify.dkim", wrote("verify.dkim")},
	{"verify.arc", wrote("verify.arc")},
	{"verify.meta", wrote("verify.meta")},
	{"verify.mtas", wrote("verify.mtas")},
	{"verify.userkeys", wrote("verify.userkeys")},
	{"verify.e2e", wrote("verify.e2e")},
	{"verify.legacy_sha1", func(c, _ *Config) bool {
		return slices.Contains(slices.Collect(maps.Values(c.Verify.LegacySHA1)), "pass")
	}},
	{"policy.e2e", func(c, _ *Config) bool { return c.Policy.E2E.Enforce != "" }},
	{"policy.meta", func(c, _ *Config) bool { return c.Policy.Meta.Enforce != "" }},
	{"policy.mtas", func(c, _ *Config) bool { return c.Policy.MTAS.Enforce != "" }},
	{"policy.userkeys", func(c, _ *Config) bool { return c.Policy.Userkeys.Enforce != "" }},
	{"policy.replay", wrote("policy.replay")},
	{`deliver.target "lmtp"`, func(c, _ *Config) bool { return c.Deliver.Target == "lmtp" }},
	{"deliver.lmtp", func(c, s *Config) bool { return !reflect.DeepEqual(c.Deliver.LMTP, s.Deliver.LMTP) }},
	{"deliver.final", func(c, _ *Config) bool { return c.Deliver.Final }},
	{"deliver.users", func(c, s *Config) bool { return c.Deliver.Users != s.Deliver.Users }},
	{"dns.server", func(c, _ *Config) bool { return c.DNS.Server != "" }},
	{"dns.zone_files", func(c, _ *Config) bool { return len(c.DNS.ZoneFiles) > 0 }},
	{"admin.listen", func(c, _ *Config) bool { return c.Admin.Listen != "" }},
}

// wrote is for keys whose default would do something: who writes it down too must hear that it does not.
func wrote(key string) func(c, standard *Config) bool {
	return func(c, _ *Config) bool { return c.written[key] }
}

// Pending returns a sentence for each key that is set but does nothing yet.
func (c *Config) Pending() []string { return sentences(c.pending()) }

func (c *Config) pending() []remark {
	var list []remark
	standard := Default()
	for _, p := range pendingKeys {
		if p.used(c, standard) {
			key, _, _ := strings.Cut(p.key, " ")
			list = append(list, remark{key, p.key + " is accepted but has no effect yet", "leave it out for now"})
		}
	}
	return list
}
