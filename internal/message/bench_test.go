package message

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

const benchSize = 16 << 20

func lines(width int, eol string, size int) string {
	return strings.Repeat(strings.Repeat("x", width)+eol, size/(width+len(eol)))
}

// benchHeader is the header section of a message as it comes from a large provider: some 5 KB.
var benchHeader = strings.Repeat("Received: from mx1.example.org (mx1.example.org [192.0.2.1])\r\n\tby mx2.example.net (Postfix) with ESMTPS id 4Xyz\r\n"+
	"\tfor <erin@example.net>; Mon, 1 Jan 2024 00:00:00 +0000 (UTC)\r\n", 6) +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n\ts=s1; h=from:to:subject; b=" + strings.Repeat("A", 344) + "\r\n" +
	strings.Repeat("X-Provider-Field: "+strings.Repeat("y", 60)+"\r\n", 40) +
	"From: a@example.org\r\nTo: erin@example.net\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"

func BenchmarkParseHeader(b *testing.B) {
	b.Run("ordinary", func(b *testing.B) {
		src := bytesSource(benchHeader + lines(76, "\r\n", 4000))
		b.SetBytes(int64(len(benchHeader)))
		b.ReportAllocs()
		for b.Loop() {
			h, err := ParseHeader(src)
			if err != nil || len(h.Find("from")) != 1 {
				b.Fatal(err)
			}
		}
	})
	b.Run("million fields", func(b *testing.B) {
		src := bytesSource(strings.Repeat("Authentication-Results: mx; none\r\n", 1e6))
		b.SetBytes(src.Size())
		for b.Loop() {
			if _, err := ParseHeader(src); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	bodies := []struct{ name, body string }{
		{"76 columns CRLF", lines(76, "\r\n", benchSize)},
		{"76 columns LF", lines(76, "\n", benchSize)},
		{"long lines CRLF", lines(9000, "\r\n", benchSize)},
		{"long lines LF", lines(9000, "\n", benchSize)},
		{"short lines CRLF", lines(4, "\r\n", benchSize)},
	}
	for _, ends := range []struct {
		name string
		ends LineEnds
	}{{"as given", AsGiven}, {"LF", LF}, {"CRLF", CRLF}} {
		for _, body := range bodies {
			b.Run(ends.name+"/"+body.name, func(b *testing.B) {
				v := viewOf(b, benchHeader+body.body, Edit{Op: Prepend, Text: "X: y\r\n"}, Edit{Op: Remove, Index: 3})
				b.SetBytes(v.Received.Size())
				b.ReportAllocs()
				for b.Loop() {
					if err := v.Write(io.Discard, ends.ends, "Return-Path: <>\r\n"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("4 KB", func(b *testing.B) {
		v := viewOf(b, benchHeader[len(benchHeader)-1000:]+lines(76, "\r\n", 3000), Edit{Op: Prepend, Text: "X: y\r\n"})
		b.SetBytes(v.Received.Size())
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Write(io.Discard, LF, "Return-Path: <>\r\n"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := base64.StdEncoding.EncodeToString([]byte(lines(76, "\n", benchSize)))
	tests := []struct {
		name string
		e    Encoding
		in   string
	}{
		{"base64 76 columns CRLF", Base64, fold(text, 76, "\r\n")},
		{"base64 64 columns LF", Base64, fold(text, 64, "\n")},
		{"base64 one line", Base64, text},
		{"base64 with white space", Base64, fold(text, 76, " \r\n")},
		{"base64 4 KB", Base64, fold(text[:3002], 76, "\r\n") + "=="},
		{"quoted-printable", QuotedPrintable, strings.Repeat("some words of text, and =C3=A9 now and then, =\r\n", benchSize/48)},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.in)))
			b.ReportAllocs()
			buf := make([]byte, 64<<10)
			for b.Loop() {
				if _, err := io.CopyBuffer(onlyWriter{io.Discard}, Decode(strings.NewReader(tt.in), tt.e), buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// onlyWriter hides io.Discard's ReadFrom, which has a small buffer.
type onlyWriter struct{ io.Writer }

func BenchmarkMultipart(b *testing.B) {
	for _, tt := range []struct{ name, text string }{
		{"76 columns", lines(76, "\r\n", benchSize)},
		{"one line", lines(benchSize, "", benchSize)},
		{"short lines", lines(4, "\r\n", benchSize)},
		{"empty lines", lines(0, "\n", benchSize)},
		{"lines with dashes", lines(0, "\r\n--boundar", benchSize)},
	} {
		body := "--boundary\r\n" + tt.text + "\r\n--boundary--\r\n"
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			buf := make([]byte, 64<<10)
			for b.Loop() {
				m := NewMultipart(strings.NewReader(body), "boundary")
				part, err := m.NextPart()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(onlyWriter{io.Discard}, struct{ io.Reader }{part}, buf); err != nil {
					b.Fatal(err)
				}
				if _, err := m.NextPart(); err != io.EOF || !m.Closed() {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	for _, eol := range []string{"\r\n", "\n"} {
		b.Run(eol, func(b *testing.B) {
			text := lines(76, eol, benchSize)
			b.SetBytes(int64(len(text)))
			buf := make([]byte, 64<<10)
			for b.Loop() {
				if _, err := io.CopyBuffer(onlyWriter{io.Discard}, Canonical(strings.NewReader(text)), buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
