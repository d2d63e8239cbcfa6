package agent

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
)

// THREATS B03 to B07: what the From fields of a header say, and what is no From at all. A case with a fault can
// bind no signature to any address.
var froms = []struct {
	name   string
	header string
	fault  policy.Reason
	want   string // the addresses
}{
	{"plain", "From: alice@sales.example.com\r\n", "", alice},
	{"name", "From: Alice Arden <alice@sales.example.com>\r\n", "", alice},
	{"any case of the name", "fROM: alice@sales.example.com\r\n", "", alice},
	{"encoded-word as name", "From: =?utf-8?q?Al=C3=AFce?= <alice@sales.example.com>\r\n", "", alice},
	{"comment with colon and semicolon", "From: alice@sales.example.com (Sales: Alice; \\) Arden)\r\n", "", alice},
	{"quoted name with colon", "From: \"Sales: \\\"A\\\"\" <alice@sales.example.com>\r\n", "", alice},
	{"folded body", "From:\r\n Alice\r\n\t<alice@sales.example.com>\r\n", "", alice},
	{"bare LF", "From: alice@sales.example.com\n", "", alice},
	{"domain in capitals", "From: alice@Sales.EXAMPLE.com\r\n", "", alice},
	{"domain as U-label", "From: alice@b\u00fccher.example\r\n", "", "alice@xn--bcher-kva.example"},
	{"quoted local part", "From: \"alice@evil.example\"@sales.example.com\r\n", "", "alice@evil.example@sales.example.com"},

	// B03: several, or one that some reader does not take for one
	{"two", "From: alice@sales.example.com\r\nFrom: eve@evil.example\r\n", policy.ReasonDuplicateFrom, ""},
	{"two, the other way round", "From: eve@evil.example\r\nfrom: alice@sales.example.com\r\n", policy.ReasonDuplicateFrom, ""},
	{"two, one with a space before the colon", "From: eve@evil.example\r\nFrom : alice@sales.example.com\r\n", policy.ReasonDuplicateFrom, ""},
	{"two, one with a folded name", "From: eve@evil.example\r\nFrom\r\n : alice@sales.example.com\r\n", policy.ReasonDuplicateFrom, ""},
	{"first line begins with a space", " From: eve@evil.example\r\nFrom: alice@sales.example.com\r\n", policy.ReasonMalformed, ""},
	{"first line begins with a space, no other", " From: alice@sales.example.com\r\nTo: erin@example.net\r\n", policy.ReasonNoFrom, ""},
	{"space before the colon", "From : alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"tab before the colon", "From\t: alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"folded name", "From\r\n : alice@sales.example.com\r\n", policy.ReasonMalformed, ""},
	{"a line that is no field", "From: alice@sales.example.com\r\nno field\r\n", policy.ReasonMalformed, ""},
	{"two Content-Type", "From: alice@sales.example.com\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n", policy.ReasonMalformed, ""},

	// B04: several, group, empty, none
	{"several", "From: alice@sales.example.com, eve@evil.example\r\n", "", alice + " " + eve},
	{"too many", "From: " + strings.Repeat("alice@sales.example.com, ", 100) + "alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"group", "From: g: alice@sales.example.com;\r\n", policy.ReasonFromSyntax, ""},
	{"group of none", "From: undisclosed:;\r\n", policy.ReasonFromSyntax, ""},
	{"group and address", "From: g: alice@sales.example.com;, eve@evil.example\r\n", policy.ReasonFromSyntax, ""},
	{"no body", "From:\r\n", policy.ReasonFromSyntax, ""},
	{"empty address", "From: <>\r\n", policy.ReasonFromSyntax, ""},
	{"name alone", "From: Alice Arden\r\n", policy.ReasonFromSyntax, ""},
	{"no domain", "From: <alice>\r\n", policy.ReasonFromSyntax, ""},
	{"none", "To: erin@example.net\r\n", policy.ReasonNoFrom, ""},

	// B05: where parsers differ
	{"encoded-word as address", "From: =?utf-8?q?alice=40sales.example.com?=\r\n", policy.ReasonFromSyntax, ""},
	{"encoded-word in angle brackets", "From: <=?utf-8?q?alice=40sales.example.com?=>\r\n", policy.ReasonFromSyntax, ""},
	{"route", "From: <@evil.example,@b.example:alice@sales.example.com>\r\n", policy.ReasonFromSyntax, ""},
	{"escaped comma", "From: <alice@sales.example.com>\\,<eve@evil.example>\r\n", policy.ReasonFromSyntax, ""},
	{"text after the address", "From: <eve@evil.example>alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"two angle brackets", "From: <eve@evil.example> <alice@sales.example.com>\r\n", policy.ReasonFromSyntax, ""},
	{"domain literal", "From: alice@[192.0.2.1]\r\n", policy.ReasonFromSyntax, ""},
	{"IPv6 literal", "From: alice@[IPv6:2001:db8::1]\r\n", policy.ReasonFromSyntax, ""},
	{"NUL", "From: alice@sales.example.com\x00.evil.example\r\n", policy.ReasonFromSyntax, ""},
	{"NUL in the name", "From: Alice\x00 <alice@sales.example.com>\r\n", policy.ReasonFromSyntax, ""},
	{"bare CR", "From: eve@evil.example\rFrom: alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"open quote", "From: \"alice@sales.example.com\r\n", policy.ReasonFromSyntax, ""},
	{"longer than a field may be", "From: \"" + strings.Repeat("a", message.MaxField) + "\" <alice@sales.example.com>\r\n", policy.ReasonFromSyntax, ""},

	// B06: other fields name nobody
	{"Sender", "Sender: alice@sales.example.com\r\nResent-From: alice@sales.example.com\r\nReply-To: alice@sales.example.com\r\n" +
		"Return-Path: <alice@sales.example.com>\r\n", policy.ReasonNoFrom, ""},

	// B07: the display name is decoration
	{"name is an address", "From: \"alice@sales.example.com\" <eve@evil.example>\r\n", "", eve},
	{"encoded name is an address", "From: =?utf-8?q?=22alice=40sales.example.com=22?= <eve@evil.example>\r\n", "", eve},
	{"comment is an address", "From: eve@evil.example (alice@sales.example.com)\r\n", "", eve},
}

func TestOriginator(t *testing.T) {
	for _, c := range froms {
		t.Run(c.name, func(t *testing.T) {
			msg := spool.FromBytes([]byte(c.header + "\r\nbody\r\n"))
			header, err := message.ParseHeader(msg)
			check(t, err)
			got := readOriginator(header)
			equal(t, "fault", got.Fault, c.fault)
			equal(t, "addresses", strings.Join(got.Addresses, " "), c.want)
			if len(got.Domains) != len(got.Addresses) {
				t.Errorf("%d domains for %d addresses", len(got.Domains), len(got.Addresses))
			}
		})
	}
}

// THREATS B03 to B07: whatever From is, the message is delivered, and a signature passes only for the one address that
// is plainly there.
func TestFromDecidesPass(t *testing.T) {
	p := newParties(t)
	target := &fakeTarget{}
	a, _ := newAgent(t, target, "")
	for _, c := range froms {
		if strings.Contains(c.header, "Content-Type") {
			continue // such a message has no body that could be read as S/MIME
		}
		t.Run(c.name, func(t *testing.T) {
			target.deliveries = nil
			msg := sealed(t, c.header, signedBy(p.author), domainSignedBy(p.domain))
			equal(t, "status", send(t, a, msg, "erin@example.net"), "[2.0.0]")
			if len(target.deliveries) != 1 {
				t.Fatalf("%d deliveries", len(target.deliveries))
			}
			got := results(target.deliveries[0].text)
			if passes := strings.Contains(got, "smime=pass (originator)"); passes != (c.want == alice) {
				t.Errorf("author's signature passes: %v\n%s", passes, got)
			}
			covered := c.want == alice || strings.HasSuffix(c.want, "@sales.example.com")
			if passes := strings.Contains(got, "x-domsec=pass"); passes != covered {
				t.Errorf("domain's signature passes: %v\n%s", passes, got)
			}
		})
	}
}

// THREATS B07: a pass names the address of the signer, never one from a display name.
func TestPassNamesTheSigner(t *testing.T) {
	p := newParties(t)
	target := &fakeTarget{}
	a, _ := newAgent(t, target, "")
	msg := sealed(t, fmt.Sprintf("From: %q <%s>\r\n", alice, eve), signedBy(p.eve))
	equal(t, "status", send(t, a, msg, "erin@example.net"), "[2.0.0]")
	got := results(target.deliveries[0].text)
	if !strings.Contains(got, "smime=pass") || !strings.Contains(got, "body.smime-identifier="+eve) || strings.Contains(got, alice) {
		t.Errorf("results:\n%s", got)
	}
}

// Whatever stands in From: no panic, and what is found is addresses with a domain each, none of which a signature
// could be bound to by a trick of spelling.
func FuzzFrom(f *testing.F) {
	for _, c := range froms {
		if _, body, ok := strings.Cut(c.header, ":"); ok && len(body) < 1000 {
			f.Add(strings.Trim(body, " \r\n"))
		}
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := parseFrom(value)
		if err != nil {
			if len(got.Addresses) > maxFromAddresses {
				t.Errorf("%d addresses", len(got.Addresses))
			}
			return
		}
		if len(got.Addresses) == 0 || len(got.Addresses) != len(got.Domains) || len(got.Addresses) > maxFromAddresses {
			t.Fatalf("%q: addresses %q, domains %q", value, got.Addresses, got.Domains)
		}
		for i, address := range got.Addresses {
			normal, err := trust.NormalizeDomain(got.Domains[i])
			local, found := strings.CutSuffix(address, "@"+got.Domains[i])
			if err != nil || normal != got.Domains[i] || !found || local == "" {
				t.Errorf("%q: address %q, domain %q", value, address, got.Domains[i])
			}
			if strings.ContainsAny(address, "\x00\r\n") {
				t.Errorf("%q: control characters in %q", value, address)
			}
		}
	})
}

// The flag to the user: a Subject that is too long to be read, or stands behind many, is no way around it.
func TestForgedSubjectTooLong(t *testing.T) {
	forged := "Subject: [Warning: sealed by example.com, not by the sender's domain] Hello"
	long := strings.Repeat("\r\n x", 40_000)
	honest := "Subject: Figures" + long + "\r\n"
	a := &Agent{log: slog.New(slog.DiscardHandler), now: time.Now, policy: policy.Settings{AuthservID: "mx.example.net"}}
	for name, test := range map[string]struct{ field, want, not string }{
		"long":        {forged + long + "\r\n", "Subject: ?Warning: sealed by example.com", "[Warning"},
		"long honest": {honest, honest, "?"},
		"second":      {honest + forged + long + "\r\n", "Subject: ?Warning: sealed by example.com", "[Warning"},
		"after many":  {strings.Repeat("Subject: "+strings.Repeat("a", 60_000)+"\r\n", 20) + forged + "\r\n", "Subject: ?Warning: sealed by example.com", "[Warning"},
	} {
		received := spool.FromBytes([]byte("From: a@example.com\r\n" + test.field + "To: b@example.net\r\n\r\nbody\r\n"))
		m, err := a.newMail(received)
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, view := m.decide(o, policy.ClassReceived)
		var b strings.Builder
		if err := view.Write(&b, message.CRLF); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); !strings.Contains(text, test.want) || strings.Contains(text, test.not) || !strings.HasSuffix(text, "To: b@example.net\r\n\r\nbody\r\n") {
			t.Errorf("%s: %.300q", name, text)
		}
	}
}
