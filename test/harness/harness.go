// Package harness runs the built programs for tests as a mail server would: it builds them once per test binary,
// starts lmtpd over a configuration in a directory of its own, speaks LMTP to it octet by octet, runs deliver-filter
// and paperknife, and reads the Maildirs. It knows no package of the product, so that what a test sees is what the
// programs do. Only loopback and temporary directories are used.
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
//
//	site := harness.NewSite(t, config, map[string][]byte{"dca.pem": certificate, "dca.key": key})
//	server := site.Start(t)
//	replies := site.Dial(t).Deliver("alice@example.com", []string{"erin@example.net"}, message)
//	delivered := site.Take(t, "erin@example.net")
package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/test/need"
)

// Socket is the name of the socket that a Site's configuration has lmtpd listen on, relative to its directory.
const Socket = "lmtp.sock"

// Listen is the section that does so.
const Listen = "[lmtp]\nlisten = [\"unix:" + Socket + "\"]\n"

// Run is a test suite or another holder of one, such as *testing.M.
type Run interface{ Run() int }

// Main runs the tests and removes the built programs: func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }.
func Main(m Run) int {
	code := m.Run()
	builds.Lock()
	defer builds.Unlock()
	for _, b := range builds.byTags {
		if b.dir != "" {
			if err := os.RemoveAll(b.dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
	return code
}

// A build is the three programs, built with the same tags.
type build struct {
	once sync.Once
	dir  string
	err  error
}

var builds struct {
	sync.Mutex
	byTags map[string]*build
}

// Programs returns a directory with lmtpd, deliver-filter and paperknife, built with these tags at the first call.
// A package that calls it has Main in its TestMain, or leaves the directory behind.
func Programs(tb testing.TB, tags ...string) string {
	tb.Helper()
	key := strings.Join(tags, ",")
	builds.Lock()
	if builds.byTags == nil {
		builds.byTags = map[string]*build{}
	}
	b := builds.byTags[key]
	if b == nil {
		b = &build{}
		builds.byTags[key] = b
	}
	builds.Unlock()
	b.once.Do(func() { b.dir, b.err = compile(key) })
	if b.err != nil {
		tb.Fatal(b.err)
	}
	return b.dir
}

func compile(tags string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "pk-bin-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", tags, "-o", dir, "./cmd/lmtpd", "./cmd/deliver-filter", "./cmd/paperknife")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	// A mail server runs the programs as other users.
	return dir, os.Chmod(dir, 0o755)
}

// Root returns the directory of the repository.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// A Site is a directory with a paperknife.toml and what it names.
type Site struct {
	Dir  string
	Tags []string // build tags of the programs
	Env  []string // added to the environment of the programs

	// Prepare may change the command of a program before it is started: run it under another, say.
	Prepare func(tb testing.TB, cmd *exec.Cmd)
}

// NewSite writes a configuration and the files it names into a new directory, which goes with the test. Its path is
// short, since the path of a socket may have 107 octets only.
func NewSite(tb testing.TB, config string, files map[string][]byte) *Site {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pk-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	s := &Site{Dir: dir}
	s.Write(tb, "paperknife.toml", []byte(config))
	for name, content := range files {
		s.Write(tb, name, content)
	}
	return s
}

// Write puts one file into the directory, readable by its owner alone.
func (s *Site) Write(tb testing.TB, name string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(s.Path(name), content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Path returns the path of a file in the directory.
func (s *Site) Path(name string) string { return filepath.Join(s.Dir, name) }

// Config returns the path of the configuration.
func (s *Site) Config() string { return s.Path("paperknife.toml") }

// An Ended is a program that has ended.
type Ended struct {
	Code           int // exit code; -1: by a signal
	Stdout, Stderr []byte
}

// Filter runs deliver-filter over a message. The environment names no sender and no recipient.
func (s *Site) Filter(tb testing.TB, message []byte, args ...string) Ended {
	tb.Helper()
	return s.Program(tb, "deliver-filter", message, append([]string{"-config", s.Config()}, args...)...)
}

// Program runs one of the programs to its end, with nothing added to its arguments.
func (s *Site) Program(tb testing.TB, name string, stdin []byte, args ...string) Ended {
	tb.Helper()
	cmd := exec.Command(filepath.Join(Programs(tb, s.Tags...), name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(s.environment(), s.Env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	s.prepare(tb, cmd)
	if err := cmd.Run(); cmd.ProcessState == nil {
		tb.Fatal(err)
	}
	return Ended{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
}

func (s *Site) prepare(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if s.Prepare != nil {
		s.Prepare(tb, cmd)
	}
}

// Need skips a test that lacks something, and fails it where every test must run.
func Need(tb testing.TB, what string, err error) {
	tb.Helper()
	if err != nil {
		need.Missing(tb, what, "is needed:", err)
	}
}

// environment is that of the test without what mail servers hand to a pipe.
func (s *Site) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "RECIPIENT", "SENDER", "PAPERKNIFE_FAULT":
		default:
			env = append(env, v)
		}
	}
	return env
}
