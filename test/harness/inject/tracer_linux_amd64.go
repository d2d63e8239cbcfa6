package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported says whether there is a tracer for this system.
const Supported = true

// A tracer is the process between the test and the program. One thread makes all calls of ptrace; another takes the
// plans.
type tracer struct {
	out *json.Encoder

	mu     sync.Mutex
	plan   Plan
	report Report
	nth    int // calls seen of the name of plan.Fault

	known   map[int]bool          // threads that have come to their first stop
	returns map[int]syscall.Errno // what a call is to return, by thread
	asleep  map[int]time.Time     // threads that hang in a call, and until when
}

// trace is the process. It returns its exit code.
func trace(argv []string, control *os.File) int {
	unix.CloseOnExec(int(control.Fd()))
	runtime.LockOSThread()
	t := &tracer{out: json.NewEncoder(control), known: map[int]bool{}, returns: map[int]syscall.Errno{}, asleep: map[int]time.Time{}}
	in := json.NewDecoder(control)
	if err := in.Decode(&t.plan); err != nil {
		return fail(err)
	}
	pid, err := begin(argv)
	if err != nil {
		return fail(err)
	}
	t.known[pid] = true
	if err := t.out.Encode(hello{pid}); err != nil {
		return fail(err)
	}
	go t.takePlans(in)
	go forward(pid)
	if err := unix.PtraceSyscall(pid, 0); err != nil {
		return fail(err)
	}
	status, err := t.run(pid)
	if err != nil {
		return fail(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Ended = true
	// The test may have gone, and then nobody wants to know.
	_ = t.out.Encode(t.report)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "inject:", err)
	return 126
}

// begin starts the program, which stops before its first instruction.
func begin(argv []string) (int, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return 0, err
	}
	return pid, unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEFORK|
		unix.PTRACE_O_TRACEVFORK|unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL)
}

// forward hands on what would end the program.
func forward(pid int) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for s := range signals {
		// An error means that it has ended.
		_ = unix.Kill(pid, s.(syscall.Signal))
	}
}

// takePlans answers each plan with the report on the one before. Without a test there is nothing to do here, and the kernel
// kills the program.
func (t *tracer) takePlans(in *json.Decoder) {
	for {
		var p Plan
		err := in.Decode(&p)
		if errors.Is(err, io.EOF) {
			os.Exit(0)
		}
		if err != nil {
			os.Exit(fail(err))
		}
		t.mu.Lock()
		report := t.report
		t.plan, t.report, t.nth = p, Report{}, 0
		err = t.out.Encode(report)
		t.mu.Unlock()
		if err != nil {
			os.Exit(fail(err))
		}
	}
}

// run lets the program go from stop to stop, until it and all that it has started have ended.
func (t *tracer) run(pid int) (ended unix.WaitStatus, err error) {
	for {
		tid, status, err := t.wait()
		if errors.Is(err, unix.ECHILD) {
			return ended, nil
		}
		if err != nil {
			return ended, err
		}
		if tid == 0 {
			continue
		}
		if !status.Stopped() {
			delete(t.known, tid)
			delete(t.returns, tid)
			delete(t.asleep, tid)
			if tid == pid {
				ended = status
			}
			continue
		}
		if err := t.stopped(tid, status); err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile
			return ended, err
		}
	}
}

// wait returns the next thread that has stopped or ended, 0 when one that hung goes on.
func (t *tracer) wait() (int, unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		options := unix.WALL
		if len(t.asleep) > 0 {
			options |= unix.WNOHANG
		}
		tid, err := unix.Wait4(-1, &status, options, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if tid != 0 || err != nil {
			return tid, status, err
		}
		time.Sleep(time.Millisecond)
		for tid, until := range t.asleep {
			if time.Now().After(until) {
				delete(t.asleep, tid)
				if err := unix.PtraceSyscall(tid, 0); err != nil && !errors.Is(err, unix.ESRCH) {
					return 0, status, err
				}
			}
		}
	}
}

// stopped does what is to be done at a stop, and lets the thread go on.
func (t *tracer) stopped(tid int, status unix.WaitStatus) error {
	stop := status.StopSignal()
	switch {
	case stop == unix.SIGTRAP|0x80:
		goOn, err := t.atCall(tid)
		if err != nil || !goOn {
			return err
		}
		stop = 0
	case stop == unix.SIGTRAP && status.TrapCause() > 0:
		stop = 0 // a thread or process was made, or a program started
	case stop == unix.SIGSTOP && !t.known[tid]:
		stop = 0 // the first stop of what was made
	}
	t.known[tid] = true
	return unix.PtraceSyscall(tid, int(stop))
}

// callInfo is struct ptrace_syscall_info, ptrace(2).
type callInfo struct {
	op   uint8
	_    [3]byte
	arch uint32
	_    [2]uint64 // where the program stands
	nr   uint64    // after a call: what it returned
	args [6]uint64
	_    uint64
}

const (
	atEntry = 1
	atExit  = 2
)

func getInfo(tid int) (info callInfo, err error) {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		err = errno
	}
	return info, err
}

// atCall looks at a call that is about to be made, or was made. It returns false when the thread is to wait.
func (t *tracer) atCall(tid int) (bool, error) {
	info, err := getInfo(tid)
	if err != nil {
		return false, err
	}
	if info.op == atExit {
		errno, broken := t.returns[tid]
		if !broken {
			return true, nil
		}
		delete(t.returns, tid)
		return true, setRegisters(tid, func(r *unix.PtraceRegs) { r.Rax = -uint64(errno) })
	}
	if info.op != atEntry {
		return true, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !silent[info.nr] {
		t.report.Count++
		if t.report.Count == t.plan.Kill {
			t.report.Killed = true
			return false, unix.Kill(tid, unix.SIGKILL)
		}
	}
	if t.plan.Fault == nil && !t.plan.Record {
		return true, nil
	}
	return t.onFile(tid, info)
}

// onFile gives a call on a file its name, and breaks it when it is to be broken.
func (t *tracer) onFile(tid int, info callInfo) (bool, error) {
	f, known := forms[info.nr]
	if !known {
		return true, nil
	}
	file := fileName(t.plan.Dir, filePath(tid, f, info.args))
	if file == "" {
		return true, nil
	}
	name := f.name + " " + file
	if info.nr == unix.SYS_OPENAT && info.args[2]&unix.O_TMPFILE == unix.O_TMPFILE {
		name += "/#"
	}
	if t.plan.Record {
		t.report.Calls = append(t.report.Calls, name)
	}
	if !t.isBroken(f, name) {
		return true, nil
	}
	t.report.Hits++
	fault := t.plan.Fault
	if fault.Delay > 0 {
		t.asleep[tid] = time.Now().Add(time.Duration(fault.Delay) * time.Millisecond)
		return false, nil
	}
	t.returns[tid] = fault.Errno
	if f.name == "close" {
		return true, nil // the descriptor is gone, whatever close says
	}
	return true, setRegisters(tid, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) })
}

func (t *tracer) isBroken(f form, name string) bool {
	fault := t.plan.Fault
	if fault == nil {
		return false
	}
	if fault.Stuck && t.report.Hits > 0 {
		kind, _, _ := strings.Cut(fault.Call, " ")
		return kind == f.name
	}
	if name != fault.Call {
		return false
	}
	t.nth++
	return t.nth == fault.Nth
}

func setRegisters(tid int, change func(*unix.PtraceRegs)) error {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &r); err != nil {
		return err
	}
	change(&r)
	return unix.PtraceSetRegs(tid, &r)
}

// filePath returns the path that a call is on, "" where there is none.
func filePath(tid int, f form, args [6]uint64) string {
	proc := "/proc/" + strconv.Itoa(tid)
	var base, path string
	if f.path >= 0 {
		path = readString(tid, uintptr(args[f.path]))
		if filepath.IsAbs(path) {
			return path
		}
	}
	if f.fd < 0 || int32(args[f.fd]) == unix.AT_FDCWD {
		base, _ = os.Readlink(proc + "/cwd")
	} else {
		base, _ = os.Readlink(proc + "/fd/" + strconv.Itoa(int(int32(args[f.fd]))))
	}
	switch {
	case !filepath.IsAbs(base):
		return "" // a socket, a pipe, nothing
	case f.path < 0:
		return base
	}
	return filepath.Join(base, path)
}

// readString reads a string of the program's, up to the end of the second page.
func readString(tid int, at uintptr) string {
	const page = 4096
	var text []byte
	for range 2 {
		b := make([]byte, page-at%page)
		n, err := unix.ProcessVMReadv(tid, []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, []unix.RemoteIovec{{Base: at, Len: len(b)}}, 0)
		if err != nil {
			return string(text)
		}
		text = append(text, b[:n]...)
		if i := bytes.IndexByte(text, 0); i >= 0 {
			return string(text[:i])
		}
		at += uintptr(n)
	}
	return string(text)
}
