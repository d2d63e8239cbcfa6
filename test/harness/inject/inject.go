// Package inject runs a program under ptrace and breaks its system calls, one exactly named call at a time: the call
// that syncs the file, and not the one that syncs its directory; the fortieth call of the process, whichever thread makes
// it. strace can do neither for a program whose work moves between threads, since it counts for each thread and does not
// know what a descriptor is open on. Calls are broken where the kernel is entered, so the program is the one that is
// installed. Linux on amd64 only.
//
// A test binary is its own tracer: its TestMain calls Main first.
package inject

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Plan says what is to happen to the calls that are made from now on.
type Plan struct {
	Dir    string // calls on files below it have a name
	Fault  *Fault
	Kill   int  // kill the process that makes the n-th call that counts, before it is made; 0: none
	Record bool // list the named calls
}

// A Fault breaks a call.
type Fault struct {
	Call  string        // its name, as a Report has it
	Nth   int           // which of this name, from 1
	Errno syscall.Errno // what it returns. close is made all the same, as the kernel does; other calls are not
	Stuck bool          // from then on every call of this kind fails, whatever it is on
	Delay int           // milliseconds for which the call hangs before it is made, in place of an error
}

// A Report is what became of the plan before.
type Report struct {
	Calls  []string // the named calls in their order, if they were to be recorded
	Count  int      // calls that count: all but those that only wait or only concern memory, threads and signals
	Hits   int      // calls that were broken
	Killed bool
	Ended  bool // the program has ended
}

const (
	variable  = "PAPERKNIFE_INJECT"
	controlFD = 3
)

// hello is what the tracer says first.
type hello struct{ PID int }

// A Tracer is one program under ptrace.
type Tracer struct {
	control, remote *os.File
	out             *json.Encoder
	in              *json.Decoder
	pid             int
	last            *Report
}

// New returns the tracer for a program that is yet to be started.
func New() (*Tracer, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	t := &Tracer{control: os.NewFile(uintptr(pair[0]), "control"), remote: os.NewFile(uintptr(pair[1]), "control")}
	t.out, t.in = json.NewEncoder(t.control), json.NewDecoder(t.control)
	return t, nil
}

// Prepare turns a command into one that runs under this tracer, from its first call under a plan. A signal for the command reaches the
// program, and the exit code is the program's; 128 and the number of the signal for one that a signal ended.
func (t *Tracer) Prepare(cmd *exec.Cmd, plan Plan) error {
	if len(cmd.ExtraFiles) > 0 {
		return errors.New("inject: the command has files of its own")
	}
	program := cmd.Path
	cmd.Path = "/proc/self/exe"
	cmd.Args = append([]string{os.Args[0], program}, cmd.Args[1:]...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, variable+"="+strconv.Itoa(os.Getpid()))
	cmd.ExtraFiles = []*os.File{t.remote}
	return t.out.Encode(plan)
}

// started waits for the program to run.
func (t *Tracer) started() error {
	if t.pid != 0 {
		return nil
	}
	if err := t.remote.Close(); err != nil { // it is the tracer's now, and its end is to be seen
		return err
	}
	var h hello
	if err := t.in.Decode(&h); err != nil {
		return err
	}
	t.pid = h.PID
	return nil
}

// PID returns the process id of the program, which has been started.
func (t *Tracer) PID() (int, error) { return t.pid, t.started() }

// Plan puts another plan in force and reports on the one before. Once the program has ended it reports the end.
func (t *Tracer) Plan(p Plan) (Report, error) {
	if err := t.started(); err != nil {
		return Report{}, err
	}
	if t.last != nil {
		return *t.last, nil
	}
	// An error means that the program has ended, which its last report says.
	_ = t.out.Encode(p)
	var r Report
	if err := t.in.Decode(&r); err != nil {
		return Report{}, err
	}
	if r.Ended {
		t.last = &r
	}
	return r, nil
}

// End waits for the program to end, reports on the last plan, and gives the tracer back.
func (t *Tracer) End() (Report, error) {
	err := t.started()
	for err == nil && t.last == nil {
		var r Report
		if err = t.in.Decode(&r); err == nil && r.Ended {
			t.last = &r
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("inject: the tracer was killed")
	}
	if err = errors.Join(err, t.control.Close()); err != nil {
		return Report{}, err
	}
	return *t.last, nil
}

// Close gives the tracer back; a program that still runs is killed.
func (t *Tracer) Close() { _ = t.control.Close() }

// Main turns the process into a tracer when it was started as one, and else does nothing.
func Main() {
	if os.Getenv(variable) != strconv.Itoa(os.Getppid()) {
		return
	}
	if err := os.Unsetenv(variable); err != nil {
		panic(err)
	}
	os.Exit(trace(os.Args[1:], os.NewFile(controlFD, "control")))
}
