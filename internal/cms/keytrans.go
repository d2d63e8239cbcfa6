package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parseKeyTrans reads KeyTransRecipientInfo, RFC 5652 6.2.1.
func parseKeyTrans(ri *RecipientInfo, s cryptobyte.String) error {
	var key cryptobyte.String
	var version int
	if !s.ReadASN1Integer(&version) {
		return syntax("KeyTransRecipientInfo")
	}
	r, ok := readRecipient(&s)
	if !ok {
		return syntax("identifier of a recipient")
	}
	if ri.KeyEncryption, ok = readAlgorithm(&s); !ok || !s.ReadASN1(&key, casn1.OCTET_STRING) || !s.Empty() {
		return syntax("KeyTransRecipientInfo")
	}
	r.EncryptedKey = key
	ri.Recipients = []Recipient{r}
	return nil
}

// transported is ContentKey by RSA.
func (ri *RecipientInfo) transported(private crypto.PrivateKey, size int) ([]byte, error) {
	key, ok := private.(crypto.Decrypter)
	if !ok {
		return nil, otherKey("RSA key transport")
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, otherKey("RSA key transport")
	}
	opts, err := ri.transport(size)
	if err != nil {
		return nil, err
	}
	ciphertext, fits := fitModulus(ri.Recipients[0].EncryptedKey, public)
	ri.work.operations++
	plain, err := key.Decrypt(rand.Reader, ciphertext, opts)
	if err != nil && !errors.Is(err, rsa.ErrDecryption) {
		return nil, err
	}
	contentKey := make([]byte, size)
	copy(contentKey, plain)
	good := subtle.ConstantTimeEq(int32(len(plain)), int32(size))
	if err != nil || !fits {
		good = 0
	}
	return ri.keyOrRandom(good, contentKey)
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
