package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{"", "From: a\r\nTo: b\r\n\r\nbody", "From a@b\nFrom\n : c\n\n", " x\r\n\r\n", "A: b\rC\x00\r\n\r\r\n\r\n", "A : b\n\tc\n"} {
		f.Add([]byte(seed), uint8(0), "N: 1\r\n")
	}
	f.Fuzz(func(t *testing.T, msg []byte, choice uint8, text string) {
		if len(msg) > MaxField {
			return
		}
		h := mustParse(t, string(msg))
		checkHeader(t, msg, h)
		v := View{Received: bytesSource(msg), Header: h}
		if got := written(t, &v, AsGiven); got != string(msg) {
			t.Fatalf("%q became %q", msg, got)
		}
		ends := LineEnds(choice % 3)
		v.Edits = []Edit{{Op: Prepend, Text: "Authentication-Results: mx; none\r\n"}}
		if choice&4 != 0 && h.Len() > 0 {
			v.Edits = append(v.Edits, Edit{Op: Remove, Index: int(choice>>3) % h.Len()})
		}
		if got, want := written(t, &v, ends), naiveWrite(msg, v.Edits, nil, false, ends, nil); got != want {
			t.Fatalf("%q: got %q, want %q", msg, got, want)
		}
		fuzzText(t, text)
	})
}

// fuzzText checks that what CheckText lets through is fields, and nothing but fields.
func fuzzText(t *testing.T, text string) {
	if CheckText(text) != nil {
		return
	}
	v := View{Received: bytesSource("\r\nbody"), Header: mustParse(t, "\r\nbody")}
	h := mustParse(t, written(t, &v, CRLF, text))
	if h.Malformed() || h.BodyOffset() != int64(len(written(t, &v, CRLF, text))-4) || h.EnvelopeLine() != 0 {
		t.Fatalf("%q is not fields", text)
	}
}

func FuzzMultipart(f *testing.F) {
	f.Add("--b\r\n1\r\n--b\r\n2\r\n--b--\r\n", "b")
	f.Add("pre\n--b \n\n--bb\n--b--\nepi", "b")
	f.Add("--b\r\n1\r\r\n--b--", "b")
	f.Add("--b----\n", "b--")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		if len(boundary) > maxBoundary || len(body) > MaxField || strings.Contains(body, strings.Repeat(" ", maxPadding)) {
			return
		}
		if m, err := ParseMediaType(`multipart/mixed; boundary="` + boundary + `"`); err != nil || m.Params["boundary"] != boundary {
			return
		}
		want := naiveSplit(body, boundary)
		for _, r := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
			got, err := splitAll(r, body, boundary)
			if err != nil || !got.equal(want) {
				t.Fatalf("%q, boundary %q: got %v, %v; want %v", body, boundary, got, err, want)
			}
		}
	})
}

func FuzzMediaType(f *testing.F) {
	for _, seed := range []string{"text/plain; charset=utf-8", `multipart/signed; boundary="b"; protocol="application/pkcs7-signature"`, "a (b (\\)) c)/d;e=(f)g;",
		`a/b; c="\"\\"`, "multipart/mixed; boundary*0=b", "base64 (x)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if e, err := ParseEncoding(value); err == nil {
			if again, err := ParseEncoding(string(e)); err != nil || again != e {
				t.Fatalf("%q: %q, %v", value, again, err)
			}
		}
		m, err := ParseMediaType(value)
		if err != nil {
			return
		}
		again, err := ParseMediaType(quoteMediaType(m))
		if err != nil || again.Type != m.Type || len(again.Params) != len(m.Params) {
			t.Fatalf("%q: %v became %v, %v", value, m, again, err)
		}
		for name, want := range m.Params {
			if again.Params[name] != want {
				t.Fatalf("%q: %q became %q", value, want, again.Params[name])
			}
		}
	})
}

func quoteMediaType(m MediaType) string {
	s := m.Type
	for name, value := range m.Params {
		s += "; " + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return s
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "QUJD\r\nQQ==\r\n", "QQ==x", "Q.U!J D", "=41=\r\n b \r\n", "a=4", "x \t\n", strings.Repeat("QUJD", 30)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, e := range []Encoding{Base64, QuotedPrintable} {
			whole, err := io.ReadAll(Decode(bytes.NewReader(in), e))
			pieces, pieceErr := io.ReadAll(iotest.OneByteReader(Decode(iotest.OneByteReader(bytes.NewReader(in)), e)))
			if !bytes.Equal(whole, pieces) || (err == nil) != (pieceErr == nil) {
				t.Fatalf("%q as %s: %q, %v; octet by octet %q, %v", in, e, whole, err, pieces, pieceErr)
			}
			if len(whole) > len(in) {
				t.Fatalf("%q as %s became longer", in, e)
			}
			if e == Base64 {
				want, ok := naiveBase64(in)
				if ok != (err == nil) || ok && !bytes.Equal(whole, want) {
					t.Fatalf("%q: got %q, %v; want %q, %v", in, whole, err, want, ok)
				}
			}
		}
		want := naiveToCRLF(string(in))
		if got, err := io.ReadAll(Canonical(iotest.OneByteReader(bytes.NewReader(in)))); err != nil || string(got) != want {
			t.Fatalf("%q: canonical %q, %v", in, got, err)
		}
	})
}
