package postfix

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A daemon is an lmtpd that runs as the README says: as an unprivileged user who is in the group postfix.
type daemon struct {
	cmd     *exec.Cmd
	logFile string
	ended   chan struct{}
}

// startLMTPD starts lmtpd, which need not succeed. Its log has a name that nobody else uses.
func (l *lab) startLMTPD(t *testing.T, name, program, config string) *daemon {
	t.Helper()
	d := &daemon{logFile: l.path("log", name), ended: make(chan struct{})}
	log, err := os.OpenFile(d.logFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(program, "-config", config)
	d.cmd.Stderr = log
	d.cmd.Dir = "/"
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(l.uid), Gid: uint32(l.gid), Groups: []uint32{uint32(l.postfix)}},
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := d.cmd.Start(); err != nil {
		// A missing binary is one of the faults.
		t.Logf("%s: %v", name, err)
		close(d.ended)
		return d
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() { d.end(t, syscall.SIGTERM) })
	return d
}

// listening waits until the server says that it listens.
func (d *daemon) listening(t *testing.T) {
	t.Helper()
	if err := within(patience, func() error {
		log, err := os.ReadFile(d.logFile)
		if err == nil && !bytes.Contains(log, []byte("msg=listening")) {
			err = fmt.Errorf("lmtpd does not listen: %.2000s", log)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// end sends a signal, if the process runs, and waits for its end.
func (d *daemon) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	select {
	case <-d.ended:
		return
	default:
	}
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Errorf("lmtpd did not end on %v", sig)
		if err := d.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
}

// exit waits for the end of a server that cannot start, and returns its exit code; -1 if there was nothing to start.
func (d *daemon) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Fatalf("lmtpd runs: %s", d.logFile)
	}
	return d.cmd.ProcessState.ExitCode()
}
