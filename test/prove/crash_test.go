package prove

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"paperknife/test/harness"
)

// under runs the programs of a site under prlimit.
func under(site *harness.Site, limit string) {
	site.Prepare = func(t testing.TB, cmd *exec.Cmd) {
		path, err := exec.LookPath("prlimit")
		harness.Need(t, "prlimit", err)
		cmd.Args = append([]string{path, limit, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = path
	}
}

// THREATS C17: the programs break in the middle of a message, in every way a Go program can. The filter says 75, with a line that says
// nothing; lmtpd says 451 or dies without a word, and nothing is delivered that was not answered.
func TestC17Broken(t *testing.T) {
	letter := sealed(t, "broken@example.com", 10<<10)
	faults := []string{"panic", "goroutine", "exit"}
	if harness.Proving() {
		faults = append(faults, "stack", "hang", "memory") // slow to come about
	}
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			site := newSite(t, "", "[filter]\ndeadline = \"2s\"\n")
			site.Tags, site.Env = []string{"faults"}, []string{"PAPERKNIFE_FAULT=" + fault}
			under(site, fmt.Sprintf("--as=%d", 2<<30))
			for _, args := range [][]string{{"-maildir", box(site, "erin")}, nil} {
				e := site.Filter(t, letter.message, append(args, "-d", "erin@example.net", "-f", sender)...)
				if e.Code != 75 || !line.Match(e.Stdout) || len(e.Stderr) > 0 || leaks(site, string(e.Stdout)) {
					t.Errorf("exit %d, %q, %q", e.Code, e.Stdout, e.Stderr)
				}
				nothing(t, site)
			}
			if fault == "hang" {
				return // lmtpd has no deadline of its own: the disk may be slow, and the mail server tries again
			}
			server := site.Launch(t)
			a, err := site.Offer(sender, []string{"erin@example.net"}, letter.message)
			if err == nil && !temporary.MatchString(a.Replies[0]) || len(a.Replies) > 1 || leaks(site, a.Transcript) {
				t.Errorf("lmtpd: %q, %v", a.Replies, err)
			}
			if alive := server.Running() && err == nil; alive != (fault == "panic") {
				t.Errorf("lmtpd: runs: %v, %v", alive, err)
			}
			nothing(t, site)
			server.Kill()
		})
	}
	// A configuration that is wrong: 75 from the filter, and lmtpd does not start.
	site := newSite(t, "", "nonsense = 1\n")
	e := site.Filter(t, letter.message, "-d", "erin@example.net")
	if e.Code != 75 || string(e.Stdout) != "4.3.5 delivery is misconfigured\n" || len(e.Stderr) > 0 {
		t.Errorf("exit %d, %q, %q", e.Code, e.Stdout, e.Stderr)
	}
	if e := site.Program(t, "lmtpd", nil, "-config", site.Config()); e.Code != 78 || !strings.Contains(string(e.Stderr), "nonsense") {
		t.Errorf("lmtpd: exit %d, %q", e.Code, e.Stderr)
	}
}
