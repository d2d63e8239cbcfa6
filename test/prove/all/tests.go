package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"paperknife/test/harness"
)

// long are the packages and tests that write records of their own.
var long = []struct{ dir, run string }{
	{"test/prove", "."},
	{"test/limits", "^(TestKilledUnderLoad|TestC27LargeAtOnce)$"},
}

// An event is one line of `go test -json`.
type event struct{ Action, Package, Test, Output string }

// An outcome is "pass", "fail" or "skip", by directory and test.
type outcomes map[string]string

// runTests runs the long tests.
func (r *report) runTests() error {
	old, err := filepath.Glob(filepath.Join(r.results, "Test*.json"))
	for _, name := range old {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return err
	}
	all := outcomes{}
	for _, l := range long {
		if err := all.run(l.dir, l.run, harness.ProveVariable+"="+r.results); err != nil {
			return err
		}
	}
	return r.save("long", all)
}

// runThreats runs every test that the table of threats names and that is not among the long ones.
func (r *report) runThreats() error {
	byDir := map[string][]string{}
	for _, t := range threats {
		for _, test := range t.tests {
			dir, name, _ := strings.Cut(test, " ")
			if isLong(dir, name) || slices.Contains(byDir[dir], name) {
				continue
			}
			byDir[dir] = append(byDir[dir], name)
		}
	}
	all := outcomes{}
	for dir, names := range byDir {
		if err := all.run(dir, "^("+strings.Join(names, "|")+")$"); err != nil {
			return err
		}
	}
	return r.save("threats", all)
}

func isLong(dir, name string) bool {
	for _, l := range long {
		if l.dir == dir && (l.run == "." || strings.Contains(l.run, name)) {
			return true
		}
	}
	return false
}

// run runs tests of one package and notes what became of each. What a failing test says goes to standard error.
func (all outcomes) run(dir, pattern string, env ...string) error {
	fmt.Fprintf(os.Stderr, "prove: %s %s\n", dir, pattern)
	cmd := exec.Command("go", "test", "-count=1", "-timeout", "2h", "-json", "-run", pattern, "./"+dir)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	if err := all.read(dir, out); err != nil {
		return err
	}
	// The exit code says that a test failed, which is noted; or that it could not be built, and then there is no outcome.
	if err := cmd.Wait(); err != nil && !all.failed(dir) {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

func (all outcomes) failed(dir string) bool {
	for test, outcome := range all {
		if strings.HasPrefix(test, dir+" ") && outcome == "fail" {
			return true
		}
	}
	return false
}

func (all outcomes) read(dir string, in io.Reader) error {
	said := map[string]string{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintf(os.Stderr, "%s\n", lines.Bytes()) // what the build says
			continue
		}
		switch e.Action {
		case "output", "build-output":
			said[e.Test] += e.Output
		case "pass", "fail", "skip":
			if e.Action == "fail" {
				fmt.Fprint(os.Stderr, said[e.Test])
			}
			if e.Test != "" && !strings.Contains(e.Test, "/") {
				all[dir+" "+e.Test] = e.Action
			}
		}
	}
	return lines.Err()
}

func (r *report) save(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.results, name+".json"), text, 0o644)
}

// load reads what save wrote; of a part that never ran there is nothing.
func (r *report) load(name string, v any) error {
	text, err := os.ReadFile(filepath.Join(r.results, name+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
