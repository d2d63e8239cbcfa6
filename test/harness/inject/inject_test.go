package inject

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func TestFileName(t *testing.T) {
	for path, want := range map[string]string{
		"/site":                                  ".",
		"/site/spool":                            "spool",
		"/site/spool/#123 (deleted)":             "spool/#",
		"/site/spool/paperknife-17 (deleted)":    "spool/paperknife-N",
		"/site/mail/example.net/user12":          "mail/example.net/USER",
		"/site/mail/example.net/user12/new/#4":   "mail/example.net/USER/new/#",
		"/site/mail/x/erin/new/1795342048.M2.vm": "mail/x/erin/new/NAME",
		"/site/mail/x/user/new/1.vm":             "mail/x/user/new/1.vm",
		"/site/../etc":                           "",
		"/sites/spool":                           "",
		"/elsewhere":                             "",
		"":                                       "",
	} {
		if got := fileName("/site", path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// cat runs a program that writes a file to standard output.
func cat(t *testing.T, dir string, p Plan) (string, int, Report) {
	t.Helper()
	if !Supported {
		t.Skip("there is no tracer for this system")
	}
	path, err := exec.LookPath("cat")
	if err != nil {
		t.Skip(err)
	}
	tracer, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Close()
	cmd := exec.Command(path, filepath.Join(dir, "text"))
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.Stderr = &out
	if err := tracer.Prepare(cmd, p); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	report, err := tracer.End()
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode(), report
}

func TestTracer(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "text"), []byte("text"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, code, report := cat(t, dir, Plan{Dir: dir, Record: true})
	if out != "text" || code != 0 || !report.Ended || !slices.Contains(report.Calls, "openat text") || report.Calls[len(report.Calls)-1] != "close text" {
		t.Errorf("%q, %d, %+v", out, code, report)
	}
	all := report.Count

	for call, want := range map[string]string{"openat text": "Stale file handle", "read text": "Stale file handle", "close text": "Stale file handle"} {
		out, code, report := cat(t, dir, Plan{Dir: dir, Fault: &Fault{Call: call, Nth: 1, Errno: syscall.ESTALE}})
		if code != 1 || !strings.Contains(out, want) || report.Hits != 1 {
			t.Errorf("%s: %q, %d, %+v", call, out, code, report)
		}
	}
	if out, code, report := cat(t, dir, Plan{Dir: dir, Fault: &Fault{Call: "read text", Nth: 9, Errno: syscall.EIO}}); out != "text" || code != 0 || report.Hits != 0 {
		t.Errorf("not met: %q, %d, %+v", out, code, report)
	}

	began := time.Now()
	if out, code, report := cat(t, dir, Plan{Dir: dir, Fault: &Fault{Call: "read text", Nth: 1, Delay: 300}}); out != "text" || code != 0 || report.Hits != 1 || time.Since(began) < 300*time.Millisecond {
		t.Errorf("delay: %q, %d, %+v", out, code, report)
	}

	for _, n := range []int{1, all / 2, all} {
		if _, code, report := cat(t, dir, Plan{Kill: n}); code != 128+9 || !report.Killed || report.Count != n {
			t.Errorf("kill at %d: %d, %+v", n, code, report)
		}
	}
	if _, code, report := cat(t, dir, Plan{Kill: all + 1}); code != 0 || report.Killed {
		t.Errorf("kill past the end: %d, %+v", code, report)
	}
}
