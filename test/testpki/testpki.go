// Package testpki makes certificates and S/MIME messages for tests with the openssl command alone, so that what the
// tests read was not written by code of this project, nor by Go's crypto packages.
//
// The openssl command cannot add attributes to a signature. A signature with the SignatureType attribute, which makes
// it a domain signature, comes from package seal; the domain signers here can sign, but their signatures lack the mark.
//
// Nothing here belongs into a program: keys are small in number, unprotected and thrown away.
package testpki

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/test/need"
)

// The names of the certificates. Each has NAME.pem and NAME.key in the directory of the PKI.
const (
	DomainCA    = "domain-ca"    // issues domain signers and DCA certificates
	PersonCA    = "person-ca"    // issues persons, P-256
	UntrustedCA = "untrusted-ca" // issues what no test trusts

	DomainSigner     = "example.com"      // RSA, URI smtp://example.com, DNS example.com, serial number 1001
	DomainSignerP256 = "example.com-p256" // the same with a P-256 key
	ForeignSigner    = "other.test"       // RSA, URI smtp://other.test, DNS other.test
	ExpiredSigner    = "expired"          // for example.com, P-256, valid in 2020 only
	UntrustedSigner  = "untrusted"        // for example.com, P-256, from UntrustedCA

	DCANet = "dca.example.net" // RSA, keyEncipherment, for example.net
	DCAOrg = "dca.example.org" // RSA, keyEncipherment, for example.org

	Alice     = "alice"      // RSA, alice@sales.example.com
	AliceP256 = "alice-p256" // P-256, alice@sales.example.com
	AliceP384 = "alice-p384" // P-384, alice@sales.example.com
	AliceP521 = "alice-p521" // P-521, alice@sales.example.com
	Bob       = "bob"        // RSA, bob@example.net
)

// Anchors is the name of a certificate file with DomainCA and PersonCA, for "openssl cms -verify -CAfile". It has no key.
const Anchors = "anchors"

// Validity of all certificates but ExpiredSigner, so that tests do not depend on the day they run.
const (
	notBefore     = "20100101000000Z"
	notAfter      = "20491231235959Z"
	expiredBefore = "20200101000000Z"
	expiredAfter  = "20201231235959Z"
)

const (
	keyRSA  = "rsa"
	keyP256 = "p256"
	keyP384 = "p384"
	keyP521 = "p521"
)

// A certificate is one row of the table below.
type certificate struct {
	name, issuer, key, subject, extensions string
	from, to                               string
}

func authority(name, key, subject string) certificate {
	return certificate{name, name, key, subject,
		"basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n", notBefore, notAfter}
}

const leaf = "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=emailProtection\n"

func agent(name, issuer, key, domain, usage string) certificate {
	return certificate{name, issuer, key, "/CN=" + domain + " agent",
		leaf + "keyUsage=critical," + usage + "\nsubjectAltName=URI:smtp://" + domain + ",DNS:" + domain + "\n", notBefore, notAfter}
}

func person(name, key, address, usage string) certificate {
	return certificate{name, PersonCA, key, "/CN=" + name,
		leaf + "keyUsage=critical," + usage + "\nsubjectAltName=email:" + address + "\n", notBefore, notAfter}
}

func expired(c certificate) certificate {
	c.from, c.to = expiredBefore, expiredAfter
	return c
}

// certificates are all there are; an issuer stands above what it issues, and serial numbers count from 1001 per issuer
// (an authority's own comes first, as 1000).
var certificates = []certificate{
	authority(DomainCA, keyRSA, "/O=Test/CN=Example CA"),
	authority(PersonCA, keyP256, "/O=Test/CN=Person CA"),
	authority(UntrustedCA, keyP256, "/O=Test/CN=Unknown CA"),
	agent(DomainSigner, DomainCA, keyRSA, "example.com", "digitalSignature"),
	agent(DomainSignerP256, DomainCA, keyP256, "example.com", "digitalSignature"),
	agent(ForeignSigner, DomainCA, keyRSA, "other.test", "digitalSignature"),
	expired(agent(ExpiredSigner, DomainCA, keyP256, "example.com", "digitalSignature")),
	agent(UntrustedSigner, UntrustedCA, keyP256, "example.com", "digitalSignature"),
	agent(DCANet, DomainCA, keyRSA, "example.net", "keyEncipherment"),
	agent(DCAOrg, DomainCA, keyRSA, "example.org", "keyEncipherment"),
	person(Alice, keyRSA, "alice@sales.example.com", "digitalSignature,keyEncipherment"),
	person(AliceP256, keyP256, "alice@sales.example.com", "digitalSignature"),
	person(AliceP384, keyP384, "alice@sales.example.com", "digitalSignature"),
	person(AliceP521, keyP521, "alice@sales.example.com", "digitalSignature"),
	person(Bob, keyRSA, "bob@example.net", "digitalSignature,keyEncipherment"),
}

// A PKI is a directory of keys and certificates.
type PKI struct {
	Dir     string
	openssl string
}

// ErrNoOpenSSL says that there is no openssl command.
var ErrNoOpenSSL = errors.New("openssl is not installed")

// New makes the whole PKI in a directory, which exists.
func New(dir string) (*PKI, error) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		return nil, ErrNoOpenSSL
	}
	p := &PKI{Dir: dir, openssl: path}
	if err := p.makeKeys(); err != nil {
		return nil, err
	}
	for _, c := range certificates {
		if err := p.issue(c); err != nil {
			return nil, err
		}
	}
	return p, p.writeAnchors()
}

func (p *PKI) writeAnchors() error {
	var bundle []byte
	for _, name := range []string{DomainCA, PersonCA} {
		certificate, err := os.ReadFile(p.CertificateFile(name))
		if err != nil {
			return err
		}
		bundle = append(bundle, certificate...)
	}
	return p.write(Anchors+".pem", string(bundle))
}

var shared = sync.OnceValues(func() (*PKI, error) {
	dir, err := os.MkdirTemp("", "testpki-")
	if err != nil {
		return nil, err
	}
	sharedDir = dir
	return New(dir)
})

var sharedDir string

// Shared returns the one PKI of a test binary, which is made at the first call. It skips the test where there is no
// openssl command. A package that calls it has Main in its TestMain, or leaves the directory behind.
func Shared(tb testing.TB) *PKI {
	tb.Helper()
	p, err := shared()
	if errors.Is(err, ErrNoOpenSSL) {
		need.Missing(tb, err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Main runs the tests and removes the shared PKI: func TestMain(m *testing.M) { os.Exit(testpki.Main(m)) }.
func Main(m *testing.M) int {
	code := m.Run()
	if sharedDir != "" {
		if err := os.RemoveAll(sharedDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// CertificateFile returns the path of a certificate in PEM.
func (p *PKI) CertificateFile(name string) string { return filepath.Join(p.Dir, name+".pem") }

// KeyFile returns the path of a private key, PKCS#8 in PEM, not encrypted.
func (p *PKI) KeyFile(name string) string { return filepath.Join(p.Dir, name+".key") }

// Certificate returns a certificate in PEM.
func (p *PKI) Certificate(tb testing.TB, name string) []byte {
	tb.Helper()
	return readFile(tb, p.CertificateFile(name))
}

// Key returns a private key, PKCS#8 in PEM. With Certificate it is what seal.ParseKeyPair takes.
func (p *PKI) Key(tb testing.TB, name string) []byte {
	tb.Helper()
	return readFile(tb, p.KeyFile(name))
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// OpenSSL runs the command in the directory of the PKI and returns its standard output; the error holds what it
// printed to standard error.
func (p *PKI) OpenSSL(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(p.openssl, args...)
	cmd.Dir = p.Dir
	// An openssl.cnf of the machine must not change what is made.
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+filepath.Join(p.Dir, "openssl.cnf"))
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("openssl %q: %w\n%s", args, err, stderr.Bytes())
	}
	return out, nil
}

// makeKeys makes every key with its certificate request, two at a time: RSA keys are what costs.
func (p *PKI) makeKeys() error {
	conf := "[req]\ndistinguished_name=dn\n[dn]\n"
	if err := p.write("openssl.cnf", conf); err != nil {
		return err
	}
	queue := make(chan certificate, len(certificates))
	for _, c := range certificates {
		queue <- c
	}
	close(queue)
	var errs [2]error
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for c := range queue {
				errs[i] = errors.Join(errs[i], p.request(c))
			}
		})
	}
	group.Wait()
	return errors.Join(errs[:]...)
}

func (p *PKI) request(c certificate) error {
	key := []string{"-newkey", "rsa:2048"}
	if curve, ok := strings.CutPrefix(c.key, "p"); ok {
		key = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-" + curve}
	}
	args := append([]string{"req", "-new", "-nodes", "-keyout", c.name + ".key", "-out", c.name + ".csr", "-subj", c.subject}, key...)
	_, err := p.OpenSSL(nil, args...)
	return err
}

// issue uses "openssl ca", the one command of OpenSSL 3.0 that takes the dates of a certificate.
func (p *PKI) issue(c certificate) error {
	if err := p.write(c.name+".ext", "[v3]\n"+c.extensions); err != nil {
		return err
	}
	self := c.issuer == c.name
	if self {
		if err := p.writeAuthority(c.name); err != nil {
			return err
		}
	}
	args := []string{"ca", "-batch", "-notext", "-config", c.issuer + ".cnf", "-in", c.name + ".csr", "-out", c.name + ".pem",
		"-keyfile", c.issuer + ".key", "-extfile", c.name + ".ext", "-extensions", "v3", "-startdate", c.from, "-enddate", c.to}
	if self {
		args = append(args, "-selfsign")
	} else {
		args = append(args, "-cert", c.issuer+".pem")
	}
	_, err := p.OpenSSL(nil, args...)
	return err
}

// writeAuthority writes what "openssl ca" keeps: configuration, index, next serial number (1000).
func (p *PKI) writeAuthority(name string) error {
	conf := "[ca]\ndefault_ca=this\n[this]\ndatabase=" + name + ".index\nserial=" + name + ".serial\nnew_certs_dir=.\n" +
		"default_md=sha256\npolicy=any\nunique_subject=no\n[any]\norganizationName=optional\ncommonName=supplied\n"
	return errors.Join(p.write(name+".cnf", conf), p.write(name+".index", ""), p.write(name+".serial", "03E8\n"),
		p.write(name+".index.attr", "unique_subject=no\n"))
}

func (p *PKI) write(name, content string) error {
	return os.WriteFile(filepath.Join(p.Dir, name), []byte(content), 0o600)
}
