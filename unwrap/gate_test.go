package unwrap

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// DESIGN rule 5: octets 9, 32 to 126 and CRLF pairs throughout, however they arrive.
func TestGate(t *testing.T) {
	tests := map[string]bool{
		"": true, "text": true, "text\r\n": true, "\r\n\r\n": true, "a\tb ~\r\n": true,
		"\n": false, "\r": false, "text\r": false, "text\n": false, "a\nb\r\n": false, "a\rb\r\n": false,
		"a\r\r\n": false, "a\r\n\n": false, "\n\r": false, "a\r\n\r": false, "\x00": false, "\x1f": false, "\x7f": false,
		"\x80": false, "d\u00e9j\u00e0\r\n": false, "a\x0b": false, "a\x0c\r\n": false, "\x1a": false,
		strings.Repeat("a", 1000) + "\xff" + strings.Repeat("a", 1000): false,
	}
	for text, want := range tests {
		for name, r := range map[string]io.Reader{
			"at once":      strings.NewReader(text),
			"one by one":   iotest.OneByteReader(strings.NewReader(text)),
			"half by half": iotest.HalfReader(strings.NewReader(text)),
		} {
			g := &gate{}
			if _, err := io.Copy(struct{ io.Writer }{g}, struct{ io.Reader }{r}); err != nil {
				t.Fatal(err)
			}
			if g.good() != want {
				t.Errorf("%.40q %s: %v, want %v", text, name, g.good(), want)
			}
		}
	}
	for c := range 256 {
		want := c == 9 || c >= 32 && c <= 126
		g := &gate{}
		if _, err := g.Write([]byte{'a', byte(c), 'a'}); err != nil || g.good() != want {
			t.Errorf("octet %d: %v, want %v", c, g.good(), want)
		}
	}
}
