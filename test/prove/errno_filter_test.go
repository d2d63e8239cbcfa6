package prove

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperknife/test/harness"
	"paperknife/test/harness/inject"
)

// THREATS C08, C09, C17: whatever call on a file fails in deliver-filter or its supervisor, from the configuration to the last directory,
// in whatever way: 75 with one line that says nothing, or 0 and the whole message.
func TestErrnoFilter(t *testing.T) {
	needTracer(t)
	inMemory(t)
	record := harness.NewRecord(t, 20, "Every error at every call: deliver-filter")
	record.Text = append(record.Text, "The same message through a pipe, once with `-maildir` and once to standard output. The calls are those of supervisor and child: "+
		"configuration, certificates, anchors, key, spool, the output held back, the Maildir.")
	all := tallies{}
	for _, maildir := range []bool{true, false} {
		m := &filterMatrix{t: t, site: newSite(t, "", ""), letter: sealed(t, "errno@example.com", 50<<10), maildir: maildir, tallies: all}
		ended, report := m.filter(inject.Plan{Dir: m.site.Dir, Record: true})
		m.output = ended.Stdout
		places := sites(report.Calls)
		t.Logf("maildir %v: %d places", maildir, len(places))
		for _, f := range cells(places) {
			m.cell(f)
		}
	}
	record.Columns, record.Rows = tallyColumns, all.rows()
}

type filterMatrix struct {
	t       testing.TB
	site    *harness.Site
	letter  letter
	maildir bool
	output  []byte // without a fault
	user    int
	tallies tallies
}

func (m *filterMatrix) local() string { return fmt.Sprintf("user%d", m.user) }

// filter runs the filter over the letter, for a new user.
func (m *filterMatrix) filter(p inject.Plan) (harness.Ended, inject.Report) {
	m.t.Helper()
	m.user++
	removeAll(m.t, m.site.Path("mail"))
	tracer := traced(m.site, p)
	args := []string{"-f", sender, "-d", m.local() + "@example.net"}
	if m.maildir {
		args = append(args, "-maildir", box(m.site, m.local()))
	}
	ended := m.site.Filter(m.t, m.letter.message, args...)
	report, err := (*tracer).End()
	if err != nil {
		m.t.Fatal(err)
	}
	return ended, report
}

func (m *filterMatrix) cell(f inject.Fault) {
	t := m.tallies.of(f)
	t.cells++
	ended, report := m.filter(inject.Plan{Dir: m.site.Dir, Fault: &f})
	if report.Hits == 0 {
		t.missed++
	}
	if wrong := m.judge(t, f, ended); wrong != "" {
		t.wrong++
		m.t.Errorf("%s (%d hits), maildir %v: %s", cellName(f), report.Hits, m.maildir, wrong)
	}
}

// line is what a mail server finds on standard output when it is to try again.
var line = regexp.MustCompile(`^4\.\d\.\d [^/\n]*\n$`)

// tornCode is 75 after a part of the message: the supervisor could not read to the end what it held back. What is written cannot be taken back,
// so the exit code must say it.
const tornCode = "75, torn output"

func (m *filterMatrix) judge(t *tally, f inject.Fault, e harness.Ended) string {
	found := look(m.t, box(m.site, m.local()), m.letter)
	empty(m.t, m.site.Path("spool"))
	delivered := found.whole == 1 && len(e.Stdout) == 0
	if !m.maildir {
		delivered = found.whole == 0 && m.isLetter(e.Stdout)
	}
	switch {
	case len(found.wrong) > 0:
		return strings.Join(found.wrong, "; ")
	case len(e.Stderr) > 0:
		return fmt.Sprintf("standard error %q", e.Stderr)
	case e.Code == 0 && delivered:
		t.passed++
	case e.Code == 75 && found.whole == 0 && line.Match(e.Stdout) && !leaks(m.site, string(e.Stdout)):
		t.deferred++
		t.codes["75, "+string(e.Stdout[:5])]++
	case e.Code == 75 && !m.maildir && f.Call == "read spool/#" && bytes.HasPrefix(m.output, e.Stdout):
		t.deferred++
		t.codes[tornCode]++
	default:
		return fmt.Sprintf("exit %d, %d messages, output %.200q", e.Code, found.whole, e.Stdout)
	}
	return ""
}

func (m *filterMatrix) isLetter(output []byte) bool {
	_, body := harness.Split(output)
	return bytes.Equal(harness.LF(body), m.letter.body) && bytes.Contains(output, []byte("x-domsec=pass"))
}

// THREATS C09: a key, a certificate or the configuration that cannot be read when lmtpd is told to read them again leaves in force what
// was read before.
func TestErrnoReload(t *testing.T) {
	needTracer(t)
	inMemory(t)
	record := harness.NewRecord(t, 30, "Every error while lmtpd reads its files again")
	record.Text = append(record.Text, "SIGHUP, with a fault at each call on the configuration, keys, certificates and anchors. After each a sealed message is delivered, opened.")
	site := newSite(t, "", "")
	tracer := traced(site, inject.Plan{})
	t.Cleanup(func() { (*tracer).Close() })
	server := site.Start(t)
	reload := func(p inject.Plan) (inject.Report, bool) {
		failed, done := strings.Count(server.Log(), "not reloaded"), strings.Count(server.Log(), "configuration reloaded")
		plan(t, *tracer, p)
		if err := syscall.Kill(server.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			log := server.Log()
			if strings.Count(log, "not reloaded") > failed || strings.Count(log, "configuration reloaded") > done {
				return plan(t, *tracer, inject.Plan{}), strings.Count(log, "configuration reloaded") > done
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("not reloaded, and no word of it\n%s", server.Log())
		return inject.Report{}, false
	}
	report, ok := reload(inject.Plan{Dir: site.Dir, Record: true})
	if !ok {
		t.Fatal("not reloaded without a fault")
	}
	all := tallies{}
	letter := sealed(t, "reload@example.com", 1<<10)
	for i, f := range cells(sites(report.Calls)) {
		tally := all.of(f)
		tally.cells++
		report, reloaded := reload(inject.Plan{Dir: site.Dir, Fault: &f})
		user := fmt.Sprintf("reload%d", i)
		a, err := site.Offer(sender, []string{user + "@example.net"}, letter.message)
		found := look(t, box(site, user), letter)
		switch {
		case err != nil || !strings.HasPrefix(a.Replies[0], "250 ") || found.whole != 1:
			tally.wrong++
			t.Errorf("%s: %q, %v, %v", cellName(f), a.Replies, err, found)
		case report.Hits == 0:
			tally.missed++
		case reloaded:
			tally.passed++
		default:
			tally.deferred++
		}
	}
	if n := all.rows(); n[len(n)-1][3] == "0" {
		t.Error("no fault was noticed")
	}
	record.Columns = []string{"call", "places", "cells", "the old ones kept", "", "read all the same", "fault not met", "wrong"}
	record.Rows = all.rows()
}
