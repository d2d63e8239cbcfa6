package limits

import (
	"io"
	"strings"
	"testing"
	"time"
)

const (
	drips     = 200
	dripEvery = 20 * time.Millisecond
)

// 200 clients that send an octet now and then do not keep one from being served, and take no memory to speak of; what
// they never finish is not delivered. One that goes on for too long is cut off.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := start(t, site(t, "idle_timeout = \"3s\"\ndata_timeout = \"3s\"\n"))
	s.deliver(t, strings.NewReader(small), untouched)
	idle, open := s.memory(t, "VmRSS"), s.descriptors(t)
	cut := make(chan error, drips)
	began := time.Now()
	for i := range drips {
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.conn.Close() })
		go func() { cut <- drip(c, i%2 == 0) }()
	}
	var slowest time.Duration
	for range 20 {
		sent := time.Now()
		s.deliver(t, strings.NewReader(small), another)
		slowest = max(slowest, time.Since(sent))
	}
	peak := s.memory(t, "VmHWM")
	t.Logf("200 slow clients: the others wait %v at most; %s above idle", slowest.Round(time.Millisecond), mib(peak-idle))
	if slowest > 5*time.Second {
		t.Errorf("a good client waited %v", slowest)
	}
	if peak-idle > aboveIdle {
		t.Errorf("%s above idle", mib(peak-idle))
	}
	for range drips {
		select {
		case err := <-cut:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("a slow client is not cut off")
		}
	}
	t.Logf("all cut off after %v", time.Since(began).Round(time.Millisecond))
	s.checkDescriptors(t, open)
	if list := listing(t, s.box(incapable)); len(list) != 0 {
		t.Errorf("half messages were delivered: %q", list)
	}
	if n := len(listing(t, s.box(another))); n != 20 {
		t.Errorf("%d messages, want 20", n)
	}
}

// drip sends a message or a command, octet by octet, and returns nil when the server has ended that with 421.
func drip(c *client, message bool) error {
	if message {
		if err := c.begin(incapable); err != nil {
			return err
		}
	}
	gone := make(chan error, 1)
	go func() {
		_, err := c.reply("421")
		gone <- err
	}()
	for {
		select {
		case err := <-gone:
			return err
		case <-time.After(dripEvery):
		}
		// A connection that is closed says so to the reader.
		_, _ = io.WriteString(c.conn, "a")
	}
}

// checkDescriptors waits for the server to close what it has open for clients that are gone.
func (s *server) checkDescriptors(t *testing.T, want int) {
	t.Helper()
	var n int
	for range 100 {
		if n = s.descriptors(t); n <= want+1 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d descriptors, %d before", n, want)
}
