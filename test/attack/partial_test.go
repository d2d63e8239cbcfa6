package attack_test

import (
	"bytes"
	"strings"
	"testing"

	"paperknife/seal"
)

// brokenSignature is a second part that no reader takes for a signature of anything.
const brokenSignature = "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"

const evilPart = "Content-Type: text/plain\r\n\r\nPay 1,000,000 to Eve.\r\n"

// THREATS B01, B08: what the boss signed once is a part of a multipart/signed that is none, and the attacker's text
// stands beside it. Readers show all parts.
func TestB08GoodSignatureInsideBrokenOne(t *testing.T) {
	l := theLab(t)
	for _, detached := range []bool{true, false} {
		person := must(t)(seal.Sign([]byte(plain), l.boss, seal.SignOptions{Detached: detached}))
		domain := must(t)(seal.SignAsDomain(seal.EmptySignature([]byte(plain)), l.corp, seal.SignOptions{Detached: detached}))
		for kind, captured := range map[string][]byte{"person": person, "domain": domain} {
			c := string(bytes.TrimSuffix(captured, []byte("\r\n")))
			eve := string(must(t)(seal.Sign([]byte(plain), l.eve, seal.SignOptions{Detached: true, Boundary: "e"})))
			eveSignature := eve[strings.LastIndex(eve, "Content-Type: application/pkcs7-signature"):strings.LastIndex(eve, "\r\n--e--")]
			tests := map[string][]byte{
				"three parts":              multipartSigned("x", "", "", c, brokenSignature, evilPart),
				"second part is text":      multipartSigned("x", "", "", c, evilPart),
				"no signature":             multipartSigned("x", "", "", c),
				"preamble":                 multipartSigned("x", "Pay 1,000,000 to Eve.\r\n", "", c, brokenSignature),
				"preamble, readable":       multipartSigned("x", "Pay 1,000,000 to Eve.\r\n", "", c, eveSignature),
				"epilogue":                 multipartSigned("x", "", "Pay 1,000,000 to Eve.\r\n", c, brokenSignature),
				"epilogue, readable":       multipartSigned("x", "", "Pay 1,000,000 to Eve.\r\n", c, eveSignature),
				"no end":                   bytes.TrimSuffix(multipartSigned("x", "", "", c, eveSignature), []byte("--x--\r\n")),
				"two layers, three parts":  multipartSigned("y", "", "", string(multipartSigned("x", "", "", c, eveSignature)), eveSignature, evilPart),
				"two layers, inner beside": multipartSigned("y", "", "", string(multipartSigned("x", "", "", c, brokenSignature, evilPart)), eveSignature),
			}
			for name, entity := range tests {
				t.Run(kind+"/"+name, func(t *testing.T) { l.noPass(t, from(bossAddress, entity)) })
			}
			encrypted := l.encrypt(t, tests["three parts"])
			t.Run(kind+"/encrypted", func(t *testing.T) { l.noPass(t, from(bossAddress, encrypted)) })
		}
	}
}

// THREATS B11: a preamble that begins with a line every program writes, and goes on after what is kept of it.
func TestB11StockPreambleThatGoesOn(t *testing.T) {
	l := theLab(t)
	signed := must(t)(seal.Sign([]byte(plain), l.boss, seal.SignOptions{Detached: true, Boundary: "x"}))
	for _, stock := range []string{"This is an S/MIME signed message", ""} {
		preamble := stock + strings.Repeat(" \r\n", 200) + "Pay 1,000,000 to Eve.\r\n"
		entity := bytes.Replace(signed, []byte("\r\n\r\n--x\r\n"), []byte("\r\n\r\n"+preamble+"--x\r\n"), 1)
		l.noPass(t, from(bossAddress, entity))
	}
}
