package status

import (
	"errors"
	"fmt"
	"testing"
)

// THREATS C17: only 0, 65, 67, 75 and 77 ever leave a delivery agent, and everything nobody spoke about is 4xx/75.
func TestTables(t *testing.T) {
	tests := []struct {
		name   string
		result Result
		smtp   int
		exit   int
		line   string
	}{
		{"zero is try later", Result{}, 451, 75, "4.3.0 temporary failure, try again later"},
		{"delivered", Delivered(), 250, 0, "2.0.0 delivered"},
		{"unknown error", From(errors.New("write /secret: no space")), 451, 75, "4.3.0 temporary failure, try again later"},
		{"nil error is not success", From(nil), 451, 75, "4.3.0 temporary failure, try again later"},
		{"disk full", Defer(Enhanced{4, 3, 1}, "no space", nil), 452, 75, "4.3.1 no space"},
		{"over quota", Defer(Enhanced{4, 2, 2}, "over quota", nil), 452, 75, "4.2.2 over quota"},
		{"defer with a wrong class", Defer(Enhanced{5, 0, 0}, "x", nil), 451, 75, "4.3.0 x"},
		{"reject with a wrong class", Reject(Enhanced{4, 7, 1}, "x", nil), 451, 75, "4.3.0 temporary failure, try again later"},
		{"no such user", Reject(Enhanced{5, 1, 1}, "no such user", nil), 550, 67, "5.1.1 no such user"},
		{"bad address", Reject(Enhanced{5, 1, 3}, "bad address", nil), 501, 67, "5.1.3 bad address"},
		{"too big", Reject(Enhanced{5, 3, 4}, "too big", nil), 552, 65, "5.3.4 too big"},
		{"malformed", Reject(Enhanced{5, 6, 0}, "malformed", nil), 554, 65, "5.6.0 malformed"},
		{"loop", Reject(Enhanced{5, 4, 6}, "loop", nil), 554, 77, "5.4.6 loop"},
		{"policy", Reject(Enhanced{5, 7, 1}, "policy", nil), 550, 77, "5.7.1 policy"},
		{"nonsense class", Result{Status: Enhanced{9, 9, 9}}, 451, 75, "4.3.0 temporary failure, try again later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, _ := tt.result.SMTP()
			if code != tt.smtp || tt.result.Exit() != tt.exit || tt.result.Line() != tt.line {
				t.Errorf("got %d, %d, %q; want %d, %d, %q", code, tt.result.Exit(), tt.result.Line(), tt.smtp, tt.exit, tt.line)
			}
		})
	}
}

func TestEveryCodeAgrees(t *testing.T) {
	for class := -1; class < 8; class++ {
		for subject := range 9 {
			for detail := range 20 {
				r := Result{Status: Enhanced{class, subject, detail}}
				code, e, _ := r.SMTP()
				exit := r.Exit()
				if e.Class != code/100 {
					t.Fatalf("%v: reply %d does not agree with %v", r.Status, code, e)
				}
				if (e.Class == 2) != (exit == 0) || (e.Class == 4) != (exit == 75) {
					t.Fatalf("%v: exit %d does not agree with %v", r.Status, exit, e)
				}
			}
		}
	}
}

func TestFromFindsTheResult(t *testing.T) {
	r := Reject(Enhanced{5, 7, 1}, "no", nil)
	if got := From(fmt.Errorf("step: %w", &r)); got.Exit() != 77 {
		t.Errorf("got %v", got)
	}
}
