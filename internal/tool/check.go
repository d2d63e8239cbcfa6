package tool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"time"

	"paperknife/internal/config"
)

const checkArguments = "[-config FILE] [-json] [-postfix DIR]"

// CheckOptions are the flags of `paperknife check`.
type CheckOptions struct {
	Config  string
	JSON    bool
	Postfix string // directory of main.cf; "" only if it is the usual one and there
	Now     time.Time
}

// A Finding is one thing that check found. An error keeps lmtpd from starting, mail from being delivered or opened, or a
// key from being safe; a warning is all else.
type Finding struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Key      string `json:"key,omitempty"`
	Text     string `json:"text"`
	Fix      string `json:"fix"`
}

const (
	severityError   = "error"
	severityWarning = "warning"
)

func runCheck(_ context.Context, args []string, s Streams) error {
	flags := newFlags("check", checkArguments, s)
	var o CheckOptions
	flags.StringVar(&o.Config, "config", defaultConfig, "configuration `file`")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object")
	flags.StringVar(&o.Postfix, "postfix", "", "`directory` of Postfix's main.cf; without it /etc/postfix is looked at if Postfix hands mail on over LMTP")
	if err := parseFlags(flags, args, 0, 0); err != nil {
		return err
	}
	return Check(o, s.Out)
}

// Check looks at everything the configuration names and writes all that is wrong. It changes nothing. The error is
// errFound when there is an error among the findings.
func Check(o CheckOptions, out io.Writer) error {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c := &checker{file: config.Read(o.Config), now: o.Now}
	c.run(o)
	c.sort()
	if err := c.write(out, o.JSON); err != nil {
		return err
	}
	if c.count(severityError) > 0 {
		return errFound
	}
	return nil
}

// A checker collects findings.
type checker struct {
	file    *config.File
	now     time.Time
	found   []Finding
	checked []string // what there was to look at
}

// checks are the steps, each one file. They run whatever those before them found.
func (c *checker) run(o CheckOptions) {
	for _, p := range c.file.Problems {
		c.add(severityError, p)
	}
	cfg := c.file.Config
	if cfg == nil {
		return
	}
	if len(c.file.Problems) == 0 { // a value that was refused is not there to be remarked on
		for _, p := range c.file.Remarks() {
			c.add(severityWarning, p)
		}
	}
	c.checkFile()
	c.checkKeys(cfg)
	c.checkSigner(cfg)
	c.checkTrust(cfg)
	c.checkSpool(cfg)
	c.checkTarget(cfg)
	c.checkSockets(cfg)
	c.checkPostfix(cfg, o.Postfix)
}

// checkFile looks at who may change the configuration: he can have mail opened and delivered to him.
func (c *checker) checkFile() {
	if info, err := os.Stat(c.file.Path); err == nil && info.Mode().Perm()&0o002 != 0 {
		c.add(severityError, config.Problem{File: c.file.Path, Text: "everybody may change the configuration", Fix: "chmod o-w"})
	}
}

func (c *checker) add(severity string, p config.Problem) {
	f := Finding{severity, p.File, p.Line, p.Key, printable(p.Text), printable(p.Fix)}
	if !slices.Contains(c.found, f) {
		c.found = append(c.found, f)
	}
}

// bad and odd add an error and a warning about what a key of the configuration names.
func (c *checker) bad(key, fix, format string, args ...any) {
	c.add(severityError, c.file.Problem(key, fmt.Sprintf(format, args...), fix))
}

func (c *checker) odd(key, fix, format string, args ...any) {
	c.add(severityWarning, c.file.Problem(key, fmt.Sprintf(format, args...), fix))
}

func (c *checker) sort() {
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		first := func(f Finding) int {
			if f.File == c.file.Path {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	})
}

func (c *checker) count(severity string) int {
	n := 0
	for _, f := range c.found {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

func (c *checker) write(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			File     string    `json:"file"`
			OK       bool      `json:"ok"`
			User     string    `json:"user"`
			Checked  []string  `json:"checked"`
			Findings []Finding `json:"findings"`
		}{c.file.Path, c.count(severityError) == 0, userName(), append([]string{}, c.checked...), append([]Finding{}, c.found...)})
	}
	w := &errWriter{w: out}
	for _, f := range c.found {
		w.printf("%s: %s\n", f.Severity, config.Problem{File: f.File, Line: f.Line, Key: f.Key, Text: f.Text})
		if f.Fix != "" {
			w.printf("    fix: %s\n", f.Fix)
		}
	}
	for _, text := range c.checked {
		w.printf("checked: %s\n", text)
	}
	if os.Geteuid() == 0 {
		w.printf("checked as root, who may read and write everything: run it as the user of lmtpd too\n")
	}
	w.printf("%s: %s, %s\n", c.file.Path, plural(c.count(severityError), "error"), plural(c.count(severityWarning), "warning"))
	return w.err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c *checker) note(format string, args ...any) {
	c.checked = append(c.checked, fmt.Sprintf(format, args...))
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Geteuid())
}

// cause is what the system said, without the path, which is told already.
func cause(err error) error {
	var fault *fs.PathError
	if errors.As(err, &fault) {
		return fault.Err
	}
	return err
}
