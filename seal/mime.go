package seal

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

const opaqueFields = "Content-Transfer-Encoding: base64\r\n" +
	"Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n"

// pkcs7MIMEHeader is the header of an entity that holds one CMS object.
func pkcs7MIMEHeader(smimeType string) string {
	return "Content-Type: application/pkcs7-mime; smime-type=" + smimeType + ";\r\n name=\"smime.p7m\"\r\n" + opaqueFields
}

// A base64Writer encodes into lines of 64 characters that end in CRLF.
type base64Writer struct {
	w    io.Writer
	rest []byte // fewer than 48 octets
	line []byte
}

const octetsPerLine = 48

// linesAtOnce lines go into one Write.
const linesAtOnce = 512

func newBase64Writer(w io.Writer) *base64Writer {
	return &base64Writer{w: w, line: make([]byte, 0, linesAtOnce*(octetsPerLine/3*4+2))}
}

func (b *base64Writer) Write(p []byte) (int, error) {
	written := len(p)
	if len(b.rest) > 0 {
		n := min(octetsPerLine-len(b.rest), len(p))
		b.rest, p = append(b.rest, p[:n]...), p[n:]
		if len(b.rest) < octetsPerLine {
			return written, nil
		}
		if err := b.lines(b.rest); err != nil {
			return 0, err
		}
		b.rest = b.rest[:0]
	}
	whole := len(p) / octetsPerLine * octetsPerLine
	if err := b.lines(p[:whole]); err != nil {
		return 0, err
	}
	b.rest = append(b.rest, p[whole:]...)
	return written, nil
}

// lines writes p in lines; only the last may be short.
func (b *base64Writer) lines(p []byte) error {
	for len(p) > 0 {
		b.line = b.line[:0]
		for i := 0; i < linesAtOnce && len(p) > 0; i++ {
			n := min(octetsPerLine, len(p))
			b.line = append(base64.StdEncoding.AppendEncode(b.line, p[:n]), '\r', '\n')
			p = p[n:]
		}
		if _, err := b.w.Write(b.line); err != nil {
			return err
		}
	}
	return nil
}

func (b *base64Writer) Close() error { return b.lines(b.rest) }

// newBoundary returns 26 random characters, so that no content can hold them.
func newBoundary() string { return "=_" + rand.Text() }

// checkBoundary admits what needs no thought inside quotes: a part of RFC 2046 section 5.1.1. Empty is random.
func checkBoundary(boundary string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'()+_,-./:=?"
	if len(boundary) > 70 || strings.Trim(boundary, letters) != "" {
		return fmt.Errorf("not a boundary: %q", boundary)
	}
	return nil
}
