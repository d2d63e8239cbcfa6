package postfix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A letter is one message on its way.
type letter struct {
	id      string // without brackets; of the Message-ID
	to      []string
	queueID string
	text    []byte
}

var letters atomic.Int64

// newLetter gives a message, whose Message-ID it replaces if there is one, an identity of its own.
func newLetter(text []byte, to ...string) *letter {
	id := fmt.Sprintf("letter.%d@sales.example.com", letters.Add(1))
	field := []byte("Message-ID: <" + id + ">\r\n")
	if messageID.Match(text) {
		text = messageID.ReplaceAll(text, field)
	} else {
		text = append(field, text...)
	}
	return &letter{id: id, to: to, text: text}
}

var messageID = regexp.MustCompile(`(?m)\AMessage-ID: .*\r\n|^Message-ID: <fig.*\r\n`)

const sender = "alice@sales.example.com"

// submit gives a message to smtpd.
func (l *lab) submit(t *testing.T, from string, m *letter) {
	t.Helper()
	if err := l.give(from, m); err != nil {
		t.Fatal(err)
	}
}

// give gives a message to smtpd, on a socket of the instance instead of a port.
func (l *lab) give(from string, m *letter) error {
	conn, err := net.DialTimeout("unix", l.path("spool", "public", "submit"), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	d := dialogue{c: textproto.NewConn(conn)}
	d.expect(220)
	d.ask(250, "EHLO client.example.com")
	d.ask(250, "MAIL FROM:<"+from+"> BODY=8BITMIME")
	for _, to := range m.to {
		d.ask(250, "RCPT TO:<"+to+">")
	}
	d.ask(354, "DATA")
	if d.err == nil {
		_, d.err = conn.Write(stuff(m.text))
	}
	reply := d.expect(250)
	d.ask(221, "QUIT")
	if _, m.queueID, _ = strings.Cut(reply, "queued as "); m.queueID == "" && d.err == nil {
		d.err = fmt.Errorf("no queue id in %q", reply)
	}
	return d.err
}

// A dialogue goes on until its first error.
type dialogue struct {
	c   *textproto.Conn
	err error
}

func (d *dialogue) ask(code int, line string) {
	if d.err == nil {
		d.err = d.c.PrintfLine("%s", line)
	}
	d.expect(code)
}

func (d *dialogue) expect(code int) (reply string) {
	if d.err == nil {
		_, reply, d.err = d.c.ReadResponse(code)
	}
	return reply
}

// stuff is the text with a dot more before every dot at the beginning of a line, and the last line.
func stuff(text []byte) []byte {
	text = bytes.ReplaceAll(append([]byte("\r\n"), text...), []byte("\r\n."), []byte("\r\n.."))[2:]
	if !bytes.HasSuffix(text, []byte("\r\n")) {
		text = append(text, "\r\n"...)
	}
	return append(text, ".\r\n"...)
}

// sendmail gives a message to sendmail(1), which takes lines that SMTP cannot carry.
func (l *lab) sendmail(t *testing.T, from string, m *letter) {
	t.Helper()
	cmd := exec.Command("/usr/sbin/sendmail", append([]string{"-C", l.path("etc"), "-i", "-f", from, "--"}, m.to...)...)
	cmd.Stdin = bytes.NewReader(m.text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	line := regexp.MustCompile(`: (\w+): message-id=<` + regexp.QuoteMeta(m.id) + ">")
	if err := within(patience, func() error {
		log, err := os.ReadFile(l.path("log", "maillog"))
		if err != nil {
			return err
		}
		found := line.FindSubmatch(log)
		if found == nil {
			return errors.New("sendmail: message not picked up")
		}
		m.queueID = string(found[1])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// An attempt is what the log of Postfix says about one recipient.
type attempt struct {
	queueID, to, dsn, status, text string
}

var attemptLine = regexp.MustCompile(`: (\w+): to=<([^>]*)>, .*dsn=([0-9.]+), status=(\w+) \((.*)\)$`)

// attempts are all that the log has.
func (l *lab) attempts() ([]attempt, error) {
	f, err := os.Open(l.path("log", "maillog"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []attempt
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m := attemptLine.FindStringSubmatch(lines.Text()); m != nil {
			list = append(list, attempt{m[1], m[2], m[3], m[4], m[5]})
		}
	}
	return list, lines.Err()
}

// last returns the newest attempt for each recipient of a letter.
func last(list []attempt, m *letter) map[string]attempt {
	found := map[string]attempt{}
	for _, a := range list {
		if a.queueID == m.queueID {
			found[a.to] = a
		}
	}
	return found
}

// await waits until the last attempt for every recipient of every letter has the given status. On the way to "sent" it
// has Postfix try again what was deferred. Anything else than "deferred" and "sent" ends the wait.
func (l *lab) await(t *testing.T, status string, letters ...*letter) {
	t.Helper()
	flushed := time.Time{}
	err := within(patience, func() error {
		if status == "sent" && time.Since(flushed) > time.Second {
			if err := l.flush(); err != nil {
				return err
			}
			flushed = time.Now()
		}
		list, err := l.attempts()
		if err != nil {
			return err
		}
		for _, m := range letters {
			found := last(list, m)
			for _, to := range m.to {
				switch a := found[to]; a.status {
				case status:
				case "bounced", "expired":
					t.Fatalf("%s: %+v", m.queueID, a)
				default:
					return fmt.Errorf("%s to %s is not %s; last attempt: %+v", m.queueID, to, status, a)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bounced is what every test here is about: nothing may be.
func (l *lab) bounced() error {
	list, err := l.attempts()
	err = ignoreMissing(err) // the log of a Postfix that never ran
	for _, a := range list {
		if a.status != "sent" && a.status != "deferred" {
			err = errors.Join(err, fmt.Errorf("not deferred: %+v", a))
		}
	}
	return err
}

// deferred waits for the letter to be deferred and returns what Postfix logged of it.
func (l *lab) deferred(t *testing.T, m *letter) attempt {
	t.Helper()
	l.await(t, "deferred", m)
	list, err := l.attempts()
	if err != nil {
		t.Fatal(err)
	}
	return last(list, m)[m.to[0]]
}

// A delivered file is one in new/ of any Maildir in the lab.
type delivered struct{ path, text string }

// arrived returns the files that hold the message.
func (l *lab) arrived(t *testing.T, m *letter) []delivered {
	t.Helper()
	var files []delivered
	mark := []byte("\nMessage-ID: <" + m.id + ">")
	for _, dir := range []string{"home", "vmail", "mail", "site"} {
		err := filepath.WalkDir(l.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != "new" {
				return ignoreMissing(err)
			}
			text, err := os.ReadFile(path)
			if bytes.Contains(text, mark) {
				files = append(files, delivered{path, string(text)})
			}
			return ignoreMissing(err)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// ignoreMissing is for directories that change while they are walked.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// one returns the one file that holds the message.
func (l *lab) one(t *testing.T, m *letter) delivered {
	t.Helper()
	files := l.arrived(t, m)
	if len(files) != 1 {
		t.Fatalf("%s: arrived %d times: %q", m.to, len(files), files)
	}
	return files[0]
}

// field returns the body of a header field of the delivered message, unfolded; the empty string if there is none.
func (d delivered) field(name string) string {
	found := d.fields(name)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

func (d delivered) fields(name string) []string {
	header, _, _ := strings.Cut(d.text, "\n\n")
	header = regexp.MustCompile(`\n[ \t]+`).ReplaceAllString(header, " ")
	var found []string
	for line := range strings.SplitSeq(header, "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			found = append(found, strings.TrimSpace(value))
		}
	}
	return found
}

func (d delivered) body() string {
	_, body, _ := strings.Cut(d.text, "\n\n")
	return body
}
