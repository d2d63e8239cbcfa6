package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paperknife/test/need"
)

// newBox makes a directory with new/ and tmp/ and opens it.
func newBox(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	box, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box, dir
}

// names lists the files below dir, as paths relative to it.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// bothWays runs a test with unnamed files and with the fallback.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Run("unnamed", test)
	t.Run("named", func(t *testing.T) {
		linkRefused.Store(true)
		defer linkRefused.Store(false)
		test(t)
	})
}

func TestCommit(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		box, dir := newBox(t)
		f, err := Create(box, "new", "tmp/a")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one\n", "two\n"} {
			if _, err := f.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		if got := names(t, filepath.Join(dir, "new")); len(got) != 0 {
			t.Errorf("before Commit: %q", got)
		}
		if err := f.Commit("name"); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"new/name"}) {
			t.Errorf("after Commit: %q", got)
		}
		info, err := os.Stat(filepath.Join(dir, "new/name"))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "new/name")); string(got) != "one\ntwo\n" {
			t.Errorf("content %q", got)
		}
		if _, err := f.Write(nil); !errors.Is(err, ErrDone) {
			t.Errorf("Write after Commit: %v", err)
		}
		if err := f.Commit("other"); !errors.Is(err, ErrDone) {
			t.Errorf("second Commit: %v", err)
		}
		if err := f.Abort(); err != nil {
			t.Errorf("Abort after Commit: %v", err)
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		box, dir := newBox(t)
		before := descriptors(t)
		f, err := Create(box, "new", "tmp/a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := f.Abort(); err != nil {
			t.Fatal(err)
		}
		if err := f.Abort(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors open, %d before", after, before)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		need.Missing(t, "no /proc:", err)
	}
	return len(list)
}

// THREATS C11: a name that is taken is never replaced, and the file can take another one.
func TestTakenName(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		box, dir := newBox(t)
		for name, make := range map[string]func(string) error{
			"file":    func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) },
			"dir":     func(p string) error { return os.Mkdir(p, 0o700) },
			"symlink": func(p string) error { return os.Symlink("/nowhere", p) },
		} {
			if err := make(filepath.Join(dir, "new", name)); err != nil {
				t.Fatal(err)
			}
			f, err := Create(box, "new", "tmp/a")
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Commit(name); !errors.Is(err, ErrExists) {
				t.Errorf("%s: %v", name, err)
			}
			if err := f.Commit(name + "2"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "new/file")); string(got) != "old" {
			t.Errorf("the old file holds %q", got)
		}
		if got := names(t, filepath.Join(dir, "tmp")); len(got) != 0 {
			t.Errorf("left in tmp: %q", got)
		}
	})
}

func TestBadNames(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		box, dir := newBox(t)
		for _, name := range []string{"", ".", "..", "a/b", "../x", "/x", "a\x00b"} {
			f, err := Create(box, "new", "tmp/a")
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Commit(name); err == nil || errors.Is(err, ErrExists) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if got := names(t, dir); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	})
}

// THREATS C08, C09: whatever call fails, nothing is left and no file is synced a second time.
func TestFaults(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		for _, fault := range []string{"fsync file", "fsync directory", "close", "link", "write"} {
			t.Run(fault, func(t *testing.T) {
				box, dir := newBox(t)
				before := descriptors(t)
				syncs := map[*os.File]int{}
				restore := calls
				defer func() { calls = restore }()
				calls.fsync = func(f *os.File) error {
					syncs[f]++
					if info, _ := f.Stat(); info.IsDir() == (fault == "fsync directory") && fault != "link" && fault != "close" {
						return unix.EIO
					}
					return f.Sync()
				}
				calls.close = func(f *os.File) error {
					err := f.Close()
					if fault == "close" {
						return unix.EIO
					}
					return err
				}
				calls.linkat = func(a int, b string, c int, d string, e int) error {
					if fault == "link" {
						return unix.EIO
					}
					return unix.Linkat(a, b, c, d, e)
				}
				f, err := Create(box, "new", "tmp/a")
				if err != nil {
					t.Fatal(err)
				}
				if fault == "write" {
					f.err = unix.ENOSPC
				} else if _, err := f.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if err := f.Commit("name"); err == nil {
					t.Error("no error")
				}
				if err := f.Commit("name"); !errors.Is(err, ErrDone) {
					t.Errorf("second Commit: %v", err)
				}
				if got := names(t, dir); len(got) != 0 {
					t.Errorf("left: %q", got)
				}
				for f, n := range syncs {
					if n > 1 {
						t.Errorf("%s synced %d times", f.Name(), n)
					}
				}
				if after := descriptors(t); after != before {
					t.Errorf("%d descriptors open, %d before", after, before)
				}
			})
		}
	})
}

// THREATS C12: an error for a link that was made is no error.
func TestLinkedThoughError(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		for _, errno := range []error{unix.EIO, unix.EEXIST, unix.ENOENT, unix.EPERM} {
			box, dir := newBox(t)
			restore := calls
			calls.linkat = func(a int, b string, c int, d string, e int) error {
				if err := unix.Linkat(a, b, c, d, e); err != nil {
					t.Error(err)
				}
				return errno
			}
			f, err := Create(box, "new", "tmp/a")
			if err == nil {
				err = f.Commit("name")
			}
			calls = restore
			if err != nil {
				t.Errorf("%v: %v", errno, err)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"new/name"}) {
				t.Errorf("%v: %q", errno, got)
			}
		}
	})
}

// Where an unnamed file cannot be linked, the next one is made the other way.
func TestLinkRefused(t *testing.T) {
	defer linkRefused.Store(false)
	box, dir := newBox(t)
	restore := calls
	defer func() { calls = restore }()
	calls.linkat = func(a int, b string, c int, d string, e int) error {
		if e == unix.AT_SYMLINK_FOLLOW {
			return unix.EACCES
		}
		return unix.Linkat(a, b, c, d, e)
	}
	f, err := Create(box, "new", "tmp/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit("name"); !errors.Is(err, ErrAgain) || !errors.Is(err, unix.EACCES) {
		t.Fatalf("first: %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if f, err = Create(box, "new", "tmp/a"); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit("name"); err != nil {
		t.Fatalf("second: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"new/name"}) {
		t.Errorf("have %q", got)
	}
}

// THREATS C15: a symbolic link that leaves the box is refused, one that stays inside is followed, a pipe does not
// hold us up.
func TestPlantedEntries(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		outside := t.TempDir()
		for name, plant := range map[string]func(dir string) error{
			"absolute link": func(dir string) error { return os.Symlink(outside, dir) },
			"relative link": func(dir string) error { return os.Symlink("../../outside", dir) },
			"pipe":          func(dir string) error { return syscall.Mkfifo(dir, 0o600) },
			"file":          func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
			"missing":       func(string) error { return nil },
		} {
			box, dir := newBox(t)
			planted := filepath.Join(dir, "new")
			if err := os.Remove(planted); err != nil {
				t.Fatal(err)
			}
			if err := plant(planted); err != nil {
				t.Fatal(err)
			}
			if f, err := Create(box, "new", "tmp/a"); err == nil {
				t.Errorf("%s: accepted", name)
				_ = f.Abort()
			}
			if got := names(t, outside); len(got) != 0 {
				t.Errorf("%s: outside: %q", name, got)
			}
			if got := names(t, filepath.Join(dir, "tmp")); len(got) != 0 {
				t.Errorf("%s: left in tmp: %q", name, got)
			}
		}
		box, dir := newBox(t)
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "inbox")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("inbox", filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		f, err := Create(box, "new", "tmp/a")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Commit("name"); err != nil {
			t.Fatal(err)
		}
		if got := names(t, filepath.Join(dir, "inbox")); !slices.Equal(got, []string{"name"}) {
			t.Errorf("inside link: %q", got)
		}
	})
}

// THREATS C07: every directory on the way is synced, found or made, up to the root.
func TestMakeDirs(t *testing.T) {
	root, dir := newBox(t)
	var synced []string
	restore := calls
	defer func() { calls = restore }()
	calls.fsync = func(f *os.File) error {
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if err != nil {
			return err
		}
		synced = append(synced, name)
		return f.Sync()
	}
	if err := MakeDirs(root, "a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/a/b/c", dir + "/a/b", dir + "/a", dir}
	if !slices.Equal(synced, want) {
		t.Errorf("synced %q, want %q", synced, want)
	}
	synced = nil
	if err := MakePath(dir+"/a/x/y", 0o700); err != nil {
		t.Fatal(err)
	}
	want = []string{dir, dir + "/a/x/y", dir + "/a/x", dir + "/a"}
	if !slices.Equal(synced, want) {
		t.Errorf("synced %q, want %q", synced, want)
	}
	synced = nil
	if err := MakePath(dir+"/a/x/y", 0o700); err != nil || !slices.Equal(synced, []string{dir + "/a/x"}) {
		t.Errorf("existing: %v, synced %q", err, synced)
	}
	if err := MakeDirs(root, "../x", 0o700); err == nil {
		t.Error("made a directory outside the root")
	}
	calls.fsync = func(*os.File) error { return unix.EIO }
	if err := MakeDirs(root, "d", 0o700); !errors.Is(err, unix.EIO) {
		t.Errorf("fsync error: %v", err)
	}
	if err := os.WriteFile(dir+"/plain", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakePath(dir+"/plain/x", 0o700); err == nil {
		t.Error("made a directory below a file")
	}
}

func TestConcurrent(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		box, dir := newBox(t)
		var group sync.WaitGroup
		won := make(chan int, 8)
		for i := range 8 {
			group.Go(func() {
				f, err := Create(box, "new", fmt.Sprintf("tmp/%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				switch err := f.Commit("same"); {
				case err == nil:
					won <- i
				case !errors.Is(err, ErrExists):
					t.Error(err)
				}
				if err := f.Abort(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Errorf("%d files got the name", len(won))
		}
		if got := names(t, dir); !slices.Equal(got, []string{"new/same"}) {
			t.Errorf("have %q", got)
		}
	})
}
