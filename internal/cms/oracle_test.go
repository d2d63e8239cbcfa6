package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rsa"
	"io"
	"testing"
)

// An inside is what is wrong behind the private key, for any cipher.
type inside struct {
	encrypted  []byte                  // in place of the encrypted key
	ciphertext func(raw []byte) []byte // in place of the ciphertext
	tag        func(mac []byte) []byte
	padding    byte // in place of the right one, all octets of the last block
}

// An oracleCipher makes an object with something wrong inside. All objects of one cipher have a ciphertext of the same
// number of whole blocks.
type oracleCipher struct {
	name   string
	keyLen int
	tagged bool
	make   func(t *testing.T, plain, key []byte, w inside) []byte
}

func apply(f func([]byte) []byte, p []byte) []byte {
	if f == nil {
		return p
	}
	return f(bytes.Clone(p))
}

func cbcOracle(name string, keyLen int, newBlock func([]byte) (cipher.Block, error)) oracleCipher {
	return oracleCipher{name, keyLen, false, func(t *testing.T, plain, key []byte, w inside) []byte {
		block, err := newBlock(key)
		if err != nil {
			t.Fatal(err)
		}
		size := block.BlockSize()
		n := byte(size - len(plain)%size)
		padded := append(bytes.Clone(plain), bytes.Repeat([]byte{n}, int(n))...)
		if w.padding != 0 {
			copy(padded[len(padded)-size:], bytes.Repeat([]byte{w.padding}, size))
		}
		iv := pattern(size)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
		e := enveloping{oid: oidOf(name), key: key, params: octetString(iv), encrypted: w.encrypted,
			ciphertext: appendElement(nil, tagContextPrimitive, apply(w.ciphertext, padded))}
		return e.der(t)
	}}
}

func aeadOracle(name string, keyLen int, seal func(e authEnveloping, aad []byte) []byte) oracleCipher {
	return oracleCipher{name, keyLen, true, func(t *testing.T, plain, key []byte, w inside) []byte {
		e := authEnveloping{plaintext: plain, oid: oidOf(name), key: key, nonce: []byte("fedcba987654"), tagSize: 16, seal: seal, encrypted: w.encrypted}
		if name == "chacha20-poly1305" {
			e.params = octetString(e.nonce)
		}
		e.ciphertext = func(raw []byte) []byte { return appendElement(nil, tagContextPrimitive, apply(w.ciphertext, raw)) }
		if w.tag != nil {
			e.mac = octetString(w.tag(seal(e, nil)[len(plain):]))
		}
		return e.der(t)
	}}
}

// DESIGN rule 2; THREATS A09, A10, A12: of each cipher every failure behind the private key does exactly what a good
// ciphertext does: one operation of the key, the same reading, decrypting, checking and writing, and one error for all.
// What lies further inside, the gate and a bomb, is TestOracleInside in unwrap: the counts of Decrypt are the same there.
func TestOracleEveryCipher(t *testing.T) {
	plain := pattern(2*decryptSize + 1600)
	private := decrypter(t, "rsa").(*rsa.PrivateKey)
	first := func(p []byte) []byte { p[0] ^= 1; return p }
	last := func(p []byte) []byte { p[len(p)-1] ^= 1; return p }
	for _, c := range []oracleCipher{
		cbcOracle("aes128-cbc", 16, aes.NewCipher), cbcOracle("aes256-cbc", 32, aes.NewCipher), cbcOracle("des-ede3-cbc", 24, des.NewTripleDESCipher),
		aeadOracle("aes128-gcm", 16, func(e authEnveloping, aad []byte) []byte { return sealGCM(t, e, aad) }),
		aeadOracle("aes256-ccm", 32, ccm(t)), aeadOracle("chacha20-poly1305", 32, chaCha(t)),
		{"aes128-gcm", 16, true, func(t *testing.T, plain, key []byte, w inside) []byte { // in an EnvelopedData
			object := gcmInEnveloped(t, plain, nil, 16, func(sealed []byte) []byte {
				raw, mac := sealed[:len(plain)], sealed[len(plain):]
				return append(apply(w.ciphertext, raw), apply(w.tag, mac)...)
			})
			if w.encrypted != nil {
				at := bytes.Index(object, []byte{4, 0x82, 1, 0})
				copy(object[at+4:], w.encrypted)
			}
			return object
		}},
	} {
		key := []byte("0123456789abcdef0123456789abcdef")[:c.keyLen]
		flipped := encryptKey(t, key)
		flipped[100] ^= 1
		faults := map[string]inside{
			"good":        {},
			"RSA padding": {encrypted: flipped},
			"key short":   {encrypted: encryptKey(t, key[:5])},
			"key long":    {encrypted: encryptKey(t, append(bytes.Clone(key), 1))},
			"no key":      {encrypted: encryptKey(t, nil)},
			"another key": {encrypted: encryptKey(t, pattern(c.keyLen))},
		}
		if c.tagged {
			faults["tag"], faults["tag, last bit"] = inside{tag: first}, inside{tag: last}
			faults["ciphertext"], faults["ciphertext, last"] = inside{ciphertext: first}, inside{ciphertext: last}
		} else {
			faults["padding 0xff"], faults["padding 17"] = inside{padding: 255}, inside{padding: 17}
			faults["block length"] = inside{ciphertext: func(p []byte) []byte { return append(p, 1, 2, 3) }}
		}
		var want Stats
		for _, name := range append([]string{"good"}, keysOf(faults)...) {
			object := c.make(t, plain, key, faults[name])
			counted := &counting{Decrypter: private}
			r := NewReader(bytes.NewReader(object))
			r.Lenient = true
			var sizes lengths
			stats, err := decryptCounted(t, r, object, counted, &sizes)
			if name == "good" && want == (Stats{}) {
				if want = stats; err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			if name == "block length" { // what makes no block is read, and no more
				stats.Ciphertext -= 3
			}
			good := name == "good"
			// Random padding is right once in 256 times.
			lucky := !c.tagged && err == nil && faults[name].encrypted != nil
			if stats != want || counted.operations != 1 || len(sizes.sizes) != int(want.Writes) || good != (err == nil) && !lucky || !good && !lucky && err != ErrDecrypt {
				t.Errorf("%s, %s: %v, %d operations, %d writes, %+v; want %+v", c.name, name, err, counted.operations, len(sizes.sizes), stats, want)
			}
		}
	}
}

func keysOf(m map[string]inside) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

func decryptCounted(t *testing.T, r *Reader, object []byte, key *counting, w io.Writer) (Stats, error) {
	t.Helper()
	again := func() (io.Reader, error) { return bytes.NewReader(object), nil }
	contentType, err := r.ContentType()
	if err != nil {
		t.Fatal(err)
	}
	if contentType.Equal(OIDEnvelopedData) {
		e, err := r.EnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		contentKey, err := e.RecipientInfos[0].ContentKey(key, e.KeySize)
		if err != nil {
			t.Fatal(err)
		}
		err = e.DecryptAgain(contentKey, again, w)
		return e.Stats(), err
	}
	a, err := r.AuthEnvelopedData()
	if err != nil {
		t.Fatal(err)
	}
	contentKey, err := a.RecipientInfos[0].ContentKey(key, a.KeySize)
	if err != nil {
		t.Fatal(err)
	}
	err = a.Decrypt(contentKey, again, w)
	return a.Stats(), err
}

// THREATS A09: no octet is written before the whole object was read and its tag compared.
func TestA09OrderEveryCipher(t *testing.T) {
	plain := pattern(3*decryptSize + 5)
	for _, c := range []oracleCipher{
		aeadOracle("aes256-gcm", 32, func(e authEnveloping, aad []byte) []byte { return sealGCM(t, e, aad) }),
		aeadOracle("aes256-ccm", 32, ccm(t)), aeadOracle("chacha20-poly1305", 32, chaCha(t)),
	} {
		for _, object := range [][]byte{
			c.make(t, plain, []byte("0123456789abcdef0123456789abcdef"), inside{}),
			c.make(t, plain, []byte("0123456789abcdef0123456789abcdef"), inside{tag: func(p []byte) []byte { p[3] ^= 1; return p }}),
		} {
			src := &ends{r: bytes.NewReader(object)}
			a, err := NewReader(src).AuthEnvelopedData()
			if err != nil {
				t.Fatal(err)
			}
			key, err := a.RecipientInfos[0].ContentKey(decrypter(t, "rsa"), a.KeySize)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Decrypt(key, func() (io.Reader, error) { return bytes.NewReader(object), nil }, writerFunc(func(p []byte) (int, error) {
				if !src.ended || a.Stats().Tags != 1 {
					t.Fatalf("%s: a write before the tag: %+v", c.name, a.Stats())
				}
				return len(p), nil
			}))
			if err != nil && err != ErrDecrypt {
				t.Error(err)
			}
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// ends remembers that its source came to an end.
type ends struct {
	r     io.Reader
	ended bool
}

func (e *ends) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.ended = e.ended || err == io.EOF
	return n, err
}
