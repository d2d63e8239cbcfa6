package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
)

// An agreeing is a KeyAgreeRecipientInfo, for the test's P-256 key when nothing else is said.
type agreeing struct {
	to         string // name of the recipient
	others     []byte // RecipientEncryptedKeys before his
	curve      ecdh.Curve
	key        []byte // content-encryption key, default 16 octets
	scheme     asn1.ObjectIdentifier
	keyInfo    []byte // AlgorithmIdentifier of the wrap
	kek        []byte // in place of the derived one
	originator []byte // content of [0]
	algorithm  []byte // of the ephemeral key
	point      []byte // of the ephemeral key
	ukm        []byte
	rid        []byte
	encrypted  []byte
}

var (
	oidStdSHA256 = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}
	oidX25519    = asn1.ObjectIdentifier{1, 3, 101, 110}
	oidX448      = asn1.ObjectIdentifier{1, 3, 101, 111}
	oidHKDF256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 19}
	oidWrap128   = keyWraps[0].oid
)

// recipientKey is RecipientEncryptedKey.
func recipientKey(rid, encrypted []byte) []byte { return seq(rid, octetString(encrypted)) }

func (a agreeing) der(t testing.TB) []byte {
	t.Helper()
	if a.to == "" {
		a.to = "p256"
	}
	recipient, ok := private(t, a.to).(ecdh.KeyExchanger)
	if !ok {
		recipient = private(t, "x25519").(ecdh.KeyExchanger) // for X448 the test gives all that rests on the key
	}
	x25519 := recipient.Curve() == ecdh.X25519()
	if a.curve == nil {
		a.curve = recipient.Curve()
	}
	ephemeral, err := a.curve.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.scheme == nil {
		a.scheme = oidStdSHA256
		if x25519 {
			a.scheme = oidHKDF256
		}
	}
	if a.algorithm == nil {
		a.algorithm = algorithm(oidECPublicKey)
		if x25519 {
			a.algorithm = algorithm(oidX25519)
		}
	}
	if a.keyInfo == nil {
		a.keyInfo = algorithm(oidWrap128)
	}
	if a.point == nil {
		a.point = ephemeral.PublicKey().Bytes()
	}
	if a.originator == nil {
		a.originator = tagged(1, a.algorithm, appendElement(nil, 3, []byte{0}, a.point))
	}
	if a.key == nil {
		a.key = []byte("0123456789abcdef")
	}
	if a.encrypted == nil {
		if a.kek == nil && a.curve == recipient.Curve() {
			secret, err := ephemeral.ECDH(recipient.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			info := sharedInfo(readInfo(t, a.keyInfo), a.ukm, 16)
			if a.kek = deriveX963(crypto.SHA256, secret, info, 16); x25519 {
				if a.kek, err = deriveHKDF(crypto.SHA256, secret, a.ukm, info, 16); err != nil {
					t.Fatal(err)
				}
			}
		}
		if a.kek == nil {
			a.kek = make([]byte, 16)
		}
		a.encrypted = wrapKey(t, a.kek, a.key, false)
	}
	if a.rid == nil {
		a.rid = identifier(t, cert(t, a.to))
	}
	var ukm []byte
	if a.ukm != nil {
		ukm = tagged(1, octetString(a.ukm))
	}
	return tagged(1, number(3), tagged(0, a.originator), ukm, algorithm(a.scheme, a.keyInfo), seq(a.others, recipientKey(a.rid, a.encrypted)))
}

func readInfo(t testing.TB, der []byte) AlgorithmIdentifier {
	t.Helper()
	var a struct {
		OID    asn1.ObjectIdentifier
		Params asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &a); err != nil {
		t.Fatal(err)
	}
	return AlgorithmIdentifier{a.OID, a.Params.FullBytes}
}

// exchanger counts the uses of a key.
type exchanger struct {
	ecdh.KeyExchanger
	operations int
	err        error
}

func (e *exchanger) ECDH(peer *ecdh.PublicKey) ([]byte, error) {
	e.operations++
	if e.err != nil {
		return nil, e.err
	}
	return e.KeyExchanger.ECDH(peer)
}

// Whatever OpenSSL makes for an elliptic-curve key: every curve, KDF and wrap, both schemes, both names.
func TestKeyAgreeByOpenSSL(t *testing.T) {
	needOpenSSL(t)
	content := testdata(t, "content.txt")
	for i, name := range []string{"p256", "p384", "p521"} {
		for j, md := range []string{"", "sha1", "sha224", "sha256", "sha384", "sha512"} {
			args := []string{"cms", "-encrypt", "-binary", "-outform", "DER"}
			args = append(args, []string{"-aes128", "-aes192", "-aes256"}[(i+j)%3])
			args = append(args, [][]string{nil, {"-aes128-wrap"}, {"-aes192-wrap"}, {"-aes256-wrap"}}[(2*i+j)%4]...)
			if j%2 == 1 {
				args = append(args, "-keyid")
			}
			args = append(args, "-recip", name+".crt")
			if md != "" {
				args = append(args, "-keyopt", "ecdh_kdf_md:"+md)
			}
			if (i+j)%2 == 0 {
				args = append(args, "-keyopt", "ecdh_cofactor_mode:1")
			}
			t.Run(strings.Join(args[5:], " "), func(t *testing.T) {
				object := openssl(t, content, args...)
				got, e, err := decrypt(bytes.NewReader(object), cert(t, name), private(t, name))
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%v, %q", err, got)
				}
				if len(e.RecipientInfos) != 1 || e.RecipientInfos[0].Kind != KeyAgree || e.RecipientInfos[0].IsFor(cert(t, "rsa")) {
					t.Errorf("%+v", e.RecipientInfos)
				}
			})
		}
	}
	for _, args := range [][]string{{"p256.crt", "rsa.crt", "p384.crt"}, {"-recip", "p256.crt", "-recip", "rsa.crt", "-recip", "p384.crt"}} {
		object := openssl(t, content, append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", "-stream"}, args...)...)
		for _, name := range []string{"p256", "rsa", "p384"} {
			if got, _, err := decrypt(bytes.NewReader(object), cert(t, name), private(t, name)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s of %q: %v", name, args, err)
			}
		}
	}
	object := openssl(t, content, "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "p521.crt")
	if got, _, err := authDecrypt(object, readers["whole"], private(t, "p521")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("AES-GCM: %v", err)
	}
}

// The key-encryption key is the one that OpenSSL's Diffie-Hellman and KDF give for an info written down by hand.
func TestKeyAgreementByOpenSSL(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	for i, test := range []struct {
		name   string
		scheme []int
		kdf    []string
		info   string // ECC-CMS-SharedInfo
		ukm    string
		null   bool
	}{
		{"x25519", []int{1, 2, 840, 113549, 1, 9, 16, 3, 19}, []string{"HKDF", "SHA256"},
			"3015" + "300b0609608648016503040105" + "a2060404" + "00000080", "", false},
		{"x25519", []int{1, 2, 840, 113549, 1, 9, 16, 3, 20}, []string{"HKDF", "SHA384"},
			"301d" + "300b0609608648016503040105" + "a0060404" + "756b6d21" + "a2060404" + "00000080", "756b6d21", false},
		{"x25519", []int{1, 2, 840, 113549, 1, 9, 16, 3, 21}, []string{"HKDF", "SHA512"},
			"3017" + "300d06096086480165030401050500" + "a2060404" + "00000080", "", true},
		{"x448", []int{1, 2, 840, 113549, 1, 9, 16, 3, 21}, []string{"HKDF", "SHA512"},
			"301d" + "300b0609608648016503040105" + "a0060404" + "756b6d21" + "a2060404" + "00000080", "756b6d21", false},
		{"p256", []int{1, 3, 132, 1, 11, 1}, []string{"X963KDF", "SHA256"},
			"301d" + "300b0609608648016503040105" + "a0060404" + "756b6d21" + "a2060404" + "00000080", "756b6d21", false},
		{"p521", []int{1, 3, 132, 1, 14, 3}, []string{"X963KDF", "SHA512"},
			"3017" + "300d06096086480165030401050500" + "a2060404" + "00000080", "", true},
	} {
		ephemeral := fmt.Sprintf("%s/%d.key", dir, i)
		genpkey := []string{"genpkey", "-out", ephemeral, "-algorithm", strings.ToUpper(test.name)}
		if test.name[0] == 'p' {
			genpkey = []string{"genpkey", "-out", ephemeral, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-" + test.name[1:]}
		}
		openssl(t, nil, genpkey...)
		openssl(t, nil, "x509", "-in", test.name+".crt", "-pubkey", "-noout", "-out", ephemeral+".peer")
		secret := openssl(t, nil, "pkeyutl", "-derive", "-inkey", ephemeral, "-peerkey", ephemeral+".peer")
		kdf := []string{"kdf", "-keylen", "16", "-binary", "-kdfopt", "digest:" + test.kdf[1]}
		if test.kdf[0] == "HKDF" {
			kdf = append(kdf, "-kdfopt", "hexkey:"+hex.EncodeToString(secret), "-kdfopt", "hexinfo:"+test.info)
			if test.ukm != "" {
				kdf = append(kdf, "-kdfopt", "hexsalt:"+test.ukm) // RFC 8418 2.2
			}
		} else {
			kdf = append(kdf, "-kdfopt", "hexsecret:"+hex.EncodeToString(secret), "-kdfopt", "hexinfo:"+test.info)
		}
		kek := openssl(t, nil, append(kdf, test.kdf[0])...)
		spki := openssl(t, nil, "pkey", "-in", ephemeral, "-pubout", "-outform", "DER")
		length := map[string]int{"x25519": 32, "x448": 56, "p256": 65, "p521": 133}[test.name]
		a := agreeing{to: test.name, scheme: test.scheme, kek: kek, point: spki[len(spki)-length:], keyInfo: algorithm(oidWrap128)}
		if test.ukm != "" {
			a.ukm = unhex(t, test.ukm)
		}
		if test.name == "x448" {
			a.algorithm = algorithm(oidX448)
		}
		if test.null {
			a.keyInfo = algorithm(oidWrap128, null)
		}
		ri, err := ParseRecipientInfo(a.der(t))
		if err != nil {
			t.Fatal(err)
		}
		key, err := ri.ContentKey(private(t, test.name), 16)
		if err != nil || string(key) != "0123456789abcdef" {
			t.Errorf("%s %v: %x, %v", test.name, test.scheme, key, err)
		}
	}
}

// The first vectors of NIST's component test for ANSI X9.63-2001, and SEC 1: more than one block.
func TestX963(t *testing.T) {
	z := unhex(t, "1c7d7b5f0597b03d06a018466ed1a93e30ed4b04dc64ccdd")
	if got := hex.EncodeToString(deriveX963(crypto.SHA1, z, nil, 16)); got != "bf71dffd8f4d99223936beb46fee8ccc" {
		t.Error(got)
	}
	if long := deriveX963(crypto.SHA1, z, nil, 50); len(long) != 50 || !bytes.HasPrefix(long, unhex(t, "bf71dffd8f4d99223936beb46fee8ccc")) {
		t.Errorf("%x", long)
	}
}

// Every failure inside a KeyAgreeRecipientInfo takes the same operations as a good one and gives a key (THREATS A10,
// A35); what can be seen without a key may be ErrAlgorithm, before the key is used.
func TestA35KeyAgree(t *testing.T) {
	const good, random, refused = 0, 1, 2
	off := append([]byte{4}, bytes.Repeat([]byte{5}, 64)...)
	order8, err := hex.DecodeString("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
	if err != nil {
		t.Fatal(err)
	}
	compressed := append([]byte{2}, private(t, "p256").(ecdh.KeyExchanger).PublicKey().Bytes()[1:33]...)
	damaged := func(a agreeing) agreeing {
		ri, err := ParseRecipientInfo(a.der(t))
		if err != nil {
			t.Fatal(err)
		}
		a.encrypted = bytes.Clone(ri.Recipients[0].EncryptedKey)
		a.encrypted[11] ^= 1
		return a
	}
	key24 := bytes.Repeat([]byte{3}, 24)
	for name, test := range map[string]struct {
		a    agreeing
		want int
	}{
		"good":                   {agreeing{}, good},
		"good, ukm":              {agreeing{ukm: []byte("x")}, good},
		"good, empty ukm":        {agreeing{ukm: []byte{}}, good},
		"good, NULL in the wrap": {agreeing{keyInfo: algorithm(oidWrap128, null)}, good},
		"good, NULL in the key":  {agreeing{algorithm: algorithm(oidECPublicKey, null)}, good},
		"good, curve in the key": {agreeing{algorithm: algorithm(oidECPublicKey, marshalOID(oidP256))}, good},
		"good, P-521":            {agreeing{to: "p521"}, good},
		"good, X25519":           {agreeing{to: "x25519"}, good},
		"good, X25519 and ukm":   {agreeing{to: "x25519", ukm: []byte("salt")}, good},
		"another key":            {agreeing{kek: make([]byte, 16)}, random},
		"bit changed":            {damaged(agreeing{}), random},
		"X25519, bit changed":    {damaged(agreeing{to: "x25519"}), random},
		"content key of 24":      {agreeing{key: key24}, random},
		"content key of 32":      {agreeing{key: make([]byte, 32)}, random},
		"nothing":                {agreeing{encrypted: []byte{}}, random},
		"one octet":              {agreeing{encrypted: []byte{1}}, random},
		"25 octets":              {agreeing{encrypted: make([]byte, 25)}, random},
		"60000 octets":           {agreeing{encrypted: make([]byte, 60000)}, random},
		"point off the curve":    {agreeing{point: off}, random},
		"point at infinity":      {agreeing{point: []byte{0}}, random},
		"point empty":            {agreeing{point: []byte{}}, random},
		"point compressed":       {agreeing{point: compressed}, random},
		"point hybrid":           {agreeing{point: append([]byte{6}, off[1:]...)}, random},
		"point zero":             {agreeing{point: append([]byte{4}, make([]byte, 64)...)}, random},
		"point above the field":  {agreeing{point: append([]byte{4}, bytes.Repeat([]byte{255}, 64)...)}, random},
		"point too long":         {agreeing{point: make([]byte, 60000)}, random},
		"point of P-384":         {agreeing{curve: ecdh.P384()}, random},
		"point of X25519":        {agreeing{curve: ecdh.X25519()}, random},
		"X25519, zero":           {agreeing{to: "x25519", point: make([]byte, 32)}, random},
		"X25519, one":            {agreeing{to: "x25519", point: append([]byte{1}, make([]byte, 31)...)}, random},
		"X25519, order 8":        {agreeing{to: "x25519", point: order8}, random},
		"X25519, 31 octets":      {agreeing{to: "x25519", point: make([]byte, 31)}, random},
		"X25519, point of P-256": {agreeing{to: "x25519", curve: ecdh.P256()}, random},
		"wrong curve in the key": {agreeing{algorithm: algorithm(oidECPublicKey, marshalOID(oidP384))}, refused},
		"explicit curve":         {agreeing{algorithm: algorithm(oidECPublicKey, seq(number(1)))}, refused},
		"RSA in the key":         {agreeing{algorithm: algorithm(oidRSAEncryption, null)}, refused},
		"X25519 with parameters": {agreeing{to: "x25519", algorithm: algorithm(oidX25519, marshalOID(oidP256))}, refused},
		"X25519 as EC":           {agreeing{to: "x25519", algorithm: algorithm(oidECPublicKey)}, refused},
		"X25519 with X9.63":      {agreeing{to: "x25519", scheme: oidStdSHA256}, refused},
		"P-256 with HKDF":        {agreeing{scheme: oidHKDF256}, refused},
		"static, by issuer":      {agreeing{originator: identifier(t, cert(t, "p384"))}, refused},
		"static, by key":         {agreeing{originator: appendElement(nil, tagContextPrimitive, []byte{1, 2, 3})}, refused},
		"unknown scheme":         {agreeing{scheme: OIDData}, refused},
		"ECMQV":                  {agreeing{scheme: asn1.ObjectIdentifier{1, 3, 132, 1, 15, 1}}, refused},
		"3DES wrap":              {agreeing{keyInfo: algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 6}, null)}, refused},
		"wrap with parameters":   {agreeing{keyInfo: algorithm(oidWrap128, number(1))}, refused},
		"wrap is no algorithm":   {agreeing{keyInfo: null, kek: make([]byte, 16)}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			ri, err := ParseRecipientInfo(test.a.der(t))
			if err != nil {
				t.Fatal(err)
			}
			to := test.a.to
			if to == "" {
				to = "p256"
			}
			counted := &exchanger{KeyExchanger: private(t, to).(ecdh.KeyExchanger)}
			key, err := ri.ContentKey(counted, 16)
			if test.want == refused {
				if !errors.Is(err, ErrAlgorithm) || counted.operations != 0 {
					t.Errorf("%v, %d operations", err, counted.operations)
				}
				return
			}
			if err != nil || len(key) != 16 || (string(key) == "0123456789abcdef") != (test.want == good) {
				t.Errorf("%x, %v", key, err)
			}
			if want := (work{operations: 1, derivations: 1, blocks: 12, randomKeys: 1}); ri.work != want || counted.operations != 1 {
				t.Errorf("%+v, want %+v", ri.work, want)
			}
			if again, err := ri.ContentKey(counted, 16); err != nil || bytes.Equal(again, key) != (test.want == good) {
				t.Errorf("again %x, %v", again, err)
			}
		})
	}
}

// countedX448 counts the uses of a key.
type countedX448 struct {
	X448Key
	operations int
	err        error
}

func (c *countedX448) X448(point []byte) ([]byte, bool, error) {
	c.operations++
	if c.err != nil {
		return nil, false, c.err
	}
	return c.X448Key.X448(point)
}

// TestA35KeyAgree for X448.
func TestA35X448(t *testing.T) {
	ephemeral := x448Private(pattern(56))
	var public, recipient x448.Key
	x448.KeyGen(&public, (*x448.Key)(&ephemeral))
	key := private(t, "x448").(x448Private)
	x448.KeyGen(&recipient, (*x448.Key)(&key))
	secret, ok, err := ephemeral.X448(recipient[:])
	if !ok || err != nil {
		t.Fatal(err)
	}
	kek, err := deriveHKDF(crypto.SHA256, secret, nil, sharedInfo(AlgorithmIdentifier{Algorithm: oidWrap128}, nil, 16), 16)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		point, kek []byte
		good       bool
	}{
		"good":        {public[:], kek, true},
		"another key": {public[:], make([]byte, 16), false},
		"zero":        {make([]byte, 56), kek, false},
		"one":         {append([]byte{1}, make([]byte, 55)...), kek, false},
		"55 octets":   {public[:55], kek, false},
		"57 octets":   {append(public[:], 0), kek, false},
		"empty":       {[]byte{}, kek, false},
	} {
		a := agreeing{to: "x448", algorithm: algorithm(oidX448), point: test.point, kek: test.kek, scheme: oidHKDF256}
		ri, err := ParseRecipientInfo(a.der(t))
		if err != nil {
			t.Fatal(err)
		}
		counted := &countedX448{X448Key: key}
		got, err := ri.ContentKey(counted, 16)
		if err != nil || (string(got) == "0123456789abcdef") != test.good || len(got) != 16 {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		if want := (work{operations: 1, derivations: 1, blocks: 12, randomKeys: 1}); ri.work != want || counted.operations != 1 {
			t.Errorf("%s: %+v", name, ri.work)
		}
		fault := errors.New("token removed")
		if _, err := ri.ContentKey(&countedX448{err: fault}, 16); !errors.Is(err, fault) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ri.ContentKey(private(t, "x25519"), 16); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ri, err := ParseRecipientInfo(agreeing{to: "x25519"}.der(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ri.ContentKey(key, 16); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
}

// A fault of the key is no fault of the message.
func TestKeyAgreeFaults(t *testing.T) {
	ri, err := ParseRecipientInfo(agreeing{}.der(t))
	if err != nil {
		t.Fatal(err)
	}
	fault := errors.New("token removed")
	if _, err := ri.ContentKey(&exchanger{KeyExchanger: private(t, "p256").(ecdh.KeyExchanger), err: fault}, 16); !errors.Is(err, fault) {
		t.Error(err)
	}
	for _, key := range []crypto.PrivateKey{nil, decrypter(t, "rsa"), struct{}{}} {
		if _, err := ri.ContentKey(key, 16); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%T: %v", key, err)
		}
	}
	if _, err := firstRecipient(t, enveloping{padded: pad(nil)}).ContentKey(private(t, "p256"), 16); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
}

// Ours is found among several RecipientEncryptedKeys, by each of its names.
func TestRecipientEncryptedKeys(t *testing.T) {
	parsed, ok := parseCertificate(cert(t, "p256"))
	if !ok {
		t.Fatal("certificate")
	}
	other := recipientKey(identifier(t, cert(t, "p384")), []byte("other"))
	date := append([]byte{0x18, 15}, "20260101000000Z"...)
	rKeyID := func(more ...[]byte) []byte {
		return tagged(0, append([][]byte{octetString(parsed.keyID())}, more...)...)
	}
	for name, a := range map[string]agreeing{
		"first":                {},
		"third":                {others: join(other, other)},
		"rKeyId":               {rid: rKeyID(), others: other},
		"rKeyId with date":     {rid: rKeyID(date)},
		"rKeyId with all":      {rid: rKeyID(date, seq(marshalOID(OIDData)))},
		"beside an unknown id": {others: recipientKey(tagged(0, octetString(nil)), nil)},
	} {
		ri, err := ParseRecipientInfo(a.der(t))
		if err != nil {
			t.Fatal(name, err)
		}
		if !ri.IsFor(cert(t, "p256")) || ri.IsFor(cert(t, "rsa")) || ri.IsFor(cert(t, "p384")) == (len(a.others) < 20) {
			t.Errorf("%s: %+v", name, ri.Recipients)
		}
		if key, err := only(ri, cert(t, "p256")).ContentKey(private(t, "p256"), 16); err != nil || string(key) != "0123456789abcdef" {
			t.Errorf("%s: %q, %v", name, key, err)
		}
		if len(ri.Recipients) > 1 {
			if _, err := ri.ContentKey(private(t, "p256"), 16); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s: several at once: %v", name, err)
			}
		}
	}
}

// What is no KeyAgreeRecipientInfo names nobody.
func TestKeyAgreeStructure(t *testing.T) {
	whole := agreeing{ukm: []byte("x")}.der(t)
	for n := range len(whole) {
		if _, err := ParseRecipientInfo(whole[:n]); !errors.Is(err, ErrSyntax) {
			t.Errorf("%d octets of %d: %v", n, len(whole), err)
		}
	}
	rid := identifier(t, cert(t, "p256"))
	for name, der := range map[string][]byte{
		"more behind":         append(bytes.Clone(whole), 0),
		"no originator":       tagged(1, number(3), algorithm(oidStdSHA256), seq()),
		"empty originator":    tagged(1, number(3), tagged(0), algorithm(oidStdSHA256), seq()),
		"two originators":     tagged(1, number(3), tagged(0, rid, rid), algorithm(oidStdSHA256), seq()),
		"no keys":             tagged(1, number(3), tagged(0, rid), algorithm(oidStdSHA256)),
		"key is a name":       tagged(1, number(3), tagged(0, rid), algorithm(oidStdSHA256), seq(rid)),
		"SKI as in KTRI":      agreeing{rid: appendElement(nil, tagContextPrimitive, []byte{1, 2, 3})}.der(t),
		"point is no string":  agreeing{originator: tagged(1, algorithm(oidECPublicKey), octetString([]byte{4}))}.der(t),
		"point with odd bits": agreeing{originator: tagged(1, algorithm(oidECPublicKey), []byte{3, 2, 1, 4})}.der(t),
		"ukm is no string":    tagged(1, number(3), tagged(0, rid), tagged(1, number(1)), algorithm(oidStdSHA256), seq()),
		"10001 recipients":    agreeing{others: bytes.Repeat(recipientKey(tagged(0, octetString(nil)), nil), 10000)}.der(t),
	} {
		if _, err := ParseRecipientInfo(der); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Recipients are counted over all RecipientInfos.
func TestRecipientLimit(t *testing.T) {
	many := agreeing{others: bytes.Repeat(recipientKey(tagged(0, octetString(nil)), nil), 4999)}.der(t)
	for n, want := range map[int]error{2: nil, 3: ErrSyntax} {
		_, err := NewReader(bytes.NewReader(enveloping{padded: pad(nil), recipients: bytes.Repeat(many, n)}.der(t))).EnvelopedData()
		if !errors.Is(err, want) {
			t.Errorf("%d times 5000: %v", n, err)
		}
	}
}

// FuzzRecipientInfo: no RecipientInfo makes more of a key than one use, and each gives a key or an error that is seen
// without one.
func FuzzRecipientInfo(f *testing.F) {
	f.Add(agreeing{}.der(f))
	f.Add(agreeing{to: "x25519", ukm: []byte("ukm")}.der(f))
	f.Add(agreeing{algorithm: algorithm(oidECPublicKey, marshalOID(oidP256)), keyInfo: algorithm(oidWrap128, null)}.der(f))
	f.Add(seq(number(0), identifier(f, cert(f, "rsa")), algorithm(oidRSAESOAEP), octetString(make([]byte, 256))))
	p256, x25519, rsa := private(f, "p256").(ecdh.KeyExchanger), private(f, "x25519").(ecdh.KeyExchanger), decrypter(f, "rsa")
	f.Fuzz(func(t *testing.T, der []byte) {
		ri, err := ParseRecipientInfo(der)
		if !known(err) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for i := range min(len(ri.Recipients), 2) {
			a, b, c := &exchanger{KeyExchanger: p256}, &exchanger{KeyExchanger: x25519}, &counting{Decrypter: rsa}
			for _, key := range []crypto.PrivateKey{a, b, c} {
				one := ri.Only(i)
				got, err := one.ContentKey(key, 16)
				if !known(err) || err == nil && (len(got) != 16 || one.work.operations != 1 || one.work.randomKeys != 1) || err != nil && one.work != (work{}) {
					t.Errorf("%T: %x, %v, %+v", key, got, err, one.work)
				}
			}
			if n := a.operations + b.operations + c.operations; n > 1 {
				t.Errorf("%d operations", n)
			}
		}
	})
}
