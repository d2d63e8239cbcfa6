package deliver_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"paperknife/deliver"
	"paperknife/deliver/delivertest"
	"paperknife/test/need"
)

// These tests run this binary once more, under strace, as a small delivery agent whose system calls can be watched
// and made to fail. The agent reports with pwrite64 on descriptor 3, a call that is never made to fail.

const agentEnv = "PAPERKNIFE_DELIVERTEST_AGENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(agentEnv); dir != "" {
		agent(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	agentMails = 24
	agentText  = "Subject: agent\r\n\r\nbody\r\nend\r\n"
)

// agent delivers to user0, user1 and so on, each in a Maildir that is made for it, and writes down each reply.
func agent(dir string) {
	runtime.LockOSThread() // strace counts the calls of each thread
	report := os.NewFile(3, "report")
	m, err := deliver.NewMaildir(deliver.MaildirSettings{Template: "mail/{local}", Base: dir, Hostname: "mx"})
	if err != nil {
		panic(err)
	}
	tx := m.Begin(context.Background(), "sender@example.com")
	var offset int64
	for i := range agentMails {
		result := tx.Deliver(context.Background(), delivertest.View{Text: agentText}, []deliver.Recipient{{Address: fmt.Sprintf("user%d", i)}})[0]
		code, enhanced, text := result.SMTP()
		line := fmt.Appendf(nil, "%d %v %s\n", code, enhanced, text)
		if _, err := report.WriteAt(line, offset); err != nil {
			panic(err)
		}
		offset += int64(len(line))
	}
}

// needStrace skips the test where strace does not work, and fails it where the tests must all run.
func needStrace(t *testing.T) {
	t.Helper()
	if err := exec.Command("strace", "-f", "-o", os.DevNull, "true").Run(); err != nil {
		need.Missing(t, "strace is needed:", err)
	}
}

// runAgent runs the agent under strace and returns its replies and the trace. It may be killed.
func runAgent(t *testing.T, dir string, args ...string) (replies []string, trace string) {
	t.Helper()
	state := t.TempDir()
	report, err := os.Create(filepath.Join(state, "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = report.Close() }()
	log := filepath.Join(state, "trace")
	cmd := exec.CommandContext(t.Context(), "strace", append([]string{"-f", "-qq", "-o", log}, append(args, os.Args[0])...)...)
	cmd.Env = append(os.Environ(), agentEnv+"="+dir)
	cmd.ExtraFiles = []*os.File{report}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.Exited() {
		t.Fatalf("agent: %v\n%s", err, out)
	}
	text, err := os.ReadFile(report.Name())
	if err != nil {
		t.Fatal(err)
	}
	traced, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), string(traced)
}

// checkMailboxes holds the mailboxes against the replies: 250 means one whole message, anything else none, and nothing
// is left in tmp/. It returns the number of messages.
func checkMailboxes(t *testing.T, dir string, replies []string) (delivered int) {
	t.Helper()
	for i, reply := range replies {
		box := filepath.Join(dir, fmt.Sprintf("mail/user%d", i))
		var list []string
		if _, err := os.Stat(box); err == nil {
			list = files(t, box)
		}
		want := 0
		if strings.HasPrefix(reply, "250 ") {
			want = 1
			delivered++
		} else if reply[0] != '4' || strings.Contains(reply, "/") {
			t.Errorf("user%d: %q", i, reply)
		}
		if len(list) != want {
			t.Errorf("user%d: %q, files %q", i, reply, list)
		}
		for _, name := range list {
			checkWhole(t, filepath.Join(box, name))
		}
	}
	return delivered
}

func checkWhole(t *testing.T, name string) {
	t.Helper()
	if filepath.Base(filepath.Dir(name)) != "new" {
		t.Errorf("left behind: %s", name)
		return
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	if !bytes.HasSuffix(content, []byte(strings.ReplaceAll(agentText, "\r\n", "\n"))) || !strings.Contains(name, fmt.Sprintf(",S=%d,", len(content))) {
		t.Errorf("%s: not whole: %q", name, content)
	}
}

// THREATS C07: the file is synced before it has a name, the directory after; a new Maildir is synced from new/ up
// before the directory that shows it is complete.
func TestOrderOnDisk(t *testing.T) {
	needStrace(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	replies, trace := runAgent(t, dir, "-y", "-e", "trace=mkdirat,fsync,linkat,openat,close")
	if got := checkMailboxes(t, dir, replies); got != agentMails {
		t.Fatalf("%d delivered: %q", got, replies)
	}
	box := regexp.QuoteMeta(dir + "/mail/user1")
	mail := regexp.QuoteMeta(dir + "/mail")
	steps := []string{
		`mkdirat\(\d+<` + mail + `>, "user1", 0700\)\s+= 0`,
		`mkdirat\(\d+<` + box + `>, "new", 0700\)\s+= 0`,
		`fsync\(\d+<` + box + `/new>\)\s+= 0`,
		`fsync\(\d+<` + box + `>\)\s+= 0`,
		`fsync\(\d+<` + mail + `>\)\s+= 0`,
		`mkdirat\(\d+<` + box + `>, "tmp", 0700\)\s+= 0`,
		`openat\(\d+<` + box + `/new>, "\.", [A-Z_|]*O_TMPFILE[A-Z_|]*, 0600\)\s+= \d`,
		`fsync\(\d+<` + box + `/new/#\d+>\S*\)\s+= 0`,
		`linkat\(AT_FDCWD\S*, "/proc/self/fd/\d+", \d+<` + box + `/new>, "[^"/]+", AT_SYMLINK_FOLLOW\)\s+= 0`,
		`close\(\d+<` + box + `/new/[^>]*>\S*\)\s+= 0`,
		`fsync\(\d+<` + box + `/new>\)\s+= 0`,
	}
	rest := trace
	for _, step := range steps {
		at := regexp.MustCompile(step).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("not found, or not in this order: %s\n%s", step, grep(trace, "/user1/"))
		}
		rest = rest[at[1]:]
	}
	if regexp.MustCompile(`(linkat|fsync|mkdirat)\(.*` + box + `[/>]`).MatchString(rest) {
		t.Errorf("more than expected:\n%s", grep(rest, "/user1/"))
	}
	if n := len(regexp.MustCompile(`fsync\(\d+<`+box+`/new/#`).FindAllString(trace, -1)); n != 1 {
		t.Errorf("the file was synced %d times", n)
	}
}

func grep(text, word string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// THREATS C08: the first fsync of a file fails; 451, nothing there, and no second fsync of it.
func TestFsyncFailsOnce(t *testing.T) {
	needStrace(t)
	dir := fastDir(t)
	box := filepath.Join(dir, "mail/user0")
	for _, d := range []string{"cur", "new", "tmp"} { // so that the first fsync is that of the file
		if err := os.MkdirAll(filepath.Join(box, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	replies, trace := runAgent(t, dir, "-y", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1")
	if got := checkMailboxes(t, dir, replies); got != agentMails-1 || !strings.HasPrefix(replies[0], "451 4.3.0 ") {
		t.Errorf("%d delivered: %q", got, replies)
	}
	calls := regexp.MustCompile(`fsync\(\d+<`+regexp.QuoteMeta(box)+`/new/#\d+>.*INJECTED`).FindAllString(trace, -1)
	if len(calls) != 1 || len(regexp.MustCompile(`fsync\(\d+<`+regexp.QuoteMeta(box)+`[/>]`).FindAllString(trace, -1)) != 1 {
		t.Errorf("not one fsync, that of the file:\n%s", grep(trace, box))
	}
}

// faultCodes is the reply for each error.
var faultCodes = map[string]string{
	"ENOSPC": "452 4.3.1", "EDQUOT": "452 4.2.2", "EFBIG": "452 4.2.2", "EIO": "451 4.3.0", "EMFILE": "451 4.3.0", "EROFS": "451 4.3.0",
	"EACCES": "451 4.3.0", "ESTALE": "451 4.3.0",
}

// faultSteps says every how many calls one fails: coprime to the number of such calls in one delivery (openat 16 or
// 17, close 14 or 15, fsync 6, mkdirat 4), so that each of them has its turn over the run. The runtime of the agent
// opens and closes a few files first.
var faultSteps = map[string]string{"openat": "40+19", "write": "1+2", "fsync": "1+7", "close": "40+17", "linkat": "1+2", "mkdirat": "1+5"}

// THREATS C09: every call of a delivery fails in every way, at every place over the run. Each time the reply is
// temporary and nothing is left.
func TestFaultMatrix(t *testing.T) {
	needStrace(t)
	for call, when := range faultSteps {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			for errno, code := range faultCodes {
				faultRun(t, call, errno, when, code)
			}
		})
		if call == "linkat" || call == "mkdirat" {
			continue
		}
		t.Run("named "+call, func(t *testing.T) {
			t.Parallel()
			for errno, code := range faultCodes {
				faultRun(t, call, errno, when, code, "-e", "inject=linkat:error=EACCES:when=1")
			}
		})
	}
}

func faultRun(t *testing.T, call, errno, when, code string, args ...string) {
	t.Helper()
	if testing.Short() && errno != "EIO" {
		return // with -race the agent takes a second to start
	}
	dir := fastDir(t)
	args = append(args, "--seccomp-bpf", "-e", "trace="+call, "-e", "inject="+call+":error="+errno+":when="+when)
	replies, trace := runAgent(t, dir, args...)
	if len(replies) != agentMails {
		t.Fatalf("%s: %d replies", errno, len(replies))
	}
	delivered := checkMailboxes(t, dir, replies)
	if delivered == 0 || delivered == agentMails || !strings.Contains(trace, "(INJECTED)") {
		t.Errorf("%s: %d delivered, the run shows nothing: %q", errno, delivered, replies)
	}
	for i, reply := range replies {
		if reply[0] == '4' && !strings.HasPrefix(reply, code) {
			t.Errorf("%s: user%d: %q", errno, i, reply)
		}
	}
}

// THREATS C07: killed at any call, what was answered 250 is there and nothing is there in part.
func TestKilled(t *testing.T) {
	needStrace(t)
	places := map[string][2]int{"openat": {60, 90}, "write": {1, 6}, "fsync": {1, 16}, "linkat": {1, 6}, "close": {50, 80}, "mkdirat": {1, 12}}
	for call, place := range places {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			for n := place[0]; n < place[1]; n++ {
				if testing.Short() && n%5 != 0 {
					continue
				}
				dir := fastDir(t)
				replies, _ := runAgent(t, dir, "-e", "trace="+call, "-e", "inject="+call+":signal=SIGKILL:when="+strconv.Itoa(n))
				replies = slices.DeleteFunc(replies, func(s string) bool { return s == "" })
				if len(replies) == agentMails {
					t.Errorf("%d: not killed", n)
				}
				if got := checkMailboxes(t, dir, replies); got != len(replies) {
					t.Errorf("%d: %q", n, replies)
				}
				for _, name := range files(t, dir) {
					checkWhole(t, filepath.Join(dir, name))
				}
			}
		})
	}
}
