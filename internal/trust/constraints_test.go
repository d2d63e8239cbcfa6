package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// TestNameConstraints: A27, A28. The constraints stand in an intermediate or in the anchor; every verdict that
// openssl can give is compared with its.
func TestNameConstraints(t *testing.T) {
	org := func(c string, o ...string) pkix.Name { return pkix.Name{Country: []string{c}, Organization: o} }
	person := func(c, o, cn string) func(*x509.Certificate) {
		return subject(pkix.Name{Country: []string{c}, Organization: []string{o}, CommonName: cn})
	}
	emailSubject := subject(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "evil@bad.test"}}})
	type change = func(*x509.Certificate)
	otherName := func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidNameConstraints, Value: []byte{
			// permitted { registeredID 1.2 }, not critical: Go alone lets it pass
			0x30, 0x07, 0xa0, 0x05, 0x30, 0x03, 0x88, 0x01, 0x2a}})
	}
	for _, test := range []struct {
		name    string
		ca      []change
		leaf    []change
		reason  string
		openssl string
	}{
		{"address at the permitted host", []change{permitEmail("good.test")}, []change{email("a@good.test")}, "", "ok"},
		{"host in another case", []change{permitEmail("good.test")}, []change{email("a@GOOD.test")}, "", "ok"},
		{"address at another host", []change{permitEmail("good.test")}, []change{email("a@bad.test")}, ReasonNameConstraints, "no"},
		{"host that only ends alike", []change{permitEmail("good.test")}, []change{email("a@notgood.test")}, ReasonNameConstraints, "no"},
		{"host below a permitted host: Go lets it pass", []change{permitEmail("good.test")}, []change{email("a@sub.good.test")}, ReasonNameConstraints, "no"},
		{"host below a permitted domain", []change{permitEmail(".good.test")}, []change{email("a@sub.good.test")}, "", "ok"},
		{"the domain itself is not below it", []change{permitEmail(".good.test")}, []change{email("a@good.test")}, ReasonNameConstraints, "no"},
		{"the permitted address", []change{permitEmail("a@good.test")}, []change{email("a@good.test")}, "", "ok"},
		{"another address there", []change{permitEmail("a@good.test")}, []change{email("b@good.test")}, ReasonNameConstraints, "no"},
		{"another case of the local part", []change{permitEmail("a@good.test")}, []change{email("A@good.test")}, ReasonNameConstraints, "no"},
		{"CVE-2026-27137 second of two local parts", []change{permitEmail("a@good.test", "a@also.test")}, []change{email("a@good.test")}, "", "ok"},
		{"same local part elsewhere", []change{permitEmail("a@good.test", "b@also.test")}, []change{email("a@also.test")}, ReasonNameConstraints, "no"},
		{"excluded host", []change{excludeEmail("bad.test")}, []change{email("a@bad.test")}, ReasonNameConstraints, "no"},
		{"excluded host in another case", []change{excludeEmail("bad.test")}, []change{email("a@BAD.test")}, ReasonNameConstraints, "no"},
		{"not the excluded host", []change{excludeEmail("bad.test")}, []change{email("a@good.test")}, "", "ok"},
		{"one of two addresses not permitted", []change{permitEmail("good.test")}, []change{email("a@good.test", "a@bad.test")}, ReasonNameConstraints, "no"},
		// openssl compares octets, finds no such host excluded, and says yes.
		{"CVE-2026-8763 trailing dot", []change{excludeEmail("bad.test")}, []change{email("a@bad.test.")}, ReasonNameConstraints, ""},
		{"quoted local part", []change{permitEmail("good.test")}, []change{email(`"a@bad.test"@good.test`)}, "", ""},
		{"line break", []change{permitEmail("good.test")}, []change{email("a@good.test\r\nX: y")}, ReasonNameConstraints, ""},
		{"NUL", []change{permitEmail("good.test")}, []change{email("a@bad.test\x00@good.test")}, ReasonNameConstraints, ""},
		{"no address at all", []change{permitEmail("good.test")}, nil, "", "ok"},
		// The address in the subject is nobody's name here; openssl holds it against the constraint, as RFC 5280 wants.
		{"A27 address in the subject", []change{permitEmail("good.test")}, []change{emailSubject}, "", "no"},
		{"permitted host name", []change{permitHosts("good.test")}, []change{hosts("mail.good.test")}, "", "ok"},
		{"other host name", []change{permitHosts("good.test")}, []change{hosts("bad.test")}, ReasonNameConstraints, "no"},
		{"excluded host name", []change{excludeHosts("bad.test")}, []change{hosts("mail.bad.test")}, ReasonNameConstraints, "no"},
		{"permitted URI", []change{permitURIs("good.test")}, []change{uris(t, "smtp://good.test")}, "", "ok"},
		{"other URI", []change{permitURIs("good.test")}, []change{uris(t, "smtp://bad.test")}, ReasonNameConstraints, "no"},
		{"no IP address permitted but that", []change{permitIP("192.0.2.0/24")}, []change{email("a@good.test")}, "", "ok"},
		{"permitted organisation", []change{constrainDirectory(t, true, 0, org("DE", "Good"))}, []change{person("DE", "Good", "Alice")}, "", "ok"},
		{"case and spaces in it", []change{constrainDirectory(t, true, 0, org("DE", "Good  Corp"))}, []change{person("DE", "good corp", "Alice")}, "", "ok"},
		{"other organisation", []change{constrainDirectory(t, true, 0, org("DE", "Good"))}, []change{person("DE", "Bad", "Alice")}, ReasonNameConstraints, "no"},
		{"excluded organisation", []change{constrainDirectory(t, true, 1, org("DE", "Bad"))}, []change{person("DE", "Bad", "Alice")}, ReasonNameConstraints, "no"},
		{"not critical: Go lets it pass", []change{constrainDirectory(t, false, 0, org("DE", "Good"))}, []change{person("DE", "Bad", "Alice")}, ReasonNameConstraints, "no"},
		{"constraint of an unknown kind", []change{otherName}, []change{email("a@good.test")}, ReasonNameConstraints, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := newCA(t, "root")
			mid := root.ca("mid", test.ca...)
			leaf := mid.leaf(test.leaf...)
			j := newStore(t, nil, root).Judge(leaf.cert.Raw, ders(mid), Person, receipt)
			if j.Reason != test.reason || j.Trusted != (test.reason == "") {
				t.Errorf("reason %q (%v), want %q", j.Reason, j.Err, test.reason)
			}
			if test.openssl != "" {
				checkOpenSSL(t, root, leaf, []*entity{mid}, test.openssl)
			}
			anchor := newCA(t, "constrained root", test.ca...)
			j = newStore(t, nil, anchor).Judge(anchor.leaf(test.leaf...).cert.Raw, nil, Person, receipt)
			if j.Reason != test.reason {
				t.Errorf("constraints in the anchor: reason %q (%v), want %q", j.Reason, j.Err, test.reason)
			}
		})
	}
}

// TestConstraintsReachDown: the constraint of a CA holds for everything below it, not only for its own children.
func TestConstraintsReachDown(t *testing.T) {
	root := newCA(t, "root")
	german := pkix.Name{Country: []string{"DE"}}
	for _, test := range []struct {
		name       string
		constraint func(*x509.Certificate)
		leaf       []func(*x509.Certificate)
		reason     string
	}{
		{"address", permitEmail("good.test"), []func(*x509.Certificate){email("a@sub.good.test")}, ReasonNameConstraints},
		{"fitting address", permitEmail("good.test"), []func(*x509.Certificate){email("a@good.test")}, ""},
		{"directory", constrainDirectory(t, true, 0, german), []func(*x509.Certificate){subject(pkix.Name{Country: []string{"FR"}})}, ReasonNameConstraints},
		{"fitting directory", constrainDirectory(t, true, 0, german), []func(*x509.Certificate){subject(german)}, ""},
	} {
		held := root.ca("held", test.constraint)
		loose := held.ca("loose", permitEmail(".test"), subject(pkix.Name{Country: []string{"DE"}, CommonName: "loose"}))
		j := newStore(t, nil, root).Judge(loose.leaf(test.leaf...).cert.Raw, ders(held, loose), Person, receipt)
		if j.Reason != test.reason {
			t.Errorf("%s: reason %q: %v", test.name, j.Reason, j.Err)
		}
	}
}

// TestAgentsUnderConstraints: a CA that may name hosts of one domain names no agent of another, in whatever form the
// name is written, though each kind of constraint is about one kind of name.
func TestAgentsUnderConstraints(t *testing.T) {
	type change = func(*x509.Certificate)
	for _, test := range []struct {
		name  string
		ca    change
		leaf  change
		agent string
	}{
		{"host constraint, fitting URI", permitHosts("good.test"), uris(t, "smtp://good.test"), "good.test"},
		{"host constraint, other URI", permitHosts("good.test"), uris(t, "smtp://bad.test"), ""},
		{"host excluded, URI of it", excludeHosts("bad.test"), uris(t, "smtp://bad.test"), ""},
		{"URI constraint, other host", permitURIs("good.test"), hosts("bad.test"), ""},
		{"URI constraint, fitting host", permitURIs("good.test"), hosts("sub.good.test"), "sub.good.test"},
		{"address constraint, other host", permitEmail("good.test"), hosts("bad.test"), ""},
		{"address constraint, fitting host", permitEmail("good.test"), hosts("good.test"), "good.test"},
		{"one address permitted, its host", permitEmail("a@good.test"), hosts("good.test"), ""},
	} {
		root := newCA(t, "root")
		mid := root.ca("mid", test.ca)
		j := newStore(t, nil, root).Judge(mid.leaf(test.leaf).cert.Raw, ders(mid), Domain, receipt)
		if !j.Trusted {
			t.Errorf("%s: %q %v", test.name, j.Reason, j.Err)
		}
		got := ""
		for _, a := range j.Agents {
			got += a.Domain
		}
		if got != test.agent {
			t.Errorf("%s: agents %v", test.name, j.Agents)
		}
	}
}
