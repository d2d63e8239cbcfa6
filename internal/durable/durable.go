// Package durable makes files that are on disk or not there.
//
// A file is written without a name in the file system of its target directory (O_TMPFILE), synced, linked to its
// name, and the directory is synced; only then does Commit return nil. A process that dies on the way leaves
// nothing behind. Where the system has no unnamed files the content gets a name in a temporary directory first.
//
// The package never replaces an existing file, never syncs a file again after a sync has failed (the kernel drops
// the dirty pages and the second call lies, THREATS C08), and never reports success before the directory is
// synced. It promises nothing on network file systems beyond what they promise themselves.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

var (
	// ErrExists reports that the name is taken. The file is still there to be committed under another name.
	ErrExists = errors.New("name is taken")

	// ErrAgain reports that the system can make unnamed files but does not let them be linked (no /proc, a
	// security module). The file is gone; every file created from now on is made the other way, so the caller
	// creates and writes it once more.
	ErrAgain = errors.New("unnamed files cannot be linked here")

	// ErrDone reports the use of a file that was committed or aborted before.
	ErrDone = errors.New("file already committed or aborted")
)

// A File is content on its way to a name. It ends with Commit or Abort. It is not for use by several goroutines at once.
type File struct {
	file   *os.File
	into   *os.File   // the directory that gets the name, open from before the first octet is written
	temp   *temporary // nil for an unnamed file
	synced bool
	done   bool
	err    error // a write that failed: such a file is never committed
}

// Create opens a new file, mode 0600, that is to get a name in the directory into, a path below box. The path temp
// below box is the name it has meanwhile where unnamed files cannot be had. Neither path leaves box, not by a
// symbolic link either.
func Create(box *os.Root, into, temp string) (*File, error) {
	dir, err := openDir(box, into)
	if err != nil {
		return nil, err
	}
	f := &File{into: dir}
	if unnamedWork() {
		f.file, err = openUnnamed(dir)
	}
	if f.file == nil && (err == nil || noUnnamed(err)) {
		f.file, f.temp, err = openNamed(box, temp)
	}
	if err != nil {
		closeDir(dir)
		return nil, err
	}
	return f, nil
}

// Write adds to the file.
func (f *File) Write(p []byte) (int, error) {
	if f.done {
		return 0, ErrDone
	}
	n, err := f.file.Write(p)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n, err
}

// Commit syncs the file, gives it its name and syncs the directory. With ErrExists the file waits for another name;
// after any other error it is gone, and so is the name.
func (f *File) Commit(name string) error {
	if f.done {
		return ErrDone
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return errors.Join(fmt.Errorf("%q is no file name", name), f.Abort())
	}
	if err := f.sync(); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.link(name); err != nil {
		if errors.Is(err, ErrExists) {
			return err
		}
		return errors.Join(err, f.Abort())
	}
	return f.finish(name)
}

// sync brings the content to the disk, once.
func (f *File) sync() error {
	if f.err != nil || f.synced {
		return f.err
	}
	if err := calls.fsync(f.file); err != nil {
		return err
	}
	f.synced = true
	return nil
}

// finish makes the new name durable, or takes it back.
func (f *File) finish(name string) error {
	f.done = true
	err := calls.close(f.file)
	if f.temp != nil {
		// What stays in tmp/ when this fails is a second name of a message that is safe; refusing the message for
		// it would bring a second copy instead.
		_ = f.temp.remove()
	}
	if err == nil {
		err = calls.fsync(f.into)
	}
	if err != nil {
		err = errors.Join(err, ignoreMissing(unlinkat(f.into, name)))
	}
	closeDir(f.into)
	return err
}

// Abort gives the file up and leaves nothing behind. After Commit or Abort it has no effect.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	// Nobody needs what these descriptors hold, so only a name left in tmp/ is worth a word.
	_ = calls.close(f.file)
	var err error
	if f.temp != nil {
		err = f.temp.remove()
	}
	closeDir(f.into)
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// temporary is the name of a file that could not be made without one.
type temporary struct {
	dir  *os.File
	name string
}

func (t *temporary) remove() error {
	defer closeDir(t.dir)
	return ignoreMissing(unlinkat(t.dir, t.name))
}

func openNamed(box *os.Root, temp string) (*os.File, *temporary, error) {
	dir, err := openDir(box, path.Dir(temp))
	if err != nil {
		return nil, nil, err
	}
	t := &temporary{dir: dir, name: path.Base(temp)}
	file, err := createExclusive(dir, t.name)
	if err != nil {
		closeDir(dir)
		return nil, nil, err
	}
	return file, t, nil
}
