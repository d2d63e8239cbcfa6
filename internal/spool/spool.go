// Package spool keeps one received message.
package spool

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Settings of the spool.
type Settings struct {
	Dir    string
	Memory int64
}

// ErrNoRoom means that the directory has not enough space.
var ErrNoRoom = errors.New("no room in the spool directory")

// A Writer collects one message.
type Writer struct {
	s   Settings
	buf bytes.Buffer
	f   *os.File
	n   int64
	err error
}

// New returns a Writer.
func New(s Settings) *Writer { return &Writer{s: s} }

// Write adds p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.f == nil && int64(w.buf.Len()+len(p)) > w.s.Memory {
		w.f, w.err = os.CreateTemp(w.s.Dir, "spool")
		if w.err != nil {
			return 0, w.err
		}
		if w.err = os.Remove(w.f.Name()); w.err != nil {
			return 0, w.err
		}
		if _, w.err = w.f.Write(w.buf.Bytes()); w.err != nil {
			return 0, w.err
		}
		w.buf = bytes.Buffer{}
	}
	var n int
	if w.f != nil {
		n, w.err = w.f.Write(p)
	} else {
		n, w.err = w.buf.Write(p)
	}
	w.n += int64(n)
	return n, w.err
}

// Finish ends the message.
func (w *Writer) Finish() (*Spool, error) {
	if w.err != nil {
		err := w.err
		w.Discard()
		return nil, err
	}
	if w.f != nil {
		s := &Spool{r: w.f, c: w.f, n: w.n}
		w.f = nil
		return s, nil
	}
	return FromBytes(w.buf.Bytes()), nil
}

// Discard drops what was collected.
func (w *Writer) Discard() {
	if w.f != nil {
		_ = w.f.Close()
		w.f = nil
	}
}

// A Spool is a message that no longer changes.
type Spool struct {
	r io.ReaderAt
	c io.Closer
	n int64
}

// ReadAt reads at off.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) { return s.r.ReadAt(p, off) }

// Size returns the number of octets.
func (s *Spool) Size() int64 { return s.n }

// Close frees the spool.
func (s *Spool) Close() error {
	if s.c == nil {
		return nil
	}
	c := s.c
	s.c = nil
	return c.Close()
}

// FromBytes makes a Spool of b.
func FromBytes(b []byte) *Spool { return &Spool{r: bytes.NewReader(b), n: int64(len(b))} }

// FromFile makes a Spool of a regular file.
func FromFile(f *os.File) (*Spool, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &Spool{r: f, c: f, n: st.Size()}, nil
}

// Room tells whether the directory has size octets free.
func Room(s Settings, size int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.Dir, &st); err != nil {
		return err
	}
	if int64(st.Bavail)*st.Bsize < size {
		return ErrNoRoom
	}
	return nil
}
