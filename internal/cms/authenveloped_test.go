package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

// Sizes around every boundary of buffers and blocks, every key size, in one piece and in many, whole and dripping.
func TestAuthEnvelopedSizes(t *testing.T) {
	sizes := []int{0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, decryptSize - 1, decryptSize, decryptSize + 1, decryptSize + 16,
		2 * decryptSize, bufferSize - 7, 3*bufferSize + 5}
	for i, size := range sizes {
		for j, keySize := range []int{16, 24, 32} {
			e := authEnveloping{plaintext: pattern(size), key: pattern(keySize)}
			if i%2 == j%2 {
				e.ciphertext = pieces(1000)
			}
			if j == 1 {
				e.attrs = [][]byte{attribute(OIDAttrContentType, marshalOID(OIDData))}
			}
			object := e.der(t)
			for how, reader := range readers {
				got, a, err := authDecrypt(object, reader, decrypter(t, "rsa"))
				if err != nil || !bytes.Equal(got, e.plaintext) {
					t.Errorf("%d octets, key of %d, %s: %d octets, %v", size, keySize, how, len(got), err)
				}
				if want := fmt.Sprintf("aes%d-gcm", 8*keySize); a.Cipher != want {
					t.Errorf("cipher %s, want %s", a.Cipher, want)
				}
			}
		}
	}
}

// OpenSSL makes it, in all forms it knows.
func TestAuthEnvelopedByOpenSSL(t *testing.T) {
	needOpenSSL(t)
	for i, size := range []int{0, 1, 16, 17, 4096, decryptSize, decryptSize + 1, 100_000, 1 << 20} {
		for j, args := range [][]string{{"rsa.crt"}, {"-stream", "rsa.crt"}, {"-keyid", "rsa.crt"},
			{"-recip", "rsa.crt", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"}} {
			if size == 0 && args[0] == "-stream" {
				continue // OpenSSL 3.0 does not write it
			}
			bits := []string{"128", "192", "256"}[(i+j)%3]
			content := pattern(size)
			object := openssl(t, content, append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-aes-" + bits + "-gcm"}, args...)...)
			got, a, err := authDecrypt(object, readers["whole"], decrypter(t, "rsa"))
			if err != nil || !bytes.Equal(got, content) || a.Cipher != "aes"+bits+"-gcm" {
				t.Errorf("%d octets, %v: %v, %d octets, %s", size, args, err, len(got), a.Cipher)
			}
		}
	}
}

// RFC 5083 2.1, 2.2: what the attributes must be, and that the tag covers them as a SET OF in DER.
func TestAuthAttrs(t *testing.T) {
	contentType := attribute(OIDAttrContentType, marshalOID(OIDData))
	other := attribute(OIDAttrContentType, marshalOID(OIDSignedData))
	label := attribute(OIDAttrSigningTime, append([]byte{0x17, 13}, "200101000000Z"...))
	sorted := [][]byte{contentType, label}
	for name, test := range map[string]struct {
		e    authEnveloping
		want error
	}{
		"absent":                            {authEnveloping{}, nil},
		"contentType":                       {authEnveloping{attrs: [][]byte{contentType}}, nil},
		"without contentType":               {authEnveloping{attrs: [][]byte{label}}, nil},
		"two":                               {authEnveloping{attrs: sorted}, nil},
		"in BER":                            {authEnveloping{attrs: sorted, rawAttrs: endless(tagContextConstructed|1, contentType, label)}, nil},
		"out of order":                      {authEnveloping{attrs: sorted, rawAttrs: tagged(1, label, contentType)}, nil},
		"not those":                         {authEnveloping{attrs: sorted, rawAttrs: tagged(1, contentType)}, ErrDecrypt},
		"taken away":                        {authEnveloping{attrs: sorted, rawAttrs: []byte{}}, ErrDecrypt},
		"added":                             {authEnveloping{rawAttrs: tagged(1, contentType)}, ErrDecrypt},
		"empty":                             {authEnveloping{rawAttrs: tagged(1)}, ErrSyntax},
		"no attributes":                     {authEnveloping{rawAttrs: tagged(1, null)}, ErrSyntax},
		"another contentType":               {authEnveloping{attrs: [][]byte{other}}, ErrAttributes},
		"contentType twice":                 {authEnveloping{attrs: [][]byte{contentType, contentType}}, ErrAttributes},
		"64 KiB":                            {authEnveloping{attrs: [][]byte{attribute(OIDAttrSigningTime, octetString(make([]byte, maxAuthAttrs)))}}, ErrSyntax},
		"not data, none":                    {authEnveloping{contentType: OIDSignedData}, ErrAttributes},
		"not data, none that says so":       {authEnveloping{contentType: OIDSignedData, attrs: [][]byte{label}}, ErrAttributes},
		"not data, one that says data":      {authEnveloping{contentType: OIDSignedData, attrs: [][]byte{contentType}}, ErrAttributes},
		"not data, one that says so":        {authEnveloping{contentType: OIDSignedData, attrs: [][]byte{other}}, nil},
		"unauthAttrs":                       {authEnveloping{unauthAttrs: tagged(2, label)}, nil},
		"unauthAttrs in place of authAttrs": {authEnveloping{attrs: sorted, rawAttrs: []byte{}, unauthAttrs: tagged(2, sorted...)}, ErrDecrypt},
		"something else":                    {authEnveloping{unauthAttrs: tagged(3, label)}, ErrSyntax},
	} {
		for _, size := range []int{0, 33, decryptSize + 5} {
			test.e.plaintext = pattern(size)
			got, _, err := authDecrypt(test.e.der(t), readers["whole"], decrypter(t, "rsa"))
			if !errors.Is(err, test.want) || err == nil && !bytes.Equal(got, test.e.plaintext) {
				t.Errorf("%s, %d octets: %v, want %v", name, size, err, test.want)
			}
		}
	}
}

// THREATS A08: tags of 12 to 16 octets, nonces of 12, and no other form of parameters; the mac has the length they say.
func TestA08Parameters(t *testing.T) {
	nonce := octetString([]byte("fedcba987654"))
	sized := func(n int) []byte { return seq(octetString(make([]byte, n)), number(16)) }
	for name, test := range map[string]struct {
		e    authEnveloping
		want error
	}{
		"tag of 16":            {authEnveloping{}, nil},
		"tag of 15":            {authEnveloping{tagSize: 15}, nil},
		"tag of 14":            {authEnveloping{tagSize: 14}, nil},
		"tag of 13":            {authEnveloping{tagSize: 13}, nil},
		"tag of 12":            {authEnveloping{tagSize: 12}, nil},
		"tag of 12 by default": {authEnveloping{tagSize: 12, params: seq(nonce)}, nil},
		"tag of 11":            {authEnveloping{tagSize: 11}, ErrAlgorithm},
		"tag of 4":             {authEnveloping{tagSize: 4}, ErrAlgorithm},
		"tag of 1":             {authEnveloping{tagSize: 1}, ErrAlgorithm},
		"tag of 0":             {authEnveloping{params: seq(nonce, number(0)), mac: octetString(nil)}, ErrAlgorithm},
		"tag of 17":            {authEnveloping{tagSize: 17}, ErrAlgorithm},
		"tag of 255":           {authEnveloping{params: seq(nonce, []byte{2, 2, 0, 255})}, ErrAlgorithm},
		"tag of -1":            {authEnveloping{params: seq(nonce, []byte{2, 1, 255})}, ErrAlgorithm},
		"tag of 2^64":          {authEnveloping{params: seq(nonce, append([]byte{2, 9, 1}, make([]byte, 8)...))}, ErrAlgorithm},
		"nonce of 0":           {authEnveloping{params: sized(0)}, ErrAlgorithm},
		"nonce of 11":          {authEnveloping{params: sized(11)}, ErrAlgorithm},
		"nonce of 13":          {authEnveloping{params: sized(13)}, ErrAlgorithm},
		"nonce of 4000":        {authEnveloping{params: sized(4000)}, ErrAlgorithm},
		"nonce of 16384":       {authEnveloping{params: sized(16384)}, ErrSyntax},
		"no parameters":        {authEnveloping{params: []byte{}}, ErrAlgorithm},
		"NULL":                 {authEnveloping{params: null}, ErrAlgorithm},
		"an IV":                {authEnveloping{params: octetString(make([]byte, 16))}, ErrAlgorithm},
		"a nonce alone":        {authEnveloping{params: nonce}, ErrAlgorithm},
		"no nonce":             {authEnveloping{params: seq(number(16))}, ErrAlgorithm},
		"more":                 {authEnveloping{params: seq(nonce, number(16), null)}, ErrAlgorithm},
		"mac shorter":          {authEnveloping{mac: octetString(make([]byte, 15))}, ErrSyntax},
		"mac cut to nothing":   {authEnveloping{mac: octetString(nil)}, ErrSyntax},
		"mac longer":           {authEnveloping{mac: octetString(make([]byte, 17)), tagSize: 16}, ErrSyntax},
		"mac of 5000":          {authEnveloping{mac: octetString(make([]byte, 5000))}, ErrSyntax},
		"mac is no string":     {authEnveloping{mac: null}, ErrSyntax},
		"no mac":               {authEnveloping{mac: []byte{}}, ErrSyntax},
	} {
		test.e.plaintext = content
		got, _, err := authDecrypt(test.e.der(t), readers["whole"], decrypter(t, "rsa"))
		if !errors.Is(err, test.want) || err == nil && !bytes.Equal(got, content) || err != nil && len(got) > 0 {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	// BER may have the mac in pieces.
	e := authEnveloping{plaintext: content}
	object := e.der(t)
	e.mac = endless(tagOctetString|formConstructed, octetString(object[len(object)-16:len(object)-8]), octetString(object[len(object)-8:]))
	if got, _, err := authDecrypt(e.der(t), readers["whole"], decrypter(t, "rsa")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("mac in pieces: %v", err)
	}
}

// THREATS A07: a cipher without authentication in an AuthEnvelopedData is refused before the key is asked for, and so is
// AEAD in an EnvelopedData (TestA05Ciphers).
func TestA07Modes(t *testing.T) {
	aes256 := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, n} }
	iv := octetString(make([]byte, 16))
	for name, e := range map[string]authEnveloping{
		"CBC":             {oid: aes256(42), params: iv},
		"CBC, GCM params": {oid: aes256(42)},
		"OFB":             {oid: aes256(43), params: iv},
		"CFB":             {oid: aes256(44), params: iv},
		"ECB":             {oid: aes256(41), params: []byte{}},
		"OFB, GCM params": {oid: aes256(43)},
		"3DES":            {oid: oidOf("des-ede3-cbc"), params: octetString(make([]byte, 8))},
	} {
		for _, size := range []int{20, decryptSize + 1} {
			e.plaintext = make([]byte, size)
			counted := &counting{Decrypter: decrypter(t, "rsa")}
			got, a, err := authDecrypt(e.der(t), readers["whole"], counted)
			if !errors.Is(err, ErrAlgorithm) || a.KeySize != 0 || counted.operations != 0 || len(got) != 0 {
				t.Errorf("%s: %v, %d octets, %d operations", name, err, len(got), counted.operations)
			}
			if err := a.Decrypt(e.key, nil, io.Discard); err != ErrAlgorithm {
				t.Errorf("%s: Decrypt: %v", name, err)
			}
		}
	}
}

// THREATS A06: a key that came with GCM opens nothing but noise when its EncryptedKey is sent again with CBC, after the
// same operations as any other CBC.
func TestA06Downgrade(t *testing.T) {
	key := []byte("0123456789abcdef")
	encrypted := encryptKey(t, key)
	object := authEnveloping{plaintext: content, key: key, encrypted: encrypted}.der(t)
	if _, _, err := authDecrypt(object, readers["whole"], decrypter(t, "rsa")); err != nil {
		t.Fatal(err)
	}
	raw := pattern(160) // guesses
	e := enveloping{key: key, encrypted: encrypted, ciphertext: appendElement(nil, tagContextPrimitive, raw)}
	got, d, err := decrypt(bytes.NewReader(e.der(t)), cert(t, "rsa"), decrypter(t, "rsa"))
	want := Stats{Ciphertext: 160, Blocks: 10, Writes: 1, RandomKeys: 1, Paddings: 1}
	if d.Stats() != want || err == nil && bytes.Contains(got, content[:16]) {
		t.Errorf("%v, %+v, want %+v", err, d.Stats(), want)
	}
}

// THREATS A09, A10 and DESIGN rule 2: RSA padding, key length, tag, nonce, ciphertext, or nothing at all is wrong: the
// same operations over the whole ciphertext, the same writes, one error, and no plaintext but in the last case.
func TestA09WholePath(t *testing.T) {
	for _, size := range []int{0, 100, 2*decryptSize + 1600} {
		plain := bytes.Repeat([]byte("SECRET 16 octets"), size/16+1)[:size]
		good := authEnveloping{plaintext: plain}
		flipped := encryptKey(t, []byte("0123456789abcdef0123456789abcdef"))
		flipped[100] ^= 1
		writes := size/decryptSize + 1
		want := Stats{Ciphertext: int64(size), Tagged: int64(size), Blocks: int64(size+15) / 16, Writes: int64(writes), RandomKeys: 2, Tags: 1}
		for name, test := range map[string]struct {
			e    authEnveloping
			want error
		}{
			"good":           {good, nil},
			"tag of 12":      {authEnveloping{plaintext: plain, tagSize: 12}, nil},
			"tag":            {authEnveloping{plaintext: plain, mac: octetString(pattern(16))}, ErrDecrypt},
			"tag of zeros":   {authEnveloping{plaintext: plain, mac: octetString(make([]byte, 16))}, ErrDecrypt},
			"nonce":          {authEnveloping{plaintext: plain, params: seq(octetString([]byte("fedcba987655")), number(16))}, ErrDecrypt},
			"RSA padding":    {authEnveloping{plaintext: plain, encrypted: flipped}, ErrDecrypt},
			"RSA length":     {authEnveloping{plaintext: plain, encrypted: []byte{1}}, ErrDecrypt},
			"key length":     {authEnveloping{plaintext: plain, encrypted: encryptKey(t, make([]byte, 16))}, ErrDecrypt},
			"another key":    {authEnveloping{plaintext: plain, encrypted: encryptKey(t, make([]byte, 32))}, ErrDecrypt},
			"OAEP padding":   {authEnveloping{plaintext: plain, encrypted: flipped, transport: algorithm(oidRSAESOAEP)}, ErrDecrypt},
			"attributes":     {authEnveloping{plaintext: plain, rawAttrs: tagged(1, attribute(OIDAttrSigningTime, null))}, ErrDecrypt},
			"192 for 256":    {authEnveloping{plaintext: plain, oid: ciphers[4].oid}, ErrDecrypt},
			"ciphertext":     {authEnveloping{plaintext: plain, ciphertext: flip(0)}, ErrDecrypt},
			"ciphertext end": {authEnveloping{plaintext: plain, ciphertext: flip(size - 1)}, ErrDecrypt},
		} {
			if size == 0 && test.e.ciphertext != nil {
				continue
			}
			counted := &counting{Decrypter: decrypter(t, "rsa").(*rsa.PrivateKey)}
			object := test.e.der(t)
			opened := 0
			again := func() (io.Reader, error) { opened++; return bytes.NewReader(object), nil }
			a, err := NewReader(bytes.NewReader(object)).AuthEnvelopedData()
			if err != nil {
				t.Fatal(err)
			}
			key, err := a.RecipientInfos[0].ContentKey(counted, a.KeySize)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			var sizes lengths
			err = a.Decrypt(key, again, io.MultiWriter(&out, &sizes))
			if err != test.want || out.Len() != size {
				t.Errorf("%s, %d: %v, want %v; %d octets", name, size, err, test.want, out.Len())
			}
			if (size > 0 && bytes.Contains(out.Bytes(), []byte("SECRET"))) != (err == nil && size > 0) {
				t.Errorf("%s, %d: plaintext is written where it must not be, or is not", name, size)
			}
			if a.Stats() != want || counted.operations != 1 || len(sizes.sizes) != writes || opened != min(size/decryptSize, 1) {
				t.Errorf("%s, %d: %+v, %d operations of the key, %d readings; want %+v", name, size, a.Stats(), counted.operations, opened, want)
			}
		}
	}
}

// flip returns the ciphertext with one bit changed.
func flip(at int) func([]byte) []byte {
	return func(raw []byte) []byte {
		raw = bytes.Clone(raw)
		raw[at] ^= 1
		return appendElement(nil, tagContextPrimitive, raw)
	}
}

// THREATS A14: a ciphertext that two keys open under one tag says to each reader what the key that came for him says,
// and opens under no third.
func TestA14TwoKeys(t *testing.T) {
	nonce := []byte("fedcba987654")
	one, two := pattern(32), bytes.Repeat([]byte{7}, 32)
	ciphertext, mac := collide(t, one, two, nonce)
	e := authEnveloping{nonce: nonce, mac: octetString(mac),
		ciphertext: func([]byte) []byte { return appendElement(nil, tagContextPrimitive, ciphertext) }}
	for name, test := range map[string]struct {
		key []byte
		ok  bool
	}{"one": {one, true}, "two": {two, true}, "third": {make([]byte, 32), false}} {
		e.encrypted = encryptKey(t, test.key)
		got, _, err := authDecrypt(e.der(t), readers["whole"], decrypter(t, "rsa"))
		block, cipherErr := aes.NewCipher(test.key)
		if cipherErr != nil {
			t.Fatal(cipherErr)
		}
		want := bytes.Clone(ciphertext)
		cipher.NewCTR(block, counterBlock(nonce, 2)).XORKeyStream(want, want)
		if (err == nil) != test.ok || bytes.Equal(got, want) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// collide makes a ciphertext of two blocks with one tag under two keys: the second block solves T1 = T2, which is
// linear in it.
func collide(t *testing.T, one, two, nonce []byte) (ciphertext, mac []byte) {
	t.Helper()
	ciphertext = pattern(32)
	clear(ciphertext[16:])
	sum := func(key []byte) (fieldElement, fieldElement) {
		g, err := NewGCMTag(key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		g.Add(ciphertext)
		tag := g.Sum(nil)
		return loadElement(tag[:]), g.h
	}
	t1, h1 := sum(one)
	t2, h2 := sum(two)
	// T1 + X H1^2 = T2 + X H2^2; the inverse of a is a^(2^128-2)
	a := h1.times(h1).plus(h2.times(h2))
	inverse, square := fieldElement{hi: 1 << 63}, a
	for range 127 {
		square = square.times(square)
		inverse = inverse.times(square)
	}
	t1.plus(t2).times(inverse).put(ciphertext[16:])
	t1, _ = sum(one)
	mac = make([]byte, 16)
	t1.put(mac)
	return ciphertext, mac
}

// Structure that is wrong is ErrSyntax, whatever the key.
func TestAuthEnvelopedStructure(t *testing.T) {
	body := func(parts ...[]byte) []byte { return seq(marshalOID(OIDAuthEnvelopedData), tagged(0, seq(parts...))) }
	gcm := algorithm(ciphers[3].oid, seq(octetString(make([]byte, 12)), number(16)))
	ciphertext := appendElement(nil, tagContextPrimitive, make([]byte, 20))
	info := seq(marshalOID(OIDData), gcm, ciphertext)
	mac := octetString(make([]byte, 16))
	for name, test := range map[string]struct {
		object []byte
		want   error
	}{
		"as it should be":     {body(number(0), set(), info, mac), ErrDecrypt},
		"originatorInfo":      {body(number(0), tagged(0, tagged(0, seq())), set(), info, mac), ErrDecrypt},
		"indefinite":          {endless(0x30, marshalOID(OIDAuthEnvelopedData), endless(0xa0, endless(0x30, number(0), set(), info, mac))), ErrDecrypt},
		"blanks behind":       {append(body(number(0), set(), info, mac), "\r\n"...), ErrDecrypt},
		"something behind":    {append(body(number(0), set(), info, mac), "x"...), ErrSyntax},
		"two macs":            {body(number(0), set(), info, mac, mac), ErrSyntax},
		"mac before":          {body(number(0), set(), mac, info), ErrSyntax},
		"attributes behind":   {body(number(0), set(), info, mac, tagged(1, attribute(OIDData, null))), ErrSyntax},
		"no ciphertext":       {body(number(0), set(), seq(marshalOID(OIDData), gcm), mac), ErrSyntax},
		"two ciphertexts":     {body(number(0), set(), seq(marshalOID(OIDData), gcm, ciphertext, ciphertext), mac), ErrSyntax},
		"cut in ciphertext":   {body(number(0), set(), info, mac)[:60], ErrSyntax},
		"cut before the mac":  {bytes.TrimSuffix(body(number(0), set(), info, mac), mac), ErrSyntax},
		"as an EnvelopedData": {seq(marshalOID(OIDEnvelopedData), tagged(0, seq(number(0), set(), info, mac))), ErrSyntax},
	} {
		for _, key := range [][]byte{nil, make([]byte, 16)} {
			again := func() (io.Reader, error) { return bytes.NewReader(test.object), nil }
			a, err := NewReader(bytes.NewReader(test.object)).AuthEnvelopedData()
			if err == nil {
				err = a.Decrypt(key, again, io.Discard)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
	}
}

// A second reading that fails or differs is a fault of ours, not of the object.
func TestSecondReading(t *testing.T) {
	object := authEnveloping{plaintext: make([]byte, 3*decryptSize)}.der(t)
	shorter := authEnveloping{plaintext: make([]byte, 2*decryptSize)}.der(t)
	longer := authEnveloping{plaintext: make([]byte, 4*decryptSize)}.der(t)
	fault := errors.New("input/output error")
	for name, again := range map[string]func() (io.Reader, error){
		"cannot open": func() (io.Reader, error) { return nil, fault },
		"cannot read": func() (io.Reader, error) { return iotest.ErrReader(fault), nil },
		"cannot go on": func() (io.Reader, error) {
			return io.MultiReader(bytes.NewReader(object[:len(object)/2]), iotest.ErrReader(fault)), nil
		},
		"cut":     func() (io.Reader, error) { return bytes.NewReader(object[:len(object)/2]), nil },
		"empty":   func() (io.Reader, error) { return bytes.NewReader(nil), nil },
		"shorter": func() (io.Reader, error) { return bytes.NewReader(shorter), nil },
		"longer":  func() (io.Reader, error) { return bytes.NewReader(longer), nil },
	} {
		for _, key := range []string{"0123456789abcdef0123456789abcdef", "wrong"} {
			a, err := NewReader(bytes.NewReader(object)).AuthEnvelopedData()
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Decrypt([]byte(key), again, io.Discard); !errors.Is(err, ErrReread) || errors.Is(err, ErrDecrypt) {
				t.Errorf("%s: %v", name, err)
			}
			if err := a.Decrypt([]byte(key), again, io.Discard); err != errTaken {
				t.Errorf("%s: a second time: %v", name, err)
			}
		}
	}
}

func TestAuthEnvelopedWriteErrors(t *testing.T) {
	for _, size := range []int{10, 3 * decryptSize} {
		object := authEnveloping{plaintext: make([]byte, size)}.der(t)
		again := func() (io.Reader, error) { return bytes.NewReader(object), nil }
		for n := range size/decryptSize + 1 {
			for _, key := range []string{"0123456789abcdef0123456789abcdef", "wrong"} {
				a, err := NewReader(bytes.NewReader(object)).AuthEnvelopedData()
				if err != nil {
					t.Fatal(err)
				}
				if err := a.Decrypt([]byte(key), again, &full{after: n}); !errors.Is(err, errFull) {
					t.Errorf("%d octets, write %d: %v", size, n, err)
				}
			}
		}
	}
}

// One bit, anywhere behind the recipients: nothing comes out.
func TestFlippedBits(t *testing.T) {
	contentType := attribute(OIDAttrContentType, marshalOID(OIDData))
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, e := range []authEnveloping{{plaintext: content}, {plaintext: content, attrs: [][]byte{contentType}, tagSize: 12}} {
		object := e.der(t)
		behind := bytes.LastIndex(object, marshalOID(OIDData))
		if e.attrs != nil {
			behind = bytes.Index(object, marshalOID(ciphers[5].oid)) - 13
		}
		for i := behind; i < len(object); i++ {
			for bit := range 8 {
				mutant := bytes.Clone(object)
				mutant[i] ^= 1 << bit
				again := func() (io.Reader, error) { return bytes.NewReader(mutant), nil }
				a, err := NewReader(bytes.NewReader(mutant)).AuthEnvelopedData()
				var out bytes.Buffer
				if err == nil {
					err = a.Decrypt(key, again, &out)
				}
				if err == nil || bytes.Contains(out.Bytes(), []byte("fox")) {
					t.Errorf("octet %d, bit %d: %v, %q", i, bit, err, out.Bytes())
				}
			}
		}
	}
}

// Memory does not grow with the content, and every octet of it is read twice.
func TestAuthEnvelopedMemory(t *testing.T) {
	const size = 40 << 20
	head := join([]byte{0x30, 0x80}, marshalOID(OIDAuthEnvelopedData), []byte{0xa0, 0x80, 0x30, 0x80}, number(0), set(),
		[]byte{0x30, 0x80}, marshalOID(OIDData), algorithm(ciphers[3].oid, seq(octetString(make([]byte, 12)), number(16))),
		[]byte{0x80}, appendLength(nil, size))
	tail := join([]byte{0, 0}, octetString(make([]byte, 16)), make([]byte, 6))
	again := func() (io.Reader, error) {
		return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size), bytes.NewReader(tail)), nil
	}
	cheapMemory(t, func() {
		src, _ := again()
		a, err := NewReader(src).AuthEnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Decrypt(make([]byte, 16), again, io.Discard); err != ErrDecrypt || a.Stats().Tagged != size || a.Stats().Ciphertext != size {
			t.Error(err, a.Stats())
		}
	})
}

// RFC 9936 C.1: content-encryption key, parameters, ciphertext and mac as printed, without the recipient.
func TestAuthEnvelopedVector(t *testing.T) {
	info := seq(marshalOID(OIDData),
		algorithm(ciphers[3].oid, seq(octetString(unhex(t, "5ca57468b81bf03b8da7186c")), number(16))),
		appendElement(nil, tagContextPrimitive, unhex(t, "94c8689a99d2c38e192fa6ba08")))
	mac := octetString(unhex(t, "5cf1786c57c7402b54fc93c30a4a4533"))
	object := seq(marshalOID(OIDAuthEnvelopedData), tagged(0, seq(number(0), set(), info, mac)))
	a, err := NewReader(bytes.NewReader(object)).AuthEnvelopedData()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := a.Decrypt(unhex(t, "c5153005588269a0a59f3c01943fdd56"), nil, &out); err != nil || out.String() != "Hello, world!" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
