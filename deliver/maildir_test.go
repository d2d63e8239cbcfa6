package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"

	"paperknife/deliver"
	"paperknife/deliver/delivertest"
	"paperknife/internal/message"
	"paperknife/internal/status"
	"paperknife/test/need"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newMaildir(t *testing.T, s deliver.MaildirSettings) *deliver.Maildir {
	t.Helper()
	if s.Hostname == "" {
		s.Hostname = "mx.example.net"
	}
	m, err := deliver.NewMaildir(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// files lists the files below dir, as paths relative to it.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, dir string) [][]byte {
	t.Helper()
	var list [][]byte
	for _, name := range files(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

func send(t *testing.T, target deliver.Target, view deliver.View, addresses ...string) []deliver.Result {
	t.Helper()
	var list []deliver.Recipient
	for _, a := range addresses {
		list = append(list, deliver.Recipient{Address: a})
	}
	tx := target.Begin(t.Context(), "sender@example.com")
	defer func() {
		if err := tx.Close(); err != nil {
			t.Error(err)
		}
	}()
	return tx.Deliver(t.Context(), view, list)
}

func TestConformance(t *testing.T) {
	t.Run("maildir", func(t *testing.T) {
		delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
			dir := fastDir(t)
			return delivertest.Fixture{
				Target:   newMaildir(t, deliver.MaildirSettings{Template: "mail/{domain}/{local}", Base: dir, RecipientDelimiter: "+"}),
				Messages: func(t *testing.T) [][]byte { return read(t, dir) },
				LineEnds: message.LF,
			}
		})
	})
	t.Run("maildir with detail", func(t *testing.T) {
		delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
			dir := fastDir(t)
			return delivertest.Fixture{
				Target:   newMaildir(t, deliver.MaildirSettings{Template: dir + "/{domain}/{local}/.{detail}", RecipientDelimiter: "+-"}),
				Messages: func(t *testing.T) [][]byte { return read(t, dir) },
				LineEnds: message.LF,
			}
		})
	})
	t.Run("one maildir", func(t *testing.T) {
		delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
			dir := fastDir(t)
			m, err := deliver.NewMaildirAt(filepath.Join(dir, "a/Maildir"), deliver.MaildirSettings{})
			if err != nil {
				t.Fatal(err)
			}
			return delivertest.Fixture{Target: m, Messages: func(t *testing.T) [][]byte { return read(t, dir) }, LineEnds: message.LF}
		})
	})
	t.Run("stdout", func(t *testing.T) {
		delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
			var out strings.Builder
			return delivertest.Fixture{
				Target: deliver.NewStdout(&out),
				Messages: func(*testing.T) [][]byte {
					if out.Len() == 0 {
						return nil
					}
					return [][]byte{[]byte(out.String())}
				},
				Single:   true,
				LineEnds: message.AsGiven,
			}
		})
	})
}

// What is in the file: fields on top, LF, mode, S= and W= (THREATS C11, C33), read back by a library.
func TestMaildirFile(t *testing.T) {
	dir := t.TempDir()
	m := newMaildir(t, deliver.MaildirSettings{
		Template: "mail/{domain}/{local}", Base: dir, Hostname: "a/b:c,d", ReceivedBy: "mx.example.net", RecipientDelimiter: "+",
		Now: func() time.Time { return noon },
	})
	ctx := deliver.WithTrace(t.Context(), deliver.Trace{
		HELO: "out.example.com", ClientName: "out.example.com", ClientAddress: "192.0.2.1", Protocol: "LMTP", ID: "4XyZ",
	})
	tx := m.Begin(ctx, "Sender@example.com")
	view := delivertest.View{Text: "Subject: x\r\n\r\nbare\nCR\rCRCRLF\r\r\nend"}
	if r := tx.Deliver(t.Context(), view, []deliver.Recipient{{Address: "Erin+Box@Example.NET"}}); !r[0].Delivered() {
		t.Fatal(&r[0])
	}
	box := filepath.Join(dir, "mail/example.net/erin")
	names := files(t, box)
	if len(names) != 1 {
		t.Fatalf("files %q", names)
	}
	pattern := `^new/1772366400\.M123456P\d+Q\d+R[0-9a-f]{16}\.a\\057b\\072c\\054d,S=(\d+),W=(\d+)$`
	match := regexp.MustCompile(pattern).FindStringSubmatch(names[0])
	if match == nil {
		t.Fatalf("name %q", names[0])
	}
	want := "Return-Path: <Sender@example.com>\n" +
		"Delivered-To: Erin+Box@Example.NET\n" +
		"Received: from out.example.com (out.example.com [192.0.2.1])\n" +
		"\tby mx.example.net with LMTP id 4XyZ\n" +
		"\tfor <Erin+Box@Example.NET>;\n" +
		"\tSun, 01 Mar 2026 12:00:00 +0000\n" +
		"Subject: x\n\nbare\nCR\rCRCRLF\r\nend"
	got := string(read(t, box)[0])
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	lines := strings.Count(want, "\n") - strings.Count(want, "\r\n")
	if match[1] != fmt.Sprint(len(want)) || match[2] != fmt.Sprint(len(want)+lines) {
		t.Errorf("S=%s,W=%s; want %d, %d", match[1], match[2], len(want), len(want)+lines)
	}
	for _, d := range []string{"", "cur", "new", "tmp"} {
		info, err := os.Stat(filepath.Join(box, d))
		if err != nil || info.Mode() != 0o700|fs.ModeDir {
			t.Errorf("%q: %v, %v", d, info.Mode(), err)
		}
	}
	info, err := os.Stat(filepath.Join(box, names[0]))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	unseen, err := gomaildir.Dir(box).Unseen()
	if err != nil || len(unseen) != 1 {
		t.Fatalf("go-maildir: %v, %v", unseen, err)
	}
	if flags := unseen[0].Flags(); len(flags) != 0 {
		t.Errorf("go-maildir: flags %q", flags)
	}
	r, err := unseen[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if back, err := io.ReadAll(r); err != nil || string(back) != want {
		t.Errorf("go-maildir: %q, %v", back, err)
	}
}

// W= does not depend on how the octets arrive.
func TestSizesAcrossWrites(t *testing.T) {
	dir := t.TempDir()
	m, err := deliver.NewMaildirAt(dir, deliver.MaildirSettings{})
	if err != nil {
		t.Fatal(err)
	}
	// One write larger than the buffer goes through at once, the CR at its end apart from the LF that follows.
	view := viewFunc(func(w io.Writer) error {
		for _, s := range []string{strings.Repeat("x", 1<<17) + "\r", "\n" + strings.Repeat("y", 1<<17), "\n"} {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
		}
		return nil
	})
	ctx := deliver.WithTrace(t.Context(), deliver.Trace{SenderUnknown: true})
	if r := m.Begin(ctx, "").Deliver(ctx, view, []deliver.Recipient{{}}); !r[0].Delivered() {
		t.Fatal(&r[0])
	}
	content := string(read(t, dir)[0])
	if !strings.HasPrefix(content, "Received: by ") {
		t.Errorf("begins %.40q", content)
	}
	lone := strings.Count(content, "\n") - strings.Count(content, "\r\n")
	want := fmt.Sprintf(",S=%d,W=%d", len(content), len(content)+lone)
	if name := files(t, dir)[0]; !strings.HasSuffix(name, want) {
		t.Errorf("name %q, want %q at its end", name, want)
	}
}

type viewFunc func(io.Writer) error

func (f viewFunc) Write(w io.Writer, _ message.LineEnds, prepend ...string) error {
	if _, err := io.WriteString(w, strings.ReplaceAll(strings.Join(prepend, ""), "\r\n", "\n")); err != nil {
		return err
	}
	return f(w)
}

// THREATS C14: where mail for an address goes, if anywhere.
func TestPlaces(t *testing.T) {
	const byDomain = "mail/{domain}/{local}"
	tests := []struct {
		template, addr, want string // want empty: refused
	}{
		{byDomain, "erin@example.net", "mail/example.net/erin"},
		{byDomain, "ERIN@EXAMPLE.NET.", "mail/example.net/erin"},
		{byDomain, "erin+box@example.net", "mail/example.net/erin"},
		{byDomain, "a+../../b@example.net", "mail/example.net/a"},
		{byDomain, "+a@example.net", "mail/example.net/+a"},
		{byDomain, "a+@example.net", "mail/example.net/a"},
		{byDomain, `"../../etc"@example.net`, "mail/example.net/%2e.%2f..%2fetc"},
		{byDomain, "a/../..@example.net", "mail/example.net/a%2f..%2f.."},
		{byDomain, ".@example.net", "mail/example.net/%2e"},
		{byDomain, "..@example.net", "mail/example.net/%2e."},
		{byDomain, ".ssh@example.net", "mail/example.net/%2essh"},
		{byDomain, "a%2fb@example.net", "mail/example.net/a%252fb"},
		{byDomain, "o'brien@example.net", "mail/example.net/o%27brien"},
		{byDomain, `"a\ b"@example.net`, "mail/example.net/a%20b"},
		{byDomain, `"a b"@example.net`, "mail/example.net/a%20b"},
		{byDomain, `"erin"@example.net`, "mail/example.net/erin"},
		{byDomain, "jos\u00e9@b\u00fccher.example", "mail/xn--bcher-kva.example/jos\u00e9"},
		{byDomain, "a@B\u00dcCHER.example", "mail/xn--bcher-kva.example/a"},
		{byDomain, "a@xn--bcher-kva.example", "mail/xn--bcher-kva.example/a"},
		{byDomain, "\u212a@example.net", "mail/example.net/\u212a"},
		{byDomain, "a@host_1.local", "mail/host_1.local/a"},
		{byDomain, strings.Repeat("a", 255) + "@example.net", "mail/example.net/" + strings.Repeat("a", 255)},

		{byDomain, "", ""},
		{byDomain, "erin", ""},
		{byDomain, "@example.net", ""},
		{byDomain, `""@example.net`, ""},
		{byDomain, strings.Repeat("a", 300) + "@example.net", ""},
		{byDomain, strings.Repeat("'", 100) + "@example.net", ""},
		{byDomain, "a\x00b@example.net", ""},
		{byDomain, "a\nb@example.net", ""},
		{byDomain, "a\x7fb@example.net", ""},
		{byDomain, "a\u0085b@example.net", ""},
		{byDomain, "a\u2028b@example.net", ""},
		{byDomain, "a\u202eb@example.net", ""},
		{byDomain, "a\u00a0b@example.net", ""},
		{byDomain, "a\xff@example.net", ""},
		{byDomain, "a b@example.net", ""},
		{byDomain, "a@b@example.net", ""},
		{byDomain, `"a"b@example.net`, ""},
		{byDomain, `"a@example.net`, ""},
		{byDomain, `"a\`, ""},
		{byDomain, "a@", ""},
		{byDomain, "a@.", ""},
		{byDomain, "a@..", ""},
		{byDomain, "a@../../etc", ""},
		{byDomain, "a@b..c", ""},
		{byDomain, "a@b/c", ""},
		{byDomain, "a@[192.0.2.1]", ""},
		{byDomain, "a@" + strings.Repeat("b", 64) + ".example", ""},
		{byDomain, "a@" + strings.Repeat("b.", 150) + "example", ""},
		{byDomain, "a@\u202e.example", ""},

		{"{local}/Maildir/.{detail}", "erin+Lists@example.net", "erin/Maildir/.lists"},
		{"{local}/Maildir/.{detail}", "erin@example.net", "erin/Maildir"},
		{"{local}/Maildir/.{detail}", "erin+.@example.net", "erin/Maildir/.%2e"},
		{"{local}/Maildir/{detail}", "erin+..@example.net", "erin/Maildir/%2e."},
		{"{local}/Maildir/{detail}", "erin+../../b@example.net", "erin/Maildir/%2e.%2f..%2fb"},
		{"{local}-{domain}", "erin@example.net", "erin-example.net"},
		{"{local}", "erin", "erin"},
		{"x{local}", "..", "x%2e."},
		{"all", "anything at all", "all"},
	}
	for _, tt := range tests {
		dir := fastDir(t)
		m := newMaildir(t, deliver.MaildirSettings{Template: "top/" + tt.template, Base: dir, RecipientDelimiter: "+"})
		rcpt := m.Begin(t.Context(), "").Rcpt(tt.addr, "")
		results := send(t, m, delivertest.View{Text: "\n"}, tt.addr)
		got := ""
		if list := files(t, dir); len(list) == 1 {
			got = strings.TrimPrefix(filepath.Dir(filepath.Dir(list[0])), "top/")
		} else if len(list) > 1 {
			t.Errorf("%q: %q", tt.addr, list)
		}
		if got != tt.want {
			t.Errorf("%s, %.60q: in %q, want %q (%v)", tt.template, tt.addr, got, tt.want, &results[0])
		}
		want := status.Enhanced{Class: 5, Subject: 1, Detail: 3}
		if tt.want == "" && (rcpt.Status != want || results[0].Status != want) {
			t.Errorf("%.60q: %v, %v", tt.addr, &rcpt, &results[0])
		}
		if tt.want != "" && (!rcpt.Delivered() || !results[0].Delivered()) {
			t.Errorf("%.60q: %v, %v", tt.addr, &rcpt, &results[0])
		}
	}
}

func TestTemplates(t *testing.T) {
	home := func(context.Context, string) (string, error) { return "/", nil }
	for _, bad := range []deliver.MaildirSettings{
		{Template: "", Base: "/"},
		{Template: "/"},
		{Template: "mail/{local}"},
		{Template: "mail/{local}", Base: "relative"},
		{Template: "/mail/../{local}"},
		{Template: "/mail/{local}/.."},
		{Template: "/mail/{user}"},
		{Template: "/mail/{local"},
		{Template: "/mail/local}"},
		{Template: "/mail/{home}", Home: home},
		{Template: "{home}x", Base: "/", Home: home},
		{Template: "{home}/Maildir"},
		{Template: "/mail\x00/{local}"},
	} {
		if m, err := deliver.NewMaildir(bad); err == nil {
			t.Errorf("%q: accepted as %v", bad.Template, m)
		}
	}
}

func TestHome(t *testing.T) {
	dir := t.TempDir()
	noUser := status.Reject(status.Enhanced{Class: 5, Subject: 1, Detail: 1}, "no such user", nil)
	done := status.Delivered()
	m := newMaildir(t, deliver.MaildirSettings{
		Template: "{home}/Maildir",
		Home: func(_ context.Context, addr string) (string, error) {
			switch addr {
			case "nobody":
				return "", fmt.Errorf("passwd: %w", &noUser)
			case "unmounted":
				return filepath.Join(dir, "missing"), nil
			case "relative":
				return "home", nil
			case "broken":
				return "", errors.New("passwd: cannot read")
			case "odd":
				return "", &done
			}
			return dir, nil
		},
	})
	for addr, want := range map[string]string{
		"erin": "2.0.0", "nobody": "5.1.1", "unmounted": "4.3.0", "relative": "4.3.0", "broken": "4.3.0", "odd": "4.3.0",
	} {
		r := send(t, m, delivertest.View{Text: "\n"}, addr)[0]
		if _, code, _ := r.SMTP(); code.String() != want {
			t.Errorf("%s: %v, want %s", addr, &r, want)
		}
	}
	if got := files(t, dir); len(got) != 1 || !strings.HasPrefix(got[0], "Maildir/new/") {
		t.Errorf("files %q", got)
	}
}

// THREATS C15: a link that leads out of the Maildir, or out of the directory all Maildirs are in, takes no mail.
func TestSymlinks(t *testing.T) {
	for _, tt := range []struct{ name, link string }{
		{"mailbox", "mail/example.net/erin"}, {"domain", "mail/example.net"}, {"new", "mail/example.net/erin/new"}, {"tmp", "mail/example.net/erin/tmp"},
	} {
		for _, relative := range []bool{false, true} {
			dir, outside := t.TempDir(), ""
			outside = filepath.Join(filepath.Dir(dir), "outside")
			for _, d := range []string{"new", "cur", "tmp", "erin/new", "erin/tmp", "erin/cur"} {
				if err := os.MkdirAll(filepath.Join(outside, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			link := filepath.Join(dir, tt.link)
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			target := outside
			if relative {
				target, _ = filepath.Rel(filepath.Dir(link), outside)
			}
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
			m := newMaildir(t, deliver.MaildirSettings{Template: "mail/{domain}/{local}", Base: dir})
			r := send(t, m, delivertest.View{Text: "\n"}, "erin@example.net")[0]
			if !r.Temporary() {
				t.Errorf("%s: %v", tt.name, &r)
			}
			if got := files(t, outside); len(got) != 0 {
				t.Errorf("%s: outside %q", tt.name, got)
			}
		}
	}
}

// The administrator's own part of the path may be a link.
func TestLinkedTop(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "disk"), filepath.Join(dir, "mail")); err != nil {
		t.Fatal(err)
	}
	at, err := deliver.NewMaildirAt(filepath.Join(dir, "mail"), deliver.MaildirSettings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*deliver.Maildir{at, newMaildir(t, deliver.MaildirSettings{Template: "mail/{local}", Base: dir})} {
		if r := send(t, m, delivertest.View{Text: "\n"}, "erin")[0]; !r.Delivered() {
			t.Error(&r)
		}
	}
	if got := read(t, filepath.Join(dir, "disk")); len(got) != 2 {
		t.Errorf("%d messages", len(got))
	}
}

// THREATS C15: a user who swaps his directories while mail arrives gets it, or it waits; never is it elsewhere.
func TestSwapRace(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	m := newMaildir(t, deliver.MaildirSettings{Template: "mail/{local}", Base: dir})
	box := filepath.Join(dir, "mail/erin")
	if r := send(t, m, delivertest.View{Text: "\n"}, "erin")[0]; !r.Delivered() {
		t.Fatal(&r)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// The errors are part of the game.
			_ = os.Rename(box+"/new", box+"/kept")
			_ = os.Symlink(outside, box+"/new")
			_ = os.Remove(box + "/new")
			_ = os.Rename(box+"/kept", box+"/new")
		}
	})
	count := 1
	for range 300 {
		if r := send(t, m, delivertest.View{Text: "\n"}, "erin")[0]; r.Delivered() {
			count++
		} else if !r.Temporary() {
			t.Error(&r)
		}
	}
	close(stop)
	group.Wait()
	if got := files(t, outside); len(got) != 0 {
		t.Errorf("outside: %q", got)
	}
	// A rename of a directory onto one that a delivery made in the meantime fails; both are the user's.
	if got := len(files(t, box)); got != count {
		t.Errorf("%d files, %d delivered", got, count)
	}
}

// THREATS C11, promise 20: no file replaces another, with the clock standing still.
func TestUniqueNames(t *testing.T) {
	const workers, mails = 64, 200
	if testing.Short() {
		t.Skip("writes 12800 files")
	}
	dir := fastDir(t)
	m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: dir, Now: func() time.Time { return noon }})
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			tx := m.Begin(t.Context(), "")
			for i := range mails {
				view := delivertest.View{Text: fmt.Sprintf("Subject: %d-%d\n\n", w, i)}
				if r := tx.Deliver(t.Context(), view, []deliver.Recipient{{Address: "erin"}}); !r[0].Delivered() {
					t.Error(&r[0])
				}
			}
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for _, b := range read(t, dir) {
		_, subject, _ := strings.Cut(string(b), "Subject: ")
		seen[subject] = true
	}
	if len(seen) != workers*mails {
		t.Errorf("%d different messages, want %d", len(seen), workers*mails)
	}
}

// fastDir is for a test that needs many files, not durability: in memory where there is some.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "deliver")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A context that ends in the middle of a message stops it.
func TestContextInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: dir})
	ctx, cancel := context.WithCancel(t.Context())
	view := viewFunc(func(w io.Writer) error {
		cancel()
		_, err := w.Write(make([]byte, 1<<20))
		return err
	})
	if r := m.Begin(ctx, "").Deliver(ctx, view, []deliver.Recipient{{Address: "erin"}}); !r[0].Temporary() || !errors.Is(r[0].Err, context.Canceled) {
		t.Error(&r[0])
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

// THREATS C09: every error of the system is temporary, and shows nothing of it to the sender.
func TestFaultCodes(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOSPC: "4.3.1", syscall.EDQUOT: "4.2.2", syscall.EFBIG: "4.2.2", syscall.EIO: "4.3.0", syscall.EMFILE: "4.3.0",
		syscall.EROFS: "4.3.0", syscall.EACCES: "4.3.0", syscall.ESTALE: "4.3.0", errors.New("unknown"): "4.3.0",
	} {
		m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: t.TempDir()})
		wrapped := &fs.PathError{Op: "write", Path: "/secret", Err: err}
		r := send(t, m, delivertest.View{Err: wrapped}, "erin")[0]
		code, enhanced, text := r.SMTP()
		if enhanced.String() != want || strings.Contains(text, "/") || !errors.Is(r.Err, err) {
			t.Errorf("%v: %v", err, &r)
		}
		if (want == "4.3.0") != (code == 451) {
			t.Errorf("%v: %d", err, code)
		}
	}
}

// A full disk: nothing is left of the message that did not fit, and the next one that fits goes through (C09).
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		need.Missing(t, "mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		need.Missing(t, "mounting a small file system:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: dir})
	large := delivertest.View{Text: "\n" + strings.Repeat("x", 1<<20)}
	if r := send(t, m, large, "erin")[0]; r.Status != (status.Enhanced{Class: 4, Subject: 3, Detail: 1}) {
		t.Error(&r)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	if r := send(t, m, delivertest.View{Text: "\nsmall"}, "erin")[0]; !r.Delivered() {
		t.Error(&r)
	}
}

// Recipients that share a Maildir get a copy each, with the address each was named by.
func TestRecipientsShareNothing(t *testing.T) {
	dir := t.TempDir()
	m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: dir, RecipientDelimiter: "+"})
	results := send(t, m, delivertest.View{Text: "Subject: x\n\n"}, "erin", "ERIN+a", "carol", `"erin"`)
	for _, r := range results {
		if !r.Delivered() {
			t.Error(&r)
		}
	}
	var to []string
	for _, b := range read(t, filepath.Join(dir, "erin")) {
		_, rest, _ := strings.Cut(string(b), "Delivered-To: ")
		line, _, _ := strings.Cut(rest, "\n")
		to = append(to, line)
	}
	slices.Sort(to)
	if want := []string{`"erin"`, "ERIN+a", "erin"}; !slices.Equal(to, want) {
		t.Errorf("erin has mail to %q, want %q", to, want)
	}
}
