package lmtp

import (
	"strings"
	"testing"
)

// THREATS C14, C30: addresses by RFC 5321 section 4.1.2 and nothing else.
func TestC30Mailbox(t *testing.T) {
	long := strings.Repeat("x", 63)
	tests := []struct {
		in   string
		want error
	}{
		{"a@b", nil},
		{"erin+x=y@example.net", nil},
		{"o'brien!#$%&*/?^`{|}~@x", nil},
		{`"a b"@x`, nil},
		{`"a@b"@x`, nil},
		{`"a\"b\\"@x`, nil},
		{`"..\..\etc"@x`, nil},
		{"a@[192.0.2.1]", nil},
		{"a@[IPv6:2001:db8::1]", nil},
		{"a@xn--bcher-kva.example", nil},
		{"a@under_score.example", nil},
		{"jörg@bücher.example", errAddressUTF8},
		{`"jörg"@example`, errAddressUTF8},
		{long + "x@x", nil},
		{long + "xy@x", errAddressLength},
		{"a@" + long + "." + long, nil},
		{"a@" + long + "x.y", errAddressLength},
		{strings.Repeat("a", 60) + "@" + strings.Repeat(long+".", 3) + "x", nil},
		{strings.Repeat("a", 62) + "@" + strings.Repeat(long+".", 3) + "x", errAddressLength},
		{"postmaster", errAddressSyntax},
		{"", errAddressSyntax},
		{"@", errAddressSyntax},
		{"@x", errAddressSyntax},
		{"a@", errAddressSyntax},
		{"a@b@c", errAddressSyntax},
		{`""@x`, errAddressSyntax},
		{`"a@x`, errAddressSyntax},
		{`"a"b@x`, errAddressSyntax},
		{`a"b"@x`, errAddressSyntax},
		{`"a\`, errAddressSyntax},
		{`"a"`, errAddressSyntax},
		{"@a,@b:c@d", errAddressSyntax},
		{"a..b@x", errAddressSyntax},
		{"a+../../b@x", errAddressSyntax},
		{"a/../b@x", errAddressSyntax},
		{".a@x", errAddressSyntax},
		{"a.@x", errAddressSyntax},
		{"a b@x", errAddressSyntax},
		{"a\x00b@x", errAddressSyntax},
		{"a..b@x", errAddressSyntax},
		{"a+../../b@x", errAddressSyntax},
		{"a/../b@x", errAddressSyntax},
		{"\"a\rb\"@x", errAddressSyntax},
		{"\"a\\\x00b\"@x", errAddressSyntax},
		{"a@x\x7f", errAddressSyntax},
		{"a@x/../y", errAddressSyntax},
		{"a@..", errAddressSyntax},
		{"a@x.", errAddressSyntax},
		{"a@-x", errAddressSyntax},
		{"a@x-", errAddressSyntax},
		{"a@[x]", errAddressSyntax},
		{"a@[192.0.2.1", errAddressSyntax},
		{"a@[2001:db8::1]", errAddressSyntax},
		{"a@[IPv6:192.0.2.1]", errAddressSyntax},
		{"a@[IPv6:fe80::1%eth0]", errAddressSyntax},
		{"a\xc3@x", errAddressSyntax},
		{"a\xff@x", errAddressSyntax},
	}
	for _, tt := range tests {
		if got := checkMailbox(tt.in, false, maxLocalPart); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.in, got, tt.want)
		}
		if tt.want == errAddressUTF8 && checkMailbox(tt.in, true, maxLocalPart) != nil {
			t.Errorf("%q: refused with SMTPUTF8", tt.in)
		}
	}
}

// What go-smtp is given, it hands over as the client wrote it.
func TestQuotePath(t *testing.T) {
	h := start(t, testSettings(t))
	for _, in := range []string{"a@b", `"a b"@x`, `"a\"b\\c>d"@x`, "a+b=c@x"} {
		c := h.hello(t)
		c.send("MAIL FROM:<> \r\nRCPT TO: <" + in + ">  \r\n")
		c.want("250")
		if got := c.want("250"); !strings.Contains(got, "<"+in+">") {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestORCPT(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"rfc822;a@b", "a@b", true},
		{"RFC822;a+2Bb@c", "a+b@c", true},
		{"utf-8;j\\x{F6}rg@x", "jörg@x", true},
		{"utf-8;jörg@x", "jörg@x", true},
		{"x400;/c=de", "", true},
		{"rfc822;", "", false},
		{";a@b", "", false},
		{"a@b", "", false},
		{"rfc822;a+0D+0Ab", "", false},
		{"rfc822;a+00", "", false},
		{"rfc822;a+2", "", false},
		{"rfc822;a+2b", "", false},
		{"rfc822;a+FF", "", false},
		{"utf-8;a\\x{D800}", "", false},
		{"utf-8;a\\x{110000}", "", false},
		{"utf-8;a\\x{A}", "", false},
		{"utf-8;a\\x41", "", false},
		{"rfc822;" + strings.Repeat("x", 600), "", false},
	}
	for _, tt := range tests {
		got, err := decodeORCPT(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: got %q, %v", tt.in, got, err)
		}
	}
}

func TestPathSyntax(t *testing.T) {
	for _, arg := range []string{"", "FROM", "FROM:", "FROM:a@b", "FROM:<a@b", "FROM:<a@b>x", "FROM:<\"a@b>", "FROM:<a@b> =x", "FROM:<a@b> SIZE=1 size=2", "FROM:<a@b>" + strings.Repeat(" X", 20)} {
		if _, fault := parseMail(arg); fault == nil || fault.Code != 501 {
			t.Errorf("%q: %v", arg, fault)
		}
	}
	// The senders that mailing lists and forwarders make up.
	srs := strings.Repeat("x", 120) + "@example.com"
	if e, fault := parseMail("from:<" + srs + "> AUTH=<> RET=HDRS ENVID=x"); fault != nil || e.sender != srs {
		t.Errorf("%v, %v", e, fault)
	}
	if _, fault := parseMail("FROM:<jörg@x> SMTPUTF8"); fault != nil {
		t.Error(fault)
	}
	if _, fault := parseMail("FROM:<jörg@x>"); fault == nil || fault.EnhancedCode != [3]int{5, 6, 7} {
		t.Error(fault)
	}
}
