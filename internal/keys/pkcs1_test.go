package keys

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"paperknife/internal/cms"
)

// bare is the RSA operation without padding; short leaves out zeros in front, as some tokens do.
func bare(key *rsa.PrivateKey, short bool) rawRSA {
	return rawRSA{&key.PublicKey, func(ciphertext []byte) ([]byte, error) {
		m := new(big.Int).Exp(new(big.Int).SetBytes(ciphertext), key.D, key.N)
		if short {
			return m.Bytes(), nil
		}
		return m.FillBytes(make([]byte, key.Size())), nil
	}}
}

// raise encrypts an encoded message.
func raise(key *rsa.PrivateKey, em []byte) []byte {
	return new(big.Int).Exp(new(big.Int).SetBytes(em), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
}

// TestA10RawPKCS1: what the standard library takes for right PKCS #1 v1.5 padding is taken here, and nothing else;
// all of it gives a key.
func TestA10RawPKCS1(t *testing.T) {
	key := rsaKey(0)
	k := key.Size()
	secret := []byte("0123456789abcdef")
	em := func(start string, fill byte, end ...byte) []byte {
		p := []byte(start)
		p = append(p, bytes.Repeat([]byte{fill}, k-len(p)-len(end))...)
		return append(p, end...)
	}
	behind := append([]byte{0}, secret...)
	for name, em := range map[string][]byte{
		"good":                 em("\x00\x02", 0x55, behind...),
		"block type 1":         em("\x00\x01", 0x55, behind...),
		"no 00 in front":       em("\x01\x02", 0x55, behind...),
		"no 00 behind":         em("\x00\x02", 0x55, secret...),
		"00 first":             em("\x00\x02\x00", 0x55, behind...),
		"00 in the middle":     em("\x00\x02\x55\x55\x55\x55\x55\x55\x55\x55\x55\x00", 0x55, behind...),
		"00 last":              em("\x00\x02", 0x55, append([]byte{0}, behind...)...),
		"key of 15":            em("\x00\x02", 0x55, append([]byte{0}, secret[1:]...)...),
		"key of 17":            em("\x00\x02", 0x55, append([]byte{0, 9}, secret...)...),
		"nothing":              em("\x00\x02", 0x55, 0),
		"zero":                 make([]byte, k),
		"one":                  em("", 0, 1),
		"key with 00 in front": em("\x00\x02", 0x55, append([]byte{0, 0}, secret[1:]...)...),
	} {
		ciphertext := raise(key, em)
		for _, short := range []bool{false, true} {
			for _, size := range []int{16, 15, 24, k - 11, k - 10, k} {
				//lint:ignore SA1019 what is compared
				opts := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}
				got, err := bare(key, short).Decrypt(nil, ciphertext, opts)
				again, err2 := bare(key, short).Decrypt(nil, ciphertext, opts)
				if err != nil || err2 != nil || len(got) != size {
					t.Fatalf("%s, %d: %v, %v, %d octets", name, size, err, err2, len(got))
				}
				want := make([]byte, size)
				copy(want, "another")
				//lint:ignore SA1019 what is compared
				if err := rsa.DecryptPKCS1v15SessionKey(rand.Reader, key, ciphertext, want); err != nil {
					want = nil // the library refuses a key that cannot fit
				}
				right := want != nil && !bytes.HasPrefix(want, []byte("another"))
				if bytes.Equal(got, again) != right || right && !bytes.Equal(got, want) {
					t.Errorf("%s, %d, short %v: %x and %x, the library %x", name, size, short, got, again, want)
				}
			}
		}
	}
}

// TestRawOAEP: what the standard library makes is read, and each fault in the encoding is rsa.ErrDecryption.
func TestRawOAEP(t *testing.T) {
	key := rsaKey(0)
	k := key.Size()
	for _, opts := range []*rsa.OAEPOptions{
		{Hash: crypto.SHA1, MGFHash: crypto.SHA1}, {Hash: crypto.SHA256, MGFHash: crypto.SHA256},
		{Hash: crypto.SHA256, MGFHash: crypto.SHA1, Label: []byte("label")}, {Hash: crypto.SHA512, MGFHash: crypto.SHA384},
	} {
		for _, size := range []int{0, 1, 16, 32, k - 2*opts.Hash.Size() - 2} {
			secret := bytes.Repeat([]byte{1}, size)
			ciphertext, err := rsa.EncryptOAEPWithOptions(rand.Reader, &key.PublicKey, secret, opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, short := range []bool{false, true} {
				if got, err := bare(key, short).Decrypt(nil, ciphertext, opts); err != nil || !bytes.Equal(got, secret) {
					t.Errorf("%v, %d octets: %x, %v", opts, size, got, err)
				}
			}
			wrong := *opts
			wrong.Label = []byte("wrong")
			if _, err := bare(key, false).Decrypt(nil, ciphertext, &wrong); err != rsa.ErrDecryption {
				t.Errorf("another label: %v", err)
			}
		}
	}
	opts := &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256}
	encode := func(first byte, db []byte) []byte {
		em := append(append([]byte{first}, bytes.Repeat([]byte{7}, 32)...), db...)
		xorMGF1(em[33:], em[1:33], crypto.SHA256)
		xorMGF1(em[1:33], em[33:], crypto.SHA256)
		return raise(key, em)
	}
	label := crypto.SHA256.New().Sum(nil)
	db := func(rest ...byte) []byte {
		p := append(bytes.Clone(label), make([]byte, k-33-len(label)-len(rest))...)
		return append(p, rest...)
	}
	for name, test := range map[string]struct {
		ciphertext []byte
		ok         bool
	}{
		"good":              {encode(0, db(1, 'k', 'e', 'y')), true},
		"not 00 in front":   {encode(1, db(1, 'k', 'e', 'y')), false},
		"no 01":             {encode(0, db()), false},
		"02 in place of 01": {encode(0, db(2, 'k', 'e', 'y')), false},
		"noise before 01":   {encode(0, db(9, 0, 1, 'k', 'e', 'y')), false},
		"hash differs":      {encode(0, append(bytes.Repeat([]byte{3}, 32), db(1, 'k', 'e', 'y')[32:]...)), false},
		"zero":              {make([]byte, k), false},
	} {
		got, err := bare(key, false).Decrypt(nil, test.ciphertext, opts)
		if test.ok && (err != nil || string(got) != "key") || !test.ok && err != rsa.ErrDecryption {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		theirs, err := key.Decrypt(nil, test.ciphertext, opts)
		if (err == nil) != test.ok || !bytes.Equal(theirs, got) {
			t.Errorf("%s: the library says %q, %v", name, theirs, err)
		}
	}
	if _, err := unpadOAEP(make([]byte, 65), opts); err != rsa.ErrDecryption {
		t.Error(err)
	}
}

// TestRawFaults: faults are passed on, and what is no padding of ours is not tried.
func TestRawFaults(t *testing.T) {
	key := rsaKey(0)
	fault := errors.New("token removed")
	broken := rawRSA{&key.PublicKey, func([]byte) ([]byte, error) { return nil, fault }}
	long := rawRSA{&key.PublicKey, func([]byte) ([]byte, error) { return make([]byte, 257), nil }}
	if _, err := broken.Decrypt(nil, nil, &rsa.OAEPOptions{Hash: crypto.SHA1}); !errors.Is(err, fault) {
		t.Error(err)
	}
	if _, err := long.Decrypt(nil, nil, &rsa.OAEPOptions{Hash: crypto.SHA1}); err == nil || errors.Is(err, rsa.ErrDecryption) {
		t.Error(err)
	}
	if _, err := bare(key, false).Decrypt(nil, make([]byte, 256), nil); !errors.Is(err, cms.ErrAlgorithm) {
		t.Error(err)
	}
}
