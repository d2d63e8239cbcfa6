// Package tool holds what the paperknife commands do, one file each, and the table of them.
//
// It is for the postmaster at a terminal. It never delivers: the demonstration does so through the server, into a
// directory of its own.
package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"paperknife/internal/config"
)

// Exit codes, sysexits.h.
const (
	exitFailed = 1
	exitUsage  = 64
	exitData   = 65
	exitConfig = 78
)

// Streams are those of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// A command is one word after "paperknife".
type command struct {
	name      string
	arguments string
	summary   string
	run       func(ctx context.Context, args []string, s Streams) error
}

// commands are all there are. A new one is a file of its own and a line here.
func commands() []command {
	return []command{
		{"demo", demoArguments, "the main job, with no configuration", runDemo},
		{"init", initArguments, "a configuration, keys and certificates to begin with", runInit},
		{"check", checkArguments, "everything that is wrong with an installation, and what to do", runCheck},
		{"seal", sealArguments, "a sealed message from a plain one", runSeal},
		{"explain", explainArguments, "every layer and the decision, without delivering", runExplain},
	}
}

// errUsage is a command line that cannot be meant; its text may be empty.
type errUsage string

func (e errUsage) Error() string { return string(e) }

func usagef(format string, args ...any) error { return errUsage(fmt.Sprintf(format, args...)) }

// errFound says that check found errors. They are told already.
var errFound = errors.New("check found errors")

// errMessage marks an error that is the message's fault.
type errMessage struct{ error }

func (e errMessage) Unwrap() error { return e.error }

// Run runs the command that args name and returns the exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	if len(args) > 0 {
		switch args[0] {
		case "help", "-h", "-help", "--help":
			usage(s.Out)
			return 0
		}
		for _, c := range commands() {
			if c.name == args[0] {
				return exitCode(c.run(ctx, args[1:], s), s.Err, func() { fmt.Fprintf(s.Err, "usage: paperknife %s %s\n", c.name, c.arguments) })
			}
		}
	}
	return exitCode(usagef(""), s.Err, func() { usage(s.Err) })
}

func exitCode(err error, stderr io.Writer, usage func()) int {
	var problems config.Problems
	var message errMessage
	var wrong errUsage
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFound):
		return exitConfig
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, problems)
		return exitConfig
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "paperknife: %v\n", err)
	}
	switch {
	case errors.As(err, &wrong):
		usage()
		return exitUsage
	case errors.As(err, &message):
		return exitData
	}
	return exitFailed
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  paperknife %s %s\n        %s\n", c.name, c.arguments, c.summary)
	}
}

// defaultConfig is where lmtpd looks too.
const defaultConfig = "/etc/paperknife/paperknife.toml"

// newFlags returns the flags of one command. What is wrong with them is told on stderr, help on stdout.
func newFlags(name, arguments string, s Streams) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		flags.SetOutput(s.Out)
		fmt.Fprintf(s.Out, "usage: paperknife %s %s\n", name, arguments)
		flags.PrintDefaults()
		flags.SetOutput(io.Discard)
	}
	return flags
}

// parseFlags parses the flags and takes from least to most arguments after them.
func parseFlags(flags *flag.FlagSet, args []string, least, most int) error {
	help := flags.Usage
	flags.Usage = func() {}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			help()
			return err
		}
		return usagef("%v", err)
	}
	switch n := flags.NArg(); {
	case n < least:
		return usagef("an argument is missing")
	case n > most:
		return usagef("%q is one argument too many", flags.Arg(most))
	}
	return nil
}

// errWriter keeps the first error of many prints.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}
