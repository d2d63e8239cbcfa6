// Package prove breaks the world around the programs that are installed: every system call of a delivery fails in every
// way, the process is killed at every one, the disk is full, the descriptors run out, the client is hostile. A short form of each
// test runs with the others; `make prove` runs the long one and writes down the figures.
package prove

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/seal"
	"paperknife/test/harness"
	"paperknife/test/harness/inject"
)

func TestMain(m *testing.M) {
	inject.Main()
	os.Exit(harness.Main(m))
}

// parties are who seals and who opens.
type parties struct {
	domainCA, personCA *seal.CA
	domain             seal.Signer // example.com
	alice              seal.Signer
	dca                seal.KeyPair // of example.net
}

const sender = "alice@sales.example.com"

var people = sync.OnceValues(func() (*parties, error) {
	var p parties
	var err error
	p256 := seal.CertificateOptions{Key: seal.P256}
	if p.domainCA, err = seal.NewCA("Prove Domain CA", p256); err != nil {
		return nil, err
	}
	if p.personCA, err = seal.NewCA("Prove Person CA", p256); err != nil {
		return nil, err
	}
	if p.domain, err = p.domainCA.IssueDomainSigner("example.com", p256); err != nil {
		return nil, err
	}
	if p.alice, err = p.personCA.IssuePerson(sender, p256); err != nil {
		return nil, err
	}
	p.dca, err = p.domainCA.IssueDCA("example.net", seal.CertificateOptions{})
	return &p, err
})

func everyone(t testing.TB) *parties {
	t.Helper()
	p, err := people()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const configuration = `authserv_id = "mx.example.net"

[lmtp]
listen = ["unix:lmtp.sock"]
%s
[spool]
dir = "spool"
memory = "4KiB"

[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]

[trust]
domain_anchors = ["partners.pem"]
person_anchors = ["people.pem"]

[mua]
default = "incapable"
%s`

// newSite makes a directory with keys, anchors and a configuration. lmtp are more lines for its [lmtp]; more are sections for its end.
func newSite(t testing.TB, lmtp, more string) *harness.Site {
	t.Helper()
	p := everyone(t)
	key, err := p.dca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	site := harness.NewSite(t, fmt.Sprintf(configuration, lmtp, more), map[string][]byte{
		"partners.pem": p.domainCA.CertificatePEM(), "people.pem": p.personCA.CertificatePEM(),
		"dca.pem": p.dca.CertificatePEM(), "dca.key": key,
	})
	makeDir(t, site.Path("spool"))
	return site
}

func makeDir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// A letter is a message and the body that is to come out of it.
type letter struct {
	message []byte
	body    []byte // with LF
}

const textHeader = "Content-Type: text/plain; charset=us-ascii\r\n\r\n"

// sealed makes a letter of some size, signed by its author and by the partner's domain, and encrypted to us. The Message-ID goes outside.
func sealed(t testing.TB, id string, size int) letter {
	t.Helper()
	p := everyone(t)
	line := "The quick brown fox jumps over the lazy dog, and then over another one.\r\n"
	body := strings.Repeat(line, size/len(line)+1)
	entity, err := seal.SignAsPerson([]byte(textHeader+body), p.alice, seal.SignOptions{Detached: true})
	if err == nil {
		entity, err = seal.SignAsDomain(entity, p.domain, seal.SignOptions{})
	}
	if err == nil {
		entity, err = seal.EncryptTo(entity, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return letter{append([]byte(outerHeader(id)), entity...), harness.LF([]byte(body))}
}

func outerHeader(id string) string {
	return "From: Alice Arden <" + sender + ">\r\nTo: erin@example.net\r\nSubject: prove\r\nMessage-ID: <" + id + ">\r\nMIME-Version: 1.0\r\n"
}

// plain makes a letter that nobody has sealed.
func plain(id, body string) letter {
	return letter{[]byte(outerHeader(id) + "\r\n" + body), harness.LF([]byte(body))}
}

// whole says what is wrong with one delivered file: its body is that of the letter, its results say that it was
// verified, its name tells its size.
func (l letter) whole(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	fields, body := harness.Split(content)
	switch {
	case !bytes.Equal(body, l.body):
		return fmt.Errorf("%s: %d octets of body, want %d", name, len(body), len(l.body))
	case !strings.Contains(filepath.Base(name), fmt.Sprintf(",S=%d,", len(content))):
		return fmt.Errorf("%s has %d octets", name, len(content))
	case !bytes.Contains(l.message, []byte("pkcs7-mime")):
		return nil
	}
	results := ""
	for _, f := range harness.Find(fields, "authentication-results") {
		results += f.Value()
	}
	if !strings.Contains(results, "smime=pass") || !strings.Contains(results, "x-domsec=pass") {
		return fmt.Errorf("%s: results %q", name, results)
	}
	return nil
}

// A mailbox is what is in a Maildir.
type mailbox struct {
	whole int
	wrong []string // what should not be there
}

// look reads a Maildir, which may not be there. Every file is to be the letter as a whole, and in new/.
func look(t testing.TB, maildir string, l letter) (m mailbox) {
	t.Helper()
	err := filepath.WalkDir(maildir, func(path string, d os.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case d.IsDir():
		case filepath.Base(filepath.Dir(path)) != "new":
			m.wrong = append(m.wrong, "left behind: "+path)
		default:
			if err := l.whole(path); err != nil {
				m.wrong = append(m.wrong, err.Error())
				return nil
			}
			m.whole++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// box is the Maildir of an address of example.net.
func box(site *harness.Site, local string) string { return site.Path("mail/example.net/" + local) }

// needRoot skips what only root can do: lmtpd keeps other users' tracers off.
func needRoot(t testing.TB) {
	t.Helper()
	var err error
	if os.Getuid() != 0 {
		err = os.ErrPermission
	}
	harness.Need(t, "root", err)
}

// needTracer skips what breaks system calls.
func needTracer(t testing.TB) {
	t.Helper()
	if !inject.Supported {
		t.Skip("there is no tracer for this system")
	}
	needRoot(t)
}

// traced makes the programs of a site run under a tracer, one at a time, and returns where it can be found.
func traced(site *harness.Site, first inject.Plan) **inject.Tracer {
	var current *inject.Tracer
	site.Prepare = func(tb testing.TB, cmd *exec.Cmd) {
		tracer, err := inject.New()
		if err == nil {
			err = tracer.Prepare(cmd, first)
		}
		if err != nil {
			tb.Fatal(err)
		}
		current = tracer
	}
	return &current
}

func plan(t testing.TB, tracer *inject.Tracer, p inject.Plan) inject.Report {
	t.Helper()
	r, err := tracer.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// empty fails the test when there is a file in a directory.
func empty(t testing.TB, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range list {
		t.Errorf("left in %s: %s", filepath.Base(dir), e.Name())
	}
}
