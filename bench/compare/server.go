package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paperknife/bench/measure"
)

const (
	patience  = 20 * time.Second
	mailboxes = 64
)

// A server is a running LMTP server of ours or of a peer.
type server struct {
	site  *site
	name  string // also of its socket and its mailboxes
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
	drops bool // keeps no mail
}

// start starts a program that listens on NAME.sock, as a user who may be nil.
func (s *site) start(ctx context.Context, name string, as *syscall.SysProcAttr, program string, args ...string) (*server, error) {
	// One left by a run that was killed.
	if err := os.Remove(s.path(name + ".sock")); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	log, err := os.OpenFile(s.path(name+".stderr"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	v := &server{site: s, name: name, log: log, ended: make(chan struct{})}
	v.cmd = exec.Command(program, args...)
	v.cmd.Dir, v.cmd.Stderr, v.cmd.SysProcAttr = s.dir, log, as
	if err := v.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = v.cmd.Wait() // it ends when it is told to
		close(v.ended)
	}()
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		select {
		case <-v.ended:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s has ended: %v: %s", name, v.cmd.ProcessState, text)
		default:
		}
		if conn, err := net.Dial("unix", s.path(name+".sock")); err == nil {
			return v, conn.Close()
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen", name), v.stop())
}

func (s *site) startOurs(ctx context.Context, name, config string) (*server, error) {
	return s.start(ctx, name, s.credential, s.bin("lmtpd"), "-config", s.path(config))
}

func (s *site) startSink(ctx context.Context) (*server, error) {
	v, err := s.start(ctx, "sink", s.credential, s.bin("lmtpsink"), "-listen", s.path("sink.sock"))
	if err == nil {
		v.drops = true
	}
	return v, err
}

// startDovecot returns nil where there is none, or it cannot be started.
func (s *site) startDovecot(ctx context.Context) (*server, error) {
	path, err := exec.LookPath("dovecot")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/dovecot"); err != nil {
			return nil, nil
		}
	}
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil || os.Getuid() != 0 {
		return nil, nil
	}
	return s.start(ctx, "dovecot", nil, path, "-F", "-c", s.path("dovecot.conf"))
}

func (v *server) pid() int { return v.cmd.Process.Pid }

// stop ends the server and waits for its end.
func (v *server) stop() error {
	if v == nil {
		return nil
	}
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-v.ended:
	case <-time.After(patience):
		if err := v.cmd.Process.Kill(); err != nil {
			return err
		}
		<-v.ended
	}
	return v.log.Close()
}

// boxes is the directory of the server's mailboxes.
func (v *server) boxes() string { return v.site.path("home", v.name) }

// fresh empties the mailboxes and makes them anew by one message each, over as many connections as will come.
func (v *server) fresh(ctx context.Context, connections int) error {
	if v.drops {
		return nil
	}
	if err := v.site.renew(v.boxes()); err != nil {
		return err
	}
	if _, err := v.load(ctx, plain+"-4k", connections, mailboxes, 1); err != nil {
		return err
	}
	syscall.Sync()
	return nil
}

// count returns how many messages are in the mailboxes.
func (v *server) count() (int, error) {
	files, err := filepath.Glob(filepath.Join(v.boxes(), "*", "Maildir", "new", "*"))
	return len(files), err
}

// A passage is one run of the loader against a server.
type passage struct {
	measure.Summary
	usage measure.Usage // of the server's processes
	other float64       // share of all processors that neither the server nor the loader used
}

// load sends n messages, each to r recipients.
func (v *server) load(ctx context.Context, message string, connections, n, r int) (passage, error) {
	before, err := measure.Tree(v.pid())
	if err != nil {
		return passage{}, err
	}
	busy := measure.Busy()
	cmd := exec.CommandContext(ctx, v.site.bin("lmtpload"), "-to", "unix:"+v.site.path(v.name+".sock"), "-message", v.site.message(message),
		"-c", strconv.Itoa(connections), "-n", strconv.Itoa(n), "-r", strconv.Itoa(r), "-mailboxes", strconv.Itoa(mailboxes))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	out, err := cmd.Output()
	wall := time.Since(began)
	if err != nil {
		return passage{}, fmt.Errorf("%s: %w: %s", v.name, err, stderr.String())
	}
	var p passage
	if err := json.Unmarshal(out, &p.Summary); err != nil {
		return passage{}, err
	}
	after, err := measure.Tree(v.pid())
	if err != nil {
		return passage{}, err
	}
	p.usage = after.Sub(before)
	others := measure.Busy() - busy - p.usage.User - p.usage.System - cmd.ProcessState.UserTime() - cmd.ProcessState.SystemTime()
	p.other = max(0, float64(others)/float64(wall)/float64(runtime.NumCPU()))
	return p, nil
}

// run is load with mailboxes made anew before, and looked at afterwards.
func (v *server) run(ctx context.Context, message string, connections, n int) (passage, error) {
	if err := v.fresh(ctx, connections); err != nil {
		return passage{}, err
	}
	p, err := v.load(ctx, message, connections, n, 1)
	if err != nil || v.drops {
		return p, err
	}
	if have, err := v.count(); err != nil || have != n+mailboxes {
		return p, errors.Join(err, fmt.Errorf("%s: %d messages in the mailboxes instead of %d", v.name, have, n+mailboxes))
	}
	return p, nil
}

// opens reports whether our server takes all S/MIME off a message of this kind and finds its signature good.
func (v *server) opens(ctx context.Context, message string) (bool, error) {
	if err := v.site.renew(v.boxes()); err != nil {
		return false, err
	}
	if _, err := v.load(ctx, message, 1, 1, 1); err != nil {
		return false, err
	}
	files, err := filepath.Glob(filepath.Join(v.boxes(), "user0", "Maildir", "new", "*"))
	if err != nil || len(files) != 1 {
		return false, errors.Join(err, fmt.Errorf("%s: no message delivered", v.name))
	}
	file, err := os.Open(files[0])
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 8<<10)
	n, err := file.Read(head)
	header, _, _ := strings.Cut(string(head[:n]), "\n\n")
	return strings.Contains(header, "smime=pass") && !strings.Contains(header, "pkcs7"), err
}
