package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the .want files anew")

// Every class of fault is found, all of one file at once, with its line.
func TestLoadBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		c, err := Load(file)
		var problems Problems
		if c != nil || !errors.As(err, &problems) {
			t.Errorf("%s: got %v, error %v", file, c, err)
			continue
		}
		dir, err := filepath.Abs(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(problems.Error(), dir+"/", "") + "\n"
		golden := strings.TrimSuffix(file, ".toml") + ".want"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n got:\n%s\nwant:\n%s", file, got, want)
		}
	}
}

func TestLoadGood(t *testing.T) {
	dir, err := filepath.Abs("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }

	least := Default()
	least.File = in("least.toml")
	least.Domains = []Domain{{"example.net", []Key{{Cert: in("dca.pem"), Key: in("dca.key")}}}}
	least.Trust.DomainAnchors = []string{in("partners.pem")}
	least.Policy.Quarantine = in("quarantine")
	least.Deliver.Maildir = in("mail/{domain}/{local}")

	full := &Config{
		File:               in("full.toml"),
		AuthservID:         "mx.example.net",
		TrustedAuthservIDs: []string{"edge.example.net"},
		Compat:             "strict",
		LMTP: LMTP{
			Listen:                  []string{"unix:/run/paperknife/lmtp.sock", "127.0.0.1:2424", "[::1]:2424", "unix:" + in("lmtp.sock")},
			SocketMode:              0o600,
			MaxMessageSize:          100e6,
			MaxConnections:          20,
			MaxConnectionsPerClient: 5,
			IdleTimeout:             90 * time.Second,
			DataTimeout:             time.Hour,
		},
		Filter: Filter{"unix:/run/paperknife/filter.sock", []string{"postfix"}, 5 * time.Minute},
		Spool:  Spool{in("spool"), 64 << 10},
		Domains: []Domain{
			{"example.net", []Key{{Cert: in("dca.pem"), Key: "/etc/dca.key"}, {PKCS12: in("old.p12"), PasswordFile: in("old.pass")}, {PKCS11: "pkcs11:token=hsm;object=dca"}}},
			{"xn--mnchen-3ya.example", []Key{{Cert: in("m.pem"), Key: in("m.key")}}},
		},
		Trust: Trust{
			DomainAnchors: []string{in("partners.pem"), "/etc/partners.p7b"},
			PersonAnchors: []string{in("people.pem")},
			Naming:        []string{"melnikov", "rfc3183", "direct", "public-br", "pinned"},
			CRLDir:        in("crls"),
		},
		Partners: []Partner{{"example.com", "release"}, {"example.org", "gated"}},
		MUA:      MUA{"received", map[string]string{"erin@example.net": "capable", "dave@example.net": "incapable"}},
		Verify:   Verify{LegacySHA1: LegacySHA1{"meta": "pass"}},
		Policy: Policy{Enforce: "mark", E2E: SystemPolicy{"reject"}, KeepOriginal: in("originals"),
			Quarantine: "/var/quarantine", Replay: "withhold"},
		Deliver: Deliver{"lmtp", "{home}/Maildir", []string{"unix:/run/dovecot/lmtp", "mail.example.net:24"}, true, "file:" + in("users"), "-"},
		DNS:     DNS{"127.0.0.1:53", []string{in("zone")}},
		Admin:   Admin{"127.0.0.1:9100"},
	}
	for _, want := range []*Config{least, full} {
		got, err := Load(want.File)
		if err != nil {
			t.Error(err)
			continue
		}
		if got.written = nil; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", want.File, got, want)
		}
	}
}

// The example that ships with the documentation names every key there is.
func TestFullNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	found := locate(string(text))
	inline := []string{"domain.keys.pkcs12", "domain.keys.password_file", "domain.keys.pkcs11", "policy.domsec", "policy.meta", "policy.mtas", "policy.userkeys"}
	for _, key := range knownKeys(reflect.TypeFor[Config](), "") {
		named := false
		for place := range found {
			named = named || plainKey(place) == key
		}
		for _, k := range inline {
			named = named || strings.HasPrefix(key, k)
		}
		if !named {
			t.Errorf("%s is not in full.toml", key)
		}
	}
}

// A key that does nothing yet is named also where the file says what would be done anyway.
func TestPendingDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paperknife.toml")
	text := "[verify]\ndkim = true\narc = true\nmeta = true\nmtas = true\nuserkeys = true\ne2e = true\n[policy]\nreplay = \"alarm\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Pending(); len(p) != 7 {
		t.Errorf("pending %q", p)
	}
}

func TestPendingAndWarnings(t *testing.T) {
	least, err := Load("testdata/good/least.toml")
	if err != nil {
		t.Fatal(err)
	}
	if p, w := least.Pending(), least.Warnings(); len(p)+len(w) != 0 {
		t.Errorf("least.toml: pending %q, warnings %q", p, w)
	}
	full, err := Load("testdata/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(full.Pending(), "\n")
	for _, p := range pendingKeys {
		system := strings.HasPrefix(p.key, "policy.") && !strings.Contains("policy.enforce policy.replay policy.e2e", p.key)
		if !system && !strings.Contains(got, p.key+" is accepted but has no effect yet") {
			t.Errorf("%s is not pending in full.toml", p.key)
		}
	}
	empty := Default()
	if p, w := empty.Pending(), empty.Warnings(); len(p) != 0 || len(w) < 2 {
		t.Errorf("empty: pending %q, warnings %q", p, w)
	}
	empty.LMTP.SocketMode = 0o666
	empty.AuthservID = "mx"
	empty.Domains = []Domain{{Name: "example.net"}}
	if w := empty.Warnings(); len(w) != 4 {
		t.Errorf("warnings %q", w)
	}
}

func TestLegacySHA1(t *testing.T) {
	for text, want := range map[string]string{"": "policy", `"policy"`: "policy", `"pass"`: "pass", `{ meta = "pass" }`: "pass", `{ dkim = "pass" }`: "policy"} {
		file := "[verify]\n"
		if text != "" {
			file += "legacy_sha1 = " + text
		}
		c, err := parse("/etc/paperknife.toml", file)
		if err != nil {
			t.Error(err)
		} else if got := c.Verify.LegacySHA1.Worth("meta"); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{`5`, `"yes"`, `{ x-domsec = "pass" }`, `{ meta = 1 }`, `[]`} {
		if _, err := parse("/etc/paperknife.toml", "[verify]\nlegacy_sha1 = "+text); err == nil {
			t.Errorf("%s accepted", text)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "1B": 1, "256KiB": 256 << 10, "256 MiB": 256 << 20, "2GiB": 2 << 30, "1kB": 1000, "5MB": 5e6, "1GB": 1e9} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if again, err := parseSize(got.String()); err != nil || again != got {
			t.Errorf("%s: written %s, read %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "1", "KiB", "-1KiB", "1.5MiB", "1KB", "1 Ki B", "0x10B", "9223372036854775807KiB", "1MiBs"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestLocate(t *testing.T) {
	const text = "# c\na = 1\n\"q.r\" . 's' = \"[x]\\\"\" # ]\n\nb = [\n 'x#', # ]\n \"\"\"y\n\"]\"\"\"\",\n]\nc.d = { e = 1 }\r\n[[t]]\nn = '''\n[no]\nk = 1'''\n" +
		"[t.u]\nv = 1\n [[ t ]] # x\nn = 1979-05-27 07:32:00Z\n[[t.w]]\nz=1\n[[t.w]]\nz=2\nlast = 1"
	want := lines{"a": 2, "q.r": 3, "q.r.s": 3, "b": 5, "c": 10, "c.d": 10, "t[0]": 11, "t[0].n": 12, "t[0].u": 15, "t[0].u.v": 16,
		"t[1]": 17, "t[1].n": 18, "t[1].w[0]": 19, "t[1].w[0].z": 20, "t[1].w[1]": 21, "t[1].w[1].z": 22, "t[1].w[1].last": 23}
	got := locate(text)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	for key, line := range map[string]int{"c.d.e": 10, "t[1].w[1].q.q": 21, "t[0].keys[3].cert": 11, "nowhere": 0, "": 0} {
		if n := got.at(key); n != line {
			t.Errorf("%q at %d, want %d", key, n, line)
		}
	}
}

func TestLoadMissing(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.toml"))
	if err == nil || !strings.Contains(err.Error(), "none.toml: no such file") {
		t.Error(err)
	}
	long := filepath.Join(t.TempDir(), "long.toml")
	if err := os.WriteFile(long, []byte(strings.Repeat("#\n", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(long); err == nil || !strings.Contains(err.Error(), "longer than 1MiB") {
		t.Error(err)
	}
}

func FuzzConfig(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse("/etc/paperknife/paperknife.toml", text)
		if err == nil {
			c.Pending()
			c.Warnings()
			return
		}
		problems, ok := err.(Problems)
		if !ok || len(problems) == 0 || c != nil {
			t.Fatalf("%v, %T", c, err)
		}
		last := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > last || p.Text == "" || strings.ContainsAny(p.String(), "\r\n\x00") {
				t.Errorf("%q", p.String())
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load("testdata/good/full.toml"); err != nil {
			b.Fatal(err)
		}
	}
}

func parse(path, text string) (*Config, error) { return decode(path, text).result() }

// Read goes on after problems, and says where a key stands.
func TestRead(t *testing.T) {
	f := decode("/etc/paperknife.toml", "authserv_id = \"mx\"\n[mua]\ndefault = \"no\"\n\n[[domain]]\nname = \"example.net\"\n[dns]\nserver = \"127.0.0.1:53\"\n")
	if len(f.Problems) != 1 || f.Config == nil || f.Config.MUA.Default != "unknown" || len(f.Config.Domains) != 1 {
		t.Errorf("problems %v, config %+v", f.Problems, f.Config)
	}
	var got []string
	for _, p := range f.Remarks() {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Key))
		if p.Fix == "" || p.Text == "" {
			t.Errorf("%+v", p)
		}
	}
	want := []string{"0 trust", "1 authserv_id", "5 domain", "8 dns.server"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if f := decode("/x", "a = "); f.Config != nil || len(f.Problems) != 1 || f.Remarks() != nil || f.Problem("a", "", "").Line != 0 {
		t.Errorf("%+v", f)
	}
}
