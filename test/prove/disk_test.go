package prove

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paperknife/seal"
	"paperknife/test/harness"
)

// A disk is a small file system in memory.
type disk struct {
	t   testing.TB
	dir string
}

func mount(t testing.TB, dir, options string) disk {
	t.Helper()
	makeDir(t, dir)
	needRoot(t)
	harness.Need(t, "mount", unix.Mount("none", dir, "tmpfs", 0, options))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk{t, dir}
}

const ballast = "ballast"

// fill leaves about so many octets.
func (d disk) fill(left int64) {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.dir, ballast))
	if err != nil {
		d.t.Fatal(err)
	}
	block := make([]byte, 4096)
	var size int64
	for err == nil {
		_, err = f.Write(block)
		size += 4096
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(max(0, size-4096-left)), f.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// fillNames leaves no room for another file.
func (d disk) fillNames() {
	d.t.Helper()
	for i := 0; ; i++ {
		f, err := os.Create(filepath.Join(d.dir, fmt.Sprintf("%s%d", ballast, i)))
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d disk) free() {
	d.t.Helper()
	all, err := filepath.Glob(filepath.Join(d.dir, ballast+"*"))
	for _, name := range all {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

const quarantine = "[policy]\nenforce = \"quarantine\"\n"

// misattributed is signed by a domain that is not the author's, in the open.
func misattributed(t testing.TB) letter {
	t.Helper()
	p := everyone(t)
	eve, err := p.domainCA.IssueDomainSigner("evil.example", seal.CertificateOptions{Key: seal.P256})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("Third quarter: 42.\r\n", 2<<10)
	entity, err := seal.SignAsPerson([]byte(textHeader+body), p.alice, seal.SignOptions{Detached: true})
	if err == nil {
		entity, err = seal.SignAsDomain(entity, eve, seal.SignOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return letter{append([]byte(outerHeader("misattributed@example.com")), entity...), harness.LF([]byte(body))}
}

// THREATS C09, promise 4: whatever disk is full, the sender is told to try again, nothing is there in part, and once there is room the same
// message is delivered.
func TestDiskFull(t *testing.T) {
	needRoot(t)
	record := harness.NewRecord(t, 50, "A full disk")
	record.Text = append(record.Text, "A tmpfs of 512 KiB is mounted where the mail goes, and filled. Then it is emptied, and the message is sent again.")
	record.Columns = []string{"what is full", "lmtpd", "deliver-filter -maildir", "after that"}
	big := plain("big@example.com", strings.Repeat("The quick brown fox.\r\n", 10<<10)) // 220 KB
	tests := []struct {
		name     string
		mount    string // which directory
		options  string
		more     string // configuration
		left     int64  // octets free; -1: room, but no names
		letter   letter
		reply    string // what the reply begins with
		before   bool   // and it comes before 354
		filtered bool   // the filter has this directory too
		at       string // where it goes in the end
	}{
		{name: "Maildir", mount: "mail", letter: sealed(t, "full@example.com", 50<<10), left: 0, reply: `452 4\.3\.1`, filtered: true},
		{name: "Maildir, room for half the message", mount: "mail", letter: sealed(t, "full@example.com", 50<<10), left: 28 << 10, reply: `452 4\.3\.1`, filtered: true},
		{name: "Maildir, no inodes", mount: "mail", options: ",nr_inodes=64", letter: sealed(t, "full@example.com", 50<<10), left: -1, reply: `452 4\.3\.1`, filtered: true},
		{name: "spool, before the message", mount: "spool", letter: big, left: 16 << 10, reply: `452 4\.3\.1`, before: true, filtered: true},
		{name: "spool, in the message", mount: "spool", letter: big, left: 128 << 10, reply: `452 4\.3\.1`, filtered: true},
		{name: "spool, for what was opened", mount: "spool", letter: sealed(t, "full@example.com", 100<<10), left: 250 << 10, reply: `4\d\d 4\.3\.\d`, filtered: true},
		{name: "keep_original", mount: "originals", more: "[policy]\nkeep_original = \"originals\"\n", letter: sealed(t, "full@example.com", 50<<10), left: 0, reply: `452 4\.3\.1`},
		{name: "quarantine", mount: "quarantine", more: quarantine, letter: misattributed(t), left: 0, reply: `452 4\.3\.1`, at: "quarantine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site := newSite(t, "", tt.more)
			d := mount(t, site.Path(tt.mount), "mode=0700,size=512k"+tt.options)
			server := site.Launch(t)
			t.Cleanup(func() { server.Stop(t) })
			if tt.left < 0 {
				d.fillNames()
			} else {
				d.fill(tt.left)
			}
			a, err := site.Offer(sender, []string{"erin@example.net"}, tt.letter.message)
			if err != nil || len(a.Replies) != 1 || !regexp.MustCompile("^"+tt.reply+" ").MatchString(a.Replies[0]) || a.Refused != tt.before || leaks(site, a.Transcript) {
				t.Errorf("full: %q, before 354: %v, %v", a.Replies, a.Refused, err)
			}
			nothing(t, site)
			row := []string{tt.name, quoted(a.Replies[0]), "-", ""}
			if tt.filtered {
				e := site.Filter(t, tt.letter.message, "-d", "erin@example.net", "-f", sender, "-maildir", box(site, "erin"))
				if e.Code != 75 || !line.Match(e.Stdout) || len(e.Stderr) > 0 {
					t.Errorf("filter: %d, %q, %q", e.Code, e.Stdout, e.Stderr)
				}
				nothing(t, site)
				row[2] = fmt.Sprintf("exit %d, %s", e.Code, quoted(string(e.Stdout)))
			}
			d.free()
			a, err = site.Offer(sender, []string{"erin@example.net"}, tt.letter.message)
			if err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
				t.Errorf("with room: %q, %v\n%s", a.Replies, err, server.Log())
			}
			at := box(site, "erin")
			if tt.at != "" {
				at = site.Path(tt.at)
			}
			n := 0
			if tt.at == "" {
				found := look(t, at, tt.letter)
				n = found.whole
				if len(found.wrong) > 0 {
					t.Error(found.wrong)
				}
			} else {
				n = len(harness.TakeMaildir(t, at))
			}
			if n != 1 {
				t.Errorf("%d messages, want 1", n)
			}
			empty(t, site.Path("spool"))
			row[3] = quoted(a.Replies[0])
			record.Rows = append(record.Rows, row)
		})
	}
}

// quoted is a reply as the report shows it.
func quoted(reply string) string { return "`" + strings.TrimSpace(reply) + "`" }

// nothing fails the test when a message is anywhere, or a part of one.
func nothing(t testing.TB, site *harness.Site) {
	t.Helper()
	for _, dir := range []string{"mail", "originals", "quarantine", "spool"} {
		err := filepath.WalkDir(site.Path(dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ballast) {
				t.Errorf("there is %s", path)
			}
			if os.IsNotExist(err) {
				return nil
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
