package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A target is one fuzz target and what came of it.
type target struct {
	Package, Name    string
	Seconds          float64
	Execs            int
	New, Corpus      int    // inputs that reached something new in this run; all there are now
	Finding, Problem string // the file with the input that fails; or why there is no result
}

// fuzz fuzzes every target of the tree for a time. A target that cannot be minimised fast starves: with the default, a minute for each new
// input, large inputs leave no time to try others. So each is minimised once.
//
// With atOnce over 1 as many targets run side by side, each with one worker.
func (r *report) fuzz(each time.Duration, atOnce int) error {
	targets, err := listTargets()
	if err != nil {
		return err
	}
	if err := errors.Join(r.save("fuzztime", each.String()), r.save("fuzzatonce", atOnce)); err != nil {
		return err
	}
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		done    []target
		failed  error
		places  = make(chan struct{}, max(atOnce, 1))
	)
	for i, t := range targets {
		places <- struct{}{}
		workers.Go(func() {
			defer func() { <-places }()
			fmt.Fprintf(os.Stderr, "prove: %d/%d %s %s\n", i+1, len(targets), t.Package, t.Name)
			t.run(each, atOnce)
			mu.Lock()
			defer mu.Unlock()
			done = append(done, t)
			failed = errors.Join(failed, r.save("fuzz", done))
		})
	}
	workers.Wait()
	return failed
}

// listTargets asks the test binaries.
func listTargets() (targets []target, err error) {
	cmd := exec.Command("go", "test", "-json", "-list", "^Fuzz", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -list: %w\n%s", err, out)
	}
	for line := range bytes.Lines(out) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		if name := strings.TrimSpace(e.Output); e.Action == "output" && strings.HasPrefix(name, "Fuzz") {
			targets = append(targets, target{Package: strings.TrimPrefix(e.Package, "paperknife/"), Name: name})
		}
	}
	return targets, nil
}

func (t *target) run(each time.Duration, atOnce int) {
	begun := time.Now()
	args := []string{"test", "-run", "^$", "-fuzz", "^" + t.Name + "$", "-fuzztime", each.String(), "-fuzzminimizetime", "1x"}
	if atOnce > 1 {
		args = append(args, "-parallel", "1")
	}
	cmd := exec.Command("go", append(args, "./"+t.Package)...)
	out, err := cmd.CombinedOutput()
	t.Seconds = time.Since(begun).Seconds()
	t.read(string(out))
	if err != nil && t.Finding == "" {
		t.Problem = err.Error()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", out)
	}
}

var (
	progress = regexp.MustCompile(`fuzz: elapsed: (\S+), execs: (\d+) \(\d+/sec\)(?:, new interesting: (\d+) \(total: (\d+)\))?`)
	crasher  = regexp.MustCompile(`Failing input written to (\S+)`)
)

// read takes the figures of the last line of progress, and the name of the input that fails.
func (t *target) read(out string) {
	if all := progress.FindAllStringSubmatch(out, -1); len(all) > 0 {
		last := all[len(all)-1]
		for i, n := range []*int{2: &t.Execs, 3: &t.New, 4: &t.Corpus} {
			if n != nil && last[i] != "" {
				*n, _ = strconv.Atoi(last[i]) // it is digits; too many of them are as good as none
			}
		}
		if d, err := time.ParseDuration(last[1]); err == nil {
			t.Seconds = d.Seconds()
		}
	}
	if m := crasher.FindStringSubmatch(out); m != nil {
		t.Finding = m[1]
	}
}
