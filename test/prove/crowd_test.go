package prove

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperknife/test/harness"
)

// THREATS C10: more clients than descriptors. lmtpd neither ends nor spins, and everybody's mail is there after the next try.
func TestC10Descriptors(t *testing.T) {
	const descriptors, idle = 40, 2 * time.Second
	clients := 60
	if harness.Proving() {
		clients = 200
	}
	record := harness.NewRecord(t, 60, "Out of descriptors")
	record.Text = append(record.Text, fmt.Sprintf("`prlimit --nofile=%d`, %d clients at once with a sealed message each, who come back until they have their 250. "+
		"Then %d connections that say nothing, for %v.", descriptors, clients, 2*descriptors, idle))
	site := newSite(t, "", "")
	under(site, fmt.Sprintf("--nofile=%d", descriptors))
	server := site.Start(t)
	letter := sealed(t, "crowd@example.com", 10<<10)
	var deferred, broken atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for i := range clients {
		running.Go(func() {
			recipient := []string{fmt.Sprintf("user%d@example.net", i)}
			for time.Since(began) < time.Minute {
				a, err := site.Offer(sender, recipient, letter.message)
				switch {
				case err == nil && strings.HasPrefix(a.Replies[0], "250 "):
					return
				case err != nil:
					broken.Add(1)
				case temporary.MatchString(a.Replies[0]) && !leaks(site, a.Transcript):
					deferred.Add(1)
				default:
					t.Errorf("%q", a.Replies)
					return
				}
				time.Sleep(time.Duration(10+i%40) * time.Millisecond)
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	duplicates := 0
	for i := range clients {
		found := look(t, box(site, fmt.Sprintf("user%d", i)), letter)
		if found.whole == 0 || found.wrong != nil {
			t.Errorf("user%d: %+v", i, found)
		}
		duplicates += found.whole - 1
	}
	used := idleWith(t, site, server, 2*descriptors, idle)
	if used > idle/2 {
		t.Errorf("%v of processor time in %v with nothing to do", used, idle)
	}
	record.Columns = []string{"clients", "delivered", "after", "answers of 4xx", "connections that broke off", "duplicates", "processor time while idle"}
	record.Rows = [][]string{{fmt.Sprint(clients), fmt.Sprint(clients), took.Round(time.Millisecond).String(), fmt.Sprint(deferred.Load()), fmt.Sprint(broken.Load()),
		fmt.Sprint(duplicates), fmt.Sprintf("%v of %v", used, idle)}}
	t.Logf("%v", record.Rows[0])
}

// idleWith holds connections open, more than there are descriptors, and returns the processor time that they cost.
func idleWith(t *testing.T, site *harness.Site, server *harness.Server, n int, wait time.Duration) time.Duration {
	t.Helper()
	for range n {
		conn, err := net.Dial("unix", site.Path(harness.Socket))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	time.Sleep(200 * time.Millisecond)
	before, err := harness.ProcessorTime(server.PID())
	time.Sleep(wait)
	after, err2 := harness.ProcessorTime(server.PID())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return after - before
}

// THREATS C26: with too many connections the next client hears 421 and is gone; the others go on. One client of a TCP socket may have
// only so many, however many are free.
func TestC26TooManyConnections(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("authserv_id = \"mx.example.net\"\n[lmtp]\nlisten = [\"unix:lmtp.sock\", %q]\nmax_connections = 6\nmax_connections_per_client = 2\n", address)
	site := harness.NewSite(t, config, nil)
	site.Start(t)
	for range 2 {
		harness.DialAt(t, "tcp", address)
	}
	turnedAway(t, "tcp", address)
	first := site.Dial(t)
	for range 3 {
		site.Dial(t)
	}
	turnedAway(t, "unix", site.Path(harness.Socket))
	if replies := first.Deliver(sender, []string{"erin@example.net"}, plain("few@example.com", "x\r\n").message); !strings.HasPrefix(replies[0], "250 ") {
		t.Errorf("%q", replies)
	}
	first.Quit()
	for range 200 {
		conn, err := net.Dial("unix", site.Path(harness.Socket))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := (&harness.Replies{Conn: conn}).Next()
		_ = conn.Close()
		if err == nil && strings.HasPrefix(reply, "220 ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("no place came free")
}

func turnedAway(t *testing.T, network, address string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := &harness.Replies{Conn: conn}
	if reply, err := replies.Next(); err != nil || !strings.HasPrefix(reply, "421 4.3.2 ") {
		t.Errorf("%q, %v; want 421", reply, err)
	}
	if reply, err := replies.Next(); err == nil {
		t.Errorf("after 421: %q", reply)
	}
}
