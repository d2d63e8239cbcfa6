package attack_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"

	"paperknife/internal/filter"
	"paperknife/internal/spool"
	"paperknife/seal"
)

// An envelope is an EnvelopedData written octet by octet with our public certificate, as whoever looks for an oracle
// would.
type forgery struct {
	keys    [][]byte // encryptedKey of each KeyTransRecipientInfo
	to      []seal.KeyPair
	content []byte // ciphertext
	iv      []byte
}

var derAES256 = []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42}

func (f forgery) entity() []byte {
	var infos []byte
	for i, k := range f.keys {
		c := f.to[i].Certificate
		serial := append([]byte{0}, c.SerialNumber.Bytes()...)
		if len(serial) > 1 && serial[1] < 0x80 {
			serial = serial[1:]
		}
		infos = append(infos, der(0x30, []byte{2, 1, 0}, der(0x30, c.RawIssuer, der(2, serial)), derRSA, der(4, k))...)
	}
	c := capture{recipients: der(0x31, infos), algorithm: derAES256}
	return c.entity([][]byte{f.iv, f.content})
}

// raw is RSA without padding.
func raw(k seal.KeyPair, block []byte) []byte {
	public := k.Key.Public().(*rsa.PublicKey)
	m := new(big.Int).SetBytes(block)
	return new(big.Int).Exp(m, big.NewInt(int64(public.E)), public.N).FillBytes(make([]byte, public.Size()))
}

// pkcs1 is the block of PKCS #1 v1.5 with the padding octet 0x55.
func pkcs1(key []byte) []byte {
	return slices.Concat([]byte{0, 2}, bytes.Repeat([]byte{0x55}, 256-3-len(key)), []byte{0}, key)
}

func cbc(t *testing.T, key, iv, padded []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return out
}

// pad fills up to whole blocks with the given octets, the last of which is n.
func pad(text string, n byte) []byte {
	b := []byte(text)
	for len(b)%16 != 15 {
		b = append(b, n)
	}
	return append(b, n)
}

func goodPadding(text string) []byte {
	n := 16 - len(text)%16
	return append([]byte(text), bytes.Repeat([]byte{byte(n)}, n)...)
}

// THREATS A06, A10 to A12: everything that can be wrong inside, and one message that is right. What the sender can see
// is the same for all; what the recipient sees is the same for all that are wrong.
func TestA10Oracles(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	key, iv := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{9}, 16)
	entity := "Content-Type: text/plain\r\n\r\n" + secret + strings.Repeat(".", 64) + "\r\n"
	good := cbc(t, key, iv, goodPadding(entity))
	block := pkcs1(key)
	change := func(at int, to byte) []byte { b := bytes.Clone(block); b[at] = to; return b }
	n := l.dca.Key.Public().(*rsa.PublicKey).N
	wrong := map[string]forgery{}
	one := func(name string, k, content []byte) {
		wrong[name] = forgery{[][]byte{k}, []seal.KeyPair{l.dca}, content, iv}
	}
	one("first octet", raw(l.dca, change(0, 0x01)), good)
	one("block type 1", raw(l.dca, change(1, 1)), good)
	one("short padding", raw(l.dca, change(5, 0)), good)
	one("zero in padding", raw(l.dca, change(100, 0)), good)
	one("no zero", raw(l.dca, change(223, 1)), good)
	one("key of 16", raw(l.dca, pkcs1(key[:16])), good)
	one("key of 31", raw(l.dca, pkcs1(key[:31])), good)
	one("key of 33", raw(l.dca, pkcs1(append(key, 7))), good)
	one("no key", raw(l.dca, pkcs1(nil)), good)
	one("other key", raw(l.dca, pkcs1(bytes.Repeat([]byte{8}, 32))), good)
	one("zero", make([]byte, 256), good)
	one("one", append(make([]byte, 255), 1), good)
	one("modulus", n.Bytes(), good)
	one("modulus less one", new(big.Int).Sub(n, big.NewInt(1)).Bytes(), good)
	one("all ones", bytes.Repeat([]byte{0xff}, 256), good)
	one("empty", nil, good)
	one("ten thousand octets", bytes.Repeat([]byte{1}, 10000), good)
	right := raw(l.dca, block)
	one("empty ciphertext", right, nil)
	one("15 octets", right, good[:15])
	one("not whole blocks", right, good[:len(good)-1])
	for _, p := range []byte{0, 17, 200, 255} {
		one("padding "+string('a'+rune(p%26)), right, cbc(t, key, iv, pad(entity, p)))
	}
	one("padding not even", right, cbc(t, key, iv, append(goodPadding(entity)[:len(goodPadding(entity))-2], 9, 2)))
	one("noise", right, cbc(t, key, iv, goodPadding(entity+"\x01")))
	one("8-bit", right, cbc(t, key, iv, goodPadding(entity+"\xe4")))
	one("bare LF", right, cbc(t, key, iv, goodPadding(entity+"\n")))
	one("no header", right, cbc(t, key, iv, goodPadding(secret)))
	one("nothing", right, cbc(t, key, iv, goodPadding("")))
	wrong["two for one certificate"] = forgery{[][]byte{right, right}, []seal.KeyPair{l.dca, l.dca}, good, iv}
	wrong["good and probe"] = forgery{[][]byte{right, raw(l.dca, change(1, 1))}, []seal.KeyPair{l.dca, l.dca}, good, iv}
	wrong["probe and old"] = forgery{[][]byte{raw(l.dca, change(1, 1)), raw(l.old, block)}, []seal.KeyPair{l.dca, l.old}, good, iv}
	wrong["old and probe"] = forgery{[][]byte{raw(l.old, block), raw(l.dca, change(1, 1))}, []seal.KeyPair{l.old, l.dca}, good, iv}

	filtered := func(m []byte) (code string, out string) {
		var b bytes.Buffer
		r := a.Filter(context.Background(), filter.Envelope{Recipient: "unknown@example.net", RecipientKnown: true}, spool.FromBytes(m), &b)
		return r.Line(), b.String()
	}
	constant := ""
	for name, f := range wrong {
		m := from(eveAddress, f.entity())
		d := l.deliver(t, m, "unknown")
		_, body, _ := bytes.Cut(bytes.ReplaceAll(m, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
		if bytes.Contains(d.raw, []byte(secret)) || !bytes.Equal(d.body, body) {
			t.Errorf("%s: not as received:\n%s", name, d.raw)
		}
		line, out := filtered(m)
		ours := strings.TrimSuffix(out, string(m))
		if constant == "" {
			constant = ours
		}
		if line != "2.0.0 delivered" || ours != constant || ours == out {
			t.Errorf("%s: %s\n%s\nunlike\n%s", name, line, ours, constant)
		}
	}
	for name, f := range map[string]forgery{
		"current": {[][]byte{right}, []seal.KeyPair{l.dca}, good, iv},
		"retired": {[][]byte{raw(l.old, block)}, []seal.KeyPair{l.old}, good, iv},
		"both":    {[][]byte{raw(l.old, change(1, 1)), right}, []seal.KeyPair{l.old, l.dca}, good, iv},
		"others":  {[][]byte{right, right}, []seal.KeyPair{l.corp, l.dca}, good, iv},
	} {
		if d := l.deliver(t, from(eveAddress, f.entity()), "unknown"); !bytes.Contains(d.raw, []byte(secret)) {
			t.Errorf("%s: not opened:\n%s", name, d.raw)
		}
	}
}
