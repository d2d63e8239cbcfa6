package path_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"paperknife/seal"
	"paperknife/test/harness"
	"paperknife/test/testpki"
)

// A sealing is how a domain seals a message; certificates are openssl's.
type sealing struct {
	signer    string // the domain's; empty: DomainSigner
	author    string // a person's signature inside; empty: the empty signature
	detached  bool   // of the domain signature
	encrypted bool   // to the DCA of example.net
	bare      bool   // the domain signature stands on the text itself
	entity    string
}

func domainEntity(t *testing.T, p *testpki.PKI, s sealing) []byte {
	t.Helper()
	if s.signer == "" {
		s.signer = testpki.DomainSigner
	}
	if s.entity == "" {
		s.entity = text
	}
	entity := []byte(s.entity)
	switch {
	case s.bare:
	case s.author == "":
		entity = seal.EmptySignature(entity)
	default:
		entity = p.SignEntity(t, entity, true, testpki.Options{Signer: s.author})
	}
	o := seal.SignOptions{Detached: s.detached, SignatureTypes: nil}
	var err error
	if s.bare {
		o.SignatureTypes = append(o.SignatureTypes, seal.OIDDomainSignature)
		entity, err = seal.Sign(entity, pair(t, p, s.signer), o)
	} else {
		entity, err = seal.SignAsDomain(entity, pair(t, p, s.signer), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return entity
}

// domainSealed returns a whole message.
func domainSealed(t *testing.T, p *testpki.PKI, s sealing) []byte {
	t.Helper()
	entity := domainEntity(t, p, s)
	if s.encrypted {
		var err error
		entity, err = seal.EncryptTo(entity, []*x509.Certificate{pair(t, p, testpki.DCANet).Certificate}, seal.EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	return message(entity, testpki.Options{})
}

func pair(t *testing.T, p *testpki.PKI, name string) seal.KeyPair {
	t.Helper()
	out, err := seal.ParseKeyPair(p.Certificate(t, name), p.Key(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	authorResult = "smime=pass body.smime-part=1/1/2 body.smime-identifier=alice@sales.example.com"
	signerResult = `smime=pass body.smime-part=1/1 body.smime-serial=1001 body.smime-issuer=CN=Example CA,O=Test`
)

// What the domain of the sender has signed passes; what another has signed is flagged to the user (SEEDS DOM-R6, DOM-R15), in
// every class and by every way.
func TestDomainSignature(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	tests := []struct {
		name    string
		sealing sealing
		smime   []string // prefixes
		domsec  string
		flag    string
	}{
		{"over a person, encrypted", sealing{author: testpki.Alice, encrypted: true}, []string{"smime=pass", "smime=pass"},
			"x-domsec=pass header.from=sales.example.com body.domsec-signer=example.com policy.domsec-origin=user policy.domsec-encrypted=dca", ""},
		{"over nobody, encrypted", sealing{encrypted: true}, []string{"smime=pass"},
			"x-domsec=pass header.from=sales.example.com body.domsec-signer=example.com policy.domsec-origin=domain policy.domsec-encrypted=dca", ""},
		{"P-256, over a person, in the open", sealing{signer: testpki.DomainSignerP256, author: testpki.AliceP256}, []string{"smime=pass", "smime=pass"},
			"x-domsec=pass header.from=sales.example.com body.domsec-signer=example.com policy.domsec-origin=user policy.domsec-encrypted=no", ""},
		{"detached, over nobody", sealing{detached: true}, []string{"smime=pass"},
			"x-domsec=pass header.from=sales.example.com body.domsec-signer=example.com policy.domsec-origin=domain policy.domsec-encrypted=no", ""},
		{"foreign", sealing{signer: testpki.ForeignSigner, author: testpki.Alice}, []string{`smime=policy reason="signer domain does not cover originator domain"`, "smime=pass"},
			`x-domsec=policy reason="signer domain does not cover originator domain" header.from=sales.example.com body.domsec-signer=other.test`, "other.test"},
		{"foreign, encrypted", sealing{signer: testpki.ForeignSigner, encrypted: true}, []string{`smime=policy reason="signer domain does not cover originator domain"`},
			`x-domsec=policy reason="signer domain does not cover originator domain" header.from=sales.example.com body.domsec-signer=other.test`, "other.test"},
		{"expired", sealing{signer: testpki.ExpiredSigner, encrypted: true}, []string{"smime=policy"}, "x-domsec=policy", ""},
		{"untrusted", sealing{signer: testpki.UntrustedSigner}, []string{"smime=policy"}, `x-domsec=policy reason="untrusted certificate"`, ""},
		{"a person as a domain", sealing{signer: testpki.Alice}, []string{"smime=policy"}, `x-domsec=policy reason="untrusted certificate"`, ""},
		{"over nothing", sealing{bare: true}, []string{"smime=pass"}, `x-domsec=policy reason="domain signature encapsulates nothing"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			message := domainSealed(t, p, tt.sealing)
			for _, w := range ways {
				for i, delivered := range w.send(t, site, message, addresses("example.net")) {
					changed := map[string]string{}
					if tt.flag != "" {
						changed["subject"] = "Subject: [Warning: sealed by " + tt.flag + ", not by the sender's domain]\n Figures\n"
					}
					d := takeApart(t, delivered, message, nil, changed)
					lines := d.results(t)
					var want []string
					want = append(want, tt.smime...)
					want = append(want, tt.domsec)
					if len(lines) != len(want) {
						t.Fatalf("%s, %s: results %q", w.name, classes[i], lines)
					}
					for n, line := range lines {
						if !strings.HasPrefix(line, want[n]) {
							t.Errorf("%s, %s: %s, want %s", w.name, classes[i], line, want[n])
						}
					}
					checkFlag(t, d, tt.flag)
					checkDomainView(t, p, d, delivered, tt.sealing, classes[i], message)
				}
			}
		})
	}
}

func checkFlag(t *testing.T, d delivery, signer string) {
	t.Helper()
	var want []string
	if signer != "" {
		want = []string{"naming; signer=" + signer + "; originator=sales.example.com"}
	}
	var got []string
	for _, f := range harness.Find(d.fields, "DOMSEC-Flag") {
		got = append(got, f.Value())
	}
	if !slices.Equal(got, want) {
		t.Errorf("flag %q, want %q", got, want)
	}
}

// checkDomainView: a trusted domain's layers or not, what is inside is the same.
func checkDomainView(t *testing.T, p *testpki.PKI, d delivery, delivered []byte, s sealing, class string, received []byte) {
	t.Helper()
	layers := []string{}
	if s.encrypted {
		layers = append(layers, "enveloped/dca")
	}
	layers = append(layers, "signed/domain")
	if s.author == "" && !s.bare {
		layers = append(layers, "signed/empty")
	}
	want, view := text, "plain"
	switch class {
	case "received":
		layers, want = nil, string(received)
	case "capable":
		view = "opened"
	}
	if s.author != "" {
		switch class {
		case "capable", "unknown":
			if signed, err := verify(t, p, delivered); err != nil || signed != string(harness.LF([]byte(text))) {
				t.Errorf("%s: openssl verifies %q: %v", class, signed, err)
			}
			want = ""
		case "incapable":
			layers = append(layers, "signed/originator")
		}
	}
	trace := ""
	if layers != nil {
		trace = authservID + "; view=" + view + "; layers=\"" + strings.Join(layers, " ") + "\""
	}
	if got := d.trace(t); got != trace {
		t.Errorf("%s: trace %q, want %q", class, got, trace)
	}
	if want != "" && d.entity() != entityOf([]byte(want)) {
		t.Errorf("%s: entity %q, want %q", class, d.entity(), entityOf([]byte(want)))
	}
}

// The certificate of a domain has no address, so it is named by serial number and issuer.
func TestDomainCertificateProperties(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	message := domainSealed(t, p, sealing{author: testpki.Alice, encrypted: true})
	d := takeApart(t, sendStdout(t, site, message, []string{"incapable@example.net"})[0], message, nil, nil)
	lines := d.results(t)
	equalLines(t, lines[:2], []string{signerResult, authorResult})
}

// A Subject that only looks like ours loses its bracket (DESIGN, the flag to the user).
func TestForgedFlag(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	forged := "Subject: [Warning: sealed by example.com, not by the sender's domain]\r\n Figures\r\n"
	message := bytes.Replace(domainSealed(t, p, sealing{}), []byte("Subject: Figures\r\n"), []byte(forged+"DOMSEC-Flag: naming; signer=x\r\n"), 1)
	for _, class := range classes {
		delivered := sendStdout(t, site, message, []string{class + "@example.net"})[0]
		d := takeApart(t, delivered, message, func(f harness.Field) bool { return f.Name == "DOMSEC-Flag" },
			map[string]string{"subject": strings.Replace(string(harness.LF([]byte(forged))), "[", "?", 1)})
		checkFlag(t, d, "")
		if lines := d.results(t); !passes(lines) {
			t.Errorf("%s: %q", class, lines)
		}
	}
}

// DESIGN rule 11: a ciphertext is opened for recipients of the domain it is for, and for no other, whoever stands beside them
// in the transaction.
func TestTwoDomains(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	type o = testpki.Options
	tests := []struct {
		name    string
		message []byte
		opens   map[string]bool // by domain
	}{
		{"for one", message(p.EncryptEntity(t, []byte(text), o{}), o{}), map[string]bool{"example.net": true}},
		{"for the other", message(p.EncryptEntity(t, []byte(text), o{Recipients: []string{testpki.DCAOrg}}), o{}), map[string]bool{"example.org": true}},
		{"for both", message(p.EncryptEntity(t, []byte(text), o{Recipients: []string{testpki.DCAOrg, testpki.DCANet}, KeyID: true}), o{}),
			map[string]bool{"example.net": true, "example.org": true}},
		{"for a person", message(p.EncryptEntity(t, []byte(text), o{Recipients: []string{testpki.Bob}}), o{}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var to []string
			for _, class := range classes { // one transaction, the domains in turn
				for _, domain := range []string{"example.org", "elsewhere.example", "example.net"} {
					to = append(to, class+"@"+domain)
				}
			}
			for _, w := range ways {
				for i, delivered := range w.send(t, site, tt.message, to) {
					class, domain, _ := strings.Cut(to[i], "@")
					d := takeApart(t, delivered, tt.message, nil, nil)
					want, results, trace := entityOf(tt.message), []string{"x-domsec=none policy.domsec-encrypted=recipient"}, ""
					if tt.opens[domain] {
						results = []string{domsecOpened}
						if class != "received" {
							want = entityOf([]byte(text))
							trace = authservID + "; view=" + map[string]string{"capable": "opened", "unknown": "plain", "incapable": "plain"}[class] +
								"; layers=\"enveloped/dca\""
						}
					}
					equalLines(t, d.results(t), results)
					if got := d.entity(); got != want {
						t.Errorf("%s, %s: entity %q, want %q", w.name, to[i], got, want)
					}
					if got := d.trace(t); got != trace {
						t.Errorf("%s, %s: trace %q, want %q", w.name, to[i], got, trace)
					}
				}
			}
		})
	}
}

// One DATA, several recipients: replies in the order of RCPT, each with its own delivery, a refused one in between.
func TestReplyOrder(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	f := signThenEncrypt(t, p, "RSA", true, testpki.Options{})
	looped := inLoop(f.message)
	to := []string{"capable@example.net", "received@example.org", "incapable@example.net", "unknown@elsewhere.example", "received@example.net", "incapable+x@example.net"}
	client := site.Dial(t)
	for i, reply := range client.Deliver("", to, looped) {
		code := "250 2.0.0 <"
		if to[i] == "incapable@example.net" {
			code = "554 5.4.6 <"
		}
		if !strings.HasPrefix(reply, code+to[i]+"> ") {
			t.Errorf("reply %d: %q, want %q", i, reply, code+to[i]+">")
		}
	}
	client.Quit()
	for address, want := range map[string]string{"capable@example.net": entityOf(f.opened), "received@example.org": entityOf(looped),
		"unknown@elsewhere.example": entityOf(looped), "received@example.net": entityOf(looped), "incapable@example.net": entityOf(f.entity)} {
		// incapable+x is delivered to the Maildir of incapable, and is of his class.
		d := takeApart(t, site.Take(t, address), looped, nil, nil)
		if got := d.entity(); got != want {
			t.Errorf("%s: entity %q, want %q", address, got, want)
		}
	}
}

// The filter that is not told the recipient takes the default class and the keys of the first domain.
func TestUnknownRecipient(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	for name, want := range map[string]string{testpki.DCANet: text, testpki.DCAOrg: ""} {
		sealed := message(p.EncryptEntity(t, []byte(text), testpki.Options{Recipients: []string{name}}), testpki.Options{})
		if want == "" {
			want = string(sealed)
		}
		end := site.Filter(t, sealed)
		if d := takeApart(t, end.Stdout, sealed, nil, nil); end.Code != 0 || d.entity() != entityOf([]byte(want)) {
			t.Errorf("%s: exit code %d, entity %q", name, end.Code, d.entity())
		}
	}
}
