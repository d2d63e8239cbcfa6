package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealCCM is RFC 3610 written down word by word, for a nonce of any length and a tag of any size.
func sealCCM(t testing.TB, key, nonce, plaintext, aad []byte, tagSize int) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	l := 15 - len(nonce)
	b0 := make([]byte, 16)
	b0[0] = byte(8*((tagSize-2)/2) + l - 1)
	if len(aad) > 0 {
		b0[0] += 64
	}
	copy(b0[1:], nonce)
	for i, n := 15, len(plaintext); i > len(nonce); i, n = i-1, n>>8 {
		b0[i] = byte(n)
	}
	var blocks []byte
	if len(aad) > 0 {
		if len(aad) < 65536-256 {
			blocks = binary.BigEndian.AppendUint16(blocks, uint16(len(aad)))
		} else {
			blocks = binary.BigEndian.AppendUint32([]byte{0xff, 0xfe}, uint32(len(aad)))
		}
		blocks = append(blocks, aad...)
		for len(blocks)%16 != 0 {
			blocks = append(blocks, 0)
		}
	}
	blocks = append(blocks, plaintext...)
	for len(blocks)%16 != 0 {
		blocks = append(blocks, 0)
	}
	x := make([]byte, 16)
	block.Encrypt(x, b0)
	for ; len(blocks) > 0; blocks = blocks[16:] {
		for i := range x {
			x[i] ^= blocks[i]
		}
		block.Encrypt(x, x)
	}
	keystream := func(i int) []byte {
		a := make([]byte, 16)
		a[0] = byte(l - 1)
		copy(a[1:], nonce)
		for j := 15; j > len(nonce); j, i = j-1, i>>8 {
			a[j] = byte(i)
		}
		block.Encrypt(a, a)
		return a
	}
	out := bytes.Clone(plaintext)
	for i := range out {
		out[i] ^= keystream(i/16 + 1)[i%16]
	}
	for i, s := range keystream(0)[:tagSize] {
		out = append(out, x[i]^s)
	}
	return out
}

// ccm and chaCha are seals for authEnveloping.
func ccm(t testing.TB) func(e authEnveloping, aad []byte) []byte {
	return func(e authEnveloping, aad []byte) []byte {
		return sealCCM(t, e.key, e.nonce, e.plaintext, aad, max(e.tagSize, 4))
	}
}

func chaCha(t testing.TB) func(e authEnveloping, aad []byte) []byte {
	return func(e authEnveloping, aad []byte) []byte {
		c, err := chacha20poly1305.New(e.key)
		if err != nil {
			t.Fatal(err)
		}
		return c.Seal(nil, e.nonce, e.plaintext, aad)
	}
}

func oidOf(name string) asn1.ObjectIdentifier {
	for _, c := range ciphers {
		if c.name == name {
			return c.oid
		}
	}
	return nil
}

// Packet vectors 1, 2, 4 and 13 of RFC 3610 section 8; examples 1 to 4 of NIST SP 800-38C, appendix C.
func TestCCMVectors(t *testing.T) {
	long := make([]byte, 65536)
	for i := range long {
		long[i] = byte(i)
	}
	for _, v := range []struct {
		name, key, nonce, aad, plain, sealed string
		tag                                  int
	}{
		{"RFC 3610, 1", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e", "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0", 8},
		{"RFC 3610, 2", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000004030201a0a1a2a3a4a5", "0001020304050607",
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916", 8},
		{"SP 800-38C, 1", "404142434445464748494a4b4c4d4e4f", "10111213141516", "0001020304050607", "20212223", "7162015b4dac255d", 4},
		{"SP 800-38C, 2", "404142434445464748494a4b4c4d4e4f", "1011121314151617", "000102030405060708090a0b0c0d0e0f",
			"202122232425262728292a2b2c2d2e2f", "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd", 6},
		{"SP 800-38C, 3", "404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
			"202122232425262728292a2b2c2d2e2f3031323334353637", "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", 8},
		{"SP 800-38C, 4", "404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b1c", hex.EncodeToString(long),
			"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
			"69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b", 14},
	} {
		key, nonce, aad, plain, sealed := unhex(t, v.key), unhex(t, v.nonce), unhex(t, v.aad), unhex(t, v.plain), unhex(t, v.sealed)
		if got := sealCCM(t, key, nonce, plain, aad, v.tag); !bytes.Equal(got, sealed) {
			t.Errorf("%s: the test's own CCM: %x", v.name, got)
		}
		raw, mac := sealed[:len(plain)], sealed[len(plain):]
		tagger, err := modeCCM.newTagger(key, nonce, v.tag, int64(len(raw)), aad)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(raw)
		tagger.add(raw)
		if sum, ok := tagger.sum(aad); !ok || !bytes.Equal(sum[:v.tag], mac) || !bytes.Equal(raw, before) {
			t.Errorf("%s: tag %x, %v", v.name, sum, ok)
		}
		stream, err := modeCCM.newStream(key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if stream.XORKeyStream(raw, raw); !bytes.Equal(raw, plain) {
			t.Errorf("%s: %x", v.name, raw)
		}
	}
}

// RFC 8439 section 2.8.2.
func TestChaChaVector(t *testing.T) {
	key := unhex(t, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
	nonce, aad := unhex(t, "070000004041424344454647"), unhex(t, "50515253c0c1c2c3c4c5c6c7")
	plain := "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
	raw := unhex(t, "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"+
		"1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116")
	tagger, err := modeChaCha.newTagger(key, nonce, 16, -1, aad)
	if err != nil {
		t.Fatal(err)
	}
	tagger.add(raw[:64])
	tagger.add(raw[64:])
	if sum, ok := tagger.sum(aad); !ok || !bytes.Equal(sum[:], unhex(t, "1ae10b594f09e26a7e902ecbd0600691")) {
		t.Errorf("tag %x, %v", sum, ok)
	}
	stream, err := modeChaCha.newStream(key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if stream.XORKeyStream(raw, raw); string(raw) != plain {
		t.Errorf("%q", raw)
	}
}

// RFC 5084, RFC 8103: sizes around every boundary, with attributes and without, in one piece and in many, however the
// source delivers. The seals are others' work.
func TestCCMAndChaChaSizes(t *testing.T) {
	contentType := [][]byte{attribute(OIDAttrContentType, marshalOID(OIDData))}
	for i, size := range []int{0, 1, 15, 16, 17, 63, 64, 65, 4096, decryptSize - 1, decryptSize, decryptSize + 1, 2*decryptSize + 33, 3*bufferSize + 5} {
		for j, name := range []string{"chacha20-poly1305", "aes128-ccm", "aes192-ccm", "aes256-ccm"} {
			e := authEnveloping{plaintext: pattern(size), oid: oidOf(name), seal: ccm(t), key: pattern([]int{32, 16, 24, 32}[j]), tagSize: []int{16, 12, 14, 16}[j]}
			if j == 0 {
				e.seal, e.params = chaCha(t), octetString([]byte("fedcba987654"))
			}
			if i%2 == j%2 {
				e.ciphertext = pieces(1000)
			}
			if i%3 != j%3 {
				e.attrs = contentType
			}
			object := e.der(t)
			for how, reader := range readers {
				got, a, err := authDecrypt(object, reader, decrypter(t, "rsa"))
				if err != nil || !bytes.Equal(got, e.plaintext) || a.Cipher != name || a.Weak || !a.Authenticated {
					t.Errorf("%s, %d octets, %s: %d octets, %v", name, size, how, len(got), err)
				}
			}
		}
	}
}

// RFC 5084 3.1: nonces of 7 to 13 octets leave 8 to 2 for the length.
func TestCCMNonces(t *testing.T) {
	for n := range 17 {
		e := authEnveloping{plaintext: pattern(1000), oid: oidOf("aes256-ccm"), nonce: pattern(n), tagSize: 16, seal: ccm(t)}
		if n < 7 || n > 13 {
			e.seal = nil // made with GCM and another nonce: nobody looks that far
			e.params, e.nonce = seq(octetString(pattern(n)), number(16)), nil
		}
		got, _, err := authDecrypt(e.der(t), readers["whole"], decrypter(t, "rsa"))
		if good := n >= 7 && n <= 13; good && (err != nil || !bytes.Equal(got, e.plaintext)) || !good && err != ErrAlgorithm {
			t.Errorf("nonce of %d: %v", n, err)
		}
	}
	for size, want := range map[int]error{65535: nil, 65536: ErrSyntax} {
		e := authEnveloping{plaintext: pattern(size), oid: oidOf("aes256-ccm"), nonce: pattern(13), tagSize: 16, seal: ccm(t)}
		if _, _, err := authDecrypt(e.der(t), readers["whole"], decrypter(t, "rsa")); !errors.Is(err, want) {
			t.Errorf("%d octets under a nonce of 13: %v, want %v", size, err, want)
		}
	}
}

// THREATS A08 for the other AEAD ciphers.
func TestA08OtherParameters(t *testing.T) {
	nonce := octetString([]byte("fedcba987654"))
	for name, test := range map[string]struct {
		e    authEnveloping
		want error
	}{
		"CCM, tag of 16":         {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 16}, nil},
		"CCM, tag of 14":         {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 14}, nil},
		"CCM, tag of 12":         {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 12}, nil},
		"CCM, 12 by default":     {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 12, params: seq(nonce)}, nil},
		"CCM, tag of 15":         {authEnveloping{oid: oidOf("aes256-ccm"), params: seq(nonce, number(15))}, ErrAlgorithm},
		"CCM, tag of 10":         {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 10}, ErrAlgorithm},
		"CCM, tag of 8":          {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 8}, ErrAlgorithm},
		"CCM, tag of 4":          {authEnveloping{oid: oidOf("aes256-ccm"), tagSize: 4}, ErrAlgorithm},
		"CCM, tag of 18":         {authEnveloping{oid: oidOf("aes256-ccm"), params: seq(nonce, number(18))}, ErrAlgorithm},
		"CCM, nonce alone":       {authEnveloping{oid: oidOf("aes256-ccm"), params: nonce}, ErrAlgorithm},
		"CCM, nothing":           {authEnveloping{oid: oidOf("aes256-ccm"), params: []byte{}}, ErrAlgorithm},
		"ChaCha20":               {authEnveloping{oid: oidOf("chacha20-poly1305"), params: nonce, seal: chaCha(t)}, nil},
		"ChaCha20, nonce of 8":   {authEnveloping{oid: oidOf("chacha20-poly1305"), params: octetString(make([]byte, 8)), seal: chaCha(t)}, ErrAlgorithm},
		"ChaCha20, nonce of 24":  {authEnveloping{oid: oidOf("chacha20-poly1305"), params: octetString(make([]byte, 24)), seal: chaCha(t)}, ErrAlgorithm},
		"ChaCha20, SEQUENCE":     {authEnveloping{oid: oidOf("chacha20-poly1305"), params: seq(nonce), seal: chaCha(t)}, ErrAlgorithm},
		"ChaCha20, NULL":         {authEnveloping{oid: oidOf("chacha20-poly1305"), params: null, seal: chaCha(t)}, ErrAlgorithm},
		"ChaCha20, nothing":      {authEnveloping{oid: oidOf("chacha20-poly1305"), params: []byte{}, seal: chaCha(t)}, ErrAlgorithm},
		"ChaCha20, mac of 12":    {authEnveloping{oid: oidOf("chacha20-poly1305"), params: nonce, seal: chaCha(t), tagSize: 12}, ErrSyntax},
		"CCM, mac of 16, not 12": {authEnveloping{oid: oidOf("aes256-ccm"), params: seq(nonce)}, ErrSyntax},
	} {
		if strings.HasPrefix(name, "CCM") {
			test.e.seal = ccm(t)
		}
		test.e.plaintext = content
		got, _, err := authDecrypt(test.e.der(t), readers["whole"], decrypter(t, "rsa"))
		if !errors.Is(err, test.want) || err == nil && !bytes.Equal(got, content) || err != nil && len(got) > 0 {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// Bouncy Castle makes what OpenSSL does not (testdata/BouncyCastle.java).
func TestByBouncyCastle(t *testing.T) {
	want := testdata(t, "content.txt")
	for name, cipher := range map[string]string{"bc-ccm128": "aes128-ccm", "bc-ccm192": "aes192-ccm", "bc-ccm256": "aes256-ccm", "bc-gcm-attributes": "aes256-gcm"} {
		for how, reader := range readers {
			got, a, err := authDecrypt(testdata(t, name+".der"), reader, decrypter(t, "rsa"))
			if err != nil || !bytes.Equal(got, want) || a.Cipher != cipher {
				t.Errorf("%s, %s: %v, %q", name, how, err, got)
			}
		}
	}
	got, e, err := decrypt(bytes.NewReader(testdata(t, "bc-des3.der")), cert(t, "rsa"), decrypter(t, "rsa"))
	if err != nil || !bytes.Equal(got, want) || e.Cipher != "des-ede3-cbc" || !e.Weak {
		t.Errorf("3DES: %v, %q", err, got)
	}
	if got, err := expand(bytes.NewReader(testdata(t, "bc-compressed.der")), 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("compressed: %v, %q", err, got)
	}
	large, err := expand(bytes.NewReader(testdata(t, "bc-compressed-large.der")), 0)
	if err != nil || len(large) != 100000 || len(bytes.Trim(large, "0123456789abcdef")) != 0 {
		t.Errorf("compressed: %v, %d octets", err, len(large))
	}
}

// OpenSSL makes 3DES of every size and stream.
func TestDES3ByOpenSSL(t *testing.T) {
	needOpenSSL(t)
	for _, size := range []int{0, 1, 7, 8, 9, 4096, decryptSize - 1, decryptSize, decryptSize + 9, 300_000} {
		for _, args := range [][]string{{"rsa.crt"}, {"-stream", "rsa.crt"}} {
			object := openssl(t, pattern(size), append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-des3"}, args...)...)
			got, e, err := decrypt(bytes.NewReader(object), cert(t, "rsa"), decrypter(t, "rsa"))
			if err != nil || !bytes.Equal(got, pattern(size)) || !e.Weak || e.KeySize != 24 {
				t.Errorf("%d octets, %v: %v, %d octets", size, args, err, len(got))
			}
		}
	}
}

// lenientDecrypt is decrypt with a lenient Reader, for both types of object.
func lenientDecrypt(t testing.TB, object []byte, lenient bool) ([]byte, []Deviation, *Envelope, error) {
	t.Helper()
	again := func() (io.Reader, error) { return bytes.NewReader(object), nil }
	r := NewReader(bytes.NewReader(object))
	r.Lenient = lenient
	contentType, err := r.ContentType()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if contentType.Equal(OIDAuthEnvelopedData) {
		a, err := r.AuthEnvelopedData()
		if err != nil {
			return nil, nil, nil, err
		}
		var key []byte
		if a.KeySize > 0 {
			if key, err = a.RecipientInfos[0].ContentKey(decrypter(t, "rsa"), a.KeySize); err != nil {
				t.Fatal(err)
			}
		}
		err = a.Decrypt(key, again, &out)
		return out.Bytes(), r.Deviations(), &a.Envelope, err
	}
	e, err := r.EnvelopedData()
	if err != nil {
		return nil, nil, nil, err
	}
	var key []byte
	if e.KeySize > 0 {
		if key, err = e.RecipientInfos[0].ContentKey(decrypter(t, "rsa"), e.KeySize); err != nil {
			t.Fatal(err)
		}
	}
	err = e.DecryptAgain(key, again, &out)
	return out.Bytes(), r.Deviations(), &e.Envelope, err
}

// gcmInEnveloped is the form of PKI.js and Bouncy Castle: an EnvelopedData with AES-GCM and the tag behind.
func gcmInEnveloped(t testing.TB, plain, params []byte, tagSize int, change func(sealed []byte) []byte) []byte {
	t.Helper()
	key, nonce := []byte("0123456789abcdef"), []byte("fedcba987654")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := g.Seal(nil, nonce, plain, nil)
	sealed = change(sealed[:len(plain)+tagSize])
	if params == nil {
		params = seq(octetString(nonce), number(byte(tagSize)))
	}
	return enveloping{key: key, oid: oidOf("aes128-gcm"), params: params, ciphertext: appendElement(nil, tagContextPrimitive, sealed)}.der(t)
}

// What known senders write against the standards is read by a lenient Reader alone, which names it (compat forms 2, 3
// and 5; form 4, an explicit tag around the ciphertext, is BER of the implicit one and always read).
func TestDeviations(t *testing.T) {
	same := func(p []byte) []byte { return p }
	flip := func(at int) func([]byte) []byte {
		return func(p []byte) []byte {
			p = bytes.Clone(p)
			p[(at+len(p))%len(p)] ^= 1
			return p
		}
	}
	nonce := octetString([]byte("fedcba987654"))
	contentType := attribute(OIDAttrContentType, marshalOID(OIDData))
	explicit := func(raw []byte) []byte { return tagged(0, octetString(raw)) }
	for _, size := range []int{0, 1, 40, decryptSize - 16, decryptSize - 1, decryptSize, 2*decryptSize + 5} {
		plain := pattern(size)
		for name, test := range map[string]struct {
			object     []byte
			deviations string
			strict     error
			lenient    error
		}{
			"GCM in EnvelopedData":          {gcmInEnveloped(t, plain, nil, 16, same), "[AES-GCM in EnvelopedData]", ErrAlgorithm, nil},
			"with a tag of 12":              {gcmInEnveloped(t, plain, nil, 12, same), "[AES-GCM in EnvelopedData]", ErrAlgorithm, nil},
			"with a nonce alone":            {gcmInEnveloped(t, plain, nonce, 16, same), "[AES-GCM in EnvelopedData AES-GCM parameters without SEQUENCE]", ErrAlgorithm, nil},
			"tag wrong":                     {gcmInEnveloped(t, plain, nil, 16, flip(-1)), "[AES-GCM in EnvelopedData]", ErrAlgorithm, ErrDecrypt},
			"first octet wrong":             {gcmInEnveloped(t, plain, nil, 16, flip(0)), "[AES-GCM in EnvelopedData]", ErrAlgorithm, ErrDecrypt},
			"shorter than its tag":          {gcmInEnveloped(t, nil, nil, 16, func(p []byte) []byte { return p[:15] }), "[AES-GCM in EnvelopedData]", ErrAlgorithm, ErrSyntax},
			"nonce alone":                   {authEnveloping{plaintext: plain, params: nonce}.der(t), "[AES-GCM parameters without SEQUENCE]", ErrAlgorithm, nil},
			"authAttrs [2]":                 {authEnveloping{plaintext: plain, attrs: [][]byte{contentType}, rawAttrs: tagged(2, contentType)}.der(t), "[attribute tags of AuthEnvelopedData]", ErrSyntax, nil},
			"unauthAttrs [3]":               {authEnveloping{plaintext: plain, unauthAttrs: tagged(3, contentType)}.der(t), "[attribute tags of AuthEnvelopedData]", ErrSyntax, nil},
			"authAttrs [2], others":         {authEnveloping{plaintext: plain, rawAttrs: tagged(2, contentType)}.der(t), "[attribute tags of AuthEnvelopedData]", ErrSyntax, ErrDecrypt},
			"explicit tag":                  {authEnveloping{plaintext: plain, ciphertext: explicit}.der(t), "[]", nil, nil},
			"as the standards say":          {authEnveloping{plaintext: plain}.der(t), "[]", nil, nil},
			"A07 CBC in AuthEnvelopedData":  {authEnveloping{plaintext: plain, oid: oidOf("aes256-cbc"), params: octetString(make([]byte, 16))}.der(t), "[]", ErrAlgorithm, ErrAlgorithm},
			"A07 3DES in AuthEnvelopedData": {authEnveloping{plaintext: plain, oid: oidOf("des-ede3-cbc"), params: octetString(make([]byte, 8))}.der(t), "[]", ErrAlgorithm, ErrAlgorithm},
			"A07 CCM in EnvelopedData":      {enveloping{padded: pad(plain), oid: oidOf("aes128-ccm"), params: seq(nonce, number(16))}.der(t), "[]", ErrAlgorithm, ErrAlgorithm},
			"A07 ChaCha in EnvelopedData":   {enveloping{padded: pad(plain), oid: oidOf("chacha20-poly1305"), params: nonce}.der(t), "[]", ErrAlgorithm, ErrAlgorithm},
		} {
			got, found, _, err := lenientDecrypt(t, test.object, true)
			if !errors.Is(err, test.lenient) || err == nil && !bytes.Equal(got, plain) || fmt.Sprint(found) != test.deviations {
				t.Errorf("%s, %d octets: %v, %d octets, %q", name, size, err, len(got), found)
			}
			got, found, _, err = lenientDecrypt(t, test.object, false)
			if !errors.Is(err, test.strict) || err != nil && len(got) > 0 || len(found) > 0 {
				t.Errorf("%s, %d octets, strict: %v, %q", name, size, err, found)
			}
		}
	}
	got, found, e, err := lenientDecrypt(t, testdata(t, "bc-gcm-in-enveloped.der"), true)
	if err != nil || !bytes.Equal(got, testdata(t, "content.txt")) || len(found) != 1 || !e.Authenticated {
		t.Errorf("Bouncy Castle: %v, %q, %q", err, got, found)
	}
}
