package lmtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// A recorder is a Handler whose answers depend on the local part of the recipient.
type recorder struct {
	mu       sync.Mutex
	peers    []Peer
	senders  []string
	rcpts    []string // "address orcpt"
	messages []string
	accepted []int
	closed   int
	begun    int
	hold     chan struct{} // Data waits for it when set
	inData   chan struct{}
}

func (h *recorder) Begin(_ context.Context, peer Peer, sender string) Transaction {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.HasPrefix(sender, "panic") {
		panic("Begin")
	}
	h.begun++
	h.peers = append(h.peers, peer)
	h.senders = append(h.senders, sender)
	return &transaction{h: h}
}

type transaction struct {
	h     *recorder
	rcpts []string
}

func (tx *transaction) Rcpt(_ context.Context, addr, orcpt string) status.Result {
	tx.h.mu.Lock()
	defer tx.h.mu.Unlock()
	tx.h.rcpts = append(tx.h.rcpts, strings.TrimSpace(addr+" "+orcpt))
	local, _, _ := strings.Cut(addr, "@")
	switch local {
	case "unknown":
		return status.Reject(status.Enhanced{Class: 5, Subject: 1, Detail: 1}, "no such user", nil)
	case "plain-error":
		return status.From(errors.New("open /etc/secret: permission denied"))
	case "rcpt-panic":
		panic("Rcpt")
	case "rcpt-busy":
		return status.Defer(status.Enhanced{Class: 4, Subject: 3, Detail: 2}, "not now", nil)
	}
	tx.rcpts = append(tx.rcpts, local)
	return status.Delivered()
}

func (tx *transaction) Data(_ context.Context, msg *spool.Spool) []status.Result {
	b, err := io.ReadAll(io.NewSectionReader(msg, 0, msg.Size()))
	if err != nil {
		panic(err)
	}
	tx.h.mu.Lock()
	tx.h.messages = append(tx.h.messages, string(b))
	tx.h.accepted = append(tx.h.accepted, len(tx.rcpts))
	hold, inData := tx.h.hold, tx.h.inData
	tx.h.mu.Unlock()
	if hold != nil {
		inData <- struct{}{}
		<-hold
	}
	var results []status.Result
	for _, local := range tx.rcpts {
		switch local {
		case "quota":
			results = append(results, status.Defer(status.Enhanced{Class: 4, Subject: 2, Detail: 2}, "over quota", nil))
		case "loop":
			results = append(results, status.Reject(status.Enhanced{Class: 5, Subject: 4, Detail: 6}, "mail loop", nil))
		case "wrapped":
			r := status.Defer(status.Enhanced{Class: 4, Subject: 3, Detail: 1}, "no space", nil)
			results = append(results, status.From(fmt.Errorf("deliver: %w", &r)))
		case "broken-text":
			results = append(results, status.Result{Status: status.Enhanced{Class: 2}, Text: "a\r\n250 b\x00é%s"})
		case "data-panic":
			panic("Data")
		case "short":
			return results
		case "surplus":
			results = append(results, status.Delivered(), status.Delivered())
		default:
			results = append(results, status.Delivered())
		}
	}
	return results
}

func (tx *transaction) Close() {
	tx.h.mu.Lock()
	defer tx.h.mu.Unlock()
	tx.h.closed++
	for _, local := range tx.rcpts {
		if local == "close-panic" {
			panic("Close")
		}
	}
}

func (h *recorder) last(t *testing.T) string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.messages) == 0 {
		t.Fatal("no message")
	}
	return h.messages[len(h.messages)-1]
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func testSettings(t testing.TB) Settings {
	return Settings{
		Hostname:       "mx.example.net",
		MaxMessageSize: 1 << 20,
		AdvertiseSMIME: true,
		Spool:          spool.Settings{Dir: t.TempDir(), Memory: 1 << 16},
	}
}

type harness struct {
	*recorder
	server *Server
	addr   net.Addr
	served chan error
}

// start runs a server on a unix socket.
func start(t *testing.T, settings Settings) *harness {
	t.Helper()
	l, err := Listen("unix:"+filepath.Join(t.TempDir(), "s"), 0o660)
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, settings, l)
}

func startOn(t *testing.T, settings Settings, l net.Listener) *harness {
	t.Helper()
	h := &harness{recorder: &recorder{}, addr: l.Addr(), served: make(chan error, 1)}
	h.server = NewServer(settings, h.recorder, discardLog())
	go func() { h.served <- h.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	return h
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (h *harness) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial(h.addr.Network(), h.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t, c, bufio.NewReader(c)}
}

// hello dials and goes past LHLO.
func (h *harness) hello(t *testing.T) *client {
	t.Helper()
	c := h.dial(t)
	c.want("220")
	c.send("LHLO client.example\r\n")
	c.want("250")
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// read returns one reply, of one line or several.
func (c *client) read() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			c.t.Fatalf("after %q: %v", b.String(), err)
		}
		if len(line) < 4 || line[3] != '-' {
			return b.String()
		}
	}
}

// want reads one reply for each prefix.
func (c *client) want(prefixes ...string) string {
	c.t.Helper()
	var got string
	for _, prefix := range prefixes {
		if got = c.read(); !strings.HasPrefix(got, prefix) {
			c.t.Fatalf("got %q, want %q", got, prefix)
		}
	}
	return got
}

// wantEOF reads to the end of the connection, which is a reset where the server has not read all that was sent.
func (c *client) wantEOF() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		c.t.Fatalf("got %q, %v; want the end", b, err)
	}
}

// message sends one message and expects the replies.
func (c *client) message(rcpts []string, raw string, replies ...string) {
	c.t.Helper()
	c.send("MAIL FROM:<s@example.com>\r\n")
	c.want("250")
	for _, r := range rcpts {
		c.send("RCPT TO:<" + r + "@example.net>\r\n")
		c.want("250")
	}
	c.send("DATA\r\n")
	c.want("354")
	c.send(raw + ".\r\n")
	c.want(replies...)
}

// THREATS C01, C24: only CRLF.CRLF ends a message, and every octet of it arrives.
func TestC01OnlyCRLFDotCRLFEnds(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\n\x00.\r\n", "\r.\r\n", "\r\n.\r\r\n"} {
		raw := "Subject: a\r\n\r\nx" + end + "MAIL FROM:<smuggled@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n\r\n"
		c.message([]string{"erin"}, raw, "250 2.0.0 <erin@example.net>")
		if got, want := h.last(t), strings.ReplaceAll(raw, "\r\n.", "\r\n"); got != want {
			t.Errorf("%q: got %q, want %q", end, got, want)
		}
	}
	c.send("NOOP\r\n")
	c.want("250 2.0.0")
}

// THREATS C05: as many replies as accepted recipients, duplicates included, whatever happens.
func TestC05ReplyPerRecipient(t *testing.T) {
	settings := testSettings(t)
	settings.MaxMessageSize = 100
	h := start(t, settings)
	c := h.hello(t)
	ok := "250 2.0.0 <erin@example.net> delivered\r\n"
	later := " temporary failure, try again later\r\n"
	tests := []struct {
		rcpts []string
		want  []string
	}{
		{[]string{"erin", "erin"}, []string{ok, ok}},
		{[]string{"erin", "quota", "erin"}, []string{ok, "452 4.2.2 <quota@example.net> over quota\r\n", ok}},
		{[]string{"quota", "loop", "quota"}, []string{"452 4.2.2", "554 5.4.6", "452 4.2.2"}},
		{[]string{"erin", "short", "erin"}, []string{ok, "451 4.3.0 <short@example.net>" + later, "451 4.3.0 <erin@example.net>" + later}},
		{[]string{"surplus", "erin"}, []string{"250 2.0.0 <surplus@", ok}},
		{[]string{"erin", "data-panic"}, []string{"451 4.3.0 <erin@", "451 4.3.0 <data-panic@"}},
		{[]string{"close-panic"}, []string{"250"}},
	}
	for _, tt := range tests {
		c.message(tt.rcpts, "a\r\n", tt.want...)
		c.send("NOOP\r\n")
		c.want("250 2.0.0 I have")
	}
	c.message([]string{"erin", "quota", "erin"}, strings.Repeat("x", 99)+"\r\n", "552 5.3.4 <erin@", "552 5.3.4 <quota@", "552 5.3.4 <erin@")
	c.send("QUIT\r\n")
	c.want("221")
	c.wantEOF()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != h.begun {
		t.Errorf("%d transactions begun, %d closed", h.begun, h.closed)
	}
}

// THREATS C28: exactly SIZE octets are taken, one more is not, and nothing of it reaches the handler.
func TestC28Size(t *testing.T) {
	settings := testSettings(t)
	settings.MaxMessageSize = 1000
	h := start(t, settings)
	c := h.hello(t)
	exact := "." + strings.Repeat("x", 998) + "\r\n" // the dot is taken off
	c.message([]string{"erin"}, exact, "250")
	if got := h.last(t); len(got) != 1000 {
		t.Fatalf("%d octets", len(got))
	}
	c.message([]string{"erin"}, "x"+exact[1:]+"\r\n", "552 5.3.4")
	c.send("MAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=99999999999999999999999\r\nMAIL FROM:<a@b> SIZE=-1\r\nMAIL FROM:<a@b> SIZE=1000\r\n")
	c.want("552 5.3.4", "552 5.3.4", "501", "250")
	if n := len(h.messages); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A spool that cannot be written: 452 for all, after the end of data, and the connection goes on.
func TestSpoolFault(t *testing.T) {
	settings := testSettings(t)
	settings.Spool.Memory = 10
	h := start(t, settings)
	c := h.hello(t)
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	c.want("250", "250", "250", "354")
	if err := os.RemoveAll(settings.Spool.Dir); err != nil {
		t.Fatal(err)
	}
	c.send(strings.Repeat("MAIL FROM:<x@y>\r\n", 1000) + ".\r\nNOOP\r\n")
	c.want("452 4.3.1", "452 4.3.1", "250")
	// No room: before 354.
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\nRSET\r\n")
	c.want("250", "250", "452 4.3.1", "250")
}

// THREATS C31, row 27: the attributes of XFORWARD reach the handler, from those who may send them only.
func TestXForward(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("XFORWARD NAME=client.example ADDR=IPv6:2001:db8::1 PORT=4711\r\nXFORWARD proto=ESMTP HELO=a+20b IDENT=4XyZ SOURCE=REMOTE\r\n")
	c.want("250", "250")
	c.send("XFORWARD NAME=a+0D+0Ab\r\nXFORWARD\r\nXFORWARD FOO=a\r\nXFORWARD NAME=+ZZ\r\nXFORWARD NAME=[UNAVAILABLE]\r\n")
	c.want("501", "501", "501", "501", "250")
	c.send("MAIL FROM:<s@example.com>\r\nXFORWARD IDENT=other\r\nRSET\r\nMAIL FROM:<>\r\n")
	c.want("250", "503", "250", "250")
	want := Peer{Network: "unix", Address: h.peers[0].Address, HELO: "client.example", QueueID: "4XyZ",
		ClientAddress: "2001:db8::1", ClientPort: "4711", ClientHELO: "a b", ClientProto: "ESMTP", ClientSource: "REMOTE"}
	if h.peers[0] != want {
		t.Errorf("got %+v", h.peers[0])
	}
	if h.peers[1].QueueID != "" || h.peers[1].ClientAddress != "2001:db8::1" {
		t.Errorf("second transaction: %+v", h.peers[1])
	}

	l, err := Listen("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	h = startOn(t, testSettings(t), l)
	c = h.dial(t)
	c.want("220")
	c.send("LHLO x\r\n")
	if greeting := c.want("250"); strings.Contains(greeting, "XFORWARD") {
		t.Errorf("offered to a stranger: %q", greeting)
	}
	c.send("XFORWARD NAME=a\r\n")
	c.want("502")
}

// THREATS C26: a client that drips is cut off by one deadline per command line and by one for the whole message.
func TestC26Deadlines(t *testing.T) {
	settings := testSettings(t)
	settings.IdleTimeout = 150 * time.Millisecond
	settings.DataTimeout = 300 * time.Millisecond
	h := start(t, settings)
	drip := func(c *client) {
		for i := 0; i < 40; i++ {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	c := h.hello(t)
	go drip(c)
	c.want("421 4.4.2")
	d := h.hello(t)
	d.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	d.want("250", "250", "354")
	go drip(d)
	d.want("421 4.4.2")
	d.wantEOF()
	if len(h.messages) != 0 {
		t.Error("a torn message was delivered")
	}
}

// Row 23: the limit of connections is said with 421, and a place comes free again.
func TestMaxConnections(t *testing.T) {
	settings := testSettings(t)
	settings.MaxConnections = 1
	h := start(t, settings)
	c := h.hello(t)
	d := h.dial(t)
	d.want("421 4.3.2")
	d.wantEOF()
	c.send("QUIT\r\n")
	c.want("221")
	c.wantEOF()
	h.hello(t)
}

// THREATS C26: one TCP client cannot take every place; peers on a unix socket are not told apart, and are not counted.
func TestC26MaxPerClient(t *testing.T) {
	settings := testSettings(t)
	settings.MaxPerClient = 2
	l, err := Listen("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	h := startOn(t, settings, l)
	c := h.hello(t)
	h.hello(t)
	d := h.dial(t)
	d.want("421 4.3.2")
	d.wantEOF()
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if e, err := other.Dial("tcp", h.addr.String()); err != nil {
		t.Error(err)
	} else {
		e := &client{t, e, bufio.NewReader(e)}
		e.want("220")
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	c.send("QUIT\r\n")
	c.want("221")
	c.wantEOF()
	h.hello(t)

	h = start(t, settings)
	for range 5 {
		h.hello(t)
	}
}

// THREATS C35: at a stop idle connections get 421, a running transaction ends first.
func TestC35Shutdown(t *testing.T) {
	h := start(t, testSettings(t))
	h.hold, h.inData = make(chan struct{}), make(chan struct{})
	idle, between, running := h.hello(t), h.hello(t), h.hello(t)
	between.send("MAIL FROM:<s@example.com>\r\n")
	between.want("250")
	running.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	running.want("250", "250", "354")
	running.send("a\r\n.\r\n")
	<-h.inData
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- h.server.Shutdown(ctx)
	}()
	idle.want("421 4.3.2")
	idle.wantEOF()
	if _, err := net.Dial(h.addr.Network(), h.addr.String()); err == nil {
		t.Error("a new connection was accepted")
	}
	if err := <-h.served; err != nil {
		t.Error(err)
	}
	between.send("RCPT TO:<erin@example.net>\r\nRSET\r\nNOOP\r\n")
	between.want("250", "250", "421 4.3.2")
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the transaction was over: %v", err)
	default:
	}
	close(h.hold)
	running.want("250 2.0.0", "421 4.3.2")
	running.wantEOF()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A transaction that does not end is cut off when the context is over.
func TestShutdownByForce(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("MAIL FROM:<s@example.com>\r\n")
	c.want("250")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	c.wantEOF()
	if err := h.server.Serve(&net.TCPListener{}); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
}

// A client that goes away in the middle of a message leaves nothing behind and no transaction open.
func TestClientGone(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	c.want("250", "250", "354")
	c.send("half a message\r\n")
	c.Close()
	for range 200 {
		h.mu.Lock()
		closed := h.closed
		h.mu.Unlock()
		if closed == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if h.closed != 1 || len(h.messages) != 0 {
		t.Errorf("%d closed, %d messages", h.closed, len(h.messages))
	}
}

// Many connections at once, each with its own messages.
func TestParallel(t *testing.T) {
	h := start(t, testSettings(t))
	var wg sync.WaitGroup
	for i := range 20 {
		c := h.hello(t)
		wg.Go(func() {
			for j := range 10 {
				raw := fmt.Sprintf("%d-%d\r\n", i, j)
				fmt.Fprintf(c, "MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
				for range 3 {
					if _, err := c.r.ReadString('\n'); err != nil {
						t.Error(err)
						return
					}
				}
				fmt.Fprintf(c, "%s.\r\n", raw)
				if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "250") {
					t.Error(line, err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, m := range h.messages {
		seen[m] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different messages", len(seen))
	}
}
