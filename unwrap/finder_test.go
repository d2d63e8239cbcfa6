package unwrap

import (
	"strings"
	"testing"
)

func TestFinder(t *testing.T) {
	text := "a--x--b--bounda--boundary--"
	for size := 1; size < len(text); size++ {
		for _, needle := range []string{"--boundary", "--x", "--boundary--", "--y", "--boundaryz"} {
			f := finder{text: []byte(needle)}
			for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
				if _, err := f.Write([]byte(rest[:min(size, len(rest))])); err != nil {
					t.Fatal(err)
				}
			}
			if f.found != strings.Contains(text, needle) {
				t.Errorf("%q in pieces of %d: %v", needle, size, f.found)
			}
		}
	}
}
