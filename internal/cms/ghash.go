package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// A fieldElement is a polynomial over GF(2) of degree below 128, in the bit order of NIST SP 800-38D 6.3: the highest
// bit of hi is the coefficient of 1.
type fieldElement struct{ hi, lo uint64 }

func loadElement(p []byte) fieldElement {
	return fieldElement{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}
}

func (x fieldElement) put(p []byte) {
	binary.BigEndian.PutUint64(p, x.hi)
	binary.BigEndian.PutUint64(p[8:], x.lo)
}

func (x fieldElement) plus(y fieldElement) fieldElement {
	return fieldElement{x.hi ^ y.hi, x.lo ^ y.lo}
}

// times is the product modulo x^128 + x^7 + x^2 + x + 1, without a branch or an index that depends on the factors.
func (x fieldElement) times(y fieldElement) fieldElement {
	var z fieldElement
	for _, bits := range [2]uint64{x.hi, x.lo} {
		for range 64 {
			take := -(bits >> 63)
			bits <<= 1
			z.hi ^= y.hi & take
			z.lo ^= y.lo & take
			reduce := -(y.lo & 1)
			y.lo = y.lo>>1 | y.hi<<63
			y.hi = y.hi>>1 ^ reduce&(0xe1<<56)
		}
	}
	return z
}

// power is x to the n-th, n not a secret.
func (x fieldElement) power(n int64) fieldElement {
	z := fieldElement{hi: 1 << 63}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			z = z.times(x)
		}
		x = x.times(x)
	}
	return z
}

// lengthsElement is the last block of GHASH: the lengths of what was authenticated and of the ciphertext, in bits.
func lengthsElement(aad, ciphertext int64) fieldElement {
	return fieldElement{uint64(aad) * 8, uint64(ciphertext) * 8}
}

const gcmNonce = 12 // octets, the only length in use

// A GCMTag computes the authentication tag of AES-GCM (NIST SP 800-38D) over a ciphertext that comes in pieces, and
// over additional data known before or after it. It never decrypts.
//
// The work is the standard library's: its GCM, asked to seal nothing with a piece as additional data, answers with
// GHASH of the piece under a mask that is known, ((b1 H + b2) H ... + L) H + E(J0), where L is the piece's length. What
// came before, multiplied by H, is added to the second block, and so has the right power of H in the end. The values
// made with that fixed nonce never leave this type.
type GCMTag struct {
	engine cipher.AEAD
	h      fieldElement // the hash subkey H
	mask   fieldElement // E(J0) of the engine's nonce
	final  fieldElement // E(J0) of the message's nonce
	hash   fieldElement // of all blocks so far, multiplied by H once more than GHASH asks for
	size   int64        // octets so far

	pieceSize int // for which pieceEnd was computed
	pieceEnd  fieldElement
	out       [aes.BlockSize]byte
}

// NewGCMTag returns a GCMTag for a key of AES and a nonce of 12 octets.
func NewGCMTag(key, nonce []byte) (*GCMTag, error) {
	if len(nonce) != gcmNonce {
		return nil, ErrAlgorithm
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	engine, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	g := &GCMTag{engine: engine}
	block.Encrypt(g.out[:], make([]byte, aes.BlockSize))
	g.h = loadElement(g.out[:])
	g.mask = g.seal(nil)
	block.Encrypt(g.out[:], counterBlock(nonce, 1))
	g.final = loadElement(g.out[:])
	return g, nil
}

// counterBlock is inc32^(n-1)(J0) for a nonce of 12 octets.
func counterBlock(nonce []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, aes.BlockSize), nonce...), n)
}

// newCTR decrypts what GCM has encrypted, and encrypts as it does.
func newCTR(block cipher.Block, nonce []byte) cipher.Stream {
	return cipher.NewCTR(block, counterBlock(nonce, 2))
}

var engineNonce [gcmNonce]byte

func (g *GCMTag) seal(p []byte) fieldElement {
	return loadElement(g.engine.Seal(g.out[:0], engineNonce[:], nil, p))
}

// Add takes the next piece of ciphertext. All pieces but the last are whole blocks. The piece is changed meanwhile, and
// as it was afterwards.
func (g *GCMTag) Add(p []byte) {
	g.size += int64(len(p))
	whole := len(p) / aes.BlockSize * aes.BlockSize
	if whole >= 2*aes.BlockSize {
		g.addBlocks(p[:whole])
	} else if whole > 0 {
		g.addBlock(p[:whole])
	}
	if whole < len(p) {
		var last [aes.BlockSize]byte
		copy(last[:], p[whole:])
		g.addBlock(last[:])
	}
}

// addBlocks takes at least two blocks.
func (g *GCMTag) addBlocks(p []byte) {
	second := p[aes.BlockSize : 2*aes.BlockSize]
	before := loadElement(second)
	before.plus(g.hash).put(second)
	sealed := g.seal(p)
	before.put(second)
	if g.pieceSize != len(p) {
		g.pieceSize, g.pieceEnd = len(p), g.h.times(lengthsElement(int64(len(p)), 0))
	}
	g.hash = sealed.plus(g.mask).plus(g.pieceEnd)
}

func (g *GCMTag) addBlock(p []byte) {
	g.hash = g.hash.plus(loadElement(p).times(g.h)).times(g.h)
}

// Sum returns the tag over additional data and the ciphertext so far; nothing may be added afterwards. GHASH takes the
// additional data first; since it is linear, that can be made up for by a power of H.
func (g *GCMTag) Sum(aad []byte) [aes.BlockSize]byte {
	ciphertext, size := g.hash, g.size
	if len(aad) > 0 {
		g.hash, g.size = fieldElement{}, 0
		g.Add(aad)
		blocks := (size + aes.BlockSize - 1) / aes.BlockSize
		ciphertext = ciphertext.plus(g.hash.times(g.h.power(blocks)))
	}
	var tag [aes.BlockSize]byte
	ciphertext.plus(lengthsElement(int64(len(aad)), size).times(g.h)).plus(g.final).put(tag[:])
	return tag
}

// gcmTagger is a GCMTag as a tagger: it may learn of the additional data last.
type gcmTagger struct{ *GCMTag }

func (g gcmTagger) add(p []byte) { g.Add(p) }

func (g gcmTagger) sum(aad []byte) ([aes.BlockSize]byte, bool) { return g.Sum(aad), true }
