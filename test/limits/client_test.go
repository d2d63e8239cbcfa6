package limits

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A client speaks LMTP as a mail server does, one message after the other.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

const patience = 60 * time.Second

// dial connects and says LHLO.
func (s *server) dial() (*client, error) {
	conn, err := net.Dial("unix", s.socket())
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReader(conn)}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, c.abandon(err)
	}
	if _, err := c.reply("220"); err != nil {
		return nil, c.abandon(err)
	}
	if _, err := c.command("250", "LHLO mx.example.net"); err != nil {
		return nil, c.abandon(err)
	}
	return c, nil
}

func (c *client) abandon(err error) error {
	_ = c.conn.Close() // there is an error already
	return err
}

// reply reads one reply, which begins with want, and returns its last line.
func (c *client) reply(want string) (string, error) {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasPrefix(line, want) {
			return line, fmt.Errorf("reply %q, want %s", line, want)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		return line, nil
	}
}

func (c *client) command(want, line string) (string, error) {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return "", err
	}
	return c.reply(want)
}

// begin comes as far as the 354.
func (c *client) begin(recipients ...string) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.command("250", "MAIL FROM:<"+sender+">"); err != nil {
		return err
	}
	for _, r := range recipients {
		if _, err := c.command("250", "RCPT TO:<"+r+">"); err != nil {
			return err
		}
	}
	_, err := c.command("354", "DATA")
	return err
}

// send sends a message with CRLF line ends; every recipient is to be answered 250.
func (c *client) send(message io.Reader, recipients ...string) error {
	if err := c.begin(recipients...); err != nil {
		return err
	}
	if err := stuff(c.conn, message); err != nil {
		return err
	}
	for range recipients {
		if _, err := c.reply("250"); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) quit() error {
	_, err := c.command("221", "QUIT")
	if closed := c.conn.Close(); err == nil {
		err = closed
	}
	return err
}

// deliver sends one message over a connection of its own.
func (s *server) deliver(t testing.TB, message io.Reader, recipients ...string) {
	t.Helper()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.send(message, recipients...); err != nil {
		t.Fatal(c.abandon(err))
	}
	if err := c.quit(); err != nil {
		t.Fatal(err)
	}
}

// stuff writes a message with the dots that RFC 5321 section 4.5.2 asks for, and the end of data.
func stuff(w io.Writer, message io.Reader) error {
	buf := make([]byte, 256<<10)
	start := true // of a line
	for {
		n, err := message.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			if start && rest[0] == '.' {
				if _, err := io.WriteString(w, "."); err != nil {
					return err
				}
			}
			piece := rest
			if i := bytes.Index(rest, []byte("\n.")); i >= 0 {
				piece = rest[:i+1]
			}
			if _, err := w.Write(piece); err != nil {
				return err
			}
			start = piece[len(piece)-1] == '\n'
			rest = rest[len(piece):]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	end := ".\r\n"
	if !start {
		end = "\r\n" + end
	}
	_, err := io.WriteString(w, end)
	return err
}
