package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// check reports what the types of the fields cannot say, and brings names into their one spelling.
func (d *decoder) check(c *Config) {
	d.checkAuthservIDs(c)
	d.checkLMTP(&c.LMTP)
	d.positive("filter.deadline", c.Filter.Deadline)
	if c.Filter.Listen != "" {
		d.socket("filter.listen", c.Filter.Listen, "unix")
	}
	d.checkSpool(&c.Spool)
	d.checkDomains(c.Domains)
	if len(c.Trust.Naming) == 0 {
		d.report("trust.naming", "names no profile", `write ["melnikov"], or leave it out`)
	}
	d.checkPaths(c)
	d.checkPartners(c.Partners)
	d.checkUsers(c.MUA.Users)
	d.checkDeliver(&c.Deliver)
	if c.DNS.Server != "" {
		d.socket("dns.server", c.DNS.Server, "tcp")
	}
	if c.Admin.Listen != "" {
		d.socket("admin.listen", c.Admin.Listen, "unix tcp")
	}
}

func (d *decoder) checkAuthservIDs(c *Config) {
	d.authservID("authserv_id", c.AuthservID)
	for _, id := range c.TrustedAuthservIDs {
		d.authservID("trusted_authserv_ids", id)
		if strings.EqualFold(strings.TrimRight(id, "."), strings.TrimRight(c.AuthservID, ".")) {
			d.report("trusted_authserv_ids", fmt.Sprintf("%q is our own authserv_id", id),
				"give the other filter a name of its own: fields under ours are removed")
		}
	}
}

// authservID must be a bare token: others may quote theirs, ours is read by filters that cannot.
func (d *decoder) authservID(key, id string) {
	switch ascii, err := idna.ToASCII(id); {
	case isToken(id) && len(id) <= maxName:
	case err == nil && id != ascii && isToken(ascii):
		d.report(key, fmt.Sprintf("%q is not ASCII", id), fmt.Sprintf("write %q", ascii))
	default:
		d.report(key, fmt.Sprintf("%q cannot name a service", id), `write a host name, as in "mx.example.net"`)
	}
}

const maxName = 253

// isToken is token of RFC 2045 section 5.1.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=`, r) }) < 0
}

func (d *decoder) checkLMTP(l *LMTP) {
	if len(l.Listen) == 0 {
		d.report("lmtp.listen", "names no socket", `write ["unix:/run/paperknife/lmtp.sock"], or leave it out`)
	}
	for i, spec := range l.Listen {
		d.socket("lmtp.listen", spec, "unix tcp")
		if slices.Contains(l.Listen[:i], spec) {
			d.report("lmtp.listen", fmt.Sprintf("%q is there twice", spec), "take one out")
		}
	}
	if l.MaxMessageSize < 64<<10 {
		d.report("lmtp.max_message_size", fmt.Sprintf("%v is too small for mail", l.MaxMessageSize), "RFC 5321 asks for 64KiB at least")
	}
	if l.MaxConnections < 1 {
		d.report("lmtp.max_connections", fmt.Sprintf("%d lets nobody in", l.MaxConnections), "write 1 or more")
	}
	if l.MaxConnectionsPerClient < 1 {
		d.report("lmtp.max_connections_per_client", fmt.Sprintf("%d lets nobody in", l.MaxConnectionsPerClient), "write 1 or more")
	}
	if l.SocketMode&0o600 != 0o600 {
		d.report("lmtp.socket_mode", fmt.Sprintf("\"%04o\" shuts out the owner", l.SocketMode), `write "0660"`)
	}
	d.positive("lmtp.idle_timeout", l.IdleTimeout)
	d.positive("lmtp.data_timeout", l.DataTimeout)
}

func (d *decoder) positive(key string, t time.Duration) {
	if t < time.Second {
		d.report(key, fmt.Sprintf("%v is too short", t), "write a second or more")
	}
}

func (d *decoder) checkSpool(s *Spool) {
	if s.Dir == "" {
		d.report("spool.dir", "is empty", `write "/var/tmp", or leave it out`)
	}
	if s.Memory > 1<<30 {
		d.report("spool.memory", fmt.Sprintf("%v for each message is too much", s.Memory), "write 1GiB or less")
	}
}

func (d *decoder) checkDomains(domains []Domain) {
	seen := map[string]bool{}
	for i := range domains {
		key := fmt.Sprintf("domain[%d]", i)
		d.domainName(key, "name", &domains[i].Name)
		if name := domains[i].Name; name != "" && seen[name] {
			d.report(key, fmt.Sprintf("name %q is there twice", name), "list all keys of a domain under one [[domain]]")
		} else {
			seen[name] = true
		}
		for j, k := range domains[i].Keys {
			d.checkKey(fmt.Sprintf("%s.keys[%d]", key, j), j+1, k)
		}
	}
}

func (d *decoder) checkKey(key string, number int, k Key) {
	const fix = `write { cert = "FILE", key = "FILE" }, { pkcs12 = "FILE" } or { pkcs11 = "pkcs11:..." }`
	forms := 0
	for _, used := range []bool{k.Key != "" || k.Cert != "" && k.PKCS11 == "", k.PKCS12 != "", k.PKCS11 != ""} {
		if used {
			forms++
		}
	}
	switch {
	case forms != 1:
		d.report(key, fmt.Sprintf("number %d is not one of the three forms of a key", number), fix)
	case k.Cert == "" && k.Key != "":
		d.report(key, fmt.Sprintf("number %d has a key without its cert", number), fix)
	case k.Key == "" && k.Cert != "" && k.PKCS11 == "":
		d.report(key, fmt.Sprintf("number %d has a cert without its key", number), fix)
	case k.PasswordFile != "" && k.PKCS12 == "":
		d.report(key, fmt.Sprintf("number %d has a password_file without pkcs12", number), "write the key in PEM without a passphrase, or both in pkcs12")
	case k.PKCS11 != "" && !strings.HasPrefix(k.PKCS11, "pkcs11:"):
		d.report(key, fmt.Sprintf("%q is no PKCS #11 URI", k.PKCS11), fix)
	}
}

func (d *decoder) checkPartners(partners []Partner) {
	seen := map[string]bool{}
	for i := range partners {
		key := fmt.Sprintf("partner[%d]", i)
		d.domainName(key, "domain", &partners[i].Domain)
		if name := partners[i].Domain; name != "" && seen[name] {
			d.report(key, fmt.Sprintf("domain %q is there twice", name), "write one [[partner]] for each domain")
		} else {
			seen[name] = true
		}
	}
}

// domainName reports what is no domain, and turns the rest into lower-case A-labels.
func (d *decoder) domainName(table, field string, name *string) {
	if *name == "" {
		if d.reported(join(table, field)) {
			return
		}
		d.report(table, "has no "+field, fmt.Sprintf(`write %s = "example.com"`, field))
		return
	}
	ascii, err := idna.Lookup.ToASCII(*name)
	if err != nil || !isDomain(ascii) {
		d.report(join(table, field), fmt.Sprintf("%q is no domain", *name), `write it as in "example.com", without a dot at the end`)
		return
	}
	*name = ascii
}

func isDomain(s string) bool {
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// checkUsers turns the addresses into lower case: that of letters makes no other address.
func (d *decoder) checkUsers(users map[string]string) {
	for _, address := range sortedKeys(users) {
		class, lower := users[address], strings.ToLower(address)
		at := strings.LastIndexByte(address, '@')
		if at <= 0 || at == len(address)-1 {
			d.report(join("mua.users", address), "is no address", `write it as in "erin@example.net" = "capable"`)
		}
		if lower == address {
			continue
		}
		if _, twice := users[lower]; twice {
			d.report(join("mua.users", address), "is there twice, but for the case of letters", "take one out")
		}
		delete(users, address)
		users[lower] = class
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *decoder) checkDeliver(v *Deliver) {
	d.checkTemplate(v.Maildir)
	for _, spec := range v.LMTP {
		d.socket("deliver.lmtp", spec, "unix tcp")
		if v.Target == "lmtp" && !v.Final && !isLocal(spec) {
			d.report("deliver.lmtp", fmt.Sprintf("%q is another host", spec),
				"mail is opened only where delivery is final: if it is, write final = true")
		}
	}
	if v.Target == "lmtp" && len(v.LMTP) == 0 {
		d.report("deliver.lmtp", "names no server", `write ["unix:/run/dovecot/lmtp"], or leave it out`)
	}
	if len(v.RecipientDelimiter) > 1 || strings.ContainsAny(v.RecipientDelimiter, "@/\x00 ") {
		d.report("deliver.recipient_delimiter", fmt.Sprintf("%q cannot set off a detail", v.RecipientDelimiter), `write one character, as in "+", or ""`)
	}
	kind, rest, _ := strings.Cut(v.Users, ":")
	if simple := v.Users == "any" || v.Users == "passwd"; !simple && (kind != "file" && kind != "dovecot" || rest == "") {
		d.report("deliver.users", fmt.Sprintf("%q is not allowed", v.Users), `write "any", "passwd", "file:PATH" or "dovecot:SOCKET"`)
	}
}

var placeholders = []string{"{domain}", "{local}", "{detail}", "{home}"}

// checkTemplate reports an empty Maildir path and any brace that is not part of a placeholder.
func (d *decoder) checkTemplate(template string) {
	fix := "use only " + strings.Join(placeholders, " ")
	rest := template
	for _, p := range placeholders {
		rest = strings.ReplaceAll(rest, p, "")
	}
	switch {
	case template == "":
		d.report("deliver.maildir", "is empty", `write "mail/{domain}/{local}", or leave it out`)
	case strings.ContainsAny(rest, "{}"):
		d.report("deliver.maildir", fmt.Sprintf("%q has an unknown placeholder", template), fix)
	case strings.LastIndex(template, "{home}") > 0:
		d.report("deliver.maildir", fmt.Sprintf("%q has {home} in its middle", template), "begin with {home}: it is a path from the root")
	}
}

// checkPaths reports empty paths in lists, where nothing says "off".
func (d *decoder) checkPaths(c *Config) {
	for key, paths := range map[string][]string{
		"trust.domain_anchors": c.Trust.DomainAnchors, "trust.person_anchors": c.Trust.PersonAnchors, "dns.zone_files": c.DNS.ZoneFiles,
	} {
		if slices.Contains(paths, "") {
			d.report(key, "holds an empty path", "take it out")
		}
	}
	if c.Policy.Quarantine == "" {
		d.report("policy.quarantine", "is empty", `write the path of a Maildir, or leave it out for "quarantine"`)
	}
}

// socket reports what is not of one of the kinds: "unix" is unix:PATH, "tcp" is address:port.
func (d *decoder) socket(key, spec, kinds string) {
	fix := map[string]string{"unix": `"unix:/path"`, "tcp": `"127.0.0.1:2424"`, "unix tcp": `"unix:/path" or "127.0.0.1:2424"`}[kinds]
	if path, ok := strings.CutPrefix(spec, "unix:"); ok && strings.Contains(kinds, "unix") {
		if path == "" || len(path) > maxSocketPath {
			d.report(key, fmt.Sprintf("%q is no path of a socket", spec), fmt.Sprintf("write %s, with at most %d octets", fix, maxSocketPath))
		}
		return
	}
	if !strings.Contains(kinds, "tcp") || !isHostPort(spec) {
		d.report(key, fmt.Sprintf("%q is no socket", spec), "write "+fix)
	}
}

// maxSocketPath is what sun_path holds on Linux, less the final zero.
const maxSocketPath = 107

// isHostPort is "host:port" or "[v6]:port" with a number for the port.
func isHostPort(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	if _, err := strconv.ParseUint(s[i+1:], 10, 16); err != nil {
		return false
	}
	host := s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && strings.HasSuffix(inner, "]")
	}
	return isDomain(strings.ToLower(host))
}

// isLocal reports whether a socket is on this host.
func isLocal(spec string) bool {
	if strings.HasPrefix(spec, "unix:") {
		return true
	}
	host := strings.Trim(spec[:max(strings.LastIndexByte(spec, ':'), 0)], "[]")
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
