package attack_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/test/harness"
)

// THREATS C01, C05: everything that could be taken for the end of a message, with commands behind it, in one packet.
func TestC01Smuggling(t *testing.T) {
	l := theLab(t)
	const smuggled = "MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<unknown@example.net>\r\nDATA\r\nFrom: boss@corp.example\r\n\r\nsmuggled\r\n"
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r.\r\n", "\r\r\n.\n", "\r\n..\r\n", "\r\n. \r\n", "\n\r\n.\n", "\r\n.\r\r\n", "\r\n .\r\n"} {
		message := "From: eve@evil.example\r\n\r\none" + end + smuggled
		client := l.site.Dial(t)
		client.Command("MAIL FROM:<a@b.example>")
		client.Command("RCPT TO:<unknown@example.net>")
		client.Command("DATA")
		client.Send([]byte(message + "\r\n.\r\nNOOP\r\n"))
		if reply := client.Reply(); !strings.HasPrefix(reply, "250 2.0.0 ") {
			t.Errorf("%q: %q", end, reply)
		}
		if reply := client.Reply(); !strings.HasPrefix(reply, "250") {
			t.Errorf("%q: out of step: %q", end, reply)
		}
		client.Quit()
		all := l.site.TakeAll(t, "unknown@example.net")
		if len(all) != 1 {
			t.Errorf("%q: %d messages", end, len(all))
			continue
		}
		want := strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(message, "From: eve@evil.example\r\n"), "\r\n.", "\r\n"), "\r\n", "\n") // the dot of RFC 5321 section 4.5.2 goes
		if !strings.HasSuffix(string(all[0]), want+"\n") {
			t.Errorf("%q: not the octets that were sent:\n%q", end, all[0])
		}
	}
}

// THREATS C14, C29, C30: recipients that would lead out of the Maildirs.
func TestC14Recipients(t *testing.T) {
	l := theLab(t)
	locals := []string{
		`../../etc`, `"../../etc"`, `"/etc/passwd"`, `a+../../b`, `"a+../../b"`, `"."`, `".."`, `"..."`, `".hidden"`, `%2e%2e`, `"%2f..%2f"`, `"a/b"`, `"a\\b"`, `"\""`,
		`"cur"`, `new`, `tmp`, `"~"`, `"$(id)"`, `"a;b"`, `"` + "`id`" + `"`, `"*"`, `"{local}"`, `&AOQ-`, `"a b"`, strings.Repeat("a", 64), `"` + strings.Repeat("/", 60) + `"`, `+`, `++x`, `a+`, `-rf`,
	}
	before := list(t, l.site.Dir)
	for _, local := range locals {
		for _, domain := range []string{"example.net", "EXAMPLE.net", "elsewhere.example"} {
			client := l.site.Dial(t)
			client.Command("MAIL FROM:<a@b.example>")
			reply := client.Command("RCPT TO:<" + local + "@" + domain + ">")
			if strings.HasPrefix(reply, "250") {
				client.Command("DATA")
				client.Send([]byte("Subject: x\r\n\r\nx\r\n.\r\n"))
				if reply := client.Reply(); !strings.HasPrefix(reply, "250 2.0.0 ") {
					t.Errorf("%s: %q", local, reply) // what was accepted is delivered, or it would come again for ever
				}
			} else if !strings.HasPrefix(reply, "5") {
				t.Errorf("%s: %q", local, reply)
			}
			if reply := client.Command("NOOP"); !strings.HasPrefix(reply, "250") {
				t.Errorf("%s: then %q", local, reply)
			}
			client.Quit()
		}
	}
	for path := range list(t, l.site.Dir) {
		parts := strings.Split(path, "/")
		switch {
		case before[path]:
		case parts[0] != "mail", len(parts) > 1 && parts[1] != "example.net" && parts[1] != "elsewhere.example":
			t.Errorf("outside: %s", path)
		case len(parts) > 3 && parts[3] != "cur" && parts[3] != "new" && parts[3] != "tmp":
			t.Errorf("no Maildir: %s", path)
		}
	}
	for _, domain := range []string{"example.net", "elsewhere.example"} {
		if err := os.RemoveAll(l.site.Path(filepath.Join("mail", domain))); err != nil {
			t.Fatal(err)
		}
	}
}

// list returns the paths of all that is in a directory.
func list(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		found[relative] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// THREATS A43, B20: the log of one message of every kind has one line for each recipient, no word of a message and
// nothing of a key, whatever sender, recipient, client and message try to write into it.
func TestA43Log(t *testing.T) {
	l := theLab(t)
	start := len(l.server.Log())
	messages := l.seeds(t)
	for _, m := range messages {
		l.deliver(t, m, "incapable")
	}
	client := harness.DialAt(t, "unix", l.site.Path(harness.Socket))
	for _, line := range []string{"XFORWARD IDENT=x+0Alevel=ERROR+20msg=forged NAME=+1B[2J", "XFORWARD IDENT=a\"b HELO=\u202e", "MAIL FROM:<\"a b\\\" to=x msg=forged\"@b.example>",
		"RCPT TO:<\"x\\\"\u2028msg=forged\"@example.net>", "LHLO \x1b[2J", "VRFY \x07"} {
		client.Command(line)
	}
	client.Quit()
	log := l.server.Log()[start:]
	for _, word := range []string{"Third quarter", "Figures", "PRIVATE KEY", "SECRET", "\x1b", "\u2028", "\u202e"} {
		if strings.Contains(log, word) {
			t.Errorf("%q in the log", word)
		}
	}
	lines := 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, "msg=delivered") {
			lines++
		}
		if !strings.HasPrefix(line, "time=") && !strings.HasPrefix(line, "{") {
			t.Errorf("a line of its own: %q", line)
		}
	}
	if lines != len(messages) {
		t.Errorf("%d lines for %d messages:\n%s", lines, len(messages), log)
	}
}
