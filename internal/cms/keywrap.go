package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"
)

// keyWraps is every way to encrypt a content-encryption key under another key: RFC 3565 2.3.2, RFC 5649.
var keyWraps = []struct {
	name   string
	size   int // octets of the key-encryption key
	padded bool
	oid    asn1.ObjectIdentifier
}{
	{"aes128-wrap", 16, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 5}},
	{"aes192-wrap", 24, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 25}},
	{"aes256-wrap", 32, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}},
	{"aes128-wrap-pad", 16, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 8}},
	{"aes192-wrap-pad", 24, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 28}},
	{"aes256-wrap-pad", 32, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 48}},
}

// A keyWrap is a row of keyWraps.
type keyWrap struct {
	size   int
	padded bool
}

// readKeyWrap returns the key wrap that a names.
func readKeyWrap(a AlgorithmIdentifier) (keyWrap, bool) {
	for _, w := range keyWraps {
		if w.oid.Equal(a.Algorithm) && a.plain() {
			return keyWrap{w.size, w.padded}, true
		}
	}
	return keyWrap{}, false
}

const wrapBlock = 8 // half an AES block

// unwrapped is the last step of ContentKey: it takes the content-encryption key out of EncryptedKey with the
// key-encryption key. good is 0 when that cannot be the right one; the work is the same.
func (ri *RecipientInfo) unwrapped(w keyWrap, kek []byte, size, good int) ([]byte, error) {
	ciphertext := make([]byte, wrapBlock+(size+wrapBlock-1)/wrapBlock*wrapBlock)
	if len(ri.Recipients[0].EncryptedKey) == len(ciphertext) && (w.padded || size%wrapBlock == 0) {
		copy(ciphertext, ri.Recipients[0].EncryptedKey)
	} else {
		good = 0
	}
	check, plain, blocks, err := unwrapBlocks(kek, ciphertext)
	if err != nil {
		return nil, err
	}
	ri.work.blocks += blocks
	good &= w.checks(check, plain, size)
	return ri.keyOrRandom(good, plain[:size])
}

// checks returns 1 when the first half block is what RFC 3394 2.2.3.1 or RFC 5649 section 3 asks for, with a key of
// size octets.
func (w keyWrap) checks(check [wrapBlock]byte, plain []byte, size int) int {
	want := [wrapBlock]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}
	if w.padded {
		want = [wrapBlock]byte{0xa6, 0x59, 0x59, 0xa6}
		binary.BigEndian.PutUint32(want[4:], uint32(size))
	}
	zeros := make([]byte, len(plain)-size)
	return subtle.ConstantTimeCompare(check[:], want[:]) & subtle.ConstantTimeCompare(plain[size:], zeros)
}

// unwrapBlocks is the inverse of the wrapping process of RFC 3394 2.2.2, and of RFC 5649 4.2 for a single block.
func unwrapBlocks(kek, ciphertext []byte) (check [wrapBlock]byte, plain []byte, blocks int, err error) {
	cipher, err := aes.NewCipher(kek)
	if err != nil {
		return check, nil, 0, err
	}
	var b [aes.BlockSize]byte
	plain = make([]byte, len(ciphertext)-wrapBlock)
	if len(ciphertext) == aes.BlockSize {
		cipher.Decrypt(b[:], ciphertext)
		copy(check[:], b[:])
		copy(plain, b[wrapBlock:])
		return check, plain, 1, nil
	}
	copy(check[:], ciphertext)
	copy(plain, ciphertext[wrapBlock:])
	n := len(plain) / wrapBlock
	for t := 6 * n; t > 0; t-- {
		half := plain[(t-1)%n*wrapBlock:][:wrapBlock]
		binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(check[:])^uint64(t))
		copy(b[wrapBlock:], half)
		cipher.Decrypt(b[:], b[:])
		copy(check[:], b[:])
		copy(half, b[wrapBlock:])
	}
	return check, plain, 6 * n, nil
}
