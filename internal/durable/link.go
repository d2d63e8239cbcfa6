package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// calls are the system calls whose failure a test cannot bring about from outside.
var calls = struct {
	fsync  func(*os.File) error
	close  func(*os.File) error
	linkat func(olddir int, old string, newdir int, name string, flags int) error
}{(*os.File).Sync, (*os.File).Close, unix.Linkat}

// procMissing says, looked up once, that /proc is not mounted, as in some chroots. Without it an unnamed file cannot
// get a name: the other way, AT_EMPTY_PATH, asks for CAP_DAC_READ_SEARCH before Linux 6.10.
var procMissing = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd")
	return err != nil
})

// linkRefused is set when an unnamed file could be made but not linked.
var linkRefused atomic.Bool

func unnamedWork() bool { return !linkRefused.Load() && !procMissing() }

// noUnnamed says that err means "no O_TMPFILE here": the file system has none (EOPNOTSUPP), or the kernel takes the
// flag for O_DIRECTORY (EISDIR, ENOENT) or knows it not at all (EINVAL), open(2).
func noUnnamed(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}

// notLinkable says that err of linkat may speak of this way of linking rather than of the target. ENOENT does not: /proc
// is there, so the directory has gone.
func notLinkable(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.EXDEV, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func openUnnamed(dir *os.File) (*os.File, error) {
	return openat(dir, ".", unix.O_TMPFILE|unix.O_WRONLY)
}

func createExclusive(dir *os.File, name string) (*os.File, error) {
	return openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW)
}

func openat(dir *os.File, name string, flags int) (*os.File, error) {
	fd := -1
	err := uninterrupted(func() (err error) {
		fd, err = unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "openat", Path: dir.Name() + "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()+"/"+name), nil
}

// link gives the synced file its name.
func (f *File) link(name string) error {
	olddir, old, flags := unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.file.Fd())), unix.AT_SYMLINK_FOLLOW
	if f.temp != nil {
		olddir, old, flags = int(f.temp.dir.Fd()), f.temp.name, 0
	}
	err := uninterrupted(func() error { return calls.linkat(olddir, old, int(f.into.Fd()), name, flags) })
	switch {
	case err == nil || f.isLinked(name):
		return nil
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("link %q: %w", name, ErrExists)
	}
	err = &os.LinkError{Op: "linkat", Old: old, New: f.into.Name() + "/" + name, Err: err}
	if f.temp == nil && notLinkable(err) {
		linkRefused.Store(true)
		return fmt.Errorf("%w: %w", ErrAgain, err)
	}
	return err
}

// isLinked says whether the name is this very file after all: a network file system may report an error for a link
// that was made (THREATS C12). More than one name of the file alone would not tell where the other is.
func (f *File) isLinked(name string) bool {
	var file, entry unix.Stat_t
	if unix.Fstat(int(f.file.Fd()), &file) != nil {
		return false
	}
	if unix.Fstatat(int(f.into.Fd()), name, &entry, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	return file.Dev == entry.Dev && file.Ino == entry.Ino && entry.Nlink > 0
}

func unlinkat(dir *os.File, name string) error {
	err := uninterrupted(func() error { return unix.Unlinkat(int(dir.Fd()), name, 0) })
	if err != nil {
		return &fs.PathError{Op: "unlinkat", Path: dir.Name() + "/" + name, Err: err}
	}
	return nil
}

// uninterrupted repeats a call that a signal interrupted, as package os does for the calls it makes.
func uninterrupted(call func() error) error {
	for {
		err := call()
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
