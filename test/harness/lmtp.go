package harness

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// Replies reads what an LMTP server says.
type Replies struct {
	Conn net.Conn
	r    *bufio.Reader
}

// Next returns the next reply, all lines of it as they came. On an error it returns what there is.
func (r *Replies) Next() (string, error) {
	if r.r == nil {
		r.r = bufio.NewReader(r.Conn)
	}
	if err := r.Conn.SetReadDeadline(time.Now().Add(3 * patience)); err != nil {
		return "", err
	}
	var reply strings.Builder
	for {
		line, err := r.r.ReadString('\n')
		reply.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return reply.String(), err
		}
	}
}

// A Client is one LMTP connection. It is written by hand, so that a test sees every octet of the replies and can send
// what no library would. A method that cannot go on fails the test.
type Client struct {
	tb         testing.TB
	conn       net.Conn
	replies    *Replies
	transcript strings.Builder
}

// Dial connects to the site's server and says LHLO.
func (s *Site) Dial(tb testing.TB) *Client {
	tb.Helper()
	return DialAt(tb, "unix", s.Path(Socket))
}

// DialAt connects to any LMTP server and says LHLO. The test closes the connection when it is over.
func DialAt(tb testing.TB, network, address string) *Client {
	tb.Helper()
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	c := &Client{tb: tb, conn: conn, replies: &Replies{Conn: conn}}
	c.Reply()
	if reply := c.Command("LHLO client.example"); !strings.HasPrefix(reply, "250") {
		tb.Fatalf("LHLO: %q", reply)
	}
	return c
}

// Reply reads one reply, all lines of it as they came.
func (c *Client) Reply() string {
	c.tb.Helper()
	reply, err := c.replies.Next()
	if err != nil {
		c.tb.Fatalf("reply %q: %v\nafter:\n%s", reply, err, c.Transcript())
	}
	c.transcript.WriteString(reply)
	return reply
}

// Command sends one line and returns the reply.
func (c *Client) Command(line string) string {
	c.tb.Helper()
	c.Send([]byte(line + "\r\n"))
	c.transcript.WriteString(line + "\r\n")
	return c.Reply()
}

// Send writes octets as they are.
func (c *Client) Send(octets []byte) {
	c.tb.Helper()
	if err := c.conn.SetWriteDeadline(time.Now().Add(3 * patience)); err != nil {
		c.tb.Fatal(err)
	}
	if _, err := c.conn.Write(octets); err != nil {
		c.tb.Fatalf("%v\nafter:\n%s", err, c.Transcript())
	}
}

// Deliver hands a message over for some recipients and returns the replies after the final dot, one per recipient, in
// the order they came. All recipients must be accepted.
func (c *Client) Deliver(sender string, recipients []string, message []byte) []string {
	c.tb.Helper()
	c.expect("250", c.Command("MAIL FROM:<"+sender+">"))
	for _, r := range recipients {
		c.expect("250", c.Command("RCPT TO:<"+r+">"))
	}
	c.expect("354", c.Command("DATA"))
	c.Send(Stuffed(message))
	replies := make([]string, len(recipients))
	for i := range replies {
		replies[i] = c.Reply()
	}
	return replies
}

func (c *Client) expect(code, reply string) {
	c.tb.Helper()
	if !strings.HasPrefix(reply, code) {
		c.tb.Fatalf("want %s:\n%s", code, c.Transcript())
	}
}

// Transcript returns what was said, both sides, without messages, since the connection began or Forget was called.
func (c *Client) Transcript() string { return c.transcript.String() }

// Forget empties the transcript.
func (c *Client) Forget() { c.transcript.Reset() }

// Close breaks the connection off.
func (c *Client) Close() {
	c.tb.Helper()
	if err := c.conn.Close(); err != nil {
		c.tb.Error(err)
	}
}

// Quit ends the dialogue and the connection.
func (c *Client) Quit() {
	c.tb.Helper()
	c.expect("221", c.Command("QUIT"))
	if err := c.conn.Close(); err != nil {
		c.tb.Error(err)
	}
}

// Stuffed returns a message as it stands on the wire after 354: line ends CRLF, dots doubled, the final dot.
func Stuffed(message []byte) []byte {
	b := CRLF(message)
	b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(b, []byte(".")) {
		b = append([]byte("."), b...)
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) && len(b) > 0 {
		b = append(b, "\r\n"...)
	}
	return append(b, ".\r\n"...)
}

// LF returns a text with the line ends of a file.
func LF(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// CRLF returns a text with the line ends of the wire.
func CRLF(b []byte) []byte { return bytes.ReplaceAll(LF(b), []byte("\n"), []byte("\r\n")) }
