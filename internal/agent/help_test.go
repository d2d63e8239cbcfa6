package agent

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/deliver"
	"paperknife/internal/config"
	"paperknife/internal/lmtp"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/seal"
)

const (
	alice = "alice@sales.example.com"
	eve   = "eve@evil.example"
)

// parties are who the messages of these tests are sealed by and for.
type parties struct {
	domainCA, personCA  *seal.CA
	author, eve         seal.KeyPair // persons
	domain, foreign     seal.KeyPair // sign for example.com and for evil.example
	net, org, encrypted seal.KeyPair // DCAs of example.net, of example.org, and of nobody here
}

var madeParties = sync.OnceValues(func() (*parties, error) {
	var o seal.CertificateOptions
	quick := seal.CertificateOptions{Key: seal.P256}
	p := &parties{}
	var errs [9]error
	if p.domainCA, errs[0] = seal.NewCA("Test Domain CA", quick); errs[0] != nil {
		return nil, errs[0]
	}
	if p.personCA, errs[0] = seal.NewCA("Test Person CA", quick); errs[0] != nil {
		return nil, errs[0]
	}
	p.author, errs[1] = p.personCA.IssuePerson(alice, quick)
	p.eve, errs[2] = p.personCA.IssuePerson(eve, quick)
	p.domain, errs[3] = p.domainCA.IssueDomainSigner("example.com", quick)
	p.foreign, errs[4] = p.domainCA.IssueDomainSigner("evil.example", quick)
	p.net, errs[5] = p.domainCA.IssueDCA("example.net", o)
	p.org, errs[6] = p.domainCA.IssueDCA("example.org", o)
	p.encrypted, errs[7] = p.domainCA.IssueDCA("example.edu", o)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return p, nil
})

func newParties(t testing.TB) *parties {
	t.Helper()
	p, err := madeParties()
	check(t, err)
	return p
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const entityText = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// The headers that stay outside.
const aliceHeader = "From: Alice Arden <" + alice + ">\r\nTo: erin@example.net\r\nSubject: Figures\r\n"

// sealed is what signers and recipients make of the text: each step in order.
func sealed(t testing.TB, header string, steps ...func([]byte) ([]byte, error)) []byte {
	t.Helper()
	entity := []byte(entityText)
	for _, step := range steps {
		var err error
		entity, err = step(entity)
		check(t, err)
	}
	// By hand, and not by seal.Message: header may be what seal would not write.
	return append([]byte(header+"MIME-Version: 1.0\r\n"), entity...)
}

func signedBy(signer seal.KeyPair) func([]byte) ([]byte, error) {
	return func(entity []byte) ([]byte, error) {
		return seal.SignAsPerson(entity, signer, seal.SignOptions{Detached: true})
	}
}

func domainSignedBy(signer seal.KeyPair) func([]byte) ([]byte, error) {
	return func(entity []byte) ([]byte, error) { return seal.SignAsDomain(entity, signer, seal.SignOptions{}) }
}

func encryptedTo(recipients ...seal.KeyPair) func([]byte) ([]byte, error) {
	return func(entity []byte) ([]byte, error) {
		var list []*x509.Certificate
		for _, r := range recipients {
			list = append(list, r.Certificate)
		}
		return seal.EncryptTo(entity, list, seal.EncryptOptions{})
	}
}

// figures is the ordinary message: signed by its author, by the partner's domain, encrypted to example.net.
func figures(t testing.TB) []byte {
	p := newParties(t)
	return sealed(t, aliceHeader, signedBy(p.author), domainSignedBy(p.domain), encryptedTo(p.net))
}

// forged is domain-signed by a domain that is not the author's.
func forged(t testing.TB) []byte {
	p := newParties(t)
	return sealed(t, aliceHeader, signedBy(p.author), domainSignedBy(p.foreign))
}

const baseConfig = `authserv_id = "mx.example.net"

[[domain]]
name = "example.net"
keys = [{ cert = "net.pem", key = "net.key" }]

[[domain]]
name = "example.org"
keys = [{ cert = "org.pem", key = "org.key" }]

[trust]
domain_anchors = ["partners.pem"]
person_anchors = ["people.pem"]
`

// newAgent makes an agent from the base configuration with more of it, in a directory of its own.
func newAgent(t testing.TB, target deliver.Target, more string) (a *Agent, dir string) {
	t.Helper()
	p := newParties(t)
	dir = t.TempDir()
	files := map[string][]byte{
		"partners.pem": p.domainCA.CertificatePEM(), "people.pem": p.personCA.CertificatePEM(),
		"net.pem": p.net.CertificatePEM(), "org.pem": p.org.CertificatePEM(),
		"paperknife.toml": []byte(baseConfig + more),
	}
	for name, pair := range map[string]seal.KeyPair{"net.key": p.net, "org.key": p.org} {
		key, err := pair.KeyPEM()
		check(t, err)
		files[name] = key
	}
	for name, data := range files {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	c, err := config.Load(filepath.Join(dir, "paperknife.toml"))
	check(t, err)
	a, err = New(c, Options{Target: target, Now: time.Now})
	check(t, err)
	return a, dir
}

// A delivery is one call of Deliver.
type delivery struct {
	sender     string
	recipients []string
	text       string // of the view, with LF
}

// A fakeTarget keeps in memory what it is given.
type fakeTarget struct {
	deliveries []delivery
	before     func(addresses []string)                 // called at the start of Deliver; may panic
	answer     func(addresses []string) []status.Result // nil: delivered, for all
	refuse     map[string]status.Result                 // by address, at Rcpt
	open       int                                      // transactions begun and not closed
}

func (f *fakeTarget) Begin(_ context.Context, sender string) deliver.Transaction {
	f.open++
	return &fakeTransaction{target: f, sender: sender}
}

type fakeTransaction struct {
	target *fakeTarget
	sender string
}

func (t *fakeTransaction) Rcpt(address, _ string) status.Result {
	if r, ok := t.target.refuse[address]; ok {
		return r
	}
	return status.Delivered()
}

func (t *fakeTransaction) Deliver(_ context.Context, view deliver.View, recipients []deliver.Recipient) []status.Result {
	d := delivery{sender: t.sender}
	for _, r := range recipients {
		d.recipients = append(d.recipients, r.Address)
	}
	if t.target.before != nil {
		t.target.before(d.recipients)
	}
	var b bytes.Buffer
	if err := view.Write(&b, message.LF); err != nil {
		return []status.Result{{Err: err}}
	}
	d.text = b.String()
	t.target.deliveries = append(t.target.deliveries, d)
	if t.target.answer != nil {
		return t.target.answer(d.recipients)
	}
	results := make([]status.Result, len(recipients))
	for i := range results {
		results[i] = status.Delivered()
	}
	return results
}

func (t *fakeTransaction) Close() error {
	t.target.open--
	return nil
}

// send takes a message through one LMTP transaction and returns the status codes, "2.0.0", by recipient in order.
func send(t testing.TB, a *Agent, msg []byte, recipients ...string) []string {
	t.Helper()
	tx := a.Begin(context.Background(), lmtp.Peer{HELO: "mta.example.net", QueueID: "4F1"}, "bounces@example.com")
	defer tx.Close()
	for _, r := range recipients {
		if got := tx.Rcpt(context.Background(), r, ""); !got.Delivered() {
			t.Fatalf("Rcpt(%q) = %v", r, got.Line())
		}
	}
	received := spool.FromBytes(msg)
	defer received.Close()
	var codes []string
	for _, r := range tx.Data(context.Background(), received) {
		_, enhanced, _ := r.SMTP()
		codes = append(codes, enhanced.String())
	}
	return codes
}

// results returns the Authentication-Results fields of ours on top of a delivered message, unfolded.
func results(text string) string {
	header, _, _ := strings.Cut(text, "\n\n")
	header = strings.ReplaceAll(strings.ReplaceAll(header, "\n\t", " "), "\n ", " ")
	var found []string
	for line := range strings.SplitSeq(header, "\n") {
		if strings.HasPrefix(line, "Authentication-Results: mx.example.net") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "\n")
}

// stored returns the messages in new/ of a Maildir.
func stored(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "new"))
	if os.IsNotExist(err) {
		return nil
	}
	check(t, err)
	var list []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, "new", e.Name()))
		check(t, err)
		list = append(list, string(data))
	}
	return list
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}
