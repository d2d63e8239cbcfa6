package verifyhdr

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// The fields of RFC 8601 appendix B, and those of RFC 7281 section 3.3 and RFC 8617 appendix B.
var goodFields = []struct {
	name, field string
	want        AuthenticationResults
}{
	{"B.2 none", "Authentication-Results: example.org 1; none\r\n",
		AuthenticationResults{"example.org", 1, nil}},
	{"B.3", "Authentication-Results: example.com;\r\n          spf=pass smtp.mailfrom=example.net\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"spf", 1, "pass", "", "", "", []Property{{"smtp", "mailfrom", "example.net"}}},
		}}},
	{"B.4 first", "Authentication-Results: example.com;\r\n" +
		"          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n" +
		"          spf=pass smtp.mailfrom=example.net\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"auth", 1, "pass", "cram-md5", "", "", []Property{{"smtp", "auth", "sender@example.net"}}},
			{"spf", 1, "pass", "", "", "", []Property{{"smtp", "mailfrom", "example.net"}}},
		}}},
	{"B.4 second", "Authentication-Results: example.com; iprev=pass\r\n          policy.iprev=192.0.2.200\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"iprev", 1, "pass", "", "", "", []Property{{"policy", "iprev", "192.0.2.200"}}},
		}}},
	{"B.5 top", "Authentication-Results: example.com;\r\n          dkim=pass (good signature) header.d=example.com\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"dkim", 1, "pass", "good signature", "", "", []Property{{"header", "d", "example.com"}}},
		}}},
	{"B.5 below", "Authentication-Results: example.com;\r\n" +
		"          auth=pass (cram-md5) smtp.auth=sender@example.com;\r\n" +
		"          spf=fail smtp.mailfrom=example.com\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"auth", 1, "pass", "cram-md5", "", "", []Property{{"smtp", "auth", "sender@example.com"}}},
			{"spf", 1, "fail", "", "", "", []Property{{"smtp", "mailfrom", "example.com"}}},
		}}},
	{"B.6 top", "Authentication-Results: example.com;\r\n" +
		"      dkim=pass reason=\"good signature\"\r\n        header.i=@mail-router.example.net;\r\n" +
		"      dkim=fail reason=\"bad signature\"\r\n        header.i=@newyork.example.com\r\n",
		AuthenticationResults{"example.com", 1, []ResInfo{
			{"dkim", 1, "pass", "", "", "good signature", []Property{{"header", "i", "@mail-router.example.net"}}},
			{"dkim", 1, "fail", "", "", "bad signature", []Property{{"header", "i", "@newyork.example.com"}}},
		}}},
	{"B.6 below", "Authentication-Results: example.net;\r\n      dkim=pass (good signature) header.i=@newyork.example.com\r\n",
		AuthenticationResults{"example.net", 1, []ResInfo{
			{"dkim", 1, "pass", "good signature", "", "", []Property{{"header", "i", "@newyork.example.com"}}},
		}}},
	{"B.7 comments", "Authentication-Results: foo.example.net (foobar) 1 (baz);\r\n" +
		"    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n" +
		"      policy (A dot can go here) . (like that) expired\r\n" +
		"      (this surprised me) = (as I wasn't expecting it) 1362471462\r\n",
		AuthenticationResults{"foo.example.net", 1, []ResInfo{
			{"dkim", 1, "fail", "", "", "", []Property{{"policy", "expired", "1362471462"}}},
		}}},
	{"RFC 7281 3.3", "Authentication-Results: example.net;\r\n smime=fail (certificate is revoked by CRL)\r\n" +
		" body.smime-identifier=aliceDss@example.com\r\n body.smime-part=2\r\n",
		AuthenticationResults{"example.net", 1, []ResInfo{
			{"smime", 1, "fail", "certificate is revoked by CRL", "", "", []Property{
				{"body", "smime-identifier", "aliceDss@example.com"}, {"body", "smime-part", "2"}}},
		}}},
	{"RFC 8617 B", "Authentication-Results: clochette.example.org; spf=fail\r\n    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\r\n" +
		"    header.i=@d1.example; dmarc=fail; arc=pass (as.2.gmail.example=pass,\r\n" +
		"    ams.1.lists.example.org=fail (message has been altered))\r\n",
		AuthenticationResults{"clochette.example.org", 1, []ResInfo{
			{"spf", 1, "fail", "", "", "", []Property{{"smtp", "from", "jqd@d1.example"}}},
			{"dkim", 1, "fail", "512-bit key", "", "", []Property{{"header", "i", "@d1.example"}}},
			{"dmarc", 1, "fail", "", "", "", nil},
			{"arc", 1, "pass", "as.2.gmail.example=pass,    ams.1.lists.example.org=fail (message has been altered)", "", "", nil},
		}}},
	{"bare LF, name folded", "authentication-results\n :\n (x) \"example.com\"\n (y)\n 1\n ; none (nothing)\n",
		AuthenticationResults{"example.com", 1, nil}},
	{"body alone", ` example.com;dkim=pass`,
		AuthenticationResults{"example.com", 1, []ResInfo{{"dkim", 1, "pass", "", "", "", nil}}}},
	{"version 2", `example.com 2; X-New/3=Pass`,
		AuthenticationResults{"example.com", 2, []ResInfo{{"x-new", 3, "pass", "", "", "", nil}}}},
	{"quoted", `"a b\"c"; x=y reason="z \(;\\" p.q="1/1;" body.smime-issuer="CN=CA1,ST=BC,c=CA"`,
		AuthenticationResults{`a b"c`, 1, []ResInfo{{"x", 1, "y", "", "", `z (;\`, []Property{
			{"p", "q", "1/1;"}, {"body", "smime-issuer", "CN=CA1,ST=BC,c=CA"}}}}}},
	{"addresses", `a; x=y smtp.mailfrom=b+c=d/e@example.com smtp.rcptto = "a b" (c) @example.com p.q=a.b (c) @example.com`,
		AuthenticationResults{"a", 1, []ResInfo{{"x", 1, "y", "", "", "", []Property{
			{"smtp", "mailfrom", "b+c=d/e@example.com"}, {"smtp", "rcptto", `"a b"@example.com`}, {"p", "q", "a.b@example.com"}}}}}},
	{"EAI", "mx.münchen.example; x=y (ü) smtp.mailfrom=jörg@münchen.example p.q=\"ö\"",
		AuthenticationResults{"mx.münchen.example", 1, []ResInfo{{"x", 1, "y", "ü", "", "", []Property{
			{"smtp", "mailfrom", "jörg@münchen.example"}, {"p", "q", "ö"}}}}}},
	{"method named none", `a; none=pass`, AuthenticationResults{"a", 1, []ResInfo{{"none", 1, "pass", "", "", "", nil}}}},
	{"nested comment", "a; x=y (" + strings.Repeat("(", 31) + `\)` + strings.Repeat(")", 32),
		AuthenticationResults{"a", 1, []ResInfo{{"x", 1, "y",
			strings.Repeat("(", 31) + ")" + strings.Repeat(")", 31), "", "", nil}}}},
}

func TestParseAuthenticationResults(t *testing.T) {
	for _, c := range goodFields {
		got, err := ParseAuthenticationResults([]byte(c.field))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, *got, c.want)
		}
	}
}

func TestParseAuthenticationResultsRefuses(t *testing.T) {
	for _, field := range []string{
		"", " ", ";", "; none", "a", "a;", "a; ", "a none", "a; none;", "a; none; x=y", "a; x=y; none", "a; x=y;", "a;; x=y",
		"a b; none", "a 1 1; none", "a 1x; none", "a 1234567890; none", `""; none`, `" "; none`, "a/b; none",
		"=?utf-8?q?a?=; none", "a, b; none", "a@b; none", "Authentication-Results: Authentication-Results: a; none",
		"Authentication-Results a; none", "i=1; a; x=y",
		"a; x", "a; =y", "a; x=", "a; x=y=z", "a; x/=y", "a; x/z=y", "a; x y", "a; x_y=z", "a; x-=y", "a; ü=y",
		"a; x=y p", "a; x=y p.", "a; x=y p.q", "a; x=y p.q=", "a; x=y p.q r=s", "a; x=y p.q=r/s", "a; x=y p.q=r,s", "a; x=y p.q=a b",
		"a; x=y p.q=<a@b.c>", "a; x=y p.q=a@", "a; x=y p.q=a@b@c", "a; x=y p.q=a..b@c", "a; x=y p.q=a@-b", "a; x=y p.q=a@b..c", "a; x=y p.q=a@[192.0.2.1]",
		`a; x=y p.q="r"s.t=u`, `a; x=y p.q=r reason=s`, "a; x=y reason", "a; x=y reason=", "a; x=y reason=b@example.com", "a; x=y.z",
		"a (; none", "a; none (", "a; none (()", "a; none )", `a; none (\)`, `a; x=y p.q="`, `a; x=y p.q="\"`, `"a; none`, `a; none (\`,
		"a\r; none", "a; none\r", "a;\rnone", "a\x00; none", "a; none (\x00)", "a; none (\x7f)", "a; none (\x1b[2J)", "a; none (\xff)", "\xef\xbb; none",
		"a; none\r\nX: y", "a;\r\nnone", "a;\r\n \r\n none", "a; none\r\n \r\n", "a; none\r\n\r\n", "a; none\n\n", "a;\r\r\n none",
	} {
		a, err := ParseAuthenticationResults([]byte(field))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %+v, error %v", field, a, err)
		}
	}
}

func TestParseAuthenticationResultsLimits(t *testing.T) {
	for _, c := range []struct {
		field string
		want  error
	}{
		{"a; none (" + strings.Repeat("x", maxFieldLen) + ")", ErrFieldTooLong},
		{"a; none " + strings.Repeat("(", 33) + strings.Repeat(")", 33), ErrCommentTooDeep},
		{"a; none " + strings.Repeat("(", maxFieldLen-100), ErrCommentTooDeep},
	} {
		if _, err := ParseAuthenticationResults([]byte(c.field)); err != c.want {
			t.Errorf("%.20q...: got %v, want %v", c.field, err, c.want)
		}
	}
	long := "a; none" + strings.Repeat(" (\\)))", 10)
	if _, err := ParseAuthenticationResults([]byte(long)); err == nil {
		t.Error("unbalanced comments accepted")
	}
	long = "a; none" + strings.Repeat(" ()", (maxFieldLen-7)/3)
	if _, err := ParseAuthenticationResults([]byte(long)); err != nil {
		t.Errorf("many comments: %v", err)
	}
}
