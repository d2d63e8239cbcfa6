package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
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
func (r *report) fuzz(each time.Duration) error {
	targets, err := listTargets()
	if err != nil {
		return err
	}
	if err := r.save("fuzztime", each.String()); err != nil {
		return err
	}
	for i := range targets {
		t := &targets[i]
		fmt.Fprintf(os.Stderr, "prove: %d/%d %s %s\n", i+1, len(targets), t.Package, t.Name)
		t.run(each)
		if err := r.save("fuzz", targets[:i+1]); err != nil {
			return err
		}
	}
	return nil
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

func (t *target) run(each time.Duration) {
	begun := time.Now()
	cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.Name+"$", "-fuzztime", each.String(), "-fuzzminimizetime", "1x", "./"+t.Package)
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
