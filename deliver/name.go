package deliver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// delivered counts the files this process has named; with the process id it is unique even when the clock stands.
var delivered atomic.Uint64

// uniqueName returns the part of a Maildir file name before S= and W=: second, microsecond, process, delivery of this
// process, 64 random bits, host (maildir(5)). The random part keeps containers apart that share a host name and in
// which every process has the id 1 (THREATS C11).
func uniqueName(now time.Time, host string) string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never returns an error
	return fmt.Sprintf("%d.M%06dP%dQ%dR%016x.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), delivered.Add(1),
		binary.BigEndian.Uint64(random[:]), host)
}

const maxHost = 128

// escapeHost returns a host name as it may stand in a Maildir file name: "/" and ":" as maildir(5) says, and in the
// same manner the comma, which begins S=, and what no host name has.
func escapeHost(host string) string {
	var b strings.Builder
	for _, c := range []byte(host) {
		if b.Len() >= maxHost {
			break
		}
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`/:,\`, c) >= 0 {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	if b.Len() == 0 {
		return "localhost"
	}
	return b.String()
}

// A sizer counts what passes: the octets, and the octets there would be with every line end CRLF, as Dovecot counts
// them in W=. It stops when the context ends.
type sizer struct {
	ctx    context.Context
	w      io.Writer
	size   int64
	lone   int64 // LF without a CR before it
	lastCR bool
}

func (s *sizer) Write(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	s.count(p[:n])
	return n, err
}

func (s *sizer) count(p []byte) {
	if len(p) == 0 {
		return
	}
	s.size += int64(len(p))
	s.lone += int64(bytes.Count(p, []byte{'\n'}) - bytes.Count(p, []byte("\r\n")))
	if s.lastCR && p[0] == '\n' {
		s.lone--
	}
	s.lastCR = p[len(p)-1] == '\r'
}

// suffix returns ",S=octets,W=octets".
func (s *sizer) suffix() string { return fmt.Sprintf(",S=%d,W=%d", s.size, s.size+s.lone) }
