package cms

import (
	"crypto"
	"crypto/mlkem"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidKEMRecipientInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 13, 3}

// kems is every key encapsulation, RFC 9936. ML-KEM rejects implicitly by itself.
var kems = []struct {
	name       string
	public     int // octets of the encapsulation key, by which a key is known
	ciphertext int
	oid        asn1.ObjectIdentifier
}{
	{"ml-kem-512", 800, 768, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 1}},
	{"ml-kem-768", mlkem.EncapsulationKeySize768, mlkem.CiphertextSize768, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2}},
	{"ml-kem-1024", mlkem.EncapsulationKeySize1024, mlkem.CiphertextSize1024, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3}},
}

// kemKDFs is every key derivation function of a KEMRecipientInfo: HKDF without a salt, RFC 8619, RFC 9936 2.2.1.
var kemKDFs = []struct {
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
}{
	{crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 28}},
	{crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 29}},
	{crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 30}},
}

// kemInfo is what KEMRecipientInfo says besides.
type kemInfo struct {
	ciphertext []byte
	kdf, wrap  AlgorithmIdentifier
	kekLength  int
	ukm        []byte // nil when absent
}

// parseOther reads OtherRecipientInfo, RFC 5652 6.2.5. Those of unknown type are skipped.
func parseOther(ri *RecipientInfo, s cryptobyte.String) error {
	var value cryptobyte.String
	var oriType asn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&oriType) {
		return syntax("OtherRecipientInfo")
	}
	if !oriType.Equal(oidKEMRecipientInfo) {
		return nil
	}
	if !s.ReadASN1(&value, casn1.SEQUENCE) || !s.Empty() {
		return syntax("KEMRecipientInfo")
	}
	ri.Kind = KEM
	return ri.parseKEM(value)
}

// parseKEM reads KEMRecipientInfo, RFC 9629 section 3.
func (ri *RecipientInfo) parseKEM(s cryptobyte.String) error {
	fault := syntax("KEMRecipientInfo")
	k := new(kemInfo)
	var version int
	var ciphertext, key cryptobyte.String
	if !s.ReadASN1Integer(&version) {
		return fault
	}
	r, ok := readRecipient(&s)
	if !ok {
		return fault
	}
	if ri.KeyEncryption, ok = readAlgorithm(&s); !ok || !s.ReadASN1(&ciphertext, casn1.OCTET_STRING) {
		return fault
	}
	if k.kdf, ok = readAlgorithm(&s); !ok || !s.ReadASN1Integer(&k.kekLength) {
		return fault
	}
	if k.ukm, ok = readUKM(&s, 0); !ok {
		return fault
	}
	if k.wrap, ok = readAlgorithm(&s); !ok || !s.ReadASN1(&key, casn1.OCTET_STRING) || !s.Empty() {
		return fault
	}
	k.ciphertext, r.EncryptedKey = ciphertext, key
	ri.kem, ri.Recipients = k, []Recipient{r}
	return nil
}

// encapsulated is ContentKey by key encapsulation.
func (ri *RecipientInfo) encapsulated(private crypto.PrivateKey, size int) ([]byte, error) {
	key, ok := private.(crypto.Decapsulator)
	if !ok {
		return nil, otherKey("key encapsulation")
	}
	ciphertext, good, err := ri.kemCiphertext(len(key.Encapsulator().Bytes()))
	if err != nil {
		return nil, err
	}
	hash, wrap, err := ri.kem.scheme()
	if err != nil {
		return nil, err
	}
	ri.work.operations++
	secret, err := key.Decapsulate(ciphertext)
	if err != nil {
		return nil, err
	}
	ri.work.derivations++
	kek, err := deriveHKDF(hash, secret, nil, ri.kem.otherInfo(), wrap.size)
	if err != nil {
		return nil, err
	}
	return ri.unwrapped(wrap, kek, size, good)
}

// kemCiphertext returns a ciphertext of the length that a key works on, whatever the message brought.
func (ri *RecipientInfo) kemCiphertext(public int) (ciphertext []byte, good int, err error) {
	for _, k := range kems {
		if !k.oid.Equal(ri.KeyEncryption.Algorithm) || ri.KeyEncryption.Parameters != nil {
			continue
		}
		if k.public != public {
			return nil, 0, otherKey(k.name)
		}
		if len(ri.kem.ciphertext) == k.ciphertext {
			return ri.kem.ciphertext, 1, nil
		}
		return make([]byte, k.ciphertext), 0, nil
	}
	return nil, 0, fmt.Errorf("%w: key encapsulation %v", ErrAlgorithm, ri.KeyEncryption.Algorithm)
}

// scheme returns how the key-encryption key is derived and what it encrypts with. Its length is that of the wrap.
func (k *kemInfo) scheme() (crypto.Hash, keyWrap, error) {
	wrap, ok := readKeyWrap(k.wrap)
	if !ok || wrap.size != k.kekLength {
		return 0, wrap, fmt.Errorf("%w: key wrap %v with %d octets", ErrAlgorithm, k.wrap.Algorithm, k.kekLength)
	}
	for _, kdf := range kemKDFs {
		if kdf.oid.Equal(k.kdf.Algorithm) && k.kdf.Parameters == nil {
			return kdf.hash, wrap, nil
		}
	}
	return 0, wrap, fmt.Errorf("%w: key derivation %v", ErrAlgorithm, k.kdf.Algorithm)
}

// otherInfo is the DER of CMSORIforKEMOtherInfo, RFC 9629 section 5.
func (k *kemInfo) otherInfo() []byte {
	var b cryptobyte.Builder
	b.AddASN1Int64(int64(k.kekLength))
	var ukm []byte
	if k.ukm != nil {
		ukm = explicitOctets(0, k.ukm)
	}
	return appendElement(nil, tagSequence, k.wrap.der(), b.BytesOrPanic(), ukm)
}
