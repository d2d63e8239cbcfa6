package message

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func written(t testing.TB, v *View, ends LineEnds, prepend ...string) string {
	t.Helper()
	var b bytes.Buffer
	if err := v.Write(&b, ends, prepend...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func viewOf(t testing.TB, msg string, edits ...Edit) *View {
	return &View{Received: bytesSource(msg), Header: mustParse(t, msg), Edits: edits}
}

func TestWrite(t *testing.T) {
	const mbox = "From a@b Mon\nA: 1\nB: 2\n\nx\r\ny\n"
	tests := []struct {
		name    string
		view    *View
		ends    LineEnds
		prepend []string
		want    string
	}{
		{"as given", viewOf(t, mbox), AsGiven, nil, mbox},
		{"LF drops the envelope line", viewOf(t, mbox), LF, nil, "A: 1\nB: 2\n\nx\ny\n"},
		{"CRLF drops the envelope line", viewOf(t, mbox), CRLF, nil, "A: 1\r\nB: 2\r\n\r\nx\r\ny\r\n"},
		{"new text stands below the envelope line", viewOf(t, mbox, Edit{Op: Prepend, Text: "P: 1\r\n"}, Edit{Op: Prepend, Text: "P: 2\r\n"}), AsGiven,
			[]string{"T: 1\r\n", "T: 2\r\n\tx\r\n"}, "From a@b Mon\nT: 1\nT: 2\n\tx\nP: 1\nP: 2\nA: 1\nB: 2\n\nx\r\ny\n"},
		{"THREATS B17", viewOf(t, "R: 1.ex\r\nR: 2.ex\r\nR: AID\r\nR: AID\r\nR: 5.ex\r\n\r\n", Edit{Op: Remove, Index: 3}, Edit{Op: Remove, Index: 2}),
			AsGiven, nil, "R: 1.ex\r\nR: 2.ex\r\nR: 5.ex\r\n\r\n"},
		{"replace by several, by none", viewOf(t, "A: 1\r\nB: 2\r\nC: 3\r\n\r\nx", Edit{Op: Replace, Index: 2}, Edit{Op: Replace, Index: 0, Text: "D: 4\r\nE: 5\r\n"}),
			LF, nil, "D: 4\nE: 5\nB: 2\n\nx"},
		{"edits of one field add up", viewOf(t, "A: 1\r\nB: 2\r\n\r\n", Edit{Op: Replace, Index: 0, Text: "C: 3\r\n"}, Edit{Op: Remove, Index: 0},
			Edit{Op: Replace, Index: 0, Text: "D: 4\r\n"}), AsGiven, nil, "C: 3\r\nD: 4\r\nB: 2\r\n\r\n"},
		{"empty message", viewOf(t, ""), AsGiven, []string{"A: b\r\n"}, "A: b\r\n"},
		{"body without a header", viewOf(t, "\r\nx"), LF, []string{"A: b\r\n"}, "A: b\n\nx"},
		{"missing final line end stays missing", viewOf(t, "A: b\n\nx"), CRLF, nil, "A: b\r\n\r\nx"},
		{"text without a line end gets one", viewOf(t, "A: b\n\nx"), LF, []string{"C: d"}, "C: d\nA: b\n\nx"},
		{"bare CR stays", viewOf(t, "A: b\r\n\r\nx\ry\r\r\nz\r"), LF, nil, "A: b\n\nx\ry\r\nz\r"},
		{"bare CR stays, CRLF", viewOf(t, "A: b\n\nx\ry\r\r\nz\n\r"), CRLF, nil, "A: b\r\n\r\nx\ry\r\r\nz\r\n\r"},
		{"a first line with white space cannot join our field", viewOf(t, " smime=pass\r\nA: b\r\n\r\n"), AsGiven,
			[]string{"Authentication-Results: mx; none\r\n"}, "Authentication-Results: mx; none\r\nX-Malformed-Header:\r\n smime=pass\r\nA: b\r\n\r\n"},
		{"and is left alone otherwise", viewOf(t, " smime=pass\r\n\r\n"), AsGiven, nil, " smime=pass\r\n\r\n"},
		{"and can be removed", viewOf(t, " smime=pass\r\nA: b\r\n\r\n", Edit{Op: Remove}), AsGiven, []string{"C: d\r\n"}, "C: d\r\nA: b\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := written(t, tt.view, tt.ends, tt.prepend...); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestWriteBody(t *testing.T) {
	body := Concat(Bytes([]byte("1\r\n2\n")), Bytes(nil), Section(bytesSource("abcdef"), 1, 3), Concat(), Bytes([]byte("\n")))
	tests := []struct {
		name, msg string
		ends      LineEnds
		want      string
	}{
		{"style of the message, LF", "A: b\n\nold\n", AsGiven, "A: b\n\n1\n2\nbcd\n"},
		{"style of the message, CRLF", "A: b\r\nC: d\n\nold\r\n", AsGiven, "A: b\r\nC: d\n\n1\r\n2\r\nbcd\r\n"},
		{"LF", "A: b\r\n\r\nold\r\n", LF, "A: b\n\n1\n2\nbcd\n"},
		{"CRLF", "A: b\n\nold\n", CRLF, "A: b\r\n\r\n1\r\n2\r\nbcd\r\n"},
		{"no blank line", "A: b\n", AsGiven, "A: b\n\n1\n2\nbcd\n"},
		{"no line end", "A: b", LF, "A: b\n\n1\n2\nbcd\n"},
		{"bare CR at the end of the header", "A: b\r", LF, "A: b\r\n\n1\n2\nbcd\n"},
		{"empty", "", LF, "\n1\n2\nbcd\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := viewOf(t, tt.msg)
			v.Body = body
			for range 2 { // a view can be written again
				if got := written(t, v, tt.ends); got != tt.want {
					t.Errorf("got  %q\nwant %q", got, tt.want)
				}
			}
		})
	}
}

// Rule 8: nothing is written when a text could break out of its field.
func TestWriteRefuses(t *testing.T) {
	texts := []string{"\r\n", "A: b\r\n\r\nC: d\r\n", "A: b\n\n", " A: b\r\n", "A b\r\n", ": b\r\n", "A: b\rC: d\r\n", "A: \x00\r\n", "A\xff: b\r\n",
		"A: b\r\nxyz\r\n", "A: b\r\n\r", strings.Repeat("a", 999) + ": b\r\n"}
	for _, text := range texts {
		for _, v := range []*View{viewOf(t, "X: y\n\n", Edit{Op: Prepend, Text: text}), viewOf(t, "X: y\n\n", Edit{Op: Replace, Text: text})} {
			var b bytes.Buffer
			if err := v.Write(&b, LF); !errors.Is(err, ErrText) || b.Len() > 0 {
				t.Errorf("%q: %v, %q written", text, err, b.String())
			}
		}
		if err := viewOf(t, "").Write(io.Discard, LF, text); !errors.Is(err, ErrText) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, index := range []int{-1, 1} {
		var b bytes.Buffer
		if err := viewOf(t, "X: y\n\n", Edit{Op: Remove, Index: index}).Write(&b, LF); !errors.Is(err, ErrEdit) || b.Len() > 0 {
			t.Errorf("index %d: %v", index, err)
		}
	}
	for _, text := range []string{"", "A: b", "A:\r\n b\r\n\tc\r\nD : e\n \r\n", "A: \xff\r\n"} {
		if err := CheckText(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

type limitedWriter struct {
	n   int
	err error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestWritePassesErrorsOn(t *testing.T) {
	failure := errors.New("disk")
	large := repeated{"A: b\r\n\r\n", strings.Repeat("x", 76) + "\r\n", "", 1 << 16}
	h, err := ParseHeader(large)
	if err != nil {
		t.Fatal(err)
	}
	for _, ends := range []LineEnds{AsGiven, LF, CRLF} {
		for _, n := range []int{0, 1, 1 << 20} {
			v := View{Received: large, Header: h}
			if err := v.Write(&limitedWriter{n, failure}, ends); err != failure {
				t.Errorf("writer: %v", err)
			}
		}
		for _, body := range []Content{Concat(Bytes([]byte("x")), failing{failure}), Concat(Bytes([]byte("x")), notOpening{failure}), notOpening{failure}} {
			v := viewOf(t, "A: b\r\n\r\n")
			v.Body = body
			if err := v.Write(io.Discard, ends); err != failure {
				t.Errorf("body: %v", err)
			}
		}
		v := View{Received: broken{failure}, Header: h}
		if err := v.Write(io.Discard, ends); !errors.Is(err, failure) {
			t.Errorf("source: %v", err)
		}
		v = View{Received: large, Header: h, Body: failing{nil}}
		if err := v.Write(io.Discard, ends); err != io.ErrNoProgress {
			t.Errorf("reader that gives nothing: %v", err)
		}
	}
}

type failing struct{ err error }

func (f failing) Open() (io.Reader, error)   { return f, nil }
func (f failing) Read(p []byte) (int, error) { return 0, f.err }

type notOpening struct{ err error }

func (n notOpening) Open() (io.Reader, error) { return nil, n.err }

func randomEdits(r *rand.Rand, fields int) []Edit {
	texts := []string{"", "N: 1\r\n", "Subject: x\r\n y\r\n", "N: 2\r\nM: 3\r\n"}
	var edits []Edit
	for range r.IntN(5) {
		e := Edit{Op: Op(r.IntN(3)), Text: texts[r.IntN(len(texts))]}
		if e.Op != Prepend {
			if fields == 0 {
				continue
			}
			e.Index = r.IntN(fields)
		}
		edits = append(edits, e)
	}
	return edits
}

// Property: without edits a view is its message; with edits it is what the reference makes of it.
func TestWriteAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		msg := randomMessage(r)
		v := viewOf(t, string(msg))
		if got := written(t, v, AsGiven); got != string(msg) {
			t.Fatalf("%q became %q", msg, got)
		}
		v.Edits = randomEdits(r, v.Header.Len())
		var body []byte
		if r.IntN(2) == 0 {
			body = randomMessage(r)
			v.Body = Bytes(body)
		}
		ends := LineEnds(r.IntN(3))
		var prepend []string
		if r.IntN(2) == 0 {
			prepend = []string{"Return-Path: <>\r\n"}
		}
		want := naiveWrite(msg, v.Edits, body, v.Body != nil, ends, prepend)
		if got := written(t, v, ends, prepend...); got != want {
			t.Fatalf("%q, edits %+v, body %q, ends %v:\ngot  %q\nwant %q", msg, v.Edits, body, ends, got, want)
		}
	}
}

// Line ends that straddle the blocks of the writer.
func TestWriteBlockBorders(t *testing.T) {
	for _, eol := range []string{"\r\n", "\n", "\r\r\n", "\r", "\n\n", "\r\n\r\n"} {
		for delta := -3; delta <= 3; delta++ {
			msg := "A: b\r\n\r\n" + strings.Repeat("x", copySize+delta-8) + eol + strings.Repeat("y", copySize-2) + eol + "z" + eol
			v := viewOf(t, msg)
			if got := written(t, v, LF); got != naiveToLF(msg) {
				t.Errorf("%q%+d: LF differs", eol, delta)
			}
			if got := written(t, v, CRLF); got != naiveToCRLF(msg) {
				t.Errorf("%q%+d: CRLF differs", eol, delta)
			}
			v = viewOf(t, "A: b\r\n\r\n")
			v.Body = contentFunc(func() io.Reader { return iotest.OneByteReader(strings.NewReader(msg)) })
			if got := written(t, v, LF); got != "A: b\n\n"+naiveToLF(msg) {
				t.Errorf("%q%+d: LF of a slow body differs", eol, delta)
			}
		}
	}
}

type contentFunc func() io.Reader

func (f contentFunc) Open() (io.Reader, error) { return f(), nil }

// 10^6 fields, each second one removed: one pass, by edits as far as there is an index and by name from there on.
func TestWriteManyEdits(t *testing.T) {
	src := repeated{"", "A: b\r\nX: y\r\n", "\r\nbody", 500000}
	h, err := ParseHeader(src)
	if err != nil {
		t.Fatal(err)
	}
	v := View{Received: src, Header: h, DropNames: []string{"x"}}
	for i := h.Len() - 1; i > 0; i -= 2 {
		v.Edits = append(v.Edits, Edit{Op: Remove, Index: i})
	}
	for ends, want := range map[LineEnds]string{LF: "A: b\n", CRLF: "A: b\r\n", AsGiven: "A: b\r\n"} {
		blank := strings.TrimPrefix(want, "A: b")
		if got := written(t, &v, ends); got != strings.Repeat(want, 500000)+blank+"body" {
			t.Errorf("%v: wrong fields removed", ends)
		}
	}
}

func TestSectionOutside(t *testing.T) {
	for _, s := range [][2]int64{{-1, 1}, {0, -1}, {0, 4}, {4, 0}, {2, 1<<63 - 1}, {1<<63 - 1, 1}} {
		if _, err := Section(bytesSource("abc"), s[0], s[1]).Open(); err == nil {
			t.Errorf("section %v opened", s)
		}
	}
	r, err := Section(shrinking{bytesSource("abc")}, 1, 3).Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short section: %v", err)
	}
}

func TestContentReaders(t *testing.T) {
	text := strings.Repeat("abc\r\ndef\n", 100)
	for _, c := range []Content{Bytes([]byte(text)), Section(bytesSource("x"+text+"y"), 1, int64(len(text))),
		Concat(Bytes([]byte(text[:7])), Section(bytesSource(text), 7, 100), Bytes([]byte(text[107:])))} {
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

// SEEDS 0.3: LF not preceded by CR becomes CRLF, a bare CR is an ordinary octet.
func TestCanonical(t *testing.T) {
	texts := []string{"", "a", "\n", "\r\n", "\n\n", "a\nb\r\nc\rd\r\r\ne\n", "\r", strings.Repeat("\n", 70000), strings.Repeat("x", canonicalBuffer-1) + "\r\n\n"}
	for _, text := range texts {
		want := naiveToCRLF(text)
		if err := iotest.TestReader(Canonical(strings.NewReader(text)), []byte(want)); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
		testReader(t, text, want, Canonical)
	}
}

// testReader runs a reader over awkward inputs, and checks that it passes errors on after the octets before them.
func testReader(t *testing.T, in, want string, wrap func(io.Reader) io.Reader) {
	t.Helper()
	for _, mode := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		got, err := io.ReadAll(wrap(mode(strings.NewReader(in))))
		if err != nil || string(got) != want {
			t.Errorf("%.60q: got %.60q, %v; want %.60q", in, got, err, want)
		}
	}
	failure := errors.New("disk")
	if _, err := io.ReadAll(wrap(io.MultiReader(strings.NewReader(in), iotest.ErrReader(failure)))); err != failure {
		t.Errorf("%.60q: error of the reader became %v", in, err)
	}
}
