package lmtp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// A sink takes every message and looks at none.
type sink struct{}

func (sink) Begin(context.Context, Peer, string) Transaction { return sink{} }

func (sink) Rcpt(context.Context, string, string) status.Result { return status.Delivered() }

func (sink) Data(context.Context, *spool.Spool) []status.Result {
	return []status.Result{status.Delivered()}
}

func (sink) Close() {}

// BenchmarkTransaction is the null rate: both ends of a unix socket, a handler that does nothing.
func BenchmarkTransaction(b *testing.B) {
	for _, size := range []int{4 << 10, 50 << 10, 10 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			l, err := Listen("unix:"+filepath.Join(b.TempDir(), "s"), 0o600)
			if err != nil {
				b.Fatal(err)
			}
			settings := testSettings(b)
			settings.MaxMessageSize, settings.Spool.Memory = 1<<30, 256<<10
			server := NewServer(settings, sink{}, discardLog())
			go func() { _ = server.Serve(l) }() // ends with Shutdown
			defer func() { _ = server.Shutdown(context.Background()) }()
			c, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			r := bufio.NewReader(c)
			read := func(n int) {
				for n > 0 {
					line, err := r.ReadSlice('\n')
					if err != nil || line[0] > '3' {
						b.Fatal(string(line), err)
					}
					if line[3] == ' ' {
						n--
					}
				}
			}
			raw := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78) + ".\r\n")
			read(1)
			fmt.Fprint(c, "LHLO x\r\n")
			read(1)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				fmt.Fprint(c, "MAIL FROM:<s@example.com>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n")
				read(3)
				if _, err := c.Write(raw); err != nil {
					b.Fatal(err)
				}
				read(1)
			}
		})
	}
}
