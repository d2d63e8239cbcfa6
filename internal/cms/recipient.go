package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A RecipientKind is a way to pass on a content-encryption key, RFC 5652 section 6.2.
type RecipientKind int

// The kinds. Other is also one that cannot be read.
const (
	Other    RecipientKind = iota
	KeyTrans               // RSA
	KeyAgree               // ECDH, X25519: RFC 5753, RFC 8418
	KEM                    // an OtherRecipientInfo: RFC 9629
	KEK
	Password
)

// RecipientInfo is the content-encryption key for one recipient, or, where it is encrypted by KeyAgree, for several.
// Only DER and Kind are set for KEK, Password and Other: their parameters are never looked at (THREATS A36).
type RecipientInfo struct {
	Kind          RecipientKind
	DER           []byte
	Recipients    []Recipient
	KeyEncryption AlgorithmIdentifier // of KEM: the key encapsulation

	agreement *agreementInfo // of KeyAgree
	kem       *kemInfo       // of KEM
	work      work
}

// A Recipient is who a RecipientInfo names, by Issuer and Serial of his certificate or else by SubjectKeyID, and
// the content-encryption key as it is encrypted for him.
type Recipient struct {
	Issuer       []byte // DER Name
	Serial       *big.Int
	SubjectKeyID []byte
	EncryptedKey []byte
}

// work counts what ContentKey did. All that can be wrong inside an encrypted key gives the same counts as a good one
// (THREATS A10).
type work struct {
	operations  int // uses of the private key
	derivations int // key-encryption keys derived
	blocks      int // cipher blocks of the key wrap
	randomKeys  int // content-encryption keys drawn to stand in for one that is not right
}

// choices is the CHOICE RecipientInfo by its tags. A kind without a parser is skipped.
var choices = []struct {
	tag   byte
	kind  RecipientKind
	parse func(ri *RecipientInfo, content cryptobyte.String) error
}{
	{tagSequence, KeyTrans, parseKeyTrans},
	{tagContextConstructed | 1, KeyAgree, parseKeyAgree},
	{tagContextConstructed | 2, KEK, nil},
	{tagContextConstructed | 3, Password, nil},
	{tagContextConstructed | 4, Other, parseOther},
}

// ParseRecipientInfo reads one RecipientInfo. It keeps der.
func ParseRecipientInfo(der []byte) (*RecipientInfo, error) {
	s := cryptobyte.String(der)
	var content cryptobyte.String
	var tag casn1.Tag
	for _, c := range choices {
		if len(der) == 0 || c.tag != der[0] {
			continue
		}
		ri := &RecipientInfo{Kind: c.kind, DER: der}
		if c.parse == nil {
			return ri, nil
		}
		if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
			return nil, syntax("RecipientInfo")
		}
		if err := c.parse(ri, content); err != nil {
			return nil, err
		}
		return ri, nil
	}
	return nil, syntax("RecipientInfo")
}

// IsFor reports whether the one with this certificate is named among the recipients.
func (ri *RecipientInfo) IsFor(cert []byte) bool {
	c, ok := parseCertificate(cert)
	return ok && slices.ContainsFunc(ri.Recipients, func(r Recipient) bool { return c.isNamed(r.Issuer, r.Serial, r.SubjectKeyID) })
}

// Only returns the RecipientInfo as it were if it named none but one of its recipients.
func (ri *RecipientInfo) Only(i int) *RecipientInfo {
	one := *ri
	one.Recipients = ri.Recipients[i : i+1]
	return &one
}

// ContentKey gets the content-encryption key of size octets out with the private key of the one recipient. Whatever
// is wrong with the encrypted key, the answer is a random key and no error, so that the fault shows only where a wrong
// content shows too: in Decrypt (THREATS A10), or, once in 256 times, only in plaintext that is noise. An error is
// ErrAlgorithm, or a fault of key itself, such as a token that does not answer.
//
// The key is, by Kind, a crypto.Decrypter for an *rsa.PublicKey, an ecdh.KeyExchanger or X448Key, or a crypto.Decapsulator. A
// Decrypter that is not an *rsa.PrivateKey must answer a ciphertext that does not decrypt with rsa.ErrDecryption,
// unless it knows implicit rejection.
func (ri *RecipientInfo) ContentKey(key crypto.PrivateKey, size int) ([]byte, error) {
	if size <= 0 || len(ri.Recipients) != 1 {
		return nil, ErrAlgorithm
	}
	ri.work = work{}
	switch ri.Kind {
	case KeyTrans:
		return ri.transported(key, size)
	case KeyAgree:
		return ri.agreed(key, size)
	case KEM:
		return ri.encapsulated(key, size)
	}
	return nil, ErrAlgorithm
}

// keyOrRandom returns a copy of key when good is 1, else a random key of the same size, in the same time.
func (ri *RecipientInfo) keyOrRandom(good int, key []byte) ([]byte, error) {
	chosen := make([]byte, len(key))
	ri.work.randomKeys++
	if _, err := rand.Read(chosen); err != nil {
		return nil, err
	}
	subtle.ConstantTimeCopy(good, chosen, key)
	return chosen, nil
}

func otherKey(what string) error {
	return fmt.Errorf("%w: %s to a key of another kind", ErrAlgorithm, what)
}

// readRecipient reads RecipientIdentifier, which is also the form of SignerIdentifier.
func readRecipient(s *cryptobyte.String) (r Recipient, ok bool) {
	r.Issuer, r.Serial, r.SubjectKeyID, ok = readIdentifier(s)
	return r, ok
}
