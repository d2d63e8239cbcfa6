package harness

import (
	"io"
	"net"
	"strings"
	"time"
)

// An Answer is what became of a message that was offered to a server.
type Answer struct {
	Replies    []string // one for each recipient; those that came, when the dialogue broke off
	Refused    bool     // before the message was sent, by the reply that is there for each recipient
	Transcript string   // all replies after LHLO
}

// Offer hands a message over as a mail server does, on a connection of its own, to a server that may fail or die over it. The error says
// that the dialogue broke off: a mail server takes recipients without a reply for not delivered. The server has finished with the
// message when Offer returns without one.
func Offer(network, address, sender string, recipients []string, message []byte) (Answer, error) {
	var a Answer
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return a, err
	}
	// Nothing is lost with a connection that has said all.
	defer func() { _ = conn.Close() }()
	o := &offer{conn: conn, replies: &Replies{Conn: conn}, answer: &a}
	return a, o.run(sender, recipients, message)
}

// Offer is the same to the site's server.
func (s *Site) Offer(sender string, recipients []string, message []byte) (Answer, error) {
	return Offer("unix", s.Path(Socket), sender, recipients, message)
}

type offer struct {
	conn    net.Conn
	replies *Replies
	answer  *Answer
}

func (o *offer) run(sender string, recipients []string, message []byte) error {
	if _, err := o.replies.Next(); err != nil {
		return err
	}
	if _, err := o.command("LHLO client.example"); err != nil {
		return err
	}
	o.answer.Transcript = ""
	commands := []string{"MAIL FROM:<" + sender + ">"}
	for _, r := range recipients {
		commands = append(commands, "RCPT TO:<"+r+">")
	}
	for _, command := range append(commands, "DATA") {
		reply, err := o.command(command)
		if err != nil {
			return err
		}
		if reply[0] != '2' && reply[0] != '3' {
			o.answer.Refused = true
			for range recipients {
				o.answer.Replies = append(o.answer.Replies, reply)
			}
			return o.end()
		}
	}
	if err := o.send(string(Stuffed(message))); err != nil {
		return err
	}
	for range recipients {
		reply, err := o.next()
		if err != nil {
			return err
		}
		o.answer.Replies = append(o.answer.Replies, reply)
	}
	return o.end()
}

// end waits for the server to have closed the transaction.
func (o *offer) end() error {
	if _, err := o.command("RSET"); err != nil {
		return err
	}
	_, err := o.command("QUIT")
	return err
}

func (o *offer) command(line string) (string, error) {
	if err := o.send(line + "\r\n"); err != nil {
		return "", err
	}
	return o.next()
}

func (o *offer) send(text string) error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(3 * patience)); err != nil {
		return err
	}
	_, err := io.WriteString(o.conn, text)
	return err
}

func (o *offer) next() (string, error) {
	reply, err := o.replies.Next()
	o.answer.Transcript += reply
	if err == nil && len(strings.TrimSpace(reply)) < 3 {
		err = io.ErrUnexpectedEOF
	}
	return reply, err
}
