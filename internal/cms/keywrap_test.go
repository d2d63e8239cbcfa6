package cms

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"testing"
)

// wrapKey encrypts a key as RFC 3394 2.2.1, or RFC 5649 4.1 when padded, says.
func wrapKey(t testing.TB, kek, key []byte, padded bool) []byte {
	t.Helper()
	cipher, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := bytes.Repeat([]byte{0xa6}, 8)
	r := bytes.Clone(key)
	if padded {
		a = binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(key)))
		for len(r)%8 != 0 {
			r = append(r, 0)
		}
		if len(r) == 8 {
			out := append(a, r...)
			cipher.Encrypt(out, out)
			return out
		}
	}
	for j := range 6 {
		for i := 0; i < len(r); i += 8 {
			b := append(bytes.Clone(a), r[i:i+8]...)
			cipher.Encrypt(b, b)
			binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(b)^uint64(len(r)/8*j+i/8+1))
			copy(r[i:], b[8:])
		}
	}
	return append(a, r...)
}

// The examples of RFC 3394 section 4 and RFC 5649 section 6.
func TestKeyWrapVectors(t *testing.T) {
	for _, test := range []struct {
		padded            bool
		kek, key, wrapped string
	}{
		{false, "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
			"1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{false, "000102030405060708090a0b0c0d0e0f1011121314151617", "00112233445566778899aabbccddeeff",
			"96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
		{false, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00112233445566778899aabbccddeeff",
			"64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
		{false, "000102030405060708090a0b0c0d0e0f1011121314151617", "00112233445566778899aabbccddeeff0001020304050607",
			"031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"},
		{false, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00112233445566778899aabbccddeeff0001020304050607",
			"a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
		{false, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
		{true, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "c37b7e6492584340bed12207808941155068f738",
			"138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{true, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
			"afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		kek, key := unhex(t, test.kek), unhex(t, test.key)
		w := keyWrap{len(kek), test.padded}
		wrapped := unhex(t, test.wrapped)
		if !bytes.Equal(wrapKey(t, kek, key, test.padded), wrapped) {
			t.Errorf("the test wraps %s otherwise", test.key)
		}
		unwrap := func(ciphertext []byte, size int) []byte {
			ri := &RecipientInfo{Recipients: []Recipient{{EncryptedKey: ciphertext}}}
			got, err := ri.unwrapped(w, kek, size, 1)
			if err != nil || len(got) != size || ri.work.randomKeys != 1 {
				t.Fatalf("%d octets, %v", len(got), err)
			}
			return got
		}
		if got := unwrap(wrapped, len(key)); !bytes.Equal(got, key) {
			t.Errorf("%x, want %s", got, test.key)
		}
		for i := range wrapped {
			bad := bytes.Clone(wrapped)
			bad[i] ^= 0x80
			if got := unwrap(bad, len(key)); bytes.Equal(got, key) {
				t.Errorf("octet %d of %s is not looked at", i, test.wrapped)
			}
		}
		for _, size := range []int{len(key) - 1, len(key) + 1, len(key) + 8} {
			if got := unwrap(wrapped, size); bytes.HasPrefix(got, key[:4]) {
				t.Errorf("%d octets out of %d", size, len(key))
			}
		}
	}
}
