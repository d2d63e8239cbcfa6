// Command lmtpd is the LMTP server: it takes mail from the MTA, opens what is sealed for our domains, and delivers.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/filter"
)

// Exit codes of a server, sysexits.h. A mail server in front never sees them.
const (
	exitUsage  = 64
	exitConfig = 78
	exitFailed = 75
)

func main() {
	filter.Harden()
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("lmtpd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "/etc/paperknife/paperknife.toml", "configuration `file`")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: lmtpd -config FILE")
		return exitUsage
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	c, err := config.Load(*file)
	if err != nil {
		fmt.Fprintf(stderr, "lmtpd: %v\n", err)
		return exitConfig
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	started := false
	err = agent.Serve(ctx, c, log, agent.Control{Ready: func() { started = true }, Reload: reload})
	switch {
	case err == nil:
		return 0
	case !started:
		fmt.Fprintf(stderr, "lmtpd: %v\n", err)
		return exitConfig
	}
	log.Error("stopped", "err", err)
	return exitFailed
}
