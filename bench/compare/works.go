package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paperknife/bench/measure"
)

var sizes = []string{"4k", "50k"}

// A turn is one measurement of a round.
type turn func(context.Context) error

// rounds takes the turns one after the other, every other round in the opposite order: what slows the machine down for
// a while, or what one leaves behind for the next, strikes both sides.
func (b *bench) rounds(ctx context.Context, work string, n int, turns []turn) error {
	for round := range n {
		load := measure.Load()
		b.loads = append(b.loads, load)
		b.say("%s: round %d of %d, load %.2f", work, round+1, n, load)
		for i := range turns {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if round%2 == 1 {
				i = len(turns) - 1 - i
			}
			if err := turns[i](ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// A fleet is servers that run at the same time, of which one works.
type fleet []*server

func (f fleet) stop() error {
	var errs []error
	for _, v := range f {
		errs = append(errs, v.stop())
	}
	return errors.Join(errs...)
}

func lmtpName(subject, message string, connections int) string {
	return fmt.Sprintf("%s/%s/c%d", subject, message, connections)
}

// passageTurn sends messages to a server.
func (b *bench) passageTurn(v *server, message string, connections, n int) turn {
	return func(ctx context.Context) error {
		p, err := v.run(ctx, message, connections, n)
		b.results.addPassage(lmtpName(v.name, message, connections), p)
		return err
	}
}

// lmtpWork is R1, R2, R3 and the price of having checks on.
func lmtpWork(ctx context.Context, b *bench) (err error) {
	var all fleet
	defer func() { err = errors.Join(err, all.stop()) }()
	ours, err := b.site.startOurs(ctx, "lmtpd", "paperknife.toml")
	if err != nil {
		return err
	}
	all = append(all, ours)
	bare, err := b.site.startOurs(ctx, "bare", "bare.toml")
	if err != nil {
		return err
	}
	all = append(all, bare)
	sink, err := b.site.startSink(ctx)
	if err != nil {
		return err
	}
	all = append(all, sink)
	dovecot, err := b.site.startDovecot(ctx)
	if err != nil {
		return err
	}
	if dovecot == nil {
		b.miss("Dovecot: needs root and the package dovecot-lmtpd")
	} else {
		all = append(all, dovecot)
	}
	var turns []turn
	for _, size := range sizes {
		message := plain + "-" + size
		for _, c := range b.connections {
			turns = append(turns, b.passageTurn(ours, message, c, b.messages), b.durableTurn(message, c),
				b.passageTurn(sink, message, c, 4*b.messages))
			if dovecot != nil {
				turns = append(turns, b.passageTurn(dovecot, message, c, b.messages))
			}
		}
	}
	turns = append(turns, b.passageTurn(bare, plain+"-4k", 1, b.messages), b.passageTurn(bare, plain+"-4k", 16, b.messages))
	return b.rounds(ctx, "lmtp", b.scale.rounds, turns)
}

// durableTurn writes as many files of the size as the servers do.
func (b *bench) durableTurn(message string, connections int) turn {
	return func(ctx context.Context) error {
		dir := b.site.path("home", "durable")
		if err := b.site.discard(dir); err != nil {
			return err
		}
		info, err := os.Stat(b.site.message(message))
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, b.site.bin("durablerate"), "-dir", dir, "-c", strconv.Itoa(connections),
			"-n", strconv.Itoa(b.messages), "-size", strconv.FormatInt(info.Size(), 10), "-mailboxes", strconv.Itoa(mailboxes))
		cmd.SysProcAttr = b.site.credential
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("durablerate: %w", err)
		}
		var s measure.Summary
		if err := json.Unmarshal(out, &s); err != nil {
			return err
		}
		b.results.add(lmtpName("durable", message, connections)+"/rate", s.Rate)
		return nil
	}
}

// sealedConnections are those of R8, and of R9, which has two openssl pipelines at once.
const (
	sealedConnections   = 4
	pipelineConnections = 2
)

// sealedWork is R8 and R9.
func sealedWork(ctx context.Context, b *bench) (err error) {
	ours, err := b.site.startOurs(ctx, "lmtpd", "paperknife.toml")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	turns := []turn{b.operationsTurn}
	for _, size := range sizes {
		turns = append(turns, b.passageTurn(ours, plain+"-"+size, sealedConnections, b.messages),
			b.passageTurn(ours, detached+"-"+size, sealedConnections, b.messages))
		for _, kind := range []string{p256, agreement} {
			opened, err := ours.opens(ctx, kind+"-"+size)
			if err != nil {
				return err
			}
			if !opened {
				b.miss("%s: not opened yet, delivered as received", kind)
				continue
			}
			turns = append(turns, b.passageTurn(ours, kind+"-"+size, sealedConnections, b.messages))
		}
		turns = append(turns, b.passageTurn(ours, detached+"-"+size, pipelineConnections, b.messages), func(context.Context) error {
			result, err := b.site.pipeline(detached+"-"+size).many(b.pipelines, 2)
			b.results.addBatch("openssl/"+detached+"-"+size+"/two", result)
			return err
		})
	}
	for _, kind := range []string{detached, opaque, gcm, nested} {
		opened, err := ours.opens(ctx, kind+"-4k")
		if err != nil {
			return err
		}
		if !opened {
			return fmt.Errorf("a message %s is not opened", kind)
		}
	}
	return b.rounds(ctx, "sealed", b.scale.rounds, turns)
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*\s([\d.]+) cpu-ns/op`)

// operationsTurn runs the benchmarks in process. Two results for each, in operations a second, all processors together:
// by the clock, and by the time that the processors worked for it.
func (b *bench) operationsTurn(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.site.bin("inprocess"), "-test.run", "^$", "-test.bench", ".", "-test.benchtime", b.benchtime)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("inprocess: %w: %s", err, out)
	}
	for _, m := range benchmarkLine.FindAllStringSubmatch(string(out), -1) {
		wall, wallErr := strconv.ParseFloat(m[2], 64)
		cpu, cpuErr := strconv.ParseFloat(m[3], 64)
		if err := errors.Join(wallErr, cpuErr); err != nil {
			return err
		}
		b.results.add("inprocess/"+m[1]+"/wall", divide(1e9, wall))
		b.results.add("inprocess/"+m[1]+"/cpu", divide(1e9*float64(runtime.NumCPU()), cpu))
	}
	return nil
}

// filterWork is R4 and R5: a process for each message.
func filterWork(ctx context.Context, b *bench) error {
	var turns []turn
	add := func(name, box string, c command, n int) {
		turns = append(turns, func(context.Context) error {
			if box != "" {
				if err := b.site.makeMaildir(box); err != nil {
					return err
				}
			}
			result, err := c.many(n, 1)
			b.results.addBatch(name, result)
			if err != nil || box == "" {
				return err
			}
			if have, err := b.site.files(box); err != nil || have != n {
				return errors.Join(err, fmt.Errorf("%s: %d files instead of %d", name, have, n))
			}
			return nil
		})
	}
	maildir := b.site.path("home", "filter")
	maildrop := b.site.maildrop()
	if maildrop == nil {
		b.miss("maildrop is not installed")
	}
	for _, size := range []string{"4k", "50k", "1m"} {
		text, err := os.ReadFile(b.site.message(detached + "-" + size))
		if err != nil {
			return err
		}
		add("filter/"+size, "", b.site.filter(text, "paperknife.toml"), b.processes)
		add("glue/"+size, "", b.site.glue(text), b.processes)
		add("filter-maildir/"+size, "filter", b.site.filter(text, "paperknife.toml", "-maildir", maildir), b.processes)
		if maildrop != nil {
			add("glue-maildrop/"+size, "maildrop", b.site.glue(text, maildrop...), b.processes)
		}
	}
	text, err := os.ReadFile(b.site.message(plain + "-4k"))
	if err != nil {
		return err
	}
	n := 3 * b.processes // these are short
	add("filter-maildir/plain", "filter", b.site.filter(text, "paperknife.toml", "-maildir", maildir), n)
	if maildrop != nil {
		add("maildrop/plain", "maildrop", command{text: text, as: b.site.credential, env: b.site.environment(), stages: [][]string{maildrop}}, n)
	}
	add("filter-many/plain", "filter", b.site.filter(text, "many.toml", "-maildir", maildir), n)
	add("true", "", command{file: os.DevNull, as: b.site.credential, stages: [][]string{{"/bin/true"}}}, n)
	b.miss("R4, deliver-filter -connect: not there yet")
	return b.rounds(ctx, "filter", b.scale.rounds, turns)
}

// largeWork is R6.
func largeWork(ctx context.Context, b *bench) (err error) {
	ours, err := b.site.startOurs(ctx, "lmtpd", "paperknife.toml")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	once := func(name string, c command) turn {
		return func(context.Context) error {
			f, err := c.once(false)
			b.results.add(name+"/ms", measure.Milliseconds(f.wall))
			b.results.add(name+"/cpu", measure.Milliseconds(f.usage.User+f.usage.System))
			return err
		}
	}
	var turns []turn
	for _, size := range append([]string{"1m"}, b.large...) {
		for _, kind := range []string{detached, opaque} {
			message := kind + "-" + size
			filter := b.site.filter(nil, "paperknife.toml", "-maildir", b.site.path("home", "filter"))
			filter.file = b.site.message(message)
			turns = append(turns, b.passageTurn(ours, message, 1, 1), once("openssl/"+message, b.site.pipeline(message)), func(ctx context.Context) error {
				if err := b.site.makeMaildir("filter"); err != nil {
					return err
				}
				syscall.Sync()
				return once("filter/"+message, filter)(ctx)
			})
		}
		turns = append(turns, b.passageTurn(ours, plain+"-"+size, 1, 1))
	}
	return b.rounds(ctx, "large", b.largeRounds, turns)
}

// memoryWork is R7: the largest resident set of a server that gets one message, less what it had when it was idle.
func memoryWork(ctx context.Context, b *bench) error {
	size := b.large[len(b.large)-1]
	var turns []turn
	for _, kind := range []string{plain, detached, opaque, gcm, nested} {
		turns = append(turns, func(ctx context.Context) error { return b.peak(ctx, kind, size) })
		if kind == detached || kind == opaque {
			turns = append(turns, func(context.Context) error {
				f, err := b.site.pipeline(kind + "-" + size).once(true)
				b.results.add("openssl/"+kind+"/peak", float64(f.peak))
				return err
			})
		}
	}
	return b.rounds(ctx, "memory", b.memoryRounds, turns)
}

func (b *bench) peak(ctx context.Context, kind, size string) (err error) {
	v, err := b.site.startOurs(ctx, "lmtpd", "paperknife.toml")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.stop()) }()
	if err := v.fresh(ctx, 1); err != nil {
		return err
	}
	time.Sleep(50 * time.Millisecond)
	idle, err := measure.Peak(v.pid())
	if err != nil {
		return err
	}
	if _, err := v.load(ctx, kind+"-"+size, 1, 1, 1); err != nil {
		return err
	}
	peak, err := measure.Peak(v.pid())
	b.results.add("lmtpd/"+kind+"/idle", float64(idle))
	b.results.add("lmtpd/"+kind+"/peak", float64(peak))
	return err
}

// profile shows, for each work, the functions that cost most.
func (b *bench) profile(ctx context.Context, match *regexp.Regexp) error {
	perf := program("perf")
	if perf == "" {
		return errors.New("perf is not installed")
	}
	for _, work := range []struct {
		message string
		c, n    int
	}{{plain + "-4k", 4, 4 * b.messages}, {plain + "-50k", 4, 4 * b.messages}, {detached + "-4k", 4, 3 * b.messages}, {detached + "-100m", 1, 4}, {opaque + "-100m", 1, 4}} {
		if !match.MatchString(work.message) {
			continue
		}
		if _, err := os.Stat(b.site.message(work.message)); err != nil {
			continue // not made in this scale
		}
		if err := b.profileServer(ctx, perf, work.message, work.c, work.n); err != nil {
			return err
		}
	}
	if !match.MatchString("filter") {
		return nil
	}
	return b.profileFilter(perf)
}

func (b *bench) profileServer(ctx context.Context, perf, message string, c, n int) (err error) {
	v, err := b.site.startOurs(ctx, "lmtpd", "paperknife.toml")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.stop()) }()
	if err := v.fresh(ctx, c); err != nil {
		return err
	}
	data := b.site.path("perf.data")
	record := exec.Command(perf, "record", "-q", "-F", "1999", "-g", "-o", data, "-p", strconv.Itoa(v.pid()))
	if err := record.Start(); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	_, err = v.load(ctx, message, c, n, 1)
	err = errors.Join(err, record.Process.Signal(syscall.SIGINT))
	_ = record.Wait() // it ends by the signal
	if err != nil {
		return err
	}
	return showProfile(perf, data, fmt.Sprintf("lmtpd, %d times %s, %d connections", n, message, c))
}

func (b *bench) profileFilter(perf string) error {
	data := b.site.path("perf.data")
	file := b.site.message(detached + "-4k")
	script := fmt.Sprintf("for i in $(seq 100); do %s -config %s -d user0@example.net <%s >/dev/null || exit 1; done",
		b.site.bin("deliver-filter"), b.site.path("paperknife.toml"), file)
	if out, err := exec.Command(perf, "record", "-q", "-F", "4999", "-g", "-o", data, "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("perf: %w: %s", err, firstLine(out))
	}
	return showProfile(perf, data, "deliver-filter, 100 times "+detached+"-4k to standard output", "--comm", "deliver-filter,exe")
}

// showProfile prints the functions by their own time, and by what they call.
func showProfile(perf, data, title string, more ...string) error {
	for _, way := range []struct {
		name  string
		args  []string
		lines int
	}{{"by own time", []string{"--no-children"}, 25}, {"with what they call", []string{"--children"}, 60}} {
		args := append([]string{"report", "-q", "--stdio", "-g", "none", "-i", data, "--percent-limit", "0.8", "--sort", "symbol"}, way.args...)
		out, err := exec.Command(perf, append(args, more...)...).Output()
		if err != nil {
			return fmt.Errorf("perf report: %w", err)
		}
		fmt.Printf("\n== %s, %s\n", title, way.name)
		n := 0
		for line := range strings.Lines(string(out)) {
			if strings.TrimSpace(line) != "" && n < way.lines {
				fmt.Print(line)
				n++
			}
		}
	}
	return nil
}
