package lmtp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"paperknife/internal/spool"
)

const (
	maxCommandLine = 4096     // with CRLF; RFC 5321 section 4.5.3.1.4 asks for 512
	maxHello       = 255      // a domain
	maxErrors      = 20       // commands that are none, then the connection is closed
	inputBuffer    = 32 << 10 // also what go-smtp never gets to see at once
	outputBuffer   = 4 << 10
	leastRoom      = 64 << 10 // for a message whose size is not declared
	dataGrant      = 16 << 20 // octets that earn another DataTimeout: a slow but steady sender is not cut off
)

// A conn stands between the network and go-smtp, which keeps the state of the dialogue. It gives go-smtp one command
// line per Read, in a form that go-smtp reads without fail, and answers itself what go-smtp must not see. Once
// go-smtp has written its 354, the conn copies the message into a spool and gives go-smtp nothing but the final dot.
// When go-smtp calls Read it has written all its earlier replies, so answers of both kinds stay in order.
type conn struct {
	net.Conn
	server *Server
	ctx    context.Context
	cancel context.CancelFunc

	in       *bufio.Reader
	pending  []byte // for go-smtp, not yet read by it
	out      []byte // for the network, not yet written to it
	greeting bool   // the reply that go-smtp is writing answers LHLO
	ended    bool   // closed, so nothing more is read or written
	errors   int    // commands that were none

	client     netip.Addr // whose connections are counted; not valid when they are not
	peer       Peer
	mayForward bool
	mail       envelope // of the last MAIL, taken by the session
	rcpt       forward  // of the last RCPT
	declared   int64    // SIZE of the transaction
	accepted   int      // recipients of the transaction

	receiving bool // 354 is written, the message comes next
	armed     time.Time
	limit     time.Time
	message   *spool.Writer
	size      int64
	fault     *smtp.SMTPError
	faultErr  error

	mu       sync.Mutex
	busy     bool // between MAIL and the end of the transaction
	waiting  bool // for a command
	stopping bool
}

func newConn(s *Server, c net.Conn) *conn {
	w := &conn{Conn: c, server: s}
	w.ctx, w.cancel = context.WithCancel(s.ctx)
	w.in = bufio.NewReaderSize(source{w}, inputBuffer)
	w.peer.Network, w.peer.Address = c.RemoteAddr().Network(), c.RemoteAddr().String()
	w.mayForward = mayForward(c.RemoteAddr(), s.settings.XForwardFrom)
	return w
}

// A source is the network side of a conn's input.
type source struct{ c *conn }

// Read reads from the network. In a message it moves the deadline on.
func (s source) Read(p []byte) (int, error) {
	if s.c.receiving {
		if err := s.c.arm(); err != nil {
			return 0, err
		}
	}
	return s.c.Conn.Read(p)
}

// Read gives go-smtp its next octets. go-smtp does not recover here, so a panic of ours would end the process.
func (c *conn) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.server.log.Error("panic", "value", fmt.Sprint(r), "stack", string(debug.Stack()))
			n, err = 0, c.hangUp(io.EOF)
		}
	}()
	if len(c.pending) == 0 {
		next, err := c.next()
		if err != nil {
			return 0, err
		}
		c.pending = next
	}
	n = copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// next returns what go-smtp reads next: one command line, or the end of a message.
func (c *conn) next() ([]byte, error) {
	if c.ended {
		return nil, io.EOF
	}
	if c.receiving {
		err := c.receive()
		c.receiving = false
		if err != nil {
			c.message.Discard()
			return nil, c.hangUp(err)
		}
		return endOfData, nil
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return nil, c.hangUp(err)
		}
		if line, ok := c.command(line); ok {
			return line, nil
		}
		if c.errors > maxErrors {
			c.answer(reply(421, 4, 7, 0, "too many errors"))
			return nil, c.hangUp(io.EOF)
		}
	}
}

// errStopping ends a connection that has nothing to do any more.
var errStopping = errors.New("server is stopping")

// hangUp says goodbye where the client does not expect the end, and gives go-smtp an end of input, which it takes
// without a word of its own.
func (c *conn) hangUp(err error) error {
	switch {
	case errors.Is(err, errStopping):
		c.answer(reply(421, 4, 3, 2, "service is stopping"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.answer(reply(421, 4, 4, 2, "timeout"))
	}
	if err := c.Close(); err != nil {
		c.server.log.Debug("close", "peer", c.peer.Address, "error", err)
	}
	return io.EOF
}

// await marks the conn as idle and sets the deadline of the next command line.
func (c *conn) await() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping && !c.busy {
		return errStopping
	}
	c.waiting = true
	return c.SetReadDeadline(time.Now().Add(c.server.settings.IdleTimeout))
}

// awaited ends what await began.
func (c *conn) awaited(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	if c.stopping && !c.busy && err != nil {
		return errStopping
	}
	return err
}

// stop lets the conn end once its transaction is over, and at once when it is idle.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	if c.waiting && !c.busy {
		// An error means that the connection is gone already.
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

// readLine returns the next command line. Replies are held back while commands are waiting (RFC 2920 section 3.2).
func (c *conn) readLine() ([]byte, error) {
	if err := c.await(); err != nil {
		return nil, err
	}
	buffered, err := c.in.Peek(c.in.Buffered())
	if err == nil && bytes.IndexByte(buffered, '\n') < 0 {
		err = c.flush()
	}
	if err != nil {
		return nil, c.awaited(err)
	}
	line, err := c.in.ReadSlice('\n')
	long := len(line) > maxCommandLine
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = c.in.ReadSlice('\n')
	}
	if err = c.awaited(err); err != nil {
		return nil, err
	}
	if long {
		return nil, nil // read to its end, and gone
	}
	return line, nil
}

// Write takes one reply line of go-smtp.
func (c *conn) Write(p []byte) (int, error) {
	if c.ended {
		return len(p), nil // replies for a message that was cut off: nobody waits for them
	}
	c.out = append(c.out, c.amend(p)...)
	if bytes.HasPrefix(p, []byte("354 ")) {
		c.open()
	}
	if len(c.out) > outputBuffer {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// answer writes a reply of our own.
func (c *conn) answer(r *smtp.SMTPError) {
	e := r.EnhancedCode
	c.out = fmt.Appendf(c.out, "%d %d.%d.%d %s\r\n", r.Code, e[0], e[1], e[2], r.Message)
}

// refuse answers a command that is none of this server's.
func (c *conn) refuse(r *smtp.SMTPError) {
	c.errors++
	c.answer(r)
}

// flush writes the replies held back.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.server.settings.IdleTimeout)); err != nil {
		return err
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Close writes the last replies and closes the connection. It may be called more than once.
func (c *conn) Close() error {
	if c.ended {
		return nil
	}
	c.ended = true
	// The client may be gone, which is no fault of its last reply.
	flushed := c.flush()
	c.cancel()
	c.server.forget(c)
	return errors.Join(flushed, c.Conn.Close())
}

// sever closes the connection without a word, from another goroutine.
func (c *conn) sever() {
	c.cancel()
	// An error means that it is closed already.
	_ = c.Conn.Close()
}

// amend changes the reply lines of go-smtp that are not ours: it offers what this server does, and answers a
// command out of order with 503 (RFC 5321 section 4.2.4).
func (c *conn) amend(line []byte) []byte {
	if c.greeting {
		return c.amendGreeting(line)
	}
	switch string(line) {
	case "502 5.5.1 Please introduce yourself first.\r\n":
		return []byte("503 5.5.1 send LHLO first\r\n")
	case "502 5.5.1 Missing MAIL FROM command.\r\n":
		return []byte("503 5.5.1 send MAIL first\r\n")
	case "502 5.5.1 Missing RCPT TO command.\r\n":
		return []byte("503 5.5.1 no valid recipients\r\n")
	}
	return line
}

// amendGreeting changes one line of the reply to LHLO. The line for CHUNKING gives way to those that go-smtp lacks.
func (c *conn) amendGreeting(line []byte) []byte {
	if len(line) < 4 || line[3] != '-' {
		c.greeting = false
	}
	if len(line) < 4 {
		return line
	}
	switch keyword := strings.TrimSpace(string(line[4:])); keyword {
	case "CHUNKING":
		var lines []byte
		if c.server.settings.AdvertiseSMIME {
			lines = append(lines, "250-SMIME\r\n"...)
		}
		if c.mayForward {
			lines = append(lines, "250-XFORWARD "+xforwardAttributes+"\r\n"...)
		}
		return lines
	case "SIZE":
		if limit := c.server.settings.MaxMessageSize; limit > 0 {
			return fmt.Appendf(nil, "%sSIZE %d\r\n", line[:4], limit)
		}
	}
	return line
}

// command looks at one line from the network. It returns the line that go-smtp is to see, or answers itself and
// returns false.
func (c *conn) command(line []byte) ([]byte, bool) {
	if line == nil {
		c.refuse(reply(500, 5, 5, 2, "line too long"))
		return nil, false
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			c.refuse(reply(500, 5, 5, 2, "control character in command"))
			return nil, false
		}
	}
	verb, arg, _ := strings.Cut(text, " ")
	do, ok := verbs[strings.ToUpper(verb)]
	if !ok {
		c.refuse(reply(500, 5, 5, 2, "command not recognized"))
		return nil, false
	}
	return do(c, strings.ToUpper(verb), strings.Trim(arg, " "))
}

// verbs says who deals with a command. What is not in the table is answered 500.
var verbs = map[string]func(c *conn, verb, arg string) ([]byte, bool){
	"LHLO": (*conn).lhlo,
	"MAIL": (*conn).mailFrom,
	"RCPT": (*conn).rcptTo,
	"DATA": (*conn).data,
	"RSET": (*conn).pass,
	"NOOP": (*conn).pass,
	"VRFY": (*conn).pass,
	"QUIT": (*conn).pass,
	"HELO": (*conn).pass, // answered 500: RFC 2033 section 4.1
	"EHLO": (*conn).pass,

	"XFORWARD": (*conn).xforward,

	"BDAT":     (*conn).bdat,
	"AUTH":     (*conn).notImplemented,
	"STARTTLS": (*conn).notImplemented,
	"XCLIENT":  (*conn).notImplemented,
	"BURL":     (*conn).notImplemented,
	"ETRN":     (*conn).notImplemented,
	"EXPN":     (*conn).notImplemented,
	"HELP":     (*conn).notImplemented,
	"SEND":     (*conn).notImplemented,
	"SOML":     (*conn).notImplemented,
	"SAML":     (*conn).notImplemented,
	"TURN":     (*conn).notImplemented,
}

// pass lets go-smtp have the verb alone: none of these needs its argument.
func (c *conn) pass(verb, _ string) ([]byte, bool) { return []byte(verb + "\r\n"), true }

func (c *conn) notImplemented(string, string) ([]byte, bool) {
	c.refuse(reply(502, 5, 5, 1, "command not implemented"))
	return nil, false
}

// lhlo keeps the argument short, so that go-smtp writes each line of its reply with one Write.
func (c *conn) lhlo(_, arg string) ([]byte, bool) {
	domain, _, _ := strings.Cut(arg, " ")
	if domain == "" || len(domain) > maxHello || !isPrintable(domain) {
		c.answer(reply(501, 5, 5, 4, "syntax: LHLO domain"))
		return nil, false
	}
	c.greeting = true
	return []byte("LHLO " + domain + "\r\n"), true
}

func (c *conn) mailFrom(_, arg string) ([]byte, bool) {
	mail, fault := parseMail(arg)
	if fault != nil {
		c.answer(fault)
		return nil, false
	}
	c.mail = mail
	return []byte("MAIL FROM:" + quotePath(mail.sender) + "\r\n"), true
}

func (c *conn) rcptTo(_, arg string) ([]byte, bool) {
	// Whether SMTPUTF8 was announced is known to the session; the syntax is the same either way.
	rcpt, fault := parseRcpt(arg, true)
	if fault != nil {
		c.answer(fault)
		return nil, false
	}
	c.rcpt = rcpt
	return []byte("RCPT TO:" + quotePath(rcpt.recipient) + "\r\n"), true
}

// data refuses a message that there is no room for, before it is sent.
func (c *conn) data(_, arg string) ([]byte, bool) {
	if arg != "" {
		c.answer(reply(501, 5, 5, 4, "DATA takes no argument"))
		return nil, false
	}
	if c.accepted > 0 {
		if fault := c.room(); fault != nil {
			c.answer(fault)
			return nil, false
		}
	}
	return []byte("DATA\r\n"), true
}

// bdat refuses a chunk and reads past it: RFC 3030 section 2 has the client send it at once, whatever the answer,
// and its octets must never be taken for commands.
func (c *conn) bdat(_, arg string) ([]byte, bool) {
	c.refuse(reply(502, 5, 5, 1, "command not implemented"))
	digits, _, _ := strings.Cut(arg, " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 {
		return nil, false // no size, so no chunk
	}
	if size <= dataGrant {
		if err = c.flush(); err == nil {
			_, err = c.in.Discard(int(size))
		}
	}
	if err != nil || size > dataGrant {
		c.errors = maxErrors + 1 // where the next command begins is not known, or too far away
	}
	return nil, false
}

func (c *conn) xforward(_, arg string) ([]byte, bool) {
	switch {
	case !c.mayForward:
		c.refuse(reply(502, 5, 5, 1, "command not implemented"))
	case c.isBusy():
		c.answer(reply(503, 5, 5, 1, "transaction in progress"))
	default:
		fault := c.peer.xforward(arg)
		if fault == nil {
			fault = reply(250, 2, 0, 0, "ok")
		}
		c.answer(fault)
	}
	return nil, false
}

func (c *conn) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

// The replies for a message that could not be kept.
var (
	messageTooBig = reply(552, 5, 3, 4, "message too big")
	spoolFull     = reply(452, 4, 3, 1, "insufficient system storage")
)

// room asks the spool for the declared size.
func (c *conn) room() *smtp.SMTPError {
	size := max(c.declared, leastRoom)
	err := spool.Room(c.server.settings.Spool, size)
	if err == nil {
		return nil
	}
	c.server.log.Error("no room for a message", "size", size, "error", err)
	return spoolFull
}

// open makes ready for a message.
func (c *conn) open() {
	c.receiving = true
	c.message = spool.New(c.server.settings.Spool)
	c.size, c.fault, c.faultErr = 0, nil, nil
	c.armed = time.Time{}
	c.limit = time.Now().Add(c.server.settings.DataTimeout)
}

// receive copies the message into the spool.
func (c *conn) receive() error {
	if err := c.flush(); err != nil {
		return err
	}
	return copyMessage(c.in, c.keep)
}

// keep adds octets to the message. After a fault nothing is kept, but the client is heard
// to the end of data.
func (c *conn) keep(p []byte) {
	if c.fault != nil {
		return
	}
	c.size += int64(len(p))
	if limit := c.server.settings.MaxMessageSize; limit > 0 && c.size > limit {
		c.fault = messageTooBig
		c.message.Discard()
		return
	}
	if _, err := c.message.Write(p); err != nil {
		c.fault, c.faultErr = spoolFull, err
		c.message.Discard()
	}
}

// take returns the message that was received, or the reply for all its recipients.
func (c *conn) take() (*spool.Spool, *smtp.SMTPError) {
	if c.fault == nil {
		msg, err := c.message.Finish()
		if err == nil {
			return msg, nil
		}
		c.fault, c.faultErr = spoolFull, err
	}
	if c.faultErr != nil {
		c.server.log.Error("spool", "peer", c.peer.Address, "queue_id", c.peer.QueueID, "error", c.faultErr)
	}
	return nil, c.fault
}

// arm sets the deadline of the next read inside a message: the idle time, but not past the limit for the whole of it.
func (c *conn) arm() error {
	now := time.Now()
	if now.Sub(c.armed) < time.Second && c.server.settings.IdleTimeout > 2*time.Second {
		return nil
	}
	c.armed = now
	limit := c.limit.Add(time.Duration(c.size/dataGrant) * c.server.settings.DataTimeout)
	deadline := now.Add(c.server.settings.IdleTimeout)
	if limit.Before(deadline) {
		deadline = limit
	}
	return c.SetReadDeadline(deadline)
}
