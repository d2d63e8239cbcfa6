// Command lmtpload sends one message many times over LMTP, on some connections at once, and tells how fast it went. It
// looks at every reply and counts all that are not the expected ones. It is for the benchmark, and talks to unix sockets
// and loopback addresses only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

const (
	maxConnections = 256
	maxMessages    = 1 << 20
)

func main() {
	var l load
	address := flag.String("to", "", "`address` of the server: unix:/path or 127.0.0.1:port")
	file := flag.String("message", "", "`file` with the message")
	flag.IntVar(&l.connections, "c", 1, "connections at once")
	flag.IntVar(&l.messages, "n", 100, "messages in all")
	flag.IntVar(&l.recipients, "r", 1, "recipients of each message")
	flag.IntVar(&l.mailboxes, "mailboxes", 64, "number of addresses, in turn")
	flag.StringVar(&l.address, "rcpt", "user%d@example.net", "the recipients' addresses; %d is the number")
	flag.StringVar(&l.sender, "from", "bounces@example.com", "envelope sender")
	limit := flag.Duration("limit", 2*time.Minute, "longest time a run may take")
	flag.Parse()
	if err := run(&l, *address, *file, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "lmtpload:", err)
		os.Exit(1)
	}
}

func run(l *load, address, file string, limit time.Duration) error {
	if l.connections < 1 || l.connections > maxConnections || l.messages < 1 || l.messages > maxMessages || l.recipients < 1 || l.mailboxes < 1 {
		return errors.New("a number is out of bounds")
	}
	var err error
	if l.network, l.server, err = local(address); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	l.data = stuff(text)
	l.deadline = time.Now().Add(limit)
	summary, first := l.run()
	if err := summary.Print(os.Stdout); err != nil {
		return err
	}
	return first
}

// local refuses whatever is not on this machine.
func local(address string) (network, server string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", "", fmt.Errorf("%q is no loopback address", host)
	}
	return "tcp", address, nil
}
