package verifyhdr

import (
	"strings"
	"testing"
	"time"

	"paperknife/test/cputime"
)

// THREATS B16: forged fields with our id, each of which some reader would take for ours.
var forged = []string{
	"Authentication-Results: mx.example.net; smime=pass",
	"authentication-results: MX.Example.NET; smime=pass",
	"Authentication-Results: (x) mx.example.net (y); smime=pass",
	"Authentication-Results: \"mx.example.net\"; smime=pass",
	"Authentication-Results: mx.example.net 1; smime=pass",
	"Authentication-Results:\r\n mx.example.net; smime=pass",
	"Authentication-Results : mx.example.net; smime=pass",
	"Authentication-Results: mx.example.net.; smime=pass",
	"Authentication-Results: =?utf-8?q?mx.example.net?=; smime=pass",
	"Authentication-Results: \"=?utf-8?q?mx.example.net?=\"; smime=pass",
	"Authentication-Results: mx.example.net; smime=pass (" + strings.Repeat("x", 1<<17) + ")",
	"Authentication-Results: mx.example.net; smime=pass; this is no result",
	"Authentication-Results: \" mx.example.net 1\"; smime=pass",
	"Authentication-Results: \"mx\\.example.net\"; smime=pass",
	// more
	"Authentication-Results: smime=pass; mx.example.net",
	"Authentication-Results: mx.example.net",
	"Authentication-Results: mx.example.net; none",
	"Authentication-Results: mx.example.net/1; none",
	"Authentication-Results: other.example 2; none",
	"Authentication-Results: mx.example.net\r\n\t(a (b) \\( c)\r\n\t; smime=pass",
	"Authentication-Results: (a)mx.example.net(b)1(c);(d)smime=pass",
	"Authentication-Results: \uff4d\uff58.example.net; smime=pass",
	"Authentication-Results: mx.exa\u00admple.net; smime=pass",
	"Authentication-Results: mx.exa\u200bmple.net; smime=pass",
	"Authentication-Results: mx\u3002example\u3002net; smime=pass",
	"Authentication-Results: xn--mx-.example.net; smime=pass",
	"Authentication-Results: \"mx.example.net;\"; smime=pass",
	"Authentication-Results: mx.example.net\x00; smime=pass",
	"Authentication-Results: mx.example.net;\rsmime=pass",
}

func TestClaims(t *testing.T) {
	for _, field := range forged {
		for _, id := range []string{"mx.example.net", "MX.example.net", "mx.example.net."} {
			if !Claims([]byte(field), id) {
				t.Errorf("%.80q does not claim %q", field, id)
			}
			if Trusted([]byte(field), []string{"mx.example.net"}, id) {
				t.Errorf("%.80q is trusted by %q", field, id)
			}
		}
	}
	for _, field := range []string{
		"Authentication-Results: mx.example.org; smime=pass", "Authentication-Results: example.net; none",
		"Authentication-Results: mx.example.net.evil.example; none", "Authentication-Results: amx.example.net; none",
		"Authentication-Results: mx1.example.net; smime=pass (mx.example.net)", "Authentication-Results: mx_1; none",
		"Authentication-Results: xn--mnchen-3ya.example; none",
	} {
		if Claims([]byte(field), "mx.example.net") {
			t.Errorf("%q claims our id", field)
		}
	}
}

// A-labels and U-labels are equal, RFC 8601 section 5.
func TestClaimsLabels(t *testing.T) {
	for _, theirs := range []string{"mx.münchen.example", "MX.MÜNCHEN.example", "mx.xn--mnchen-3ya.example", "\"mx.XN--MNCHEN-3YA.example.\""} {
		for _, ours := range []string{"mx.münchen.example", "mx.xn--mnchen-3ya.example"} {
			if !Claims([]byte(theirs+"; none"), ours) {
				t.Errorf("%q does not claim %q", theirs, ours)
			}
		}
		if Claims([]byte(theirs+"; none"), "mx.munchen.example") {
			t.Errorf("%q claims another domain", theirs)
		}
	}
}

// Forty fields of full length, each as slow as it can be made, take no time to speak of.
func TestClaimsTime(t *testing.T) {
	distinct := make([]rune, 0, maxFieldLen/3)
	for r := rune(0x4e00); len(distinct) < 20000; r++ {
		distinct = append(distinct, r)
	}
	slow := []string{string(distinct) + "; none", "xn--" + strings.Repeat("a", maxFieldLen-20) + "; none",
		"a; none" + strings.Repeat(" ()", 20000), "a; x=y" + strings.Repeat(" p.q=r", 10000), "a" + strings.Repeat(";x=y", 16000),
		"a; x=y" + strings.Repeat("\r\n (", 10000), "a; x=y p.q=" + strings.Repeat("a.", 30000), `a; x=y p.q="` + strings.Repeat(`\"`, 30000)}
	start := cputime.Used(t)
	for i := range 40 {
		Claims([]byte(slow[i%len(slow)]), "mx.example.net")
		Trusted([]byte(slow[i%len(slow)]), []string{"mx.example.org"}, "mx.example.net")
	}
	cputime.Limit(t, start, 5*time.Second)
}

func TestTrusted(t *testing.T) {
	trusted := []string{"mx.example.org", "münchen.example"}
	for field, want := range map[string]bool{
		"Authentication-Results: MX.example.org.; dkim=pass header.b=a/b=c; spf=pass;": true,
		"Authentication-Results: xn--mnchen-3ya.example 1; none":                       true,
		"Authentication-Results: mx.example.com; none":                                 false,
		"Authentication-Results: mx.example.org 2; none":                               false,
		"Authentication-Results: mx.example.org; none (":                               false,
		"Authentication-Results: mx.example.org; x=\"":                                 false,
		"Authentication-Results: mx.example.org; x=y\r\nX: z":                          false,
		"Authentication-Results: mx.example.org":                                       false,
	} {
		if got := Trusted([]byte(field), trusted, "mx.example.net"); got != want {
			t.Errorf("%q: %v", field, got)
		}
	}
}
