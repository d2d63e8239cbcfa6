package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"paperknife/internal/cms"
)

// rawRSA is an RSA key of which only the bare operation is to be had, as tokens give it by CKM_RSA_X_509. The padding is
// taken off here, where nobody sees from outside whether it was right (THREATS A10).
type rawRSA struct {
	public *rsa.PublicKey
	raw    func(ciphertext []byte) ([]byte, error)
}

// Public implements crypto.Decrypter.
func (k rawRSA) Public() crypto.PublicKey { return k.public }

// Decrypt implements crypto.Decrypter. An error is a fault of the token, cms.ErrAlgorithm, or rsa.ErrDecryption for OAEP.
func (k rawRSA) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	em, err := k.raw(ciphertext)
	if err != nil {
		return nil, err
	}
	// Some tokens leave out zeros in front.
	size := k.public.Size()
	if len(em) > size {
		return nil, fmt.Errorf("the token gave %d octets for an RSA key of %d", len(em), size)
	}
	em = append(make([]byte, size-len(em)), em...)
	switch opts := opts.(type) {
	//lint:ignore SA1019 mail is sent with it; the rejection is implicit
	case *rsa.PKCS1v15DecryptOptions:
		return unpadPKCS1v15(em, opts.SessionKeyLen)
	case *rsa.OAEPOptions:
		return unpadOAEP(em, opts)
	}
	return nil, fmt.Errorf("%w: %T", cms.ErrAlgorithm, opts)
}

// unpadPKCS1v15 returns the size octets in an encoded message of RFC 8017 7.2.2, in the same time whatever it holds;
// random ones when it is not 00 02, padding without a zero, 00, and size octets.
func unpadPKCS1v15(em []byte, size int) ([]byte, error) {
	random := make([]byte, size)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	split := len(em) - size // the key begins here
	if split < 11 {
		return random, nil
	}
	good := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeByteEq(em[1], 2) & subtle.ConstantTimeByteEq(em[split-1], 0)
	for _, c := range em[2 : split-1] {
		good &= 1 ^ subtle.ConstantTimeByteEq(c, 0)
	}
	subtle.ConstantTimeCopy(good, random, em[split:])
	return random, nil
}

// unpadOAEP is EME-OAEP decoding, RFC 8017 7.1.2 step 3. All that can be wrong is rsa.ErrDecryption, found out in the
// same time.
func unpadOAEP(em []byte, opts *rsa.OAEPOptions) ([]byte, error) {
	h := opts.Hash.Size()
	if len(em) < 2*h+2 {
		return nil, rsa.ErrDecryption
	}
	seed, db := em[1:1+h], em[1+h:]
	xorMGF1(seed, db, opts.MGFHash)
	xorMGF1(db, seed, opts.MGFHash)
	label := opts.Hash.New()
	label.Write(opts.Label)
	good := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeCompare(db[:h], label.Sum(nil))
	// Then zeros, a 1, and the message.
	message, looking := 0, 1
	for i, c := range db[h:] {
		one := subtle.ConstantTimeByteEq(c, 1)
		message = subtle.ConstantTimeSelect(looking&one, h+i+1, message)
		looking &= 1 ^ one
		good &= 1 ^ looking&(1^subtle.ConstantTimeByteEq(c, 0))
	}
	if good&(1^looking) != 1 {
		return nil, rsa.ErrDecryption
	}
	return db[message:], nil
}

// xorMGF1 xors the mask that seed gives, RFC 8017 B.2.1.
func xorMGF1(p, seed []byte, hash crypto.Hash) {
	for counter := uint32(0); len(p) > 0; counter++ {
		h := hash.New()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		p = p[subtle.XORBytes(p, p, h.Sum(nil)):]
	}
}
