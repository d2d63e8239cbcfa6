package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// A split is all that a Multipart tells about a body.
type split struct {
	preamble, epilogue bool // blank
	parts              []string
	closed             bool
}

func (s split) equal(t split) bool {
	return s.preamble == t.preamble && s.epilogue == t.epilogue && s.closed == t.closed && slices.Equal(s.parts, t.parts)
}

func splitAll(r io.Reader, body, boundary string) (s split, err error) {
	m := NewMultipart(r, boundary)
	for {
		part, err := m.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s, err
		}
		p, err := io.ReadAll(part)
		if err != nil {
			return s, err
		}
		if start, end := m.Offset(); body[start:end] != string(p) {
			return s, errors.New("offsets are wrong")
		}
		s.parts = append(s.parts, string(p))
	}
	if _, err := m.NextPart(); err != io.EOF {
		return s, errors.New("a part after the end")
	}
	s.preamble, s.closed = m.PreambleBlank(), m.Closed()
	s.epilogue, err = m.EpilogueBlank()
	return s, err
}

func naiveSplit(body, boundary string) split {
	delimiter := regexp.MustCompile(`^--` + regexp.QuoteMeta(boundary) + `(--)?[ \t]*(\r?\n|$)`)
	var segments []string
	s := split{epilogue: true}
	now := ""
	lines := strings.SplitAfter(body, "\n")
	for k, line := range lines {
		m := delimiter.FindStringSubmatch(line)
		if m == nil {
			now += line
			continue
		}
		if strings.HasSuffix(now, "\n") {
			now = strings.TrimSuffix(now[:len(now)-1], "\r")
		}
		segments = append(segments, now)
		now = ""
		if s.closed = m[1] == "--"; s.closed {
			s.epilogue = strings.Trim(strings.Join(lines[k+1:], ""), " \t\r\n") == ""
			break
		}
	}
	if !s.closed {
		segments = append(segments, now)
	}
	s.preamble = strings.Trim(segments[0], " \t\r\n") == ""
	s.parts = segments[1:]
	return s
}

// THREATS B11, B23: delimiter lines.
func TestMultipart(t *testing.T) {
	tests := []struct {
		name, body string
		want       split
	}{
		{"CRLF", "--b\r\n1\r\n--b\r\n2\r\n\r\n--b--\r\n", split{true, true, []string{"1", "2\r\n"}, true}},
		{"LF", "--b\n1\n--b\n2\n\n--b--\n", split{true, true, []string{"1", "2\n"}, true}},
		{"preamble and epilogue", "pre\r\n--b\r\n1\r\n--b--\r\nepi", split{false, false, []string{"1"}, true}},
		{"blank preamble and epilogue", " \r\n\t\n--b\r\n1\r\n--b--\r\n \n\t", split{true, true, []string{"1"}, true}},
		{"no end", "--b\r\n1\r\n--b--", split{true, true, []string{"1"}, true}},
		{"no close delimiter", "--b\r\n1\r\n--b\r\n2\r\n", split{true, true, []string{"1", "2\r\n"}, false}},
		{"close delimiter only", "--b--\r\n", split{true, true, nil, true}},
		{"no delimiter", "text\r\n", split{false, true, nil, false}},
		{"empty", "", split{true, true, nil, false}},
		{"prefix", "--bb\r\n--b\r\n--bb\r\n--b-\r\n--b--x\r\n--b x\r\n--b--\r\n", split{false, true, []string{"--bb\r\n--b-\r\n--b--x\r\n--b x"}, true}},
		{"white space after the boundary", "--b \t\r\n1\r\n--b--  \t\r\n", split{true, true, []string{"1"}, true}},
		{"white space before the boundary", " --b\r\n--b\r\n1\r\n --b\r\n--b--\r\n", split{false, true, []string{"1\r\n --b"}, true}},
		{"empty parts", "--b\r\n--b\r\n\r\n--b--\r\n", split{true, true, []string{"", ""}, true}},
		{"bare CR is no line end", "--b\r\n1\r--b\r\n2\r\n--b\rx\r\n--b--\r\n", split{true, true, []string{"1\r--b\r\n2\r\n--b\rx"}, true}},
		{"CR CR LF", "--b\r\n1\r\r\n--b\r\r\n\r\n--b--\r\n", split{true, true, []string{"1\r\r\n--b\r\r\n"}, true}},
		{"delimiter at the end opens an empty part", "--b\r\n1\r\n--b", split{true, true, []string{"1", ""}, false}},
		{"after the close delimiter nothing counts", "--b\r\n1\r\n--b--\r\n--b\r\n2\r\n--b--\r\n", split{true, false, []string{"1"}, true}},
		{"NUL and 8-bit", "--b\n\x00\xff\n--b--\n", split{true, true, []string{"\x00\xff"}, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				got, err := splitAll(mode(strings.NewReader(tt.body)), tt.body, "b")
				if err != nil || !got.equal(tt.want) {
					t.Errorf("got %v, %v; want %v", got, err, tt.want)
				}
			}
			if n := naiveSplit(tt.body, "b"); !n.equal(tt.want) {
				t.Errorf("the reference has %v", n)
			}
		})
	}
}

func TestMultipartBoundaries(t *testing.T) {
	for _, boundary := range []string{"b--", "-", "--", "b b", strings.Repeat("x", 70), "=_?", "b-"} {
		body := "--" + boundary + "\r\n1\r\n--" + boundary + "--\r\n"
		got, err := splitAll(strings.NewReader(body), body, boundary)
		if want := (split{true, true, []string{"1"}, true}); err != nil || !got.equal(want) {
			t.Errorf("%q: got %v, %v", boundary, got, err)
		}
	}
}

func TestMultipartPadding(t *testing.T) {
	for _, n := range []int{maxPadding, maxPadding + 1} {
		body := "--b" + strings.Repeat(" ", n) + "\n1\n--b--" + strings.Repeat("\t", n) + "\n"
		for _, r := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
			got, err := splitAll(r, body, "b")
			if err != nil || got.closed != (n == maxPadding) || (len(got.parts) == 1) != (n == maxPadding) {
				t.Errorf("%d: %v, %v", n, got, err)
			}
		}
	}
}

// Delimiters that straddle the buffer.
func TestMultipartBufferBorders(t *testing.T) {
	for _, border := range []int{multipartFirst, multipartBuffer, multipartBuffer + multipartFirst} {
		for delta := -12; delta <= 4; delta++ {
			for _, eol := range []string{"\n", "\r\n"} {
				body := "--b" + eol + strings.Repeat("x", border+delta) + eol + "--b--" + eol
				want := split{true, true, []string{strings.Repeat("x", border+delta)}, true}
				if got, err := splitAll(strings.NewReader(body), body, "b"); err != nil || !got.equal(want) {
					t.Errorf("%d%+d %q: %v", border, delta, eol, err)
				}
			}
		}
	}
}

func TestMultipartAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	pieces := []string{"--b", "\r\n--b", "\n--b", "--", "\r\n", "\n", "\r", " ", "x", "-", "b", "\n--b--", "\r\n--b--\r\n", "\n--b\n", "\t"}
	for range 20000 {
		var b strings.Builder
		for range r.IntN(16) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		body := b.String()
		want := naiveSplit(body, "b")
		for _, in := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
			if got, err := splitAll(in, body, "b"); err != nil || !got.equal(want) {
				t.Fatalf("%q: got %v, %v; want %v", body, got, err, want)
			}
		}
	}
}

// Truth not written by us: what mime/multipart writes.
func TestMultipartOfStandardLibrary(t *testing.T) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	var want []string
	for _, text := range []string{"one", "", "three\r\n", strings.Repeat("--x\r\n", 30000)} {
		part, err := w.CreatePart(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, text); err != nil {
			t.Fatal(err)
		}
		want = append(want, "\r\n"+text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := splitAll(bytes.NewReader(b.Bytes()), b.String(), w.Boundary())
	if err != nil || !got.equal(split{true, true, want, true}) {
		t.Errorf("%v", err)
	}
}

func TestMultipartPartReader(t *testing.T) {
	text := strings.Repeat("line\r\n--x\n", 9000)
	open := func() (*Multipart, io.Reader) {
		m := NewMultipart(strings.NewReader("--b\r\n"+text+"\r\n--b\r\n2\r\n--b--\r\n"), "b")
		part, err := m.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		return m, part
	}
	_, part := open()
	if err := iotest.TestReader(part, []byte(text)); err != nil {
		t.Error(err)
	}
	m, part := open()
	var b bytes.Buffer
	if n, err := part.(io.WriterTo).WriteTo(&b); err != nil || n != int64(len(text)) || b.String() != text {
		t.Errorf("WriteTo: %d, %v", n, err)
	}
	if start, end := m.Offset(); start != 5 || end != 5+int64(len(text)) {
		t.Errorf("offsets %d, %d", start, end)
	}
	m, part = open() // the first part is not read
	if _, err := m.NextPart(); err != nil {
		t.Fatal(err)
	}
	if _, err := part.Read(make([]byte, 1)); err != errStalePart {
		t.Errorf("stale part: %v", err)
	}
	if _, err := part.(io.WriterTo).WriteTo(io.Discard); err != errStalePart {
		t.Errorf("stale part: %v", err)
	}
}

func TestMultipartPassesErrorsOn(t *testing.T) {
	failure := errors.New("disk")
	for _, in := range []string{"", "pre", "--b\r\n", "--b\r\n1\r\n--b", "--b\r\n1\r\n--b--\r\n", "--b\r\n1\r\n--b--\r\nepi"} {
		if _, err := splitAll(io.MultiReader(strings.NewReader(in), iotest.ErrReader(failure)), in, "b"); err != failure {
			t.Errorf("%q: %v", in, err)
		}
		// the error together with the last octets
		if _, err := splitAll(&dataAndError{in, failure}, in, "b"); err != failure {
			t.Errorf("%q: %v", in, err)
		}
	}
	m := NewMultipart(strings.NewReader("--b\r\n"+strings.Repeat("x", 1<<17)), "b")
	part, err := m.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.(io.WriterTo).WriteTo(&limitedWriter{100, failure}); err != failure {
		t.Errorf("writer: %v", err)
	}
}

type dataAndError struct {
	data string
	err  error
}

func (d *dataAndError) Read(p []byte) (int, error) {
	n := copy(p, d.data)
	d.data = d.data[n:]
	if d.data == "" {
		return n, d.err
	}
	return n, nil
}

func TestPreamble(t *testing.T) {
	for in, want := range map[string]string{
		"\r\nThis is an S/MIME signed message\r\n\r\n--b\r\n": "This is an S/MIME signed message",
		"": "", "--b\n": "", strings.Repeat("x", 300) + "\n--b\n": strings.Repeat("x", 256),
		"y" + strings.Repeat(" ", 300) + "z\n--b\n": "y",
	} {
		m := NewMultipart(strings.NewReader(in), "b")
		if _, err := m.NextPart(); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if text, whole := m.Preamble(); text != want || whole != (len(in) < 256) {
			t.Errorf("%.40q: %q, whole %v", in, text, whole)
		}
	}
}

func (s split) String() string {
	return fmt.Sprintf("{preamble blank %v, epilogue blank %v, parts %.200q, closed %v}", s.preamble, s.epilogue, s.parts, s.closed)
}

// THREATS B23: readers that compare the beginning of a line, or take any white space, see other parts.
func TestLookalike(t *testing.T) {
	for in, want := range map[string]bool{
		"--b\r\nx\r\n--b--\r\n": false, "--b \t\nx\n--b-- \n": false, "x--b\n --b\n--b\n--a\n-- b\n--b--": false,
		"--b\nx\n--bb\ny\n--b--\n": true, "--b\nx\n--b--y\n--b--\n": true, "--b\nx\n--b\fy\n--b--\n": true, "--by\n--b\n--b--\n": true,
		"--b\nx\n--b" + strings.Repeat(" ", 2000) + "\ny\n--b--\n": true, "--b\nx\n--b\ry\n--b--\n": true, "--b\nx\n--b-\n--b--\n": true,
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			m := NewMultipart(r, "b")
			for {
				if _, err := m.NextPart(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if m.Lookalike() != want {
				t.Errorf("%.60q: %v", in, m.Lookalike())
			}
		}
	}
}
