package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"paperknife/bench/measure"
)

// A load is what to send, and where.
type load struct {
	network, server                              string
	connections, messages, recipients, mailboxes int
	address, sender                              string
	data                                         []byte // as it goes over the wire, with the final dot
	deadline                                     time.Time

	next   atomic.Int64
	failed atomic.Int64
	ready  sync.WaitGroup // connections that are open
	once   sync.Once
	first  error
}

// stuff gives the message CRLF line ends, doubles leading dots, and adds the final one (RFC 5321 section 4.5.2).
func stuff(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/32+8)
	for line := range bytes.Lines(text) {
		if line[0] == '.' {
			out = append(out, '.')
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		out = append(append(out, line...), "\r\n"...)
	}
	return append(out, ".\r\n"...)
}

// run sends everything. The clock starts when every connection is open and greeted. The error is the first of all.
func (l *load) run() (measure.Summary, error) {
	times := make([][]time.Duration, l.connections)
	start := make(chan struct{})
	var done sync.WaitGroup
	l.ready.Add(l.connections)
	for i := range times {
		done.Go(func() { times[i] = l.connection(start) })
	}
	l.ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	wall := time.Since(began)
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	return measure.Summarize(all, wall, int(l.failed.Load())), l.first
}

func (l *load) fail(err error) {
	l.failed.Add(1)
	l.once.Do(func() { l.first = err })
}

// connection sends messages until there are none left, and ends at the first fault. It returns how long each took.
func (l *load) connection(start <-chan struct{}) []time.Duration {
	c, err := l.dial()
	l.ready.Done()
	if err != nil {
		l.fail(err)
		return nil
	}
	defer c.conn.Close()
	<-start
	times := make([]time.Duration, 0, l.messages/l.connections+1)
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.messages {
			break
		}
		began := time.Now()
		if err := c.send(l, i); err != nil {
			l.fail(fmt.Errorf("message %d: %w", i, err))
			return times
		}
		times = append(times, time.Since(began))
	}
	if err := c.command("QUIT\r\n", "221"); err != nil {
		l.fail(err)
	}
	return times
}

// A client is one connection.
type client struct {
	conn     net.Conn
	in       *bufio.Reader
	envelope []byte
}

func (l *load) dial() (*client, error) {
	conn, err := net.Dial(l.network, l.server)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReader(conn)}
	err = conn.SetDeadline(l.deadline)
	if err == nil {
		err = c.expect("220")
	}
	if err == nil {
		err = c.command("LHLO mta.example.net\r\n", "250")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// send is one transaction: the envelope in one piece (RFC 2920), then the message.
func (c *client) send(l *load, number int) error {
	b := fmt.Appendf(c.envelope[:0], "MAIL FROM:<%s>\r\n", l.sender)
	for r := range l.recipients {
		mailbox := (number*l.recipients + r) % l.mailboxes
		b = append(append(append(b, "RCPT TO:<"...), strings.Replace(l.address, "%d", fmt.Sprint(mailbox), 1)...), ">\r\n"...)
	}
	b = append(b, "DATA\r\n"...)
	c.envelope = b
	if _, err := c.conn.Write(b); err != nil {
		return err
	}
	for range 1 + l.recipients {
		if err := c.expect("250"); err != nil {
			return err
		}
	}
	if err := c.expect("354"); err != nil {
		return err
	}
	if _, err := c.conn.Write(l.data); err != nil {
		return err
	}
	for range l.recipients { // RFC 2033 section 4.2: one reply each
		if err := c.expect("250"); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) command(line, code string) error {
	if _, err := c.conn.Write([]byte(line)); err != nil {
		return err
	}
	return c.expect(code)
}

// expect reads one reply, of any number of lines.
func (c *client) expect(code string) error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 5 || string(line[:3]) != code {
			return fmt.Errorf("%q instead of %s", line, code)
		}
		if line[3] != '-' {
			return nil
		}
	}
}
