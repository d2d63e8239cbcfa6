package config

import (
	"path/filepath"
	"strings"
)

// resolve makes every path absolute, seen from the directory of the file.
func (c *Config) resolve(dir string) {
	path := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	after := func(prefix string, p *string) {
		if rest, ok := strings.CutPrefix(*p, prefix); ok && rest != "" {
			path(&rest)
			*p = prefix + rest
		}
	}
	each := func(list []string, one func(*string)) {
		for i := range list {
			one(&list[i])
		}
	}
	socket := func(p *string) { after("unix:", p) }

	each(c.LMTP.Listen, socket)
	socket(&c.Filter.Listen)
	path(&c.Spool.Dir)
	for _, domain := range c.Domains {
		for i := range domain.Keys {
			k := &domain.Keys[i]
			path(&k.Cert)
			path(&k.Key)
			path(&k.PKCS12)
			path(&k.PasswordFile)
		}
	}
	each(c.Trust.DomainAnchors, path)
	each(c.Trust.PersonAnchors, path)
	path(&c.Trust.CRLDir)
	path(&c.Policy.KeepOriginal)
	path(&c.Policy.Quarantine)
	if !strings.HasPrefix(c.Deliver.Maildir, "{home}") {
		path(&c.Deliver.Maildir)
	}
	each(c.Deliver.LMTP, socket)
	after("file:", &c.Deliver.Users)
	after("dovecot:", &c.Deliver.Users)
	each(c.DNS.ZoneFiles, path)
	socket(&c.Admin.Listen)
}
