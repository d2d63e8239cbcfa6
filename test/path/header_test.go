package path_test

import (
	"bytes"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/testpki"
)

// forged are fields that claim to be ours, or that some reader would take for ours (THREATS B16), and copies of what only
// we write (B18).
var forged = []string{
	"Authentication-Results: mx.example.net; smime=pass; x-domsec=pass",
	"authentication-results: MX.Example.NET; smime=pass",
	"Authentication-Results: (x) mx.example.net (y); smime=pass",
	"Authentication-Results: \"mx.example.net\"; smime=pass",
	"Authentication-Results: mx.example.net 1; smime=pass",
	"Authentication-Results:\r\n mx.example.net; smime=pass",
	"Authentication-Results : mx.example.net; smime=pass",
	"Authentication-Results: mx.example.net.; smime=pass",
	"Authentication-Results: =?utf-8?q?mx.example.net?=; smime=pass",
	"Authentication-Results: mx.example.net; smime=pass (" + strings.Repeat("x", 1<<17) + ")",
	"Authentication-Results: mx.example.net; smime=pass; this is no result",
	"Authentication-Results: \" mx.example.net 1\"; smime=pass",
	"Authentication-Results: \"mx\\.example.net\"; smime=pass",
	"Authentication-Results: mx.example.net; none",
	"Authentication-Results: mx.example.net; smime=pass (\xff)",
	"Authentication-Results: (unclosed",
	"Authentication-Results:",
	"AUTHENTICATION-RESULTS:\tmx.example.net;\r\n\tsmime=pass\r\n\tbody.smime-identifier=alice@sales.example.com",
	"X-Unwrapped: mx.example.net; view=plain; layers=\"enveloped/dca\"",
	"x-unwrapped: x",
	"X-Unwrapped : x",
	"X-UNWRAPPED:\r\n x",
	"DOMSEC-Flag: naming; signer=example.com; originator=example.com",
	"X-E2E-Notice: x",
	"X-Auth-Flag: x",
	"X-Quarantine: x",
}

// kept are fields of others; they and their order stay (THREATS B17).
var kept = []string{
	"Authentication-Results: 1.example; spf=pass",
	"Authentication-Results: 2.example; dkim=pass header.d=example.com",
	"Authentication-Results: upstream.example.net; dkim=pass header.b=ab/cd",
	"Authentication-Results: 5.example; none",
	"Authentication-Results: mx.example.net.example.com; none",
	"Authentication-Results-Of: mx.example.net; smime=pass",
	"ARC-Authentication-Results: i=1; mx.example.net; smime=pass",
	"X-Unwrapped-Not: x",
}

func forgedHeader() string {
	var b strings.Builder
	for i, f := range forged {
		b.WriteString(f + "\r\n")
		if i < len(kept) {
			b.WriteString(kept[i] + "\r\n")
		}
	}
	for range 200 {
		b.WriteString(forged[0] + "\r\n")
	}
	return b.String()
}

func isForged(f harness.Field) bool {
	for _, k := range kept {
		if f.Raw == k+"\n" {
			return false
		}
	}
	switch strings.ToLower(f.Name) {
	case "authentication-results", "x-unwrapped", "domsec-flag", "x-e2e-notice", "x-auth-flag", "x-quarantine":
		return true
	}
	return false
}

// THREATS B16 to B18: whatever S/MIME is in the message, whatever the way and the class, what is forged is gone and what others
// wrote is there.
func TestForgedFields(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	plain := form{name: "plain", message: append([]byte(testpki.Header+"MIME-Version: 1.0\r\n"), text...), results: nil}
	for _, f := range []form{plain, signDetached(t, p, "RSA", testpki.Options{}), signOpaque(t, p, "LF", testpki.Options{LF: true}),
		signThenEncrypt(t, p, "RSA", true, testpki.Options{})} {
		t.Run(f.name, func(t *testing.T) {
			message := withFields(forgedHeader(), bytes.Replace(f.message, []byte("Authentication-Results:"), []byte("X-Other:"), 1))
			for _, w := range ways {
				for i, delivered := range w.send(t, site, message, addresses("example.net")) {
					d := takeApart(t, delivered, message, isForged, nil)
					equalLines(t, d.results(t), f.results)
					if first := harness.Find(d.fields, "Authentication-Results")[0]; first.Raw != d.ours[position(d.ours, "Authentication-Results")].Raw {
						t.Errorf("%s, %s: first is %q", w.name, classes[i], first.Raw)
					}
					if trace := d.trace(t); trace != "" && !strings.HasPrefix(trace, authservID+"; view=") {
						t.Errorf("%s, %s: trace %q", w.name, classes[i], trace)
					}
				}
			}
		})
	}
}

func position(fields []harness.Field, name string) int {
	for i, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return i
		}
	}
	return -1
}

// A field name with a fold before the colon, and a first line that would continue a field of ours.
func TestForgedByFolding(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	f := signDetached(t, p, "RSA", testpki.Options{})
	for name, top := range map[string]string{
		"name":       "X-First: x\r\nAuthentication-Results\r\n : mx.example.net; smime=pass\r\n",
		"first line": " ; smime=pass body.smime-identifier=ceo@example.com\r\n",
		"tab":        "\t; x-domsec=pass\r\n; smime=pass\r\n",
		"blank":      " \r\nAuthentication-Results: mx.example.net; smime=pass\r\n",
	} {
		message := append([]byte(top), f.message...)
		for _, w := range ways {
			for i, delivered := range w.send(t, site, message, addresses("example.net")) {
				fields, _ := harness.Split(delivered)
				var d delivery
				d.fields, d.ours = fields, fields[:position(fields, "X-Odd")]
				d.ours = d.ours[:len(d.ours)-len(harness.Find(d.ours, "Authentication-Results"))+len(ourResults(d.ours))]
				for _, r := range d.results(t) {
					if strings.Contains(r, "=pass") {
						t.Errorf("%s, %s, %s: %s", name, w.name, classes[i], r)
					}
				}
				if n := bytes.Count(delivered, []byte("mx.example.net; smime=pass")); n > 0 {
					t.Errorf("%s, %s, %s: forged results in\n%s", name, w.name, classes[i], delivered)
				}
			}
		}
	}
}

// ourResults returns the Authentication-Results fields of ours.
func ourResults(fields []harness.Field) []harness.Field {
	var list []harness.Field
	for _, f := range harness.Find(fields, "Authentication-Results") {
		if strings.HasPrefix(f.Value(), authservID) {
			list = append(list, f)
		}
	}
	return list
}

// smuggled stands above an entity inside a layer; only its Content-* fields may come up (THREATS B12).
const smuggled = "From: Smuggled <smuggled@example.com>\r\n" +
	"Authentication-Results: mx.example.net; smime=pass (smuggled); x-domsec=pass\r\n" +
	"Authentication-Results: upstream.example.net; dkim=pass (smuggled)\r\n" +
	"Received: from smuggled by smuggled; Mon, 20 Jan 2014 09:00:01 +0000\r\n" +
	"Delivered-To: incapable@example.net\r\n" +
	"X-Spam-Status: No (smuggled)\r\n" +
	"Bcc: smuggled@example.com\r\n" +
	"Return-Path: <smuggled@example.com>\r\n" +
	"Subject: smuggled\r\n" +
	"X-Unwrapped: smuggled\r\n" +
	"DOMSEC-Flag: smuggled\r\n"

func TestFieldsInside(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	type o = testpki.Options
	entity := []byte(smuggled + text)
	for name, message := range map[string][]byte{
		"enveloped": message(p.EncryptEntity(t, entity, o{}), o{}),
		"opaque":    message(p.SignEntity(t, entity, false, o{}), o{}),
		"detached":  message(p.SignEntity(t, entity, true, o{}), o{}),
		"signed, then enveloped, above the signature": message(p.EncryptEntity(t, append([]byte(smuggled), p.SignEntity(t, []byte(text), true, o{})...), o{}), o{}),
		"signed, then enveloped":                      message(p.EncryptEntity(t, p.SignEntity(t, entity, false, o{}), o{}), o{}),
		"domain":                                      domainSealed(t, p, sealing{entity: string(entity), encrypted: true}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range ways {
				for i, delivered := range w.send(t, site, message, addresses("example.net")) {
					d := takeApart(t, delivered, message, nil, nil)
					for _, f := range d.fields {
						if strings.Contains(strings.ToLower(f.Raw), "smuggled") {
							t.Errorf("%s, %s: %q", w.name, classes[i], f.Raw)
						}
					}
					wantReceived := 0
					if w.name != "stdout" {
						wantReceived = 1
					}
					if n := len(harness.Find(d.ours, "Received")); n != wantReceived {
						t.Errorf("%s, %s: %d Received fields of ours", w.name, classes[i], n)
					}
					d.results(t)
					if class := classes[i]; class == "incapable" && d.entity() != entityOf([]byte(text)) {
						t.Errorf("%s: entity %q", w.name, d.entity())
					}
				}
			}
		})
	}
}

// THREATS B03 and B13: what is in the header twice is read by some as one, by some as the other. No signature binds any of
// them, nothing is opened, nothing is repaired, and the mail is delivered.
func TestDoubleFields(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	type o = testpki.Options
	signed := p.Message(p.SignEntity(t, []byte(text), true, o{}), o{})
	sealed := domainSealed(t, p, sealing{author: testpki.Alice, encrypted: true})
	opaque := p.Message(p.SignEntity(t, []byte(text), false, o{}), o{})
	const from = "From: Alice Arden <alice@sales.example.com>\r\n"
	tests := []struct {
		name     string
		old, new string
		raw      bool // not even looked into
		sealed   bool // holds for what is inside a ciphertext as well
	}{
		{name: "second From", old: from, new: from + "From: Mallory <mallory@example.org>\r\n", sealed: true},
		{name: "first From", old: from, new: "From: Mallory <mallory@example.org>\r\n" + from, sealed: true},
		{name: "From with a space", old: from, new: from + "From : Mallory <mallory@example.org>\r\n", sealed: true},
		{name: "folded From", old: from, new: from + "From\r\n : Mallory <mallory@example.org>\r\n", sealed: true},
		{name: "only a From with a space", old: from, new: strings.Replace(from, ":", " :", 1), sealed: true},
		{name: "no From", old: from, new: "", sealed: true},
		{name: "From twice the same", old: from, new: from + from, sealed: true},
		{name: "second Content-Type", old: from, new: from + "Content-Type: text/html\r\n", raw: true, sealed: true},
		{name: "last Content-Type", old: "MIME-Version: 1.0\r\n", new: "", raw: true},
		{name: "Content-Type with a space", old: from, new: from + "Content-Type : text/html\r\n", raw: true, sealed: true},
		{name: "two transfer encodings", old: from, new: from + "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", raw: true, sealed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for form, message := range map[string][]byte{"detached": signed, "opaque": opaque, "domain, enveloped": sealed} {
				message := bytes.Replace(message, []byte(tt.old), []byte(tt.new), 1)
				if tt.name == "last Content-Type" {
					header, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
					message = bytes.Join([][]byte{header, []byte("\r\nContent-Type: text/html\r\n\r\n"), body}, nil)
				}
				for _, w := range ways {
					for i, delivered := range w.send(t, site, message, addresses("example.net")) {
						d := takeApart(t, delivered, message, nil, nil)
						if lines := d.results(t); passes(lines) {
							t.Errorf("%s, %s, %s: %q", form, w.name, classes[i], lines)
						}
						if tt.raw && d.entity() != entityOf(message) {
							t.Errorf("%s, %s, %s: entity %q", form, w.name, classes[i], d.entity())
						}
					}
				}
			}
		})
	}
}
