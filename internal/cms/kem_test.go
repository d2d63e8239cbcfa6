package cms

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"
)

// A kemming is a KEMRecipientInfo for a key of ML-KEM-768, named by a key identifier.
type kemming struct {
	kem, kdf, wrap []byte // AlgorithmIdentifiers
	ciphertext     []byte
	kekLength      []byte // element
	ukm            []byte
	kek            []byte
	key            []byte
	padded         bool
	encrypted      []byte
	oriType        asn1.ObjectIdentifier
}

var oidMLKEM768 = kems[1].oid

func (k kemming) der(t testing.TB, to crypto.Encapsulator) []byte {
	t.Helper()
	secret, ciphertext := to.Encapsulate()
	if k.kem == nil {
		k.kem = algorithm(oidMLKEM768)
	}
	if k.kdf == nil {
		k.kdf = algorithm(kemKDFs[0].oid)
	}
	if k.wrap == nil {
		if k.wrap = algorithm(oidWrap128); k.padded {
			k.wrap = algorithm(keyWraps[3].oid)
		}
	}
	if k.ciphertext == nil {
		k.ciphertext = ciphertext
	}
	if k.kekLength == nil {
		k.kekLength = number(16)
	}
	if k.key == nil {
		k.key = []byte("0123456789abcdef")
	}
	var ukm []byte
	if k.ukm != nil {
		ukm = tagged(0, octetString(k.ukm))
	}
	if k.kek == nil {
		var err error
		info := seq(k.wrap, k.kekLength, ukm)
		if k.kek, err = deriveHKDF(crypto.SHA256, secret, nil, info, 16); err != nil {
			t.Fatal(err)
		}
	}
	if k.encrypted == nil {
		k.encrypted = wrapKey(t, k.kek, k.key, k.padded)
	}
	if k.oriType == nil {
		k.oriType = oidKEMRecipientInfo
	}
	id := appendElement(nil, tagContextPrimitive, []byte("id"))
	return tagged(4, marshalOID(k.oriType),
		seq(number(0), id, k.kem, octetString(k.ciphertext), k.kdf, k.kekLength, ukm, k.wrap, octetString(k.encrypted)))
}

// decapsulator counts the uses of a key.
type decapsulator struct {
	crypto.Decapsulator
	operations int
	err        error
}

func (d *decapsulator) Decapsulate(ciphertext []byte) ([]byte, error) {
	d.operations++
	if d.err != nil {
		return nil, d.err
	}
	return d.Decapsulator.Decapsulate(ciphertext)
}

// Every failure inside a KEMRecipientInfo takes the same operations as a good one and gives a key (THREATS A10).
func TestKEM(t *testing.T) {
	const good, random, refused = 0, 1, 2
	private, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		k    kemming
		want int
	}{
		"good":               {kemming{}, good},
		"good, ukm":          {kemming{ukm: []byte("x")}, good},
		"good, padded wrap":  {kemming{padded: true}, good},
		"another ciphertext": {kemming{ciphertext: make([]byte, mlkem.CiphertextSize768)}, random},
		"ciphertext of 1024": {kemming{ciphertext: make([]byte, mlkem.CiphertextSize1024)}, random},
		"no ciphertext":      {kemming{ciphertext: []byte{}}, random},
		"another key":        {kemming{kek: make([]byte, 16)}, random},
		"content key of 24":  {kemming{key: make([]byte, 24)}, random},
		"padded, key of 15":  {kemming{padded: true, key: make([]byte, 15)}, random},
		"nothing":            {kemming{encrypted: []byte{}}, random},
		"long":               {kemming{encrypted: make([]byte, 60000)}, random},
		"KEK of 17":          {kemming{kekLength: number(17)}, refused},
		"KEK of 32":          {kemming{kekLength: number(32)}, refused},
		"KEK of -1":          {kemming{kekLength: number(255)}, refused},
		"ML-KEM-1024":        {kemming{kem: algorithm(kems[2].oid)}, refused},
		"ML-KEM-512":         {kemming{kem: algorithm(kems[0].oid)}, refused},
		"ML-KEM with NULL":   {kemming{kem: algorithm(oidMLKEM768, null)}, refused},
		"RSA-KEM":            {kemming{kem: algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 14})}, refused},
		"HKDF with NULL":     {kemming{kdf: algorithm(kemKDFs[0].oid, null)}, refused},
		"unknown KDF":        {kemming{kdf: algorithm(OIDData)}, refused},
		"unknown wrap":       {kemming{wrap: algorithm(OIDData)}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			ri, err := ParseRecipientInfo(test.k.der(t, private.EncapsulationKey()))
			if err != nil || ri.Kind != KEM || len(ri.Recipients) != 1 || string(ri.Recipients[0].SubjectKeyID) != "id" {
				t.Fatal(ri, err)
			}
			counted := &decapsulator{Decapsulator: private}
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
		})
	}
	ri, err := ParseRecipientInfo(kemming{}.der(t, private.EncapsulationKey()))
	if err != nil {
		t.Fatal(err)
	}
	fault := errors.New("token removed")
	if _, err := ri.ContentKey(&decapsulator{Decapsulator: private, err: fault}, 16); !errors.Is(err, fault) {
		t.Error(err)
	}
	if _, err := ri.ContentKey(decrypter(t, "rsa"), 16); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
}

// What is no KEMRecipientInfo names nobody, and another type of OtherRecipientInfo is not looked into.
func TestKEMStructure(t *testing.T) {
	private, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	whole := kemming{ukm: []byte("x")}.der(t, private.EncapsulationKey())
	for n := 0; n < len(whole); n += 1 + n/200 {
		if _, err := ParseRecipientInfo(whole[:n]); !errors.Is(err, ErrSyntax) {
			t.Errorf("%d octets of %d: %v", n, len(whole), err)
		}
	}
	if _, err := ParseRecipientInfo(append(bytes.Clone(whole), 0)); !errors.Is(err, ErrSyntax) {
		t.Error("more behind", err)
	}
	if _, err := ParseRecipientInfo(tagged(4, marshalOID(oidKEMRecipientInfo), number(1))); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
	for _, der := range [][]byte{kemming{oriType: OIDData}.der(t, private.EncapsulationKey()), tagged(4, marshalOID(OIDData), []byte("junk"))} {
		if ri, err := ParseRecipientInfo(der); err != nil || ri.Kind != Other || ri.Recipients != nil {
			t.Errorf("%+v %v", ri, err)
		}
	}
}

// RFC 9936 C.1: the key-encryption key of its shared secret, and the content-encryption key in its EncryptedKey.
func TestRFC9936Derivation(t *testing.T) {
	k := &kemInfo{wrap: AlgorithmIdentifier{Algorithm: oidWrap128}, kekLength: 16}
	info := k.otherInfo()
	if got := hex.EncodeToString(info); got != "3010300b0609608648016503040105020110" {
		t.Error(got)
	}
	kek, err := deriveHKDF(crypto.SHA256, unhex(t, "7df12d412ae299a24fde6d7c3bb8e3194c80ad3c733dcf2775e09fe8bedb86d8"), nil, info, 16)
	if err != nil || hex.EncodeToString(kek) != "cf453a3e2bae0a78701b8206c185a008" {
		t.Errorf("%x, %v", kek, err)
	}
	ri := &RecipientInfo{Recipients: []Recipient{{EncryptedKey: unhex(t, "c050e4392f9c14dd0ac2220203f317d701f94f9dd92778f5")}}}
	if key, err := ri.unwrapped(keyWrap{size: 16}, kek, 16, 1); err != nil || hex.EncodeToString(key) != "c5153005588269a0a59f3c01943fdd56" {
		t.Errorf("%x, %v", key, err)
	}
}

// THREATS A36: a PasswordRecipientInfo with as many iterations as fit, or a KEKRecipientInfo with an odd cipher, is
// passed over, beside ours and alone.
func TestA36PasswordRecipient(t *testing.T) {
	iterations := []byte{tagInteger, 4, 0x7f, 0xff, 0xff, 0xff}
	pbkdf2 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	pwriKEK := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9}
	derivation := tagged(0, marshalOID(pbkdf2), seq(octetString([]byte("salt")), iterations))
	password := tagged(3, number(0), derivation, algorithm(pwriKEK, algorithm(oidAES128, octetString(make([]byte, 15)))), octetString([]byte("key")))
	kek := tagged(2, number(4), seq(octetString([]byte("id"))), algorithm(pwriKEK, algorithm(OIDData)), octetString(nil))
	ours := seq(number(0), identifier(t, cert(t, "rsa")), algorithm(oidRSAEncryption, null), octetString(encryptKey(t, []byte("0123456789abcdef"))))
	plain := []byte("content")
	for name, recipients := range map[string][]byte{"before": join(password, kek, ours), "behind": join(ours, kek, password)} {
		got, _, err := decrypt(bytes.NewReader(enveloping{padded: pad(plain), recipients: recipients}.der(t)), cert(t, "rsa"), decrypter(t, "rsa"))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, der := range [][]byte{password, kek} {
		ri, err := ParseRecipientInfo(der)
		if err != nil || ri.Recipients != nil || ri.IsFor(cert(t, "rsa")) {
			t.Errorf("%+v, %v", ri, err)
		}
		if _, err := ri.ContentKey(decrypter(t, "rsa"), 16); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
	}
}
