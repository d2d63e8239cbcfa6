package deliver

import (
	"strings"
	"testing"
	"time"
)

var when = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

func TestTraceFields(t *testing.T) {
	const date = "\tSun, 01 Mar 2026 12:00:00 +0100\r\n"
	tests := []struct {
		name        string
		trace       Trace
		sender, to  string
		returnPath  string
		deliveredTo string
		received    string
	}{
		{"all", Trace{"helo.example", "name.example", "2001:db8::1", "LMTP", "Q1", false, false}, "a@b.example", "c@d.example", "Return-Path: <a@b.example>\r\n",
			"Delivered-To: c@d.example\r\n", "from helo.example (name.example [2001:db8::1])\r\n\tby mx with LMTP id Q1\r\n\tfor <c@d.example>;\r\n"},
		{"said on top already", Trace{RecipientTold: true, SenderUnknown: true}, "a@b.example", "c@d.example", "", "", "by mx\r\n\tfor <c@d.example>;\r\n"},
		{"nothing known", Trace{}, "", "c@d.example", "Return-Path: <>\r\n", "Delivered-To: c@d.example\r\n", "by mx\r\n\tfor <c@d.example>;\r\n"},
		{"no envelope", Trace{SenderUnknown: true}, "", "", "", "", "by mx;\r\n"},
		{"no name", Trace{HELO: "h", ClientAddress: "192.0.2.1"}, "", "", "Return-Path: <>\r\n", "", "from h ([192.0.2.1])\r\n\tby mx;\r\n"},
		{"name only", Trace{ClientName: "n", ClientAddress: "192.0.2.1"}, "", "", "Return-Path: <>\r\n", "", "from n (n [192.0.2.1])\r\n\tby mx;\r\n"},
		{"address only", Trace{ClientAddress: "192.0.2.1", ID: "1"}, "", "", "Return-Path: <>\r\n", "", "by mx id 1;\r\n"},
		{"break out", Trace{HELO: "h\r\nX: y", ID: "(1;\x00"}, "a\r\nX: y@b", "c>\nX: y", "Return-Path: <a??X:?y@b>\r\n", "Delivered-To: c??X:?y\r\n",
			"from h??X:?y\r\n\tby mx id ?1??\r\n\tfor <c??X:?y>;\r\n"},
		{"quoted", Trace{}, `"a <b>"@c`, "\xffjos\u00e9\u0085@d", "Return-Path: <\"a <b>\"@c>\r\n", "Delivered-To: ?jos\u00e9?@d\r\n", "by mx\r\n\tfor <?jos\u00e9?@d>;\r\n"},
		{"absurd", Trace{HELO: strings.Repeat("h", 2000)}, strings.Repeat("a", 2000), strings.Repeat("a", 2000), "", "",
			"from " + strings.Repeat("h", 255) + "\r\n\tby mx;\r\n"},
	}
	for _, tt := range tests {
		got := strings.Join(traceFields(tt.trace, tt.sender, tt.to, "mx", when), "")
		want := tt.returnPath + tt.deliveredTo + "Received: " + tt.received + date
		if got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, want)
		}
	}
}

// Whatever the envelope holds, there are three fields and no more.
func FuzzTraceFields(f *testing.F) {
	f.Add("helo", "192.0.2.1", "id", "a@b", "c@d")
	f.Add("h\r\n\r\nbody", "\x00", ";", "a>\r\nX: y", "\"\r\n\"@x")
	f.Add("\xff\u0085\u2028", "[", "(", "\"<>\"@x", strings.Repeat("a", 1000))
	f.Fuzz(func(t *testing.T, helo, addr, id, sender, to string) {
		trace := Trace{HELO: helo, ClientName: helo, ClientAddress: addr, ID: id, Protocol: id}
		for _, field := range traceFields(trace, sender, to, helo, when) {
			body, ok := strings.CutSuffix(field, "\r\n")
			if !ok {
				t.Fatalf("%q does not end", field)
			}
			for line := range strings.SplitSeq(strings.ReplaceAll(body, "\r\n\t", "\n"), "\n") {
				if strings.ContainsAny(line, "\r\t\x00") || len(line) > 998 || strings.TrimSpace(line) == "" {
					t.Fatalf("line %q", line)
				}
			}
			if strings.Count(body, "\r\n") != strings.Count(body, "\r\n\t") {
				t.Fatalf("%q is more than one field", field)
			}
		}
	})
}

// THREATS C14: every address is refused or has one path of sane names; different mailboxes have different ones.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{
		"erin@example.net", "a+../../b@example.net", `"../../etc"@example.net`, "a/../..@x", ".@x", `""@x`, "a%2fb@x", "a\x00b@x", "jos\u00e9@b\u00fccher.example",
		`"a\"b"@x`, "a@b@c", "@", "\"", "a@..", strings.Repeat("a", 300) + "@x",
	} {
		f.Add(s, "A"+s)
	}
	parsed, err := parseTemplate("/mail/{domain}/{local}/.{detail}", "")
	if err != nil {
		f.Fatal(err)
	}
	path := func(t *testing.T, s string) (string, address) {
		a, err := parseAddress(s)
		if err != nil || a.domain == "" {
			return "", a
		}
		p, err := parsed.expand(a, "+")
		if err != nil {
			return "", a
		}
		parts := strings.Split(p, "/")
		if len(parts) < 2 || len(parts) > 3 {
			t.Fatalf("%q: path %q", s, p)
		}
		for _, part := range parts {
			if part == "" || part == "." || part == ".." || len(part) > 255 || strings.ContainsAny(part, "\x00\r\n\\") {
				t.Fatalf("%q: path %q", s, p)
			}
		}
		return p, a
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		p, a := path(t, one)
		q, b := path(t, two)
		same := lowerASCII(a.local) == lowerASCII(b.local) && a.domain == b.domain
		if p != "" && p == q && !same && lowerASCII(strings.TrimSuffix(a.local, "+")) != lowerASCII(strings.TrimSuffix(b.local, "+")) {
			t.Fatalf("%q and %q share %q", one, two, p)
		}
	})
}

func TestEscapeHost(t *testing.T) {
	for host, want := range map[string]string{
		"mx.example.net": "mx.example.net", "a/b:c": `a\057b\072c`, "a,S=1\n": `a\054S=1\012`, "": "localhost", `a\b`: `a\134b`, "\xff": `\377`,
		strings.Repeat("a", 300): strings.Repeat("a", 128),
	} {
		if got := escapeHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
