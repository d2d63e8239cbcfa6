package postfix

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The domains of the lab: the first is a virtual one whose mail goes to lmtpd, the second that of the system's users.
const (
	virtualDomain = "example.net"
	localDomain   = "example.org"
)

// recipe returns the indented block of the README that holds the given text, without the indentation.
func recipe(containing string) (string, error) {
	f, err := os.Open(filepath.Join(repository, "README.md"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	var block strings.Builder
	for s := bufio.NewScanner(f); s.Scan(); {
		line, indented := strings.CutPrefix(s.Text(), "    ")
		switch {
		case indented:
			block.WriteString(line + "\n")
		case s.Text() == "" && block.Len() > 0:
			block.WriteString("\n")
		case strings.Contains(block.String(), containing):
			return strings.TrimSpace(block.String()) + "\n", nil
		default:
			block.Reset()
		}
	}
	if strings.Contains(block.String(), containing) {
		return strings.TrimSpace(block.String()) + "\n", nil
	}
	return "", fmt.Errorf("README.md has no recipe with %q", containing)
}

// recipes are those of the README, with the paths and the user of the lab.
type recipes struct {
	toml, virtual, mailbox, pipe, maildrop, procmail string
}

func (l *lab) recipes() (r recipes, err error) {
	replace := strings.NewReplacer(
		"/usr/bin/deliver-filter", l.path("bin", "deliver-filter"),
		"/etc/paperknife/paperknife.toml", l.path("pk", "paperknife.toml"),
		"/var/spool/postfix/", l.path("spool")+"/",
		"/var/mail/paperknife/", l.path("mail")+"/",
		"/var/mail/vmail/", l.path("vmail")+"/",
		// Raised, as it says there.
		`default = "received"`, `users = { "dave@example.net" = "received", "erin@example.net" = "unknown" }
default = "incapable"`,
		"hash:/etc/postfix/vmailbox", "static:yes",
		"user=vmail:paperknife", "user="+l.name+":"+l.name,
	)
	var errs []error
	for text, to := range map[string]*string{
		"[trust]":             &r.toml,
		"virtual_transport =": &r.virtual,
		"mailbox_command =":   &r.mailbox,
		"paperknife unix":     &r.pipe,
		"xfilter":             &r.maildrop,
		":0 fw":               &r.procmail,
	} {
		block, err := recipe(text)
		errs = append(errs, err)
		*to = replace.Replace(block)
	}
	return r, errors.Join(errs...)
}

// mainCF is what a private instance needs, and what these tests do to look fast; the recipes come after it.
func (l *lab) mainCF() string {
	return strings.NewReplacer("@ROOT@", l.root).Replace(`compatibility_level = 3.6
queue_directory = @ROOT@/spool
data_directory = @ROOT@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = @ROOT@/log/maillog
maillog_file_prefixes = @ROOT@
myhostname = mx.example.org
mydestination = example.org
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
recipient_delimiter = +
alias_maps =
alias_database =
local_recipient_maps =
transport_maps = texthash:@ROOT@/etc/transport
smtputf8_enable = yes
biff = no
enable_long_queue_ids = yes
notify_classes =
message_size_limit = 20971520
cleanup_replace_stray_cr_lf = no
sendmail_fix_line_endings = never
minimal_backoff_time = 300s
queue_run_delay = 300s
transport_retry_time = 1s
service_throttle_time = 1s
lmtp_connect_timeout = 5s
`)
}

const masterCF = `submit unix n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
local-procmail unix - n n - - local -o mailbox_command=/usr/bin/procmail
local-maildrop unix - n n - - local -o mailbox_command=/usr/bin/maildrop
`

// writeConfigurations writes those of Postfix, of paperknife and of the user.
func (l *lab) writeConfigurations() error {
	r, err := l.recipes()
	if err != nil {
		return err
	}
	master, main, transport := masterCF+r.pipe, l.mainCF()+r.virtual+r.mailbox, ""
	main += "paperknife_destination_recipient_limit = 1\n"
	for _, s := range l.sites() {
		service, route := s.service(r)
		master += service
		transport += route
		if s.door == doorPipe {
			main += s.name() + "_destination_recipient_limit = 1\n"
		}
	}
	transport += "carol@example.net paperknife:\n"
	// Of another domain, by the same server in the same transaction.
	transport += "frank@example.org lmtp:unix:paperknife/lmtp.sock\n"
	for _, door := range []string{"procmail", "maildrop"} {
		transport += fmt.Sprintf("%s+%s@%s local-%s:\n", l.name, door, localDomain, door)
	}
	return errors.Join(
		l.write("etc/main.cf", main, 0o644),
		l.write("etc/master.cf", master, 0o644),
		l.write("etc/transport", transport, 0o644),
		l.write("pk/paperknife.toml", r.toml+l.more(), 0o644),
		l.copyKeys("pk"),
		l.writeForUser("home/.procmailrc", "DEFAULT=$HOME/Maildir/\n"+r.procmail),
		l.writeForUser("home/.mailfilter", r.maildrop+"to \"$HOME/Maildir/\"\n"),
	)
}

// more is what the lab adds to the configuration of the README: the second domain.
func (l *lab) more() string {
	return fmt.Sprintf("\n[[domain]]\nname = %q\nkeys = [{ cert = \"dca.org.pem\", key = \"dca.org.key\" }]\n", localDomain)
}

// copyKeys puts keys and anchors beside a configuration. The keys can be read by the group of the user.
func (l *lab) copyKeys(dir string) error {
	p := l.pki
	var errs []error
	for file, from := range map[string]string{
		"dca.pem": p.CertificateFile("dca.example.net"), "dca.key": p.KeyFile("dca.example.net"),
		"dca.org.pem": p.CertificateFile("dca.example.org"), "dca.org.key": p.KeyFile("dca.example.org"),
		"partners.pem": p.CertificateFile("domain-ca"), "people.pem": p.CertificateFile("person-ca"),
	} {
		content, err := os.ReadFile(from)
		file = filepath.Join(dir, file)
		errs = append(errs, err, l.write(file, string(content), 0o640), os.Chown(l.path(file), 0, l.gid))
	}
	return errors.Join(errs...)
}

func (l *lab) write(name, content string, mode os.FileMode) error {
	// Another file in its place, since a program that runs cannot be written to.
	if err := os.WriteFile(l.path(name+"~"), []byte(content), mode); err != nil {
		return err
	}
	return os.Rename(l.path(name+"~"), l.path(name))
}

func (l *lab) writeForUser(name, content string) error {
	return errors.Join(l.write(name, content, 0o600), os.Chown(l.path(name), l.uid, l.gid))
}
