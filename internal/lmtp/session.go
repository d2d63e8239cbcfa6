package lmtp

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"paperknife/internal/status"
)

// A session is go-smtp's view of one connection. All its errors are of type *smtp.SMTPError: go-smtp makes a permanent
// 554 with our own text of any other (THREATS C09).
type session struct {
	server *Server
	conn   *conn
	smtp   *smtp.Conn

	mu         sync.Mutex
	tx         Transaction
	utf8       bool
	recipients []string // accepted, as go-smtp names them
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	w, ok := c.Conn().(*conn)
	if !ok {
		return nil, reply(421, 4, 3, 0, "internal error")
	}
	return &session{server: s, conn: w, smtp: c}, nil
}

// Mail begins a transaction.
func (s *session) Mail(string, *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil {
		return reply(503, 5, 5, 1, "nested MAIL command")
	}
	mail := s.conn.mail
	if limit := s.server.settings.MaxMessageSize; limit > 0 && mail.size > limit {
		return messageTooBig
	}
	peer := s.conn.peer
	peer.HELO = s.smtp.Hostname()
	r := s.guard(func() status.Result {
		s.tx = s.server.handler.Begin(s.conn.ctx, peer, mail.sender)
		return status.Delivered()
	})
	if !r.Delivered() || s.tx == nil {
		s.tx = nil
		return smtpError(status.Result{})
	}
	s.utf8 = mail.utf8
	s.conn.declared = mail.size
	s.conn.setBusy(true)
	return nil
}

// Rcpt asks the transaction about one recipient. to is what the client wrote: see quotePath.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil {
		return reply(503, 5, 5, 1, "send MAIL first")
	}
	rcpt := s.conn.rcpt
	if !s.utf8 && !isASCII(rcpt.recipient) {
		return addressFault(errAddressUTF8, 3)
	}
	r := s.guard(func() status.Result { return s.tx.Rcpt(s.conn.ctx, rcpt.recipient, rcpt.original) })
	if !r.Delivered() {
		return smtpError(r)
	}
	s.recipients = append(s.recipients, to)
	s.conn.accepted = len(s.recipients)
	return nil
}

// LMTPData hands the message over and answers for every recipient. r holds nothing: reading it to its end makes the
// conn receive the message.
func (s *session) LMTPData(r io.Reader, statuses smtp.StatusCollector) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return smtpError(status.Result{}) // the connection is gone
	}
	for i, result := range s.deliver() {
		statuses.SetStatus(s.recipients[i], result)
	}
	return nil
}

// deliver returns one reply per accepted recipient, in order.
func (s *session) deliver() []*smtp.SMTPError {
	replies := make([]*smtp.SMTPError, len(s.recipients))
	msg, fault := s.conn.take()
	if fault != nil {
		for i := range replies {
			replies[i] = fault
		}
		return replies
	}
	var results []status.Result
	s.guard(func() status.Result {
		results = s.tx.Data(s.conn.ctx, msg)
		return status.Delivered()
	})
	if err := msg.Close(); err != nil {
		s.server.log.Error("spool", "error", err)
	}
	if len(results) > len(replies) {
		s.server.log.Error("more results than recipients", "results", len(results), "recipients", len(replies))
	}
	for i := range replies {
		var result status.Result
		if i < len(results) {
			result = results[i]
		}
		replies[i] = smtpError(result)
	}
	return replies
}

// Data is not used in LMTP.
func (s *session) Data(io.Reader) error { return smtpError(status.Result{}) }

// Reset ends the transaction, if there is one.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil {
		return
	}
	tx := s.tx
	s.tx, s.recipients, s.utf8 = nil, nil, false
	s.guard(func() status.Result {
		tx.Close()
		return status.Delivered()
	})
	s.conn.accepted = 0
	s.conn.peer.QueueID = "" // it named this message
	s.conn.setBusy(false)
}

// Logout ends the session.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

// guard runs one step of the handler. A panic in it becomes "try again later" (DESIGN rule 3).
func (s *session) guard(step func() status.Result) (r status.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = status.From(fmt.Errorf("panic: %v", p))
			s.server.log.Error("panic", "queue_id", s.conn.peer.QueueID, "value", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return step()
}

// smtpError turns a Result into a reply. 421 would say that the connection ends here, so it becomes 451.
func smtpError(r status.Result) *smtp.SMTPError {
	code, enhanced, text := r.SMTP()
	if code == 421 {
		code = 451
	}
	return reply(code, enhanced.Class, enhanced.Subject, enhanced.Detail, oneLine(text))
}

// oneLine keeps what stands in a reply line: printable, and short enough for RFC 5321 section 4.5.3.1.5.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), 200)]
}
