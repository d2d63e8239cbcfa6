package trust

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestAgentNames: DOM-R5, test D(e)9. Each row is one SubjectAltName and the agents it makes.
func TestAgentNames(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	uri := func(s string) sanEntry { return sanEntry{tagURI, s} }
	host := func(s string) sanEntry { return sanEntry{tagHost, s} }
	for _, test := range []struct {
		name    string
		entries []sanEntry
		agents  []string
	}{
		{"URI smtp", []sanEntry{uri("smtp://example.com")}, []string{"example.com"}},
		{"URI submit", []sanEntry{uri("submit://example.com")}, []string{"example.com"}},
		{"URI in capitals", []sanEntry{uri("SMTP://EXAMPLE.COM")}, []string{"example.com"}},
		{"URI with a slash", []sanEntry{uri("smtp://example.com/")}, []string{"example.com"}},
		{"URI with trailing dot: Go does not parse it", []sanEntry{uri("smtp://example.com./")}, nil},
		{"dNSName only", []sanEntry{host("example.com")}, []string{"example.com"}},
		{"dNSName with trailing dot", []sanEntry{host("Example.Com.")}, []string{"example.com"}},
		{"both", []sanEntry{host("example.com"), uri("smtp://example.com")}, []string{"example.com"}},
		{"URI with port", []sanEntry{uri("smtp://example.com:25")}, nil},
		{"URI with path", []sanEntry{uri("smtp://example.com/in")}, nil},
		{"URI with two slashes", []sanEntry{uri("smtp://example.com//")}, nil},
		{"URI with query", []sanEntry{uri("smtp://example.com?a=b")}, nil},
		{"URI with empty query", []sanEntry{uri("smtp://example.com/?")}, nil},
		{"URI with fragment", []sanEntry{uri("smtp://example.com#a")}, nil},
		{"URI with empty fragment", []sanEntry{uri("smtp://example.com#")}, nil},
		{"URI with user", []sanEntry{uri("smtp://bob@example.com")}, nil},
		{"URI with empty user", []sanEntry{uri("smtp://@example.com")}, nil},
		{"URI with encoded octets", []sanEntry{uri("smtp://%65xample.com")}, nil},
		{"URI of IPv4", []sanEntry{uri("smtp://192.0.2.1")}, nil},
		{"URI of IPv6", []sanEntry{uri("smtp://[2001:db8::1]")}, nil},
		{"other scheme", []sanEntry{uri("http://example.com"), uri("smtps://example.com"), uri("mailto:a@example.com")}, nil},
		{"wildcard", []sanEntry{host("*.example.com"), host("*")}, nil},
		{"wildcard URI", []sanEntry{uri("smtp://*.example.com")}, nil},
		{"address as dNSName", []sanEntry{host("192.0.2.1")}, nil},
		{"one label", []sanEntry{host("localhost"), uri("smtp://mail")}, nil},
		{"public suffix", []sanEntry{host("com"), host("co.uk"), uri("smtp://co.uk"), host("kawasaki.jp"), host("foo.kawasaki.jp")}, nil},
		{"exception of the list", []sanEntry{host("city.kawasaki.jp")}, []string{"city.kawasaki.jp"}},
		{"private part of the list", []sanEntry{host("github.io")}, []string{"github.io"}},
		{"below no known suffix", []sanEntry{host("corp.internal")}, []string{"corp.internal"}},
		{"rfc822Name makes no agent", []sanEntry{{tagEmail, "agent@example.com"}}, nil},
		{"IP address makes no agent", []sanEntry{{tagIP, "\xc0\x00\x02\x01"}}, nil},
		{"several, one fitting", []sanEntry{host("*.a.test"), uri("http://b.test"), uri("smtp://c.test:25"), uri("smtp://d.test")}, []string{"d.test"}},
		{"several", []sanEntry{host("a.test"), uri("smtp://b.test")}, []string{"b.test", "a.test"}},
		{"A-label", []sanEntry{host("XN--MNCHEN-3YA.de")}, []string{"xn--mnchen-3ya.de"}},
		{"false A-label", []sanEntry{host("xn--a.test")}, nil},
		{"odd octets", []sanEntry{host("exa mple.com"), host("exam\r\nple.com"), host("-a.test"), host("a_b.test"), host("a..test"), host("")}, nil},
		{"nothing", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := leafTemplate()
			if len(test.entries) > 0 {
				san(test.entries...)(c)
			}
			der, err := x509.CreateCertificate(rand.Reader, c, root.cert, root.key.Public(), root.key)
			if err != nil {
				t.Fatal(err)
			}
			j := store.Judge(der, nil, Domain, receipt)
			if !j.Trusted {
				// crypto/x509 refuses some of the odd URIs outright, which is as good
				if len(test.agents) > 0 || j.Reason != ReasonUnreadable {
					t.Fatalf("%q: %v", j.Reason, j.Err)
				}
				return
			}
			var got []string
			for _, a := range j.Agents {
				if a.Profile != "melnikov" {
					t.Errorf("profile %q", a.Profile)
				}
				got = append(got, a.Domain)
			}
			if !slices.Equal(got, test.agents) {
				t.Errorf("agents %q, want %q", got, test.agents)
			}
		})
	}
}

// TestNoProfile: without a naming profile a certificate names no domain.
func TestNoProfile(t *testing.T) {
	root := newCA(t, "root")
	for _, naming := range [][]string{nil, {"direct"}} {
		store := newStore(t, func(s *Settings) { s.Naming = naming }, root)
		if j := store.Judge(root.leaf(hosts("example.com")).cert.Raw, nil, Domain, receipt); !j.Trusted || len(j.Agents) != 0 {
			t.Errorf("%q: %+v", naming, j)
		}
	}
}

// TestCovers: DOM-R6, DOM-R7, test D(e)10.
func TestCovers(t *testing.T) {
	for _, test := range []struct {
		agents []string
		domain string
		want   string
	}{
		{[]string{"example.com"}, "example.com", "example.com"},
		{[]string{"example.com"}, "EXAMPLE.com", "example.com"},
		{[]string{"example.com"}, "sales.example.com", "example.com"},
		{[]string{"example.com"}, "a.b.sales.example.com", "example.com"},
		{[]string{"example.com"}, "badexample.com", ""},
		{[]string{"sales.example.com"}, "example.com", ""},
		{[]string{"example.com"}, "example.org", ""},
		{[]string{"example.com"}, "example.com.org", ""},
		{[]string{"example.com"}, "example.com.", ""},
		{[]string{"example.com"}, "", ""},
		{[]string{"example.com"}, ".example.com", ""},
		{[]string{"example.com"}, "a@example.com", ""},
		{[]string{"example.org", "example.com"}, "sales.example.com", "example.com"},
		{[]string{"example.com", "sales.example.com"}, "sales.example.com", "sales.example.com"},
		{[]string{"sales.example.com", "example.com"}, "x.sales.example.com", "sales.example.com"},
		{[]string{"xn--mnchen-3ya.de"}, "münchen.de", "xn--mnchen-3ya.de"},
		{[]string{"xn--mnchen-3ya.de"}, "mail.MÜNCHEN.de", "xn--mnchen-3ya.de"},
		{[]string{"corp.test"}, "сorp.test", ""}, // the first letter is Cyrillic (A29)
		{nil, "example.com", ""},
	} {
		var j Judgement
		for _, a := range test.agents {
			j.Agents = append(j.Agents, Agent{"melnikov", a})
		}
		agent, ok := j.Covers(test.domain)
		if agent.Domain != test.want || ok != (test.want != "") {
			t.Errorf("%q covers %q: %v, %v", test.agents, test.domain, agent, ok)
		}
	}
}

func TestNormalizeDomain(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.com", "example.com"},
		{"localhost", "localhost"},
		{"r3---sn-x.example.com", "r3---sn-x.example.com"},
		{"3com.com", "3com.com"},
		{"münchen.de", "xn--mnchen-3ya.de"},
		{"MÜNCHEN.DE", "xn--mnchen-3ya.de"},
		{"xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
		{"Xn--MNCHEN-3ya.de", "xn--mnchen-3ya.de"},
		{"faß.de", "xn--fa-hia.de"},
		{long + ".test", long + ".test"},
		{long + "a.test", ""},
		{strings.Repeat("a.", 127) + "b", ""},
		{strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 126) + "b"},
		{"", ""}, {".", ""}, {"a.", ""}, {".a", ""}, {"a..b", ""},
		{"-a.b", ""}, {"a-.b", ""}, {"a_b.c", ""}, {"*.a.b", ""}, {"a b.c", ""},
		{"a.b\x00", ""}, {"a.b\r\n", ""}, {"a/b.c", ""}, {"[a.b]", ""}, {"a:25", ""},
		{"127.0.0.1", ""}, {"a.1", ""}, {"1", ""},
		{"xn--.de", ""}, {"xn--a.de", ""}, {"xn--mnchen-3ya-.de", ""}, {"xn--example-.com", ""},
		{"a\xff.de", ""}, {"a。b.de", ""}, {"a\u2024b.de", ""}, {"אa.de", ""},
	} {
		got, err := NormalizeDomain(test.in)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q: %q, %v; want %q", test.in, got, err, test.want)
		}
	}
}

// TestNormalizeAddress: A29.
func TestNormalizeAddress(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"alice@example.com", "alice@example.com"},
		{"Alice@EXAMPLE.com", "Alice@example.com"},
		{"a.b+c=d'e@example.com", "a.b+c=d'e@example.com"},
		{"a@münchen.de", "a@xn--mnchen-3ya.de"},
		{"a@localhost", "a@localhost"},
		{strings.Repeat("a", 64) + "@b.test", strings.Repeat("a", 64) + "@b.test"},
		{strings.Repeat("a", 65) + "@b.test", ""},
		{"", ""}, {"@", ""}, {"a@", ""}, {"@b.test", ""}, {"ab.test", ""},
		{"a@b@c.test", ""}, {"invalid@invalid@", ""}, {"a@b.test@", ""},
		{"ceo@good.test\x00@evil.test", ""}, {"ceo\x00@good.test", ""}, {"ceo@good.test\x00", ""},
		{"ceo@good.test\r\nX: y", ""}, {"ceo\r\n@good.test", ""},
		{"a@b.test.", ""}, {".a@b.test", ""}, {"a.@b.test", ""}, {"a..b@c.test", ""},
		{`"a"@b.test`, ""}, {`"a@c"@b.test`, ""}, {`a\@c@b.test`, ""}, {"a b@c.test", ""},
		{"<a@b.test>", ""}, {" a@b.test", ""}, {"a@b.test ", ""}, {"a(c)@b.test", ""},
		{"a@[192.0.2.1]", ""}, {"a@192.0.2.1", ""}, {"é@b.test", ""}, {"a,b@c.test", ""},
	} {
		got, err := NormalizeAddress(test.in)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q: %q, %v; want %q", test.in, got, err, test.want)
		}
	}
}

func TestEqualAddress(t *testing.T) {
	for _, test := range []struct {
		a, b  string
		equal bool
	}{
		{"a@example.com", "a@example.com", true},
		{"a@example.com", "a@EXAMPLE.COM", true},
		{"a@example.com", "A@example.com", false},
		{"a@münchen.de", "a@xn--mnchen-3ya.de", true},
		{"a@corp.test", "a@сorp.test", false},
		{"a@example.com", "a@sub.example.com", false},
		{"a@example.com.", "a@example.com", false},
		{"", "", false},
		{"a", "a", false},
		{"a@b@c", "a@b@c", false},
	} {
		if EqualAddress(test.a, test.b) != test.equal || EqualAddress(test.b, test.a) != test.equal {
			t.Errorf("%q, %q: want %v", test.a, test.b, test.equal)
		}
	}
}

// TestNameText: rule 8. A name from a certificate is short, printable and cannot end a field.
func TestNameText(t *testing.T) {
	name := func(n pkix.Name) string {
		der, err := asn1.Marshal(n.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		return nameText(der)
	}
	for _, test := range []struct {
		name pkix.Name
		want string
	}{
		{pkix.Name{}, ""},
		{pkix.Name{CommonName: "Example CA"}, "CN=Example CA"},
		{pkix.Name{CommonName: "CA 1", Organization: []string{"Example, Inc."}, Country: []string{"DE"}}, `CN=CA 1,O=Example\, Inc.,C=DE`},
		{pkix.Name{CommonName: "a\r\nX-Evil: y\x00"}, "CN=a??X-Evil: y?"},
		{pkix.Name{CommonName: "Zoë"}, "CN=Zo?"},
		{pkix.Name{CommonName: `a"b\c<d>`}, `CN=a\"b\\c\<d\>`},
		{pkix.Name{CommonName: " #a "}, `CN=\ #a\ `},
		{pkix.Name{CommonName: strings.Repeat("x", 100)}, "CN=" + strings.Repeat("x", 61)},
		{pkix.Name{CommonName: strings.Repeat("x", 60) + ",,,"}, "CN=" + strings.Repeat("x", 60)},
		{pkix.Name{CommonName: strings.Repeat("x", 59) + ",,,"}, "CN=" + strings.Repeat("x", 59) + `\,`},
		{pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: "A"}}}, "1.2.3=#130141"},
	} {
		if got := name(test.name); got != test.want || len(got) > maxNameText {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if got := nameText([]byte("junk")); got != "" {
		t.Errorf("junk: %q", got)
	}
}

func TestAttributeText(t *testing.T) {
	for _, test := range []struct {
		tag   cbasn1.Tag
		value string
		want  string
		ok    bool
	}{
		{cbasn1.UTF8String, "Zoë", "Zoë", true},
		{cbasn1.PrintableString, "A", "A", true},
		{cbasn1.PrintableString, "\xe9", "", false},
		{cbasn1.T61String, "Zo\xeb", "Zoë", true},
		{cbasn1.Tag(30), "\x00Z\x00o\x00\xeb", "Zoë", true},
		{cbasn1.Tag(30), "\x00", "", false},
		{cbasn1.OCTET_STRING, "A", "", false},
	} {
		if got, ok := attributeText(test.tag, []byte(test.value)); ok != test.ok || ok && got != test.want {
			t.Errorf("%v %q: %q, %v", test.tag, test.value, got, ok)
		}
	}
}

func TestSerialText(t *testing.T) {
	long := new(big.Int).Lsh(big.NewInt(1), 160)
	for _, test := range []struct {
		serial *big.Int
		want   string
	}{{nil, ""}, {big.NewInt(1001), "1001"}, {long, ""}, {new(big.Int).Sub(long, big.NewInt(1)), "1461501637330902918203684832716283019655932542975"}} {
		if got := serialText(test.serial); got != test.want {
			t.Errorf("%v: %q", test.serial, got)
		}
	}
}
