package corpora_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/test/need"
)

// authservID is ours in these tests; no field of the corpora names it.
const authservID = "mx.corpora.example"

// A source of keys: the sets keep them as PEM, DER and PKCS#12.
type keySource struct {
	certificate, key string // PEM or DER
	pkcs12, password string
}

// A party is one who receives mail of some sets: a domain with the keys that those sets bring along.
type party struct {
	domain   string
	prefixes []string // of file names
	keys     []keySource
}

const (
	lamps       = "rfc9216-keys/"
	autocrypt   = "header-protection/autocrypt+protected-headers/"
	notmuch     = "header-protection/notmuch+notmuch/"
	rfc4134     = "rfc4134/bcgit+bc-test-data/"
	kyber       = "pqc-cms/lamps-wg+cms-kyber/example/"
	thunderbird = "thunderbird-smime/mozilla+releases-comm-central/smime/"
)

var parties = []party{
	{"lamps.example", []string{"rfc9788/", "rfc9216"}, []keySource{
		{certificate: lamps + "11_5-3-Bob-s-Encryption-End-Entity-Certificate.crt", key: lamps + "12_5-4-Bob-s-Decryption-Private-Key-Material.key"},
		{certificate: lamps + "06_4-3-Alice-s-Encryption-End-Entity-Certificate.crt", key: lamps + "07_4-4-Alice-s-Decryption-Private-Key-Material.key"},
	}},
	{"autocrypt.example", []string{autocrypt}, []keySource{{pkcs12: autocrypt + "bob.p12", password: "bob"}}},
	{"notmuch.example", []string{notmuch}, []keySource{{pkcs12: notmuch + "smime/bob.p12"}}},
	{"rfc4134.example", []string{"rfc4134/", "gnutls-pkcs7/"}, []keySource{
		{certificate: rfc4134 + "BobRSASignByCarl.cer", key: rfc4134 + "BobPrivRSAEncrypt.pri"},
		{certificate: rfc4134 + "DianeRSASignByCarl.cer", key: rfc4134 + "DianePrivRSASignEncrypt.pri"},
	}},
	{"mlkem.example", []string{kyber, "rfc9936-mlkem/"}, []keySource{{certificate: kyber + "ML-KEM-512.pem", key: kyber + "ML-KEM-512-seed.priv"}}},
	{"thunderbird.example", []string{"thunderbird-smime/"}, []keySource{
		{pkcs12: thunderbird + "Bob.p12", password: "nss"},
		{pkcs12: thunderbird + "Alice.p12", password: "nss"},
		{pkcs12: thunderbird + "Dave.p12", password: "nss"},
		{pkcs12: thunderbird + "Eve.p12", password: "nss"},
	}},
}

// anchors are the roots that the sets bring along.
var anchors = []string{
	lamps + "01_3-1-RSA-Certification-Authority-Root-Certificate.crt",
	lamps + "14_6-1-Ed25519-Certification-Authority-Root-Certificate.crt",
	autocrypt + "sample-ca.pem",
	notmuch + "smime/ca.crt",
	rfc4134 + "CarlRSASelf.cer",
	thunderbird + "TestCA.pem",
}

// recipient is one of the party's domain, whose mail reader is of the class; mail of sets without keys goes to a domain
// without any.
func recipient(name, class string) string {
	for _, p := range parties {
		for _, prefix := range p.prefixes {
			if strings.HasPrefix(name, prefix) {
				return class + "@" + p.domain
			}
		}
	}
	return class + "@keyless.example"
}

var classes = []string{"received", "capable", "unknown", "incapable"}

// site is the configuration of all parties on one server.
var site = sync.OnceValues(func() (string, error) {
	c, err := loaded()
	if err != nil {
		return "", err
	}
	return writeSite(c, scratch)
})

// configuration returns the file of site.
func configuration(t testing.TB) string {
	t.Helper()
	load(t)
	needOpenSSL(t)
	name, err := site()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func needOpenSSL(t testing.TB) {
	t.Helper()
	need.Command(t, "openssl") // which reads the PKCS#12 files
}

func writeSite(c *corpus, dir string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "authserv_id = %q\n[spool]\ndir = %q\n[policy]\nquarantine = %q\n[trust]\nperson_anchors = [", authservID, dir, filepath.Join(dir, "quarantine"))
	for _, a := range anchors {
		fmt.Fprintf(&b, "%q, ", filepath.Join(c.dir, a))
	}
	b.WriteString("]\n[mua.users]\n")
	for _, domain := range append(domains(), "keyless.example") {
		for _, class := range classes {
			fmt.Fprintf(&b, "%q = %q\n", class+"@"+domain, class)
		}
	}
	for i, p := range parties {
		fmt.Fprintf(&b, "[[domain]]\nname = %q\nkeys = [\n", p.domain)
		for j, k := range p.keys {
			name := filepath.Join(dir, fmt.Sprintf("%d-%d", i, j))
			if err := k.write(c, name); err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "{cert = %q, key = %q},\n", name+".pem", name+".key")
		}
		b.WriteString("]\n")
	}
	name := filepath.Join(dir, "paperknife.toml")
	return name, os.WriteFile(name, []byte(b.String()), 0o600)
}

func domains() (names []string) {
	for _, p := range parties {
		names = append(names, p.domain)
	}
	return names
}

// write writes the certificate and the key as PEM.
func (k keySource) write(c *corpus, name string) error {
	if k.pkcs12 != "" {
		return k.convert(c, name)
	}
	for from, to := range map[string]string{k.certificate: name + ".pem", k.key: name + ".key"} {
		raw, err := os.ReadFile(filepath.Join(c.dir, from))
		if err != nil {
			return err
		}
		if block, _ := pem.Decode(raw); block == nil {
			kind := map[bool]string{true: "CERTIFICATE", false: "PRIVATE KEY"}[from == k.certificate]
			raw = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
		}
		if err := os.WriteFile(to, raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// convert takes a PKCS#12 apart with openssl.
func (k keySource) convert(c *corpus, name string) error {
	raw, err := os.ReadFile(filepath.Join(c.dir, k.pkcs12))
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	if err := os.WriteFile(name+".p12", raw, 0o600); err != nil {
		return err
	}
	for to, what := range map[string][]string{name + ".pem": {"-clcerts", "-nokeys"}, name + ".key": {"-nocerts", "-nodes"}} {
		args := append([]string{"pkcs12", "-legacy", "-in", name + ".p12", "-passin", "pass:" + k.password}, what...)
		out, err := exec.Command("openssl", args...).Output()
		if err != nil {
			return fmt.Errorf("openssl pkcs12 %s: %w", k.pkcs12, err)
		}
		if err := os.WriteFile(to, out, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newAgent makes the path of site, with options.
func newAgent(t testing.TB, o agent.Options) *agent.Agent {
	t.Helper()
	c, err := config.Load(configuration(t))
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := a.CheckKeys(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return a
}
