// Command compare measures paperknife side by side with what a postmaster runs today: Dovecot's LMTP server, maildrop,
// and a filter glued together from openssl. Both sides do the same work on the same messages, in turns, in one run; what
// counts is the ratio of each round, and its median. It starts its own servers in its own directory, on unix sockets, as
// an unprivileged user, and ends those and nothing else.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A scale is how much is done of everything.
type scale struct {
	rounds       int
	messages     int // over LMTP
	processes    int // of the filters
	pipelines    int // of openssl, two at once
	benchtime    string
	connections  []int
	large        []string
	largeRounds  int
	memoryRounds int
}

var (
	full  = scale{5, 1000, 20, 40, "300ms", []int{1, 4, 16}, []string{"25m", "100m"}, 5, 3}
	quick = scale{3, 200, 8, 12, "50ms", []int{1, 4, 16}, []string{"25m"}, 2, 1}
)

// A bench is one run of everything.
type bench struct {
	scale
	site    *site
	results results
	log     io.Writer
	misses  []string // what could not be measured, and why
	started time.Time
	loads   []float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "", "`file` for the result, beside standard output; what stands in it below the line \""+notesMarker+"\" stays")
	dir := flag.String("dir", "", "`directory` to work in, kept at the end with its messages; empty: a new one below /var/tmp, removed at the end")
	only := flag.String("only", "", "run only the works whose name matches this `expression`")
	user := flag.String("user", "mail", "`user` to deliver as, when started by root")
	profile := flag.Bool("profile", false, "show what costs most in each work, by perf, instead of measuring")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	b := &bench{scale: full, results: results{}, log: os.Stderr, started: time.Now()}
	if os.Getenv("BENCH_QUICK") != "" {
		b.scale = quick
	}
	if b.site, err = newSite(*dir, *user); err != nil {
		return err
	}
	defer b.site.close()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if *profile {
		return b.profile(ctx, match)
	}
	for _, work := range works {
		if !match.MatchString(work.name) {
			continue
		}
		if err := work.do(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
	}
	return b.report(*out)
}

// works are what is measured, in order.
var works = []struct {
	name string
	do   func(context.Context, *bench) error
}{
	{"lmtp", lmtpWork},
	{"sealed", sealedWork},
	{"filter", filterWork},
	{"large", largeWork},
	{"memory", memoryWork},
}

func (b *bench) prepare(ctx context.Context) error {
	b.say("building")
	if err := b.site.build(ctx); err != nil {
		return err
	}
	b.say("keys and messages")
	if err := b.site.makeKeys(ctx); err != nil {
		return err
	}
	if err := b.site.makeMessages(ctx, append([]string{"4k", "50k", "1m"}, b.large...)); err != nil {
		return err
	}
	return b.site.configure()
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, "%7.1fs  %s\n", time.Since(b.started).Seconds(), fmt.Sprintf(format, args...))
}

// miss notes that something could not be measured.
func (b *bench) miss(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, known := range b.misses {
		if known == text {
			return
		}
	}
	b.say("not measured: %s", text)
	b.misses = append(b.misses, text)
}

// root is the directory of the repository.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// firstLine is for what a program says when it fails.
func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
