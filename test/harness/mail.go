package harness

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Take returns the one message in the Maildir of an address and removes it; any other number fails the test. It expects
// the default of [deliver] maildir, "mail/{domain}/{local}".
func (s *Site) Take(tb testing.TB, address string) []byte {
	tb.Helper()
	all := s.TakeAll(tb, address)
	if len(all) != 1 {
		tb.Fatalf("%d messages for %s, want 1", len(all), address)
	}
	return all[0]
}

// TakeAll returns all messages in the Maildir of an address and removes them.
func (s *Site) TakeAll(tb testing.TB, address string) [][]byte {
	tb.Helper()
	at := strings.LastIndexByte(address, '@')
	return TakeMaildir(tb, s.Path(filepath.Join("mail", address[at+1:], address[:at])))
}

// TakeMaildir returns all messages in new/ of a Maildir and removes them. A file in tmp/ fails the test: nothing partial
// is ever left behind.
func TakeMaildir(tb testing.TB, maildir string) [][]byte {
	tb.Helper()
	var all [][]byte
	for _, name := range list(tb, filepath.Join(maildir, "new")) {
		path := filepath.Join(maildir, "new", name)
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, content)
	}
	if left := list(tb, filepath.Join(maildir, "tmp")); len(left) > 0 {
		tb.Errorf("left in tmp: %q", left)
	}
	return all
}

func list(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// A Field is one header field of a delivered message.
type Field struct {
	Name string // as written
	Raw  string // the whole field with its line ends, which are LF
}

// Value returns the body, unfolded and trimmed.
func (f Field) Value() string {
	_, body, _ := strings.Cut(f.Raw, ":")
	return strings.TrimSpace(strings.ReplaceAll(body, "\n", ""))
}

// Split takes a message apart into header fields and body, reading CRLF as LF in the header. It is a plain reader for
// well-formed messages, on purpose not the product's.
func Split(message []byte) (fields []Field, body []byte) {
	for len(message) > 0 {
		end := bytes.IndexByte(message, '\n') + 1
		if end == 0 {
			end = len(message)
		}
		line := string(LF(message[:end]))
		message = message[end:]
		switch {
		case line == "\n":
			return fields, message
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			if n := len(fields); n > 0 {
				fields[n-1].Raw += line
				continue
			}
			fallthrough
		default:
			name, _, _ := strings.Cut(line, ":")
			fields = append(fields, Field{Name: strings.TrimRight(name, " \t\n"), Raw: line})
		}
	}
	return fields, nil
}

// Find returns the fields of a name, in their order.
func Find(fields []Field, name string) []Field {
	var found []Field
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			found = append(found, f)
		}
	}
	return found
}
