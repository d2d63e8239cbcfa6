package prove

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/test/harness"
)

// A dialogue is a connection on which every octet is ours.
type dialogue struct {
	t       *testing.T
	conn    net.Conn
	replies *harness.Replies
}

func dial(t *testing.T, site *harness.Site) *dialogue {
	t.Helper()
	conn, err := net.Dial("unix", site.Path(harness.Socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := &dialogue{t, conn, &harness.Replies{Conn: conn}}
	d.want("220")
	d.say("LHLO client.example\r\n", "250")
	return d
}

func (d *dialogue) want(prefixes ...string) {
	d.t.Helper()
	for i, prefix := range prefixes {
		reply, err := d.replies.Next()
		if err != nil || !strings.HasPrefix(reply, prefix) {
			d.t.Fatalf("reply %d: %q, %v; want %s", i, reply, err, prefix)
		}
	}
}

// say writes octets while the replies are read.
func (d *dialogue) say(octets string, replies ...string) {
	d.t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(d.conn, octets)
		written <- err
	}()
	d.want(replies...)
	if err := <-written; err != nil {
		d.t.Fatal(err)
	}
}

// send hands over what stands between 354 and the final dot, as it is on the wire.
func (d *dialogue) send(local, wire string, replies ...string) {
	d.t.Helper()
	d.say("MAIL FROM:<"+sender+">\r\nRCPT TO:<"+local+"@example.net>\r\nDATA\r\n", "250", "250", "354")
	d.say(wire+".\r\n", replies...)
}

// receivedSite delivers what was received.
func receivedSite(t *testing.T, lmtp string) *harness.Site {
	t.Helper()
	site := harness.NewSite(t, fmt.Sprintf("authserv_id = \"mx.example.net\"\n[lmtp]\nlisten = [\"unix:lmtp.sock\"]\n%s[spool]\ndir = \"spool\"\n", lmtp), nil)
	makeDir(t, site.Path("spool"))
	return site
}

// one returns what was delivered below the fields that delivery adds, which end with its Received field.
func one(t *testing.T, site *harness.Site, local string) []byte {
	t.Helper()
	all := harness.TakeMaildir(t, box(site, local))
	if len(all) != 1 {
		t.Fatalf("%s: %d messages, want 1", local, len(all))
	}
	_, rest, found := bytes.Cut(all[0], []byte("\nReceived: "))
	for found {
		var text []byte
		if text, rest, found = bytes.Cut(rest, []byte("\n")); len(text) == 0 || len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
			break
		}
	}
	_, rest, ok := bytes.Cut(rest, []byte("Authentication-Results: mx.example.net; none\n"))
	if !ok {
		t.Fatalf("%s: %.500q", local, all[0])
	}
	return rest
}

// lf is what stands in a Maildir of what came over the wire: dots taken off, LF for CRLF, and no other octet changed.
func lf(wire string) string {
	wire = strings.ReplaceAll("\r\n"+wire, "\r\n.", "\r\n")
	return strings.ReplaceAll(wire[2:], "\r\n", "\n")
}

// THREATS C01: an end of data is CRLF.CRLF. Whatever looks like one is data, with all that comes after it: one message, and its
// octets.
func TestC01Smuggling(t *testing.T) {
	site := receivedSite(t, "")
	site.Start(t)
	d := dial(t, site)
	const smuggled = "MAIL FROM:<smuggled@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n"
	ends := []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\r\n", "\r\n..\r\n", "\r\n .\r\n", "\r\n. \r\n", "\n\r.\r\n", "\r\n.\r.\r\n"}
	for i, end := range ends {
		wire := "Subject: outer\r\n\r\nouter" + end + smuggled
		d.send(fmt.Sprintf("user%d", i), wire, "250 2.0.0")
		d.say("NOOP\r\n", "250")
		if got := string(one(t, site, fmt.Sprintf("user%d", i))); got != lf(wire) {
			t.Errorf("%q:\n%q, want\n%q", end, got, lf(wire))
		}
	}
	// One octet at a time, and all at once.
	wire := "Subject: slow\r\n\r\nouter\n.\r\n" + smuggled
	d.say("MAIL FROM:<>\r\nRCPT TO:<slow@example.net>\r\nDATA\r\n", "250", "250", "354")
	for _, octet := range []byte(wire + ".\r\n") {
		if _, err := d.conn.Write([]byte{octet}); err != nil {
			t.Fatal(err)
		}
	}
	d.want("250")
	if got := string(one(t, site, "slow")); got != lf(wire) {
		t.Errorf("slow: %q", got)
	}
	d.say("MAIL FROM:<>\r\nRCPT TO:<fast@example.net>\r\nDATA\r\n"+wire+".\r\nNOOP\r\n", "250", "250", "354", "250", "250")
	if got := string(one(t, site, "fast")); got != lf(wire) {
		t.Errorf("fast: %q", got)
	}
	if _, err := os.Stat(box(site, "victim")); !os.IsNotExist(err) {
		t.Errorf("smuggled: %v", err)
	}
}

// THREATS C24: lines of any length, and ends of any kind, arrive octet by octet.
func TestC24Lines(t *testing.T) {
	site := receivedSite(t, "")
	server := site.Start(t)
	d := dial(t, site)
	header := "Subject: lines\r\n\r\n"
	for i, wire := range []string{
		header + strings.Repeat("x", 3000) + "\r\nend\r\n",
		header + strings.Repeat("x", 70_000) + "\r\nend\r\n",
		header + strings.Repeat("0123456789", 5_000_000) + "\r\nend\r\n",
		header + strings.Repeat("x", 65_535) + "\r\n..\r\n",
		"Subject: " + strings.Repeat("x", 70_000) + "\r\n\r\nlong field\r\n",
		header + "ends in CR CRLF\r\r\n",
		header + "\r\r\n",
		header + "bare\rCR and bare\nLF and \x00 and \xff\r\n",
		header + strings.Repeat("\r", 100_000) + "\r\n",
		header + strings.Repeat("\n", 100_000) + "\r\n",
		header + strings.Repeat("..\r\n", 50_000),
		header,
		"no header at all\r\n",
		"",
	} {
		local := fmt.Sprintf("user%d", i)
		d.send(local, wire, "250 2.0.0")
		if got := string(one(t, site, local)); got != lf(wire) {
			t.Errorf("%.60q: %d octets, want %d: %.200q", wire, len(got), len(lf(wire)), got)
		}
	}
	peak, err := harness.Memory(server.PID(), "VmHWM")
	if err != nil {
		t.Fatal(err)
	}
	if peak > 64<<20 {
		t.Errorf("peak of %d octets", peak)
	}
}

// RFC 2920: 5,000 commands in one write have 5,000 replies, in their order, and the one message among them is delivered once.
func TestPipelined(t *testing.T) {
	site := receivedSite(t, "")
	site.Start(t)
	d := dial(t, site)
	var commands strings.Builder
	var replies []string
	for i := range 1249 {
		fmt.Fprintf(&commands, "NOOP\r\nMAIL FROM:<user%d@example.com>\r\nRCPT TO:<user%d@example.net>\r\nRSET\r\n", i, i)
		replies = append(replies, "250 2.0.0 ", "250 2.0.0 ", "250 2.0.0 ", "250 2.0.0 ")
	}
	message := "Subject: one of many\r\n\r\nQUIT\r\nRSET\r\n..\r\n"
	commands.WriteString("MAIL FROM:<" + sender + ">\r\nRCPT TO:<erin@example.net>\r\nRCPT TO:<>\r\nDATA\r\n" + message + ".\r\n")
	replies = append(replies, "250 ", "250 ", "553 ", "354 ", "250 2.0.0 <erin@")
	d.say(commands.String(), replies...)
	d.say("QUIT\r\n", "221")
	if got := string(one(t, site, "erin")); got != lf(message) {
		t.Errorf("%q", got)
	}
	boxes, err := filepath.Glob(box(site, "*"))
	if err != nil || len(boxes) != 1 {
		t.Errorf("Maildirs %q, %v", boxes, err)
	}
}

// THREATS C28: a message of exactly the size allowed is taken; with one octet more it is refused for all, whole, and nothing is kept
// of it.
func TestC28Limit(t *testing.T) {
	const limit = 64 << 10
	site := receivedSite(t, "max_message_size = \"64KiB\"\n")
	site.Start(t)
	d := dial(t, site)
	header := "Subject: size\r\n\r\n"
	exact := header + strings.Repeat("x", limit-len(header)-2) + "\r\n"
	d.send("erin", exact, "250 2.0.0")
	if got := string(one(t, site, "erin")); got != lf(exact) {
		t.Errorf("%d octets", len(got))
	}
	d.send("frank", "x"+exact, "552 5.3.4")
	d.say("MAIL FROM:<a@example.com> SIZE=65537\r\nMAIL FROM:<a@example.com> SIZE=65536\r\nRSET\r\n", "552 5.3.4", "250", "250")
	nothing(t, site)
}

// THREATS C05: DATA without a recipient, or before one, is refused, and the client is never left waiting.
func TestC05NoRecipient(t *testing.T) {
	site := receivedSite(t, "")
	site.Start(t)
	d := dial(t, site)
	d.say("DATA\r\nMAIL FROM:<>\r\nDATA\r\nRCPT TO:<a/../b@example.net>\r\nRCPT TO:<nobody>\r\nDATA\r\nNOOP\r\nRSET\r\n",
		"503", "250", "503", "5", "5", "503", "250", "250")
	d.say("MAIL FROM:<>\r\nRCPT TO:<erin@example.net>\r\nRCPT TO:<erin@example.net>\r\nDATA\r\n", "250", "250", "250", "354")
	d.say("Subject: twice\r\n\r\n.\r\n", "250 2.0.0 <erin@", "250 2.0.0 <erin@")
	if n := len(harness.TakeMaildir(t, box(site, "erin"))); n != 2 {
		t.Errorf("%d messages for one recipient named twice", n)
	}
}
