package measure

import (
	"os"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	var times []time.Duration
	for i := 100; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	s := Summarize(times, 2*time.Second, 3)
	want := Summary{Count: 100, Errors: 3, Seconds: 2, Rate: 50, P50: 50, P95: 95, P99: 99, Max: 100}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if s := Summarize(nil, time.Second, 1); s != (Summary{Errors: 1, Seconds: 1}) {
		t.Errorf("of nothing: %+v", s)
	}
	if s := Summarize([]time.Duration{time.Millisecond}, time.Second, 0); s.P50 != 1 || s.P99 != 1 {
		t.Errorf("of one: %+v", s)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v", c.values, got)
		}
	}
}

func TestParseStat(t *testing.T) {
	pid, p, err := parseStat([]byte("42 (a ) (b) S 7 42 42 0 -1 4194560 1 2 3 4 150 25 7 3 20 0 1 0 100 0 0\n"))
	if err != nil || pid != 42 || p.parent != 7 || p.usage != (Usage{1570 * time.Millisecond, 280 * time.Millisecond}) {
		t.Errorf("%d %+v %v", pid, p, err)
	}
	for _, bad := range []string{"", "x (a) S 1", "42 a S 7", "42 (a) S x 42 42 0 -1 4194560 1 2 3 4 150 25 7 3 20"} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

func TestOwnTree(t *testing.T) {
	if _, err := Tree(os.Getpid()); err != nil {
		t.Error(err)
	}
	if peak, err := Peak(os.Getpid()); err != nil || peak < 1<<20 {
		t.Errorf("%d octets, %v", peak, err)
	}
	if Busy() <= 0 {
		t.Error("the machine has never worked")
	}
}
