package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestRatioByRound(t *testing.T) {
	r := results{"ours": {10, 30, 8}, "peer": {5, 10, 8}}
	if got := r.ratio("ours", "peer"); got != (ratio{2, 1, 3}) {
		t.Errorf("%+v", got)
	}
	if got := r.ratio("ours", "never measured"); got != (ratio{}) {
		t.Errorf("%+v", got)
	}
	if got := composed(100, 100); got != 50 {
		t.Errorf("composed: %v", got)
	}
}

func TestRow(t *testing.T) {
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{"w", "1", "2", ratio{0.5, 0.4, 0.6}, 0.5, true}, "| w | 1 | 2 | 0.50 | 0.40 to 0.60 | ≤ 0.5 | yes |\n"},
		{row{"w", "1", "2", ratio{0.5, 0.4, 0.6}, 0.75, false}, "| w | 1 | 2 | 0.50 | 0.40 to 0.60 | ≥ 0.75 | no |\n"},
		{row{"w", "1", "2", ratio{0.5, 0.4, 0.6}, 0, false}, "| w | 1 | 2 | 0.50 | 0.40 to 0.60 |  |  |\n"},
	} {
		if got := c.row.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// The same octets each time, in CRLF lines, about as many as asked for.
func TestEntity(t *testing.T) {
	for _, n := range []int{4 << 10, 50 << 10, 1 << 20} {
		e := entity(n)
		if !bytes.Equal(e, entity(n)) {
			t.Errorf("%d: differs from one time to the next", n)
		}
		if len(e) < n*9/10 || len(e) > n*11/10 {
			t.Errorf("%d: %d octets", n, len(e))
		}
		if bytes.Count(e, []byte("\n")) != bytes.Count(e, []byte("\r\n")) {
			t.Errorf("%d: a bare LF", n)
		}
	}
}

func TestBenchmarkLine(t *testing.T) {
	out := "goos: linux\nBenchmarkSealed/RSA/4k-2         \t     279\t    792553 ns/op\t  13.98 MB/s\t   1500000.5 cpu-ns/op\t  685101 B/op\t     603 allocs/op\n"
	m := benchmarkLine.FindStringSubmatch(out)
	if len(m) != 4 || m[1] != "Sealed/RSA/4k" || m[2] != "792553" || m[3] != "1500000.5" {
		t.Errorf("%q", m)
	}
}

func TestGlueScriptIsWellFormed(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(sh, "-n")
	cmd.Stdin = strings.NewReader(glueFilter)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
