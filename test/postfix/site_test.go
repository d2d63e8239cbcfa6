package postfix

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The doors through which Postfix hands over mail.
const (
	doorLMTP     = "lmtp"
	doorLocal    = "local" // mailbox_command
	doorPipe     = "pipe"
	doorProcmail = "procmail"
	doorMaildrop = "maildrop"
)

// A site is one door with one fault behind it: a directory with the command, its configuration and its keys.
type site struct {
	lab         *lab
	door, fault string
}

// faults are what happens to us, by door. The server cannot hang for ever and is not waited for as long as Postfix
// would; the filter has a deadline of its own. "group" is a key for a group that the user is in, which local(8) drops.
var faults = map[string][]string{
	doorLMTP:     {"panic", "goroutine", "stack", "memory", "exit", "key", "config", "anchors", "flag", "missing", "maildir", "spool"},
	doorLocal:    {"panic", "goroutine", "stack", "memory", "exit", "hang", "threads", "key", "group", "config", "anchors", "flag", "missing", "maildir", "spool"},
	doorPipe:     {"panic", "goroutine", "stack", "memory", "exit", "hang", "threads", "key", "config", "anchors", "flag", "missing", "maildir", "spool"},
	doorProcmail: {"panic", "goroutine", "exit", "key", "config", "missing", "spool"},
	doorMaildrop: {"panic", "goroutine", "exit", "key", "config", "missing", "spool"},
}

func (l *lab) sites() []site {
	var list []site
	for _, door := range []string{doorLMTP, doorLocal, doorPipe, doorProcmail, doorMaildrop} {
		for _, fault := range faults[door] {
			list = append(list, site{l, door, fault})
		}
	}
	return list
}

func (s site) name() string { return s.door + "-" + s.fault }

func (s site) path(elements ...string) string {
	return s.lab.path(append([]string{"site", s.name()}, elements...)...)
}

func (s site) in(file string) string { return "site/" + s.name() + "/" + file }

func (s site) program() string {
	if s.door == doorLMTP {
		return "lmtpd"
	}
	return "deliver-filter"
}

func (s site) recipient() string {
	switch s.door {
	case doorLMTP, doorPipe:
		return s.name() + "@" + virtualDomain
	}
	return s.lab.name + "+" + s.name() + "@" + localDomain
}

// adapt turns a recipe into the one of this site: its own command and configuration, and a Maildir on a full disk.
func (s site) adapt(recipe string) string {
	l := s.lab
	recipe = strings.NewReplacer(
		l.path("bin", "deliver-filter"), s.path("deliver-filter"),
		l.path("pk", "paperknife.toml"), s.path("paperknife.toml"),
		"lmtp.sock", s.name()+".sock",
	).Replace(recipe)
	if s.fault == "maildir" {
		recipe = strings.NewReplacer("%h/Maildir", s.path("disk", "Maildir"), l.path("vmail"), s.path("disk"),
			l.path("mail"), s.path("disk")).Replace(recipe)
	}
	return recipe
}

// service returns the lines of master.cf and of the transport table.
func (s site) service(r recipes) (service, route string) {
	name := s.name()
	agent := func(command string) string {
		return fmt.Sprintf("%s unix - n n - - local\n  -o { mailbox_command = %s }\n", name, command)
	}
	switch s.door {
	case doorLMTP:
		return "", fmt.Sprintf("%s lmtp:unix:paperknife/%s.sock\n", s.recipient(), name)
	case doorLocal:
		_, command, _ := strings.Cut(s.adapt(r.mailbox), "mailbox_command = ")
		command, _, _ = strings.Cut(command, "\n")
		service = agent(command)
	case doorPipe:
		service = strings.Replace(s.adapt(r.pipe), "paperknife unix", name+" unix", 1)
	case doorProcmail:
		service = agent("/usr/bin/procmail " + s.path("rc"))
	case doorMaildrop:
		service = agent("/usr/bin/maildrop " + s.path("rc"))
	}
	return service, fmt.Sprintf("%s %s:\n", s.recipient(), name)
}

// makeSites makes the directories, with their faults in them.
func (l *lab) makeSites() error {
	r, err := l.recipes()
	if err != nil {
		return err
	}
	for _, s := range l.sites() {
		if err := errors.Join(os.Mkdir(s.path(), 0o755), l.copyKeys(s.in("")), s.writeRC(r), s.mountDisk(), s.breakIt(r)); err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	return nil
}

func (s site) writeRC(r recipes) error {
	switch s.door {
	case doorProcmail:
		return s.lab.writeForUser(s.in("rc"), "DEFAULT=$HOME/Maildir/\n"+s.adapt(r.procmail))
	case doorMaildrop:
		return s.lab.writeForUser(s.in("rc"), s.adapt(r.maildrop)+"to \"$HOME/Maildir/\"\n")
	}
	return nil
}

// breakIt installs the site with its fault.
func (s site) breakIt(r recipes) error {
	config := s.config(r)
	var before, after string
	switch s.fault {
	case "panic", "goroutine", "stack", "exit", "hang":
		before = "PAPERKNIFE_FAULT=" + s.fault + "\nexport PAPERKNIFE_FAULT\n"
	case "memory":
		// Out of memory is an error of Go's runtime, which nothing can recover from.
		before = "ulimit -v 1500000\nPAPERKNIFE_FAULT=memory\nexport PAPERKNIFE_FAULT\n"
	case "threads":
		// The system has none for this user, so that Go's runtime cannot start.
		before = "ulimit -p 1\n"
	case "flag":
		after = " -no-such-flag"
	case "config":
		config = "no_such_key = true\n" + config
	case "key":
		return errors.Join(s.write(config), s.installGood(), s.eachKey(func(key string) error { return os.Chmod(key, 0o600) }))
	case "group":
		return errors.Join(s.write(config), s.installGood(), s.eachKey(func(key string) error { return os.Chown(key, 0, s.lab.postfix) }))
	case "anchors":
		return errors.Join(s.write(config), s.installGood(), os.Rename(s.path("partners.pem"), s.path("away")))
	case "missing":
		return s.write(config)
	case "maildir", "spool":
		return errors.Join(s.write(config), s.installGood(), s.fillDisk())
	}
	script := fmt.Sprintf("#!/bin/sh\n%sexec %s \"$@\"%s\n", before, s.lab.path("bin", "faults", s.program()), after)
	return errors.Join(s.write(config), s.lab.write(s.in(s.program()), script, 0o755))
}

// mend takes the fault away.
func (s site) mend(r recipes) error {
	switch s.fault {
	case "key":
		return s.eachKey(func(key string) error { return os.Chmod(key, 0o640) })
	case "group":
		return s.eachKey(s.allow)
	case "anchors":
		return os.Rename(s.path("away"), s.path("partners.pem"))
	case "maildir", "spool":
		return os.Remove(s.path("disk", "ballast"))
	case "config":
		return errors.Join(s.write(s.config(r)), s.installGood())
	}
	return s.installGood()
}

func (s site) eachKey(f func(string) error) error {
	return errors.Join(f(s.path("dca.key")), f(s.path("dca.org.key")))
}

// allow lets the user read a key by the access list of the README, or where there are none, by his own group.
func (s site) allow(key string) error {
	if command("setfacl", "-m", "u:"+s.lab.name+":r", key) == nil {
		return nil
	}
	return os.Chown(key, 0, s.lab.gid)
}

func (s site) write(config string) error { return s.lab.write(s.in("paperknife.toml"), config, 0o644) }

func (s site) config(r recipes) string {
	config := s.adapt(r.toml) + s.lab.more()
	switch s.fault {
	case "hang":
		config += "\n[filter]\ndeadline = \"1s\"\n"
	case "spool":
		config += "\n[spool]\nmemory = \"1KiB\"\ndir = \"disk\"\n"
	}
	return config
}

// installGood puts the command there that is without fault.
func (s site) installGood() error {
	link := s.path(s.program())
	if err := os.Symlink(s.lab.path("bin", s.program()), link+"~"); err != nil {
		return err
	}
	return os.Rename(link+"~", link)
}

// mountDisk gives the site a small disk, if it is to be full.
func (s site) mountDisk() error {
	if s.fault != "maildir" && s.fault != "spool" {
		return nil
	}
	disk := s.path("disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "size=4m,mode=0777"); err != nil {
		return fmt.Errorf("%w: %w", errMount, err)
	}
	s.lab.later(func() error { return unix.Unmount(disk, unix.MNT_DETACH) })
	return nil
}

func (s site) fillDisk() (err error) {
	f, err := os.Create(s.path("disk", "ballast"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for block := make([]byte, 64<<10); ; {
		switch _, err := f.Write(block); {
		case errors.Is(err, unix.ENOSPC) && len(block) > 1:
			block = block[:1]
		case errors.Is(err, unix.ENOSPC):
			return nil
		case err != nil:
			return err
		}
	}
}
