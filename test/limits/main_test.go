// Package limits holds the programs against what is too big, too deep or too sudden: huge messages, bombs, kills, slow
// clients. It starts the real lmtpd and deliver-filter and looks at them from outside, through /proc, strace and the
// Maildir.
package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"paperknife/seal"
	"paperknife/test/harness"
	needs "paperknife/test/need"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "limits-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workDir = dir
	code := harness.Main(m)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

var workDir string

// binary returns the path of a program of ours.
func binary(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(harness.Programs(t), name)
}

// parties are who seals and who opens.
type parties struct {
	domainCA, personCA *seal.CA
	domain             seal.Signer // example.com
	alice              seal.Signer // alice@sales.example.com, P-256
	dca                seal.KeyPair
}

const (
	sender    = "alice@sales.example.com"
	incapable = "erin@example.net"   // all S/MIME comes off
	another   = "frank@example.net"  // likewise
	untouched = "robert@example.net" // gets what was received
)

var people = sync.OnceValues(func() (*parties, error) {
	var p parties
	var err error
	var o seal.CertificateOptions
	p256 := seal.CertificateOptions{Key: seal.P256}
	if p.domainCA, err = seal.NewCA("Limits Domain CA", p256); err != nil {
		return nil, err
	}
	if p.personCA, err = seal.NewCA("Limits Person CA", p256); err != nil {
		return nil, err
	}
	if p.domain, err = p.domainCA.IssueDomainSigner("example.com", o); err != nil {
		return nil, err
	}
	if p.alice, err = p.personCA.IssuePerson(sender, p256); err != nil {
		return nil, err
	}
	p.dca, err = p.domainCA.IssueDCA("example.net", o)
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

[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]

[trust]
domain_anchors = ["partners.pem"]
person_anchors = ["people.pem"]

[mua]
users = { "erin@example.net" = "incapable", "frank@example.net" = "incapable", "robert@example.net" = "received" }
`

// site makes a directory with keys, anchors and a configuration; lmtp are more lines for its [lmtp].
func site(t testing.TB, lmtp string) string { return siteIn(t, workDir, lmtp) }

// inMemory returns a directory in memory where there is room, for tests to which it does not matter what a disk takes.
func inMemory() string {
	const shm, room = "/dev/shm", 4 << 30
	var fs unix.Statfs_t
	if err := unix.Statfs(shm, &fs); err != nil || int64(fs.Bavail)*int64(fs.Bsize) < room {
		return workDir
	}
	return shm
}

func siteIn(t testing.TB, parent, lmtp string) string {
	t.Helper()
	p := everyone(t)
	key, err := p.dca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(parent, "limits-site-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"partners.pem": p.domainCA.CertificatePEM(), "people.pem": p.personCA.CertificatePEM(),
		"dca.pem": p.dca.CertificatePEM(), "dca.key": key, "paperknife.toml": fmt.Appendf(nil, configuration, lmtp),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// need skips a test that lacks something, and fails it where every test must run.
func need(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		needs.Missing(t, what, "is needed:", err)
	}
}
