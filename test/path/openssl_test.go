package path_test

import (
	"bytes"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/testpki"
)

// moreFields stand above the header that testpki writes: what must come through as it is.
const moreFields = "Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id 1234;\r\n" +
	"\tMon, 20 Jan 2014 09:00:01 +0000\r\n" +
	"Authentication-Results: upstream.example.net; spf=pass smtp.mailfrom=sales.example.com\r\n" +
	"X-Odd:no space,  trailing white space \t\r\n" +
	"x-eight-bit: K\xf6ln, K\xc3\xb6ln\r\n" +
	"X-Folded:\r\n  on three\r\n\tlines\r\n" +
	"Comments: one\r\nComments: two\r\n"

// text is an entity with most of what a body of text can have.
const text = "Content-Type: text/plain;\r\n charset=us-ascii; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\n" +
	"Content-Description: figures\r\n\r\n" +
	".\r\n..two dots\r\nFrom the third line on \r\n\ttab, blank lines\r\n\r\n\r\n-- \r\n--no boundary--\r\nthe end\r\n"

// A form is one message that openssl made, and what is to come of it.
type form struct {
	name     string
	message  []byte
	entity   []byte // what incapable readers get
	opened   []byte // what capable readers get
	trace    string // layers for capable; "" when none comes off
	plain    string // layers for incapable
	signed   bool   // a person's signature is in it
	repacked bool   // unknown readers get it in another form
	results  []string
}

func (f form) enveloped() bool { return strings.Contains(f.plain, "enveloped") }

func (f form) authenticated() bool { return strings.HasPrefix(f.plain, "auth-enveloped") }

const (
	signedByAlice = "smime=pass body.smime-part=%s body.smime-identifier=alice@sales.example.com"
	domsecNone    = "x-domsec=none"
	domsecOpened  = `x-domsec=policy reason="encrypted but not domain-signed" policy.domsec-encrypted=dca`

	layerDCA        = "enveloped/dca"
	layerAuthDCA    = "auth-enveloped/dca"
	layerOriginator = "signed/originator"
)

// layerOf is the layer that a cipher makes.
func layerOf(o testpki.Options) string {
	if strings.HasSuffix(o.Cipher, "-gcm") {
		return layerAuthDCA
	}
	return layerDCA
}

func byAlice(part string) string { return strings.Replace(signedByAlice, "%s", part, 1) }

func message(entity []byte, o testpki.Options) []byte {
	return withFields(moreFields, (*testpki.PKI)(nil).Message(entity, o))
}

func withFields(fields string, message []byte) []byte {
	if !bytes.Contains(message, []byte("\r\n")) {
		fields = string(harness.LF([]byte(fields)))
	}
	return append([]byte(fields), message...)
}

func signOpaque(t *testing.T, p *testpki.PKI, name string, o testpki.Options) form {
	o.Entity = []byte(text)
	in := p.SignEntity(t, o.Entity, false, o)
	return form{name: "opaque, " + name, message: message(in, o), entity: o.Entity, opened: in, plain: layerOriginator,
		signed: true, repacked: true, results: []string{byAlice("1"), domsecNone}}
}

func signDetached(t *testing.T, p *testpki.PKI, name string, o testpki.Options) form {
	o.Entity = []byte(text)
	in := p.SignEntity(t, o.Entity, true, o)
	return form{name: "detached, " + name, message: message(in, o), entity: o.Entity, opened: in, plain: layerOriginator,
		signed: true, results: []string{byAlice("2"), domsecNone}}
}

func encrypt(t *testing.T, p *testpki.PKI, name string, o testpki.Options) form {
	o.Entity = []byte(text)
	return form{name: "enveloped, " + name, message: message(p.EncryptEntity(t, o.Entity, o), o), entity: o.Entity, opened: o.Entity,
		trace: layerOf(o), plain: layerOf(o), results: []string{domsecOpened}}
}

func signThenEncrypt(t *testing.T, p *testpki.PKI, name string, detached bool, o testpki.Options) form {
	f, part := signOpaque(t, p, name, o), "1/1"
	if detached {
		f, part = signDetached(t, p, name, o), "1/2"
	}
	f.name = "enveloped " + f.name
	f.message = message(p.EncryptEntity(t, f.opened, o), o)
	f.trace, f.plain = layerOf(o), layerOf(o)+" "+layerOriginator
	f.results = []string{byAlice(part), domsecOpened}
	return f
}

// forms returns every form that openssl can make of what the path knows.
func forms(t *testing.T, p *testpki.PKI) []form {
	t.Helper()
	type o = testpki.Options
	list := []form{
		signOpaque(t, p, "RSA", o{}),
		signOpaque(t, p, "P-256, stream", o{Signer: testpki.AliceP256, Stream: true}),
		signOpaque(t, p, "RSA, key id, SHA-384, LF", o{KeyID: true, Digest: "sha384", LF: true}),
		signDetached(t, p, "RSA, LF", o{LF: true}),
		signDetached(t, p, "P-256, SHA-512", o{Signer: testpki.AliceP256, Digest: "sha512", NoPreamble: true}),
		signDetached(t, p, "RSA, stream", o{Stream: true}),
		encrypt(t, p, "AES-256-CBC", o{}),
		encrypt(t, p, "AES-128-CBC, LF", o{Cipher: "aes-128-cbc", LF: true}),
		encrypt(t, p, "OAEP", o{OAEP: "sha1", Cipher: "aes-128-cbc"}),
		encrypt(t, p, "stream, key id", o{Stream: true, KeyID: true}),
		signThenEncrypt(t, p, "RSA, AES-256-CBC", false, o{}),
		signThenEncrypt(t, p, "RSA, AES-128-CBC, LF", true, o{Cipher: "aes-128-cbc", LF: true}),
		signThenEncrypt(t, p, "P-256, OAEP with SHA-256", true, o{Signer: testpki.AliceP256, OAEP: "sha256"}),
		encrypt(t, p, "AES-256-GCM", o{Cipher: "aes-256-gcm"}),
		encrypt(t, p, "AES-192-GCM, OAEP, stream, key id, LF", o{Cipher: "aes-192-gcm", OAEP: "sha256", Stream: true, KeyID: true, LF: true}),
		encrypt(t, p, "AES-192-CBC", o{Cipher: "aes-192-cbc"}),
		signThenEncrypt(t, p, "P-384, key id, AES-128-GCM", true, o{Signer: testpki.AliceP384, Digest: "sha384", KeyID: true, Cipher: "aes-128-gcm"}),
		signThenEncrypt(t, p, "P-521, AES-256-GCM", false, o{Signer: testpki.AliceP521, Digest: "sha512", Cipher: "aes-256-gcm"}),
		signThenEncrypt(t, p, "P-256, stream", false, o{Signer: testpki.AliceP256, Stream: true, OAEP: "sha1"}),
	}
	return list
}

// Every form, by every way, for every class.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	for _, f := range forms(t, p) {
		t.Run(f.name, func(t *testing.T) {
			for _, w := range ways {
				t.Run(w.name, func(t *testing.T) {
					for i, delivered := range w.send(t, site, f.message, addresses("example.net")) {
						t.Run(classes[i], func(t *testing.T) { f.check(t, p, classes[i], delivered) })
					}
				})
			}
		})
	}
}

func (f form) check(t *testing.T, p *testpki.PKI, class string, delivered []byte) {
	d := takeApart(t, delivered, f.message, nil, nil)
	equalLines(t, d.results(t), f.results)
	if n := len(harness.Find(d.fields, "MIME-Version")); n != 1 {
		t.Errorf("%d MIME-Version fields", n)
	}
	layers, want, view := "", f.message, "received"
	switch class {
	case "capable":
		layers, want, view = f.trace, f.opened, "opened"
	case "unknown":
		layers, want, view = f.trace, f.opened, "plain"
		if f.signed {
			f.checkSigned(t, p, delivered)
		}
	case "incapable":
		layers, want, view = f.plain, f.entity, "plain"
	}
	if class != "unknown" || !f.repacked {
		if got := d.entity(); got != entityOf(want) {
			t.Errorf("entity\n got %q\nwant %q", got, entityOf(want))
		}
	}
	wantTrace := ""
	if layers != "" {
		wantTrace = "; layers=\"" + layers + "\""
	}
	if class == "unknown" && f.repacked {
		wantTrace += "; repackaged=\"signed/originator\""
	}
	if wantTrace != "" {
		wantTrace = authservID + "; view=" + view + wantTrace
	}
	if got := d.trace(t); got != wantTrace {
		t.Errorf("trace %q, want %q", got, wantTrace)
	}
}

// checkSigned: unknown readers get multipart/signed, and openssl finds the signature good and over the entity.
func (f form) checkSigned(t *testing.T, p *testpki.PKI, delivered []byte) {
	t.Helper()
	fields, _ := harness.Split(harness.LF(delivered))
	if types := harness.Find(fields, "Content-Type"); len(types) != 1 || !strings.HasPrefix(types[0].Value(), "multipart/signed;") {
		t.Errorf("Content-Type %q", types)
	}
	signed, err := verify(t, p, delivered)
	if err != nil || signed != string(harness.LF(f.entity)) {
		t.Errorf("openssl verifies %q: %v", signed, err)
	}
}
