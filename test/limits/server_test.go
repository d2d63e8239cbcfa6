package limits

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paperknife/test/harness"
)

// A server is a running lmtpd.
type server struct {
	dir    string
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

// start runs lmtpd on a site and waits until it listens. The test ends it.
func start(t testing.TB, dir string) *server {
	t.Helper()
	s, err := launch(dir, binary(t, "lmtpd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of lmtpd:\n%s", s.log.tail())
		}
	})
	return s
}

// launch runs a command that becomes lmtpd, "-config FILE" added, and waits until it listens.
func launch(dir string, command ...string) (*server, error) {
	s := &server{dir: dir, log: &logBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(command[0], append(command[1:], "-config", filepath.Join(dir, "paperknife.toml"))...)
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("unix", s.socket())
		if err == nil {
			return s, c.Close()
		}
		select {
		case <-s.exited:
			return nil, fmt.Errorf("lmtpd ended: %w\n%s", s.err, s.log.tail())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.kill()
			return nil, fmt.Errorf("lmtpd does not listen: %w\n%s", err, s.log.tail())
		}
	}
}

func (s *server) socket() string { return filepath.Join(s.dir, "lmtp.sock") }

// kill ends the server as a power cut would, if it still runs.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.exited
}

// terminate asks the server to stop.
func (s *server) terminate(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// runs reports whether the server is still the process that was started.
func (s *server) runs() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// box is the Maildir of a recipient.
func (s *server) box(recipient string) string { return box(s.dir, recipient) }

func box(dir, recipient string) string {
	local, domain, _ := strings.Cut(recipient, "@")
	return filepath.Join(dir, "mail", domain, local)
}

// A logBuffer keeps what a server says; its end is shown when a test fails.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-4096):])
}

// memory returns VmHWM or VmRSS of the server.
func (s *server) memory(t testing.TB, key string) int64 {
	t.Helper()
	n, err := harness.Memory(s.pid(), key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cpu is the processor time that the server has used, user and system, in steps of 10 ms.
func (s *server) cpu(t testing.TB) time.Duration {
	t.Helper()
	used, err := harness.ProcessorTime(s.pid())
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// descriptors is the number of open files of the server, 0 where only root may know it: lmtpd is shielded.
func (s *server) descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid()))
	if errors.Is(err, os.ErrPermission) && os.Getuid() != 0 {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// listing returns the names of the files in new/ of a Maildir, and fails the test when anything else is left in it.
func listing(t testing.TB, box string) []string {
	t.Helper()
	for _, sub := range []string{"tmp", "cur"} {
		if left := names(t, filepath.Join(box, sub)); len(left) > 0 {
			t.Errorf("left behind in %s: %q", sub, left)
		}
	}
	var files []string
	for _, name := range names(t, filepath.Join(box, "new")) {
		files = append(files, filepath.Join(box, "new", name))
	}
	return files
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range list {
		found = append(found, entry.Name())
	}
	return found
}

// only returns the one message in a Maildir.
func only(t testing.TB, box string) string {
	t.Helper()
	files := listing(t, box)
	if len(files) != 1 {
		t.Fatalf("%d messages in %s, want 1", len(files), box)
	}
	return files[0]
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openFile(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// rewind puts a file back to its start.
func rewind(t testing.TB, f io.Seeker) {
	t.Helper()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
}
