package postfix

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"paperknife/test/testpki"
)

// THREATS C01 to C17: whatever happens on our side, Postfix keeps the message and tries again; what it is told names no
// path and no error of the system; once the fault is gone, the message arrives, once.
func TestFaultsDefer(t *testing.T) {
	l := open(t)
	r, err := l.recipes()
	if err != nil {
		t.Fatal(err)
	}
	entity := []byte("Content-Type: text/plain; charset=us-ascii\r\n\r\n" + strings.Repeat("Third quarter: 42.\r\n", 5000))
	sealed, _ := l.pki.SignThenEncrypt(t, true, testpki.Options{Entity: entity, Recipients: []string{testpki.DCANet, testpki.DCAOrg}})
	sites := l.sites()
	letters, daemons := make([]*letter, len(sites)), make([]*daemon, len(sites))
	for i, s := range sites {
		if s.door == doorLMTP {
			daemons[i] = l.startLMTPD(t, s.name(), s.path("lmtpd"), s.path("paperknife.toml"))
		}
	}
	for i, s := range sites {
		if s.door == doorLMTP {
			s.awaitStart(t, daemons[i])
		}
		letters[i] = newLetter(sealed, s.recipient())
		l.submit(t, sender, letters[i])
	}
	for i, s := range sites {
		a := l.deferred(t, letters[i])
		t.Logf("%-20s %s (%s)", s.name(), a.dsn, a.text)
		if want := s.text(); !want.MatchString(a.text) {
			t.Errorf("%s: text %q, want %v", s.name(), a.text, want)
		}
		if files := l.arrived(t, letters[i]); len(files) > 0 {
			t.Errorf("%s: deferred, but in %q", s.name(), files)
		}
	}
	for i, s := range sites {
		if err := s.mend(r); err != nil {
			t.Fatalf("%s: %v", s.name(), err)
		}
		if s.door == doorLMTP {
			daemons[i].end(t, syscall.SIGTERM)
			l.startLMTPD(t, s.name()+".mended", s.path("lmtpd"), s.path("paperknife.toml")).listening(t)
		}
	}
	l.await(t, "sent", letters...)
	for i, s := range sites {
		file := l.one(t, letters[i])
		if want := strings.Repeat("Third quarter: 42.\n", 5000); file.body() != want {
			t.Errorf("%s: body is not the one that was sealed: %.300q", s.name(), file.text)
		}
	}
}

// awaitStart waits until the server listens, or has ended since it cannot.
func (s site) awaitStart(t *testing.T, d *daemon) {
	t.Helper()
	codes := map[string]int{"key": 78, "config": 78, "anchors": 78, "flag": 64, "missing": -1}
	want, ends := codes[s.fault]
	if !ends {
		d.listening(t)
		return
	}
	if got := d.exit(t); got != want {
		t.Errorf("%s: exit code %d, want %d", s.name(), got, want)
	}
}

// text is what Postfix is to log, word by word where it comes from us.
func (s site) text() *regexp.Regexp {
	const (
		server        = `\S+\[paperknife/\S+\.sock\]`
		later         = "temporary failure, try again later"
		full          = "insufficient system storage"
		misconfigured = "delivery is misconfigured"
	)
	var pattern string
	switch s.door {
	case doorLMTP:
		pattern = "connect to " + server + ": (No such file or directory|Connection refused)$"
		switch s.fault {
		case "panic":
			pattern = "host " + server + " said: 451 4\\.3\\.0 <\\S+> " + later + " \\(in reply to end of DATA command\\)$"
		case "maildir":
			pattern = "host " + server + " said: 452 4\\.3\\.1 <\\S+> " + full + " \\(in reply to end of DATA command\\)$"
		case "spool":
			pattern = "host " + server + " said: 452 4\\.3\\.1 " + full + " \\(in reply to (MAIL FROM|DATA) command\\)$"
		case "goroutine", "stack", "memory", "exit":
			pattern = "lost connection with " + server + " while sending end of data -- message may be sent more than once$"
		}
	case doorLocal, doorPipe:
		pattern = later + " ?$"
		switch s.fault {
		case "maildir":
			pattern = full + " ?$"
		case "flag", "config", "anchors":
			pattern = misconfigured + " ?$"
		case "threads":
			pattern = `Command died with signal 6: ` // of Postfix and Go
		case "missing":
			pattern = `temporary failure\. Command output: \w+: fatal: .*execvp` // of Postfix
		}
	default: // of procmail and maildrop
		pattern = `temporary failure\.`
	}
	return regexp.MustCompile("^" + pattern)
}
