package lmtp

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// A gate is the listener that go-smtp sees. It waits out a shortage of descriptors or memory instead of failing or
// spinning (THREATS C10), turns away what is too many, and wraps the rest.
type gate struct {
	net.Listener
	server *Server
}

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Accept returns the next connection, wrapped.
func (g gate) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		c, err := g.Listener.Accept()
		switch {
		case err == nil:
			if w := g.server.admit(c); w != nil {
				return w, nil
			}
			turnAway(c)
			pause = firstPause
		case g.server.stopped():
			return nil, net.ErrClosed
		case isPassing(err):
			g.server.log.Warn("accept", "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-g.server.stop:
			}
			pause = min(2*pause, lastPause)
		default:
			return nil, err
		}
	}
}

// isPassing tells whether a failed accept is worth another try.
func isPassing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS,
		syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO, syscall.EPERM,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// turnAway tells a client to come back later. The reply fits into the socket buffer, so it does not block.
func turnAway(c net.Conn) {
	// The client is lost either way; it tries again.
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("421 4.3.2 too many connections, try again later\r\n"))
	_ = c.Close()
}
