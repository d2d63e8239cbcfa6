package path_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/testpki"
)

// A damaged is a form, damaged in one place.
type damaged struct {
	form
	place   testpki.Place
	message []byte
	entity  []byte // what is signed now
	sealed  bool   // the damage is inside the ciphertext
}

// damages returns a form damaged in every place of its outermost layer.
func damages(t *testing.T, f form) []damaged {
	t.Helper()
	places := testpki.SignedPlaces
	switch {
	case f.authenticated():
		places = testpki.AuthEnvelopedPlaces
	case f.enveloped():
		places = testpki.EnvelopedPlaces
	case bytes.Contains(f.message, []byte("multipart/signed")):
		places = testpki.DetachedPlaces
	}
	var list []damaged
	for _, place := range places {
		message, err := testpki.Damage(f.message, place)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(message, []byte("\n")) {
			message = append(message, "\r\n"...) // LMTP knows no message without it
		}
		list = append(list, damaged{form: f, place: place, message: message, entity: contentAfter(f.entity, place)})
	}
	return list
}

// sealedDamages returns a signed form damaged in every place of the signature, then encrypted.
func sealedDamages(t *testing.T, p *testpki.PKI, f form, detached bool, o testpki.Options) []damaged {
	t.Helper()
	places := testpki.SignedPlaces
	if detached {
		places = testpki.DetachedPlaces
	}
	var list []damaged
	for _, place := range places {
		in, err := testpki.Damage(f.opened, place)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, damaged{form: f, place: place, message: message(p.EncryptEntity(t, in, o), o),
			entity: contentAfter(f.entity, place), sealed: true})
	}
	return list
}

// contentAfter returns the entity with the letter changed that a damage of the signed content changes.
func contentAfter(entity []byte, place testpki.Place) []byte {
	if place != testpki.SignedContent {
		return entity
	}
	changed := bytes.Clone(entity)
	changed[bytes.LastIndexByte(changed, 'd')] ^= 1 // "the end"
	return changed
}

// A finding is what the results say of a damaged message, "" for no result of the method; any of several is right.
type finding struct{ smime, domsec []string }

func one(smime, domsec string) finding { return finding{[]string{smime}, []string{domsec}} }

const (
	failDigest     = `smime=fail reason="message digest mismatch"`
	failValue      = `smime=fail reason="signature value wrong"`
	noCertificate  = `smime=permerror reason="no signer certificate"`
	untrusted      = `smime=policy reason="untrusted certificate"`
	unreadable     = `smime=neutral reason="unreadable S/MIME object"`
	none           = "x-domsec=none"
	cannotDecrypt  = `x-domsec=neutral reason="cannot decrypt"`
	domsecUnread   = `x-domsec=permerror reason="unreadable S/MIME object"`
	notDomainSig   = `x-domsec=policy reason="encrypted but not domain-signed"`
	alicePassed    = "smime=pass"
	noSMIMEResult  = ""
	noDomsecResult = ""
)

// signedFindings are those of a signature, by the place of the damage.
var signedFindings = map[testpki.Place]finding{
	testpki.SignedContent:    one(failDigest, none),
	testpki.SignedAttributes: one(failValue, none),
	testpki.MessageDigest:    one(failDigest, none),
	testpki.SignatureValue:   one(failValue, none),
	testpki.SignerSerial:     one(noCertificate, none),
	testpki.CertificateValue: one(untrusted, none),
	testpki.Structure:        one(unreadable, domsecUnread),
	testpki.Base64Cut:        one(unreadable, domsecUnread),
	testpki.Base64Letter:     one(unreadable, domsecUnread),
	testpki.MediaType:        one(noSMIMEResult, noDomsecResult),
	testpki.Boundary:         one(unreadable, domsecUnread),
	testpki.CloseDelimiter:   one(unreadable, domsecUnread), // the delimiter belongs to the base64 text now
}

// envelopedFindings are those of a ciphertext. Whatever does not decrypt gives one constant line.
var envelopedFindings = map[testpki.Place]finding{
	testpki.RecipientSerial:  one(noSMIMEResult, none),
	testpki.EncryptedKey:     one(noSMIMEResult, cannotDecrypt),
	testpki.ContentIV:        one(noSMIMEResult, cannotDecrypt),
	testpki.CiphertextFirst:  one(noSMIMEResult, cannotDecrypt),
	testpki.CiphertextMiddle: one(noSMIMEResult, cannotDecrypt),
	testpki.CiphertextBefore: one(noSMIMEResult, cannotDecrypt),
	testpki.CiphertextLast:   one(noSMIMEResult, cannotDecrypt),
	testpki.GCMTag:           one(noSMIMEResult, cannotDecrypt),
	testpki.GCMTagLength:     one(noSMIMEResult, cannotDecrypt),
	testpki.Structure:        one(unreadable, domsecUnread),
	testpki.Base64Cut:        {[]string{noSMIMEResult, unreadable}, []string{cannotDecrypt, domsecUnread}},
	testpki.Base64Letter:     {[]string{noSMIMEResult, unreadable}, []string{cannotDecrypt, domsecUnread}},
	testpki.MediaType:        one(noSMIMEResult, noDomsecResult),
}

func (d damaged) want() finding {
	switch {
	case d.sealed && (d.place == testpki.Boundary || d.place == testpki.CloseDelimiter):
		// Delimiters of a boundary that is nowhere declared are what an attacker leaves who cuts CBC content.
		return one(noSMIMEResult, cannotDecrypt)
	case d.sealed:
		f := signedFindings[d.place]
		f.domsec = []string{notDomainSig, domsecUnread}
		return f
	case !d.enveloped():
		return signedFindings[d.place]
	}
	f := envelopedFindings[d.place]
	if d.signed && d.place == testpki.ContentIV && !d.authenticated() {
		// The first octets of the plaintext are the MIME header above the signature: no octet of what was signed.
		return finding{[]string{alicePassed, noSMIMEResult}, []string{notDomainSig, cannotDecrypt}}
	}
	return f
}

// check holds one delivery against the rules: what the results say, what of the message may be there.
func (d damaged) check(t *testing.T, class string, delivered []byte) {
	t.Helper()
	out := takeApart(t, delivered, d.message, nil, nil)
	lines := out.results(t)
	want := d.want()
	if got := find(lines, "smime="); !matches(got, want.smime) {
		t.Errorf("%s: %q, want %q", class, got, want.smime)
	}
	if got := find(lines, "x-domsec="); !matches(got, want.domsec) {
		t.Errorf("%s: %q, want %q", class, got, want.domsec)
	}
	asReceived := out.entity() == entityOf(d.message)
	if passes(lines) && (class == "incapable" && out.entity() != entityOf(d.form.entity) || !bytes.Equal(d.entity, d.form.entity)) {
		t.Errorf("%s: pass for what nobody signed: %q", class, out.entity())
	}
	switch trace := out.trace(t); {
	case find(lines, "x-domsec=") == "":
		if trace != "" || !asReceived {
			t.Errorf("%s: trace %q of a message without S/MIME", class, trace)
		}
	case strings.HasPrefix(find(lines, "x-domsec="), cannotDecrypt):
		if trace != authservID+`; view=received; reason="cannot decrypt"` || !asReceived {
			t.Errorf("%s: trace %q, delivered as received: %v", class, trace, asReceived)
		}
	case class == "received" || trace == "":
		if trace != "" || !asReceived {
			t.Errorf("%s: trace %q, delivered as received: %v", class, trace, asReceived)
		}
	case class == "incapable":
		if out.entity() != entityOf(d.entity) && !d.partly() {
			t.Errorf("%s: entity %q, want %q", class, out.entity(), entityOf(d.entity))
		}
	}
}

// partly: the ciphertext opens, and what is inside cannot be read as a signature, so it stays.
func (d damaged) partly() bool {
	if !d.sealed {
		return false
	}
	smime := d.want().smime[0]
	return smime == unreadable || smime == noSMIMEResult
}

func find(lines []string, prefix string) string {
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
	if i < 0 {
		return ""
	}
	return lines[i]
}

func matches(got string, want []string) bool {
	return slices.ContainsFunc(want, func(w string) bool { return w == "" && got == "" || w != "" && strings.HasPrefix(got, w) })
}

// Every form damaged in every place: never lost, never refused, never passed off as signed, and nothing in replies and
// exit codes that would tell the sender of it (DESIGN rule 2).
func TestDamaged(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	type o = testpki.Options
	tests := []struct {
		form   form
		sealed []damaged
	}{
		{form: signOpaque(t, p, "RSA", o{})},
		{form: signOpaque(t, p, "P-256, stream", o{Signer: testpki.AliceP256, Stream: true})},
		{form: signDetached(t, p, "RSA", o{})},
		{form: signDetached(t, p, "P-256, LF", o{Signer: testpki.AliceP256, LF: true})},
		{form: encrypt(t, p, "AES-256-CBC", o{})},
		{form: encrypt(t, p, "AES-128-CBC, OAEP, stream", o{Cipher: "aes-128-cbc", OAEP: "sha1", Stream: true})},
		{form: encrypt(t, p, "AES-256-GCM", o{Cipher: "aes-256-gcm"})},
		{form: signThenEncrypt(t, p, "P-384, AES-128-GCM, stream", true, o{Signer: testpki.AliceP384, Cipher: "aes-128-gcm", Stream: true})},
		{form: signThenEncrypt(t, p, "RSA", false, o{})},
		{form: signThenEncrypt(t, p, "P-256, OAEP", true, o{Signer: testpki.AliceP256, OAEP: "sha256"})},
	}
	opaque, detached := o{Signer: testpki.AliceP256}, o{NoPreamble: true}
	tests[len(tests)-2].sealed = sealedDamages(t, p, signThenEncrypt(t, p, "P-256", false, opaque), false, opaque)
	tests[len(tests)-1].sealed = sealedDamages(t, p, signThenEncrypt(t, p, "RSA", true, detached), true, detached)
	for _, test := range tests {
		t.Run(test.form.name, func(t *testing.T) {
			want := dialogue(t, site, test.form.message)
			for i := range classes {
				site.Take(t, addresses("example.net")[i])
			}
			for _, d := range append(damages(t, test.form), test.sealed...) {
				name := string(d.place)
				if d.sealed {
					name = "sealed " + name
				}
				t.Run(name, func(t *testing.T) { d.send(t, site, want) })
			}
		})
	}
}

// send sends a damaged message by all ways.
func (d damaged) send(t *testing.T, site *harness.Site, transcript string) {
	if got := dialogue(t, site, d.message); got != transcript {
		t.Errorf("LMTP dialogue\n got %q\nwant %q", got, transcript)
	}
	for i, address := range addresses("example.net") {
		d.check(t, classes[i], site.Take(t, address))
	}
	some := []string{"unknown@example.net", "incapable@example.net"}
	for i, delivered := range sendStdout(t, site, d.message, some) {
		d.check(t, classes[2+i], delivered)
	}
	for _, delivered := range sendMaildir(t, site, d.message, some[1:]) {
		d.check(t, "incapable", delivered)
	}
}

// dialogue sends a message to all classes and returns every octet the server said, and every command.
func dialogue(t *testing.T, site *harness.Site, message []byte) string {
	t.Helper()
	client := site.Dial(t)
	client.Deliver(sender, addresses("example.net"), message)
	client.Quit()
	return client.Transcript()
}

// DESIGN rule 2 where it costs most: the postmaster has bad mail rejected. What is found behind our key changes no
// reply and no exit code, and the mail goes to quarantine.
func TestOracleUnderReject(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "\n[policy]\nenforce = \"reject\"\n")
	site.Start(t)
	o := testpki.Options{}
	f := signThenEncrypt(t, p, "RSA", true, o)
	good := dialogue(t, site, f.message)
	looped := dialogue(t, site, inLoop(f.message))
	if good == looped || strings.Count(good, "\r\n250 2.0.0 <") != len(classes) {
		t.Fatalf("LMTP dialogue %q, in a loop %q", good, looped)
	}
	list := append(damages(t, f), sealedDamages(t, p, f, true, o)...)
	list = append(list, damages(t, signThenEncrypt(t, p, "RSA, AES-256-GCM", true, testpki.Options{Cipher: "aes-256-gcm"}))...)
	for _, signer := range []string{testpki.ForeignSigner, testpki.ExpiredSigner, testpki.UntrustedSigner} {
		list = append(list, damaged{message: domainSealed(t, p, sealing{signer: signer, encrypted: true}), place: testpki.Place(signer)})
	}
	list = append(list, damaged{message: sealedFailure(t, p), place: "domain signature"})
	for i, d := range list {
		if !d.sealed && (d.place == testpki.Structure || d.place == testpki.Base64Cut || d.place == testpki.Base64Letter) {
			continue // no key is needed to see this
		}
		if got := dialogue(t, site, d.message); got != good {
			t.Errorf("%d, %s: LMTP dialogue\n got %q\nwant %q", i, d.place, got, good)
		}
		if got := dialogue(t, site, inLoop(d.message)); got != looped {
			t.Errorf("%d, %s: LMTP dialogue in a loop\n got %q\nwant %q", i, d.place, got, looped)
		}
		sendStdout(t, site, d.message, []string{"incapable@example.net"})
	}
	if n := len(harness.TakeMaildir(t, site.Path("quarantine"))); n == 0 {
		t.Error("nothing in quarantine")
	}
	// The same in the open is refused.
	client := site.Dial(t)
	replies := client.Deliver(sender, []string{"incapable@example.net"}, domainSealed(t, p, sealing{signer: testpki.ForeignSigner}))
	if want := "550 5.7.1 <incapable@example.net> domain signature refused\r\n"; replies[0] != want {
		t.Errorf("in the open: %q, want %q", replies[0], want)
	}
}

// inLoop returns a message that one of the recipients has had before.
func inLoop(message []byte) []byte {
	at := []byte("Comments: one")
	return bytes.Replace(message, at, append([]byte("Delivered-To: incapable@example.net\r\n"), at...), 1)
}

// sealedFailure returns a message whose domain signature, inside the ciphertext, fails.
func sealedFailure(t *testing.T, p *testpki.PKI) []byte {
	t.Helper()
	in, err := testpki.Damage(domainEntity(t, p, sealing{}), testpki.SignedAttributes)
	if err != nil {
		t.Fatal(err)
	}
	return message(p.EncryptEntity(t, in, testpki.Options{}), testpki.Options{})
}

// domainFindings are those of a domain's signature in the open, by the place of the damage; "" for no x-domsec.
var domainFindings = map[testpki.Place]string{
	testpki.SignedContent:    `x-domsec=fail reason="message digest mismatch"`,
	testpki.SignedAttributes: `x-domsec=fail reason="signature value wrong"`,
	testpki.MessageDigest:    `x-domsec=fail reason="message digest mismatch"`,
	testpki.SignatureValue:   `x-domsec=fail reason="signature value wrong"`,
	testpki.SignerSerial:     `x-domsec=permerror reason="no signer certificate"`,
	testpki.CertificateValue: `x-domsec=policy reason="untrusted certificate"`,
	testpki.Structure:        domsecUnread,
	testpki.Base64Cut:        domsecUnread,
	testpki.Base64Letter:     domsecUnread,
	testpki.MediaType:        "",
}

// A domain's signature, damaged in every place, in the open and inside a ciphertext: never a pass, never a difference to
// the sender.
func TestDamagedDomainSignature(t *testing.T) {
	t.Parallel()
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	want := dialogue(t, site, domainSealed(t, p, sealing{}))
	for _, address := range addresses("example.net") {
		site.Take(t, address)
	}
	for _, author := range []string{"", testpki.AliceP256} {
		entity := domainEntity(t, p, sealing{author: author})
		for _, place := range testpki.SignedPlaces {
			in, err := testpki.Damage(entity, place)
			if err != nil {
				t.Fatal(err)
			}
			in = append(bytes.TrimSuffix(in, []byte("\r\n")), "\r\n"...)
			for name, m := range map[string][]byte{"open": message(in, testpki.Options{}), "sealed": message(p.EncryptEntity(t, in, testpki.Options{}), testpki.Options{})} {
				if got := dialogue(t, site, m); got != want {
					t.Errorf("%s, %s, by %q: LMTP dialogue %q, want %q", place, name, author, got, want)
				}
				all := sendStdout(t, site, m, []string{"incapable@example.net"})
				for _, address := range addresses("example.net") {
					all = append(all, site.Take(t, address))
				}
				for _, delivered := range all {
					domsec := find(takeApart(t, delivered, m, nil, nil).results(t), "x-domsec=")
					if strings.HasPrefix(domsec, "x-domsec=pass") || name == "open" && !matches(domsec, []string{domainFindings[place]}) {
						t.Errorf("%s, %s, by %q: %s, want %s", place, name, author, domsec, domainFindings[place])
					}
				}
			}
		}
	}
}
