package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Settings say where messages are kept.
type Settings struct {
	Dir    string // directory of the files; empty is the system's directory for temporary files
	Memory int64  // octets of one message kept in memory; a longer message goes to a file
}

func (s Settings) dir() string {
	if s.Dir == "" {
		return os.TempDir()
	}
	return s.Dir
}

const (
	fileBuffer = 64 << 10 // gathers the small writes of a network dialogue
	pieceSize  = 16 << 10 // memory grows by pieces, so that nothing is copied again
)

// A Writer collects one message. The first write that fails decides: every later one fails with the same error,
// and so does Finish, since a message with a hole must never be taken for whole.
type Writer struct {
	settings Settings
	size     int64
	memory   [][]byte
	file     *os.File
	buffer   *bufio.Writer
	err      error
	finished bool
}

// New returns a Writer for one message.
func New(s Settings) *Writer { return &Writer{settings: s} }

var (
	errFinished  = errors.New("spool: already finished")
	errDiscarded = errors.New("spool: discarded")
)

// Write adds octets to the message.
func (w *Writer) Write(p []byte) (int, error) {
	if w.finished {
		return 0, errFinished
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.file == nil && w.size+int64(len(p)) > w.settings.Memory {
		if w.err = w.toFile(); w.err != nil {
			return 0, w.err
		}
	}
	if w.file == nil {
		w.toMemory(p)
		return len(p), nil
	}
	n, err := w.buffer.Write(p)
	w.size += int64(n)
	w.err = wrap(err)
	return n, w.err
}

func (w *Writer) toMemory(p []byte) {
	w.size += int64(len(p))
	for len(p) > 0 {
		last := len(w.memory) - 1
		if last < 0 || len(w.memory[last]) == pieceSize {
			w.memory = append(w.memory, nil)
			last++
		}
		n := min(len(p), pieceSize-len(w.memory[last]))
		w.memory[last] = append(w.memory[last], p[:n]...)
		p = p[n:]
	}
}

// toFile moves what memory holds to a file and goes on there.
func (w *Writer) toFile() error {
	f, err := Unlinked(w.settings)
	if err != nil {
		return wrap(err)
	}
	w.file = f
	w.buffer = bufio.NewWriterSize(f, fileBuffer)
	for _, piece := range w.memory {
		if _, err := w.buffer.Write(piece); err != nil {
			return wrap(err)
		}
	}
	w.memory = nil
	return nil
}

// Finish ends the message and returns its Spool. After an error nothing is left to discard.
func (w *Writer) Finish() (*Spool, error) {
	if w.finished {
		return nil, errFinished
	}
	if w.err == nil && w.file != nil {
		w.err = wrap(w.buffer.Flush())
	}
	if w.err != nil {
		err := w.err
		w.Discard()
		return nil, err
	}
	s := &Spool{size: w.size, memory: w.memory, file: w.file}
	w.finished, w.memory, w.file, w.buffer = true, nil, nil, nil
	return s, nil
}

// Discard drops the message. After Finish it does nothing: the Spool lives on.
func (w *Writer) Discard() {
	if w.finished {
		return
	}
	if w.file != nil {
		// The file has no name and its octets are not wanted: a failing close loses nothing.
		_ = w.file.Close()
	}
	w.finished, w.memory, w.file, w.buffer, w.err = true, nil, nil, nil, errDiscarded
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("spool: %w", err)
}

// ErrNoRoom says that a message would not fit.
var ErrNoRoom = errors.New("spool: no room")

// Room returns ErrNoRoom when the directory cannot take a file of size octets. It is asked before the message is,
// so that a full disk is a 452 and not a broken transfer. A message that stays in memory needs no room.
func Room(s Settings, size int64) error {
	if size <= s.Memory {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir(), &st); err != nil {
		return wrap(&os.PathError{Op: "statfs", Path: s.dir(), Err: err})
	}
	if st.Bavail < uint64(size)/uint64(st.Bsize)+1 {
		return ErrNoRoom
	}
	return nil
}

var _ io.Writer = (*Writer)(nil)
