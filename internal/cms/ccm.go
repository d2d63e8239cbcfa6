package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// Counter with CBC-MAC, RFC 3610 and NIST SP 800-38C. The MAC is over the plaintext, behind a first block that holds
// its length and the additional data, so both must be known before it can begin.

// maxCCM is the longest content whose length fits beside a nonce.
func maxCCM(nonce int) int64 {
	octets := aes.BlockSize - 1 - nonce // of the length, and of the counter
	if octets >= 8 {
		return 1<<62 - 1
	}
	return 1<<(8*octets) - 1
}

// ccmCounter is the counter block A_i.
func ccmCounter(nonce []byte, i byte) []byte {
	block := make([]byte, aes.BlockSize)
	block[0] = byte(aes.BlockSize - 2 - len(nonce))
	copy(block[1:], nonce)
	block[aes.BlockSize-1] = i
	return block
}

// newCCMStream decrypts what CCM has encrypted, at most maxCCM octets: the counter then never reaches the nonce.
func newCCMStream(block cipher.Block, nonce []byte) cipher.Stream {
	return cipher.NewCTR(block, ccmCounter(nonce, 1))
}

// A ccmTagger computes the tag over a ciphertext. It decrypts for that, a piece at a time, and shows nobody.
type ccmTagger struct {
	aad     []byte
	known   bool
	stream  cipher.Stream
	mac     cipher.BlockMode // CBC encryption; the last block out is the MAC so far
	last    [aes.BlockSize]byte
	mask    [aes.BlockSize]byte // S_0
	scratch []byte
}

// newCCMTagger returns a tagger that can only look on when the size is not known.
func newCCMTagger(key, nonce []byte, tagSize int, size int64, aad []byte) (*ccmTagger, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c := &ccmTagger{known: size >= 0, aad: aad}
	if !c.known {
		return c, nil
	}
	c.stream = newCCMStream(block, nonce)
	c.mac = cipher.NewCBCEncrypter(block, c.last[:])
	block.Encrypt(c.mask[:], ccmCounter(nonce, 0))
	c.blocks(ccmFirst(nonce, tagSize, size, aad))
	return c, nil
}

// ccmFirst is B_0 and the additional data, in whole blocks.
func ccmFirst(nonce []byte, tagSize int, size int64, aad []byte) []byte {
	first := binary.BigEndian.AppendUint64(make([]byte, 8, aes.BlockSize), uint64(size))
	copy(first[1:], nonce)
	first[0] = byte((tagSize-2)/2<<3 + aes.BlockSize - 2 - len(nonce))
	if len(aad) == 0 {
		return first
	}
	first[0] |= 0x40
	if len(aad) < 0xff00 {
		first = binary.BigEndian.AppendUint16(first, uint16(len(aad)))
	} else {
		first = binary.BigEndian.AppendUint32(append(first, 0xff, 0xfe), uint32(len(aad)))
	}
	return padded(append(first, aad...))
}

// padded adds zeros up to a whole number of blocks.
func padded(p []byte) []byte {
	return append(p, make([]byte, (aes.BlockSize-len(p)%aes.BlockSize)%aes.BlockSize)...)
}

// blocks takes whole blocks into the MAC, and overwrites them.
func (c *ccmTagger) blocks(p []byte) {
	c.mac.CryptBlocks(p, p)
	copy(c.last[:], p[len(p)-aes.BlockSize:])
}

func (c *ccmTagger) add(p []byte) {
	if !c.known || len(p) == 0 {
		return
	}
	c.scratch = append(c.scratch[:0], p...)
	c.stream.XORKeyStream(c.scratch, c.scratch)
	c.scratch = padded(c.scratch)
	c.blocks(c.scratch)
}

func (c *ccmTagger) sum(aad []byte) (tag [aes.BlockSize]byte, ok bool) {
	subtle.XORBytes(tag[:], c.last[:], c.mask[:])
	return tag, c.known && string(aad) == string(c.aad)
}
