package lmtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// unstuff is copyMessage written for the eye: octet by octet, on the whole input. It returns the message and what
// comes after it.
func unstuff(raw string) (msg, rest string, ok bool) {
	var b strings.Builder
	for start := true; raw != ""; {
		if start {
			if strings.HasPrefix(raw, ".\r\n") {
				return b.String(), raw[3:], true
			}
			raw = strings.TrimPrefix(raw, ".")
		}
		start = strings.HasPrefix(raw, "\r\n")
		n := min(1, len(raw))
		if start {
			n = 2
		}
		b.WriteString(raw[:n])
		raw = raw[n:]
	}
	return "", "", false
}

var unstuffCases = []string{
	".\r\n", "..\r\n.\r\n", "a\r\n.\r\n", "a\r\n..\r\n.\r\nrest", "\r\n.\r\n", "\r\n\r\n.\r\n",
	"\r.\r\n.\r\n", "\n.\r\n\r\n.\r\n", "\r\n.\rY\r\n.\r\n", "x\r\r\n.\r\n", ".\r\r\n.\r\n", ".\n\r\n.\r\n",
	".\r.\r\n.\r\n", "..", "a", "", "a\r\n", "a\r\n.", "a\r\n.\r", "\x00\r\n.\x00\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n.\r\n",
	strings.Repeat("\r\n.x", 100) + "\r\n.\r\n", strings.Repeat("\r", 100) + "\n.\r\n",
}

func TestCopyMessage(t *testing.T) {
	for _, raw := range unstuffCases {
		for shift := range 20 { // every position of the end relative to the end of the buffer
			raw := strings.Repeat("x", shift) + raw
			if shift == 0 {
				raw = raw[shift:]
			}
			checkCopy(t, raw)
		}
	}
}

func checkCopy(t *testing.T, raw string) {
	t.Helper()
	want, wantRest, ok := unstuff(raw)
	readers := map[string]io.Reader{
		"whole":   strings.NewReader(raw),
		"octets":  iotest.OneByteReader(strings.NewReader(raw)),
		"halves":  iotest.HalfReader(strings.NewReader(raw)),
		"dataerr": iotest.DataErrReader(strings.NewReader(raw)),
	}
	for name, reader := range readers {
		r := bufio.NewReaderSize(reader, 16)
		var got bytes.Buffer
		err := copyMessage(r, func(p []byte) { got.Write(p) })
		if !ok {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of %q: %v", name, raw, err)
			}
			continue
		}
		rest, restErr := io.ReadAll(r)
		if err != nil || restErr != nil || got.String() != want || string(rest) != wantRest {
			t.Errorf("%s of %q: got %q, %q, %v; want %q, %q", name, raw, got.String(), rest, err, want, wantRest)
		}
	}
}

func TestCopyMessagePassesErrors(t *testing.T) {
	broken := errors.New("broken")
	r := bufio.NewReader(io.MultiReader(strings.NewReader("a\r\n."), iotest.ErrReader(broken)))
	if err := copyMessage(r, func([]byte) {}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzCopyMessage(f *testing.F) {
	for _, raw := range unstuffCases {
		f.Add(raw)
	}
	f.Fuzz(checkCopy)
}

func BenchmarkCopyMessage(b *testing.B) {
	for name, line := range map[string]string{
		"base64": strings.Repeat("x", 76) + "\r\n",
		"long":   strings.Repeat("x", 100000) + "\r\n",
		"short":  "x\r\n",
		"dots":   "..\r\n",
		"lf":     strings.Repeat("x", 76) + "\n",
	} {
		raw := strings.Repeat(line, 4<<20/len(line)) + "\r\n.\r\n"
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			src := strings.NewReader("")
			r := bufio.NewReaderSize(src, inputBuffer)
			for b.Loop() {
				src.Reset(raw)
				r.Reset(src)
				n := 0
				if err := copyMessage(r, func(p []byte) { n += len(p) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
