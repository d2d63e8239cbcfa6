package cms

import (
	"crypto/cipher"
	"crypto/subtle"
	"io"
)

// decryptSize is how much ciphertext is decrypted at a time: a few hundred times what a block costs, and small
// enough for the cache.
const decryptSize = 32 << 10

// decryptCBC decrypts the whole ciphertext into w. good is 1 when the key fits, the ciphertext is whole blocks and
// the padding is right, RFC 5652 6.3. These three are not told apart and cause no difference in what is done: the
// last block is held back in the buffer, and goes out in the last Write together with octets before it.
func (e *EnvelopedData) decryptCBC(key []byte, w io.Writer) (good int, err error) {
	key, good, err = e.fitKey(key)
	if err != nil {
		return 0, err
	}
	block, err := e.cipher.newBlock(key)
	if err != nil {
		return 0, err
	}
	size := block.BlockSize()
	mode := cipher.NewCBCDecrypter(block, e.iv)
	buf := make([]byte, size+decryptSize)
	held := 0 // octets of plaintext at the start of buf: none, or the last block
	for {
		n, err := e.ciphertext.fill(buf[held : held+decryptSize])
		if err != nil && err != io.EOF {
			return 0, err
		}
		e.stats.Ciphertext += int64(n)
		whole := n - n%size
		mode.CryptBlocks(buf[held:held+whole], buf[held:held+whole])
		e.stats.Blocks += int64(whole / size)
		have := held + whole
		if err == io.EOF {
			good &= subtle.ConstantTimeEq(int32(n), int32(whole))
			return e.last(buf[:have], size, good, w)
		}
		if err := e.write(w, buf[:have-size]); err != nil {
			return 0, err
		}
		held = copy(buf, buf[have-size:have])
	}
}

// last writes the last plaintext without its padding.
func (e *EnvelopedData) last(p []byte, size, good int, w io.Writer) (int, error) {
	padding, ok := 0, 0
	if len(p) > 0 {
		padding, ok = paddingLength(p[len(p)-size:])
	}
	e.stats.Paddings++
	good &= ok
	return good, e.write(w, p[:len(p)-padding])
}

// paddingLength returns the number of padding octets in the last block, in the same time for every block: n octets
// of value n, n from 1 to the size of a block. When they are wrong it returns 0 for both.
func paddingLength(block []byte) (n, ok int) {
	pad := int(block[len(block)-1])
	ok = subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, len(block))
	for i := range block {
		fromEnd := len(block) - i
		inside := subtle.ConstantTimeLessOrEq(fromEnd, pad)
		ok &= subtle.ConstantTimeSelect(inside, subtle.ConstantTimeByteEq(block[i], byte(pad)), 1)
	}
	return subtle.ConstantTimeSelect(ok, pad, 0), ok
}
