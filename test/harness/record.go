package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ProveVariable names the environment variable with the directory for results. It is set by `make prove` and makes the long tests run.
const ProveVariable = "PAPERKNIFE_PROVE"

// Proving tells whether the long tests are to run.
func Proving() bool { return os.Getenv(ProveVariable) != "" }

// A Record is the figures of one test for docs/prove.md.
type Record struct {
	Order   int // place in the report
	Title   string
	Text    []string // what was done and what it shows, a paragraph each
	Columns []string
	Rows    [][]string
	Seconds float64
	Failed  bool

	begun time.Time
}

// NewRecord begins a record. It is written when the test is over, if its figures are wanted.
func NewRecord(tb testing.TB, order int, title string) *Record {
	r := &Record{Order: order, Title: title, begun: time.Now()}
	dir := os.Getenv(ProveVariable)
	if dir == "" {
		return r
	}
	tb.Cleanup(func() {
		if tb.Skipped() {
			return
		}
		r.Failed, r.Seconds = tb.Failed(), time.Since(r.begun).Seconds()
		text, err := json.MarshalIndent(r, "", "\t")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, tb.Name()+".json"), text, 0o644)
		}
		if err != nil {
			tb.Error(err)
		}
	})
	return r
}
