// Package cputime lets a test bound the processor time of what it does. A bound on the clock would fail on a busy machine.
package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Used is the processor time that this process has taken so far.
func Used(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// noise is how much slower a shared machine can be from one minute to the next.
const noise = 4

// Limit fails the test when it has used more than limit since start, with allowance for a shared machine, and for the
// race detector.
func Limit(tb testing.TB, start, limit time.Duration) {
	tb.Helper()
	limit *= noise
	if race {
		limit *= 5
	}
	if took := Used(tb) - start; took > limit {
		tb.Errorf("took %v of processor time, more than %v", took, limit)
	}
}
