package attack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"paperknife/test/cputime"
)

var (
	derSHA256 = der(0x30, []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1})
	derRSA    = der(0x30, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1}, []byte{5, 0})
	derData   = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}
	derSigned = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}
	derName   = der(0x30, der(0x31, der(0x30, []byte{6, 3, 0x55, 4, 3}, der(0x0c, []byte("x")))))
)

// dearCertificate is no good certificate, and its key is as dear as one can be: any odd number does for a modulus, and
// no signature has to be right.
func dearCertificate(bits int) []byte {
	modulus := bytes.Repeat([]byte{0xff}, bits/8)
	modulus[0] = 0xc3
	key := der(0x30, der(2, []byte{0}, modulus), []byte{2, 4, 0x7f, 0xff, 0xff, 0xff})
	validity := der(0x30, der(0x17, []byte("200101000000Z")), der(0x17, []byte("490101000000Z")))
	tbs := der(0x30, []byte{0xa0, 3, 2, 1, 2}, []byte{2, 1, 7}, derRSA, derName, validity, derName,
		der(0x30, derRSA, der(3, []byte{0}, key)))
	return der(0x30, tbs, derRSA, der(3, []byte{0}, make([]byte, 256)))
}

// signers returns the entity of an opaque SignedData over content with n signers whose messageDigest is right.
func dearLayer(content, certificate []byte, bits, n int) []byte {
	digest := sha256.Sum256(content)
	attributes := slices.Concat( // not in the order of DER: both orders are tried
		der(0x30, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4}, der(0x31, der(4, digest[:]))),
		der(0x30, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3}, der(0x31, derData)))
	signature := bytes.Repeat([]byte{0x42}, bits/8)
	info := der(0x30, []byte{2, 1, 1}, der(0x30, derName, []byte{2, 1, 7}), derSHA256, der(0xa0, attributes), derRSA, der(4, signature))
	object := der(0x30, derSigned, der(0xa0, der(0x30, []byte{2, 1, 1}, der(0x31, derSHA256),
		der(0x30, derData, der(0xa0, der(4, content))), der(0xa0, certificate), der(0x31, bytes.Repeat(info, n)))))
	return pkcs7MIME(object)
}

func pkcs7MIME(object []byte) []byte {
	var b bytes.Buffer
	b.WriteString("Content-Type: application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(object)), 64) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// THREATS A33, A41: ten layers of 32 signers with the dearest key that is looked at. It took 2.3 s before there was a
// bound on the signatures of one message.
func TestA33DearSigners(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	certificate := dearCertificate(8192)
	entity := []byte(plain)
	for range 10 {
		entity = dearLayer(entity, certificate, 8192, 32)
	}
	m := from(bossAddress, entity)
	start := cputime.Used(t)
	d := l.filtered(t, a, m, "incapable")
	cputime.Limit(t, start, 1e9)
	if !strings.HasPrefix(d.result("smime"), "neutral neutral") || d.passed() {
		t.Errorf("results %q", d.result("smime"))
	}
}

// THREATS A34: a certificate whose key is larger than is looked at, and one of a quarter of a million bits.
func TestA33GiantKeys(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	for _, bits := range []int{8200, 16384, 262144} {
		m := from(bossAddress, dearLayer([]byte(plain), dearCertificate(bits), bits, 20))
		start := cputime.Used(t)
		d := l.filtered(t, a, m, "incapable")
		cputime.Limit(t, start, 2e8)
		if strings.Contains(d.result("smime"), "pass") {
			t.Errorf("%d bits: %q", bits, d.result("smime"))
		}
	}
}
