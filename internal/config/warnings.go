package config

import (
	"fmt"
	"strings"
)

// A remark is something to say about a setting that is allowed.
type remark struct{ key, text, fix string }

func sentences(remarks []remark) []string {
	var list []string
	for _, r := range remarks {
		list = append(list, r.text)
	}
	return list
}

// Warnings returns a sentence for each setting that is allowed but hardly meant.
func (c *Config) Warnings() []string { return sentences(c.warnings()) }

func (c *Config) warnings() []remark {
	var list []remark
	warn := func(key, fix, format string, args ...any) {
		list = append(list, remark{key, fmt.Sprintf(format, args...), fix})
	}
	if len(c.Domains) == 0 {
		warn("domain", "add a [[domain]] with its name and keys", "there is no [[domain]]: no mail is opened")
	}
	for i, domain := range c.Domains {
		if len(domain.Keys) == 0 {
			warn(fmt.Sprintf("domain[%d]", i), `write keys = [{ cert = "FILE", key = "FILE" }]`, "domain %s has no keys: its mail is not opened", domain.Name)
		}
	}
	if len(c.Trust.DomainAnchors)+len(c.Trust.PersonAnchors) == 0 {
		warn("trust", "name the CA certificates of your partners in domain_anchors", "trust names no anchors: no signature can pass")
	}
	if c.LMTP.SocketMode&0o007 != 0 {
		warn("lmtp.socket_mode", `write "0660" and give the socket's directory to the group of the MTA`,
			"lmtp.socket_mode \"%04o\" lets every user of this host have mail opened", c.LMTP.SocketMode)
	}
	if !strings.Contains(c.AuthservID, ".") {
		warn("authserv_id", "write a name below a domain of yours", "authserv_id %q is not a domain name: another site may have the same", c.AuthservID)
	}
	return list
}
