package lmtp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/internal/spool"
)

var update = flag.Bool("update", false, "write the replies of testdata/*.dialogue anew")

// A pipeConn is the server's end of a connection whose other end has said all it will say. Its input comes in pieces
// of the given size, and what was written is kept.
type pipeConn struct {
	in    []byte
	piece int
	out   bytes.Buffer
	marks []int // octets read when a 354 had been written
	once  sync.Once
	done  chan struct{}
	read  int
}

func (c *pipeConn) Read(p []byte) (int, error) {
	if c.read == len(c.in) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.in[c.read:])
	c.read += n
	return n, nil
}

func (c *pipeConn) Write(p []byte) (int, error) {
	if i := bytes.LastIndex(p, []byte("\r\n354 ")); i >= 0 || bytes.HasPrefix(p, []byte("354 ")) {
		c.marks = append(c.marks, c.read)
	}
	return c.out.Write(p)
}

func (c *pipeConn) Close() error                     { c.once.Do(func() { close(c.done) }); return nil }
func (c *pipeConn) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix"} }
func (c *pipeConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (c *pipeConn) SetDeadline(time.Time) error      { return nil }
func (c *pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *pipeConn) SetWriteDeadline(time.Time) error { return nil }

// A oneListener has one connection to give.
type oneListener struct{ conns chan net.Conn }

func (l oneListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l oneListener) Close() error   { return nil }
func (l oneListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// converse plays input to a server and returns what it wrote.
func converse(t testing.TB, input []byte, piece int) (*pipeConn, *recorder) {
	h := &recorder{}
	settings := Settings{Hostname: "mx.example.net", MaxMessageSize: 1000, MaxRecipients: 5, AdvertiseSMIME: true,
		Spool: spool.Settings{Dir: os.TempDir(), Memory: 1 << 16}}
	s := NewServer(settings, h, discardLog())
	c := &pipeConn{in: input, piece: piece, done: make(chan struct{})}
	l := oneListener{make(chan net.Conn, 1)}
	l.conns <- c
	close(l.conns)
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	<-c.done
	return c, h
}

// The dialogues of testdata: "C: " lines are sent, "S: " lines are the replies, "M: " lines the messages that reached the
// handler. A C line that is a Go string in quotes is sent without a line end. -update writes the S and M
// lines of the blocks that have an S line.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".dialogue"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playFile(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// playFile sends each block of C lines in one piece, and returns the file with what came back.
func playFile(t *testing.T, file string) string {
	settings := testSettings(t)
	settings.MaxMessageSize, settings.MaxRecipients = 1000, 5
	h := start(t, settings)
	c := h.dial(t)
	var blocks []string
	for block := range strings.SplitSeq(strings.TrimSpace(file), "\n\n") {
		if strings.HasPrefix(block, "M: ") {
			continue
		}
		var out strings.Builder
		replies := 0
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "S: ") {
				replies++
			} else {
				out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
			}
		}
		if said := clientSide(block); len(said) > 0 {
			c.send(string(said))
		}
		playReplies(t, c, replies, &out)
		blocks = append(blocks, out.String())
	}
	var messages strings.Builder
	for _, m := range h.messages {
		fmt.Fprintf(&messages, "M: %q\n", m)
	}
	if messages.Len() > 0 {
		blocks = append(blocks, messages.String())
	}
	return strings.Join(blocks, "\n")
}

// playReplies reads n lines, or with -update until the server is silent.
func playReplies(t *testing.T, c *client, n int, out *strings.Builder) {
	for i := 0; *update && n > 0 || i < n; i++ {
		if *update {
			if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		line, err := c.r.ReadString('\n')
		if line != "" {
			fmt.Fprintf(out, "S: %s\n", strings.TrimSuffix(line, "\r\n"))
		}
		if err != nil {
			return
		}
	}
}

// FuzzDialogue says anything to the server. Whatever the pieces it arrives in, the answers are the same; every message
// that reached the handler is the one a slow reading of the same octets gives; and after each end of data there are
// as many replies as accepted recipients.
func FuzzDialogue(f *testing.F) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(clientSide(string(b)), 5)
	}
	f.Fuzz(func(t *testing.T, input []byte, piece int) {
		if len(input) > 1<<16 || piece < 1 {
			t.Skip()
		}
		slow, slowHandler := converse(t, input, 1)
		fast, fastHandler := converse(t, input, piece)
		if !bytes.Equal(slow.out.Bytes(), fast.out.Bytes()) {
			t.Errorf("in octets %q\nin pieces %q", slow.out.Bytes(), fast.out.Bytes())
		}
		if !slices.Equal(slowHandler.messages, fastHandler.messages) {
			t.Errorf("in octets %q\nin pieces %q", slowHandler.messages, fastHandler.messages)
		}
		checkMessages(t, slow, slowHandler)
		checkReplies(t, slow.out.String(), slowHandler)
	})
}

// clientSide returns the octets that the C lines of a dialogue send.
func clientSide(file string) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(file) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "C: ")
		if raw, err := strconv.Unquote(text); ok && err == nil {
			b.WriteString(raw)
		} else if ok {
			b.WriteString(text + "\r\n")
		}
	}
	return b.Bytes()
}

// checkMessages reads each message again from where the client was when it got its 354.
func checkMessages(t *testing.T, c *pipeConn, h *recorder) {
	var want []string
	for _, mark := range c.marks {
		if msg, _, ok := unstuff(string(c.in[mark:])); ok && len(msg) <= 1000 {
			want = append(want, msg)
		}
	}
	if !slices.Equal(h.messages, want) {
		t.Errorf("got %q, want %q", h.messages, want)
	}
}

// checkReplies counts the replies after each 354 that name a recipient.
func checkReplies(t *testing.T, out string, h *recorder) {
	parts := strings.Split(out, "\r\n354 ")[1:]
	delivered := 0
	for _, part := range parts {
		lines := strings.Split(part, "\r\n")[1:]
		n := 0
		for n < len(lines) && len(lines[n]) > 10 && lines[n][10] == '<' {
			n++
		}
		switch {
		case n == 0 || strings.HasPrefix(lines[0], "552 5.3.4"): // torn, or too big: the handler did not see it
		case delivered == len(h.accepted) || n != h.accepted[delivered]:
			t.Errorf("%d replies, accepted %d: %q", n, h.accepted, out)
		default:
			delivered++
		}
	}
	if delivered != len(h.accepted) {
		t.Errorf("%d of %d messages answered: %q", delivered, len(h.accepted), out)
	}
}
