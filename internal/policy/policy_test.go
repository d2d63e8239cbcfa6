package policy

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"paperknife/internal/message"
	"paperknife/internal/trust"
	"paperknife/unwrap"
	"paperknife/verifyhdr"
)

var settings = Settings{AuthservID: "mx.example.net", RequireInnerLayer: true}

func from(addresses ...string) Originator {
	o := Originator{Addresses: addresses}
	for _, a := range addresses {
		o.Domains = append(o.Domains, a[strings.IndexByte(a, '@')+1:])
	}
	return o
}

func signer(outcome unwrap.Outcome) unwrap.Signer {
	return unwrap.Signer{Outcome: outcome, Certificate: []byte{1}, Digest: "sha256", Algorithm: "rsa", KeyBits: 2048,
		SignedAttrs: true, Serial: big.NewInt(1001), SigningTime: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
}

func domainSignerInfo(outcome unwrap.Outcome) unwrap.Signer {
	s := signer(outcome)
	s.Types = []string{unwrap.SignatureTypeDomain}
	return s
}

func signed(role unwrap.Role, signers ...unwrap.Signer) unwrap.Layer {
	return unwrap.Layer{Type: unwrap.Signed, Role: role, Part: "1", Signers: signers, WholeBody: true, Strippable: true}
}

func envelope(opened, covered, gate bool) unwrap.Layer {
	return unwrap.Layer{Type: unwrap.Enveloped, Role: unwrap.RoleDCA, Part: "1", ForUs: true, Opened: opened,
		Covered: covered, GateGood: gate, Strippable: opened}
}

// authEnvelope is one of authenticated encryption; entity: its plaintext is a MIME entity.
func authEnvelope(opened, entity bool) unwrap.Layer {
	return unwrap.Layer{Type: unwrap.AuthEnveloped, Role: unwrap.RoleDCA, Part: "1", ForUs: true, Opened: opened, Strippable: opened && entity}
}

var foreignEnvelope = unwrap.Layer{Type: unwrap.Enveloped, Role: unwrap.RoleOther, Part: "1"}

var (
	alice  = trust.Judgement{Trusted: true, Emails: []string{"alice@sales.example.com"}, Serial: "7", Issuer: "CN=People"}
	gate   = trust.Judgement{Trusted: true, Agents: []trust.Agent{{Profile: "melnikov", Domain: "example.com"}}, Serial: "1001", Issuer: "CN=Example CA"}
	nobody = trust.Judgement{Reason: "untrusted certificate", Emails: []string{"alice@sales.example.com"}, Agents: gate.Agents, Serial: "1", Issuer: "CN=Other"}
)

// weakEnvelope is one of 3DES whose plaintext a signature covers.
func weakEnvelope() unwrap.Layer {
	l := envelope(true, true, true)
	l.WeakCipher, l.Algorithms = true, []string{"des-ede3-cbc"}
	return l
}

// tagged is AES-GCM in an EnvelopedData, which compat lets through.
func tagged(entity bool) unwrap.Layer {
	l := envelope(true, false, false)
	l.Authenticated, l.Strippable = true, entity
	return l
}

var compressed = unwrap.Layer{Type: unwrap.Compressed, Role: unwrap.RoleCompressed, Part: "1", WholeBody: true, Strippable: true}

func facts(o Originator, layers []unwrap.Layer, judgements ...[]trust.Judgement) Facts {
	return Facts{Originator: o, Layers: layers, Judgements: judgements}
}

type j = []trust.Judgement

// line is the results as "smime=pass x-domsec=policy(reason)".
func line(d Decision) string {
	var words []string
	for _, r := range d.Results {
		word := r.Method + "=" + r.Result
		if r.Reason != "" {
			word += "(" + r.Reason + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// DESIGN, "What smime says of one signature", and SEEDS D(d): the table of results.
func TestResults(t *testing.T) {
	alicesDomain := from("alice@sales.example.com")
	weak, sha1, bare := signer(unwrap.Good), signer(unwrap.Good), signer(unwrap.Good)
	weak.KeyBits, sha1.Digest, bare.SignedAttrs = 1024, "sha1", false
	by := func(algorithm string, bits int, masked ...string) unwrap.Signer {
		s := signer(unwrap.Good)
		s.Algorithm, s.KeyBits, s.Masked = algorithm, bits, masked
		return s
	}
	beside := signed(unwrap.RoleOriginator, signer(unwrap.Good))
	beside.WholeBody = false
	revoked := alice
	revoked.Revoked, revoked.Trusted = true, false
	unreadable := unwrap.Layer{Type: unwrap.Unreadable, Role: unwrap.RoleOther, Part: "1", Fault: errors.New("x")}
	typeFault := signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good))
	typeFault.SignatureTypeFault = "signatureType unsigned"
	empty := signed(unwrap.RoleEmpty)
	noName := trust.Judgement{Trusted: true, Serial: "1", Issuer: "CN=x"}
	tests := []struct {
		name  string
		facts Facts
		want  string
	}{
		{"plain", facts(alicesDomain, nil), ""},
		{"originator", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{alice}), "smime=pass x-domsec=none"},
		{"From differs", facts(from("boss@example.com"), []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{alice}),
			"smime=policy(from address not in certificate) x-domsec=none"},
		{"two From addresses", facts(from("alice@sales.example.com", "bob@example.com"), []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{alice}),
			"smime=policy(from address not in certificate) x-domsec=none"},
		{"duplicate From", facts(Originator{Fault: ReasonDuplicateFrom}, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{alice}),
			"smime=policy(duplicate from) x-domsec=none"},
		{"digest", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.BadDigest))}, j{alice}),
			"smime=fail(message digest mismatch) x-domsec=none"},
		{"signature value", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.BadSignature))}, j{alice}),
			"smime=fail(signature value wrong) x-domsec=none"},
		{"no certificate", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.NoCertificate))}, j{{}}),
			"smime=permerror(no signer certificate) x-domsec=none"},
		{"algorithm", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Unsupported))}, j{alice}),
			"smime=neutral(unsupported algorithm) x-domsec=none"},
		{"never looked at", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.NotVerified))}, j{alice}),
			"smime=neutral(too many signatures) x-domsec=none"},
		{"untrusted", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{nobody}),
			"smime=policy(untrusted certificate) x-domsec=none"},
		{"revoked", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{revoked}),
			"smime=fail(certificate revoked) x-domsec=none"},
		{"rule 6: sha1", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, sha1)}, j{alice}), "smime=policy(sha1) x-domsec=none"},
		{"rule 6: PSS", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("rsa-pss", 2048, "sha256", "sha256"))}, j{alice}), "smime=pass x-domsec=none"},
		{"rule 6: PSS 1024", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("rsa-pss", 1024, "sha256", "sha256"))}, j{alice}), "smime=policy(weak key) x-domsec=none"},
		{"rule 6: PSS of SHA-1", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("rsa-pss", 2048, "sha1", "sha256"))}, j{alice}), "smime=policy(sha1) x-domsec=none"},
		{"rule 6: MGF1 with SHA-1", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("rsa-pss", 2048, "sha256", "sha1"))}, j{alice}), "smime=policy(sha1) x-domsec=none"},
		{"rule 6: Ed25519", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("ed25519", 256))}, j{alice}), "smime=pass x-domsec=none"},
		{"rule 6: ML-DSA", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("ml-dsa-65", 0))}, j{alice}), "smime=pass x-domsec=none"},
		{"rule 6: ML-DSA, no path", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("ml-dsa-65", 0))}, j{nobody}), "smime=policy(untrusted certificate) x-domsec=none"},
		{"rule 6: an algorithm not on the list", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, by("rot13", 256))}, j{alice}), "smime=policy(unsupported algorithm) x-domsec=none"},
		{"rule 6: RSA 1024", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, weak)}, j{alice}), "smime=policy(weak key) x-domsec=none"},
		{"rule 6: no signed attributes", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleOriginator, bare)}, j{alice}),
			"smime=policy(no signed attributes) x-domsec=none"},
		{"B11: epilogue", facts(alicesDomain, []unwrap.Layer{beside}, j{alice}), "smime=policy(unsigned text beside the signed part) x-domsec=none"},
		{"A21: the other signer of the address fails", facts(alicesDomain,
			[]unwrap.Layer{signed(unwrap.RoleOriginator, signer(unwrap.Good), signer(unwrap.BadSignature))}, j{alice, alice}),
			"smime=policy(another signature of the originator fails) smime=fail(signature value wrong) x-domsec=none"},
		{"A20: zero signers", facts(alicesDomain, []unwrap.Layer{empty}, j{}), "x-domsec=none"},
		{"unreadable", facts(alicesDomain, []unwrap.Layer{unreadable}, j{}),
			"smime=neutral(unreadable S/MIME object) x-domsec=permerror(unreadable S/MIME object)"},
		{"domain over originator", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleOriginator, signer(unwrap.Good))},
			j{gate}, j{alice}), "smime=pass smime=pass x-domsec=pass"},
		{"domain over empty", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{gate}, j{}), "smime=pass x-domsec=pass"},
		{"DOM-R8: domain over text", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good))}, j{gate}),
			"smime=pass x-domsec=policy(domain signature encapsulates nothing)"},
		{"DOM-R7: foreign domain", facts(from("a@badexample.com"), []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{gate}, j{}),
			"smime=policy(signer domain does not cover originator domain) x-domsec=policy(signer domain does not cover originator domain)"},
		{"DOM-R6: one of two From foreign", facts(from("a@example.com", "b@example.org"), []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{gate}, j{}),
			"smime=policy(signer domain does not cover originator domain) x-domsec=policy(signer domain does not cover originator domain)"},
		{"DOM-R6: duplicate From", facts(Originator{Fault: ReasonDuplicateFrom}, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{gate}, j{}),
			"smime=policy(duplicate from) x-domsec=permerror(duplicate from)"},
		{"DOM-R5: no usable name", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{noName}, j{}),
			"smime=policy(signer domain does not cover originator domain) x-domsec=policy(no usable agent name)"},
		{"a person's certificate in a domain's role", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{alice}, j{}),
			"smime=policy(signer domain does not cover originator domain) x-domsec=policy(no usable agent name)"},
		{"domain untrusted", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty}, j{nobody}, j{}),
			"smime=policy(untrusted certificate) x-domsec=policy(untrusted certificate)"},
		{"domain content changed", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.BadDigest)), empty}, j{gate}, j{}),
			"smime=fail(message digest mismatch) x-domsec=fail(message digest mismatch)"},
		{"D11", facts(alicesDomain, []unwrap.Layer{typeFault, empty}, j{gate}, j{}), "smime=pass x-domsec=permerror(signatureType unsigned)"},
		{"D(e)13: one broken, one good", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.BadSignature), domainSignerInfo(unwrap.Good)), empty}, j{gate, gate}, j{}),
			"smime=fail(signature value wrong) smime=pass x-domsec=pass"},
		{"D(e)16: inner broken, domain good", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleOriginator, signer(unwrap.BadDigest))},
			j{gate}, j{alice}), "smime=pass smime=fail(message digest mismatch) x-domsec=pass"},
		{"DOM-R17: foreign outside, fitting inside", facts(from("a@example.com"), []unwrap.Layer{
			signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty},
			j{{Trusted: true, Agents: []trust.Agent{{Domain: "forward.test"}}}}, j{gate}, j{}),
			"smime=policy(signer domain does not cover originator domain) smime=pass x-domsec=pass"},
		{"DOM-R18: broken list layer outside", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleMLA, signer(unwrap.BadDigest)), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), empty},
			j{nobody}, j{gate}, j{}), "smime=fail(message digest mismatch) smime=pass x-domsec=pass"},
		{"mailing list", facts(alicesDomain, []unwrap.Layer{signed(unwrap.RoleMLA, signer(unwrap.Good))}, j{alice}), "smime=policy(signed by a mailing list) x-domsec=none"},
		{"for others", facts(alicesDomain, []unwrap.Layer{foreignEnvelope}, j{}), "x-domsec=none"},
		{"cannot decrypt", facts(alicesDomain, []unwrap.Layer{envelope(false, false, false)}, j{}), "x-domsec=neutral(cannot decrypt)"},
		{"AEAD for others", facts(alicesDomain, []unwrap.Layer{{Type: unwrap.AuthEnveloped, Role: unwrap.RoleOther, Part: "1"}}, j{}), "x-domsec=none"},
		{"AEAD, cannot decrypt", facts(alicesDomain, []unwrap.Layer{authEnvelope(false, false)}, j{}), "x-domsec=neutral(cannot decrypt)"},
		{"AEAD is no author's proof", facts(alicesDomain, []unwrap.Layer{authEnvelope(true, true)}, j{}), "x-domsec=policy(encrypted but not domain-signed)"},
		{"AEAD, no entity inside", facts(alicesDomain, []unwrap.Layer{authEnvelope(true, false)}, j{}), "x-domsec=neutral(cannot decrypt)"},
		{"AEAD, domain over originator inside", facts(alicesDomain, []unwrap.Layer{authEnvelope(true, true), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)),
			signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{}, j{gate}, j{alice}), "smime=pass smime=pass x-domsec=pass"},
		{"compressed", facts(alicesDomain, []unwrap.Layer{{Type: unwrap.Compressed, Role: unwrap.RoleCompressed, Part: "1"}}, j{}), "x-domsec=none"},
		{"compressed, damaged", facts(alicesDomain, []unwrap.Layer{{Type: unwrap.Compressed, Role: unwrap.RoleCompressed, Part: "1", Fault: errors.New("x")}}, j{}), "x-domsec=permerror(unreadable S/MIME object)"},
		{"digested", facts(alicesDomain, []unwrap.Layer{{Type: unwrap.Digested, Role: unwrap.RoleOther, Part: "1", Fault: unwrap.ErrContent}}, j{}), "x-domsec=neutral(unsupported S/MIME content)"},
		{"3DES, domain inside", facts(alicesDomain, []unwrap.Layer{weakEnvelope(), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleOriginator, signer(unwrap.Good))},
			j{}, j{gate}, j{alice}), "smime=pass smime=pass x-domsec=policy(weak content cipher)"},
		{"3DES alone", facts(alicesDomain, []unwrap.Layer{weakEnvelope()}, j{}), "x-domsec=policy(encrypted but not domain-signed)"},
		{"GCM in EnvelopedData", facts(alicesDomain, []unwrap.Layer{tagged(true)}, j{}), "x-domsec=policy(encrypted but not domain-signed)"},
		{"GCM in EnvelopedData, no entity inside", facts(alicesDomain, []unwrap.Layer{tagged(false)}, j{}), "x-domsec=neutral(cannot decrypt)"},
		{"D29", facts(alicesDomain, []unwrap.Layer{envelope(true, false, true)}, j{}), "x-domsec=policy(encrypted but not domain-signed)"},
		{"D(e)22: gate failed", facts(alicesDomain, []unwrap.Layer{envelope(true, false, false)}, j{}), "x-domsec=neutral(cannot decrypt)"},
		{"gate failed: nothing inside counts", facts(alicesDomain, []unwrap.Layer{envelope(true, false, false), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.BadDigest))},
			j{}, j{gate}), "x-domsec=neutral(cannot decrypt)"},
		{"rule 1", Facts{Originator: alicesDomain, PartialContent: true}, "smime=none x-domsec=policy(partial content)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, class := range []Class{ClassReceived, ClassCapable, ClassUnknown, ClassIncapable} {
				if got := line(Decide(tt.facts, settings, class)); got != tt.want {
					t.Errorf("%s: got  %s\nwant %s", class, got, tt.want)
				}
			}
		})
	}
}

// DESIGN, "Views by class of recipient".
func TestViews(t *testing.T) {
	domain, bad := signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleDomain, domainSignerInfo(unwrap.BadDigest))
	person, badPerson := signed(unwrap.RoleOriginator, signer(unwrap.Good)), signed(unwrap.RoleOriginator, signer(unwrap.BadDigest))
	detached := person
	detached.Detached = true
	repackable := person
	repackable.Repackable = true
	e := envelope(true, true, true)
	tests := []struct {
		name   string
		layers []unwrap.Layer
		depth  [4]int // received, capable, unknown, incapable
		repack bool   // for unknown
	}{
		{"plain", nil, [4]int{0, 0, 0, 0}, false},
		{"originator detached", []unwrap.Layer{detached}, [4]int{0, 0, 0, 1}, false},
		{"originator opaque", []unwrap.Layer{repackable}, [4]int{0, 0, 0, 1}, true},
		{"originator opaque, not text", []unwrap.Layer{person}, [4]int{0, 0, 1, 1}, false},
		{"originator fails", []unwrap.Layer{badPerson}, [4]int{0, 0, 1, 1}, false},
		{"domain over originator", []unwrap.Layer{domain, detached}, [4]int{0, 1, 1, 2}, false},
		{"domain over empty", []unwrap.Layer{domain, signed(unwrap.RoleEmpty)}, [4]int{0, 2, 2, 2}, false},
		{"domain fails", []unwrap.Layer{bad, detached}, [4]int{0, 0, 1, 2}, false},
		{"enveloped domain over originator", []unwrap.Layer{e, domain, repackable}, [4]int{0, 2, 2, 3}, true},
		{"mailing list", []unwrap.Layer{signed(unwrap.RoleMLA, signer(unwrap.Good)), e, domain, detached}, [4]int{0, 3, 3, 4}, false},
		{"for others", []unwrap.Layer{foreignEnvelope}, [4]int{0, 0, 0, 0}, false},
		{"domain over one for others", []unwrap.Layer{domain, foreignEnvelope}, [4]int{0, 1, 1, 1}, false},
		{"not opened", []unwrap.Layer{domain, envelope(false, false, false)}, [4]int{0, 0, 0, 0}, false},
		{"gate failed", []unwrap.Layer{envelope(true, false, false)}, [4]int{0, 0, 0, 0}, false},
		{"gate passed", []unwrap.Layer{envelope(true, false, true)}, [4]int{0, 1, 1, 1}, false},
		{"AEAD needs no gate", []unwrap.Layer{authEnvelope(true, true)}, [4]int{0, 1, 1, 1}, false},
		{"AEAD, no entity inside", []unwrap.Layer{authEnvelope(true, false)}, [4]int{0, 0, 0, 0}, false},
		{"AEAD, wrong tag", []unwrap.Layer{domain, authEnvelope(false, false)}, [4]int{0, 0, 0, 0}, false},
		{"AEAD in CBC, gate failed", []unwrap.Layer{envelope(true, false, false), authEnvelope(true, true)}, [4]int{0, 0, 0, 0}, false},
		{"compressed", []unwrap.Layer{compressed}, [4]int{0, 1, 1, 1}, false},
		{"compressed, damaged", []unwrap.Layer{{Type: unwrap.Compressed, Role: unwrap.RoleCompressed, Fault: errors.New("x")}}, [4]int{0, 0, 0, 0}, false},
		{"compressed originator", []unwrap.Layer{compressed, detached}, [4]int{0, 1, 1, 2}, false},
		{"originator over compressed", []unwrap.Layer{repackable, compressed}, [4]int{0, 0, 2, 2}, false},
		{"enveloped compressed originator", []unwrap.Layer{e, compressed, repackable}, [4]int{0, 2, 2, 3}, true},
		{"CBC in AEAD, gate passed", []unwrap.Layer{authEnvelope(true, true), envelope(true, false, true)}, [4]int{0, 2, 2, 2}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			judgements := make([][]trust.Judgement, len(tt.layers))
			for i, l := range tt.layers {
				judgements[i] = make([]trust.Judgement, len(l.Signers))
			}
			f := facts(from("alice@sales.example.com"), tt.layers, judgements...)
			for i, class := range []Class{ClassReceived, ClassCapable, ClassUnknown, ClassIncapable} {
				d := Decide(f, settings, class)
				if d.Depth != tt.depth[i] || d.Repack != (tt.repack && class == ClassUnknown) {
					t.Errorf("%s: depth %d, repack %v; want %d", class, d.Depth, d.Repack, tt.depth[i])
				}
			}
		})
	}
}

// DESIGN rule 5: a partner's setting.
func TestUnauthenticatedKeep(t *testing.T) {
	s := settings
	s.Unauthenticated = map[string]Unauthenticated{"sales.example.com": UnauthenticatedKeep}
	d := Decide(facts(from("alice@sales.example.com"), []unwrap.Layer{envelope(true, false, true)}, j{}), s, ClassIncapable)
	if d.Depth != 0 || d.View != ViewReceived {
		t.Errorf("depth %d, view %s", d.Depth, d.View)
	}
	d = Decide(facts(from("alice@sales.example.com"), []unwrap.Layer{authEnvelope(true, true)}, j{}), s, ClassIncapable)
	if d.Depth != 1 || d.View != ViewPlain {
		t.Errorf("AEAD: depth %d, view %s", d.Depth, d.View)
	}
}

// DESIGN rule 2: whatever rests on the inside of a ciphertext never shows to the sender. Every bad verdict, sealed and
// in the open, under every enforcement.
func TestOracle(t *testing.T) {
	domain := func(outcome unwrap.Outcome) unwrap.Layer { return signed(unwrap.RoleDomain, domainSignerInfo(outcome)) }
	empty := signed(unwrap.RoleEmpty)
	bad := map[string]struct {
		layer     unwrap.Layer
		judgement trust.Judgement
		from      Originator
	}{
		"fail":      {domain(unwrap.BadDigest), gate, from("a@example.com")},
		"permerror": {domain(unwrap.NoCertificate), trust.Judgement{}, from("a@example.com")},
		"naming":    {domain(unwrap.Good), gate, from("a@example.org")},
		"duplicate": {domain(unwrap.Good), gate, Originator{Fault: ReasonDuplicateFrom}},
	}
	for name, b := range bad {
		for _, enforcement := range []Enforcement{EnforceReport, EnforceMark, EnforceQuarantine, EnforceReject} {
			s := settings
			s.Enforce = enforcement
			open := Decide(facts(b.from, []unwrap.Layer{b.layer, empty}, j{b.judgement}, j{}), s, ClassIncapable)
			if (open.Action == ActionReject) != (enforcement == EnforceReject) {
				t.Errorf("%s, %s: action %s in the open", name, enforcement, open.Action)
			}
			inner, last := b.layer, empty
			inner.Sealed, last.Sealed = true, true
			sealed := Decide(facts(b.from, []unwrap.Layer{envelope(true, true, true), inner, last}, j{}, j{b.judgement}, j{}), s, ClassIncapable)
			if sealed.Action == ActionReject {
				t.Errorf("%s, %s: rejected on a sealed fact", name, enforcement)
			}
			if enforcement == EnforceReject && sealed.Action != ActionQuarantine {
				t.Errorf("%s: %s, want quarantine", name, sealed.Action)
			}
		}
	}
}

// DESIGN rule 8, THREATS B16 to B18: what goes, what stays.
// DESIGN rule 12, and rule 2: a ciphertext for us counts whether it was opened or not.
func TestKeepOriginal(t *testing.T) {
	good := signed(unwrap.RoleOriginator, signer(unwrap.Good))
	opaque := good
	opaque.Repackable = true
	failed := signed(unwrap.RoleOriginator, signer(unwrap.BadDigest))
	for _, tt := range []struct {
		name   string
		layers []unwrap.Layer
		class  Class
		keep   bool
		sealed bool
	}{
		{"plain", nil, ClassIncapable, false, false},
		{"signature stays", []unwrap.Layer{good}, ClassCapable, false, false},
		{"signature off", []unwrap.Layer{failed}, ClassIncapable, true, false},
		{"repackaged", []unwrap.Layer{opaque}, ClassUnknown, true, false},
		{"opened", []unwrap.Layer{envelope(true, false, true)}, ClassUnknown, true, true},
		{"not opened", []unwrap.Layer{envelope(false, false, false)}, ClassUnknown, true, true},
		{"not released", []unwrap.Layer{envelope(true, false, false)}, ClassUnknown, true, true},
		{"received", []unwrap.Layer{envelope(true, false, true)}, ClassReceived, false, true},
		{"for others", []unwrap.Layer{foreignEnvelope}, ClassIncapable, false, false},
	} {
		judgements := make([][]trust.Judgement, len(tt.layers))
		for i, l := range tt.layers {
			judgements[i] = make([]trust.Judgement, len(l.Signers))
		}
		d := Decide(facts(from("alice@sales.example.com"), tt.layers, judgements...), settings, tt.class)
		if d.KeepOriginal != tt.keep || d.Sealed != tt.sealed {
			t.Errorf("%s: keep %v, sealed %v", tt.name, d.KeepOriginal, d.Sealed)
		}
	}
}

func TestInboundFields(t *testing.T) {
	fields := []Field{
		{Index: 0, Name: "authentication-results", Raw: []byte("Authentication-Results: 1.example; spf=pass\r\n")},
		{Index: 1, Name: "authentication-results", Raw: []byte("Authentication-Results: mx.example.net; smime=pass\r\n")},
		{Index: 2, Name: "authentication-results", Raw: []byte("Authentication-Results: MX.Example.NET; smime=pass\r\n")},
		{Index: 3, Name: "authentication-results", Raw: []byte("Authentication-Results: (unreadable\r\n")},
		{Index: 4, Name: "x-unwrapped", Raw: []byte("X-Unwrapped: anything\r\n")},
		{Index: 5, Name: "domsec-flag", Raw: []byte("DOMSEC-Flag: x\r\n")},
		{Index: 6, Name: "subject", Raw: []byte("Subject: [Warning: sealed by example.com, not by the sender's domain] hello\r\n")},
		{Index: 7, Name: "authentication-results", Raw: []byte("Authentication-Results: 5.example; none\r\n")},
	}
	f := facts(from("a@example.com"), nil)
	f.Fields = fields
	d := Decide(f, settings, ClassReceived)
	var removed []int
	for _, e := range d.Edits {
		if e.Op == message.Remove {
			removed = append(removed, e.Index)
		}
		if e.Op == message.Replace && (e.Index != 6 || !strings.HasPrefix(e.Text, "Subject: ?Warning: sealed by")) {
			t.Errorf("replaced %d by %q", e.Index, e.Text)
		}
	}
	if len(removed) != 5 || removed[0] != 1 || removed[4] != 5 {
		t.Errorf("removed %v, want 1 to 5", removed)
	}
}

// DOM-R15: a naming violation is flagged in a field and in the Subject.
func TestNamingFlag(t *testing.T) {
	f := facts(from("a@example.org"), []unwrap.Layer{signed(unwrap.RoleDomain, domainSignerInfo(unwrap.Good)), signed(unwrap.RoleEmpty)}, j{gate}, j{})
	f.Fields = []Field{{Index: 3, Name: "subject", Raw: []byte("Subject: Figures\r\n")}}
	var text string
	for _, e := range Decide(f, settings, ClassReceived).Edits {
		text += e.Text
	}
	for _, want := range []string{"DOMSEC-Flag: naming; signer=example.com;\r\n originator=example.org\r\n",
		"Subject: [Warning: sealed by example.com, not by the sender's domain]\r\n Figures\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

// THREATS B19: what we write can be read back, whatever the certificate says.
func TestFieldsCanBeRead(t *testing.T) {
	hostile := trust.Judgement{Trusted: true, Emails: []string{"a@b\r\nX: y"}, Serial: "1", Issuer: "CN=\"; smime=pass (\r\nX: y\x00"}
	f := facts(from("alice@sales.example.com"), []unwrap.Layer{envelope(true, true, true), signed(unwrap.RoleOriginator, signer(unwrap.Good))}, j{}, j{hostile})
	for _, e := range Decide(f, settings, ClassIncapable).Edits {
		if strings.ContainsAny(strings.ReplaceAll(e.Text, "\r\n ", " "), "\x00") || strings.Count(strings.ReplaceAll(e.Text, "\r\n ", " "), "\n") != 1 {
			t.Errorf("not one field: %q", e.Text)
		}
		if strings.HasPrefix(e.Text, "Authentication-Results:") {
			if _, err := verifyhdr.ParseAuthenticationResults([]byte(e.Text)); err != nil {
				t.Errorf("%q: %v", e.Text, err)
			}
		}
	}
}

// SEEDS 0.2: 3DES that came off is named in X-Unwrapped.
func TestWeakCipherTrace(t *testing.T) {
	f := facts(from("alice@sales.example.com"), []unwrap.Layer{weakEnvelope()}, []trust.Judgement{})
	for class, want := range map[Class]bool{ClassUnknown: true, ClassReceived: false} {
		var fields string
		for _, e := range Decide(f, settings, class).Edits {
			fields += e.Text
		}
		if got := strings.Contains(fields, "layers=\"enveloped/dca\"; weak=\"des-ede3-cbc\"\r\n"); got != want {
			t.Errorf("%s: %q", class, fields)
		}
	}
}
