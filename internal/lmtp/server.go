// Package lmtp is the receiving end of LMTP (RFC 2033): it takes messages from a mail server and hands each to a
// Handler, with one answer per recipient. The state of the dialogue is go-smtp's; the octets of a message, the limits
// and everything in which go-smtp is not exact are ours (see conn). The package never looks into a message, and it never
// answers for a recipient what the Handler has not said, unless it is "try again later".
package lmtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// A Handler takes the transactions of a server. It is called from many goroutines.
type Handler interface {
	Begin(ctx context.Context, peer Peer, sender string) Transaction
}

// A Transaction is one message from MAIL to its last reply. Its methods are called one after the other.
type Transaction interface {
	// Rcpt judges one recipient, whose ORCPT is original or "". Both are as the client wrote them, quotes included.
	Rcpt(ctx context.Context, recipient, original string) status.Result
	// Data delivers the message and answers for each recipient that Rcpt accepted, in that order; what it does not
	// answer counts as "try again later". The spool is closed when Data has returned.
	Data(ctx context.Context, msg *spool.Spool) []status.Result
	// Close ends the transaction, also one that never came to Data.
	Close()
}

// Settings of a server. The zero value of a limit takes the default named with it.
type Settings struct {
	Hostname       string
	MaxMessageSize int64 // octets of a message as stored; 0: no limit
	AdvertiseSMIME bool
	Spool          spool.Settings
	IdleTimeout    time.Duration  // for one command line, and for silence inside a message; 5 minutes
	DataTimeout    time.Duration  // for each 16 MiB of a message, begun; 10 minutes
	MaxConnections int            // 1000
	MaxPerClient   int            // connections from one TCP address; 0: no limit of their own. Peers on a unix socket have none
	MaxRecipients  int            // of one transaction; 1000
	XForwardFrom   []netip.Prefix // TCP peers whose XFORWARD is believed; those on a unix socket always are
}

func (s *Settings) setDefaults() {
	if s.Hostname == "" {
		s.Hostname = "localhost"
	}
	if s.IdleTimeout <= 0 {
		s.IdleTimeout = 5 * time.Minute
	}
	if s.DataTimeout <= 0 {
		s.DataTimeout = 10 * time.Minute
	}
	if s.MaxConnections <= 0 {
		s.MaxConnections = 1000
	}
	if s.MaxRecipients <= 0 {
		s.MaxRecipients = 1000
	}
}

// A Server speaks LMTP on any number of listeners.
type Server struct {
	settings Settings
	handler  Handler
	log      *slog.Logger
	smtp     *smtp.Server
	ctx      context.Context
	cancel   context.CancelFunc
	stop     chan struct{} // closed when Shutdown begins
	empty    chan struct{} // closed when, after that, no connection is left

	mu        sync.Mutex
	stopping  bool
	conns     map[*conn]struct{}
	clients   map[netip.Addr]int // connections by TCP address, when they are counted
	listeners []net.Listener
}

// ErrStopped is returned by Serve on a server that was shut down before.
var ErrStopped = errors.New("lmtp server is shut down")

// NewServer returns a server that gives its transactions to handler.
func NewServer(settings Settings, handler Handler, log *slog.Logger) *Server {
	settings.setDefaults()
	s := &Server{
		settings: settings,
		handler:  handler,
		log:      log,
		stop:     make(chan struct{}),
		empty:    make(chan struct{}),
		conns:    make(map[*conn]struct{}),
		clients:  make(map[netip.Addr]int),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.LMTP = true
	s.smtp.Domain = settings.Hostname
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.MaxRecipients = settings.MaxRecipients
	s.smtp.ErrorLog = errorLog{log}
	// Ours to do, in conn: go-smtp would apply these to a message as well, or print no SIZE.
	s.smtp.MaxLineLength = 0
	s.smtp.MaxMessageBytes = 0
	s.smtp.ReadTimeout = 0
	s.smtp.WriteTimeout = 0
	return s
}

// Serve takes connections from l until Shutdown, and then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return errors.Join(ErrStopped, l.Close())
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	err := s.smtp.Serve(gate{l, s})
	if s.stopped() {
		return nil
	}
	return errors.Join(fmt.Errorf("accept on %s: %w", l.Addr(), err), l.Close())
}

// Shutdown stops the server: no new connection, 421 for idle ones, and an end after the running transaction for the rest.
// When ctx is over first, what is left is cut off and the error of ctx is returned: the client then tries again.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.beginStop()
	select {
	case <-s.empty:
	case <-ctx.Done():
		err = errors.Join(ctx.Err(), err)
		s.mu.Lock()
		for c := range s.conns {
			c.sever()
		}
		s.mu.Unlock()
	}
	s.cancel()
	return err
}

func (s *Server) beginStop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	s.stopping = true
	close(s.stop)
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for c := range s.conns {
		c.stop()
	}
	if len(s.conns) == 0 {
		close(s.empty)
	}
	return errors.Join(errs...)
}

// admit wraps a new connection, or returns nil when there are too many, of all clients or of this one.
func (s *Server) admit(c net.Conn) *conn {
	client := s.countedClient(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || len(s.conns) >= s.settings.MaxConnections {
		return nil
	}
	if client.IsValid() && s.clients[client] >= s.settings.MaxPerClient {
		return nil
	}
	w := newConn(s, c)
	w.client = client
	s.conns[w] = struct{}{}
	if client.IsValid() {
		s.clients[client]++
	}
	return w
}

// countedClient returns the address whose connections are counted (THREATS C26): one client must not take every place.
// Behind a unix socket is the mail server alone, as many processes as it has.
func (s *Server) countedClient(c net.Conn) netip.Addr {
	if s.settings.MaxPerClient <= 0 {
		return netip.Addr{}
	}
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.conns[c]; !known {
		return
	}
	delete(s.conns, c)
	if c.client.IsValid() {
		if s.clients[c.client]--; s.clients[c.client] == 0 {
			delete(s.clients, c.client)
		}
	}
	if s.stopping && len(s.conns) == 0 {
		close(s.empty)
	}
}

func (s *Server) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// An errorLog takes what go-smtp has to complain about.
type errorLog struct{ log *slog.Logger }

// Printf logs one complaint.
func (e errorLog) Printf(format string, v ...any) { e.log.Error(fmt.Sprintf(format, v...)) }

// Println logs one complaint.
func (e errorLog) Println(v ...any) { e.log.Error(fmt.Sprint(v...)) }
