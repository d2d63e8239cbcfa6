package lmtp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"paperknife/internal/status"
)

// The tests of this file go through the known defects of go-smtp v0.25.1, one by one, and show that none can reach a
// client or a message. The numbers are the rows of the list they were found under; the names say what goes wrong.

func TestGoSMTP01CapabilitiesAreFixed(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	for range 2 { // once, also when asked again
		c.send("LHLO client.example\r\n")
		got := c.want("250")
		for _, line := range []string{"250-SMIME\r\n", "SIZE 1048576\r\n", "250-SMTPUTF8\r\n", "250-PIPELINING\r\n", "250-8BITMIME\r\n", "250-ENHANCEDSTATUSCODES\r\n", "XFORWARD " + xforwardAttributes + "\r\n"} {
			if strings.Count(got, line) != 1 {
				t.Errorf("%q in %q", line, got)
			}
		}
		for _, word := range []string{"CHUNKING", "DSN", "STARTTLS", "AUTH", "BINARYMIME"} {
			if strings.Contains(got, word) {
				t.Errorf("%s in %q", word, got)
			}
		}
	}
	settings := testSettings(t)
	settings.AdvertiseSMIME = false
	c = start(t, settings).dial(t)
	c.want("220")
	c.send("LHLO x\r\n")
	if got := c.want("250"); strings.Contains(got, "SMIME\r\n") || strings.Contains(got, "CHUNKING") {
		t.Errorf("%q", got)
	}
}

func TestGoSMTP02UnknownParameterIs555(t *testing.T) {
	c := start(t, testSettings(t)).hello(t)
	c.send("MAIL FROM:<a@b> FOO=1\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<a@b> BAR\r\n")
	c.want("555 5.5.4", "501 5.5.4", "250", "555 5.5.4")
}

func TestGoSMTP03CRCRLFBeforeTheEnd(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	for _, raw := range []string{"x\r\r\n", "\r\r\n", "\r\r\r\n", "a\r\n\r\r\n"} {
		c.message([]string{"erin"}, raw, "250")
		if got := h.last(t); got != raw {
			t.Errorf("got %q, want %q", got, raw)
		}
	}
}

func TestGoSMTP04DotCRKeepsTheCR(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.message([]string{"erin"}, "\r\n..\rY\r\n.\rZ\r\n", "250")
	if got := h.last(t); got != "\r\n.\rY\r\n\rZ\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestGoSMTP05ExactlySIZE(t *testing.T) { TestC28Size(t) }

func TestGoSMTP06LongLineInDATA(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	for _, n := range []int{998, 2000, 3000, 70000, 900000} {
		raw := strings.Repeat("x", n) + "\r\n"
		c.message([]string{"erin"}, raw, "250")
		if got := h.last(t); got != raw {
			t.Errorf("%d octets became %d", len(raw), len(got))
		}
	}
}

func TestGoSMTP07CommandLineIsBounded(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	for _, n := range []int{maxCommandLine - 6, maxCommandLine - 5, inputBuffer, 3 * inputBuffer, 1 << 20} {
		line := "NOOP " + strings.Repeat("x", n-1) + "\r\n"
		want := "250"
		if len(line) > maxCommandLine {
			want = "500 5.5.2"
		}
		c.send(line + "NOOP\r\n")
		c.want(want, "250")
	}
}

func TestGoSMTP08To11BDATIsNeverSeen(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nRCPT TO:<erin@example.net>\r\n")
	c.want("250", "250", "250")
	chunk := "RSET\r\nMAIL FROM:<smuggled@x>\r\n"
	fmt.Fprintf(c, "BDAT %d\r\n%sBDAT 0 LAST\r\nBDAT\r\nBDAT x\r\nBDAT -5\r\nDATA\r\n", len(chunk), chunk)
	c.want("502", "502", "502", "502", "502", "354")
	c.send("a\r\n.\r\n")
	c.want("250", "250")
	if h.last(t) != "a\r\n" || len(h.senders) != 1 {
		t.Errorf("%q, %q", h.messages, h.senders)
	}
	c.send("BDAT 99999999999 LAST\r\n")
	c.want("502", "421")
	c.wantEOF()
}

func TestGoSMTP12SessionIsLocked(t *testing.T) {
	h := start(t, testSettings(t))
	h.hold, h.inData = make(chan struct{}), make(chan struct{})
	c := h.hello(t)
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	c.want("250", "250", "354")
	c.send("a\r\n.\r\n")
	<-h.inData
	// The connection goes away while the handler works: the transaction is closed after it, not under it.
	h.server.mu.Lock()
	for w := range h.server.conns {
		w.sever()
	}
	h.server.mu.Unlock()
	if h.closed != 0 {
		t.Error("closed under the handler")
	}
	close(h.hold)
	waitFor(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.closed == 1 })
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 400 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("waited in vain")
}

func TestGoSMTP13IdleConnectionsEndAtAStop(t *testing.T) { TestC35Shutdown(t) }

func TestGoSMTP14StopByForce(t *testing.T) { TestShutdownByForce(t) }

// A deadlineConn remembers its deadline.
type deadlineConn struct {
	*pipeConn
	deadline time.Time
}

func (c *deadlineConn) SetReadDeadline(t time.Time) error { c.deadline = t; return nil }

func TestGoSMTP15SteadySlowSenderIsNotCutOff(t *testing.T) {
	settings := testSettings(t)
	settings.IdleTimeout, settings.DataTimeout = time.Minute, 10*time.Minute
	s := NewServer(settings, &recorder{}, discardLog())
	network := &deadlineConn{pipeConn: &pipeConn{}}
	c := newConn(s, network)
	c.open()
	tests := []struct {
		name  string
		begun time.Duration // how long ago
		size  int64
		want  time.Duration // from now
	}{
		{"at the beginning", 0, 0, time.Minute},
		{"in the middle", 5 * time.Minute, 100, time.Minute},
		{"near the end of the whole", 570 * time.Second, 100, 30 * time.Second},
		{"past it", 11 * time.Minute, 100, -time.Minute},
		{"slow but steady", 25 * time.Minute, 2 * dataGrant, time.Minute},
	}
	for _, tt := range tests {
		c.armed, c.size = time.Time{}, tt.size
		c.limit = time.Now().Add(10*time.Minute - tt.begun)
		if err := c.arm(); err != nil {
			t.Fatal(err)
		}
		if got := time.Until(network.deadline); got < tt.want-20*time.Second || got > tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestGoSMTP16ErrorsAreNever554(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.message([]string{"wrapped"}, "a\r\n", "452 4.3.1 <wrapped@example.net> no space\r\n")
	c.send("MAIL FROM:<>\r\nRCPT TO:<plain-error@example.net>\r\nRCPT TO:<rcpt-panic@example.net>\r\nRCPT TO:<unknown@example.net>\r\nRCPT TO:<rcpt-busy@example.net>\r\n")
	c.want("250", "451 4.3.0 temporary failure, try again later\r\n", "451 4.3.0 temporary failure", "550 5.1.1 no such user\r\n", "451 4.3.2 not now\r\n")
	c.send("RSET\r\nMAIL FROM:<panic@example.com>\r\nMAIL FROM:<a@example.com>\r\n")
	c.want("250", "451 4.3.0 temporary failure", "250")
}

func TestGoSMTP17NestedMAIL(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<erin@example.net>\r\nMAIL FROM:<b@example.com> SIZE=9\r\nDATA\r\n")
	c.want("250", "250", "503 5.5.1", "354")
	c.send("a\r\n.\r\nMAIL FROM:<b@example.com>\r\nDATA\r\n")
	c.want("250", "250", "503 5.5.1")
	if fmt.Sprint(h.senders) != "[a@example.com b@example.com]" {
		t.Errorf("%q", h.senders)
	}
}

func TestGoSMTP18AddressAsWritten(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send(`MAIL FROM:<"a\"@ b"@example.com>` + "\r\n" + `RCPT TO:<"x y>z"@example.net> ORCPT=rfc822;sales+2Bx@example.net` + "\r\n" + `RCPT TO:<"erin"@example.net>` + "\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	c.want("250", "250", "250", "250", "354")
	c.send("a\r\n.\r\n")
	c.want(`250 2.0.0 <"x y>z"@example.net> `, `250 2.0.0 <"erin"@example.net> `, "250 2.0.0 <erin@example.net> ")
	if h.senders[0] != `"a\"@ b"@example.com` || h.rcpts[0] != `"x y>z"@example.net sales+x@example.net` || h.rcpts[1] != `"erin"@example.net` {
		t.Errorf("%q, %q", h.senders, h.rcpts)
	}
}

func TestGoSMTP19SIZEOver4GiB(t *testing.T) {
	settings := testSettings(t)
	settings.MaxMessageSize = 1 << 40
	c := start(t, settings).hello(t)
	c.send("MAIL FROM:<a@b> SIZE=5000000000\r\n")
	c.want("250")
}

func TestGoSMTP20NoBYNorPriority(t *testing.T) {
	c := start(t, testSettings(t)).hello(t)
	c.send("MAIL FROM:<a@b>\r\nRCPT TO:<a@b> BY=10;N\r\nRCPT TO:<a@b> MT-PRIORITY=3\r\nRCPT TO:<a@b> RRVS=2014-04-03T23:01:00Z\r\n")
	c.want("250", "555", "555", "555")
}

func TestGoSMTP21NoReplyBeforeTheEndOfData(t *testing.T) {
	settings := testSettings(t)
	settings.MaxMessageSize = 10
	c := start(t, settings).hello(t)
	c.send("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
	c.want("250", "250", "354")
	c.send(strings.Repeat("x", 100))
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if line, err := c.r.ReadString('\n'); err == nil {
		t.Fatalf("answered early: %q", line)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c.send("\r\n.\r\n")
	c.want("552 5.3.4")
}

func TestGoSMTP22ReplyTextIsOneLine(t *testing.T) {
	c := start(t, testSettings(t)).hello(t)
	c.message([]string{"broken-text", "erin"}, "a\r\n", "250 2.0.0 <broken-text@example.net> a??250 b??%s\r\n", "250")
	if got := oneLine(strings.Repeat("x", 5000)); len(got) > 200 {
		t.Errorf("%d octets", len(got))
	}
}

func TestGoSMTP23ConnectionsAreCounted(t *testing.T) { TestMaxConnections(t) }

func TestGoSMTP24ServerComesFromNewServer(t *testing.T) {
	s := NewServer(testSettings(t), &recorder{}, discardLog())
	if s.smtp.Backend == nil || !s.smtp.LMTP || s.smtp.MaxLineLength != 0 || s.smtp.MaxMessageBytes != 0 {
		t.Errorf("%+v", s.smtp)
	}
}

func TestGoSMTP25StaleSocket(t *testing.T) { TestListenUnix(t) }

// THREATS C03.
func TestGoSMTP26NoSTARTTLS(t *testing.T) {
	h := start(t, testSettings(t))
	c := h.hello(t)
	c.send("STARTTLS\r\nMAIL FROM:<a@example.com>\r\nstarttlsfoo\r\nAUTH PLAIN AAAA\r\nXCLIENT ADDR=1.2.3.4\r\nNOOP\r\n")
	c.want("502", "250", "500", "502", "502", "250")
}

func TestGoSMTP27UnknownCommandsAreCounted(t *testing.T) {
	c := start(t, testSettings(t)).hello(t)
	for range 5 { // go-smtp would have closed after four
		c.send("FOO\r\nNOOP\r\n\r\n")
		c.want("500", "250", "500")
	}
	c.send(strings.Repeat("FOO\r\n", 20))
	for range 11 {
		c.want("500")
	}
	c.want("421 4.7.0")
	c.wantEOF()
	// Refused recipients are no reason to hang up.
	c = start(t, testSettings(t)).hello(t)
	c.send("MAIL FROM:<>\r\n" + strings.Repeat("RCPT TO:<unknown@example.net>\r\nRCPT TO:<a b@x>\r\n", 50) + "NOOP\r\n")
	c.want("250")
	for range 50 {
		c.want("550 5.1.1", "553 5.1.3")
	}
	c.want("250")
}

func TestGoSMTP28DataSpeed(t *testing.T) {
	// Its reader is one octet at a time. The octets of a message go around it: the reader that the session gets is
	// empty (see LMTPData); what is ours does, BenchmarkCopyMessage says.
	h := start(t, testSettings(t))
	c := h.hello(t)
	raw := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10000)
	began := time.Now()
	for range 20 {
		c.message([]string{"erin"}, raw, "250")
	}
	t.Logf("%.0f MB/s through the socket, both ends", 20*float64(len(raw))/1e6/time.Since(began).Seconds())
}

// go-smtp looks at the type of an error with a type assertion: everything the session returns must have it.
func TestSessionErrorsHaveTheType(t *testing.T) {
	s := &session{server: &Server{}, conn: &conn{}}
	for _, err := range []error{s.Rcpt("a@b", nil), s.Data(nil), smtpError(status.Result{})} {
		var want *smtp.SMTPError
		if _, ok := err.(*smtp.SMTPError); !ok || !errors.As(err, &want) {
			t.Errorf("%T", err)
		}
	}
	_, err := NewServer(testSettings(t), &recorder{}, discardLog()).newSession(&smtp.Conn{})
	if _, ok := err.(*smtp.SMTPError); !ok {
		t.Errorf("%T", err)
	}
}
