package prove

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperknife/test/harness"
)

// THREATS C08, C09 once more, with a tool that is not ours: strace breaks every call of a kind in the running lmtpd.
func TestErrnoByStrace(t *testing.T) {
	harness.Need(t, "strace", exec.Command("strace", "-f", "-o", os.DevNull, "true").Run())
	needRoot(t)
	site := newSite(t, "", "")
	server := site.Start(t)
	letter := sealed(t, "strace@example.com", 50<<10)
	for i, fault := range []struct{ call, errno, reply string }{
		{"fsync", "EIO", "451 4.3.0"},
		{"fsync", "ENOSPC", "452 4.3.1"},
		{"linkat", "EDQUOT", "452 4.2.2"},
		{"linkat", "EIO", "451 4.3.0"},
		{"mkdirat", "ENOSPC", "452 4.3.1"},
		{"openat", "EMFILE", "45"},
		{"pread64", "EIO", "451 4.3.0"},
	} {
		user := fmt.Sprintf("user%d", i)
		detach := attach(t, server.PID(), fault.call, fault.errno)
		a, err := site.Offer(sender, []string{user + "@example.net"}, letter.message)
		detach()
		found := look(t, box(site, user), letter)
		if err != nil || !strings.HasPrefix(a.Replies[0], fault.reply) || !temporary.MatchString(a.Replies[0]) || leaks(site, a.Transcript) || found.whole != 0 || found.wrong != nil {
			t.Errorf("%s: %s: %q, %v, %+v", fault.call, fault.errno, a.Replies, err, found)
		}
		a, err = site.Offer(sender, []string{user + "@example.net"}, letter.message)
		if found := look(t, box(site, user), letter); err != nil || !strings.HasPrefix(a.Replies[0], "250 ") || found.whole != 1 || found.wrong != nil {
			t.Errorf("%s: %s: next try: %q, %v, %+v", fault.call, fault.errno, a.Replies, err, found)
		}
	}
	empty(t, site.Path("spool"))
}

// attach makes every call of a kind fail, until the function it returns is called.
func attach(t *testing.T, pid int, call, errno string) (detach func()) {
	t.Helper()
	cmd := exec.Command("strace", "-f", "-p", fmt.Sprint(pid), "-e", "trace="+call, "-e", "inject="+call+":error="+errno)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(first, "attached") {
		t.Fatalf("strace: %q, %v", first, err)
	}
	time.Sleep(50 * time.Millisecond) // for the other threads
	said := make(chan struct{})
	go func() {
		// What it says is of no interest, but it must not wait for a reader.
		_, _ = io.Copy(io.Discard, lines)
		close(said)
	}()
	return func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		<-said
		// It ends by the signal it was sent.
		_ = cmd.Wait()
	}
}
