package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"paperknife/internal/trust"
	"paperknife/seal"
)

// The files that init makes; check and seal look for them beside the configuration.
const (
	fileConfig    = "paperknife.toml"
	fileCA        = "ca.pem"
	fileCAKey     = "ca.key"
	fileDCA       = "dca.pem"
	fileDCAKey    = "dca.key"
	fileSigner    = "signer.pem"
	fileSignerKey = "signer.key"
	fileZone      = "dns.zone"
)

// Modes: a private key is its owner's alone, the rest is for the group that runs the mail system too.
const (
	modeKey  = 0o600
	modeFile = 0o640
)

const initArguments = "-domain DOMAIN [-key rsa3072|rsa2048] DIR"

// InitOptions are the flags of `paperknife init`.
type InitOptions struct {
	Domain string
	Key    seal.KeyType
	Now    time.Time // zero: now
}

var keyTypes = map[string]seal.KeyType{"rsa2048": seal.RSA2048, "rsa3072": seal.RSA3072}

func runInit(_ context.Context, args []string, s Streams) error {
	flags := newFlags("init", initArguments, s)
	domain := flags.String("domain", "", "the `domain` whose sealed mail is to be opened")
	key := flags.String("key", "rsa3072", "`type` of the new keys: rsa3072 or rsa2048")
	if err := parseFlags(flags, args, 1, 1); err != nil {
		return err
	}
	keyType, ok := keyTypes[*key]
	switch {
	case *domain == "":
		return usagef("-domain is missing")
	case !ok:
		return usagef("-key %q is not rsa3072 or rsa2048", *key)
	}
	return Init(flags.Arg(0), InitOptions{Domain: *domain, Key: keyType}, s.Out)
}

// Init makes a directory with everything a domain needs to begin: a configuration that runs, a certificate authority,
// the key that opens mail, the key that signs for the domain, and DNS records to publish. It changes no file that is
// there, and an error leaves nothing behind.
func Init(dir string, o InitOptions, out io.Writer) error {
	domain, err := trust.NormalizeDomain(strings.TrimSuffix(o.Domain, "."))
	if err != nil {
		return fmt.Errorf("-domain: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	files := &newFiles{dir: dir}
	if err := files.free(initNames...); err != nil { // before the work of making keys
		return err
	}
	if err := makeDomain(files, domain, o); err != nil {
		return err
	}
	if err := files.commit(); err != nil {
		return err
	}
	w := &errWriter{w: out}
	printInit(w, dir, domain)
	return w.err
}

var initNames = []string{fileCA, fileCAKey, fileDCA, fileDCAKey, fileSigner, fileSignerKey, fileZone, fileConfig}

// makeDomain makes the content of all files. The configuration is last: what it names is there before it.
func makeDomain(files *newFiles, domain string, o InitOptions) error {
	ca, err := seal.NewCA("Domain CA of "+domain, seal.CertificateOptions{Key: o.Key, NotBefore: o.Now, Edit: onlyFor(domain)})
	if err != nil {
		return err
	}
	options := seal.CertificateOptions{Key: o.Key, NotBefore: o.Now}
	dca, err := ca.IssueDCA(domain, options)
	if err != nil {
		return err
	}
	signer, err := ca.IssueDomainSigner(domain, options)
	if err != nil {
		return err
	}
	return errors.Join(
		files.addPair(ca.KeyPair, fileCA, fileCAKey),
		files.addPair(dca, fileDCA, fileDCAKey),
		files.addPair(signer, fileSigner, fileSignerKey),
		files.add(fileZone, modeFile, []byte(zone(domain, dca.Certificate, signer.Certificate))),
		files.add(fileConfig, modeFile, []byte(configText(files.dir, domain))))
}

func printInit(w *errWriter, dir, domain string) {
	w.printf("made in %s:\n", dir)
	for _, f := range []struct{ names, what string }{
		{fileConfig, "the configuration, ready to run"},
		{fileDCA + ", " + fileDCAKey, "opens mail that partners encrypt to " + domain},
		{fileSigner + ", " + fileSignerKey, "signs for " + domain + " (paperknife seal)"},
		{fileCA + ", " + fileCAKey, "issued both; good for names in " + domain + " only"},
		{fileZone, "DNS records to publish, if partners look for certificates there"},
	} {
		w.printf("  %-22s %s\n", f.names, f.what)
	}
	config := filepath.Join(dir, fileConfig)
	w.printf("\nnext:\n"+
		"  paperknife check -config %s\n"+
		"  give %s to your partners, put their CA certificates into domain_anchors\n"+
		"  take %s off this machine: only new certificates need it\n"+
		"  let the user that runs lmtpd own the directory and %s, then: lmtpd -config %s\n",
		shellWord(config), fileCA+" and "+fileDCA, fileCAKey, fileDCAKey, shellWord(config))
}

// shellWord quotes a path for a shell where it needs it.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
