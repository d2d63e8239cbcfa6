package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A site is the directory of a run, with everything in it on one file system: programs, keys, messages, configurations,
// sockets and mailboxes.
type site struct {
	dir        string
	temporary  bool
	user       string
	uid, gid   int
	credential *syscall.SysProcAttr // nil: the user who runs us
	moved      int                  // directories in old
}

func newSite(dir, name string) (*site, error) {
	s := &site{dir: dir, uid: os.Getuid(), gid: os.Getgid()}
	if dir == "" {
		// The path of a socket is at most 107 octets, so this one is short.
		made, err := os.MkdirTemp("/var/tmp", "pkbench")
		if err != nil {
			return nil, err
		}
		s.dir, s.temporary = made, true
	}
	var err error
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, err
	}
	if err := s.become(name); err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, sub := range []string{"", "bin", "keys", "messages", "spool", "home", "old"} {
		if err := os.MkdirAll(s.path(sub), 0o755); err != nil {
			return nil, err
		}
	}
	for _, sub := range []string{"", "spool", "home"} {
		if err := errors.Join(os.Chmod(s.path(sub), 0o755), s.chown(s.path(sub))); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// become chooses the user to deliver as: mail is not delivered as root.
func (s *site) become(name string) error {
	current, err := user.Current()
	if err != nil {
		return err
	}
	s.user = current.Username
	if s.uid != 0 {
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	s.user = name
	if s.uid, err = strconv.Atoi(account.Uid); err != nil {
		return err
	}
	if s.gid, err = strconv.Atoi(account.Gid); err != nil {
		return err
	}
	s.credential = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.gid)}}
	return nil
}

func (s *site) close() error {
	if !s.temporary {
		return os.RemoveAll(s.path("old"))
	}
	return os.RemoveAll(s.dir)
}

// discard takes a directory out of the way. It is removed when all is done: ext4 without a journal looks at every inode
// that was freed in the last minutes before it gives out another, which would cost more than all that is measured.
func (s *site) discard(dir string) error {
	s.moved++
	err := os.Rename(dir, s.path("old", strconv.Itoa(s.moved)))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// renew makes an empty directory in the place of one that may be there.
func (s *site) renew(dir string) error {
	return errors.Join(s.discard(dir), os.Mkdir(dir, 0o755), s.chown(dir))
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

func (s *site) bin(name string) string { return s.path("bin", name) }

func (s *site) message(name string) string { return s.path("messages", name+".eml") }

// chown gives a file to the user who delivers.
func (s *site) chown(path string) error {
	if s.credential == nil {
		return nil
	}
	return os.Chown(path, s.uid, s.gid)
}

func (s *site) write(name, content string, mode os.FileMode) error {
	if err := os.WriteFile(s.path(name), []byte(content), mode); err != nil {
		return err
	}
	return errors.Join(os.Chmod(s.path(name), mode), s.chown(s.path(name)))
}

// build makes the programs as `make build` does, and the tools of the benchmark.
func (s *site) build(ctx context.Context) error {
	top, err := root()
	if err != nil {
		return err
	}
	steps := [][]string{
		{"build", "-trimpath", "-o", s.path("bin"), "./cmd/lmtpd", "./cmd/deliver-filter"},
		{"build", "-o", s.path("bin"), "./bench/lmtpload", "./bench/lmtpsink", "./bench/durablerate"},
		{"test", "-c", "-o", s.bin("inprocess"), "./bench/inprocess"},
	}
	for _, args := range steps {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// configure writes the configuration of every program that has one.
func (s *site) configure() error {
	files := map[string]string{
		"paperknife.toml": s.paperknife("lmtpd", configOurs),
		"bare.toml":       s.paperknife("bare", configNothing),
		"many.toml":       s.paperknife("many", configMany()),
		"dovecot.conf":    s.dovecot(),
		"mailfilter":      "to \"" + s.path("home", "maildrop") + "\"\n",
		"glue-filter.sh":  glueFilter,
	}
	for name, content := range files {
		if err := s.write(name, content, 0o600); err != nil {
			return err
		}
	}
	return os.Chmod(s.path("glue-filter.sh"), 0o755)
}

// paperknife returns a configuration whose socket and mailboxes are named for it.
func (s *site) paperknife(name, rest string) string {
	return fmt.Sprintf(`authserv_id = "mx.example.net"

[lmtp]
listen = ["unix:%s"]
max_message_size = "512MiB"

[spool]
dir = "%s"

[deliver]
maildir = "%s"

%s`, s.path(name+".sock"), s.path("spool"), s.path("home", name, "{local}", "Maildir"), rest)
}

// configOurs opens everything and takes all S/MIME off.
const configOurs = `[[domain]]
name = "example.net"
keys = [{ cert = "keys/dca-rsa.pem", key = "keys/dca-rsa.key" }]

[trust]
person_anchors = ["keys/ca.pem"]

[mua]
default = "incapable"
`

// configNothing has every check off.
const configNothing = `[verify]
dkim = false
arc = false
meta = false
mtas = false
userkeys = false
e2e = false
`

// configMany is configOurs with 20 keys and 10 anchors.
func configMany() string {
	var keys, anchors []string
	for i := range manyKeys {
		keys = append(keys, fmt.Sprintf(`{ cert = "keys/many-%d.pem", key = "keys/dca-rsa.key" }`, i))
	}
	for i := range manyAnchors {
		anchors = append(anchors, fmt.Sprintf(`"keys/anchor-%d.pem"`, i))
	}
	return fmt.Sprintf(`[[domain]]
name = "example.net"
keys = [%s]

[trust]
person_anchors = ["keys/ca.pem"]
domain_anchors = [%s]

[mua]
default = "incapable"
`, strings.Join(keys, ", "), strings.Join(anchors, ", "))
}

// dovecot returns a configuration that is Dovecot's default as far as it can be: only paths, users and the socket are
// named.
func (s *site) dovecot() string {
	return fmt.Sprintf(`protocols = lmtp
base_dir = %[1]s/dovecot
state_dir = %[1]s/dovecot
log_path = %[1]s/dovecot.log
ssl = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[3]d home=%[1]s/home/dovecot/%%n allow_all_users=yes
}
service lmtp {
  unix_listener %[1]s/dovecot.sock {
    mode = 0666
  }
}
protocol lmtp {
  postmaster_address = postmaster@example.net
}
`, s.dir, s.uid, s.gid)
}
