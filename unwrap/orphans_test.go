package unwrap

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// THREATS A04: what is left of a multipart whose beginning was cut off.
func TestOrphans(t *testing.T) {
	long := strings.Repeat("x", 3*readBuffer)
	for in, want := range map[string]bool{
		"": false, "\r\n": false, "Content-Type: text/plain\r\n\r\nHello\r\n-- \r\nAlice\r\n": false,
		"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1--\r\n":                                     false,
		"Content-Type: multipart/mixed;\r\n BOUNDARY=\"b 1\"; a=b\r\n\r\n--b 1 \r\ncontent-type: text/plain\r\n\r\nx\r\n--b 1--\r\n":                    false,
		"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: multipart/mixed; boundary=b2\r\n\r\n--b2\r\nContent-ID: x\r\n\r\n--b1": false,
		"Content-Type: text/html\r\n\r\n<img\r\n--b1\r\nContent-Type: text/html\r\n\r\nx":                                                               true,
		"Content-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\n<img\r\n--b1\r\nContent-Type: text/html\r\n\r\nx\r\n--b1--\r\n--z--\r\n":           true,
		"Content-Type: text/html\r\n\r\n<img\r\n--b1\r\nContent-Type: text/html; boundary=b1\r\n\r\nx":                                                  true,
		"Content-Type: text/html\r\n\r\n<img\r\n----=_Next_1--\r\n\r\n":                                                                                 true, "x\r\n----=_Next_1--": true, "boundary=--=_Next_1\r\n----=_Next_1--": false,
		"x\r\n--------------\r\n": false, "x\r\n--short--\r\n": false, "x\r\n-- Alice, writing --\r\n": false, "x\r\n----=_Next_1--\r\nmore\r\n": false,
		long + "\r\n--b1\r\nContent-Type: x\r\n": true, long + "--b1\r\nContent-Type: x\r\n": false, "--" + long + "\r\nContent-Type: x\r\n": false,
		strings.Repeat("boundary=a;", 101) + "\r\n": false, strings.Repeat("boundary=", 50) + "\r\n": false, "boundary=": false, "b\r\nBo\r\nbounda": false,
	} {
		for _, r := range []func() (bool, error){
			func() (bool, error) { return orphans(strings.NewReader(in)) },
			func() (bool, error) { return orphans(iotest.OneByteReader(strings.NewReader(in))) },
		} {
			if got, err := r(); got != want || err != nil {
				t.Errorf("%.60q: %v, %v", in, got, err)
			}
		}
	}
	var flood strings.Builder
	for i := range 200 {
		flood.WriteString("boundary=" + strings.Repeat("x", i%60) + string(rune('a'+i%26)) + ";")
	}
	if got, err := orphans(strings.NewReader(flood.String())); !got || err != nil {
		t.Errorf("flood: %v, %v", got, err)
	}
	if _, err := orphans(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error of the reader: %v", err)
	}
}

func BenchmarkOrphans(b *testing.B) {
	text := "Content-Type: text/plain\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if found, err := orphans(strings.NewReader(text)); found || err != nil {
			b.Fatal(found, err)
		}
	}
}
