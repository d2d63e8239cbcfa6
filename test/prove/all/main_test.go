package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table names tests that are there.
func TestThreatsNameTests(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	seen := map[string]string{}
	for _, threat := range threats {
		if len(threat.tests) == 0 {
			t.Errorf("%s: no test", threat.id)
		}
		for _, test := range threat.tests {
			dir, name, _ := strings.Cut(test, " ")
			if seen[dir] == "" {
				files, err := filepath.Glob(filepath.Join("../../..", dir, "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Fatalf("%s: %v", dir, err)
				}
				for _, file := range files {
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
						seen[dir] += " " + m[1] + " "
					}
				}
			}
			if !strings.Contains(seen[dir], " "+name+" ") {
				t.Errorf("%s: no %s in %s", threat.id, name, dir)
			}
		}
	}
}

func TestReadFuzz(t *testing.T) {
	var got target
	got.read("fuzz: elapsed: 0s, gathering baseline coverage: 0/40 completed\n" +
		"fuzz: elapsed: 3s, execs: 100 (33/sec), new interesting: 1 (total: 41)\n" +
		"fuzz: elapsed: 1m0s, execs: 123456 (2000/sec), new interesting: 7 (total: 47)\nPASS\n")
	if want := (target{Seconds: 60, Execs: 123456, New: 7, Corpus: 47}); got != want {
		t.Errorf("%+v", got)
	}
	got = target{}
	got.read("fuzz: elapsed: 2s, execs: 9 (4/sec), new interesting: 0 (total: 3)\n--- FAIL: FuzzX (2.00s)\n" +
		"    Failing input written to testdata/fuzz/FuzzX/0123456789abcdef\n    To re-run:\n")
	if got.Finding != "testdata/fuzz/FuzzX/0123456789abcdef" || got.Execs != 9 {
		t.Errorf("%+v", got)
	}
}

func TestReadTests(t *testing.T) {
	all := outcomes{}
	err := all.read("x", strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`))
	if err != nil || len(all) != 2 || all["x TestA"] != "pass" || all["x TestB"] != "skip" || all.failed("x") {
		t.Errorf("%v, %v", all, err)
	}
}

// A report over nothing says so; a failure is in it, and is told.
func TestReport(t *testing.T) {
	r := &report{results: t.TempDir()}
	text, good, err := r.write()
	if err != nil || !good || !strings.Contains(string(text), "Not run.") || !strings.Contains(string(text), "(not run)") {
		t.Errorf("%v, %v\n%s", good, err, text)
	}
	for name, v := range map[string]any{
		"fuzz": []target{{Package: "p", Name: "FuzzX", Execs: 3, Seconds: 1, Finding: "testdata/x"}}, "fuzztime": "1m0s",
		"threats": outcomes{"deliver TestKilled": "fail"},
	} {
		if err := r.save(name, v); err != nil {
			t.Fatal(err)
		}
	}
	r.out.Reset()
	text, good, err = r.write()
	if err != nil || good {
		t.Errorf("%v, %v", good, err)
	}
	for _, want := range []string{"**testdata/x**", "less than the 10m0s", "`TestKilled` (**fail**)", "1 findings"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
