package limits

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperknife/test/harness"
)

// A run is what one deliver-filter did and took, supervisor and child together.
type run struct {
	code   int
	stderr string
	wall   time.Duration
	cpu    time.Duration
	peak   int64 // resident octets, both processes' peaks added
}

// filter runs deliver-filter for the incapable recipient.
func filter(t testing.TB, dir string, stdin, stdout *os.File, args ...string) run {
	t.Helper()
	cmd := exec.Command(binary(t, "deliver-filter"), append([]string{"-config", filepath.Join(dir, "paperknife.toml"),
		"-d", incapable, "-f", sender}, args...)...)
	cmd.Stdin = stdin
	if stdout != nil {
		cmd.Stdout = stdout
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done, peak := make(chan struct{}), make(chan int64)
	go watch(cmd.Process.Pid, done, peak)
	err := cmd.Wait()
	wall := time.Since(begun)
	close(done)
	r := run{stderr: stderr.String(), wall: wall, peak: <-peak}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r.code = cmd.ProcessState.ExitCode()
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() // those it has waited for included
	return r
}

// watch follows the peaks of a process and of its children until done. A peak never falls, so all that can be missed
// is what grew in the last millisecond. The rusage of a process tells less: it counts what its parent had when it was
// started.
func watch(pid int, done <-chan struct{}, result chan<- int64) {
	peaks := map[int]int64{}
	for {
		for _, p := range append(children(pid), pid) {
			if n, err := harness.Memory(p, "VmHWM"); err == nil {
				peaks[p] = max(peaks[p], n)
			}
		}
		select {
		case <-done:
			var sum int64
			for _, n := range peaks {
				sum += n
			}
			result <- sum
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// children returns the processes that a process has started. It may be gone.
func children(pid int) (found []int) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}
