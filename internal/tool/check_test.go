package tool

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperknife/internal/trust"
)

func hexString(b []byte) string { return hex.EncodeToString(b) }

func certs(t *testing.T, file string) []*x509.Certificate {
	t.Helper()
	list, err := trust.LoadAnchors(file)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// edit replaces a text of the configuration.
func edit(old, new string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, fileConfig)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("no %q in the configuration", old)
		}
		write(t, path, strings.Replace(string(data), old, new, 1), 0o640)
	}
}

// check runs the command without the Postfix of this host.
func check(t *testing.T, dir string, o CheckOptions) (string, error) {
	t.Helper()
	o.Config = filepath.Join(dir, fileConfig)
	if o.Now.IsZero() {
		o.Now = judged
	}
	if o.Postfix == "" {
		o.Postfix = t.TempDir()
		write(t, filepath.Join(o.Postfix, "main.cf"), "lmtp_line_length_limit = 0\n", 0o644)
	}
	var out bytes.Buffer
	err := Check(o, &out)
	return strings.ReplaceAll(out.String(), dir, "DIR"), err
}

// Every fault is found, with the line of the key that names it and what to do; an error fails, a warning does not.
func TestCheck(t *testing.T) {
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(name, text string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, filepath.Join(dir, name), text, mode) }
	}
	key := func(mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, fileDCAKey), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(next time.Time) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			writeCRL(t, dir, next)
			edit("[trust]", "[trust]\ncrl_dir = \"crls\"")(t, dir)
		}
	}
	const keys, trusted = `keys = [{ cert = "dca.pem", key = "dca.key" }]`, `domain_anchors = ["ca.pem"]`
	for _, test := range []struct {
		name   string
		change func(*testing.T, string)
		now    time.Time
		want   string // the beginning of a line; empty: nothing is found
	}{
		{name: "all is well", change: func(*testing.T, string) {}},
		{name: "no configuration", change: remove(fileConfig), want: "error: DIR/paperknife.toml: no such file or directory"},
		{name: "configuration for everybody", change: func(t *testing.T, dir string) { file(fileConfig, read(t, dir, fileConfig), 0o646)(t, dir) }, want: "error: DIR/paperknife.toml: everybody may change"},
		{name: "no TOML", change: edit("[mua]", "[mua"), want: "error: DIR/paperknife.toml:25: trust: "},
		{name: "unknown key", change: edit("default =", "defualt ="), want: "error: DIR/paperknife.toml:<defualt>: mua.defualt: unknown key"},
		{name: "without effect", change: edit("[mua]", "[dns]\nserver = \"127.0.0.1:53\"\n[mua]"), want: "warning: DIR/paperknife.toml:<server>: dns.server: dns.server is accepted"},
		{name: "no domain", change: edit(keys, ""), want: "warning: DIR/paperknife.toml:<[[domain>: domain: domain example.net has no keys"},
		{name: "no certificate", change: remove(fileDCA), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: no such file"},
		{name: "no key", change: remove(fileDCAKey), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.key: no such file"},
		{name: "no certificate in it", change: file(fileDCA, "x", 0o640), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: no certificate"},
		{name: "no key in it", change: file(fileDCAKey, "x", 0o600), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.key: no private key"},
		{name: "another key", change: edit(`key = "dca.key"`, `key = "signer.key"`), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/signer.key: the private key is not the one"},
		{name: "a signing certificate", change: edit(keys, `keys = [{ cert = "signer.pem", key = "signer.key" }]`), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/signer.pem: key usage lacks keyEncipherment"},
		{name: "twice", change: edit(keys, `keys = [{ cert = "dca.pem", key = "dca.key" }, { cert = "dca.pem", key = "dca.key" }]`), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: "},
		{name: "key for everybody", change: key(0o604), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.key: everybody may read"},
		{name: "key for writers", change: key(0o660), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.key: others may change"},
		{name: "key for a group", change: key(0o640)},
		{name: "expired", change: func(*testing.T, string) {}, now: judged.AddDate(3, 0, 0), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: certificate expired"},
		{name: "not yet", change: func(*testing.T, string) {}, now: judged.AddDate(-1, 0, 0), want: "error: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: certificate is not valid before"},
		{name: "soon", change: func(*testing.T, string) {}, now: judged.AddDate(2, -1, -15), want: "warning: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: certificate expires"},
		{name: "signer soon", change: func(*testing.T, string) {}, now: judged.AddDate(2, -1, -15), want: "warning: DIR/signer.pem: certificate expires"},
		{name: "signer for everybody", change: func(t *testing.T, dir string) { file(fileSignerKey, read(t, dir, fileSignerKey), 0o644)(t, dir) }, want: "error: DIR/signer.key: others may use"},
		{name: "signer without key", change: remove(fileSignerKey), want: "warning: DIR/signer.pem: cannot sign for the domain"},
		{name: "no signer", change: remove(fileSigner)},
		{name: "D31", change: edit(`name = "example.net"`, `name = "example.org"`), want: "warning: DIR/paperknife.toml:<keys =>: domain.keys: DIR/dca.pem: certificate has neither the dNSName example.org"},
		{name: "no anchors file", change: edit(trusted, `domain_anchors = ["none.pem"]`), want: "error: DIR/paperknife.toml:<domain_anchors>: trust.domain_anchors: DIR/none.pem: no such file"},
		{name: "no anchor in it", change: edit(trusted, `domain_anchors = ["dca.key"]`), want: "error: DIR/paperknife.toml:<domain_anchors>: trust.domain_anchors: DIR/dca.key: "},
		{name: "no CA", change: edit(trusted, `domain_anchors = ["signer.pem"]`), want: "warning: DIR/paperknife.toml:<domain_anchors>: trust.domain_anchors: DIR/signer.pem: anchor \"CN=example.net signing\" is no CA"},
		{name: "anchor expired", change: func(*testing.T, string) {}, now: judged.AddDate(11, 0, 0), want: "warning: DIR/paperknife.toml:<domain_anchors>: trust.domain_anchors: DIR/ca.pem: anchor \"CN=Domain CA of example.net\" expired"},
		{name: "no anchors", change: edit(trusted, "domain_anchors = []"), want: "warning: DIR/paperknife.toml:<[trust>: trust: trust names no anchors"},
		{name: "no CRL directory", change: edit("[trust]", "[trust]\ncrl_dir = \"crls\""), want: "error: DIR/paperknife.toml:<crl_dir>: trust.crl_dir: DIR/crls: no such file"},
		{name: "CRL", change: list(judged.Add(time.Hour))},
		{name: "CRL of last year", change: list(judged.AddDate(-1, 0, 0)), want: "warning: DIR/paperknife.toml:<crl_dir>: trust.crl_dir: DIR/crls: the list of \"CN=Domain CA of example.net\" was due"},
		{name: "no spool", change: edit("[mua]", "[spool]\ndir = \"none\"\n[mua]"), want: "error: DIR/paperknife.toml:<dir =>: spool.dir: DIR/none: a message cannot be kept there: no such file"},
		{name: "no room", change: edit("[lmtp]", "[lmtp]\nmax_message_size = \"8000000GiB\""), want: "warning: DIR/paperknife.toml: spool.dir: /var/tmp: has no room"},
		{name: "maildir in a file", change: edit(`maildir = "mail/`, `maildir = "ca.pem/`), want: "error: DIR/paperknife.toml:<maildir>: deliver.maildir: DIR/ca.pem: DIR/ca.pem: not a directory"},
		{name: "maildir nowhere", change: edit(`maildir = "mail/`, `maildir = "/proc/mail/`), want: "error: DIR/paperknife.toml:<maildir>: deliver.maildir: /proc/mail: mail cannot be written there: /proc: "},
		{name: "quarantine in a file", change: edit("[mua]", "[policy]\nquarantine = \"ca.pem\"\n[mua]"), want: "error: DIR/paperknife.toml:<quarantine>: policy.quarantine: DIR/ca.pem: "},
		{name: "no socket directory", change: edit("unix:lmtp.sock", "unix:none/lmtp.sock"), want: "error: DIR/paperknife.toml:<listen>: lmtp.listen: DIR/none: no such file"},
		{name: "socket in a file", change: edit("unix:lmtp.sock", "unix:ca.pem/lmtp.sock"), want: "error: DIR/paperknife.toml:<listen>: lmtp.listen: DIR/ca.pem: is no directory"},
		{name: "no socket", change: edit("unix:lmtp.sock", "unix:ca.pem"), want: "error: DIR/paperknife.toml:<listen>: lmtp.listen: DIR/ca.pem: exists and is no socket"},
		{name: "socket for all", change: edit("unix:lmtp.sock", "unix:/tmp/paperknife-check.sock"), want: "warning: DIR/paperknife.toml:<listen>: lmtp.listen: /tmp: everybody may put a socket"},
		{name: "loopback", change: edit("unix:lmtp.sock", "127.0.0.1:0")},
		{name: "to the world", change: edit("unix:lmtp.sock", "0.0.0.0:0"), want: "warning: DIR/paperknife.toml:<listen>: lmtp.listen: 0.0.0.0:0: whoever reaches"},
		{name: "another host's address", change: edit("unix:lmtp.sock", "192.0.2.1:2424"), want: "error: DIR/paperknife.toml:<listen>: lmtp.listen: 192.0.2.1:2424: cannot listen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := installed(t)
			test.change(t, dir)
			test.want = lineNumbers(dir, test.want)
			out, err := check(t, dir, CheckOptions{Now: test.now})
			again, _ := check(t, dir, CheckOptions{Now: test.now})
			if steady(out) != steady(again) {
				t.Errorf("not the same twice:\n%s\n%s", out, again)
			}
			if wantErr := strings.HasPrefix(test.want, "error"); wantErr != errors.Is(err, errFound) {
				if !(err != nil && strings.HasPrefix(test.want, "warning") && test.now != time.Time{}) {
					t.Errorf("%v:\n%s", err, out)
				}
			}
			if test.want == "" && strings.Contains(out, "fix: ") {
				t.Errorf("%s", out)
			}
			if !strings.Contains("\n"+out, "\n"+test.want) {
				t.Errorf("no line begins with %q:\n%s", test.want, out)
			}
			if n := strings.Count(out, "\nerror: ") + strings.Count(out, "\nwarning: "); n+1 < strings.Count("\n"+out, "\n    fix: ") {
				t.Errorf("a fix is missing:\n%s", out)
			}
		})
	}
}

// lineNumbers puts for each <text> the number of the first line of the configuration that begins with it.
func lineNumbers(dir, want string) string {
	data, err := os.ReadFile(filepath.Join(dir, fileConfig))
	if err != nil {
		return want
	}
	return regexp.MustCompile(`<[^>]*>`).ReplaceAllStringFunc(want, func(place string) string {
		before, _, _ := strings.Cut("\n"+string(data), "\n"+strings.Trim(place, "<>"))
		return strconv.Itoa(strings.Count(before, "\n") + 1)
	})
}

// steady takes out the directory of main.cf, which is new every time.
func steady(out string) string {
	var lines []string
	for _, line := range strings.Split(out, "\n") {
		if !strings.HasPrefix(line, "checked: Postfix") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeCRL(t *testing.T, dir string, next time.Time) {
	t.Helper()
	ca, err := readPair(filepath.Join(dir, fileCA), filepath.Join(dir, fileCAKey))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: next.AddDate(0, -1, 0), NextUpdate: next}, ca.Certificate, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "crls"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "crls", "ca.crl"), string(der), 0o644)
}

// All that is wrong is told at once, each with what to do, in the order of the lines.
func TestCheckTellsAllAtOnce(t *testing.T) {
	dir := installed(t)
	for _, change := range [][2]string{{"default =", "defualt ="}, {`= ["ca.pem"]`, `= ["none.pem"]`}, {"unix:lmtp.sock", "unix:none/lmtp.sock"}} {
		edit(change[0], change[1])(t, dir)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, fileDCAKey)), os.Remove(filepath.Join(dir, fileSignerKey))); err != nil {
		t.Fatal(err)
	}
	out, err := check(t, dir, CheckOptions{})
	if !errors.Is(err, errFound) {
		t.Error(err)
	}
	var found []string
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "warning: ") {
			found = append(found, strings.Join(strings.SplitN(line, ": ", 4)[:3], ": "))
		}
	}
	want := []string{"error: DIR/paperknife.toml:<listen>: lmtp.listen", "error: DIR/paperknife.toml:<keys =>: domain.keys",
		"error: DIR/paperknife.toml:<domain_anchors>: trust.domain_anchors", "error: DIR/paperknife.toml:<defualt>: mua.defualt", "warning: DIR/signer.pem: cannot sign for the domain"}
	if strings.Join(found, "\n") != lineNumbers(dir, strings.Join(want, "\n")) {
		t.Errorf("found %q", found)
	}
	if !strings.Contains(out, "4 errors, 1 warning\n") || strings.Count(out, "    fix: ") != 5 {
		t.Errorf("%s", out)
	}
}

func TestCheckJSON(t *testing.T) {
	dir := installed(t)
	out, err := check(t, dir, CheckOptions{JSON: true})
	var got struct {
		File     string
		OK       bool
		Findings []Finding
	}
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || !got.OK || got.Findings == nil || len(got.Findings) != 0 || got.File != "DIR/paperknife.toml" {
		t.Errorf("%v %+v", err, got)
	}
	edit("default =", "defualt =")(t, dir)
	out, err = check(t, dir, CheckOptions{JSON: true})
	if !errors.Is(err, errFound) || json.Unmarshal([]byte(out), &got) != nil || got.OK || len(got.Findings) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	if f := got.Findings[0]; f.Severity != "error" || f.Line != 28 || f.Key != "mua.defualt" || f.Text != "unknown key" || f.Fix == "" || f.File != "DIR/paperknife.toml" {
		t.Errorf("%+v", f)
	}
}

// What is known to break mail on the way from Postfix.
func TestCheckPostfix(t *testing.T) {
	const good = "myhostname = mx.example.net\nlmtp_line_length_limit = 0\n"
	for _, test := range []struct{ name, main, opendkim, want string }{
		{"good", good + "virtual_transport = lmtp:unix:private/paperknife\nsmtpd_milters = inet:localhost:8891\n", "AuthservID mx.example.net\n", ""},
		{"default line length", "# lmtp_line_length_limit = 0\n", "", "main.cf: lmtp_line_length_limit: is 998 by default"},
		{"line length", "x = y\nlmtp_line_length_limit =\n  998\n", "", "main.cf:2: lmtp_line_length_limit: is 998"},
		{"inet twice", good + "virtual_transport = lmtp:inet:[a]:24,\n  inet:[b]:24\n", "", "main.cf:3: virtual_transport: has inet: before more than one host"},
		{"inet once", good + "virtual_transport = lmtp:inet:[a]:24, [b]:24\n", "", ""},
		{"our name", "myhostname = PAPERKNIFE.example.net\nsmtpd_milters = x\nlmtp_line_length_limit = 0\n", "", "main.cf:1: myhostname: is our authserv_id"},
		{"our name without milters", "myhostname = paperknife.example.net\nlmtp_line_length_limit = 0\n", "", ""},
		{"opendkim", good + "smtpd_milters = x\n", "# x\nAuthservID paperknife.example.net.\n", "opendkim.conf:2: AuthservID: is our authserv_id"},
		{"opendkim by host", "myhostname = paperknife.example.net\nsmtpd_milters = x\nlmtp_line_length_limit = 0\n", "AuthservID HOSTNAME\n", "opendkim.conf:1: AuthservID: is our authserv_id"},
		{"delimiter", good + "recipient_delimiter = -\n", "", "main.cf:3: recipient_delimiter: is \"-\", ours is \"+\""},
		{"missing", "", "", "main.cf: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, etc := installed(t), t.TempDir()
			postfix := filepath.Join(etc, "postfix")
			if err := os.Mkdir(postfix, 0o755); err != nil {
				t.Fatal(err)
			}
			if test.main != "" {
				write(t, filepath.Join(postfix, "main.cf"), test.main, 0o644)
			}
			write(t, filepath.Join(etc, "opendkim.conf"), test.opendkim, 0o644)
			out, err := check(t, dir, CheckOptions{Postfix: postfix})
			if err != nil || test.want == "" && strings.Contains(out, "warning: ") || !strings.Contains(out, test.want) {
				t.Errorf("%v, want %q:\n%s", err, test.want, out)
			}
		})
	}
}

func FuzzMainCF(f *testing.F) {
	f.Add("a = b\n c\n# d\n\n  e = f\nmyhostname=x")
	f.Add(" continued first\n=\n==\n\t\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, p := range parseMainCF(text) {
			if p.line < 1 || p.line > strings.Count(text, "\n")+1 || strings.ContainsAny(name, "\n=") || strings.Contains(p.value, "\n") {
				t.Errorf("%q: %+v", name, p)
			}
		}
	})
}
