package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"paperknife/test/cputime"
)

func mustParse(t testing.TB, msg string) *Header {
	t.Helper()
	h, err := ParseHeader(bytesSource(msg))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func names(h *Header) string {
	var all []string
	for i := range h.Len() {
		all = append(all, h.Name(i))
	}
	return strings.Join(all, ",")
}

// THREATS B03, B24, C23, C24: what is a field, what is not, and where the body begins.
func TestHeader(t *testing.T) {
	tests := []struct {
		name, msg string
		names     string
		body      int64
		envelope  int64
		malformed bool
		crlf      bool
	}{
		{"empty", "", "", 0, 0, false, true},
		{"no line end", "Subject: x", "subject", 10, 0, false, true},
		{"header only", "Subject: x\n", "subject", 11, 0, false, false},
		{"ordinary", "From: a\r\nTo: b\r\n\r\nbody", "from,to", 18, 0, false, true},
		{"LF", "From: a\nTo: b\n\nbody", "from,to", 15, 0, false, false},
		{"mixed", "From: a\nTo: b\r\n\nbody", "from,to", 16, 0, false, false},
		{"no header", "\r\nbody", "", 2, 0, false, true},
		{"no header, LF", "\nbody", "", 1, 0, false, false},
		{"blank line only", "\r\n", "", 2, 0, false, true},
		{"no blank line", "hello world\r\nmore\r\n", ",", 19, 0, true, true},
		{"continuation", "A: b\r\n c\r\n\td\r\nE: f\r\n\r\n", "a,e", 22, 0, false, true},
		{"white space line is no blank line", "A: b\r\n \r\nC: d\r\n\r\n", "a,c", 17, 0, false, true},
		{"space before colon", "From : a\r\nFROM\t: b\r\n\r\n", "from,from", 22, 0, false, true},
		{"fold before colon", "From\r\n : a\r\n\r\n", "from", 14, 0, true, true},
		{"two folds before colon", "From\n \n\t: a\n\n", "from", 13, 0, true, false},
		{"first line with white space", " From: a\r\nTo: b\r\n\r\n", ",to", 19, 0, true, true},
		{"white space line first", " \r\nTo: b\r\n\r\n", ",to", 12, 0, true, true},
		{"no name", ": x\r\nA: b\r\n\r\n", ",a", 13, 0, true, true},
		{"8-bit name", "\xc3\xa9: x\r\n\r\n", "", 9, 0, true, true},
		{"NUL in name", "a\x00b: x\r\n\r\n", "", 10, 0, true, true},
		{"NUL, bare CR, 8-bit in value", "Subject: a\x00b\rX: \xff\r\n\r\n", "subject", 21, 0, false, true},
		{"bare CR in name", "A\r: b\r\n\r\n", "a", 9, 0, true, true},
		{"bare CR before the blank line", "A: b\r\n\r\r\n\r\n", "a,", 11, 0, true, true},
		{"bare CR only", "\r", "", 1, 0, true, true},
		{"CR at end", "A: b\r\n\r", "a,", 7, 0, true, true},
		{"NUL only", "\x00", "", 1, 0, true, true},
		{"byte order mark", "\xef\xbb\xbfFrom: a\r\n\r\n", "", 14, 0, true, true},
		{"envelope line", "From a@b Mon Jan  1 00:00:00 2024\nFrom: a\n\nx", "from", 43, 34, false, false},
		{"envelope line only", "From a@b", "", 8, 8, false, true},
		{"envelope line and blank line", "From a\r\n\r\nx", "", 10, 8, false, true},
		{"not an envelope line: field", "From : a\n\n", "from", 10, 0, false, false},
		{"not an envelope line: lower case", "from a\n\n", "", 8, 0, true, false},
		{"envelope line without an address", "From \r\nFrom: a\r\n\r\n", "from", 18, 7, false, true},
		{"the field From over two lines", "From \r\n : a\r\nB: c\r\n\r\n", "from,b", 21, 0, true, true},
		{"a From line without a colon in two lines", "From \n x\nB: c\n\n", ",b", 15, 0, true, false},
		{"not an envelope line: nothing follows", "From \n\n", "", 7, 0, true, false},
		{"envelope line in second place", "A: b\nFrom a\n\n", "a,", 13, 0, true, false},
		{"white space after envelope line", "From a\n b: c\n\n", "", 14, 7, true, false},
		{"longest name", strings.Repeat("a", 998) + ":\n\n", strings.Repeat("a", 998), 1001, 0, false, false},
		{"too long a name", strings.Repeat("a", 999) + ":\n\n", "", 1002, 0, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := mustParse(t, tt.msg)
			if names(h) != tt.names {
				t.Errorf("names %.80q, want %.80q", names(h), tt.names)
			}
			if h.BodyOffset() != tt.body || h.EnvelopeLine() != tt.envelope {
				t.Errorf("body at %d, envelope %d; want %d, %d", h.BodyOffset(), h.EnvelopeLine(), tt.body, tt.envelope)
			}
			if h.Malformed() != tt.malformed || h.CRLF() != tt.crlf || h.Overflow() {
				t.Errorf("malformed %v, CRLF %v, overflow %v; want %v, %v", h.Malformed(), h.CRLF(), h.Overflow(), tt.malformed, tt.crlf)
			}
			if n := naiveParse([]byte(tt.msg)); n.malformed != tt.malformed {
				t.Errorf("the reference disagrees: malformed %v", n.malformed)
			}
		})
	}
}

func TestValue(t *testing.T) {
	h := mustParse(t, "A:b\r\nC : \td \r\n e\r\n\t\r\nF:\r\nG\n : h\nnone of it\r\n\r\n")
	want := []string{"b", "d  e", "", "h", "none of it"}
	for i, w := range want {
		if got, err := h.Value(i); err != nil || got != w {
			t.Errorf("value %d: %q, %v; want %q", i, got, err, w)
		}
	}
}

func TestFieldTooLong(t *testing.T) {
	long := "A: " + strings.Repeat("x", MaxField-5)
	h := mustParse(t, long+"\r\n"+long+"y\r\nB: c\r\n\r\n")
	if raw, err := h.Raw(0); err != nil || len(raw) != MaxField {
		t.Errorf("field of MaxField octets: %d, %v", len(raw), err)
	}
	if _, err := h.Raw(1); err != ErrFieldTooLong {
		t.Errorf("Raw: %v", err)
	}
	if _, err := h.Value(1); err != ErrFieldTooLong {
		t.Errorf("Value: %v", err)
	}
	if h.Name(1) != "a" || h.Name(2) != "b" {
		t.Errorf("names %s", names(h))
	}
}

func checkHeader(t *testing.T, msg []byte, h *Header) {
	t.Helper()
	n := naiveParse(msg)
	if h.Len() != len(n.fields) || h.Malformed() != n.malformed || h.CRLF() != n.crlf || h.EnvelopeLine() != int64(len(n.envelope)) ||
		h.BodyOffset() != int64(len(msg)-len(n.body)) {
		t.Fatalf("%.500q: len %d, malformed %v, crlf %v, envelope %d, body %d; want %d %v %v %d %d", msg, h.Len(), h.Malformed(), h.CRLF(),
			h.EnvelopeLine(), h.BodyOffset(), len(n.fields), n.malformed, n.crlf, len(n.envelope), len(msg)-len(n.body))
	}
	find := map[string][]int{}
	for i, f := range n.fields {
		raw, err := h.Raw(i)
		if err != nil || !bytes.Equal(raw, f.raw) || h.Name(i) != f.name {
			t.Fatalf("%.500q: field %d is %q %.200q, %v; want %q %.200q", msg, i, h.Name(i), raw, err, f.name, f.raw)
		}
		if f.name != "" {
			find[f.name] = append(find[f.name], i)
		}
	}
	for name, want := range find {
		if got := h.Find(strings.ToUpper(name)); !slices.Equal(got, want) {
			t.Fatalf("%.500q: Find(%q) = %v, want %v", msg, name, got, want)
		}
	}
}

func TestHeaderAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		msg := randomMessage(r)
		checkHeader(t, msg, mustParse(t, string(msg)))
	}
}

// Line ends, names and blank lines that straddle the blocks of the scanner.
func TestHeaderBlockBorders(t *testing.T) {
	for _, border := range []int{firstBlock, firstBlock + blockSize, firstBlock + 2*blockSize - 1, keepHeader} {
		for delta := -4; delta <= 4; delta++ {
			for _, tail := range []string{"\r\n\r\nbody", "\r\nFrom\r\n : x\r\n\r\n", "\r\r\n\r\n", "\n\nb", "\n b: c\nD: e\r\n\r\n"} {
				for _, pad := range []string{"x", "B: " + strings.Repeat("y", 4000) + "\r\n"} {
					fill := strings.Repeat(pad, (border+delta-3)/len(pad))
					msg := "A:\r\n " + fill + strings.Repeat("z", max(0, border+delta-5-len(fill))) + tail
					h := mustParse(t, msg)
					n := naiveParse([]byte(msg))
					if h.Len() != len(n.fields) || h.BodyOffset() != int64(len(msg)-len(n.body)) || h.Malformed() != n.malformed {
						t.Fatalf("border %d%+d tail %q: %d fields, body %d, malformed %v; want %d, %d, %v", border, delta, tail,
							h.Len(), h.BodyOffset(), h.Malformed(), len(n.fields), len(msg)-len(n.body), n.malformed)
					}
					last := h.Len() - 1
					if h.Name(last) != n.fields[last].name {
						t.Fatalf("border %d%+d tail %q: %q, want %q", border, delta, tail, h.Name(last), n.fields[last].name)
					}
				}
			}
		}
	}
}

// A repeated source is a large message that needs no memory of its own.
type repeated struct {
	head, unit, tail string
	n                int64
}

func (r repeated) Size() int64 {
	return int64(len(r.head)) + r.n*int64(len(r.unit)) + int64(len(r.tail))
}

func (r repeated) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		var piece string
		switch middle := at - int64(len(r.head)); {
		case middle < 0:
			piece = r.head[at:]
		case middle < r.n*int64(len(r.unit)):
			piece = r.unit[middle%int64(len(r.unit)):]
		default:
			piece = r.tail[middle-r.n*int64(len(r.unit)):]
		}
		if piece == "" {
			return n, io.EOF
		}
		n += copy(p[n:], piece)
	}
	return n, nil
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// THREATS C24, C25: bombs. The times are far above what is needed, and far below what anything quadratic would take.
func TestHeaderBombs(t *testing.T) {
	line := strings.Repeat("x", 1<<10)
	tests := []struct {
		name   string
		src    repeated
		fields int
		alloc  uint64
	}{
		{"field of 50 MB", repeated{"A: b\r\nB: ", line, "\r\nFrom: c\r\n\r\nbody", 50 << 10}, 3, 1 << 20},
		{"name of 50 MB", repeated{"A: b\r\n", line, ":\r\nFrom: c\r\n\r\nbody", 50 << 10}, 3, 1 << 20},
		{"line of 50 MB in the body", repeated{"A: b\r\nFrom: c\r\n\r\n", line, "", 50 << 10}, 2, 1 << 20},
		{"10^6 fields", repeated{"", "Authentication-Results: mx.example.net; none\r\n", "From: c\r\n\r\n", 1e6}, MaxFields, 8 << 20},
		{"10^5 fields", repeated{"", "Authentication-Results: mx.example.net; none\r\n", "From: c\r\n\r\n", 1e5}, 1e5 + 1, 8 << 20},
		{"10^6 continuation lines", repeated{"To: a\r\n", " ,b\r\n", "From: c\r\n\r\n", 1e6}, 2, 1 << 20},
		{"10^6 lines of white space before a colon", repeated{"From", "\r\n ", ": c\r\n\r\n", 1e6}, 1, 1 << 20},
		{"10^5 lines without a colon", repeated{"", "x\n", "From: c\n\n", 1e5}, 1e5 + 1, 8 << 20},
		{"50 MB of CR", repeated{"From: ", strings.Repeat("\r", 1<<10), "\r\n\r\n", 50 << 10}, 1, 1 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, began := allocated(), cputime.Used(t)
			h, err := ParseHeader(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			found := h.Find("from")
			cputime.Limit(t, began, 5*time.Second)
			if got := allocated() - before; got > tt.alloc {
				t.Errorf("allocated %d octets", got)
			}
			if h.Len() != tt.fields || h.Overflow() != (tt.fields == MaxFields) || (len(found) == 1) == h.Overflow() {
				t.Errorf("%d fields, overflow %v, From at %v; want %d", h.Len(), h.Overflow(), found, tt.fields)
			}
		})
	}
}

func TestOverflow(t *testing.T) {
	msg := []byte("A: 1\r\nB: 2\r\nC: 3\r\n x\r\nD: 4\r\nC : 5\r\n\r\nbody")
	for limit := 1; limit < 8; limit++ {
		h, err := parseHeader(bytesSource(msg), true, limit)
		if err != nil {
			t.Fatal(err)
		}
		if h.Len() != min(limit, 5) || h.Overflow() != (limit < 5) || h.BodyOffset() != int64(len(msg)-4) {
			t.Fatalf("limit %d: %d fields, overflow %v, body %d", limit, h.Len(), h.Overflow(), h.BodyOffset())
		}
		v := View{Received: bytesSource(msg), Header: h, DropNames: []string{"c", "x"}}
		want := string(msg)
		if limit < 5 {
			want = strings.Replace(want, "C : 5\r\n", "", 1)
		}
		if limit < 3 {
			want = strings.Replace(want, "C: 3\r\n x\r\n", "", 1)
		}
		if got := written(t, &v, AsGiven); got != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

func TestReadHeader(t *testing.T) {
	const head, body = "A: b\r\n c\r\nFrom x\nB: d\r\n\r\n", "body\r\n"
	for _, wrap := range []func(io.Reader) io.Reader{nil, iotest.OneByteReader, iotest.DataErrReader, iotest.HalfReader} {
		var r io.Reader = strings.NewReader(head + body)
		if wrap != nil {
			r = wrap(r)
		}
		b := bufio.NewReaderSize(r, 16)
		h, err := ReadHeader(b, len(head))
		if err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(b)
		if err != nil || string(rest) != body || names(h) != "a,,b" || h.BodyOffset() != int64(len(head)) || !h.Malformed() {
			t.Errorf("rest %q, %v; names %s, body at %d", rest, err, names(h), h.BodyOffset())
		}
	}
}

func TestReadHeaderEnds(t *testing.T) {
	failure := errors.New("disk")
	tests := []struct {
		name string
		r    io.Reader
		want error
		len  int
	}{
		{"empty", strings.NewReader(""), nil, 0},
		{"no blank line", strings.NewReader("A: b\nC: d"), nil, 2},
		{"blank line first", strings.NewReader("\r\nA: b\r\n\r\n"), nil, 0},
		{"one octet too long", strings.NewReader("A: 3456789\r\n0"), ErrHeaderTooLong, 0},
		{"long line", strings.NewReader(strings.Repeat("x", 1<<20)), ErrHeaderTooLong, 0},
		{"error", io.MultiReader(strings.NewReader("A: b"), iotest.ErrReader(failure)), failure, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ReadHeader(bufio.NewReader(tt.r), 12)
			if err != tt.want || err == nil && h.Len() != tt.len {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// A shrinking is a Source that has fewer octets than it says.
type shrinking struct{ bytesSource }

func (s shrinking) Size() int64 { return s.bytesSource.Size() + 1 }

type broken struct{ error }

func (b broken) Size() int64                       { return 10 }
func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.error }

func TestUnreadableSource(t *testing.T) {
	failure := errors.New("disk")
	if _, err := ParseHeader(broken{failure}); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	if _, err := ParseHeader(shrinking{bytesSource("A: b\r\n")}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// shared finds the collection of messages that is kept beside the source tree.
func shared(t *testing.T) string {
	dirs := []string{os.Getenv("PAPERKNIFE_SHARED")}
	for up := "../.."; len(up) < 40; up += "/.." {
		dirs = append(dirs, filepath.Join(up, "../shared"), filepath.Join(up, "shared"))
	}
	for _, dir := range dirs {
		if info, err := os.Stat(filepath.Join(dir, "corpora")); dir != "" && err == nil && info.IsDir() {
			return filepath.Join(dir, "corpora")
		}
	}
	t.Skip("no collection of messages: set PAPERKNIFE_SHARED to run this test")
	return ""
}

// THREATS C23: every file is a message, and comes out as it went in.
func TestCorpora(t *testing.T) {
	count := 0
	err := filepath.WalkDir(shared(t), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || count >= 1500 {
			return err
		}
		msg, err := os.ReadFile(path)
		if err != nil || len(msg) > MaxField {
			return err
		}
		count++
		h := mustParse(t, string(msg))
		checkHeader(t, msg, h)
		v := View{Received: bytesSource(msg), Header: h}
		for _, ends := range []LineEnds{AsGiven, LF, CRLF} {
			if got, want := written(t, &v, ends), naiveWrite(msg, nil, nil, false, ends, nil); got != want {
				return fmt.Errorf("%s: written with %v is not what the reference gives", path, ends)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count == 0 {
		t.Fatal("no messages found")
	}
	t.Logf("%d messages", count)
}

// THREATS B24: a CR that ends no line, wherever a block of the scanner ends.
func TestBareCR(t *testing.T) {
	long := strings.Repeat("x", firstBlock-2)
	for in, want := range map[string]bool{
		"": false, "A: b\r\n\r\n\r": false, "A: b\n\nx\ry": false, "A: b\r\n c\r\nD: e": false, "A:\r\n\r\n": false,
		"A: b\rC: d\r\n\r\n": true, "A: b\r\r\n\r\n": true, "\rA: b\n": true, "A: b\r\n\r\r\n\r\n": true, "A: b\n\rc\n\n": true,
		"A:" + long + "\r\n\r\n": false, "A:" + long + "\rb\r\n\r\n": true, "A" + long + "\r\n\r\n": false, "A" + long + "\rb\n\n": true,
		long + "\r\n\r\n": false, long + "\r\r\n\r\n": true, long + "x\r\n\r\n": false, long + "x\rb\r\n\r\n": true,
	} {
		h, err := ParseHeader(bytesSource(in))
		if err != nil {
			t.Fatal(err)
		}
		if h.BareCR() != want {
			t.Errorf("%.20q...%q: %v", in, in[max(0, len(in)-8):], h.BareCR())
		}
	}
}
