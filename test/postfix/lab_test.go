// Package postfix holds tests against a real Postfix as Debian packages it: a private instance with a queue, data and
// configuration of its own in a temporary directory, started and stopped by the postfix command. It hands mail to lmtpd
// over LMTP, and to deliver-filter by mailbox_command, by pipe(8), by procmail and by maildrop, with the recipes that
// stand in the README. What goes wrong on our side must be a deferral in its log, and never a bounce.
//
// Postfix starts delivery agents with the rights of the recipient, so all this needs root, and a user made for the run.
package postfix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/test/need"
	"paperknife/test/testpki"
)

// patience bounds every wait for something that a server does.
const patience = 40 * time.Second

// repository is the root of the sources, seen from this directory.
const repository = "../.."

func TestMain(m *testing.M) {
	code := testpki.Main(m)
	if theLab != nil {
		if err := theLab.close(); err != nil {
			fmt.Fprintln(os.Stderr, "cleaning up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// A lab is the directory that everything is in, the user whose mail is delivered, and the running Postfix.
//
//	etc/    configuration of Postfix    spool/  its queue, and lmtpd's socket
//	data/   its data                    log/    its log, and lmtpd's
//	bin/    the commands under test     pk/     configuration, keys, anchors
//	home/   of the user                 vmail/  Maildirs of pipe(8)
//	mail/   Maildirs of lmtpd           site/   one directory for each door with a fault
type lab struct {
	root    string
	pki     *testpki.PKI
	name    string // of the user
	uid     int
	gid     int
	postfix int // group
	closers []func() error
}

var (
	labOnce sync.Once
	theLab  *lab
	errLab  error
)

// open returns the one lab of the run, with Postfix running.
func open(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers")
	}
	if reason := missing(); reason != "" {
		need.Missing(t, reason)
	}
	pki := testpki.Shared(t)
	labOnce.Do(func() {
		sweep(t)
		theLab = &lab{pki: pki}
		errLab = theLab.build()
	})
	if errors.Is(errLab, errMount) && os.Getenv("CI") != "true" {
		t.Skip(errLab)
	}
	if errLab != nil {
		t.Fatal(errLab)
	}
	return theLab
}

// errMount is for a root who may not mount, as in a container.
var errMount = errors.New("small disks cannot be mounted")

// sweep stops and removes what a run that was killed has left behind.
func sweep(t *testing.T) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range old {
		text, err := os.ReadFile(filepath.Join(root, "pid"))
		pid, notNumber := strconv.Atoi(string(text))
		if err != nil || notNumber != nil || unix.Access(fmt.Sprintf("/proc/%d", pid), unix.F_OK) == nil {
			continue
		}
		t.Logf("removing %s of process %d", root, pid)
		// Each of these fails where that run had not come so far.
		_ = command("postfix", "-c", filepath.Join(root, "etc"), "stop")
		_ = command("userdel", userPrefix+strconv.Itoa(pid))
		disks, _ := filepath.Glob(filepath.Join(root, "site", "*", "disk"))
		for _, disk := range disks {
			_ = unix.Unmount(disk, unix.MNT_DETACH)
		}
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	}
}

// Names of what a run makes outside its directory, and the directory.
const (
	prefix     = "pkpf"
	userPrefix = "pk"
)

// missing says what these tests lack, or nothing.
func missing() string {
	if os.Geteuid() != 0 {
		return "not root: Postfix cannot start delivery agents for other users"
	}
	for _, command := range []string{"openssl", "postfix", "procmail", "maildrop", "useradd"} {
		if _, err := exec.LookPath(command); err != nil {
			return command + " is not installed"
		}
	}
	return ""
}

func (l *lab) build() (err error) {
	// A unix socket has room for a short path only, so it is not t.TempDir.
	if l.root, err = os.MkdirTemp("", prefix); err != nil {
		return err
	}
	if err := os.Chmod(l.root, 0o755); err != nil {
		return err
	}
	if err := l.write("pid", strconv.Itoa(os.Getpid()), 0o644); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "spool", "data", "log", "bin", "pk", "home", "vmail", "mail", "site"} {
		if err := os.Mkdir(l.path(dir), 0o755); err != nil {
			return err
		}
	}
	for _, step := range []func() error{l.addUser, l.compile, l.writeConfigurations, l.makeSites, l.start} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// later runs a function when the lab is closed, the last first.
func (l *lab) later(f func() error) { l.closers = append(l.closers, f) }

func (l *lab) close() error {
	errs := []error{l.bounced()}
	for i := len(l.closers) - 1; i >= 0; i-- {
		errs = append(errs, l.closers[i]())
	}
	if l.root != "" && os.Getenv("PAPERKNIFE_KEEP_LAB") == "" {
		errs = append(errs, os.RemoveAll(l.root))
	}
	return errors.Join(errs...)
}

// path is a path in the lab.
func (l *lab) path(elements ...string) string {
	return filepath.Join(append([]string{l.root}, elements...)...)
}

// addUser makes a user of the system, as mailbox_command needs one, with a home directory in the lab.
func (l *lab) addUser() (err error) {
	l.name = userPrefix + strconv.Itoa(os.Getpid())
	if err := command("useradd", "--user-group", "--groups", "postfix", "--no-create-home", "--home-dir", l.path("home"), "--shell", "/bin/sh", l.name); err != nil {
		return err
	}
	l.later(func() error { return command("userdel", l.name) })
	if l.uid, l.gid, err = lookup(l.name); err != nil {
		return err
	}
	owner, group, err := lookup("postfix")
	if err != nil {
		return err
	}
	errs := []error{os.Chown(l.path("data"), owner, group)}
	for _, dir := range []string{"home", "vmail", "mail"} {
		errs = append(errs, os.Chown(l.path(dir), l.uid, l.gid))
	}
	l.postfix = group
	return errors.Join(append(errs, l.socketDirectory())...)
}

func lookup(name string) (uid, gid int, err error) {
	account, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, err = strconv.Atoi(account.Uid)
	if err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(account.Gid)
	return uid, gid, err
}

// socketDirectory is what "install -d -o paperknife -g postfix -m 2750" makes.
func (l *lab) socketDirectory() error {
	dir := l.path("spool", "paperknife")
	return errors.Join(os.Mkdir(dir, 0o750), os.Chown(dir, l.uid, l.postfix), unix.Chmod(dir, 0o2750))
}

// compile builds the commands twice: as they are installed, and with faults on request.
func (l *lab) compile() error {
	for dir, tags := range map[string]string{"bin": "", "bin/faults": "faults"} {
		cmd := exec.Command("go", "build", "-C", repository, "-tags", tags, "-o", l.path(dir)+"/", "./cmd/lmtpd", "./cmd/deliver-filter")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile builds them
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
}

// start starts Postfix, which goes into the background, and has it stopped in the end.
func (l *lab) start() error {
	if err := command("postfix", "-c", l.path("etc"), "start"); err != nil {
		log, _ := os.ReadFile(l.path("log", "maillog")) // there may be none
		return fmt.Errorf("%w\n%s", err, log)
	}
	l.later(l.stop)
	return within(patience, func() error {
		_, err := os.Stat(l.path("spool", "public", "submit"))
		return err
	})
}

func (l *lab) stop() error {
	if err := command("postfix", "-c", l.path("etc"), "stop"); err != nil {
		return errors.Join(err, command("postfix", "-c", l.path("etc"), "abort"))
	}
	return nil
}

// flush has Postfix try everything that is deferred, now.
func (l *lab) flush() error { return command("postqueue", "-c", l.path("etc"), "-f") }

// command runs a command to its end, which it must find in time.
func command(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // what it left in the background may hold its output open
	if out, err := cmd.CombinedOutput(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
	}
	return nil
}

// within tries until f has no error, for a bounded time.
func within(limit time.Duration, f func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(25 * time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
