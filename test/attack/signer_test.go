package attack_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"paperknife/seal"
	"paperknife/test/harness"
)

// sign is seal.Sign for entities that do not fail.
func sign(t *testing.T, entity []byte, s seal.Signer, o seal.SignOptions) []byte {
	t.Helper()
	return must(t)(seal.Sign(entity, s, o))
}

var domainSig = []asn1.ObjectIdentifier{seal.OIDDomainSignature}

// THREATS B01, B02, A25, A30: who may sign for whom.
func TestB02Roles(t *testing.T) {
	l := theLab(t)
	issue := func(ca *seal.CA, edit func(*x509.Certificate)) seal.KeyPair {
		k, err := ca.IssuePerson(bossAddress, seal.CertificateOptions{Key: seal.P256, Edit: edit})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	tls := issue(l.domainCA, func(c *x509.Certificate) {
		c.EmailAddresses, c.DNSNames, c.ExtKeyUsage = nil, []string{"corp.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	subject := issue(l.personCA, func(c *x509.Certificate) { c.EmailAddresses = []string{eveAddress} })
	none := issue(l.personCA, func(c *x509.Certificate) { c.EmailAddresses = nil })
	ca := issue(l.personCA, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	encrypter := issue(l.personCA, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	host := issue(l.personCA, func(c *x509.Certificate) { c.DNSNames, c.EmailAddresses = []string{"corp.example"}, nil })
	suffix := issue(l.domainCA, func(c *x509.Certificate) {
		c.EmailAddresses, c.DNSNames = nil, []string{"example", "*.corp.example", "co.uk"}
	})
	mail := issue(l.domainCA, nil)

	inner := seal.EmptySignature([]byte(plain))
	for name, entity := range map[string][]byte{
		"eve":                                  sign(t, []byte(plain), l.eve, seal.SignOptions{}),
		"stranger":                             sign(t, []byte(plain), l.stranger, seal.SignOptions{}),
		"another domain":                       sign(t, inner, l.evil, seal.SignOptions{SignatureTypes: domainSig}),
		"person as domain":                     sign(t, inner, l.boss, seal.SignOptions{SignatureTypes: domainSig}),
		"person with a host as domain":         sign(t, inner, host, seal.SignOptions{SignatureTypes: domainSig}),
		"person with a host":                   sign(t, inner, host, seal.SignOptions{}),
		"domain without the type":              sign(t, inner, l.corp, seal.SignOptions{}),
		"domain without the type on the text":  sign(t, []byte(plain), l.corp, seal.SignOptions{}),
		"domain with originatorSig":            sign(t, inner, l.corp, seal.SignOptions{SignatureTypes: []asn1.ObjectIdentifier{seal.OIDOriginatorSignature}}),
		"mail certificate of the domain's CA":  sign(t, []byte(plain), mail, seal.SignOptions{}),
		"the same as domain":                   sign(t, inner, mail, seal.SignOptions{SignatureTypes: domainSig}),
		"TLS certificate":                      sign(t, inner, tls, seal.SignOptions{SignatureTypes: domainSig}),
		"public suffixes and wildcards":        sign(t, inner, suffix, seal.SignOptions{SignatureTypes: domainSig}),
		"address in the subject only":          sign(t, []byte(plain), none, seal.SignOptions{}),
		"another address than in the subject":  sign(t, []byte(plain), subject, seal.SignOptions{}),
		"a CA":                                 sign(t, []byte(plain), ca, seal.SignOptions{}),
		"encryption only":                      sign(t, []byte(plain), encrypter, seal.SignOptions{}),
		"boss inside eve's as domain":          sign(t, sign(t, []byte(plain), l.stranger, seal.SignOptions{}), l.evil, seal.SignOptions{SignatureTypes: domainSig}),
		"mailing list":                         must(t)(seal.SignAsMailingList([]byte(plain), l.boss, seal.SignOptions{})),
		"type in an unsigned attribute":        sign(t, inner, l.corp, seal.SignOptions{UnsignedAttributes: []seal.Attribute{{Type: seal.OIDSignatureType, Values: [][]byte{must(t)(asn1.Marshal(domainSig))}}}}),
		"eve, then stranger":                   sign(t, []byte(plain), l.eve, seal.SignOptions{CoSigners: []seal.CoSigner{{Signer: l.stranger}}}),
		"stranger, then eve":                   sign(t, []byte(plain), l.stranger, seal.SignOptions{CoSigners: []seal.CoSigner{{Signer: l.eve}}}),
		"evil domain, then stranger":           sign(t, inner, l.evil, seal.SignOptions{SignatureTypes: domainSig, CoSigners: []seal.CoSigner{{Signer: l.stranger, Options: seal.SignOptions{SignatureTypes: domainSig}}}}),
		"no signer":                            inner,
		"no signer in a domain's, not trusted": sign(t, inner, l.stranger, seal.SignOptions{SignatureTypes: domainSig}),
	} {
		t.Run(name, func(t *testing.T) { l.noPass(t, from(bossAddress, entity)) })
	}
	for name, entity := range map[string][]byte{
		"boss": sign(t, []byte(plain), l.boss, seal.SignOptions{}), "corp": sign(t, inner, l.corp, seal.SignOptions{SignatureTypes: domainSig}),
	} {
		if d := l.deliver(t, from(bossAddress, entity), "capable"); !d.passed() {
			t.Errorf("%s does not pass: %+v", name, d.results)
		}
	}
}

// THREATS B02 to B07: the boss's good signature under every From that is not plainly his, and Eve's under his.
func TestB05From(t *testing.T) {
	l := theLab(t)
	boss, eve := sign(t, []byte(plain), l.boss, seal.SignOptions{}), sign(t, []byte(plain), l.eve, seal.SignOptions{})
	domain := sign(t, seal.EmptySignature([]byte(plain)), l.corp, seal.SignOptions{SignatureTypes: domainSig})
	for _, author := range []string{
		eveAddress, "", "<>", "Boss", "boss@corp.example, eve@evil.example", "eve@evil.example, boss@corp.example", "g: boss@corp.example;", "g: boss@corp.example",
		"<@evil.example:boss@corp.example>", "boss@corp.example <eve@evil.example>", "boss@corp.example eve@evil.example", "<boss@corp.example> <eve@evil.example>",
		"<boss@corp.example>eve@evil.example", "\"boss@corp.example\" <eve@evil.example>", "boss@corp.example@evil.example", "\"boss@corp.example\"@evil.example",
		"boss@corp.example\\@evil.example", "boss@evil.example(@corp.example)", "boss@evil.example\x00@corp.example", "boss@corp.example.", "boss@corp..example",
		"boss@corp.example.evil.example", "boss@c\u043erp.example", "boss@xn--crp-mlc.example", "boss@[corp.example]", "boss@corp", "boss%corp.example@evil.example",
		"=?utf-8?q?boss=40corp=2Eexample?=", "=?utf-8?b?Ym9zc0Bjb3JwLmV4YW1wbGU=?= <eve@evil.example>", "boss@corp.example;eve@evil.example", "(boss@corp.example) eve@evil.example",
		"boss@corp.example,", "boss@corp.example>", "<boss@corp.example", "b\"oss\"@corp.example\x80", "postmaster@corp.example <boss@evil.example>",
	} {
		m := "From: " + author + "\r\nSender: boss@corp.example\r\nResent-From: boss@corp.example\r\nReply-To: boss@corp.example\r\n"
		for kind, entity := range map[string][]byte{"boss": boss, "domain": domain} {
			d := l.deliver(t, append([]byte(m), entity...), "incapable")
			if d.passed() && author != "boss@corp.example," { // a list with an empty element, read alike by all
				t.Errorf("%s %q: passes: %+v", kind, author, d.results)
			}
		}
		d := l.deliver(t, append([]byte(m), eve...), "incapable")
		for _, r := range d.results {
			for _, p := range r.Properties {
				if r.Result == "pass" && (p.Name == "smime-identifier" && p.Value != eveAddress) {
					t.Errorf("%q: %+v", author, r)
				}
			}
		}
	}
}

// THREATS A17 to A20: objects that are not what they seem.
func TestA19Objects(t *testing.T) {
	l := theLab(t)
	opaque := sign(t, []byte(plain), l.boss, seal.SignOptions{})
	_, text, _ := bytes.Cut(opaque, []byte("\r\n\r\n"))
	detached := sign(t, []byte(plain), l.boss, seal.SignOptions{Detached: true, Boundary: "x"})
	evil := "Content-Type: text/plain\r\n\r\nPay Eve.\r\n"
	p7s := func(body string) string {
		return "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
	}
	object := must(t)(base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\r\n", "")))
	attributes := object[bytes.Index(object, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3})-4:]
	attributes = attributes[:bytes.LastIndex(attributes, []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})-4]
	for name, entity := range map[string][]byte{
		"content in the signature":        multipartSigned("x", "", "", evil, p7s(string(text))),
		"text changed":                    bytes.Replace(detached, []byte("quarter: 42"), []byte("quarter: 43"), 1),
		"header changed":                  bytes.Replace(detached, []byte("charset=us-ascii"), []byte("charset=utf-16le"), 1),
		"space added":                     bytes.Replace(detached, []byte("42.\r\n"), []byte("42. \r\n"), 1),
		"CR added":                        bytes.Replace(detached, []byte("42.\r\n"), []byte("42.\r\r\n"), 1),
		"detached as opaque":              []byte("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + string(detached[bytes.LastIndex(detached, []byte("smime.p7s\"\r\n\r\n"))+13:bytes.LastIndex(detached, []byte("--x--"))])),
		"opaque as signature, empty":      multipartSigned("x", "", "", "", p7s(string(text))),
		"signature first":                 multipartSigned("x", "", "", p7s(string(text)), evil),
		"signed attributes as content":    pkcs7MIME(der(0x30, derSigned, der(0xa0, der(0x30, []byte{2, 1, 1}, der(0x31, derSHA256), der(0x30, derData, der(0xa0, der(4, der(0x31, attributes)))), der(0xa0, l.boss.Certificate.Raw), der(0x31, bare(object)))))),
		"signed attributes as first part": multipartSigned("x", "", "", string(der(0x31, attributes)), p7s(base64.StdEncoding.EncodeToString(object))),
	} {
		t.Run(name, func(t *testing.T) { l.noPass(t, from(bossAddress, entity)) })
	}
	for name, o := range map[string][]byte{
		"no signer":              object[:0],
		"garbage behind":         append(bytes.Clone(object), 'x'),
		"cut":                    object[:len(object)-1],
		"content type attribute": bytes.Replace(object, attributes, bytes.Replace(attributes, []byte{1, 7, 1}, []byte{1, 7, 2}, 1), 1),
	} {
		t.Run(name, func(t *testing.T) { l.noPass(t, from(bossAddress, pkcs7MIME(o))) })
	}
}

// bare returns the SignerInfo of an object of the boss's without its signed attributes.
func bare(object []byte) []byte {
	_, content, _ := tlv(object)
	_, _, rest := tlv(content)
	_, signed, _ := tlv(rest)
	_, content, _ = tlv(signed)
	var last []byte
	for rest = content; len(rest) > 0; {
		last, _, rest = tlv(rest)
	}
	_, infos, _ := tlv(last)
	_, info, _ := tlv(infos)
	version, _, rest := tlv(info)
	id, _, rest := tlv(rest)
	digest, _, rest := tlv(rest)
	_, _, rest = tlv(rest) // signedAttrs
	return der(0x30, version, id, digest, rest)
}

// THREATS A20, A25: certificates of the same issuer and serial number, or the same key identifier, as the boss's, in
// every order; the attacker makes them himself.
func TestA25SameNames(t *testing.T) {
	l := theLab(t)
	other, err := seal.NewCA("Person CA", seal.CertificateOptions{Key: seal.P256})
	if err != nil {
		t.Fatal(err)
	}
	twin, err := other.IssuePerson(bossAddress, seal.CertificateOptions{Key: seal.P256, Serial: new(big.Int).Set(l.boss.Certificate.SerialNumber),
		Edit: func(c *x509.Certificate) { c.SubjectKeyId = l.boss.Certificate.SubjectKeyId }})
	if err != nil {
		t.Fatal(err)
	}
	for i, chain := range [][]*x509.Certificate{nil, {l.boss.Certificate}, {l.boss.Certificate, l.personCA.Certificate}, {other.Certificate, l.boss.Certificate}} {
		for _, keyID := range []bool{false, true} {
			twin.Chain = chain
			entity := sign(t, []byte(plain), twin, seal.SignOptions{SubjectKeyID: keyID})
			t.Run(fmt.Sprint(i, keyID), func(t *testing.T) { l.noPass(t, from(bossAddress, entity)) })
			bothSign := sign(t, []byte(plain), twin, seal.SignOptions{SubjectKeyID: keyID, CoSigners: []seal.CoSigner{{Signer: l.eve}}})
			t.Run(fmt.Sprint(i, keyID, "with eve"), func(t *testing.T) { l.noPass(t, from(bossAddress, bothSign)) })
		}
	}
}

// THREATS B19, B20: names in certificates that try to leave the field, or the line of the log.
func TestB19Names(t *testing.T) {
	l := theLab(t)
	for _, name := range []string{
		"x\r\n" + forgedResults, "x\nX-Unwrapped: y", "x\"; smime=pass", "x\\", "x; smime=pass body.smime-identifier=boss@corp.example", "x) smime=pass (", "\x00",
		strings.Repeat("x", 30000), "\u202eelpmaxe.proc@ssob", "=?utf-8?q?=0D=0AX:_y?=", "x\u0085y\u2028z", "\\\"\\\"", strings.Repeat("\\", 63) + "\"", "\x1b[2J",
	} {
		ca, err := seal.NewCA(name, seal.CertificateOptions{Key: seal.P256})
		if err != nil {
			t.Fatal(err)
		}
		for _, edit := range []func(*x509.Certificate){nil, func(c *x509.Certificate) { c.EmailAddresses = []string{"a b;\"\r\nX: y@corp.example", "x@" + name} },
			func(c *x509.Certificate) {
				c.EmailAddresses, c.SerialNumber = nil, new(big.Int).Lsh(big.NewInt(1), 150)
			}} {
			k, err := ca.IssuePerson(bossAddress, seal.CertificateOptions{Key: seal.P256, Edit: edit})
			if err != nil {
				continue // not even Go writes it
			}
			for _, o := range []seal.SignOptions{{}, {SignatureTypes: domainSig}} {
				d := l.deliver(t, from(bossAddress, sign(t, []byte(plain), k, o)), "unknown")
				if d.passed() || len(harness.Find(d.fields, "authentication-results")) != 2 || len(harness.Find(d.fields, "x")) > 0 {
					t.Errorf("%.40q: delivered with\n%s", name, d.raw)
				}
				for _, f := range d.fields {
					for line := range strings.SplitSeq(f.Raw, "\n") {
						if len(line) > 998 {
							t.Errorf("%.40q: a line of %d octets", name, len(line))
						}
					}
				}
			}
		}
	}
}
