package spool

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"paperknife/test/need"
)

func finish(t *testing.T, s Settings, text string, piece int) *Spool {
	t.Helper()
	w := New(s)
	for rest := text; rest != ""; {
		n := min(piece, len(rest))
		if got, err := w.Write([]byte(rest[:n])); err != nil || got != n {
			t.Fatalf("Write: %d, %v", got, err)
		}
		rest = rest[n:]
	}
	spool, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	return spool
}

func contents(t *testing.T, s *Spool) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A message comes back as it was written, on either side of the limit of memory, and leaves no name behind.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	for _, memory := range []int64{0, 1, 99, 100, 101, 2 * pieceSize, 1 << 20} {
		for _, size := range []int{0, 1, 99, 100, 101, pieceSize, 2*pieceSize + 1, 200000} {
			for _, piece := range []int{1, 7, 1 << 16, 1 << 20} {
				if size/piece > 50000 {
					continue
				}
				text := strings.Repeat("0123456789\n", size/11+1)[:size]
				s := finish(t, Settings{Dir: dir, Memory: memory}, text, piece)
				if s.Size() != int64(size) || contents(t, s) != text {
					t.Errorf("memory %d, size %d, pieces of %d: octets differ", memory, size, piece)
				}
				if inFile := s.file != nil; inFile != (int64(size) > memory) {
					t.Errorf("memory %d, size %d: in a file %v", memory, size, inFile)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files left, %v", len(left), err)
	}
}

func spools(t *testing.T, text string) map[string]*Spool {
	name := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fromFile.Close() })
	return map[string]*Spool{
		"memory": finish(t, Settings{Memory: 1 << 20}, text, 10),
		"file":   finish(t, Settings{Dir: t.TempDir()}, text, 10),
		"bytes":  FromBytes([]byte(text)),
		"given":  fromFile,
	}
}

func TestReadAt(t *testing.T) {
	text := strings.Repeat("0123456789", 4100) // more than two pieces
	for name, s := range spools(t, text) {
		t.Run(name, func(t *testing.T) {
			if err := iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), []byte(text)); err != nil {
				t.Error(err)
			}
			if _, err := s.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
				t.Errorf("negative offset: %v", err)
			}
			for _, off := range []int64{41000, 41001, 1 << 40} {
				if n, err := s.ReadAt(make([]byte, 1), off); n != 0 || err != io.EOF {
					t.Errorf("at %d: %d, %v", off, n, err)
				}
			}
			p := make([]byte, 10)
			if n, err := s.ReadAt(p, 40995); n != 5 || err != io.EOF || string(p[:n]) != "56789" {
				t.Errorf("over the end: %d, %v", n, err)
			}
			for range 3 {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if n, err := s.ReadAt(p, 0); n != 0 || !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: %d, %v", n, err)
			}
		})
	}
}

// Readers and a Close at the same time: octets or os.ErrClosed, nothing else. Worth running with -race.
func TestConcurrentClose(t *testing.T) {
	text := strings.Repeat("x", 1<<16)
	for name, s := range spools(t, text) {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					p := make([]byte, 1000)
					for range 200 {
						off := rand.Int64N(60000)
						if n, err := s.ReadAt(p, off); err != nil && !errors.Is(err, os.ErrClosed) || err == nil && string(p[:n]) != text[:1000] {
							t.Errorf("%d, %v", n, err)
						}
					}
				})
			}
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
		})
	}
}

// THREATS promise: a message with a hole is never taken for whole.
func TestWriteErrorIsSticky(t *testing.T) {
	w := New(Settings{Dir: t.TempDir()})
	if _, err := w.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		need.Missing(t, "no /dev/full")
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	w.file = full
	w.buffer.Reset(full)
	for range 3 {
		if _, err := w.Write(make([]byte, fileBuffer+1)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Write: %v", err)
		}
	}
	if s, err := w.Finish(); s != nil || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Finish: %v, %v", s, err)
	}
	if _, err := full.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file was left open: %v", err)
	}
}

// The error of the octets that are still in the buffer.
func TestFlushError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		need.Missing(t, "no /dev/full")
	}
	w := New(Settings{Dir: t.TempDir()})
	if _, err := w.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	w.file = full
	w.buffer.Reset(full)
	if _, err := w.Write([]byte("small")); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Finish(); s != nil || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Finish: %v, %v", s, err)
	}
}

func TestNoDirectory(t *testing.T) {
	w := New(Settings{Dir: filepath.Join(t.TempDir(), "missing"), Memory: 4})
	if _, err := w.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Write([]byte("5")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Write: %v", err)
		}
	}
	if s, err := w.Finish(); s != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Finish: %v, %v", s, err)
	}
}

func TestEndOfWriter(t *testing.T) {
	w := New(Settings{Dir: t.TempDir()})
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	s, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	w.Discard() // no effect on the Spool
	if got := contents(t, s); got != "abc" {
		t.Errorf("after Discard: %q", got)
	}
	if _, err := w.Write([]byte("d")); err == nil {
		t.Error("Write after Finish")
	}
	if _, err := w.Finish(); err == nil {
		t.Error("Finish twice")
	}

	w = New(Settings{Dir: t.TempDir()})
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	f := w.file
	w.Discard()
	w.Discard()
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("file open after Discard: %v", err)
	}
	if _, err := w.Write([]byte("d")); err == nil {
		t.Error("Write after Discard")
	}
	if s, err := w.Finish(); err == nil || s != nil {
		t.Error("Finish after Discard")
	}
}

// Nobody else can open a message: no name, and mode 0600 while it had one.
func TestFileIsPrivate(t *testing.T) {
	for name, create := range map[string]func(string) (*os.File, error){"O_TMPFILE": createUnlinked, "unlinked": createAndUnlink} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := create(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Nlink != 0 {
				t.Errorf("mode %v, %d names", info.Mode(), info.Sys().(*syscall.Stat_t).Nlink)
			}
			if _, err := f.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%d files, %v", len(left), err)
			}
		})
	}
}

func TestFromFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := FromFile(r); err == nil {
		t.Error("a pipe was taken")
	}
	name := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := f.WriteAt([]byte("def"), 3); err != nil { // grows behind our back
		t.Fatal(err)
	}
	p := make([]byte, 6)
	if n, err := s.ReadAt(p, 0); n != 3 || err != io.EOF || !bytes.Equal(p[:n], []byte("abc")) {
		t.Errorf("got %q, %v", p[:n], err)
	}
}

func TestRoom(t *testing.T) {
	s := Settings{Dir: t.TempDir(), Memory: 10}
	for size, want := range map[int64]error{-1: nil, 0: nil, 10: nil, 11: nil, 1 << 62: ErrNoRoom} {
		if err := Room(s, size); err != want {
			t.Errorf("size %d: %v, want %v", size, err, want)
		}
	}
	s.Dir += "/missing"
	if err := Room(s, 11); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if err := Room(Settings{}, 1); err != nil {
		t.Errorf("default directory: %v", err)
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{4 << 10, 50 << 10, 1 << 20} {
		p := make([]byte, 4<<10)
		b.Run(map[int]string{4 << 10: "4 KB", 50 << 10: "50 KB", 1 << 20: "1 MB"}[size], func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			dir := b.TempDir()
			for b.Loop() {
				w := New(Settings{Dir: dir, Memory: 256 << 10})
				for n := 0; n < size; n += len(p) {
					if _, err := w.Write(p); err != nil {
						b.Fatal(err)
					}
				}
				s, err := w.Finish()
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
