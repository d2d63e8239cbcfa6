package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"paperknife/test/harness"
)

// A report is what is in the directory of results.
type report struct {
	results string
	begun   time.Time

	good bool
	out  bytes.Buffer
}

// write returns the report and whether nothing failed.
func (r *report) write() ([]byte, bool, error) {
	r.good = true
	var each string
	atOnce := 1
	var targets []target
	long, named := outcomes{}, outcomes{}
	for name, v := range map[string]any{"fuzztime": &each, "fuzzatonce": &atOnce, "fuzz": &targets, "long": &long, "threats": &named} {
		if err := r.load(name, v); err != nil {
			return nil, false, err
		}
	}
	records, err := r.records()
	if err != nil {
		return nil, false, err
	}
	r.line("# What was tried to break it")
	r.line("")
	r.line("Written by `make prove`, which runs what is too long for `make check`. Every figure is of one run on one machine:")
	r.line("")
	for _, row := range machine() {
		r.line("* %s", row)
	}
	r.line("")
	for _, record := range records {
		r.record(record)
	}
	r.fuzzing(each, atOnce, targets)
	for test, outcome := range long {
		named[test] = outcome
		r.good = r.good && outcome != "fail"
	}
	r.threats(named)
	return r.out.Bytes(), r.good, nil
}

func (r *report) line(format string, v ...any) { fmt.Fprintf(&r.out, format+"\n", v...) }

// records are those that the tests have written.
func (r *report) records() (list []harness.Record, err error) {
	names, err := filepath.Glob(filepath.Join(r.results, "Test*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var record harness.Record
		if err := json.Unmarshal(text, &record); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, record)
	}
	slices.SortFunc(list, func(a, b harness.Record) int { return cmp.Compare(a.Order, b.Order) })
	return list, nil
}

func (r *report) record(record harness.Record) {
	r.line("## %s", record.Title)
	r.line("")
	for _, text := range record.Text {
		r.line("%s", text)
		r.line("")
	}
	r.table(record.Columns, record.Rows)
	verdict := "Nothing was found."
	if record.Failed {
		verdict, r.good = "**It failed.**", false
	}
	r.line("%s It took %v.", verdict, time.Duration(record.Seconds*float64(time.Second)).Round(time.Second/10))
	r.line("")
}

func (r *report) table(columns []string, rows [][]string) {
	if len(columns) == 0 {
		return
	}
	r.line("| %s |", strings.Join(columns, " | "))
	r.line("|%s", strings.Repeat("---|", len(columns)))
	for _, row := range rows {
		r.line("| %s |", strings.Join(row, " | "))
	}
	r.line("")
}

// promised is how long each target should be fuzzed.
const promised = 10 * time.Minute

func (r *report) fuzzing(each string, atOnce int, targets []target) {
	r.line("## Fuzzing")
	r.line("")
	if len(targets) == 0 {
		r.line("Not run.")
		r.line("")
		return
	}
	r.line("Every fuzz target there is, %s each.", each)
	if d, err := time.ParseDuration(each); err == nil && d < promised {
		r.line("That is less than the %v each that `make prove` takes unless told otherwise.", promised)
	}
	if atOnce > 1 {
		r.line("%d ran side by side, each with one worker.", atOnce)
	}
	r.line("")
	slices.SortFunc(targets, func(a, b target) int { return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name)) })
	var rows [][]string
	findings, execs := 0, 0
	for _, t := range targets {
		finding := "-"
		if t.Finding != "" || t.Problem != "" {
			finding = "**" + cmp.Or(t.Finding, t.Problem) + "**"
			findings++
		}
		execs += t.Execs
		rows = append(rows, []string{t.Package, t.Name, fmt.Sprint(t.Execs), fmt.Sprintf("%.0f", float64(t.Execs)/max(t.Seconds, 1)), fmt.Sprint(t.New), fmt.Sprint(t.Corpus), finding})
	}
	r.table([]string{"package", "target", "runs", "per second", "new inputs kept", "inputs in all", "finding"}, rows)
	r.line("%d targets, %d runs, %d findings.", len(targets), execs, findings)
	r.line("")
	r.good = r.good && findings == 0
}

func (r *report) threats(found outcomes) {
	r.line("## The faults of transport, and the tests that show each")
	r.line("")
	r.line("Numbers are those of the threat model. A test without a mark passed in this run.")
	r.line("")
	var rows [][]string
	for _, t := range threats {
		var tests []string
		for _, test := range t.tests {
			dir, name, _ := strings.Cut(test, " ")
			switch outcome := found[test]; outcome {
			case "pass":
				tests = append(tests, fmt.Sprintf("%s `%s`", dir, name))
			case "":
				tests = append(tests, fmt.Sprintf("%s `%s` (not run)", dir, name))
			default:
				tests = append(tests, fmt.Sprintf("%s `%s` (**%s**)", dir, name, outcome))
				r.good = r.good && outcome != "fail"
			}
		}
		rows = append(rows, []string{t.id, t.what, strings.Join(tests, "<br>"), t.limit})
	}
	r.table([]string{"", "fault", "shown by", "limit"}, rows)
}

// machine says where and when.
func machine() []string {
	tree := output("git", "rev-parse", "--short=12", "HEAD")
	if output("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/prove.md") != "" {
		tree += ", with changes"
	}
	return []string{
		"date: " + time.Now().UTC().Format("2006-01-02 15:04 MST"),
		"commit: " + tree,
		fmt.Sprintf("processor: %s, %d threads", procValue("/proc/cpuinfo", "model name"), runtime.NumCPU()),
		"memory: " + procValue("/proc/meminfo", "MemTotal"),
		"kernel: " + output("uname", "-sr"),
		"file system of the Maildirs: " + output("stat", "-f", "-c", "%T", os.TempDir()) + " (those for the errors at every call: in memory)",
		"Go: " + runtime.Version(),
		"load when it ended: " + strings.Join(strings.Fields(output("cat", "/proc/loadavg"))[:3], " ") + ", nice " + output("nice"),
	}
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "? ? ?"
	}
	return strings.TrimSpace(string(out))
}

// procValue returns the first value of a key in a file of /proc.
func procValue(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}
