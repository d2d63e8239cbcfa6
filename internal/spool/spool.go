// Package spool keeps what arrived: the octets of one message, immutable once it is complete. A small message
// stays in memory, a larger one goes to a file without a name, so that nothing is left behind by a crash. The
// spool knows nothing about mail, and it need not survive: until the message is delivered the sender has it.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A Spool is the octets of one message. It is safe for use by several goroutines at once.
type Spool struct {
	size int64

	mu     sync.RWMutex // held for reading by ReadAt, so that Close never takes the octets from under a reader
	memory [][]byte     // pieces of pieceSize octets, the last one shorter; or one piece of any size
	file   *os.File
	closed bool
}

// FromBytes returns a Spool over b, which the caller no longer changes.
func FromBytes(b []byte) *Spool { return &Spool{size: int64(len(b)), memory: [][]byte{b}} }

// FromFile returns a Spool over a regular file as it is. The Spool owns the file from here on and closes it.
func FromFile(f *os.File) (*Spool, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("spool: %q is not a regular file", f.Name())
	}
	return &Spool{size: info.Size(), file: f}, nil
}

// Size returns the number of octets.
func (s *Spool) Size() int64 { return s.size }

var errNegativeOffset = errors.New("spool: negative offset")

// ReadAt reads len(p) octets from offset off, as io.ReaderAt says.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return 0, os.ErrClosed
	case off < 0:
		return 0, errNegativeOffset
	case off >= s.size:
		return 0, io.EOF
	case s.file != nil:
		return s.readFile(p, off)
	}
	return s.readMemory(p, off)
}

func (s *Spool) readMemory(p []byte, off int64) (n int, err error) {
	i, at := 0, off
	if len(s.memory) > 1 {
		i, at = int(off/pieceSize), off%pieceSize
	}
	for ; i < len(s.memory) && n < len(p); i++ {
		n += copy(p[n:], s.memory[i][at:])
		at = 0
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readFile reads no octet past size: the file may have grown since, and the message has not.
func (s *Spool) readFile(p []byte, off int64) (int, error) {
	left := s.size - off
	if int64(len(p)) <= left {
		return s.file.ReadAt(p, off)
	}
	n, err := s.file.ReadAt(p[:left], off)
	if err == nil {
		err = io.EOF
	}
	return n, err
}

// Close gives the memory or the file back. Further calls do nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.memory = true, nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
