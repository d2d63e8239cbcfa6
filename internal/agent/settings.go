package agent

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"paperknife/deliver"
	"paperknife/internal/config"
	"paperknife/internal/keys"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
)

// Options are what New needs beside the configuration.
type Options struct {
	Target deliver.Target   // where mail goes; nil: only Filter with a writer, and Explain
	Log    *slog.Logger     // nil: no log
	Now    func() time.Time // nil: time.Now
}

// New makes an Agent. It reads the anchors, the revocation lists and the certificates of our domains; private keys are
// read when the first message needs them, so that a filter that gets plain mail does without.
func New(c *config.Config, o Options) (*Agent, error) {
	a := &Agent{
		spool:     SpoolSettings(c),
		strict:    c.Compat == "strict",
		rings:     map[string]*keys.Ring{},
		target:    o.Target,
		classes:   map[string]policy.Class{},
		class:     policy.Class(c.MUA.Default),
		delimiter: c.Deliver.RecipientDelimiter,
		log:       o.Log,
		now:       o.Now,
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	for address, class := range c.MUA.Users {
		a.classes[classKey(address, "")] = policy.Class(class)
	}
	return a, errors.Join(a.loadPolicy(c), a.loadKeys(c), a.loadTrust(c), a.openStores(c))
}

// SpoolSettings are those of [spool].
func SpoolSettings(c *config.Config) spool.Settings {
	return spool.Settings{Dir: c.Spool.Dir, Memory: int64(c.Spool.Memory)}
}

func (a *Agent) loadPolicy(c *config.Config) error {
	a.policy = policy.Settings{
		AuthservID:        c.AuthservID,
		TrustedIDs:        c.TrustedAuthservIDs,
		Enforce:           policy.Enforcement(c.Policy.Enforce),
		RequireInnerLayer: true,
		Unauthenticated:   map[string]policy.Unauthenticated{},
	}
	if own := c.Policy.Domsec.Enforce; own != "" {
		a.policy.Enforce = policy.Enforcement(own)
	}
	for _, p := range c.Partners {
		domain, err := trust.NormalizeDomain(p.Domain)
		if err != nil {
			return fmt.Errorf("partner %q: %w", p.Domain, err)
		}
		if p.Unauthenticated == string(policy.UnauthenticatedKeep) {
			a.policy.Unauthenticated[domain] = policy.UnauthenticatedKeep
		}
	}
	return nil
}

func (a *Agent) loadKeys(c *config.Config) error {
	for i, d := range c.Domains {
		domain, err := trust.NormalizeDomain(d.Name)
		if err != nil {
			return fmt.Errorf("domain %q: %w", d.Name, err)
		}
		var pairs []keys.Pair
		for _, k := range d.Keys {
			if pair, ok := KeyPair(k); ok {
				pairs = append(pairs, pair)
			}
		}
		ring, err := keys.Load(pairs)
		if err != nil {
			return fmt.Errorf("domain %q: %w", d.Name, err)
		}
		a.rings[domain] = ring
		if i == 0 {
			a.firstRing = ring
		}
	}
	return nil
}

// KeyPair says where a key of the configuration is; not ok for one that is not complete.
func KeyPair(k config.Key) (pair keys.Pair, ok bool) {
	pair = keys.Pair{Cert: k.Cert, Key: k.Key, PKCS12: k.PKCS12, PasswordFile: k.PasswordFile, PKCS11: k.PKCS11}
	return pair, k.PKCS12 != "" || k.PKCS11 != "" || k.Cert != "" && k.Key != ""
}

func (a *Agent) loadTrust(c *config.Config) (err error) {
	s := trust.Settings{Naming: c.Trust.Naming}
	if s.DomainAnchors, err = loadAnchors(c.Trust.DomainAnchors); err != nil {
		return err
	}
	if s.PersonAnchors, err = loadAnchors(c.Trust.PersonAnchors); err != nil {
		return err
	}
	if c.Trust.CRLDir != "" {
		// A broken list is no reason to keep mail waiting: the others count, and the postmaster is told.
		if s.CRLs, err = trust.LoadCRLs(c.Trust.CRLDir); err != nil {
			a.warnings = append(a.warnings, fmt.Sprintf("revocation lists: %v", err))
		}
	}
	if a.trust, err = trust.New(s); err != nil {
		return err
	}
	a.warnings = append(a.warnings, a.trust.Warnings()...)
	return nil
}

func loadAnchors(files []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, file := range files {
		list, err := trust.LoadAnchors(file)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// openStores prepares the Maildirs of the postmaster's.
func (a *Agent) openStores(c *config.Config) error {
	if c.Policy.Quarantine != "" {
		quarantine, err := deliver.NewMaildirAt(c.Policy.Quarantine, deliver.MaildirSettings{})
		if err != nil {
			return err
		}
		a.quarantine = quarantine
	}
	if c.Policy.KeepOriginal != "" {
		original, err := deliver.NewMaildirAt(c.Policy.KeepOriginal, deliver.MaildirSettings{})
		if err != nil {
			return err
		}
		a.original = original
	}
	return nil
}

// NewTarget returns the target of [deliver].
func NewTarget(c *config.Config) (deliver.Target, error) {
	return deliver.NewMaildir(deliver.MaildirSettings{Template: c.Deliver.Maildir, RecipientDelimiter: c.Deliver.RecipientDelimiter})
}

// CheckKeys reads every private key and reports what is wrong with each.
func (a *Agent) CheckKeys() []error {
	var list []error
	for _, ring := range a.rings {
		list = append(list, ring.Check()...)
	}
	return list
}

// Warnings are what the postmaster should know about keys, anchors and revocation lists.
func (a *Agent) Warnings() []string {
	list := slices.Clone(a.warnings)
	for domain, ring := range a.rings {
		for _, w := range append(ring.Findings(), ring.DomainFindings(domain, a.now())...) {
			list = append(list, w.String())
		}
	}
	slices.Sort(list)
	return list
}
