package harness

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take for what is done at once on an idle machine.
const patience = 20 * time.Second

// A Server is a running lmtpd.
type Server struct {
	cmd    *exec.Cmd
	stderr lockedBuffer
	ended  chan struct{}
}

// Start starts lmtpd over the configuration, which has Listen in it, and returns when it takes connections. The test ends it with SIGTERM
// when it is over, and fails when it does not end with exit code 0.
func (s *Site) Start(tb testing.TB) *Server {
	tb.Helper()
	server := s.Launch(tb)
	tb.Cleanup(func() {
		if code := server.Stop(tb); code != 0 {
			tb.Errorf("lmtpd: exit code %d\n%s", code, server.Log())
		}
	})
	return server
}

// Launch is Start without the end: whoever calls it calls Stop or Kill. It fails the test when lmtpd does not listen.
func (s *Site) Launch(tb testing.TB) *Server {
	tb.Helper()
	server := &Server{ended: make(chan struct{})}
	server.cmd = exec.Command(filepath.Join(Programs(tb, s.Tags...), "lmtpd"), "-config", s.Config())
	server.cmd.Dir = s.Dir
	server.cmd.Env = append(s.environment(), s.Env...)
	server.cmd.Stderr = &server.stderr
	s.prepare(tb, server.cmd)
	if err := server.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		// What the exit code says is read from ProcessState.
		_ = server.cmd.Wait()
		close(server.ended)
	}()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-server.ended:
			tb.Fatalf("lmtpd has ended: %v\n%s", server.cmd.ProcessState, server.Log())
		default:
		}
		conn, err := net.Dial("unix", s.Path(Socket))
		if err == nil {
			conn.Close()
			return server
		}
	}
	server.Kill()
	tb.Fatalf("lmtpd does not listen\n%s", server.Log())
	return nil
}

// PID returns the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns what the server has written to standard error so far.
func (s *Server) Log() string { return s.stderr.String() }

// Running reports whether the process is there.
func (s *Server) Running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Stop ends the server with SIGTERM and returns its exit code; -1 for one that a signal ended.
func (s *Server) Stop(tb testing.TB) int {
	tb.Helper()
	if s.Running() {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			tb.Error(err)
		}
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		tb.Errorf("lmtpd does not end on SIGTERM\n%s", s.Log())
		s.Kill()
	}
	return s.cmd.ProcessState.ExitCode()
}

// Kill ends the server with SIGKILL and waits for its end.
func (s *Server) Kill() {
	// An error means that it has ended by itself.
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// A lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write never fails.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
