package agent

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"paperknife/internal/config"
)

// A lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until the log has n lines with the text.
func (l *lockedBuffer) await(t *testing.T, text string, n int) {
	t.Helper()
	for range 1000 {
		if strings.Count(l.String(), text) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the log never says %q %d times:\n%s", text, n, l)
}

// A running server, and the file it was configured by.
type running struct {
	dir    string
	log    *lockedBuffer
	reload chan os.Signal
	stop   context.CancelFunc
	done   chan error
}

func (r *running) configure(t *testing.T, more string) {
	t.Helper()
	text := strings.Replace(baseConfig, "\n", "\n[lmtp]\nlisten = [\"unix:lmtp.sock\"]\n", 1) + more
	check(t, os.WriteFile(filepath.Join(r.dir, "paperknife.toml"), []byte(text), 0o600))
}

func serve(t *testing.T, more string) *running {
	t.Helper()
	_, dir := newAgent(t, nil, "")
	r := &running{dir: dir, log: &lockedBuffer{}, reload: make(chan os.Signal), done: make(chan error, 1)}
	r.configure(t, more)
	c, err := config.Load(filepath.Join(dir, "paperknife.toml"))
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	t.Cleanup(stop)
	ready := make(chan struct{})
	go func() {
		control := Control{Ready: func() { close(ready) }, Reload: r.reload}
		r.done <- Serve(ctx, c, slog.New(slog.NewTextHandler(r.log, nil)), control)
	}()
	select {
	case <-ready:
	case err := <-r.done:
		t.Fatalf("Serve = %v\n%s", err, r.log)
	}
	return r
}

// send delivers a message and returns what is in erin's Maildir after it.
func (r *running) send(t *testing.T, msg []byte) []string {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(r.dir, "lmtp.sock"))
	check(t, err)
	client := smtp.NewClientLMTP(conn)
	defer client.Close()
	check(t, client.Mail("bounces@example.com", nil))
	check(t, client.Rcpt("erin@example.net", nil))
	data, err := client.Data()
	check(t, err)
	_, err = data.Write(msg)
	check(t, err)
	check(t, data.Close())
	check(t, client.Quit())
	return stored(t, filepath.Join(r.dir, "mail", "example.net", "erin"))
}

func inClear(list []string) int {
	n := 0
	for _, text := range list {
		if strings.Contains(text, "Third quarter") {
			n++
		}
	}
	return n
}

// SIGHUP takes a new configuration in, and leaves the old one in force when the new one is bad.
func TestServeReload(t *testing.T) {
	r := serve(t, "[mua]\ndefault = \"received\"\n")
	msg := figures(t)
	equal(t, "opened for the class received", inClear(r.send(t, msg)), 0)

	r.configure(t, "[mua]\ndefault = \"incapable\"\n")
	r.reload <- syscall.SIGHUP
	r.log.await(t, "configuration reloaded", 1)
	equal(t, "opened after the class was raised", inClear(r.send(t, msg)), 1)

	r.configure(t, "[mua]\ndefault = \"no such class\"\n")
	r.reload <- syscall.SIGHUP
	r.log.await(t, "configuration not reloaded", 1)
	equal(t, "opened after a bad file", inClear(r.send(t, msg)), 2)

	// A key that cannot be read makes a bad configuration too.
	r.configure(t, "[mua]\ndefault = \"received\"\n")
	key := filepath.Join(r.dir, "org.key")
	check(t, os.Rename(key, key+".away"))
	r.reload <- syscall.SIGHUP
	r.log.await(t, "configuration not reloaded", 2)
	equal(t, "opened while a key is missing", inClear(r.send(t, msg)), 3)
	check(t, os.Rename(key+".away", key))

	r.configure(t, "[mua]\ndefault = \"received\"\n[spool]\nmemory = \"1MiB\"\n")
	r.reload <- syscall.SIGHUP
	r.log.await(t, "take effect at the next start", 1)
	equal(t, "opened after the class was lowered", inClear(r.send(t, msg)), 3)

	r.stop()
	check(t, <-r.done)
	if _, err := os.Stat(filepath.Join(r.dir, "lmtp.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

// A server does not start on half a configuration: the MTA waits better than mail that lies about unopened.
func TestServeRefusesToStart(t *testing.T) {
	cases := map[string]func(dir string) error{
		"key missing":      func(dir string) error { return os.Remove(filepath.Join(dir, "org.key")) },
		"certificate":      func(dir string) error { return os.WriteFile(filepath.Join(dir, "net.pem"), []byte("x"), 0o600) },
		"anchors":          func(dir string) error { return os.Remove(filepath.Join(dir, "people.pem")) },
		"socket is a file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "lmtp.sock"), nil, 0o600) },
	}
	for name, breakIt := range cases {
		t.Run(name, func(t *testing.T) {
			_, dir := newAgent(t, nil, "")
			r := &running{dir: dir}
			r.configure(t, "")
			check(t, breakIt(dir))
			c, err := config.Load(filepath.Join(dir, "paperknife.toml"))
			check(t, err)
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			defer stop()
			started := false
			err = Serve(ctx, c, slog.New(slog.DiscardHandler), Control{Ready: func() { started = true }})
			if err == nil || started {
				t.Errorf("Serve = %v, started %v", err, started)
			}
		})
	}
}
