// Command lmtpsink is an LMTP server that throws every message away after the final dot. What the loader reaches with
// it is what the protocol and the loader themselves allow: no server that keeps the mail can be faster.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	path := flag.String("listen", "", "`path` of the unix socket")
	flag.Parse()
	listener, err := net.Listen("unix", *path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lmtpsink:", err)
		os.Exit(1)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "lmtpsink:", err)
			os.Exit(1)
		}
		go func() {
			defer conn.Close()
			if err := serve(conn); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "lmtpsink:", err)
			}
		}()
	}
}

// A session is one connection. Replies wait while commands are waiting (RFC 2920).
type session struct {
	in         *bufio.Reader
	out        *bufio.Writer
	recipients int
}

func serve(conn io.ReadWriter) error {
	s := &session{in: bufio.NewReaderSize(conn, 64<<10), out: bufio.NewWriter(conn)}
	s.reply("220 sink LMTP\r\n")
	for {
		if s.in.Buffered() == 0 {
			if err := s.out.Flush(); err != nil {
				return err
			}
		}
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if done, err := s.command(line); done || err != nil {
			return err
		}
	}
}

// reply leaves errors to Flush, which repeats them.
func (s *session) reply(text string) { _, _ = s.out.WriteString(text) }

func (s *session) command(line []byte) (done bool, err error) {
	switch verb := bytes.ToUpper(line[:min(4, len(line))]); string(verb) {
	case "LHLO":
		s.reply("250-sink\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n")
	case "MAIL", "RSET":
		s.recipients = 0
		s.reply("250 2.0.0 ok\r\n")
	case "RCPT":
		s.recipients++
		s.reply("250 2.1.5 ok\r\n")
	case "DATA":
		s.reply("354 go ahead\r\n")
		if err := s.out.Flush(); err != nil {
			return true, err
		}
		if err := s.discard(); err != nil {
			return true, err
		}
		for range s.recipients {
			s.reply("250 2.0.0 gone\r\n")
		}
	case "QUIT":
		s.reply("221 2.0.0 bye\r\n")
		return true, s.out.Flush()
	default:
		s.reply("500 5.5.2 no such command\r\n")
	}
	return false, nil
}

var endOfData = []byte("\r\n.\r\n")

// discard reads to the final dot. It looks for it in what the buffer holds, and keeps its beginning from one look to the
// next.
func (s *session) discard() error {
	if first, err := s.in.Peek(3); err != nil || string(first) == ".\r\n" {
		_, discardErr := s.in.Discard(len(first))
		return errors.Join(err, discardErr)
	}
	for {
		if _, err := s.in.Peek(len(endOfData)); err != nil {
			return err
		}
		have, err := s.in.Peek(s.in.Buffered())
		if err != nil {
			return err
		}
		at := bytes.Index(have, endOfData)
		if at >= 0 {
			_, err := s.in.Discard(at + len(endOfData))
			return err
		}
		if _, err := s.in.Discard(len(have) - len(endOfData) + 1); err != nil {
			return err
		}
	}
}
