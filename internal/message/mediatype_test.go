package message

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"paperknife/test/cputime"
)

func TestParseMediaType(t *testing.T) {
	tests := []struct {
		in, want string
		params   map[string]string
	}{
		{"text/plain", "text/plain", nil},
		{"TEXT/Plain; CharSet=US-ASCII", "text/plain", map[string]string{"charset": "US-ASCII"}},
		{" text (a (b) \\) c) / plain () ; (x) charset (y) = (z) utf-8 (w)", "text/plain", map[string]string{"charset": "utf-8"}},
		{"text/plain;", "text/plain", nil},
		{"text/plain; charset=x;", "text/plain", map[string]string{"charset": "x"}},
		{`application/pkcs7-mime; smime-type="enveloped-data";name=smime.p7m`, "application/pkcs7-mime", map[string]string{"smime-type": "enveloped-data", "name": "smime.p7m"}},
		{`a/b; c="\"\\ (no comment) ;"; d=""`, "a/b", map[string]string{"c": `"\ (no comment) ;`, "d": ""}},
		{"a/b; name=\"\xc3\xa9\tf\"", "a/b", map[string]string{"name": "\xc3\xa9\tf"}},
		{`multipart/signed; boundary="a b'()+_,-./:=?"`, "multipart/signed", map[string]string{"boundary": "a b'()+_,-./:=?"}},
		{"multipart/mixed; boundary=" + strings.Repeat("b", 70), "multipart/mixed", map[string]string{"boundary": strings.Repeat("b", 70)}},
		{"text/plain; boundary*0=x; charset*=x", "", nil},
		{"application/x; name*0=a; name*1=b; name*2*=%20", "application/x", map[string]string{"name*0": "a", "name*1": "b", "name*2*": "%20"}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			m, err := ParseMediaType(tt.in)
			if tt.want == "" {
				if !errors.Is(err, ErrMediaType) {
					t.Errorf("got %v, %v", m, err)
				}
				return
			}
			if err != nil || m.Type != tt.want || !maps.Equal(m.Params, tt.params) {
				t.Errorf("got %q, %v; want %q", m, err, tt.params)
			}
		})
	}
}

// THREATS B23: where readers differ, nobody is right.
func TestParseMediaTypeRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", ";", "text", "text/", "/plain", "text/plain/x", "text plain", "text/plain charset=x", "text/plain;;", "text/plain; ; a=b",
		"text/plain; charset", "text/plain; charset=", "text/plain; =x", "text/plain; charset=x y", `text/plain; charset="x" y`, `text/plain; charset="x"y`,
		`text/plain; charset="x`, `text/plain; charset="x\`, "text/plain; (x", "text/plain; charset=x (y))", "text/plain\r\n; a=b", "text/plain; a=\"\x00\"",
		"text/plain; a=\"\\\x00\"", "text/plain; (\x00)", "text/plain; a=\xc3\xa9", "t\xc3\xa9xt/plain", "text/plain; a=b, c=d", "text/plain; a=b=c",
		"multipart/mixed", `multipart/mixed; boundary=""`, `multipart/mixed; boundary="b "`, "multipart/mixed; boundary=" + strings.Repeat("b", 71),
		"multipart/mixed; boundary=\"\xc3\xa9\"", "multipart/mixed; boundary=\"a\tb\"", "multipart/mixed; boundary=b; boundary=b", "multipart/mixed; boundary=b; BOUNDARY=c",
		"multipart/mixed; boundary*0=b; boundary*1=c", "multipart/mixed; boundary*=utf-8''b", "multipart/mixed; boundary=a; boundary*0=b",
		`multipart/mixed; boundary="x\y"`, `multipart/mixed; boundary="x" (c)`, "multipart/mixed; boundary=x (c)", "multipart (c)/mixed; boundary=x", `multipart/mixed; boundary=x; a="\""`,
		"application/pkcs7-mime; smime-type*=us-ascii''signed-data", "multipart/signed; boundary=b; protocol*0=a",
		"a/b" + strings.Repeat("; a=b", 2), "a/b; " + strings.Repeat("(", 33) + strings.Repeat(")", 33), strings.Repeat("x", MaxField+1),
	} {
		if m, err := ParseMediaType(in); !errors.Is(err, ErrMediaType) {
			t.Errorf("%.60q: got %v, %v", in, m, err)
		}
	}
}

// THREATS C25: floods end early.
func TestParseMediaTypeFloods(t *testing.T) {
	began := cputime.Used(t)
	for _, unit := range []string{"; a%d=b", "(", "()", "\\", "\"", "; name*%d*=x", " "} {
		in := "text/plain; n=\"x\""
		for i := 0; len(in) < MaxField-20; i++ {
			in += strings.Replace(unit, "%d", strings.Repeat("x", i%7), 1)
			if i > 9000 {
				break
			}
		}
		if _, err := ParseMediaType(in); err == nil && strings.Trim(unit, "() ") != "" {
			t.Errorf("flood of %q accepted", unit)
		}
	}
	cputime.Limit(t, began, 5*time.Second)
}

func TestParseEncoding(t *testing.T) {
	for in, want := range map[string]Encoding{
		"7bit": SevenBit, "8BIT": EightBit, " binary ": Binary, "Base64": Base64, "quoted-printable": QuotedPrintable, "(a) base64 (b (c))": Base64,
		"": "", "base64;": "", "base64 base64": "", "x-uuencode": "", "\"base64\"": "", "base64\x00": "", "base64 (": "",
	} {
		got, err := ParseEncoding(in)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrEncoding) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}
