package durable

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MakeDirs makes the directory name below root, with those above it that are missing, and syncs every directory on
// the way from name up to root itself. Directories that were there are synced too: another process may have made
// them a moment ago and not have come to its own sync.
func MakeDirs(root *os.Root, name string, perm fs.FileMode) error {
	if err := root.MkdirAll(name, perm); err != nil {
		return err
	}
	for dir := path.Clean(name); ; dir = path.Dir(dir) {
		if err := syncDir(root, dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// MakePath does the same for a path of the administrator's that no root holds yet, from the lowest directory that
// exists, whose own entry is synced where its parent can be read.
func MakePath(dir string, perm fs.FileMode) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	existing := dir
	for {
		_, err := os.Stat(existing)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || existing == filepath.Dir(existing) {
			return err
		}
		existing = filepath.Dir(existing)
	}
	if err := syncParent(existing); err != nil || existing == dir {
		return err
	}
	root, err := os.OpenRoot(existing)
	if err != nil {
		return err
	}
	rest, err := filepath.Rel(existing, dir)
	if err == nil {
		err = MakeDirs(root, filepath.ToSlash(rest), perm)
	}
	return errors.Join(err, root.Close())
}

// syncParent syncs the directory that holds dir. What we may not read, or cannot be written, we did not change, and
// nobody with our rights did.
func syncParent(dir string) error {
	parent, err := os.Open(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeDir(parent)
	if err := calls.fsync(parent); err != nil && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

func syncDir(root *os.Root, name string) error {
	dir, err := openDir(root, name)
	if err != nil {
		return err
	}
	defer closeDir(dir)
	return calls.fsync(dir)
}

// openDir opens a directory below root. O_DIRECTORY keeps a pipe of that name from holding us up.
func openDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// closeDir closes a directory that was only read: its entries are synced or given up by then, so an error would say
// nothing about a file.
func closeDir(dir *os.File) { _ = dir.Close() }
