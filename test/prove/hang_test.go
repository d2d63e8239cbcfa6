package prove

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperknife/test/harness"
	"paperknife/test/harness/inject"
)

// THREATS C04: one reply for each recipient, each its own: who is over quota waits, the others have their mail; what is sent again to
// the one goes to him alone.
func TestC04OneOverQuota(t *testing.T) {
	needTracer(t)
	site := newSite(t, "", "")
	tracer := traced(site, inject.Plan{})
	t.Cleanup(func() { (*tracer).Close() })
	site.Start(t)
	letter := sealed(t, "quota@example.com", 20<<10)
	plan(t, *tracer, inject.Plan{Dir: site.Dir, Fault: &inject.Fault{Call: "write mail/example.net/beta/new/#", Nth: 1, Errno: syscall.EDQUOT}})
	a, err := site.Offer(sender, []string{"alpha@example.net", "beta@example.net", "gamma@example.net"}, letter.message)
	if err != nil || len(a.Replies) != 3 {
		t.Fatalf("%q, %v", a.Replies, err)
	}
	for i, want := range []string{"250 2.0.0 <alpha@", "452 4.2.2 <beta@", "250 2.0.0 <gamma@"} {
		if !strings.HasPrefix(a.Replies[i], want) {
			t.Errorf("reply %q, want %q", a.Replies[i], want)
		}
	}
	for user, want := range map[string]int{"alpha": 1, "beta": 0, "gamma": 1} {
		if found := look(t, box(site, user), letter); found.whole != want || found.wrong != nil {
			t.Errorf("%s: %+v", user, found)
		}
	}
	plan(t, *tracer, inject.Plan{})
	if a, err := site.Offer(sender, []string{"beta@example.net"}, letter.message); err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
		t.Errorf("next try: %q, %v", a.Replies, err)
	}
	for _, user := range []string{"alpha", "beta", "gamma"} {
		if found := look(t, box(site, user), letter); found.whole != 1 {
			t.Errorf("%s: %+v", user, found)
		}
	}
}

// THREATS C21: a disk that hangs. The filter says 75 at its own deadline, long before the mail server's, and leaves nothing; lmtpd goes on serving
// the others, and the reply comes when the disk does.
func TestC21DiskHangs(t *testing.T) {
	needTracer(t)
	const deadline, hang = time.Second, 20 * time.Second
	site := newSite(t, "", fmt.Sprintf("[filter]\ndeadline = %q\n", deadline))
	letter := sealed(t, "hang@example.com", 20<<10)
	for _, call := range []string{"fsync mail/example.net/erin/new/#", "write mail/example.net/erin/new/#", "openat dca.key", "pread spool/#"} {
		tracer := traced(site, inject.Plan{Dir: site.Dir, Fault: &inject.Fault{Call: call, Nth: 1, Delay: int(hang / time.Millisecond)}})
		began := time.Now()
		e := site.Filter(t, letter.message, "-d", "erin@example.net", "-f", sender, "-maildir", box(site, "erin"))
		took := time.Since(began)
		if report, err := (*tracer).End(); err != nil || report.Hits != 1 {
			t.Errorf("%s: %+v, %v", call, report, err)
		}
		if e.Code != 75 || !line.Match(e.Stdout) || took < deadline/2 || took > hang/2 {
			t.Errorf("%s: exit %d after %v, %q", call, e.Code, took, e.Stdout)
		}
		nothing(t, site)
	}

	tracer := traced(site, inject.Plan{})
	t.Cleanup(func() { (*tracer).Close() })
	site.Start(t)
	plan(t, *tracer, inject.Plan{Dir: site.Dir, Fault: &inject.Fault{Call: "fsync mail/example.net/slow/new/#", Nth: 1, Delay: 3000}})
	began := time.Now()
	slow := make(chan string, 1)
	go func() {
		a, err := site.Offer(sender, []string{"slow@example.net"}, letter.message)
		slow <- fmt.Sprint(a.Replies, err)
	}()
	time.Sleep(300 * time.Millisecond)
	for i := range 5 {
		a, err := site.Offer(sender, []string{fmt.Sprintf("quick%d@example.net", i)}, letter.message)
		if err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
			t.Errorf("%q, %v", a.Replies, err)
		}
	}
	quick := time.Since(began)
	reply := <-slow
	if !strings.HasPrefix(reply, "[250 ") || time.Since(began) < 2500*time.Millisecond {
		t.Errorf("%s after %v", reply, time.Since(began))
	}
	if quick > 2500*time.Millisecond {
		t.Logf("the others took %v: too busy a machine to show anything", quick)
	}
	if found := look(t, box(site, "slow"), letter); found.whole != 1 {
		t.Errorf("%+v", found)
	}
}

// filterCommand is deliver-filter into erin's Maildir.
func filterCommand(t *testing.T, site *harness.Site) *exec.Cmd {
	t.Helper()
	return exec.Command(filepath.Join(harness.Programs(t), "deliver-filter"), "-config", site.Config(), "-d", "erin@example.net", "-f", sender, "-maildir", box(site, "erin"))
}

// THREATS C18: what can be known of a message that is cut off is acted on: a filter that is told to end delivers nothing, and neither does
// lmtpd when the connection breaks. What cannot be known is a limit, in docs/operating.md: an end of input is the end of the message.
func TestC18CutOff(t *testing.T) {
	site := newSite(t, "", "")
	letter := plain("cut@example.com", strings.Repeat("The quick brown fox.\r\n", 20<<10))
	half := letter.message[:len(letter.message)/2]
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		cmd := filterCommand(t, site)
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			_, err = stdin.Write(half)
		}
		if err == nil {
			err = cmd.Process.Signal(signal)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 75 {
			t.Errorf("%v: %v", signal, err)
		}
		if err := stdin.Close(); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
		nothing(t, site)
	}
	site.Start(t)
	conn := site.Dial(t)
	for _, command := range []string{"MAIL FROM:<" + sender + ">", "RCPT TO:<erin@example.net>", "DATA"} {
		conn.Command(command)
	}
	conn.Send(half)
	conn.Close()
	after := plain("after@example.com", "after\r\n")
	if a, err := site.Offer(sender, []string{"frank@example.net"}, after.message); err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
		t.Errorf("%q, %v", a.Replies, err)
	}
	if found := look(t, box(site, "erin"), letter); found.whole != 0 || found.wrong != nil {
		t.Errorf("cut off, and delivered: %+v", found)
	}

	e := site.Filter(t, half, "-d", "erin@example.net", "-f", sender, "-maildir", box(site, "erin"))
	if n := len(harness.TakeMaildir(t, box(site, "erin"))); e.Code != 0 || n != 1 {
		t.Errorf("a limit that is gone: exit %d, %d messages", e.Code, n)
	}
}

// THREATS C19: the filter reads to the end before it says anything, also when nothing can come of it.
func TestC19ReadsToTheEnd(t *testing.T) {
	site := newSite(t, "", "")
	site.Write(t, "notadir", nil)
	for name, maildir := range map[string]string{"delivered": box(site, "erin"), "not delivered": site.Path("notadir/Maildir")} {
		cmd := filterCommand(t, site)
		cmd.Args[len(cmd.Args)-1] = maildir
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(stdin, bytes.NewReader(bytes.Repeat([]byte("x: The quick brown fox.\r\n"), 200<<10)))
		if err != nil {
			t.Errorf("%s: not read to the end: %v", name, err)
		}
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		// The exit code says it.
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); (name == "delivered") != (code == 0) || code != 0 && code != 75 {
			t.Errorf("%s: exit %d", name, code)
		}
	}
}

// THREATS C20: nobody reads what the programs say. The mail is delivered all the same, once.
func TestC20NobodyListens(t *testing.T) {
	site := newSite(t, "", "")
	letter := sealed(t, "deaf@example.com", 1<<10)
	deaf := func(cmd *exec.Cmd) {
		r, w, err := os.Pipe()
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		cmd.Stdout, cmd.Stderr = w, w
	}
	cmd := filterCommand(t, site)
	cmd.Stdin = bytes.NewReader(letter.message)
	deaf(cmd)
	if err := cmd.Run(); err != nil {
		t.Errorf("deliver-filter: %v", err)
	}
	site.Prepare = func(_ testing.TB, cmd *exec.Cmd) { deaf(cmd) }
	site.Start(t)
	for range 3 {
		if a, err := site.Offer(sender, []string{"erin@example.net"}, letter.message); err != nil || !strings.HasPrefix(a.Replies[0], "250 ") {
			t.Errorf("lmtpd: %q, %v", a.Replies, err)
		}
	}
	if found := look(t, box(site, "erin"), letter); found.whole != 4 || found.wrong != nil {
		t.Errorf("%+v", found)
	}
}
