package prove

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/harness/inject"
)

// errnos are the errors that a disk, a quota, a table of descriptors or a file server may have for us.
var errnos = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENOMEM, syscall.EACCES, syscall.ESTALE}

var errnoNames = map[syscall.Errno]string{
	syscall.EIO: "EIO", syscall.ENOSPC: "ENOSPC", syscall.EDQUOT: "EDQUOT", syscall.EROFS: "EROFS",
	syscall.EMFILE: "EMFILE", syscall.ENOMEM: "ENOMEM", syscall.EACCES: "EACCES", syscall.ESTALE: "ESTALE",
}

// sites numbers the calls of a recording: the second read of a file is a place of its own.
func sites(calls []string) (list []inject.Fault) {
	seen := map[string]int{}
	for _, call := range calls {
		seen[call]++
		list = append(list, inject.Fault{Call: call, Nth: seen[call]})
	}
	return list
}

// cells are the faults of a matrix. In the short form each call fails once, where it is first made, with one error after the other; in the long
// one it fails with every error, and with the first also for good: every later call of the kind fails as well.
func cells(places []inject.Fault) (list []inject.Fault) {
	for i, f := range places {
		if !harness.Proving() {
			if f.Nth > 1 {
				continue
			}
			f.Errno, f.Stuck = errnos[i%len(errnos)], i%3 == 2
			list = append(list, f)
			continue
		}
		for i, errno := range errnos {
			f.Errno, f.Stuck = errno, false
			list = append(list, f)
			if i == 0 {
				f.Stuck = true
				list = append(list, f)
			}
		}
	}
	return list
}

func cellName(f inject.Fault) string {
	stuck := ""
	if f.Stuck {
		stuck = ", stuck"
	}
	return fmt.Sprintf("%s #%d: %s%s", f.Call, f.Nth, errnoNames[f.Errno], stuck)
}

// A tally counts the cells of one kind of call.
type tally struct {
	places                          map[string]bool
	cells, missed, deferred, passed int
	codes                           map[string]int
	wrong                           int
}

type tallies map[string]*tally

func (ts tallies) of(f inject.Fault) *tally {
	kind, _, _ := strings.Cut(f.Call, " ")
	if strings.HasSuffix(f.Call, "/#") && kind == "openat" {
		kind = "openat O_TMPFILE"
	}
	if ts[kind] == nil {
		ts[kind] = &tally{places: map[string]bool{}, codes: map[string]int{}}
	}
	ts[kind].places[fmt.Sprint(f.Call, f.Nth)] = true
	return ts[kind]
}

var tallyColumns = []string{"call", "places", "cells", "refused for now", "with", "delivered all the same", "fault not met", "wrong"}

func (ts tallies) rows() (rows [][]string) {
	var sum tally
	for _, kind := range slices.Sorted(maps.Keys(ts)) {
		t := ts[kind]
		var with []string
		for _, code := range slices.Sorted(maps.Keys(t.codes)) {
			with = append(with, fmt.Sprintf("%s (%d)", code, t.codes[code]))
		}
		rows = append(rows, []string{kind, fmt.Sprint(len(t.places)), fmt.Sprint(t.cells), fmt.Sprint(t.deferred), strings.Join(with, ", "),
			fmt.Sprint(t.passed), fmt.Sprint(t.missed), fmt.Sprint(t.wrong)})
		sum.cells, sum.deferred, sum.passed, sum.missed, sum.wrong = sum.cells+t.cells, sum.deferred+t.deferred, sum.passed+t.passed, sum.missed+t.missed, sum.wrong+t.wrong
	}
	return append(rows, []string{"all", "", fmt.Sprint(sum.cells), fmt.Sprint(sum.deferred), "", fmt.Sprint(sum.passed), fmt.Sprint(sum.missed), fmt.Sprint(sum.wrong)})
}

// temporary is the only kind of refusal there may be for a fault of ours.
var temporary = regexp.MustCompile(`^4\d\d 4\.\d\.\d [^/]*\r\n$`)

// leaks says whether a text shows an error of the system or a path.
func leaks(site *harness.Site, text string) bool {
	text = strings.ToLower(text)
	for errno := range errnoNames {
		if strings.Contains(text, strings.ToLower(errno.Error())) || strings.Contains(text, strings.ToLower(errnoNames[errno])) {
			return true
		}
	}
	return strings.Contains(text, "errno") || strings.Contains(text, site.Dir) || strings.Contains(text, "mail/") || strings.Contains(text, "goroutine")
}

// inMemory puts the sites of a test into memory, where it does not matter what a disk takes.
func inMemory(t *testing.T) {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", shm)
	}
}

// THREATS C08, C09: whatever call on a file fails while lmtpd delivers, in whatever way, the sender is told to try again and nothing
// is left, or else the message is there as a whole. Nothing of the fault shows in a reply, and the next message is delivered.
func TestErrnoServer(t *testing.T) {
	needTracer(t)
	inMemory(t)
	record := harness.NewRecord(t, 10, "Every error at every call: lmtpd")
	record.Text = append(record.Text, "A sealed message of 50 KB goes to a new Maildir, with `keep_original` on and a spool that keeps 4 KiB in memory. "+
		"Each call on a file under the directory of the site, found by recording one delivery, is made to fail in the running server with each error; with EIO also for good, every later call of the kind with it. "+
		"The places of the fallback for file systems without `O_TMPFILE` are in the table too. After each cell the next message is delivered.")
	all := tallies{}
	var unnamed []inject.Fault
	for _, named := range []bool{false, true} {
		m := &serverMatrix{t: t, site: newSite(t, "", "[policy]\nkeep_original = \"originals\"\n"), letter: sealed(t, "errno@example.com", 50<<10), named: named, tallies: all}
		m.tracer = traced(m.site, inject.Plan{})
		unnamed = m.run(unnamed)
	}
	record.Columns, record.Rows = tallyColumns, all.rows()
}

type serverMatrix struct {
	t       testing.TB
	site    *harness.Site
	letter  letter
	named   bool
	tracer  **inject.Tracer
	server  *harness.Server
	user    int
	tallies tallies
}

// run goes through all places but those that are known, and returns them.
func (m *serverMatrix) run(known []inject.Fault) []inject.Fault {
	m.start()
	plan(m.t, *m.tracer, inject.Plan{Dir: m.site.Dir, Record: true})
	if a := m.offer(); len(a.Replies) != 1 || !strings.HasPrefix(a.Replies[0], "250 2.0.0") {
		m.t.Fatalf("without a fault: %q", a.Replies)
	}
	places := sites(plan(m.t, *m.tracer, inject.Plan{}).Calls)
	places = slices.DeleteFunc(places, func(f inject.Fault) bool {
		return slices.ContainsFunc(known, func(k inject.Fault) bool { return k.Call == f.Call })
	})
	m.t.Logf("%d places", len(places))
	for _, f := range cells(places) {
		m.cell(f)
	}
	m.stop()
	return places
}

// start starts lmtpd. In the named mode linking an unnamed file fails once, which turns it to the other way.
func (m *serverMatrix) start() {
	m.server = m.site.Launch(m.t)
	if !m.named {
		return
	}
	plan(m.t, *m.tracer, inject.Plan{Dir: m.site.Dir, Fault: &inject.Fault{Call: "linkat mail/example.net/USER/new/NAME", Nth: 1, Errno: syscall.EACCES}})
	a := m.offer()
	if r := plan(m.t, *m.tracer, inject.Plan{}); r.Hits != 1 || len(a.Replies) != 1 || !strings.HasPrefix(a.Replies[0], "250 2.0.0") {
		m.t.Fatalf("unnamed files cannot be linked: %q, %+v", a.Replies, r)
	}
}

func (m *serverMatrix) stop() {
	if code := m.server.Stop(m.t); code != 0 {
		m.t.Errorf("lmtpd: exit code %d\n%s", code, m.server.Log())
	}
	(*m.tracer).Close()
}

// offer hands the letter over for a new user.
func (m *serverMatrix) offer() harness.Answer {
	m.t.Helper()
	m.user++
	removeAll(m.t, m.site.Path("mail"), m.site.Path("originals"))
	a, err := m.site.Offer(sender, []string{m.recipient()}, m.letter.message)
	if err != nil {
		m.t.Errorf("the dialogue broke off: %v\n%s", err, a.Transcript)
	}
	return a
}

// removeAll brings a site back to where it was, so that every directory is to be made again.
func removeAll(t testing.TB, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *serverMatrix) recipient() string { return fmt.Sprintf("user%d@example.net", m.user) }

func (m *serverMatrix) cell(f inject.Fault) {
	t := m.tallies.of(f)
	t.cells++
	plan(m.t, *m.tracer, inject.Plan{Dir: m.site.Dir, Fault: &f})
	a := m.offer()
	report := plan(m.t, *m.tracer, inject.Plan{})
	if report.Hits == 0 {
		t.missed++
	}
	if report.Hits > 0 && isRemoval(f) {
		m.removeLitter()
	}
	if wrong := m.judge(t, a); wrong != "" {
		t.wrong++
		m.t.Errorf("%s (%d hits): %s", cellName(f), report.Hits, wrong)
	}
	after := plain("after@example.com", "after\r\n")
	next, err := m.site.Offer(sender, []string{"after@example.net"}, after.message)
	if err != nil || !strings.HasPrefix(next.Replies[0], "250 ") || len(m.site.TakeAll(m.t, "after@example.net")) != 1 {
		m.t.Errorf("%s: the next message: %q, %v", cellName(f), next.Replies, err)
	}
	if !m.server.Running() {
		m.t.Fatalf("%s: lmtpd has ended\n%s", cellName(f), m.server.Log())
	}
	if !m.named && strings.HasPrefix(f.Call, "linkat ") && f.Errno == syscall.EACCES {
		m.stop() // it makes named files from here on
		m.start()
	}
}

// isRemoval tells whether what fails is the removal of the name in tmp/, where the file system has no O_TMPFILE. That name stays, which
// is all that can be said of it: the message is delivered, or is not, and what sweeps tmp/ takes the rest.
func isRemoval(f inject.Fault) bool {
	return strings.HasPrefix(f.Call, "unlinkat ") && strings.Contains(f.Call, "/tmp/")
}

func (m *serverMatrix) removeLitter() {
	for _, tmp := range []string{m.site.Path("originals/tmp"), filepath.Join(box(m.site, fmt.Sprintf("user%d", m.user)), "tmp")} {
		left, err := filepath.Glob(filepath.Join(tmp, "*"))
		for _, name := range left {
			err = errors.Join(err, os.Remove(name))
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// judge holds the reply against the disk, and returns what is wrong.
func (m *serverMatrix) judge(t *tally, a harness.Answer) string {
	if len(a.Replies) != 1 {
		return fmt.Sprintf("replies %q", a.Replies)
	}
	reply := a.Replies[0]
	found := look(m.t, box(m.site, fmt.Sprintf("user%d", m.user)), m.letter)
	originals := look(m.t, m.site.Path("originals"), letter{message: nil, body: originalBody(m.letter)})
	spool, err := filepath.Glob(m.site.Path("spool/*"))
	if err != nil {
		m.t.Fatal(err)
	}
	if wrong := slices.Concat(found.wrong, originals.wrong, spool); len(wrong) > 0 {
		return strings.Join(wrong, "; ")
	}
	switch {
	case leaks(m.site, a.Transcript):
		return fmt.Sprintf("shows too much: %q", a.Transcript)
	case strings.HasPrefix(reply, "250 2.0.0 ") && found.whole == 1:
		t.passed++
	case temporary.MatchString(reply) && found.whole == 0:
		t.deferred++
		t.codes[reply[:9]]++
	default:
		return fmt.Sprintf("%q and %d messages", reply, found.whole)
	}
	return ""
}

// originalBody is the body of the letter as it was received.
func originalBody(l letter) []byte {
	_, body := harness.Split(harness.LF(l.message))
	return body
}
