package main

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

type dialogue struct {
	io.Reader
	strings.Builder
}

func (d *dialogue) Read(p []byte) (int, error) { return d.Reader.Read(p) }

// Whatever comes in one piece or octet by octet, the message ends at its dot and nowhere else.
func TestServe(t *testing.T) {
	big := strings.Repeat("x\r\n..\r\n", 20000)
	for name, message := range map[string]string{"empty": ".\r\n", "short": "a\r\n.\r\n", "dots": "..\r\n.x\r\n\n.\n\r\n.\r\n", "large": big + ".\r\n"} {
		for way, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "octets": iotest.OneByteReader} {
			in := "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + message + "NOOP\r\nQUIT\r\n"
			d := &dialogue{Reader: wrap(strings.NewReader(in))}
			if err := serve(d); err != nil {
				t.Errorf("%s, %s: %v", name, way, err)
			}
			_, rest, _ := strings.Cut(d.String(), "354 go ahead\r\n")
			if want := "250 2.0.0 gone\r\n250 2.0.0 gone\r\n500 5.5.2 no such command\r\n221 2.0.0 bye\r\n"; rest != want {
				t.Errorf("%s, %s: %q", name, way, rest)
			}
		}
	}
}
