package limits

import (
	"io"
	"strings"
	"testing"
	"time"
)

// SIGTERM: a message on its way is taken to its 250, idle connections hear 421, no new ones are taken, exit 0.
func TestDrain(t *testing.T) {
	s := start(t, site(t, ""))
	connect := func() *client {
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.conn.Close() })
		return c
	}
	idle, busy, addressed := connect(), connect(), connect()
	if err := busy.begin(incapable, another); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(busy.conn, "Subject: half\r\n\r\nfirst half\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"MAIL FROM:<" + sender + ">", "RCPT TO:<" + incapable + ">"} {
		if _, err := addressed.command("250", command); err != nil {
			t.Fatal(err)
		}
	}
	s.terminate(t)
	if _, err := idle.reply("421"); err != nil {
		t.Error("idle connection:", err)
	}
	if _, err := idle.in.ReadByte(); err != io.EOF {
		t.Errorf("idle connection after 421: %v, want its end", err)
	}
	if _, err := s.dial(); err == nil {
		t.Error("a new connection was taken")
	}
	if !s.runs() {
		t.Fatal("ended with a message on its way")
	}
	if err := stuff(busy.conn, strings.NewReader("second half\r\n")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := busy.reply("250"); err != nil {
			t.Error("message on its way:", err)
		}
	}
	// A transaction that has come to RCPT may go on as well.
	if _, err := addressed.command("354", "DATA"); err != nil {
		t.Error("transaction before DATA:", err)
	} else if err := stuff(addressed.conn, strings.NewReader("Subject: late\r\n\r\nlate\r\n")); err != nil {
		t.Error(err)
	} else if _, err := addressed.reply("250"); err != nil {
		t.Error(err)
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("does not end")
	}
	if s.err != nil {
		t.Errorf("exit: %v", s.err)
	}
	if n := len(listing(t, s.box(incapable))); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	if body := readFile(t, only(t, s.box(another))); !strings.HasSuffix(string(body), "\n\nfirst half\nsecond half\n") {
		t.Errorf("delivered %q", body)
	}
}

// A client that goes away in the middle of a message has sent nothing.
func TestGoneInData(t *testing.T) {
	s := start(t, site(t, ""))
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.begin(incapable); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c.conn, "Subject: half\r\n\r\nfirst half\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, strings.NewReader(small), another)
	s.terminate(t)
	<-s.exited
	if list := listing(t, s.box(incapable)); len(list) != 0 {
		t.Errorf("half a message was delivered: %q", list)
	}
	only(t, s.box(another))
}
