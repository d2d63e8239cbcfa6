package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A RecipientKind is a way to pass on a content-encryption key, RFC 5652 section 6.2.
type RecipientKind int

// The kinds. Other is also one that cannot be read.
const (
	Other RecipientKind = iota
	KeyTrans
	KeyAgree
	KEK
	Password
)

// RecipientInfo is the content-encryption key for one recipient. Only DER and Kind are set for kinds other than
// KeyTrans, where either Issuer and Serial, or SubjectKeyID, name the recipient's certificate.
type RecipientInfo struct {
	Kind          RecipientKind
	DER           []byte
	Issuer        []byte // DER Name
	Serial        *big.Int
	SubjectKeyID  []byte
	KeyEncryption AlgorithmIdentifier
	EncryptedKey  []byte
}

// kinds maps the tags of the CHOICE RecipientInfo.
var kinds = map[byte]RecipientKind{
	tagSequence:               KeyTrans,
	tagContextConstructed | 1: KeyAgree,
	tagContextConstructed | 2: KEK,
	tagContextConstructed | 3: Password,
	tagContextConstructed | 4: Other,
}

// ParseRecipientInfo reads one RecipientInfo. It keeps der.
func ParseRecipientInfo(der []byte) (*RecipientInfo, error) {
	if len(der) == 0 {
		return nil, syntax("RecipientInfo")
	}
	kind, ok := kinds[der[0]]
	if !ok {
		return nil, syntax("RecipientInfo with tag %#02x", der[0])
	}
	ri := &RecipientInfo{Kind: kind, DER: der}
	if kind != KeyTrans {
		return ri, nil
	}
	s := cryptobyte.String(der)
	var seq, key cryptobyte.String
	var version int
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&version) {
		return nil, syntax("KeyTransRecipientInfo")
	}
	if ri.Issuer, ri.Serial, ri.SubjectKeyID, ok = readIdentifier(&seq); !ok {
		return nil, syntax("identifier of a recipient")
	}
	if ri.KeyEncryption, ok = readAlgorithm(&seq); !ok || !seq.ReadASN1(&key, casn1.OCTET_STRING) || !seq.Empty() {
		return nil, syntax("KeyTransRecipientInfo")
	}
	ri.EncryptedKey = key
	return ri, nil
}

// IsFor reports whether the recipient named is the one with this certificate.
func (ri *RecipientInfo) IsFor(cert []byte) bool {
	c, ok := parseCertificate(cert)
	return ok && ri.Kind == KeyTrans && c.isNamed(ri.Issuer, ri.Serial, ri.SubjectKeyID)
}

// ContentKey gets the content-encryption key of size octets out with the recipient's private key. Whatever is wrong
// with the encrypted key, the answer is a random key and no error, so that the fault shows only where a wrong
// content shows too: in Decrypt (THREATS A10), or, once in 256 times, only in plaintext that is noise. An error is ErrAlgorithm, or a fault of key itself, such as a token
// that does not answer. A key that is not an *rsa.PrivateKey must answer a ciphertext that does not decrypt with
// rsa.ErrDecryption, unless it knows implicit rejection.
func (ri *RecipientInfo) ContentKey(key crypto.Decrypter, size int) ([]byte, error) {
	if ri.Kind != KeyTrans || size <= 0 {
		return nil, ErrAlgorithm
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: RSA key transport to a key of another kind", ErrAlgorithm)
	}
	opts, err := ri.transport(size)
	if err != nil {
		return nil, err
	}
	contentKey := make([]byte, size)
	if _, err := rand.Read(contentKey); err != nil {
		return nil, err
	}
	ciphertext, fits := fitModulus(ri.EncryptedKey, public)
	plain, err := key.Decrypt(rand.Reader, ciphertext, opts)
	if err != nil && !errors.Is(err, rsa.ErrDecryption) {
		return nil, err
	}
	if err == nil && fits && len(plain) == size {
		copy(contentKey, plain)
	}
	return contentKey, nil
}

// transport returns how EncryptedKey is to be decrypted: RFC 3370 4.2.1, RFC 8017 7.1. OAEP that cannot be read is
// never taken for the older scheme.
func (ri *RecipientInfo) transport(size int) (crypto.DecrypterOpts, error) {
	a := ri.KeyEncryption
	switch {
	case a.Algorithm.Equal(oidRSAEncryption) && a.plain():
		//lint:ignore SA1019 mail is sent with it; SessionKeyLen makes the rejection implicit
		return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}, nil
	case a.Algorithm.Equal(oidRSAESOAEP):
		opts, ok := oaepOptions(a.Parameters)
		if !ok {
			return nil, fmt.Errorf("%w: parameters of RSAES-OAEP", ErrAlgorithm)
		}
		return opts, nil
	}
	return nil, fmt.Errorf("%w: key transport %v", ErrAlgorithm, a.Algorithm)
}

// fitModulus returns a number of the size of the modulus and below it, whatever the message brought, so that the
// key always works. Zeros in front may be missing or too many; for what is no number below the modulus it is 1.
func fitModulus(ciphertext []byte, public *rsa.PublicKey) (fit []byte, ok bool) {
	fit = make([]byte, public.Size())
	for len(ciphertext) > len(fit) && ciphertext[0] == 0 {
		ciphertext = ciphertext[1:]
	}
	if len(ciphertext) <= len(fit) {
		copy(fit[len(fit)-len(ciphertext):], ciphertext)
		if new(big.Int).SetBytes(fit).Cmp(public.N) < 0 {
			return fit, true
		}
		clear(fit)
	}
	fit[len(fit)-1] = 1
	return fit, false
}
