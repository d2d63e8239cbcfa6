package cms

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"testing"
)

// large is how many octets of content the tests of memory have: PAPERKNIFE_LARGE MiB, or few.
func large(t *testing.T, few int64) int64 {
	t.Helper()
	if s := os.Getenv("PAPERKNIFE_LARGE"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n << 20
	}
	return few << 20
}

// A source makes the octets of an object anew for each reading.
type source func() (io.Reader, error)

// zeroObject is an object with so many zeros of ciphertext.
func zeroObject(head, tail []byte, size int64) source {
	head = append(append(head, 0x80), appendLength(nil, size)...)
	return func() (io.Reader, error) {
		return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size), bytes.NewReader(tail)), nil
	}
}

// Memory does not grow with the content, whatever the cipher.
func TestMemoryEveryCipher(t *testing.T) {
	size := large(t, 12)
	nonce := octetString(make([]byte, 12))
	attrs := tagged(1, attribute(OIDAttrContentType, marshalOID(OIDData)))
	mac := octetString(make([]byte, 16))
	for _, test := range []struct {
		cipher   string
		params   []byte
		attrs    []byte
		envelope bool // EnvelopedData
	}{
		{"aes128-ccm", seq(octetString(make([]byte, 8)), number(16)), nil, false},
		{"chacha20-poly1305", nonce, nil, false},
		{"chacha20-poly1305", nonce, attrs, false},
		{"aes256-gcm", seq(nonce, number(16)), attrs, false},
		{"aes256-gcm", nonce, nil, true},
		{"des-ede3-cbc", octetString(make([]byte, 8)), nil, true},
	} {
		contentType, tail := OIDAuthEnvelopedData, join([]byte{0, 0}, test.attrs, mac, make([]byte, 6))
		if test.envelope {
			contentType, tail = OIDEnvelopedData, make([]byte, 8)
		}
		again := zeroObject(join([]byte{0x30, 0x80}, marshalOID(contentType), []byte{0xa0, 0x80, 0x30, 0x80}, number(0), set(),
			[]byte{0x30, 0x80}, marshalOID(OIDData), algorithm(oidOf(test.cipher), test.params)), tail, size)
		key := make([]byte, map[string]int{"aes128-ccm": 16, "des-ede3-cbc": 24}[test.cipher])
		if len(key) == 0 {
			key = make([]byte, 32)
		}
		cheapMemory(t, func() {
			src, _ := again()
			r := NewReader(src)
			r.Lenient = true
			var stats Stats
			var err error
			if test.envelope {
				e, failed := r.EnvelopedData()
				if failed != nil {
					t.Fatal(failed)
				}
				err = e.DecryptAgain(key, again, io.Discard)
				stats = e.Stats()
			} else {
				a, failed := r.AuthEnvelopedData()
				if failed != nil {
					t.Fatal(failed)
				}
				err = a.Decrypt(key, again, io.Discard)
				stats = a.Stats()
			}
			if err != nil && err != ErrDecrypt || stats.Ciphertext < size-16 {
				t.Errorf("%s: %v, %+v", test.cipher, err, stats)
			}
		})
	}
}

// storedZeros is zeros in zlib that makes them no smaller: stored blocks (RFC 1951 3.2.4).
func storedZeros(blocks int64) io.Reader {
	block := append([]byte{0, 0xff, 0xff, 0, 0}, make([]byte, 0xffff)...)
	sum := binary.BigEndian.AppendUint32(nil, uint32(blocks*0xffff%65521)<<16|1)
	return io.MultiReader(bytes.NewReader([]byte{0x78, 0x01}), io.LimitReader(&cycle{p: block}, blocks*int64(len(block))),
		bytes.NewReader([]byte{1, 0, 0, 0xff, 0xff}), bytes.NewReader(sum))
}

// A cycle is the same octets again and again.
type cycle struct {
	p  []byte
	at int
}

func (c *cycle) Read(p []byte) (int, error) {
	n := copy(p, c.p[c.at:])
	c.at = (c.at + n) % len(c.p)
	return n, nil
}

func TestMemoryCompressed(t *testing.T) {
	blocks := large(t, 12) / 0xffff
	compressed := 2 + blocks*(5+0xffff) + 5 + 4
	head := join([]byte{0x30, 0x80}, marshalOID(OIDCompressedData), []byte{0xa0, 0x80, 0x30, 0x80}, number(0), algorithm(oidZlib),
		[]byte{0x30, 0x80}, marshalOID(OIDData), []byte{0xa0, 0x80, 0x04}, appendLength(nil, compressed))
	src := io.MultiReader(bytes.NewReader(head), storedZeros(blocks), bytes.NewReader(make([]byte, 10)))
	cheapMemory(t, func() {
		c, err := NewReader(src).CompressedData()
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		if err == nil {
			err = c.Finish()
		}
		if err != nil || n != blocks*0xffff {
			t.Errorf("%d octets, %v", n, err)
		}
	})
}
