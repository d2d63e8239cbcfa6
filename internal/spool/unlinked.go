package spool

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Unlinked makes a file, where long messages go, that no other process can open by name and that goes away with the last
// descriptor.
func Unlinked(s Settings) (*os.File, error) { return createUnlinked(s.dir()) }

func createUnlinked(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	return createAndUnlink(dir)
}

// createAndUnlink is for file systems without O_TMPFILE.
func createAndUnlink(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "paperknife-") // 0600, O_EXCL
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
