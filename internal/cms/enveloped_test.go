package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"testing"
	"testing/iotest"
)

// lengths keeps the sizes of writes and throws the octets away.
type lengths struct{ sizes []int }

func (l *lengths) Write(p []byte) (int, error) {
	l.sizes = append(l.sizes, len(p))
	return len(p), nil
}

// THREATS A12, A39: every fault of the inside is one error after the same operations, and none is a panic.
func TestA12Padding(t *testing.T) {
	const size = 3*decryptSize + 160 // octets of ciphertext
	plain := pattern(size - 16)
	last := func(block string) []byte {
		return append(bytes.Clone(plain), (block + string(make([]byte, 16)))[:16]...)
	}
	ends := func(octets ...byte) []byte {
		p := append(bytes.Clone(plain), bytes.Repeat([]byte{'x'}, 16-len(octets))...)
		return append(p, octets...)
	}
	whole := enveloping{padded: pad(plain)}
	object := whole.der(t)
	ciphertext := object[len(object)-size:]
	short := enveloping{ciphertext: appendElement(nil, tagContextPrimitive, append(bytes.Clone(ciphertext), ciphertext[:15]...))}
	var counts []Stats
	var writes []int
	for name, test := range map[string]struct {
		e    enveloping
		key  []byte // in place of the right one
		want int    // octets of plaintext, -1: ErrDecrypt
	}{
		"16":              {whole, nil, size - 16},
		"1":               {enveloping{padded: ends(1)}, nil, size - 1},
		"3":               {enveloping{padded: ends(3, 3, 3)}, nil, size - 3},
		"0":               {enveloping{padded: ends(0)}, nil, -1},
		"17":              {enveloping{padded: ends(bytes.Repeat([]byte{17}, 16)...)}, nil, -1},
		"200":             {enveloping{padded: ends(200)}, nil, -1},
		"255":             {enveloping{padded: ends(bytes.Repeat([]byte{255}, 16)...)}, nil, -1},
		"5, third bad":    {enveloping{padded: ends(5, 5, 4, 5, 5)}, nil, -1},
		"5, a 6 before":   {enveloping{padded: ends(6, 5, 5, 5, 5, 5)}, nil, size - 5},
		"2, bad":          {enveloping{padded: ends(1, 2)}, nil, -1},
		"16, first bad":   {enveloping{padded: last("\x0f" + string(bytes.Repeat([]byte{16}, 15)))}, nil, -1},
		"half a block":    {short, nil, -1},
		"key too short":   {whole, []byte("short"), -1},
		"key too long":    {whole, make([]byte, 32), -1},
		"no key":          {whole, []byte{}, -1},
		"another key":     {whole, []byte("fedcba9876543210"), -1},
		"another key, AA": {whole, bytes.Repeat([]byte{0xaa}, 16), -1},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := NewReader(bytes.NewReader(test.e.der(t))).EnvelopedData()
			if err != nil {
				t.Fatal(err)
			}
			key := test.key
			if key == nil {
				key = []byte("0123456789abcdef")
			}
			var out bytes.Buffer
			var sizes lengths
			err = e.Decrypt(key, io.MultiWriter(&out, &sizes))
			switch {
			case test.want < 0 && err != ErrDecrypt:
				t.Errorf("%v, want ErrDecrypt itself", err)
			case test.want >= 0 && (err != nil || out.Len() != test.want || !bytes.Equal(out.Bytes()[:len(plain)], plain)):
				t.Errorf("%v, %d octets, want %d", err, out.Len(), test.want)
			}
			stats := e.Stats()
			stats.Ciphertext -= stats.Ciphertext % 16
			counts = append(counts, stats)
			writes = append(writes, len(sizes.sizes))
		})
	}
	want := Stats{Ciphertext: size, Blocks: size / 16, Writes: 4, RandomKeys: 1, Paddings: 1}
	for i := range counts {
		if counts[i] != want || writes[i] != 4 {
			t.Errorf("%+v, %d writes; want %+v", counts[i], writes[i], want)
		}
	}
}

func TestA39ShortCiphertext(t *testing.T) {
	for n := range 40 {
		e := enveloping{ciphertext: appendElement(nil, tagContextPrimitive, make([]byte, n))}
		if _, _, err := decrypt(bytes.NewReader(e.der(t)), cert(t, "rsa"), decrypter(t, "rsa")); err != ErrDecrypt {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

// Padding is checked against a plain implementation, for every last octet and a wrong octet in every place.
func TestPaddingLength(t *testing.T) {
	for pad := range 256 {
		for wrong := -1; wrong < 16; wrong++ {
			block := bytes.Repeat([]byte{byte(pad)}, 16)
			if wrong >= 0 && wrong < 15 {
				block[wrong] ^= 1
			}
			n, ok := paddingLength(block)
			want := pad >= 1 && pad <= 16
			if wrong >= 0 && wrong < 15 && wrong >= 16-pad {
				want = false
			}
			if (ok == 1) != want || want && n != pad || !want && n != 0 {
				t.Fatalf("%x: %d %d, want %v", block, n, ok, want)
			}
		}
	}
}

// THREATS A05: ciphers and parameters that are not on the list are refused before anything is decrypted.
func TestA05Ciphers(t *testing.T) {
	des := asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}
	for name, e := range map[string]enveloping{
		"IV of 15 octets": {params: octetString(make([]byte, 15))},
		"IV of 17 octets": {params: octetString(make([]byte, 17))},
		"IV empty":        {params: octetString(nil)},
		"IV of 16384":     {params: octetString(make([]byte, 4000))},
		"no parameters":   {params: []byte{}},
		"NULL":            {params: null},
		"SEQUENCE":        {params: seq(octetString(make([]byte, 16)))},
		"AES-128-OFB":     {oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 3}},
		"AES-128-CFB":     {oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 4}},
		"AES-128-ECB":     {oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 1}},
		"AES-128-GCM":     {oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}},
		"DES":             {oid: des},
	} {
		e.padded = pad(nil)
		d, err := NewReader(bytes.NewReader(e.der(t))).EnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := d.Decrypt(make([]byte, 16), &out); err != ErrAlgorithm || d.KeySize != 0 || out.Len() != 0 {
			t.Errorf("%s: %v, %+v", name, err, d)
		}
		if _, err := d.RecipientInfos[0].ContentKey(decrypter(t, "rsa"), d.KeySize); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: a key for no cipher: %v", name, err)
		}
	}
}

// THREATS A10: what is wrong inside an encrypted key gives a key all the same, a random one, after one operation of
// the private key.
func TestA10ContentKey(t *testing.T) {
	private := decrypter(t, "rsa").(*rsa.PrivateKey)
	k := private.Size()
	key := []byte("0123456789abcdef")
	raw := func(em []byte) []byte {
		m := new(big.Int).SetBytes(em)
		return m.Exp(m, big.NewInt(int64(private.E)), private.N).FillBytes(make([]byte, k))
	}
	em := func(start string, fill byte, end ...byte) []byte {
		p := []byte(start)
		p = append(p, bytes.Repeat([]byte{fill}, k-len(p)-len(end))...)
		return append(p, end...)
	}
	oaep := algorithm(oidRSAESOAEP, seq())
	tests := map[string]struct {
		encrypted []byte
		transport []byte
		good      bool
	}{
		"good":              {raw(em("\x00\x02", 0x55, append([]byte{0}, key...)...)), nil, true},
		"by crypto/rsa":     {encryptKey(t, key), nil, true},
		"block type 1":      {raw(em("\x00\x01", 0x55, append([]byte{0}, key...)...)), nil, false},
		"no 00 in front":    {raw(em("\x01\x02", 0x55, append([]byte{0}, key...)...)), nil, false},
		"no 00 behind":      {raw(em("\x00\x02", 0x55, key...)), nil, false},
		"short padding":     {raw(em("\x00\x02\x55\x55\x00", 0x55, key...)), nil, false},
		"00 in the padding": {raw(em("\x00\x02\x55\x55\x55\x55\x55\x55\x55\x55\x55\x00", 0x55, append([]byte{0}, key...)...)), nil, false},
		"key too short":     {raw(em("\x00\x02", 0x55, append([]byte{0}, key[1:]...)...)), nil, false},
		"key too long":      {raw(em("\x00\x02", 0x55, append([]byte{0, 9}, key...)...)), nil, false},
		"empty key":         {raw(em("\x00\x02", 0x55, 0)), nil, false},
		"zero":              {make([]byte, k), nil, false},
		"empty":             {[]byte{}, nil, false},
		"short":             {[]byte{1, 2, 3}, nil, false},
		"modulus":           {private.N.Bytes(), nil, false},
		"above the modulus": {bytes.Repeat([]byte{0xff}, k), nil, false},
		"long":              {bytes.Repeat([]byte{0x11}, k+1), nil, false},
		"very long":         {bytes.Repeat([]byte{0x11}, 60000), nil, false},
		"zeros in front":    {join([]byte{0, 0}, encryptKey(t, key)), nil, true},
		"OAEP, junk":        {raw(em("\x00\x02", 0x55, append([]byte{0}, key...)...)), oaep, false},
		"OAEP, long":        {bytes.Repeat([]byte{0x11}, k+1), oaep, false},
		"OAEP, short key":   {encryptOAEP(t, key[1:]), oaep, false},
		"OAEP":              {encryptOAEP(t, key), oaep, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ri := firstRecipient(t, enveloping{padded: pad(nil), encrypted: test.encrypted, transport: test.transport})
			counted := &counting{Decrypter: private}
			got, err := ri.ContentKey(counted, len(key))
			if err != nil || len(got) != len(key) || bytes.Equal(got, key) != test.good {
				t.Errorf("%x, %v", got, err)
			}
			if counted.operations != 1 {
				t.Errorf("%d operations of the private key", counted.operations)
			}
			if again, err := ri.ContentKey(private, len(key)); err != nil || bytes.Equal(again, got) != test.good {
				t.Errorf("a second time: %x, %v", again, err)
			}
		})
	}
}

func firstRecipient(t testing.TB, e enveloping) *RecipientInfo {
	t.Helper()
	d, err := NewReader(bytes.NewReader(e.der(t))).EnvelopedData()
	if err != nil {
		t.Fatal(err)
	}
	return &d.RecipientInfos[0]
}

func encryptOAEP(t testing.TB, key []byte) []byte {
	t.Helper()
	out, err := rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, signerKey(t, "rsa").Public().(*rsa.PublicKey), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type counting struct {
	crypto.Decrypter
	operations int
	err        error
}

func (c *counting) Decrypt(r io.Reader, p []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	c.operations++
	if c.err != nil {
		return nil, c.err
	}
	return c.Decrypter.Decrypt(r, p, opts)
}

// A token that does not answer is a fault of ours; one that says the ciphertext is bad is none.
func TestTokenErrors(t *testing.T) {
	ri := firstRecipient(t, enveloping{padded: pad(nil)})
	fault := errors.New("token removed")
	if _, err := ri.ContentKey(&counting{Decrypter: decrypter(t, "rsa"), err: fault}, 16); !errors.Is(err, fault) {
		t.Error(err)
	}
	if key, err := ri.ContentKey(&counting{Decrypter: decrypter(t, "rsa"), err: rsa.ErrDecryption}, 16); err != nil || len(key) != 16 {
		t.Error(err)
	}
}

// RFC 8017 A.2.1: parameters that cannot be read are never taken for PKCS #1 v1.5, and no operation takes place.
func TestTransportParameters(t *testing.T) {
	sha256 := algorithm(digestOID(crypto.SHA256), null)
	mgf := algorithm(oidMGF1, sha256)
	source := algorithm(oidPSpecified, octetString([]byte("label")))
	for name, test := range map[string]struct {
		transport []byte
		ok        bool
	}{
		"v1.5":                {algorithm(oidRSAEncryption, null), true},
		"v1.5, no NULL":       {algorithm(oidRSAEncryption), true},
		"v1.5, junk":          {algorithm(oidRSAEncryption, number(1)), false},
		"OAEP absent":         {algorithm(oidRSAESOAEP), true},
		"OAEP empty":          {algorithm(oidRSAESOAEP, seq()), true},
		"OAEP all":            {algorithm(oidRSAESOAEP, seq(tagged(0, sha256), tagged(1, mgf), tagged(2, source))), true},
		"OAEP hash alone":     {algorithm(oidRSAESOAEP, seq(tagged(0, sha256))), true},
		"OAEP MGF alone":      {algorithm(oidRSAESOAEP, seq(tagged(1, mgf))), true},
		"OAEP order":          {algorithm(oidRSAESOAEP, seq(tagged(1, mgf), tagged(0, sha256))), false},
		"OAEP unknown hash":   {algorithm(oidRSAESOAEP, seq(tagged(0, algorithm(OIDData)))), false},
		"OAEP MD5":            {algorithm(oidRSAESOAEP, seq(tagged(0, algorithm(refused[0].oid, null)))), false},
		"OAEP unknown MGF":    {algorithm(oidRSAESOAEP, seq(tagged(1, algorithm(OIDData, sha256)))), false},
		"OAEP MGF, no hash":   {algorithm(oidRSAESOAEP, seq(tagged(1, algorithm(oidMGF1)))), false},
		"OAEP unknown source": {algorithm(oidRSAESOAEP, seq(tagged(2, algorithm(OIDData, octetString(nil))))), false},
		"OAEP source NULL":    {algorithm(oidRSAESOAEP, seq(tagged(2, algorithm(oidPSpecified, null)))), false},
		"OAEP more":           {algorithm(oidRSAESOAEP, seq(tagged(3, sha256))), false},
		"OAEP not a SEQUENCE": {algorithm(oidRSAESOAEP, octetString(nil)), false},
		"OAEP two in [0]":     {algorithm(oidRSAESOAEP, seq(tagged(0, sha256, sha256))), false},
		"another":             {algorithm(OIDData), false},
	} {
		t.Run(name, func(t *testing.T) {
			ri := firstRecipient(t, enveloping{padded: pad(nil), transport: test.transport})
			counted := &counting{Decrypter: decrypter(t, "rsa")}
			_, err := ri.ContentKey(counted, 16)
			if test.ok != (err == nil) || err != nil && !errors.Is(err, ErrAlgorithm) || (counted.operations == 1) != test.ok {
				t.Errorf("%v, %d operations", err, counted.operations)
			}
		})
	}
	ri := firstRecipient(t, enveloping{padded: pad(nil)})
	if _, err := ri.ContentKey(notRSA{}, 16); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
}

type notRSA struct{ crypto.Decrypter }

func (notRSA) Public() crypto.PublicKey { return nil }

// One RecipientInfo that cannot be read does not hide the others, and none hides itself.
func TestRecipientInfos(t *testing.T) {
	good := seq(number(0), identifier(t, cert(t, "rsa")), algorithm(oidRSAEncryption, null), octetString(encryptKey(t, []byte("0123456789abcdef"))))
	for name, test := range map[string]struct {
		recipients []byte
		kinds      []RecipientKind
		err        error
	}{
		"one":             {good, []RecipientKind{KeyTrans}, nil},
		"none":            {[]byte{}, nil, nil},
		"unreadable":      {join(seq(number(0)), good, seq()), []RecipientKind{Other, KeyTrans, Other}, nil},
		"every kind":      {join(agreeing{}.der(t), tagged(2), tagged(3), tagged(4, marshalOID(OIDData)), tagged(5), octetString(nil), good), []RecipientKind{KeyAgree, KEK, Password, Other, Other, Other, KeyTrans}, nil},
		"in BER":          {endless(0x30, good[4:]), []RecipientKind{KeyTrans}, nil},
		"10000":           {bytes.Repeat(seq(), 10000), make([]RecipientKind, 10000), nil},
		"10001":           {bytes.Repeat(seq(), 10001), nil, ErrSyntax},
		"more than 8 MiB": {bytes.Repeat(octetString(make([]byte, 1<<20)), 9), nil, ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := NewReader(bytes.NewReader(enveloping{padded: pad(content), recipients: test.recipients}.der(t))).EnvelopedData()
			if !errors.Is(err, test.err) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if len(e.RecipientInfos) != len(test.kinds) {
				t.Fatalf("%d recipients", len(e.RecipientInfos))
			}
			for i, ri := range e.RecipientInfos {
				if ri.Kind != test.kinds[i] {
					t.Errorf("%d: kind %v", i, ri.Kind)
				}
				if ri.Kind != KeyTrans {
					continue
				}
				again, err := ParseRecipientInfo(ri.DER)
				if err != nil || !again.IsFor(cert(t, "rsa")) || again.IsFor(cert(t, "other")) {
					t.Errorf("%d: %v", i, err)
				}
				key, err := again.ContentKey(decrypter(t, "rsa"), e.KeySize)
				if err != nil || string(key) != "0123456789abcdef" {
					t.Errorf("%d: %q %v", i, key, err)
				}
			}
		})
	}
	for _, der := range [][]byte{nil, {}, {0x30}, {0x30, 0x80}, seq(), number(1)} {
		if _, err := ParseRecipientInfo(der); !errors.Is(err, ErrSyntax) {
			t.Errorf("%x: %v", der, err)
		}
	}
}

// Structure around the ciphertext that is wrong is ErrSyntax, whatever the key.
func TestEnvelopedStructure(t *testing.T) {
	body := func(parts ...[]byte) []byte { return seq(marshalOID(OIDEnvelopedData), tagged(0, seq(parts...))) }
	aes := algorithm(oidAES128, octetString(make([]byte, 16)))
	cipher := appendElement(nil, tagContextPrimitive, make([]byte, 32))
	info := seq(marshalOID(OIDData), aes, cipher)
	for name, test := range map[string]struct {
		object []byte
		want   error
	}{
		"as it should be":    {body(number(0), set(), info), ErrDecrypt},
		"originatorInfo":     {body(number(2), tagged(0, tagged(0, seq())), set(), info), ErrDecrypt},
		"unprotectedAttrs":   {body(number(2), set(), info, tagged(1, attribute(OIDData, null))), ErrDecrypt},
		"something else":     {body(number(2), set(), info, tagged(2)), ErrSyntax},
		"no ciphertext":      {body(number(0), set(), seq(marshalOID(OIDData), aes)), ErrSyntax},
		"two ciphertexts":    {body(number(0), set(), seq(marshalOID(OIDData), aes, cipher, cipher)), ErrSyntax},
		"no version":         {body(set(), info), ErrSyntax},
		"no recipientInfos":  {body(number(0), info), ErrSyntax},
		"SEQUENCE for SET":   {body(number(0), seq(), info), ErrSyntax},
		"two contents":       {seq(marshalOID(OIDEnvelopedData), tagged(0, seq(number(0), set(), info)), tagged(0)), ErrSyntax},
		"two inside content": {seq(marshalOID(OIDEnvelopedData), tagged(0, seq(number(0), set(), info), null)), ErrSyntax},
		"no content":         {seq(marshalOID(OIDEnvelopedData)), ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range [][]byte{nil, make([]byte, 16)} {
				e, err := NewReader(bytes.NewReader(test.object)).EnvelopedData()
				if err == nil {
					err = e.Decrypt(key, io.Discard)
				}
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
			}
		})
	}
}

// Faults of the writer are ours, at whichever write.
func TestWriteErrors(t *testing.T) {
	object := enveloping{padded: pad(make([]byte, 3*decryptSize))}.der(t)
	for n := range 4 {
		e, err := NewReader(bytes.NewReader(object)).EnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Decrypt(make([]byte, 16), &full{after: n}); !errors.Is(err, errFull) {
			t.Errorf("write %d: %v", n, err)
		}
	}
}

var errFull = errors.New("no space left on device")

type full struct{ after int }

func (f *full) Write(p []byte) (int, error) {
	if f.after == 0 {
		return 0, errFull
	}
	f.after--
	return len(p), nil
}

// Whichever octet changes: no panic, and no error but those documented.
func TestMutatedEnvelopedData(t *testing.T) {
	key := []byte("0123456789abcdef")
	object := enveloping{padded: pad(content)}.der(t)
	for i := range object {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			mutant := bytes.Clone(object)
			mutant[i] ^= flip
			for _, m := range [][]byte{mutant, join(object[:i], object[i+1:]), join(object[:i], []byte{flip}, object[i:])} {
				e, err := NewReader(iotest.HalfReader(bytes.NewReader(m))).EnvelopedData()
				if err == nil {
					err = e.Decrypt(key, io.Discard)
				}
				if err != nil && !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrAlgorithm) && err != ErrDecrypt {
					t.Fatalf("octet %d ^ %#02x: %v", i, flip, err)
				}
			}
		}
	}
}

// Memory does not grow with the content.
func TestConstantMemory(t *testing.T) {
	const size = 200 << 20
	head := join([]byte{0x30, 0x80}, marshalOID(OIDEnvelopedData), []byte{0xa0, 0x80, 0x30, 0x80}, number(0), set(),
		[]byte{0x30, 0x80}, marshalOID(OIDData), algorithm(oidAES128, octetString(make([]byte, 16))), []byte{0x80}, appendLength(nil, size))
	cheapMemory(t, func() {
		src := io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size/10))
		e, err := NewReader(src).EnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Decrypt(make([]byte, 16), io.Discard); !errors.Is(err, ErrSyntax) || e.Stats().Blocks != size/10/16/2048*2048 {
			t.Error(err, e.Stats())
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// THREATS A10, A12 together: a fault of the encrypted key, of its length, of the padding, or none: one operation of
// the private key, then the same over the whole ciphertext.
func TestA10WholePath(t *testing.T) {
	private := decrypter(t, "rsa").(*rsa.PrivateKey)
	plain := pattern(2*decryptSize + 1600)
	bad := append(bytes.Clone(plain), bytes.Repeat([]byte{17}, 16)...)
	flipped := encryptKey(t, []byte("0123456789abcdef"))
	flipped[100] ^= 1
	want := Stats{Ciphertext: int64(len(bad)), Blocks: int64(len(bad) / 16), Writes: 3, RandomKeys: 1, Paddings: 1}
	for name, test := range map[string]struct {
		e   enveloping
		err error
	}{
		"good":              {enveloping{padded: pad(plain)}, nil},
		"RSA padding":       {enveloping{padded: pad(plain), encrypted: flipped}, ErrDecrypt},
		"RSA length":        {enveloping{padded: pad(plain), encrypted: []byte{1}}, ErrDecrypt},
		"key length":        {enveloping{padded: pad(plain), encrypted: encryptKey(t, make([]byte, 32))}, ErrDecrypt},
		"CBC padding":       {enveloping{padded: bad}, ErrDecrypt},
		"OAEP padding":      {enveloping{padded: pad(plain), transport: algorithm(oidRSAESOAEP), encrypted: flipped}, ErrDecrypt},
		"OAEP, key length":  {enveloping{padded: pad(plain), transport: algorithm(oidRSAESOAEP), encrypted: encryptOAEP(t, nil)}, ErrDecrypt},
		"OAEP, good":        {enveloping{padded: pad(plain), transport: algorithm(oidRSAESOAEP), encrypted: encryptOAEP(t, []byte("0123456789abcdef"))}, nil},
		"OAEP, CBC padding": {enveloping{padded: bad, transport: algorithm(oidRSAESOAEP), encrypted: encryptOAEP(t, []byte("0123456789abcdef"))}, ErrDecrypt},
	} {
		counted := &counting{Decrypter: private}
		got, e, err := decrypt(bytes.NewReader(test.e.der(t)), cert(t, "rsa"), counted)
		// A random key leaves good padding behind once in 256 times; then what comes out is not the content.
		if err != test.err && (err != nil || bytes.HasPrefix(got, plain[:16])) {
			t.Errorf("%s: %v, want %v", name, err, test.err)
		}
		if e.Stats() != want || counted.operations != 1 {
			t.Errorf("%s: %+v and %d operations of the key, want %+v", name, e.Stats(), counted.operations, want)
		}
	}
}
