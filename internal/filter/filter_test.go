package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/test/need"
)

// The test binary is its own helper: with FILTER_TEST_MODE it is a filter whose handler does what the mode says.
func TestMain(m *testing.M) {
	mode := os.Getenv("FILTER_TEST_MODE")
	if mode == "" {
		os.Exit(m.Run())
	}
	os.Exit(helperMain(mode))
}

func helperMain(mode string) int {
	Harden()
	s := Settings{Output: os.Getenv("FILTER_TEST_OUTPUT") != "no", Spool: spool.Settings{Dir: os.Getenv("FILTER_TEST_DIR"), Memory: 1 << 16}}
	if d, err := time.ParseDuration(os.Getenv("FILTER_TEST_DEADLINE")); err == nil {
		s.Deadline = d
	}
	if mode == "alone" || Supervised() {
		switch mode {
		case "fail":
			return Fail(status.Defer(status.Enhanced{Class: 4, Subject: 3, Detail: 5}, "configuration", nil))
		case "exit-0-at-once":
			return 0
		case "exit-78-at-once":
			return 78
		}
		return Run(context.Background(), s, helper(mode))
	}
	return Supervise(s)
}

type helper string

// Filter does what the mode says.
func (mode helper) Filter(ctx context.Context, env Envelope, msg *spool.Spool, out io.Writer) status.Result {
	body := io.NewSectionReader(msg, 0, msg.Size())
	switch mode {
	case "panic":
		panic("in the handler")
	case "goroutine-panic":
		go func() { panic("in a goroutine") }()
		select {}
	case "map-write":
		m := map[int]int{}
		for range 8 {
			go func() {
				for {
					m[1]++
				}
			}()
		}
		select {}
	case "stack-overflow":
		return status.Result{Text: strconv.Itoa(deeper(1))}
	case "exit-2", "exit-0", "exit-65", "exit-78":
		code, err := strconv.Atoi(strings.TrimPrefix(string(mode), "exit-"))
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	case "log-fatal":
		log.Fatal("fatal")
	case "hang":
		select {}
	case "give-up":
		<-ctx.Done()
		return status.From(ctx.Err())
	case "sigkill", "sigsegv", "sigterm":
		sig := map[helper]syscall.Signal{"sigkill": syscall.SIGKILL, "sigsegv": syscall.SIGSEGV, "sigterm": syscall.SIGTERM}[mode]
		must(syscall.Kill(os.Getpid(), sig))
		select {}
	case "empty":
		return status.Delivered()
	case "torn-panic", "torn-sigkill", "torn-exit-0", "torn-refused":
		must(write(out, strings.Repeat("5.1.1 torn\n", 100000)))
		switch mode {
		case "torn-panic":
			go func() { panic("torn") }()
			select {}
		case "torn-sigkill":
			must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
		case "torn-exit-0":
			os.Exit(0)
		}
		return status.Reject(status.Enhanced{Class: 5, Subject: 7, Detail: 1}, "refused", nil)
	case "65":
		return status.Reject(status.Enhanced{Class: 5, Subject: 6, Detail: 0}, "malformed", nil)
	case "67":
		return status.Reject(status.Enhanced{Class: 5, Subject: 1, Detail: 1}, "no such user", nil)
	case "77":
		return status.Reject(status.Enhanced{Class: 5, Subject: 7, Detail: 1}, "a\r\nb", nil)
	case "75":
		return status.From(errors.New("open /etc/secret: permission denied"))
	case "envelope":
		must(write(out, fmt.Sprintf("%+v\n", env)))
		return status.Delivered()
	case "secured":
		return secured(out)
	case "pid":
		must(os.WriteFile(os.Getenv("FILTER_TEST_DIR")+"/pid", []byte(strconv.Itoa(os.Getpid())), 0o600))
		time.Sleep(time.Minute)
	case "noise":
		fmt.Fprintln(os.Stderr, "a note on standard error")
	}
	if out != nil {
		_, err := io.Copy(out, body)
		must(err)
	}
	return status.Delivered()
}

// secured reports what Harden is to have set.
func secured(out io.Writer) status.Result {
	var core unix.Rlimit
	must(unix.Getrlimit(unix.RLIMIT_CORE, &core))
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	must(err)
	must(write(out, fmt.Sprintf("core=%d,%d dumpable=%d fds=%d stack=%d\n", core.Cur, core.Max, dumpable, unix.Stderr, debug.SetMaxStack(maxStack))))
	return status.Delivered()
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// bottom is never reached.
var bottom = -1

//go:noinline
func deeper(n int) int {
	if n == bottom {
		return n
	}
	var pad [1024]byte
	pad[n%1024] = byte(n)
	return deeper(n+1) + int(pad[(n+1)%1024])
}

type ended struct {
	code           int
	stdout, stderr string
}

func command(t *testing.T, mode string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "FILTER_TEST_MODE="+mode, "FILTER_TEST_DIR="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd, input string) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdin == nil {
		cmd.Stdin = strings.NewReader(input)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

const message = "Subject: a\n\nbody\n"

const later = "4.3.0 temporary failure, try again later\n"

// THREATS C17: whatever becomes of the child, the parent says one of five exit codes, one line that agrees with it, and
// nothing on standard error.
func TestC17EveryEnd(t *testing.T) {
	tests := []struct {
		mode string
		want ended
	}{
		{"success", ended{0, message, ""}},
		{"noise", ended{0, message, ""}},
		{"65", ended{65, "5.6.0 malformed\n", ""}},
		{"67", ended{67, "5.1.1 no such user\n", ""}},
		{"77", ended{77, "5.7.1 a??b\n", ""}},
		{"fail", ended{75, "4.3.5 configuration\n", ""}},
		{"75", ended{75, later, ""}},
		{"panic", ended{75, later, ""}},
		{"goroutine-panic", ended{75, later, ""}},
		{"map-write", ended{75, later, ""}},
		{"stack-overflow", ended{75, later, ""}},
		{"log-fatal", ended{75, later, ""}},
		{"exit-2", ended{75, later, ""}},
		{"exit-78", ended{75, later, ""}},
		{"exit-65", ended{75, later, ""}}, // only Run's own word is believed
		{"exit-0", ended{75, later, ""}},
		{"exit-0-at-once", ended{75, later, ""}},
		{"exit-78-at-once", ended{75, later, ""}},
		{"sigkill", ended{75, later, ""}},
		{"sigsegv", ended{75, later, ""}},
		{"sigterm", ended{75, later, ""}},
		{"hang", ended{75, later, ""}},
		{"give-up", ended{75, later, ""}},
		{"empty", ended{75, later, ""}},
		{"torn-panic", ended{75, later, ""}},
		{"torn-sigkill", ended{75, later, ""}},
		{"torn-exit-0", ended{75, later, ""}},
		{"torn-refused", ended{77, "5.7.1 refused\n", ""}},
		{"secured", ended{0, "core=0,0 dumpable=0 fds=2 stack=67108864\n", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			var env []string
			if tt.mode == "hang" || tt.mode == "give-up" {
				env = []string{"FILTER_TEST_DEADLINE=400ms"}
			}
			if got := finish(t, command(t, tt.mode, env...), message); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Without a parent the rules are the same, as far as a process can keep them for itself.
func TestAlone(t *testing.T) {
	if got := finish(t, command(t, "alone"), message); got != (ended{0, message, ""}) {
		t.Errorf("got %+v", got)
	}
	if got := finish(t, command(t, "alone"), ""); got != (ended{75, later, ""}) {
		t.Errorf("got %+v", got)
	}
}

// THREATS C19: nothing on standard input is a writer that died.
func TestEmptyInput(t *testing.T) {
	if got := finish(t, command(t, "success"), ""); got != (ended{75, later, ""}) {
		t.Errorf("got %+v", got)
	}
}

func TestNoOutputIsDue(t *testing.T) {
	if got := finish(t, command(t, "empty", "FILTER_TEST_OUTPUT=no"), message); got != (ended{0, "", ""}) {
		t.Errorf("got %+v", got)
	}
	if got := finish(t, command(t, "noise", "FILTER_TEST_OUTPUT=no", "TMPDIR=/nonexistent"), message); got != (ended{0, "", ""}) {
		t.Errorf("got %+v", got)
	}
	// THREATS C20: with nobody to read, delivery stands.
	cmd := command(t, "success", "FILTER_TEST_OUTPUT=no")
	cmd.Stdout = brokenPipe(t)
	if got := finish(t, cmd, message); got.code != 0 {
		t.Errorf("got %+v", got)
	}
}

// THREATS C20: a message that could not be written is a temporary failure, not a signal.
func TestC20NobodyReads(t *testing.T) {
	for _, mode := range []string{"success", "alone", "65"} {
		cmd := command(t, mode)
		cmd.Stdout = brokenPipe(t)
		want := 75
		if mode == "65" {
			want = 65
		}
		if got := finish(t, cmd, message); got.code != want || got.stderr != "" {
			t.Errorf("%s: got %+v", mode, got)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		need.Missing(t, err)
	}
	defer full.Close()
	cmd := command(t, "success")
	cmd.Stdout = full
	if got := finish(t, cmd, message); got.code != 75 {
		t.Errorf("got %+v", got)
	}
}

func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// A message of some size comes out as it went in, from a pipe and from a file, and nothing stays in the directory.
func TestOctets(t *testing.T) {
	big := strings.Repeat("\x00\xff\r\r\nline\n", 300000)
	dir := t.TempDir()
	file := filepath.Join(dir, "message")
	if err := os.WriteFile(file, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fromFile := command(t, "success")
	fromFile.Stdin = f
	for name, cmd := range map[string]*exec.Cmd{"pipe": command(t, "success"), "file": fromFile} {
		if got := finish(t, cmd, big); got.code != 0 || got.stdout != big {
			t.Errorf("%s: %d, %d octets", name, got.code, len(got.stdout))
		}
		for _, v := range cmd.Env {
			if dir, ok := strings.CutPrefix(v, "FILTER_TEST_DIR="); ok {
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Errorf("%s: left %v, %v", name, left, err)
				}
			}
		}
	}
	// A file that somebody has begun to read goes on from there.
	if _, err := f.Seek(3, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "success")
	cmd.Stdin = f
	if got := finish(t, cmd, ""); got.stdout != big[3:] {
		t.Errorf("%d octets", len(got.stdout))
	}
}

// When the parent is killed the child does not go on alone; a polite end is "try again later".
func TestParentEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		dir := t.TempDir()
		cmd := command(t, "pid", "FILTER_TEST_DIR="+dir)
		cmd.Stdin = strings.NewReader(message)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		child := waitForPid(t, filepath.Join(dir, "pid"))
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if sig == syscall.SIGTERM && cmd.ProcessState.ExitCode() != 75 {
			t.Errorf("%v: %v", sig, err)
		}
		gone := false
		for range 400 {
			if gone = errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || isZombie(child); gone {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !gone {
			t.Errorf("%v: the child lives", sig)
			must(syscall.Kill(child, syscall.SIGKILL))
		}
	}
}

// isZombie tells whether a process is dead, only nobody has asked yet.
func isZombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func waitForPid(t *testing.T, file string) int {
	t.Helper()
	for range 1000 {
		if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
			pid, err := strconv.Atoi(string(b))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the child did not start")
	return 0
}

// A marker that somebody else has set does not make a child.
func TestMarkerOfAnotherProcess(t *testing.T) {
	got := finish(t, command(t, "success", marker+"=1"), message)
	if got != (ended{0, message, ""}) {
		t.Errorf("got %+v", got)
	}
	// The child's own environment does not make children of what it starts.
	if os.Getenv(marker) != "" || Supervised() {
		t.Error("the test is supervised")
	}
}

func TestParentCannotStartTheChild(t *testing.T) {
	got := finish(t, command(t, "success", "FILTER_TEST_DIR=/nonexistent"), message)
	if got != (ended{75, later, ""}) {
		t.Errorf("got %+v", got)
	}
}

func TestVerdictLine(t *testing.T) {
	for _, r := range []status.Result{{}, status.Delivered(), status.Reject(status.Enhanced{Class: 5, Subject: 1, Detail: 1}, "no such user", nil)} {
		got, err := parseVerdict(line(r))
		if err != nil || got.Exit() != r.Exit() || got.Line() != r.Line() {
			t.Errorf("%v became %v, %v", r, got, err)
		}
	}
	for _, bad := range []string{"", "\n", "4.3.0 x", "4.3 x\n", "4.3.0\n", "a.b.c x\n", "4.3.0 a\nb\n", "-4.3.0 x\n", "4.3.99999999 x\n"} {
		if r, err := parseVerdict(bad); err == nil {
			t.Errorf("%q: %v", bad, r)
		}
	}
}
