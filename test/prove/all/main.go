// Command all is `make prove`: it runs the long tests, the tests that each stand for one threat, and the fuzzing of every target there is, and
// writes what came of them to docs/prove.md. It ends with 1 when anything failed; the report is written all the same.
//
//	go run ./test/prove/all -fuzztime 10m
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperknife/test/harness"
)

func main() {
	fuzzTime := flag.Duration("fuzztime", 10*time.Minute, "`time` for each target of fuzzing")
	atOnce := flag.Int("atonce", 1, "`number` of targets to fuzz side by side, with one worker each; 1: one by one with as many workers as processors")
	results := flag.String("results", "bin/prove", "`directory` for results")
	out := flag.String("o", "docs/prove.md", "the report, a `file`")
	only := flag.String("only", "tests,threats,fuzz", "`parts` to run again; of the others the results are those of the last run; empty: the report alone")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	good, err := run(*fuzzTime, *atOnce, *results, *out, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// run returns whether all is well.
func run(fuzzTime time.Duration, atOnce int, results, out, only string) (bool, error) {
	root, err := harness.Root()
	if err != nil {
		return false, err
	}
	if err := os.Chdir(root); err != nil {
		return false, err
	}
	if results, err = filepath.Abs(results); err != nil {
		return false, err
	}
	if err := os.MkdirAll(results, 0o755); err != nil {
		return false, err
	}
	r := &report{results: results, begun: time.Now()}
	parts := map[string]func() error{
		"tests":   r.runTests,
		"threats": r.runThreats,
		"fuzz":    func() error { return r.fuzz(fuzzTime, atOnce) },
	}
	for name := range strings.FieldsFuncSeq(only, func(c rune) bool { return c == ',' }) {
		part, ok := parts[name]
		if !ok {
			return false, fmt.Errorf("there is no part %q", name)
		}
		if err := part(); err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
	}
	text, good, err := r.write()
	if err != nil {
		return false, err
	}
	return good, os.WriteFile(out, text, 0o644)
}
