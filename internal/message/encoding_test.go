package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"paperknife/test/need"
)

func decoded(in string, e Encoding) (string, error) {
	out, err := io.ReadAll(Decode(strings.NewReader(in), e))
	return string(out), err
}

// THREATS A45: the table of what base64 may look like.
func TestBase64(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"", "", true},
		{"\r\n", "", true},
		{"QUJD", "ABC", true},
		{"QUJD\r\n", "ABC", true},
		{"QUI=", "AB", true},
		{"QQ==", "A", true},
		{"QQ==\r\n \t\n", "A", true},
		{"QUJDQQ=\r\n=\r\n", "ABCA", true},
		{"Q\r\nU\nJ\rD", "ABC", true},
		{" Q.U!J\x00D\xff-_", "ABC", true}, // RFC 2045: ignored
		{"QUI!=", "AB", true},
		{"QR==", "A", true}, // bits left over
		{"Q", "", false},
		{"QU", "", false},
		{"QUJ", "", false},
		{"QUJDQ", "ABC", false},
		{"QUJDQQ=", "ABC", false},
		{"=", "", false},
		{"Q=", "", false},
		{"QUJD=", "ABC", false},
		{"QQ===", "A", false},
		{"QUI==", "AB", false},
		{"QQ=A", "", false},
		{"QQ=A=", "", false},
		{"QQ==QUJD", "A", false}, // data after padding
		{"QQ==\r\n--\r\n", "A", false},
		{"QQ==\x00", "A", false},
		{"QQ=!=", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			for _, prefix := range []string{"", strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 2000)} {
				want := strings.Repeat("ABC", len(prefix)/78*19) + tt.want
				got, err := decoded(prefix+tt.in, Base64)
				if got != want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrEncoding) {
					t.Errorf("after %d: got %.60q, %v", len(prefix), got, err)
				}
			}
			if tt.ok {
				testReader64(t, tt.in, tt.want)
			}
		})
	}
}

func testReader64(t *testing.T, in, want string) {
	t.Helper()
	for _, mode := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		if err := iotest.TestReader(Decode(mode(strings.NewReader(in)), Base64), []byte(want)); err != nil {
			t.Errorf("%.60q: %v", in, err)
		}
	}
}

// naiveBase64 decodes octet by octet.
func naiveBase64(in []byte) (out []byte, ok bool) {
	var clean []byte
	for i, c := range in {
		if c == '=' {
			tail := bytes.Map(func(r rune) rune {
				if strings.ContainsRune(" \t\r\n", r) {
					return -1
				}
				return r
			}, in[i:])
			need := (4 - len(clean)%4) % 4
			if need == 0 || need == 3 || string(tail) != "=="[:need] {
				return nil, false
			}
			out, err := base64.StdEncoding.DecodeString(string(clean) + "=="[:need])
			return out, err == nil
		}
		if sextet[c] != notBase64 {
			clean = append(clean, c)
		}
	}
	out, err := base64.StdEncoding.DecodeString(string(clean))
	return out, err == nil
}

func TestBase64AgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pieces := []string{"QUJD", "QQ", "=", "\r\n", "\n", "\r", " ", "\x80", "x", "+/", "-"}
	for range 20000 {
		var b bytes.Buffer
		for range r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
			if r.IntN(4) > 0 {
				b.WriteString("QUJD")
			}
		}
		want, ok := naiveBase64(b.Bytes())
		got, err := decoded(b.String(), Base64)
		if (err == nil) != ok || ok && got != string(want) {
			t.Fatalf("%q: got %q, %v; want %q, %v", b.String(), got, err, want, ok)
		}
	}
}

// Lines of every length, so that quanta and line ends fall everywhere on the blocks.
func TestBase64Lines(t *testing.T) {
	data := make([]byte, 200000)
	rand.NewChaCha8([32]byte{}).Read(data)
	text := base64.StdEncoding.EncodeToString(data)
	for _, width := range []int{1, 3, 61, 64, 75, 76, 998, 4095, 49151, 1 << 20} {
		for _, eol := range []string{"\n", "\r\n", "\r\n\t", "\r"} {
			in := fold(text, width, eol)
			if got, err := decoded(in, Base64); err != nil || got != string(data) {
				t.Errorf("width %d, %q: %v", width, eol, err)
			}
		}
	}
}

func fold(text string, width int, eol string) string {
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + eol)
		text = text[width:]
	}
	return b.String() + text
}

func TestQuotedPrintable(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"", "", true},
		{"abc\r\ndef\n", "abc\r\ndef\n", true},
		{"=41=c3=A9", "A\xc3\xa9", true},
		{"soft=\r\nbreak=\nline", "softbreakline", true},
		{"soft= \t\r\nbreak", "softbreak", true},
		{"trailing \t\r\nspace \nat end \t", "trailing\r\nspace\nat end", true},
		{"a =\r\n b", "a  b", true},
		{"space =20\r\n", "space  \r\n", true},
		{" lead \r stay", " lead \r stay", true},
		{"\x00\xff\x7f", "\x00\xff\x7f", true},
		{"end=", "end", true},
		{"=0D=0A", "\r\n", true},
		{"=3D=3d", "==", true},
		{"bad=4", "bad", false},
		{"bad=4x", "bad", false},
		{"bad=x4", "bad", false},
		{"bad==41", "bad", false},
		{"bad= x", "bad", false},
		{"bad=\r", "bad", false},
		{"bad=\rx", "bad", false},
		{"x" + strings.Repeat(" ", maxWaiting) + "\r\n", "x\r\n", true},
		{"x" + strings.Repeat(" ", maxWaiting+1) + "\r\n", "x", false},
		{"x=" + strings.Repeat(" ", maxWaiting+1) + "\r\n", "x", false},
	}
	for _, tt := range tests {
		for _, mode := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			got, err := io.ReadAll(Decode(mode(strings.NewReader(tt.in)), QuotedPrintable))
			if string(got) != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrEncoding) {
				t.Errorf("%.40q: got %.40q, %v", tt.in, got, err)
			}
		}
		if tt.ok {
			if err := iotest.TestReader(Decode(strings.NewReader(tt.in), QuotedPrintable), []byte(tt.want)); err != nil {
				t.Errorf("%.40q: %v", tt.in, err)
			}
		}
	}
}

// What mime/quotedprintable writes comes back.
func TestQuotedPrintableRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		data := randomMessage(r)
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := decoded(b.String(), QuotedPrintable); err != nil || got != string(data) {
			t.Fatalf("%q: got %q, %v", data, got, err)
		}
	}
}

func TestDecodePassesErrorsOn(t *testing.T) {
	failure := errors.New("disk")
	for _, e := range []Encoding{SevenBit, EightBit, Binary, Base64, QuotedPrintable} {
		r := Decode(io.MultiReader(strings.NewReader("QUJD"), iotest.ErrReader(failure)), e)
		got, err := io.ReadAll(r)
		if err != failure || len(got) == 0 {
			t.Errorf("%s: %q, %v", e, got, err)
		}
		if _, err := r.Read(make([]byte, 1)); err != failure {
			t.Errorf("%s: then %v", e, err)
		}
		if e != SevenBit && e != EightBit && e != Binary {
			if _, err := io.ReadAll(Decode(failing{nil}, e)); err != io.ErrNoProgress {
				t.Errorf("%s: %v from a reader that gives nothing", e, err)
			}
		}
	}
	if _, err := io.ReadAll(Decode(strings.NewReader("x"), "x-uuencode")); !errors.Is(err, ErrEncoding) {
		t.Errorf("unknown encoding: %v", err)
	}
}

// Truth not written by us: openssl reads what we read.
func TestBase64AgainstOpenSSL(t *testing.T) {
	openssl := need.Command(t, "openssl")
	data := make([]byte, 10000)
	rand.NewChaCha8([32]byte{1}).Read(data)
	cmd := exec.Command(openssl, "base64", "-e")
	cmd.Stdin = bytes.NewReader(data)
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decoded(string(text), Base64); err != nil || got != string(data) {
		t.Errorf("differs: %v", err)
	}
}
