package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"testing"
)

// The tag in pieces is the tag of the standard library, for ciphertexts and additional data of all lengths around
// blocks, in pieces of every kind, and leaves the ciphertext as it was.
func TestGCMTag(t *testing.T) {
	nonce := []byte("twelve octet")
	for _, keySize := range []int{16, 24, 32} {
		key := pattern(keySize)
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		g, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 127, 128, 129, 1000, 4096, 70001} {
			for _, aadSize := range []int{0, 1, 15, 16, 17, 32, 33, 200, 5000} {
				aad := pattern(aadSize)
				sealed := g.Seal(nil, nonce, pattern(size), aad)
				for _, piece := range []int{16, 32, 48, 4096, size} {
					ciphertext := bytes.Clone(sealed[:size])
					tag, err := NewGCMTag(key, nonce)
					if err != nil {
						t.Fatal(err)
					}
					for rest := ciphertext; len(rest) > 0; {
						n := min(piece, len(rest))
						tag.Add(rest[:n])
						rest = rest[n:]
					}
					if got := tag.Sum(aad); !bytes.Equal(got[:], sealed[size:]) {
						t.Errorf("%d octets in pieces of %d, %d additional: %x, want %x", size, piece, aadSize, got, sealed[size:])
					}
					if !bytes.Equal(ciphertext, sealed[:size]) {
						t.Errorf("%d octets in pieces of %d: ciphertext changed", size, piece)
					}
				}
			}
		}
	}
}

// Test case 4 of "The Galois/Counter Mode of Operation", McGrew and Viega, appendix B.
func TestGCMTagVector(t *testing.T) {
	tag, err := NewGCMTag(unhex(t, "feffe9928665731c6d6a8f9467308308"), unhex(t, "cafebabefacedbaddecaf888"))
	if err != nil {
		t.Fatal(err)
	}
	tag.Add(unhex(t, "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"+
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"))
	want := unhex(t, "5bc94fbc3221a5db94fae95ae7121a47")
	if got := tag.Sum(unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2")); !bytes.Equal(got[:], want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestGCMTagRefuses(t *testing.T) {
	for _, test := range []struct{ key, nonce int }{{16, 0}, {16, 11}, {16, 13}, {16, 16384}, {0, 12}, {15, 12}, {33, 12}} {
		if _, err := NewGCMTag(make([]byte, test.key), make([]byte, test.nonce)); err == nil {
			t.Errorf("key of %d octets, nonce of %d: no error", test.key, test.nonce)
		}
	}
}

// A field has one, distributes, commutes, and powers add up.
func TestFieldElement(t *testing.T) {
	one := fieldElement{hi: 1 << 63}
	p := pattern(48 * 20)
	for ; len(p) > 0; p = p[48:] {
		x, y, z := loadElement(p), loadElement(p[16:]), loadElement(p[32:])
		switch {
		case x.times(one) != x:
			t.Error("one")
		case x.times(y) != y.times(x):
			t.Error("commutative")
		case x.plus(y).times(z) != x.times(z).plus(y.times(z)):
			t.Error("distributive")
		case x.power(5).times(x.power(1<<40)) != x.power(1<<40+5):
			t.Error("powers")
		case x.power(0) != one || x.power(1) != x:
			t.Error("small powers")
		}
	}
}
