package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// marker names the environment variable that tells the child who its parent is.
const marker = "PAPERKNIFE_FILTER_PARENT"

// verdictFD is where the child says its last word. It is no pipe, so nothing can block on it.
const verdictFD = 3

const (
	maxVerdict = 1 << 10
	maxStderr  = 2 << 10
)

// Supervised tells whether this process is a child that Supervise has started.
func Supervised() bool { return os.Getenv(marker) == strconv.Itoa(os.Getppid()) }

// Supervise starts this program again, waits for it, and returns the exit code. The child's output is held back until
// it has ended well, so a torn message never leaves; whatever else happens to the child is a temporary failure. When the
// parent is killed the child dies too.
func Supervise(s Settings) int {
	s.setDefaults()
	// The kernel kills the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var held *os.File
	r := guard(func() status.Result {
		if s.Output && noOutput() {
			return status.From(errNoOutput)
		}
		var r status.Result
		held, r = supervise(s)
		return r
	})
	if r.Delivered() && s.Output {
		n, err := copyOut(held)
		if err == nil {
			return r.Exit()
		}
		s.Log.Error("standard output", "error", err)
		if n > 0 {
			return status.ExitTempFail
		}
		r = status.Result{}
	}
	if !r.Delivered() {
		if r.Err != nil {
			s.Log.Error("filter", "error", r.Err)
		}
		// An error leaves the exit code, which says the same.
		_, _ = os.Stdout.WriteString(line(r))
	}
	return r.Exit()
}

// supervise returns what the child wrote, and the verdict on it.
func supervise(s Settings) (*os.File, status.Result) {
	var held *os.File // without one the child's output goes nowhere
	if s.Output {
		var err error
		if held, err = spool.Unlinked(s.Spool); err != nil {
			return nil, status.From(err)
		}
	}
	word, err := memory()
	if err != nil {
		return nil, status.From(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	stderr := &head{limit: maxStderr}
	cmd := child(ctx, held, stderr, word)
	if err := cmd.Run(); cmd.ProcessState == nil {
		return nil, status.From(fmt.Errorf("start: %w", err))
	}
	r, err := verdict(cmd.ProcessState, word)
	if err == nil && r.Delivered() && s.Output {
		err = notEmpty(held)
	}
	if err != nil {
		return nil, status.From(fmt.Errorf("%w; standard error: %q", errors.Join(err, context.Cause(ctx)), stderr.b.Bytes()))
	}
	return held, r
}

// child returns the command that starts this program again.
func child(ctx context.Context, stdout *os.File, stderr io.Writer, word *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = os.Args
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, marker+"=") })
	cmd.Env = append(environ, marker+"="+strconv.Itoa(os.Getpid()))
	cmd.Stdin = os.Stdin // itself, not a copy
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.Stderr = stderr
	cmd.ExtraFiles = []*os.File{word} // verdictFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	return cmd
}

// verdict believes the child only when its word and its exit code agree. A child that ended without a word did not end
// in Run, whatever its exit code.
func verdict(state *os.ProcessState, word *os.File) (status.Result, error) {
	b := make([]byte, maxVerdict)
	n, err := word.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return status.Result{}, err
	}
	if !state.Exited() || n == 0 {
		return status.Result{}, fmt.Errorf("child ended without a verdict: %v", state)
	}
	r, err := parseVerdict(string(b[:n]))
	if err != nil {
		return status.Result{}, err
	}
	if r.Exit() != state.ExitCode() {
		return status.Result{}, fmt.Errorf("verdict %q, but %v", b[:n], state)
	}
	return r, nil
}

// writeVerdict writes the Result as its line.
func writeVerdict(r status.Result) error {
	word := line(r)
	if len(word) > maxVerdict {
		word = word[:maxVerdict-1] + "\n"
	}
	unix.CloseOnExec(verdictFD)
	_, err := unix.Pwrite(verdictFD, []byte(word), 0)
	return err
}

// parseVerdict reads what writeVerdict wrote.
func parseVerdict(word string) (status.Result, error) {
	word, whole := strings.CutSuffix(word, "\n")
	code, text, found := strings.Cut(word, " ")
	numbers := strings.Split(code, ".")
	if !whole || !found || len(numbers) != 3 || strings.ContainsAny(word, "\r\n") {
		return status.Result{}, fmt.Errorf("malformed verdict %q", word)
	}
	var e [3]int
	for i, number := range numbers {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return status.Result{}, fmt.Errorf("malformed verdict %q", word)
		}
		e[i] = int(n)
	}
	return status.Result{Status: status.Enhanced{Class: e[0], Subject: e[1], Detail: e[2]}, Text: text}, nil
}

func notEmpty(f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		err = errors.New("child wrote no message")
	}
	return err
}

// copyOut writes the message to standard output.
func copyOut(held *os.File) (int64, error) {
	if _, err := held.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(os.Stdout, held)
}

// memory opens a file in memory.
func memory() (*os.File, error) {
	fd, err := unix.MemfdCreate("verdict", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "verdict"), nil
}

// A head keeps the first octets and takes the rest.
type head struct {
	b     bytes.Buffer
	limit int
}

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	h.b.Write(p[:min(len(p), max(0, h.limit-h.b.Len()))])
	return len(p), nil
}
