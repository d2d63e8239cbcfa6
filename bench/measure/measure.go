// Package measure is what the tools of the benchmark share: summaries of durations, and what the kernel says of
// processes and of the machine. It reads /proc and changes nothing.
package measure

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// A Summary is what one run of a tool found. Tools print it as one line of JSON.
type Summary struct {
	Count   int     `json:"count"`
	Errors  int     `json:"errors"`
	Seconds float64 `json:"seconds"` // wall time of the whole run
	Rate    float64 `json:"rate"`    // per second
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

// Summarize sums up a run; times are the durations of its single steps, and are sorted in place.
func Summarize(times []time.Duration, wall time.Duration, errors int) Summary {
	slices.Sort(times)
	s := Summary{Count: len(times), Errors: errors, Seconds: wall.Seconds()}
	if len(times) == 0 || wall <= 0 {
		return s
	}
	s.Rate = float64(len(times)) / wall.Seconds()
	s.P50, s.P95, s.P99 = percentile(times, 50), percentile(times, 95), percentile(times, 99)
	s.Max = Milliseconds(times[len(times)-1])
	return s
}

// Print writes the summary as one line of JSON.
func (s Summary) Print(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// percentile takes the nearest rank.
func percentile(sorted []time.Duration, percent int) float64 {
	rank := (len(sorted)*percent + 99) / 100
	return Milliseconds(sorted[max(rank, 1)-1])
}

// Milliseconds returns d in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Median returns the middle of the values, NaN-free: 0 for none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
