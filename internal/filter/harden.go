package filter

import (
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxStack is far more than any step needs, none of which recurses on input; Go's own limit of 1 GB would have a runaway
// take that much memory, and seconds, before it ends.
const maxStack = 64 << 20

// Harden is to be the first statement of main, in the filter's parent and child and in lmtpd. It turns a fatal fault of
// the runtime into SIGABRT (THREATS C17: exit code 2 is a bounce), keeps keys out of core files and from other processes,
// and leaves it to the writer to notice that nobody reads (C20). What it cannot set, it leaves: mail is worth more.
func Harden() {
	debug.SetTraceback("crash")
	debug.SetMaxStack(maxStack)
	signal.Ignore(syscall.SIGPIPE)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
