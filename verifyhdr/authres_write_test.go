package verifyhdr

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	body := func(name, value string) Property { return Property{"body", name, value} }
	for _, c := range []struct {
		name string
		a    AuthenticationResults
		want string
	}{
		{"none", AuthenticationResults{AuthservID: "mx.example.net"}, "Authentication-Results: mx.example.net; none\r\n"},
		{"SEEDS D(c)", AuthenticationResults{AuthservID: "mx.example.net", Results: []ResInfo{
			{Method: "smime", Result: "pass", Comment: "domain", Properties: []Property{
				body("smime-part", "1/1"), body("smime-serial", "1001"), body("smime-issuer", "CN=Example CA")}},
			{Method: "smime", Result: "pass", Comment: "originator", Properties: []Property{
				body("smime-part", "1/1/2"), body("smime-identifier", "alice@sales.example.com")}},
			{Method: "x-domsec", Result: "pass", Properties: []Property{
				{"header", "from", "sales.example.com"}, body("domsec-signer", "example.com"),
				{"policy", "domsec-origin", "user"}, {"policy", "domsec-encrypted", "dca"}}},
		}}, "Authentication-Results: mx.example.net;\r\n" +
			" smime=pass (domain) body.smime-part=\"1/1\" body.smime-serial=1001\r\n" +
			"  body.smime-issuer=\"CN=Example CA\";\r\n" +
			" smime=pass (originator) body.smime-part=\"1/1/2\"\r\n" +
			"  body.smime-identifier=alice@sales.example.com;\r\n" +
			" x-domsec=pass header.from=sales.example.com body.domsec-signer=example.com\r\n" +
			"  policy.domsec-origin=user policy.domsec-encrypted=dca\r\n"},
		{"reason, versions", AuthenticationResults{"mx", 2, []ResInfo{{"Smime", 3, "Policy", "c", "", "sha1", nil}}},
			"Authentication-Results: mx 2;\r\n smime/3=policy (c) reason=\"sha1\"\r\n"},
		{"bad names go", AuthenticationResults{AuthservID: "mx", Results: []ResInfo{
			{Method: "", Result: "pass"}, {Method: "a b", Result: "pass"}, {Method: "x", Result: "pass\r\nX: y"},
			{Method: "x", Result: "y", Properties: []Property{{"", "b", "c"}, {"a", "", "c"}, {"a;", "b", "c"}, {"a", "b", ""}, {"a", "b-", "c"}}}}},
			"Authentication-Results: mx;\r\n x=y\r\n"},
		{"identities are whole or left out", AuthenticationResults{AuthservID: "mx", Results: []ResInfo{
			{Method: "x", Result: "y", Properties: []Property{
				body("smime-identifier", "a@example.com, b@example.com"),
				body("smime-identifier", `"a b"@example.com`),
				body("smime-identifier", "example.com"),
				body("smime-identifier", "ü@example.com"),
				body("smime-identifier", "a@"+strings.Repeat("b.", 126)+"example"),
				body("smime-identifier", "boss@example.com\x00.evil.example"),
				body("smime-serial", "1x"), body("smime-issuer", "CN=alone"),
				body("domsec-signer", "*.example.com"),
				{"header", "from", "ünder.example"}, {"header", "from", "a b"},
				{"header", "d", strings.Repeat("d", 64) + ".example"},
				{"header", "i", "@example.com"},
				{"policy", "text", "a@" + strings.Repeat("b.", 50) + "example"},
			}}}},
			"Authentication-Results: mx;\r\n x=y header.i=@example.com\r\n  policy.text=a@" + strings.Repeat("b.", 50) + "example\r\n"},
		{"authserv-id", AuthenticationResults{AuthservID: " a \"b\"\r\n"}, "Authentication-Results: \"a ?b?\"; none\r\n"},
		{"no authserv-id", AuthenticationResults{}, "Authentication-Results: invalid; none\r\n"},
	} {
		if got := c.a.Field(); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
		checkField(t, &c.a)
	}
}

// hostileText is what a certificate or message may hold where a name is expected (THREATS B19).
var hostileText = []string{
	"x\r\nX-Injected: yes", "x\r\n\r\nbody", "x\nAuthentication-Results: mx.example.net; smime=pass", "a\rb",
	"x; dkim=pass header.d=bank.example", "x;dkim=pass", `x" smime=pass "`, `x\`, `x\"; smime=pass`,
	"x) smime=pass (", "((((", "))))", "a\x00b", "\x00", strings.Repeat("A", 64<<10), strings.Repeat("é", 64<<10),
	"moc.elpmaxe@\u202eecila", "a\u2028b", "=?utf-8?q?=0D=0AX:_y?=", "==\n==\n", "\xff\xfe", "a@b\r\n.example.com", "alice@example.com>, <eve@evil.example",
	"alice@example.com ", " ", "\t", "@", "(x)alice@example.com", "alice@example.com(x)", `"alice smime=pass"@example.com`,
	"\u0085", "\u00a0x\u00a0", "CN=a,O=b+OU=c", strings.Repeat("=?", 64), "a@" + strings.Repeat("b.", 200),
}

func TestFieldHostileText(t *testing.T) {
	for _, s := range hostileText {
		for _, name := range []string{"smime-identifier", "smime-issuer", "smime-part"} {
			a := &AuthenticationResults{AuthservID: "mx.example.net", Results: []ResInfo{{
				Method: "smime", Result: "policy", Comment: s, Reason: s,
				Properties: []Property{{"body", "smime-serial", "7"}, {"body", name, s}},
			}}}
			got := checkField(t, a)
			if len(got.Results) != 1 || got.Results[0].Method != "smime" || got.Results[0].Result != "policy" {
				t.Errorf("%.40q as %s: read back as %+v", s, name, got)
			}
			for _, p := range got.Results[0].Properties {
				if p.Name == "smime-identifier" && p.Value != s {
					t.Errorf("%.40q: address written as %q", s, p.Value)
				}
			}
		}
		checkField(t, &AuthenticationResults{AuthservID: s})
	}
}

func TestFieldTooManyResults(t *testing.T) {
	a := &AuthenticationResults{AuthservID: "mx"}
	for i := range 10000 {
		a.Results = append(a.Results, ResInfo{Method: "x", Result: "y", Reason: fmt.Sprint(i)})
	}
	got := checkField(t, a)
	if n := len(got.Results); n < 1000 || got.Results[n-1].Reason != fmt.Sprint(n-1) {
		t.Errorf("%d results left", n)
	}
}

// checkField proves the promises of Field for a, and returns the field as read back.
func checkField(t *testing.T, a *AuthenticationResults) *AuthenticationResults {
	t.Helper()
	field := a.Field()
	lines, ok := strings.CutSuffix(field, "\r\n")
	if !ok || !strings.HasPrefix(field, "Authentication-Results: ") {
		t.Fatalf("not a field: %q", field)
	}
	for i, line := range strings.Split(lines, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || i > 0 && strings.TrimSpace(line) == "" || i > 0 && line[0] != ' ' {
			t.Fatalf("bad line %d: %q", i, line)
		}
		for j := range len(line) {
			if line[j] < ' ' || line[j] > '~' {
				t.Fatalf("octet %#x in line %d: %q", line[j], i, line)
			}
		}
		if i > 0 && len(line) > 78 && strings.Contains(strings.TrimSpace(line), " ") && !strings.ContainsAny(line, `("`) {
			t.Errorf("line %d not folded: %q", i, line)
		}
	}
	got, err := ParseAuthenticationResults([]byte(field))
	if err != nil {
		t.Fatalf("%v in %q", err, field)
	}
	if want := a.clean(); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q read back as\n%+v, want\n%+v", field, got, want)
	}
	if again := got.Field(); again != field {
		t.Fatalf("written again:\n%q, first\n%q", again, field)
	}
	if !Claims([]byte(field), got.AuthservID) {
		t.Errorf("%q does not claim %q", field, got.AuthservID)
	}
	return got
}

func FuzzAuthenticationResults(f *testing.F) {
	for _, c := range goodFields {
		f.Add([]byte(c.field))
	}
	for _, s := range hostileText {
		f.Add([]byte(s[:min(len(s), 200)]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := ParseAuthenticationResults(data); err == nil {
			checkField(t, a)
		}
		checkField(t, fromText(string(data)))
		Claims(data, "mx.example.net")
		Trusted(data, []string{"mx.example.org"}, "mx.example.net")
	})
}

// fromText fills every string of a field with pieces of s.
func fromText(s string) *AuthenticationResults {
	parts := strings.Split(s, "|")
	next := func(def string) string {
		if len(parts) == 0 {
			return def
		}
		p := parts[0]
		parts = parts[1:]
		return p
	}
	a := &AuthenticationResults{AuthservID: next("mx"), Version: len(s) % 3}
	for len(parts) > 0 {
		res := ResInfo{next("x"), len(parts), next("y"), next(""), next(""), next(""), nil}
		for _, name := range []string{"smime-identifier", "smime-serial", "smime-issuer", next("z")} {
			res.Properties = append(res.Properties, Property{"body", name, next("")})
		}
		a.Results = append(a.Results, res)
	}
	return a
}
