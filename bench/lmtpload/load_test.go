package main

import (
	"bufio"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStuff(t *testing.T) {
	for in, want := range map[string]string{
		"":                  ".\r\n",
		"a\nb\n":            "a\r\nb\r\n.\r\n",
		"a\r\n.\r\n..b\r\n": "a\r\n..\r\n...b\r\n.\r\n",
		"no end":            "no end\r\n.\r\n",
		"\n\n":              "\r\n\r\n.\r\n",
	} {
		if got := string(stuff([]byte(in))); got != want {
			t.Errorf("stuff(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLocal(t *testing.T) {
	for address, ok := range map[string]bool{"unix:/run/s": true, "127.0.0.1:24": true, "[::1]:24": true, "192.0.2.1:24": false,
		"localhost:24": false, "127.0.0.1": false, "": false} {
		if _, _, err := local(address); (err == nil) != ok {
			t.Errorf("local(%q): %v", address, err)
		}
	}
}

// serve answers each line that a script names, and fails the message that has the number bad.
func serve(t *testing.T, conn net.Conn, bad int) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}
	say("220 x\r\n")
	n, recipients, data := 0, 0, false
	for in.Scan() {
		switch line := in.Text(); {
		case data && line == ".":
			data = false
			for i := range recipients {
				if n == bad && i == recipients-1 {
					say("451 4.3.0 later\r\n")
				} else {
					say("250 2.0.0 ok\r\n")
				}
			}
			n++
		case data:
		case strings.HasPrefix(line, "LHLO"):
			say("250-x\r\n250 PIPELINING\r\n")
		case strings.HasPrefix(line, "DATA"):
			data = true
			say("354 go\r\n")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye\r\n")
		case strings.HasPrefix(line, "RCPT"):
			recipients++
			say("250 ok\r\n")
		default:
			recipients = 0
			say("250 ok\r\n")
		}
	}
}

// Every reply counts: one that is not the expected one is an error, that of a second recipient too.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		bad, count, errors int
	}{{-1, 10, 0}, {3, 3, 1}} {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				serve(t, conn, c.bad)
			}
		}()
		l := &load{network: "unix", server: path, connections: 1, messages: 10, recipients: 2, mailboxes: 4, address: "u%d@example.net",
			data: stuff([]byte("a\n.b\n")), deadline: time.Now().Add(10 * time.Second)}
		summary, err := l.run()
		if summary.Count != c.count || summary.Errors != c.errors || (err != nil) != (c.errors > 0) {
			t.Errorf("bad %d: %+v %v", c.bad, summary, err)
		}
		listener.Close()
	}
}
