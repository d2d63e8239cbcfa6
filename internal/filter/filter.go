// Package filter is the pipe end of delivery: a message on standard input, an exit code, and perhaps the message on
// standard output. A mail server takes the exit code as the last word, and any it does not know as a bounce; so the work
// is done in a child process, whose end of any kind is understood by a parent that does nothing else. Only the exit
// codes 0, 65, 67, 75 and 77 ever leave this package, never 0 for a message that was not read to its end or whose output
// is not all written, and never a word on standard error.
package filter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// A Handler takes one message. What it writes to out is the message for standard output; out is nil when a target
// delivers.
type Handler interface {
	Filter(ctx context.Context, env Envelope, msg *spool.Spool, out io.Writer) status.Result
}

// Settings of a filter. Parent and child are given the same.
type Settings struct {
	Given    Given
	Output   bool           // a message is due on standard output
	Spool    spool.Settings // also where the parent holds the output back
	Deadline time.Duration  // 120 s; below what mail servers and Sieve allow, which bounce
	Log      *slog.Logger   // never to standard output or error: mail servers put those into a bounce; nil: nowhere
}

func (s *Settings) setDefaults() {
	if s.Deadline <= 0 {
		s.Deadline = 120 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
}

// Run reads the message from standard input, calls h once and returns the exit code. It is the child's part, or the
// whole where there is no parent.
func Run(ctx context.Context, s Settings, h Handler) int {
	s.setDefaults()
	// The handler is to give up by itself before the parent ends it.
	ctx, cancel := context.WithTimeout(ctx, s.Deadline-s.Deadline/10)
	defer cancel()
	out := newOutput(os.Stdout)
	r := guard(func() status.Result { return run(ctx, s, h, out) })
	if r.Err != nil {
		s.Log.Error("filter", "status", r.Status.String(), "error", r.Err)
	}
	return conclude(r, out.written == 0)
}

// Fail ends a program that cannot call Run: it says r where the mail server, or the parent, looks for it, and returns the
// exit code. A Result that counts as success becomes a temporary failure.
func Fail(r status.Result) int {
	if r.Delivered() {
		r = status.Result{}
	}
	return conclude(r, true)
}

// conclude says the last word. silent tells that nothing has been written to standard output yet: only then may the line
// go there.
func conclude(r status.Result, silent bool) int {
	switch {
	case Supervised():
		if err := writeVerdict(r); err != nil {
			return status.ExitTempFail
		}
	case !r.Delivered() && silent:
		// An error leaves the exit code, which says the same.
		_, _ = os.Stdout.WriteString(line(r))
	}
	return r.Exit()
}

// line returns the one line that goes with the exit code: Postfix takes a code at the very start of the output over the
// exit code.
func line(r status.Result) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, r.Line()) + "\n"
}

func run(ctx context.Context, s Settings, h Handler, out *output) status.Result {
	if s.Output && noOutput() {
		return status.From(errNoOutput)
	}
	msg, err := receive(os.Stdin, s.Spool)
	if err != nil {
		return status.From(fmt.Errorf("standard input: %w", err))
	}
	env, err := envelope(s.Given, msg)
	if err != nil {
		return status.From(errors.Join(err, msg.Close()))
	}
	var w io.Writer
	if s.Output {
		w = out
	}
	r := guard(func() status.Result { return h.Filter(ctx, env, msg, w) })
	if err := msg.Close(); err != nil {
		s.Log.Error("spool", "error", err)
	}
	if !r.Delivered() {
		return r
	}
	if s.Output && out.empty() {
		return status.From(errors.New("no output"))
	}
	if err := out.Flush(); err != nil {
		return status.From(fmt.Errorf("standard output: %w", err))
	}
	return r
}

var errNoOutput = errors.New("standard output is closed")

// noOutput reports whether standard output was closed when the program was started. The runtime then has opened
// /dev/null in its place, for reading too, and a message written there would be gone with exit code 0.
func noOutput() bool {
	var st unix.Stat_t
	if err := unix.Fstat(unix.Stdout, &st); err != nil {
		return true
	}
	flags, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_GETFL, 0)
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
	return err != nil || null && flags&unix.O_ACCMODE == unix.O_RDWR
}

// errEmpty is for an input without an octet: a writer that died, not a message.
var errEmpty = errors.New("no message")

// receive reads in to its end (THREATS C19). A regular file is taken as it is.
func receive(in *os.File, settings spool.Settings) (*spool.Spool, error) {
	msg, err := fromFile(in)
	if msg == nil && err == nil {
		msg, err = fromPipe(in, settings)
	}
	if err != nil {
		return nil, err
	}
	if msg.Size() == 0 {
		return nil, errors.Join(errEmpty, msg.Close())
	}
	return msg, nil
}

// fromFile returns nil when in is no regular file, or is not at its beginning.
func fromFile(in *os.File) (*spool.Spool, error) {
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	at, err := in.Seek(0, io.SeekCurrent)
	if err != nil || at != 0 {
		return nil, err
	}
	return spool.FromFile(in)
}

func fromPipe(in io.Reader, settings spool.Settings) (*spool.Spool, error) {
	w := spool.New(settings)
	if _, err := io.Copy(w, in); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Finish()
}

func envelope(given Given, msg *spool.Spool) (Envelope, error) {
	head := make([]byte, min(msg.Size(), HeadLength))
	if _, err := msg.ReadAt(head, 0); err != nil && err != io.EOF {
		return Envelope{}, err
	}
	return ResolveEnvelope(given, os.LookupEnv, head), nil
}

// guard runs one step; a panic in it becomes "try again later".
func guard(step func() status.Result) (r status.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = status.From(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return step()
}
