package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"paperknife/deliver"
	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/spool"
)

// checkSpool makes a file where messages wait, as the server does.
func (c *checker) checkSpool(cfg *config.Config) {
	const key = "spool.dir"
	dir := cfg.Spool.Dir
	if err := tryFile(dir); err != nil {
		c.bad(key, "make the directory, writable for the user of lmtpd", "%s: a message cannot be kept there: %v", dir, cause(err))
		return
	}
	if !unnamedFiles(dir) {
		c.odd(key, "use a file system that has O_TMPFILE, such as ext4, xfs, btrfs or tmpfs", "%s: unnamed files are not possible: a crash may leave one behind", dir)
	}
	c.room(key, dir, int64(cfg.LMTP.MaxMessageSize))
	c.note("spool %s", dir)
}

// tryFile makes an unnamed file in a directory, which says more than its mode does.
func tryFile(dir string) error {
	w := spool.New(spool.Settings{Dir: dir})
	defer w.Discard()
	if _, err := w.Write([]byte("paperknife check\n")); err != nil {
		return err
	}
	s, err := w.Finish()
	if err != nil {
		return err
	}
	return s.Close()
}

// room looks whether the largest message fits. Without room the MTA is told to try again later.
func (c *checker) room(key, dir string, size int64) {
	err := spool.Room(spool.Settings{Dir: dir}, size)
	switch {
	case errors.Is(err, spool.ErrNoRoom):
		c.odd(key, "free some space, or lower lmtp.max_message_size", "%s: has no room for one message of the largest size, %v", dir, config.Size(size))
	case err != nil:
		c.odd(key, "look at the file system", "%s: %v", dir, cause(err))
	}
}

// unnamedFiles reports whether O_TMPFILE works in a directory.
func unnamedFiles(dir string) bool {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	return unix.Close(fd) == nil
}

// checkTarget looks at the places of mail: those of the recipients, and the postmaster's own.
func (c *checker) checkTarget(cfg *config.Config) {
	if cfg.Deliver.Target == "maildir" && strings.Trim(cfg.Deliver.Maildir, "/") != "" {
		if _, err := agent.NewTarget(cfg); err != nil {
			c.bad("deliver.maildir", "write a path like \"mail/{domain}/{local}\"", "%v", err)
		} else {
			c.mailPlace("deliver.maildir", fixedPart(cfg.Deliver.Maildir), int64(cfg.LMTP.MaxMessageSize))
		}
	}
	for _, place := range [][2]string{{"policy.quarantine", cfg.Policy.Quarantine}, {"policy.keep_original", cfg.Policy.KeepOriginal}} {
		key, dir := place[0], place[1]
		if dir == "" {
			continue
		}
		if _, err := deliver.NewMaildirAt(dir, deliver.MaildirSettings{}); err != nil {
			c.bad(key, "write the path of a Maildir", "%v", err)
			continue
		}
		c.mailPlace(key, dir, int64(cfg.LMTP.MaxMessageSize))
	}
}

// fixedPart returns the directory of a Maildir path above the first placeholder.
func fixedPart(template string) string {
	if before, _, found := strings.Cut(template, "{"); found {
		return filepath.Dir(before + "x")
	}
	return template
}

// mailPlace looks at a directory below which Maildirs are or will be.
func (c *checker) mailPlace(key, dir string, size int64) {
	if dir == "" || dir == "." {
		return // {home}
	}
	there, err := existing(dir)
	if err != nil {
		c.bad(key, "make the directory, writable for the user of lmtpd", "%s: %v", dir, cause(err))
		return
	}
	if err := tryFile(there); err != nil {
		c.bad(key, "let the user of lmtpd own it", "%s: mail cannot be written there: %s: %v", dir, there, cause(err))
		return
	}
	if !unnamedFiles(there) {
		c.odd(key, "nothing needs to be done: delivery works with tmp/ and is slower", "%s: unnamed files are not possible", there)
	}
	c.room(key, there, size)
	c.note("%s %s", key, dir)
}

// existing returns the directory, or the one above it in which it can be made.
func existing(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", &fs.PathError{Op: "stat", Path: dir, Err: fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)}
		case !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir):
			return "", err
		}
		if _, err := os.Lstat(dir); err == nil {
			return "", &fs.PathError{Op: "stat", Path: dir, Err: fmt.Errorf("%s: symbolic link to nothing", dir)}
		}
		dir = filepath.Dir(dir)
	}
}

// checkSockets looks at the places where lmtpd listens.
func (c *checker) checkSockets(cfg *config.Config) {
	for _, spec := range cfg.LMTP.Listen {
		if path, ok := strings.CutPrefix(spec, "unix:"); ok {
			c.unixSocket("lmtp.listen", path)
		} else {
			c.tcpSocket("lmtp.listen", spec)
		}
		c.note("socket %s", spec)
	}
}

func (c *checker) unixSocket(key, path string) {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		c.bad(key, "make the directory: owner the user of lmtpd, group that of the MTA, mode 0750 (systemd: RuntimeDirectory=paperknife)", "%s: %v", dir, cause(err))
		return
	case !info.IsDir():
		c.bad(key, "name a path in a directory", "%s: is no directory", dir)
		return
	}
	if err := tryFile(dir); err != nil {
		c.bad(key, "let the user of lmtpd own the directory", "%s: the socket cannot be made: %v", dir, cause(err))
	}
	if info.Mode().Perm()&0o002 != 0 {
		c.odd(key, "use a directory of its own, mode 0750", "%s: everybody may put a socket of his own there", dir)
	}
	if there, err := os.Lstat(path); err == nil && there.Mode().Type() != fs.ModeSocket {
		c.bad(key, "take it away or name another path", "%s: exists and is no socket", path)
	}
}

func (c *checker) tcpSocket(key, spec string) {
	host, _, err := net.SplitHostPort(spec)
	if err != nil {
		return // said by the configuration
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.odd(key, "listen on a unix socket or on 127.0.0.1", "%s: whoever reaches this port can have mail opened and delivered", spec)
	}
	l, err := net.Listen("tcp", spec)
	switch {
	case err == nil:
		_ = l.Close() // nobody was let in
	case errors.Is(err, syscall.EADDRINUSE): // by lmtpd, most likely
	default:
		c.bad(key, "name an address of this host, and a port from 1024 up", "%s: cannot listen: %v", spec, listenCause(err))
	}
}

func listenCause(err error) error {
	var fault *net.OpError
	if errors.As(err, &fault) {
		return fault.Err
	}
	return err
}
