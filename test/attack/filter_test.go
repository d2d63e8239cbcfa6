package attack_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paperknife/test/harness"
)

// THREATS C17, C19, C29 and DESIGN rule 11: what a mail server, or its administrator by mistake, may start the filter
// with. No exit code but 0, 65, 67, 75, 77, nothing on standard error, and never 0 for a message that went nowhere.
func TestC17Invocations(t *testing.T) {
	l := theLab(t)
	sealed := from(eveAddress, l.encrypt(t, []byte(plain)))
	box := filepath.Join(t.TempDir(), "box")
	program := filepath.Join(harness.Programs(t), "deliver-filter")
	opened, kept, nothing := "Third quarter", "smime.p7m", "4."
	for _, test := range []struct {
		shell string // $F is the program with its configuration
		code  int
		out   string // is in the output
	}{
		{`$F -d erin@example.net`, 0, opened},
		{`$F`, 0, opened},
		{`$F -d erin`, 0, opened},
		{`$F -d ''`, 0, opened},
		{`$F -d erin@elsewhere.example`, 0, kept},
		{`$F -d "$(printf 'a\tb@elsewhere.example')"`, 0, kept},
		{`$F -d "$(printf '"a\001"@elsewhere.example')"`, 0, kept},
		{`$F -d "<erin@elsewhere.example"`, 0, kept},
		{`$F -d "$(printf 'a%.0s' $(seq 2000))@elsewhere.example"`, 0, kept},
		{`RECIPIENT="$(printf 'a\nb@elsewhere.example')" $F`, 0, kept},
		{`$F -d 'erin@example.net@elsewhere.example'`, 0, kept},
		{`$F -d '"x@example.net"@elsewhere.example'`, 0, kept},
		{`$F -d '"$(touch /tmp/paperknife-was-here)"@example.net'`, 0, opened},
		{`$F -d '../../etc@example.net' -maildir ` + box, 0, ""},
		{`$F -maildir ` + box, 0, ""},
		{`$F -maildir ''`, 75, nothing},
		{`$F -maildir /proc/nowhere`, 75, nothing},
		{`$F -maildir /etc/passwd`, 75, nothing},
		{`$F >&-`, 75, ""},
		{`$F > /dev/full`, 75, ""},
		{`$F <&-`, 75, nothing},
		{`$F < /dev/null`, 75, nothing},
		{`$F < /`, 75, nothing},
		{`$F <&- >&- 2>&-`, 75, ""},
		{`$F 2>&-`, 0, opened},
		{`$F -zzz`, 75, nothing},
		{`$F -h`, 75, nothing},
		{`$F erin@example.net`, 75, nothing},
		{`$F -config /nowhere`, 75, nothing},
		{`$F -config /`, 75, nothing},
		{`env -i $F`, 0, opened},
		{`GOTRACEBACK=all GOMEMLIMIT=1 GOGC=x GODEBUG=y $F`, 0, opened},
		{`ulimit -f 0; $F -maildir ` + box, 75, nothing},
	} {
		cmd := exec.Command("bash", "-c", test.shell)
		cmd.Env = []string{"PATH=/usr/bin:/bin", fmt.Sprintf("F=%s -config %s", program, l.site.Config())}
		cmd.Stdin = bytes.NewReader(sealed)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		code := cmd.ProcessState.ExitCode()
		out := stdout.String()
		if code != test.code || !slices.Contains([]int{0, 65, 67, 75, 77}, code) || !strings.Contains(out, test.out) || test.out == "" && out != "" {
			t.Errorf("%s: exit code %d, want %d, output %.200q", test.shell, code, test.code, out)
		}
		if test.code != 0 && out != "" && !strings.HasPrefix(out, "4.") || stderr.Len() > 0 {
			t.Errorf("%s: output %.100q, standard error %q", test.shell, out, stderr.Bytes())
		}
	}
	if all := harness.TakeMaildir(t, box); len(all) != 2 {
		t.Errorf("%d messages in the Maildir", len(all))
	}
}
