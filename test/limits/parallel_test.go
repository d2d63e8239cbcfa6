package limits

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/test/harness"
)

// THREATS C27: many large sealed messages at once take memory for each, but not for its size; all are delivered, and come out as they
// went in.
func TestC27LargeAtOnce(t *testing.T) {
	number, size := 8, int64(8<<20)
	if harness.Proving() {
		number, size = 20, large
	}
	record := harness.NewRecord(t, 70, "Large messages at once")
	record.Text = append(record.Text, "enveloped(signed()) to one server, each over a connection of its own, all at the same time. Promised is less than 600 MB of resident memory (THREATS C27).")
	dir := t.TempDir()
	entity, file := filepath.Join(dir, "entity"), filepath.Join(dir, "message")
	c := largeCase{message: file, body: lines.write(t, entity, size), want: "smime=pass"}
	wrap(t, entity, file, detached, enveloped)
	s := start(t, site(t, ""))
	s.deliver(t, strings.NewReader(small), untouched)
	idle := s.memory(t, "VmRSS")
	begun := time.Now()
	var running sync.WaitGroup
	for range number {
		in := openFile(t, file)
		running.Go(func() {
			client, err := s.dial()
			if err == nil {
				err = client.sendSlowly(in, incapable)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	wall, peak := time.Since(begun), s.memory(t, "VmHWM")
	names := listing(t, s.box(incapable))
	if len(names) != number {
		t.Errorf("%d messages, want %d", len(names), number)
	}
	for _, name := range names {
		c.checkDelivered(t, openFile(t, name), c.body.lf)
	}
	if peak > 600<<20 {
		t.Errorf("peak of %s", mib(peak))
	}
	record.Columns = []string{"messages", "size of each", "idle", "peak", "wall time", "processor time"}
	record.Rows = [][]string{{fmt.Sprint(number), mib(size), mib(idle), mib(peak), wall.Round(10 * time.Millisecond).String(), s.cpu(t).String()}}
	t.Log(record.Rows[0])
}

// sendSlowly is send for a server that has much to do.
func (c *client) sendSlowly(message io.Reader, recipient string) error {
	if err := c.begin(recipient); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Now().Add(10 * patience)); err != nil {
		return err
	}
	if err := stuff(c.conn, message); err != nil {
		return err
	}
	if _, err := c.reply("250"); err != nil {
		return err
	}
	return c.quit()
}
