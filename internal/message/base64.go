package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
)

// A base64Reader decodes base64 as RFC 2045 section 6.8 says: octets outside of the alphabet are ignored. It is
// strict where a mistake could hide something: the padding must be there, it must stand where it can, and only white
// space may follow it. Bits that padding leaves over are not looked at.
//
// Lines without such surprises go through encoding/base64 in blocks; a block with one goes octet by octet.
type base64Reader struct {
	r      io.Reader
	sticky error // of r
	err    error // ours, or of r

	raw     []byte
	full    bool   // the last read filled raw
	rest    []byte // of raw, not yet decoded
	clean   []byte // raw without line ends; begins with the octets that the last block left over
	left    int    // 0 to 3
	decoded []byte
	out     []byte // decoded, not yet given out
	padding int    // number of "=" seen
}

const (
	base64First = 4 << 10 // a small message has small buffers
	base64Block = 48 << 10
)

func (b *base64Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.err = b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// fill decodes one block. A block with padding is cut there, so that what comes before goes the fast way.
func (b *base64Reader) fill() error {
	if len(b.rest) == 0 {
		err := b.readBlock()
		if err == io.EOF {
			return b.atEnd()
		}
		if err != nil {
			return err
		}
	}
	raw := b.rest
	b.rest = nil
	if b.padding == 0 {
		if i := bytes.IndexByte(raw, '='); i > 0 {
			raw, b.rest = raw[:i], raw[i:]
		}
		if b.fast(raw) {
			return nil
		}
	}
	return b.slow(raw)
}

func (b *base64Reader) readBlock() error {
	if b.raw == nil || b.full && len(b.raw) < base64Block {
		b.allocate()
	}
	n, err := readSome(b.r, b.raw, &b.sticky)
	b.rest, b.full = b.raw[:n], n == len(b.raw)
	return err
}

// allocate gives each block twice the room of the one before.
func (b *base64Reader) allocate() {
	size, left := base64First, b.clean[:b.left]
	if b.raw != nil {
		size = min(2*len(b.raw), base64Block)
	}
	b.raw = make([]byte, size)
	b.clean = make([]byte, size+4)
	b.decoded = make([]byte, size)
	copy(b.clean, left)
}

func (b *base64Reader) atEnd() error {
	if b.padding == 0 && b.left > 0 || b.padding > 0 && b.left+b.padding != 4 {
		return fmt.Errorf("%w: base64 without its padding", ErrEncoding)
	}
	return io.EOF
}

// fast decodes a block of nothing but the alphabet and line ends. Otherwise it returns false and changes nothing.
func (b *base64Reader) fast(raw []byte) bool {
	n := b.left
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			n += copy(b.clean[n:], trimCR(raw))
			break
		}
		n += copy(b.clean[n:], trimCR(raw[:i]))
		raw = raw[i+1:]
	}
	whole := n &^ 3
	got, err := base64.StdEncoding.Decode(b.decoded, b.clean[:whole])
	if err != nil || got != whole/4*3 || !inAlphabet(b.clean[whole:n]) {
		return false
	}
	b.left = copy(b.clean, b.clean[whole:n])
	b.out = b.decoded[:got]
	return true
}

func inAlphabet(p []byte) bool {
	for _, c := range p {
		if sextet[c] == notBase64 {
			return false
		}
	}
	return true
}

// slow decodes any block.
func (b *base64Reader) slow(raw []byte) error {
	n := 0
	for _, c := range raw {
		if b.padding > 0 || c == '=' {
			if err := b.pad(c, &n); err != nil {
				b.out = b.decoded[:n]
				return err
			}
			continue
		}
		if sextet[c] == notBase64 {
			continue
		}
		b.clean[b.left] = c
		if b.left++; b.left == 4 {
			n += b.quantum(n, 4)
			b.left = 0
		}
	}
	b.out = b.decoded[:n]
	return nil
}

// pad takes the first "=" and everything after it.
func (b *base64Reader) pad(c byte, n *int) error {
	switch {
	case c == '=' && b.left >= 2 && b.left+b.padding < 4:
		if b.padding++; b.left+b.padding == 4 {
			*n += b.quantum(*n, b.left)
		}
	case c == '=':
		return fmt.Errorf("%w: base64 padding in a wrong place", ErrEncoding)
	case c != ' ' && c != '\t' && c != '\r' && c != '\n':
		return fmt.Errorf("%w: base64 goes on after its padding", ErrEncoding)
	}
	return nil
}

// quantum decodes the first count octets of clean, 2 to 4, into decoded[at:].
func (b *base64Reader) quantum(at, count int) int {
	var v uint32
	for i := range 4 {
		v <<= 6
		if i < count {
			v |= uint32(sextet[b.clean[i]])
		}
	}
	return copy(b.decoded[at:], []byte{byte(v >> 16), byte(v >> 8), byte(v)}[:count-1])
}

const notBase64 = 0xff

// sextet is the alphabet of RFC 2045 table 1.
var sextet = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()
