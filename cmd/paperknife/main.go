// Command paperknife is the postmaster's tool.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/tool"
)

// Exit codes, sysexits.h.
const (
	exitFailed = 1
	exitUsage  = 64
	exitConfig = 78
)

const usage = `usage:
  paperknife demo [DIR]                                       the main job, with no configuration
  paperknife explain -config FILE [-json] [-at TIME] [-recipient ADDRESS] < MESSAGE
                                                              every layer and the decision, without delivering
`

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	err := errUsage
	if len(args) > 0 {
		switch args[0] {
		case "demo":
			err = demo(ctx, args[1:], out, stderr)
		case "explain":
			err = explain(ctx, args[1:], in, out, stderr)
		case "init", "seal", "check":
			err = fmt.Errorf("%s is not there yet", args[0])
		}
	}
	var problems config.Problems
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return exitUsage
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	fmt.Fprintf(stderr, "paperknife: %v\n", err)
	return exitFailed
}

func demo(ctx context.Context, args []string, out, stderr io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	if flags.Parse(args) != nil || flags.NArg() > 1 {
		return errUsage
	}
	return tool.Demo(ctx, flags.Arg(0), out)
}

func explain(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o tool.ExplainOptions
	file := flags.String("config", "/etc/paperknife/paperknife.toml", "configuration `file`")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object")
	at := flags.String("at", "", "judge certificates as of this `time`, RFC 3339")
	flags.StringVar(&o.Recipient, "recipient", "", "decide for this `address`")
	flags.String("sender", "", "envelope sender `address`; it decides nothing yet")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return errUsage
	}
	if *at != "" {
		var err error
		if o.At, err = time.Parse(time.RFC3339, *at); err != nil {
			return fmt.Errorf("-at: %w", err)
		}
	}
	c, err := config.Load(*file)
	if err != nil {
		return err
	}
	return tool.Explain(ctx, c, o, in, out)
}
