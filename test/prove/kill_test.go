package prove

import (
	"fmt"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/harness/inject"
)

// killStep is how many calls lie between two kills in the short form.
const killStep = 29

func step() int {
	if harness.Proving() {
		return 1
	}
	return killStep
}

// A toll counts what came of the kills.
type toll struct {
	kills, before, answered, lost, partial, duplicates int
}

var tollColumns = []string{"killed", "at calls", "kills", "already on disk", "of these answered", "lost", "partial or left behind", "duplicates after the next try"}

func (k toll) row(who, calls string) []string {
	return []string{who, calls, fmt.Sprint(k.kills), fmt.Sprint(k.before), fmt.Sprint(k.answered), fmt.Sprint(k.lost), fmt.Sprint(k.partial), fmt.Sprint(k.duplicates)}
}

// THREATS C06, C07, promise 2: lmtpd is killed at every system call of a delivery, from accept to the end of the connection. The client,
// which has no 250, sends the message again to the next lmtpd. It is there then, at least once, and nothing else is.
func TestKillServerEverywhere(t *testing.T) {
	needTracer(t)
	record := harness.NewRecord(t, 40, "kill -9 at every system call")
	record.Text = append(record.Text, "A sealed message of 50 KB for a new Maildir. The process is killed as it enters its n-th system call, for every n up to the last; "+
		"the calls are counted over all its threads, those left out that nobody outside can see (memory, scheduling, signals). The client sends again what was not answered.")
	site := newSite(t, "", "[policy]\nkeep_original = \"originals\"\n")
	tracer := traced(site, inject.Plan{})
	letter := sealed(t, "kill@example.com", 50<<10)
	var k toll
	for n := 1; ; n += step() {
		server := site.Launch(t)
		plan(t, *tracer, inject.Plan{Kill: n})
		user := fmt.Sprintf("user%d", n)
		a, err := site.Offer(sender, []string{user + "@example.net"}, letter.message)
		report := plan(t, *tracer, inject.Plan{})
		if !report.Killed {
			if err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
				t.Fatalf("not killed: %q, %v", a.Replies, err)
			}
			server.Stop(t)
			(*tracer).Close()
			t.Logf("a delivery has %d calls", report.Count)
			record.Rows = append(record.Rows, k.row("lmtpd", fmt.Sprintf("1 to %d", n-1)))
			break
		}
		// Not before the process is gone is its socket: the next client would be taken in by a dead server.
		if _, err := (*tracer).End(); err != nil {
			t.Fatal(err)
		}
		server.Kill()
		k.kills++
		answered := len(a.Replies) == 1 && strings.HasPrefix(a.Replies[0], "250 ")
		k.judge(t, site, user, letter, answered, func() bool {
			server := site.Launch(t)
			defer (*tracer).Close()
			defer server.Stop(t)
			a, err := site.Offer(sender, []string{user + "@example.net"}, letter.message)
			if err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
				t.Errorf("%q, %v\n%s", a.Replies, err, server.Log())
				return false
			}
			return true
		})
	}
	empty(t, site.Path("spool"))
	record.Columns = tollColumns
	k.check(t)
}

// judge looks at the mailbox after the kill and after the next try.
func (k *toll) judge(t *testing.T, site *harness.Site, user string, l letter, answered bool, again func() bool) {
	t.Helper()
	found := look(t, box(site, user), l)
	k.before += found.whole
	if answered {
		k.answered++
	}
	if answered && found.whole == 0 {
		k.lost++
		t.Errorf("%s: answered and not there", user)
	}
	if !answered && !again() {
		t.Errorf("%s: not delivered at the second try", user)
	}
	found = look(t, box(site, user), l)
	if found.whole == 0 {
		k.lost++
		t.Errorf("%s: lost", user)
	}
	if found.whole > 1 {
		k.duplicates += found.whole - 1
	}
	for _, wrong := range append(found.wrong, look(t, site.Path("originals"), letter{body: originalBody(l)}).wrong...) {
		k.partial++
		t.Errorf("%s: %s", user, wrong)
	}
}

func (k toll) check(t *testing.T) {
	t.Logf("%+v", k)
	if k.kills == 0 || harness.Proving() && k.before == 0 {
		t.Error("too little to show anything")
	}
}

// THREATS C06, C07, C17: deliver-filter or its supervisor, whichever makes the n-th call, is killed there. The mail server sees 75, or an
// end by a signal, and tries again.
func TestKillFilterEverywhere(t *testing.T) {
	needTracer(t)
	record := harness.NewRecord(t, 41, "kill -9 at every system call: deliver-filter")
	record.Text = append(record.Text, "The same with the pipe: of the two processes that one is killed which makes the call. The mail server tries again unless it saw 0.")
	site := newSite(t, "", "")
	letter := sealed(t, "kill@example.com", 50<<10)
	tallies := map[string]*toll{"supervisor": {}, "child": {}}
	var last int
	for n := 1; ; n += step() {
		user := fmt.Sprintf("user%d", n)
		run := func(p inject.Plan) (harness.Ended, inject.Report) {
			tracer := traced(site, p)
			ended := site.Filter(t, letter.message, "-f", sender, "-d", user+"@example.net", "-maildir", box(site, user))
			report, err := (*tracer).End()
			if err != nil {
				t.Fatal(err)
			}
			return ended, report
		}
		ended, report := run(inject.Plan{Kill: n})
		if !report.Killed {
			last = n - 1
			break
		}
		k := tallies["child"]
		switch ended.Code {
		case 128 + 9:
			k = tallies["supervisor"]
		case 75:
			if !line.Match(ended.Stdout) {
				t.Errorf("call %d: output %q", n, ended.Stdout)
			}
		case 0:
		default:
			t.Errorf("call %d: exit %d", n, ended.Code)
		}
		k.kills++
		k.judge(t, site, user, letter, ended.Code == 0, func() bool {
			ended, _ := run(inject.Plan{})
			return ended.Code == 0
		})
	}
	empty(t, site.Path("spool"))
	record.Columns = tollColumns
	for _, who := range []string{"supervisor", "child"} {
		record.Rows = append(record.Rows, tallies[who].row(who, fmt.Sprintf("1 to %d of both", last)))
		tallies[who].check(t)
	}
}
