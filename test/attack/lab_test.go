// Package attack_test is the attacks of a hostile expert on the built programs, one file a subject, each test named by
// the THREATS id it stands for. It sends mail that no sender of good will makes through a running lmtpd and looks at the
// replies, at what is delivered and at what Authentication-Results says. What an attacker has is what is used here:
// messages of others that he captured, certificates of his own, our public certificate, and any octets at all.
package attack_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/seal"
	"paperknife/test/harness"
	"paperknife/test/testpki"
	"paperknife/verifyhdr"
)

type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := testpki.Main(s.m)
	if shared.end != nil {
		shared.end()
	}
	return code
}

func TestMain(m *testing.M) { os.Exit(harness.Main(suite{m})) }

const authservID = "mx.example.net"

// classes are those of [mua]; each is also the local part of a recipient of that class.
var classes = []string{"received", "capable", "unknown", "incapable"}

const configuration = `authserv_id = "` + authservID + `"
trusted_authserv_ids = ["upstream.example.net"]

` + harness.Listen + `
[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }, { cert = "old.pem", key = "old.key" }]

[trust]
domain_anchors = ["domain-ca.pem"]
person_anchors = ["person-ca.pem"]

[mua.users]
"received@example.net" = "received"
"capable@example.net" = "capable"
"unknown@example.net" = "unknown"
"incapable@example.net" = "incapable"
`

// The people. The boss is whom the attacker wants to be; Eve is the attacker, whom a trusted CA has given a certificate
// for her own address, and whose domain a trusted CA has given one as well.
const (
	bossAddress = "boss@corp.example"
	eveAddress  = "eve@evil.example"
)

// A lab is a running server and everybody's keys. It is made once.
type lab struct {
	site   *harness.Site
	server *harness.Server

	domainCA, personCA *seal.CA
	boss, eve          seal.KeyPair // persons
	corp, evil         seal.KeyPair // domain signers
	stranger           seal.KeyPair // self-signed, for the boss's address
	dca, old           seal.KeyPair
}

var shared struct {
	once sync.Once
	lab  *lab
	err  error
	end  func()
}

// theLab returns the one lab of the test binary, with its server running.
func theLab(t *testing.T) *lab {
	t.Helper()
	shared.once.Do(func() { shared.lab = newLab(t, "") })
	if shared.lab == nil {
		t.Fatal("no lab")
	}
	return shared.lab
}

// A keeper is a testing.TB whose clean-up happens when the suite ends, not when the first test does.
type keeper struct {
	testing.TB
	after *[]func()
}

func (k keeper) Cleanup(f func()) { *k.after = append(*k.after, f) }

func newLab(t *testing.T, more string) *lab {
	t.Helper()
	var after []func()
	k := keeper{t, &after}
	l := &lab{}
	if err := l.makeParties(); err != nil {
		t.Fatal(err)
	}
	l.site = harness.NewSite(k, configuration+more, l.files(t))
	l.server = l.site.Start(k)
	shared.end = func() {
		for i := len(after) - 1; i >= 0; i-- {
			after[i]()
		}
	}
	return l
}

func (l *lab) makeParties() (err error) {
	p256 := seal.CertificateOptions{Key: seal.P256}
	var other *seal.CA
	for _, step := range []func() error{
		func() (err error) { l.domainCA, err = seal.NewCA("Domain CA", p256); return },
		func() (err error) { l.personCA, err = seal.NewCA("Person CA", p256); return },
		func() (err error) { other, err = seal.NewCA("Person CA", p256); return },
		func() (err error) { l.boss, err = l.personCA.IssuePerson(bossAddress, p256); return },
		func() (err error) { l.eve, err = l.personCA.IssuePerson(eveAddress, p256); return },
		func() (err error) { l.stranger, err = other.IssuePerson(bossAddress, p256); return },
		func() (err error) { l.corp, err = l.domainCA.IssueDomainSigner("corp.example", p256); return },
		func() (err error) { l.evil, err = l.domainCA.IssueDomainSigner("evil.example", p256); return },
		func() (err error) {
			l.dca, err = l.domainCA.IssueDCA("example.net", seal.CertificateOptions{})
			return
		},
		func() (err error) {
			l.old, err = l.domainCA.IssueDCA("example.net", seal.CertificateOptions{})
			return
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) files(t *testing.T) map[string][]byte {
	t.Helper()
	key := func(k seal.KeyPair) []byte {
		b, err := k.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string][]byte{
		"domain-ca.pem": l.domainCA.CertificatePEM(), "person-ca.pem": l.personCA.CertificatePEM(),
		"dca.pem": l.dca.CertificatePEM(), "dca.key": key(l.dca), "old.pem": l.old.CertificatePEM(), "old.key": key(l.old),
	}
}

// A delivery is one delivered message, taken apart, and what our Authentication-Results fields in it say.
type delivery struct {
	raw     []byte
	fields  []harness.Field
	body    []byte
	results []verifyhdr.ResInfo
}

// result returns the results of a method, "pass policy".
func (d delivery) result(method string) string {
	var words []string
	for _, r := range d.results {
		if r.Method == method {
			words = append(words, r.Result)
		}
	}
	return strings.Join(words, " ")
}

// passed reports whether anything passed.
func (d delivery) passed() bool {
	for _, r := range d.results {
		if r.Result == "pass" {
			return true
		}
	}
	return false
}

// deliver sends a message and returns what the recipient of a class finds. The reply must be the one constant text.
func (l *lab) deliver(t *testing.T, message []byte, class string) delivery {
	t.Helper()
	to := class + "@example.net"
	client := l.site.Dial(t)
	reply := client.Deliver("sender@elsewhere.example", []string{to}, message)[0]
	client.Quit()
	if reply != "250 2.0.0 delivered\r\n" && !strings.HasPrefix(reply, "250 2.0.0 <") {
		t.Errorf("reply %q", reply)
	}
	return read(t, l.site.Take(t, to))
}

// read takes a delivered message apart. Fields with our authserv-id may stand nowhere but on top.
func read(t *testing.T, raw []byte) delivery {
	t.Helper()
	d := delivery{raw: raw}
	if bytes.HasPrefix(raw, []byte("From ")) && !bytes.HasPrefix(raw, []byte("From :")) {
		_, raw, _ = bytes.Cut(raw, []byte("\n")) // of an mbox, which standard output keeps
	}
	d.fields, d.body = harness.Split(raw)
	top := true
	for _, f := range d.fields {
		switch {
		case !strings.EqualFold(f.Name, "authentication-results"):
			top = top && (strings.EqualFold(f.Name, "return-path") || strings.EqualFold(f.Name, "delivered-to") || strings.EqualFold(f.Name, "received"))
			continue
		case !verifyhdr.Claims([]byte(f.Raw), authservID):
			top = false
			continue
		case !top:
			t.Errorf("a field that claims to be ours stands below: %q", f.Raw)
			continue
		}
		a, err := verifyhdr.ParseAuthenticationResults([]byte(f.Raw))
		if err != nil {
			t.Errorf("%v in our own field %q", err, f.Raw)
			continue
		}
		d.results = append(d.results, a.Results...)
	}
	if len(harness.Find(d.fields, "authentication-results")) == 0 {
		t.Error("no Authentication-Results")
	}
	return d
}

// noPass delivers to every class and fails when anything passes.
func (l *lab) noPass(t *testing.T, message []byte) {
	t.Helper()
	for _, class := range classes {
		if d := l.deliver(t, message, class); d.passed() {
			t.Errorf("%s: passes: %+v\n%s", class, d.results, d.raw)
		}
	}
}

// from returns a message of the given author around an entity.
func from(author string, entity []byte) []byte {
	return seal.Message([]byte("From: "+author+"\r\nTo: unknown@example.net\r\nSubject: Figures\r\nDate: Mon, 05 Jan 2026 09:00:00 +0000\r\n"), entity)
}

const plain = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// must returns the octets of a step that does not fail.
func must(t *testing.T) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func (l *lab) encrypt(t *testing.T, entity []byte) []byte {
	t.Helper()
	return must(t)(seal.EncryptTo(entity, []*x509.Certificate{l.dca.Certificate}, seal.EncryptOptions{}))
}

// multipartSigned puts parts and anything else into a multipart/signed by hand.
func multipartSigned(boundary, preamble string, epilogue string, parts ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"%s\"\r\n\r\n%s", boundary, preamble)
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, p)
	}
	fmt.Fprintf(&b, "--%s--\r\n%s", boundary, epilogue)
	return []byte(b.String())
}

var noTime time.Time // now
