// Package path_test sends mail through the built programs, in at the socket of a running lmtpd or at the standard input
// of deliver-filter and out in a Maildir or at standard output, for recipients of all four classes, and holds what comes
// out against what was sent. The mail is made by the openssl command, which makes the certificates too.
package path_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperknife/test/harness"
	"paperknife/test/testpki"
	"paperknife/verifyhdr"
)

type suite struct{ m *testing.M }

func (s suite) Run() int { return testpki.Main(s.m) }

func TestMain(m *testing.M) { os.Exit(harness.Main(suite{m})) }

// authservID is ours in every test.
const authservID = "mx.example.net"

// classes are those of [mua]; each is also the local part of a recipient of that class.
var classes = []string{"received", "capable", "unknown", "incapable"}

const config = `authserv_id = "` + authservID + `"
trusted_authserv_ids = ["upstream.example.net"]

` + harness.Listen + `
[[domain]]
name = "example.net"
keys = [{ cert = "dca.example.net.pem", key = "dca.example.net.key" }]

[[domain]]
name = "example.org"
keys = [{ cert = "dca.example.org.pem", key = "dca.example.org.key" }]

[trust]
domain_anchors = ["domain-ca.pem"]
person_anchors = ["person-ca.pem"]

[mua]
default = "incapable"

[mua.users]
`

// newSite makes a site with two domains and users of every class in three, the third of which has no keys.
func newSite(t *testing.T, p *testpki.PKI, more string) *harness.Site {
	t.Helper()
	var users strings.Builder
	for _, domain := range []string{"example.net", "example.org", "elsewhere.example"} {
		for _, class := range classes {
			fmt.Fprintf(&users, "%q = %q\n", class+"@"+domain, class)
		}
	}
	files := map[string][]byte{}
	for _, name := range []string{testpki.DCANet, testpki.DCAOrg} {
		files[name+".pem"], files[name+".key"] = p.Certificate(t, name), p.Key(t, name)
	}
	for _, name := range []string{testpki.DomainCA, testpki.PersonCA} {
		files[name+".pem"] = p.Certificate(t, name)
	}
	return harness.NewSite(t, config+users.String()+more, files)
}

const sender = "alice@sales.example.com"

// addresses returns the recipients of all classes in a domain.
func addresses(domain string) []string {
	var list []string
	for _, class := range classes {
		list = append(list, class+"@"+domain)
	}
	return list
}

// A way is a way in and out. Each returns one delivered message for every address.
type way struct {
	name string
	send func(*testing.T, *harness.Site, []byte, []string) [][]byte
}

var ways = []way{{"lmtp", sendLMTP}, {"stdout", sendStdout}, {"maildir", sendMaildir}}

// sendLMTP sends to all addresses in one transaction.
func sendLMTP(t *testing.T, site *harness.Site, message []byte, to []string) [][]byte {
	t.Helper()
	client := site.Dial(t)
	for i, reply := range client.Deliver(sender, to, message) {
		if !strings.HasPrefix(reply, "250 2.0.0 ") || strings.Count(reply, "\n") != 1 {
			t.Errorf("%s: reply %q", to[i], reply)
		}
	}
	client.Quit()
	var out [][]byte
	for _, address := range to {
		out = append(out, site.Take(t, address))
	}
	return out
}

func sendStdout(t *testing.T, site *harness.Site, message []byte, to []string) [][]byte {
	t.Helper()
	var out [][]byte
	for _, address := range to {
		end := site.Filter(t, message, "-d", address, "-f", sender)
		if end.Code != 0 || len(end.Stderr) > 0 || len(end.Stdout) == 0 {
			t.Fatalf("%s: exit code %d, standard error %q, %d octets of output", address, end.Code, end.Stderr, len(end.Stdout))
		}
		out = append(out, end.Stdout)
	}
	return out
}

func sendMaildir(t *testing.T, site *harness.Site, message []byte, to []string) [][]byte {
	t.Helper()
	var out [][]byte
	box := site.Path("box")
	for _, address := range to {
		end := site.Filter(t, message, "-d", address, "-f", sender, "-maildir", box)
		if end.Code != 0 || len(end.Stderr) > 0 || len(end.Stdout) > 0 {
			t.Fatalf("%s: exit code %d, standard error %q, output %q", address, end.Code, end.Stderr, end.Stdout)
		}
		all := harness.TakeMaildir(t, box)
		if len(all) != 1 {
			t.Fatalf("%s: %d messages in the Maildir", address, len(all))
		}
		out = append(out, all[0])
	}
	return out
}

// A delivery is a delivered message, taken apart. All line ends are LF.
type delivery struct {
	fields []harness.Field
	body   []byte
	ours   []harness.Field // what was added on top
	rest   []harness.Field // what was received, Content-* fields as they are now
}

// added are the fields that may be put on top.
var added = []string{"return-path", "delivered-to", "received", "authentication-results", "x-unwrapped", "domsec-flag"}

// takeApart checks what holds for every delivery: whatever was received is there, in its order and octet for octet, but
// for fields in gone and for Content-* fields; above it stands nothing but what we add. A received field in changed is
// expected with that text.
func takeApart(t *testing.T, delivered, received []byte, gone func(harness.Field) bool, changed map[string]string) delivery {
	t.Helper()
	if bytes.Contains(delivered, []byte("\r\n")) && bytes.Count(delivered, []byte("\r\n")) != bytes.Count(delivered, []byte("\n")) {
		t.Errorf("mixed line ends:\n%q", delivered)
	}
	var d delivery
	d.fields, d.body = harness.Split(harness.LF(delivered))
	before, _ := harness.Split(harness.LF(received))
	var want []string
	for _, f := range before {
		if text, ok := changed[strings.ToLower(f.Name)]; ok {
			want = append(want, text)
		} else if !isContent(f) && (gone == nil || !gone(f)) {
			want = append(want, f.Raw)
		}
	}
	versioned := len(harness.Find(before, "MIME-Version")) > 0
	at := len(d.fields)
	for n := len(want); at > 0 && n > 0; at-- {
		if f := d.fields[at-1]; !isContent(f) && (versioned || f.Raw != "MIME-Version: 1.0\n") {
			if n--; d.fields[at-1].Raw != want[n] {
				t.Errorf("field %q, want %q", d.fields[at-1].Raw, want[n])
			}
		}
	}
	d.ours, d.rest = d.fields[:at], d.fields[at:]
	for _, f := range d.ours {
		if !slices.Contains(added, strings.ToLower(f.Name)) {
			t.Errorf("added: %q", f.Raw)
		}
	}
	return d
}

func isContent(f harness.Field) bool { return strings.HasPrefix(strings.ToLower(f.Name), "content-") }

// entity returns the Content-* fields and the body of a delivery, or of any message.
func (d delivery) entity() string { return contentOf(d.rest, d.body) }

func entityOf(message []byte) string { return contentOf(harness.Split(harness.LF(message))) }

func contentOf(fields []harness.Field, body []byte) string {
	var b strings.Builder
	for _, f := range fields {
		if isContent(f) {
			b.WriteString(f.Raw)
		}
	}
	return b.String() + "\n" + string(body)
}

// trace returns the value of X-Unwrapped, "" when there is none; more than one fails the test.
func (d delivery) trace(t *testing.T) string {
	t.Helper()
	found := harness.Find(d.fields, "X-Unwrapped")
	if len(found) > 1 {
		t.Errorf("%d trace fields", len(found))
	}
	if len(found) == 0 {
		return ""
	}
	return found[0].Value()
}

// results parses the Authentication-Results on top and returns one line per result. The field with registered methods
// comes first, "none" when it has none; another with private ones may follow. No other field may claim to be ours.
func (d delivery) results(t *testing.T) []string { return d.linesAt(t, true) }

// linesAt is results for messages signed just now, or at any time.
func (d delivery) linesAt(t *testing.T, now bool) []string {
	t.Helper()
	var lines []string
	fields := harness.Find(d.ours, "Authentication-Results")
	if len(fields) < 1 || len(fields) > 2 {
		t.Errorf("%d Authentication-Results of ours", len(fields))
	}
	for i, f := range fields {
		if first, _, _ := strings.Cut(f.Raw, "\n"); !strings.HasPrefix(first, "Authentication-Results: "+authservID) {
			t.Errorf("the first line names no authserv-id: %q", f.Raw)
		}
		a, err := verifyhdr.ParseAuthenticationResults([]byte(f.Raw))
		if err != nil || a.AuthservID != authservID {
			t.Errorf("%q: %v", f.Raw, err)
			continue
		}
		if i > 0 && len(a.Results) == 0 {
			t.Errorf("second field without a result: %q", f.Raw)
		}
		for _, r := range a.Results {
			if strings.HasPrefix(r.Method, "x-") != (i > 0) {
				t.Errorf("%s in field %d", r.Method, i+1)
			}
			lines = append(lines, line(t, r, now))
		}
	}
	for _, f := range harness.Find(d.rest, "Authentication-Results") {
		if verifyhdr.Claims([]byte(f.Raw), authservID) && !verifyhdr.Trusted([]byte(f.Raw), []string{"upstream.example.net"}, authservID) {
			t.Errorf("left: %q", f.Raw)
		}
	}
	return lines
}

// line writes a result in one line. The time of signing, which openssl takes from the clock, is checked and left out.
func line(t *testing.T, r verifyhdr.ResInfo, now bool) string {
	t.Helper()
	s := r.Method + "=" + r.Result
	if r.Reason != "" {
		s += fmt.Sprintf(" reason=%q", r.Reason)
	}
	for _, p := range r.Properties {
		if p.Type+"."+p.Name == "policy.signed-at" {
			at, err := time.Parse(time.RFC3339, p.Value)
			if err != nil || now && time.Since(at).Abs() > time.Hour {
				t.Errorf("signed at %q: %v", p.Value, err)
			}
			continue
		}
		s += " " + p.Type + "." + p.Name + "=" + p.Value
	}
	return s
}

// equalLines compares results.
func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("results\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// passes reports whether any result of S/MIME or of a domain signature is a pass.
func passes(lines []string) bool {
	return slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "smime=pass") || strings.HasPrefix(l, "x-domsec=pass")
	})
}

// verify lets openssl verify a message that is signed by one of ours, and returns what it says was signed.
func verify(t *testing.T, p *testpki.PKI, message []byte) (string, error) {
	t.Helper()
	content := filepath.Join(t.TempDir(), "content")
	_, err := p.OpenSSL(harness.CRLF(message), "cms", "-verify", "-CAfile", testpki.Anchors+".pem", "-purpose", "any", "-out", content)
	if err != nil {
		return "", err
	}
	signed, err := os.ReadFile(content)
	return string(harness.LF(signed)), err
}
