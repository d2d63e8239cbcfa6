package tool

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/keys"
	"paperknife/internal/trust"
)

// checkKeys loads every key of every domain, private ones too.
func (c *checker) checkKeys(cfg *config.Config) {
	loaded := 0
	for i, d := range cfg.Domains {
		place := fmt.Sprintf("domain[%d].keys", i)
		var pairs []keys.Pair
		for j, k := range d.Keys {
			pair, ok := agent.KeyPair(k)
			if !ok {
				continue // said by the configuration
			}
			if c.checkPair(place, pair, d.Name, j == 0) {
				pairs = append(pairs, pair)
			}
		}
		if _, err := keys.Load(pairs); err != nil {
			c.bad(place, "take one of the two out", "%v", short(err, ""))
		}
		loaded += len(pairs)
	}
	c.note("%s, %s with private keys", plural(len(cfg.Domains), "domain"), plural(loaded, "certificate"))
}

// checkPair reports whether a certificate and its key could be loaded. Only the current certificate of a domain is
// looked up by senders.
func (c *checker) checkPair(place string, pair keys.Pair, domain string, current bool) bool {
	ring, err := keys.Load([]keys.Pair{pair})
	if err != nil {
		fix := "name a certificate in PEM or DER that this user may read"
		switch {
		case pair.PKCS12 != "":
			fix = "name a PKCS #12 file and its password_file that this user may read"
		case pair.PKCS11 != "":
			fix = "name the key with its token, library and PIN, or a file with the certificate: pkcs11:token=T;object=O?module-path=/usr/lib/..."
		}
		c.bad(place, fix, "%s: %v", pair.CertFile(), short(err, pair.CertFile()))
		return false
	}
	good := true
	for _, err := range ring.Check() {
		good = false
		fix := "name the private key of " + pair.CertFile() + " in PEM, not encrypted, owned by the user of lmtpd"
		if pair.PKCS11 != "" {
			fix = "see that the token is there, and that library, PIN and object are its own"
		}
		c.bad(place, fix, "%s: %v", pair.KeyFile(), short(err, pair.KeyFile()))
	}
	findings := ring.Findings()
	if name, err := trust.NormalizeDomain(domain); err == nil && current {
		findings = append(findings, ring.DomainFindings(name, c.now)...)
	}
	for _, f := range findings {
		if f.File == "" {
			continue // the key file is missing, as Check says
		}
		add := c.odd
		if f.Grave {
			add = c.bad
		}
		add(place, f.Fix, "%s: %s", f.File, f.Text)
	}
	return good
}

// short takes from an error what is told before it: which store failed, and the path.
func short(err error, path string) error {
	var fault *fs.PathError
	if errors.As(err, &fault) {
		return fault.Err
	}
	text := err.Error()
	for _, prefix := range []string{keys.ErrKeyStore.Error() + ": ", "certificate: ", path + ": "} {
		if len(text) > len(prefix) && text[:len(prefix)] == prefix {
			text = text[len(prefix):]
		}
	}
	return errors.New(text)
}

// soon is how long before its end a certificate is due to be replaced.
const soon = 30 * 24 * time.Hour

// checkSigner looks at the key that signs for the domain, where init has put one.
func (c *checker) checkSigner(cfg *config.Config) {
	dir := filepath.Dir(c.file.Path)
	certificate, key := filepath.Join(dir, fileSigner), filepath.Join(dir, fileSignerKey)
	if _, err := os.Lstat(certificate); err != nil {
		return
	}
	at := func(file, text, fix string) config.Problem { return config.Problem{File: file, Text: text, Fix: fix} }
	pair, err := readPair(certificate, key)
	if err != nil {
		c.add(severityWarning, at(certificate, fmt.Sprintf("cannot sign for the domain: %v", short(err, certificate)), "only paperknife seal needs it; mend it or take it away"))
		return
	}
	c.note("the signing certificate beside the configuration")
	switch end := pair.Certificate.NotAfter; {
	case c.now.After(end):
		c.add(severityWarning, at(certificate, "certificate expired at "+day(end), "partners refuse its signatures: make a new one"))
	case c.now.Add(soon).After(end):
		c.add(severityWarning, at(certificate, "certificate expires at "+day(end), "make a new one in time"))
	}
	if info, err := os.Stat(key); err == nil && info.Mode().Perm()&0o026 != 0 {
		c.add(severityError, at(key, fmt.Sprintf("others may use or change this private key (mode %04o)", info.Mode().Perm()), "chmod 0600"))
	}
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maxSmallFile bounds a certificate or key file.
const maxSmallFile = 1 << 20

func readSmall(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err == nil && len(data) > maxSmallFile {
		err = fmt.Errorf("%s: more than %d octets", path, maxSmallFile)
	}
	return data, err
}

// checkTrust reads anchors and revocation lists.
func (c *checker) checkTrust(cfg *config.Config) {
	s := trust.Settings{Naming: cfg.Trust.Naming}
	s.DomainAnchors = c.anchors("trust.domain_anchors", cfg.Trust.DomainAnchors)
	s.PersonAnchors = c.anchors("trust.person_anchors", cfg.Trust.PersonAnchors)
	if cfg.Trust.CRLDir != "" {
		s.CRLs = c.lists(cfg.Trust.CRLDir)
	}
	store, err := trust.New(s)
	if err != nil {
		c.bad("trust.naming", "name one of the profiles", "%v", err)
		return
	}
	for _, warning := range store.Warnings() {
		c.odd("trust", "replace the file by one that can be used", "%s", warning)
	}
	c.note("%s and %s, %s", plural(len(s.DomainAnchors), "domain anchor"), plural(len(s.PersonAnchors), "person anchor"),
		plural(len(s.CRLs), "revocation list"))
}

func (c *checker) anchors(key string, files []string) (all []*x509.Certificate) {
	for _, file := range files {
		if file == "" {
			continue
		}
		list, err := trust.LoadAnchors(file)
		if err != nil {
			c.bad(key, "name a file of certificates: PEM, DER or .p7b", "%s: %v", file, short(err, file))
			continue
		}
		for _, cert := range list {
			c.anchor(key, file, cert)
		}
		all = append(all, list...)
	}
	return all
}

func (c *checker) anchor(key, file string, cert *x509.Certificate) {
	d, err := trust.Describe(cert.Raw)
	if err == nil {
		err = d.Refused
	}
	if err != nil {
		c.odd(key, "take it out", "%s: %v", file, err)
		return
	}
	switch {
	case c.now.After(d.NotAfter):
		c.odd(key, "ask the CA for its new certificate", "%s: anchor %q expired at %s: nothing it issued passes", file, d.Subject, day(d.NotAfter))
	case c.now.Before(d.NotBefore):
		c.odd(key, "check the clock", "%s: anchor %q is not valid before %s", file, d.Subject, day(d.NotBefore))
	case c.now.Add(soon).After(d.NotAfter):
		c.odd(key, "ask the CA for its new certificate", "%s: anchor %q expires at %s", file, d.Subject, day(d.NotAfter))
	case !d.CA:
		c.odd(key, "name the certificate of its CA, unless you mean this one alone", "%s: anchor %q is no CA: it is trusted itself and vouches for nobody", file, d.Subject)
	}
}

// lists reads the revocation lists. One that cannot be read lets revoked certificates pass.
func (c *checker) lists(dir string) []*x509.RevocationList {
	const key = "trust.crl_dir"
	lists, err := trust.LoadCRLs(dir)
	if err != nil {
		c.bad(key, "put readable CRLs there, or take the key out: as it is, what they revoke can pass", "%s: %v", dir, short(err, dir))
	}
	for _, list := range lists {
		if !list.NextUpdate.IsZero() && c.now.After(list.NextUpdate) {
			c.odd(key, "fetch the new one", "%s: the list of %q was due for renewal at %s", dir, printable(list.Issuer.String()), day(list.NextUpdate))
		}
	}
	if err == nil && len(lists) == 0 {
		c.odd(key, "put the CRLs of your anchors there", "%s: holds no revocation list", dir)
	}
	return lists
}
