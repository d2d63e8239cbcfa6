// Command deliver-filter is the pipe: a message on standard input, opened, to standard output or into a Maildir.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"strings"

	"paperknife/deliver"
	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/filter"
	"paperknife/internal/status"
)

func main() {
	filter.Harden()
	os.Exit(run(os.Args[1:]))
}

// arguments are the command line.
type arguments struct {
	config, maildir, lmtp, connect string
	noTarget                       bool // a target was asked for, and is empty
	given                          filter.Given
}

func parse(args []string) (arguments, error) {
	var a arguments
	flags := flag.NewFlagSet("deliver-filter", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&a.config, "config", "/etc/paperknife/paperknife.toml", "configuration `file`")
	flags.StringVar(&a.given.Recipient, "d", "", "envelope `recipient`")
	flags.StringVar(&a.given.Sender, "f", "", "envelope `sender`")
	flags.StringVar(&a.maildir, "maildir", "", "deliver into this Maildir; %h is $HOME")
	flags.StringVar(&a.lmtp, "lmtp", "", "hand on to this LMTP server")
	flags.StringVar(&a.connect, "connect", "", "let lmtpd do the work, over this socket")
	if err := flags.Parse(args); err != nil {
		return a, err
	}
	if flags.NArg() > 0 {
		return a, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) {
		a.noTarget = a.noTarget || f.Name == "maildir" && a.maildir == ""
		a.given.RecipientSet = a.given.RecipientSet || f.Name == "d"
		a.given.SenderSet = a.given.SenderSet || f.Name == "f"
	})
	if a.noTarget { // a variable that was not set: on standard output nobody would read the message
		return a, errors.New("-maildir is empty")
	}
	if a.lmtp != "" || a.connect != "" {
		return a, errors.New("-lmtp and -connect are not there yet")
	}
	if strings.Contains(a.maildir, "%h") {
		home := os.Getenv("HOME")
		if home == "" {
			return a, errors.New("-maildir names %h, and HOME is not set")
		}
		a.maildir = strings.ReplaceAll(a.maildir, "%h", home)
	}
	return a, nil
}

// run answers every fault of ours with 75, the wrong flag too: mail servers bounce on 64 and 78.
func run(args []string) int {
	log := logger()
	fail := func(what string, err error) int {
		log.Error(what, "err", err)
		return filter.Fail(status.Defer(misconfigured, "delivery is misconfigured", err))
	}
	a, err := parse(args)
	if err != nil {
		return fail("usage", err)
	}
	c, err := config.Load(a.config)
	if err != nil {
		return fail("configuration", err)
	}
	s := filter.Settings{Given: a.given, Output: a.maildir == "", Spool: agent.SpoolSettings(c), Deadline: c.Filter.Deadline, Log: log}
	if !filter.Supervised() {
		return filter.Supervise(s)
	}
	handler, err := newAgent(c, a, log)
	if err != nil {
		return fail("configuration", err)
	}
	return filter.Run(context.Background(), s, handler)
}

var misconfigured = status.Enhanced{Class: 4, Subject: 3, Detail: 5}

func newAgent(c *config.Config, a arguments, log *slog.Logger) (*agent.Agent, error) {
	o := agent.Options{Log: log}
	if a.maildir != "" {
		target, err := deliver.NewMaildirAt(a.maildir, deliver.MaildirSettings{})
		if err != nil {
			return nil, err
		}
		o.Target = target
	}
	return agent.New(c, o)
}

// logger writes to syslog: whatever stands on standard error, mail servers put into the bounce, and Exim into the mail.
// Without syslog there is no log, which is no reason to keep mail waiting.
func logger() *slog.Logger {
	w, err := syslog.New(syslog.LOG_MAIL|syslog.LOG_INFO, "deliver-filter")
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
