package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 chacha20poly1305 has no way to take a ciphertext in pieces
	"golang.org/x/crypto/poly1305"
)

// ChaCha20 with Poly1305, RFC 8439 2.8, in an AuthEnvelopedData by RFC 8103.

const (
	chachaBlock = 64
	maxChaCha   = 1<<38 - 64 // octets: the counter has 32 bits, and the first block is the key of the MAC
)

// newChaCha decrypts what ChaCha20 has encrypted.
func newChaCha(key, nonce []byte) (cipher.Stream, error) {
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		return nil, err
	}
	stream.SetCounter(1)
	return stream, nil
}

// A chachaTagger computes the tag. The additional data come first.
type chachaTagger struct {
	mac  *poly1305.MAC
	aad  []byte
	size int64
}

func newChaChaTagger(key, nonce, aad []byte) (*chachaTagger, error) {
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		return nil, err
	}
	var once [32]byte
	stream.XORKeyStream(once[:], once[:])
	c := &chachaTagger{mac: poly1305.New(&once), aad: aad}
	c.mac.Write(aad)
	c.pad(int64(len(aad)))
	return c, nil
}

// pad fills up a length to a multiple of 16 octets.
func (c *chachaTagger) pad(n int64) {
	var zeros [aes.BlockSize]byte
	c.mac.Write(zeros[:(aes.BlockSize-n%aes.BlockSize)%aes.BlockSize])
}

func (c *chachaTagger) add(p []byte) {
	c.mac.Write(p)
	c.size += int64(len(p))
}

func (c *chachaTagger) sum(aad []byte) (tag [aes.BlockSize]byte, ok bool) {
	c.pad(c.size)
	var lengths [aes.BlockSize]byte
	binary.LittleEndian.PutUint64(lengths[:], uint64(len(c.aad)))
	binary.LittleEndian.PutUint64(lengths[8:], uint64(c.size))
	c.mac.Write(lengths[:])
	c.mac.Sum(tag[:0])
	return tag, string(aad) == string(c.aad)
}
