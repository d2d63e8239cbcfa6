package attack_test

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"paperknife/seal"
	"paperknife/test/cputime"
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

// hidden returns a signature part whose base64 has a text in it that decodes to the value of an unsigned attribute.
// Octets outside of the alphabet are ignored by whoever decodes base64, and there is room for any others.
func (l *lab) hidden(t *testing.T, entity, boundary, text string) []byte {
	t.Helper()
	letters := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", r) {
			return r
		}
		return -1
	}, text)
	text += "\r\n" + strings.Repeat("A", (4-len(letters)%4)%4)
	letters += strings.Repeat("A", (4-len(letters)%4)%4)
	value := must(t)(base64.StdEncoding.DecodeString(letters))
	for try := range 60 { // until the value stands at a group of four letters; the length of a signature varies
		shift := try % 3
		junk := slices.Concat([]byte{0x04, 0x82, byte((len(value) + 6) >> 8), byte(len(value) + 6)}, make([]byte, shift), value, make([]byte, 6-shift))
		attribute := seal.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Values: [][]byte{junk}}
		signed := must(t)(seal.Sign([]byte(entity), l.boss, seal.SignOptions{Detached: true, Boundary: boundary,
			UnsignedAttributes: []seal.Attribute{attribute}}))
		head, tail, _ := bytes.Cut(signed, []byte("smime.p7s\"\r\n\r\n"))
		body, end, _ := bytes.Cut(tail, []byte("--"+boundary))
		flat := strings.ReplaceAll(string(body), "\r\n", "")
		if i := strings.Index(flat, letters); i >= 0 {
			flat = flat[:i] + "\r\n" + text + "\r\n" + flat[i+len(letters):]
			return slices.Concat(head, []byte("smime.p7s\"\r\n\r\n"+flat+"\r\n--"+boundary), end)
		}
	}
	t.Fatal("the text is not where it should be")
	return nil
}

// THREATS B23: text inside the base64 of the signature part that Dovecot 2.3, which compares the beginning of a line
// only, or a reader that takes a form feed, 2000 spaces or a bare CR, shows as one more part.
func TestB23PartHiddenInSignature(t *testing.T) {
	l := theLab(t)
	evil := "\r\nContent-Type: text/html\r\n\r\nPay 1000000 to Eve\r\n"
	for _, delimiter := range []string{"\r\n--.x", "\r\n--.xjunk", "\r\n--.x\f", "\r\n--.x" + strings.Repeat(" ", 2000), "\r--.x\r", "\r\n --.x", "\r\n--.x--junk"} {
		l.noPass(t, from(bossAddress, l.hidden(t, plain, ".x", delimiter+evil)))
	}
	d := l.deliver(t, from(bossAddress, l.hidden(t, plain, ".x", "\r\n--.y"+evil)), "unknown")
	if !d.passed() {
		t.Errorf("the attack does not reach its aim: %+v", d.results)
	}
}

// THREATS B23: the attacker chooses the boundary of a captured multipart/signed, which nothing signs, so that for
// readers that compare the beginning of a line a line of the text ends the part.
func TestB23ChosenBoundary(t *testing.T) {
	l := theLab(t)
	const text = "Content-Type: text/plain\r\n\r\nI do not agree to this:\r\n-----Original Message-----\r\nPay 1,000,000 to Eve.\r\n"
	signed := must(t)(seal.Sign([]byte(text), l.boss, seal.SignOptions{Detached: true, Boundary: "x"}))
	for _, boundary := range []string{"-", "---", "---Original"} {
		chosen := bytes.ReplaceAll(bytes.ReplaceAll(signed, []byte("--x"), []byte("--"+boundary)), []byte(`"x"`), []byte(`"`+boundary+`"`))
		l.noPass(t, from(bossAddress, chosen))
	}
}

// THREATS B23: boundaries that readers read in different ways. Python's email keeps the backslash and the comment.
func TestB23BoundaryReadInTwoWays(t *testing.T) {
	l := theLab(t)
	for ours, theirs := range map[string]string{`"x\y"`: `x\y`, `"x" (y)`: `"x" (y)`, `x (y)`: `x (y)`, `"\x"`: `\x`, `x;boundary=y`: "y", `x;boundary*=y`: "y", `x;boundary*0=y`: "y", `"x`: "x"} {
		evil := "\r\n--" + theirs + "\r\nContent-Type: text/html\r\n\r\nPay 1000000 to Eve\r\n"
		boundary := strings.NewReplacer(`\`, "", ` (y)`, "", `"`, "", "(y)", "").Replace(strings.SplitN(ours, ";", 2)[0])
		entity := l.hidden(t, plain, boundary, evil)
		entity = bytes.Replace(entity, []byte(`boundary="`+boundary+`"`), []byte("boundary="+ours), 1)
		l.noPass(t, from(bossAddress, entity))
	}
}

// compressed returns the entity of a CompressedData of the octets, with others behind the end of the zlib stream.
func compressed(t *testing.T, entity []byte, behind string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(entity); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.WriteString(behind)
	oid := func(last byte) []byte {
		return []byte{6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, last, map[byte]byte{1: 9, 3: 8}[last]}
	}
	object := der(0x30, oid(1), der(0xa0, der(0x30, []byte{2, 1, 0}, der(0x30, oid(3)), der(0x30, derData, der(0xa0, der(4, b.Bytes()))))))
	return bytes.Replace(pkcs7MIME(object), []byte("signed-data"), []byte("compressed-data"), 1)
}

// THREATS B08, A40: a good signature in compression that readers undo in different ways.
func TestB08CompressedBeside(t *testing.T) {
	l := theLab(t)
	signed := sign(t, []byte(plain), l.boss, seal.SignOptions{Detached: true})
	if d := l.deliver(t, from(bossAddress, compressed(t, signed, "")), "incapable"); !d.passed() {
		t.Errorf("compression alone: %+v", d.results)
	}
	var second bytes.Buffer
	w := zlib.NewWriter(&second)
	if _, err := w.Write([]byte(evilPart)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, behind := range []string{"x", second.String(), "\x00\x00\x00\x00", evilPart} {
		l.noPass(t, from(bossAddress, compressed(t, signed, behind)))
	}
	l.noPass(t, from(bossAddress, compressed(t, append(signed, evilPart...), "")))
	l.noPass(t, from(bossAddress, compressed(t, append([]byte(evilPart), signed...), "")))
}

// THREATS A40: bombs of several kinds, in each other, sealed and in the open.
func TestA40Bombs(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	zeros := append([]byte("Content-Type: text/plain\r\n\r\n"), make([]byte, 50<<20)...)
	once := compressed(t, zeros, "")
	for name, entity := range map[string][]byte{
		"once": once, "twice": compressed(t, once, ""), "eight times": compressed(t, compressed(t, compressed(t, compressed(t, compressed(t, compressed(t, compressed(t, once, ""), ""), ""), ""), ""), ""), ""),
		"sealed": l.encrypt(t, once), "signed": sign(t, once, l.eve, seal.SignOptions{}), "in a signature": sign(t, zeros[:5<<20], l.eve, seal.SignOptions{}),
	} {
		start := cputime.Used(t)
		d := l.filtered(t, a, from(eveAddress, entity), "incapable")
		cputime.Limit(t, start, 1e9)
		if len(d.raw) > 20*len(entity)+10000 {
			t.Errorf("%s: %d octets became %d", name, len(entity), len(d.raw))
		}
	}
}
