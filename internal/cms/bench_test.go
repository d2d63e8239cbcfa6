package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
)

const benchSize = 16 << 20

// The ceilings: what the two algorithms cost alone.
func BenchmarkSHA256(b *testing.B) {
	p := make([]byte, benchSize)
	b.SetBytes(benchSize)
	for b.Loop() {
		sha256.Sum256(p)
	}
}

func BenchmarkCBC(b *testing.B) {
	p := make([]byte, decryptSize)
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	mode := cipher.NewCBCDecrypter(block, make([]byte, 16))
	b.SetBytes(benchSize)
	for b.Loop() {
		for range benchSize / decryptSize {
			mode.CryptBlocks(p, p)
		}
	}
}

func BenchmarkSignedRead(b *testing.B) {
	object := signing{content: make([]byte, benchSize)}.der(b)
	buf := make([]byte, 32<<10)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewReader(bytes.NewReader(object)).SignedData()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{s}, buf); err != nil {
			b.Fatal(err)
		}
		if err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	object := enveloping{padded: pad(make([]byte, benchSize))}.der(b)
	benchDecrypt(b, object)
}

// In pieces of 4 KiB, as OpenSSL writes them with -stream.
func BenchmarkDecryptPieces(b *testing.B) {
	p := octetString(make([]byte, 4096))
	object := enveloping{ciphertext: endless(tagContextConstructed, bytes.Repeat(p, benchSize/4096))}.der(b)
	benchDecrypt(b, object)
}

func benchDecrypt(b *testing.B, object []byte) {
	key := []byte("0123456789abcdef")
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		e, err := NewReader(bytes.NewReader(object)).EnvelopedData()
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Decrypt(key, io.Discard); err != nil && err != ErrDecrypt {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyRSA(b *testing.B)  { benchVerify(b, "signed-rsa.der") }
func BenchmarkVerifyP256(b *testing.B) { benchVerify(b, "signed-p256.der") }

func benchVerify(b *testing.B, file string) {
	object := testdata(b, file)
	b.ReportAllocs()
	for b.Loop() {
		v, err := verify(bytes.NewReader(object), nil)
		if err != nil || v.errs[0] != nil {
			b.Fatal(err)
		}
	}
}

// What the tag of AES-GCM costs alone.
func BenchmarkGCMTag(b *testing.B) {
	for _, piece := range []int{32 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprint(piece), func(b *testing.B) {
			p := make([]byte, piece)
			b.SetBytes(benchSize)
			for b.Loop() {
				tag, err := NewGCMTag(make([]byte, 32), make([]byte, 12))
				if err != nil {
					b.Fatal(err)
				}
				for range benchSize / piece {
					tag.Add(p)
				}
				tag.Sum(nil)
			}
		})
	}
}

// Both readings of an AuthEnvelopedData, at a size that is held and at one that is read again.
func BenchmarkAuthDecrypt(b *testing.B) {
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, size := range []int{4 << 10, benchSize} {
		object := authEnveloping{plaintext: make([]byte, size)}.der(b)
		again := func() (io.Reader, error) { return bytes.NewReader(object), nil }
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				a, err := NewReader(bytes.NewReader(object)).AuthEnvelopedData()
				if err != nil {
					b.Fatal(err)
				}
				if err := a.Decrypt(key, again, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSignatures is what one signature of each kind costs.
func BenchmarkSignatures(b *testing.B) {
	for _, file := range []string{"signed-rsa", "signed-p256", "pss-sha256", "pss-mgf1sha1", "ed25519", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"} {
		b.Run(file, func(b *testing.B) {
			v, err := verify(bytes.NewReader(testdata(b, file+".der")), nil)
			if err != nil {
				b.Fatal(err)
			}
			si := v.signed.SignerInfos[0]
			cert, digest := si.Certificate(v.signed.Certificates), v.signed.Digest(si.Hash)
			for b.Loop() {
				if err := si.Verify(cert, digest, OIDData); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecryptCCM(b *testing.B) {
	benchAEAD(b, "aes128-ccm", seq(octetString(make([]byte, 8)), number(16)), 16)
}

func BenchmarkDecryptChaCha(b *testing.B) {
	benchAEAD(b, "chacha20-poly1305", octetString(make([]byte, 12)), 32)
}

func benchAEAD(b *testing.B, name string, params []byte, keySize int) {
	info := seq(marshalOID(OIDData), algorithm(oidOf(name), params), appendElement(nil, tagContextPrimitive, make([]byte, benchSize)))
	object := seq(marshalOID(OIDAuthEnvelopedData), tagged(0, seq(number(0), set(), info, octetString(make([]byte, 16)))))
	again := func() (io.Reader, error) { return bytes.NewReader(object), nil }
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		src, _ := again()
		a, err := NewReader(src).AuthEnvelopedData()
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Decrypt(make([]byte, keySize), again, io.Discard); err != ErrDecrypt {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecryptDES3(b *testing.B) {
	object := enveloping{oid: oidOf("des-ede3-cbc"), params: octetString(make([]byte, 8)), ciphertext: appendElement(nil, tagContextPrimitive, make([]byte, benchSize/16))}.der(b)
	b.SetBytes(benchSize / 16)
	for b.Loop() {
		e, err := NewReader(bytes.NewReader(object)).EnvelopedData()
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Decrypt(make([]byte, 24), io.Discard); err != nil && err != ErrDecrypt {
			b.Fatal(err)
		}
	}
}

// What is compressed as text is.
func BenchmarkExpand(b *testing.B) {
	content := words(4 << 20)
	object := compressing{content: content}.der(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := NewReader(bytes.NewReader(object)).CompressedData()
		if err == nil {
			err = c.Finish()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
