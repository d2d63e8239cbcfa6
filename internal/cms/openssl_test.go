package cms

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// Every object of testdata/make.sh, made by OpenSSL.
func TestSignedByOpenSSL(t *testing.T) {
	content := testdata(t, "content.txt")
	for _, test := range []struct {
		file      string
		err       error
		digest    string
		signature string
		bits      int
	}{
		{"signed-rsa", nil, "sha256", "rsa", 2048},
		{"signed-p256", nil, "sha256", "ecdsa-p256", 256},
		{"signed-p384", nil, "sha384", "ecdsa-p384", 384},
		{"signed-detached", nil, "sha256", "rsa", 2048},
		{"signed-stream", nil, "sha256", "rsa", 2048},
		{"signed-nocerts", nil, "sha256", "rsa", 2048},
		{"signed-keyid", nil, "sha256", "rsa", 2048},
		{"signed-noattr", nil, "sha256", "rsa", 2048},
		{"signed-sha1", nil, "sha1", "rsa", 2048},
		{"signed-sha512", nil, "sha512", "rsa", 2048},
		{"signed-md5", ErrAlgorithm, "md5", "rsa", 2048},
		{"signed-pss", nil, "sha256", "rsa-pss", 2048},
	} {
		for how, reader := range readers {
			t.Run(test.file+"/"+how, func(t *testing.T) {
				v, err := verify(reader(bytes.NewReader(testdata(t, test.file+".der"))), content, cert(t, "rsa"))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(v.content, content) {
					t.Errorf("content %q", v.content)
				}
				if len(v.errs) != 1 || !errors.Is(v.errs[0], test.err) {
					t.Errorf("verified: %v, want %v", v.errs, test.err)
				}
				if v.signed.Detached != (test.file == "signed-detached") {
					t.Errorf("Detached = %v", v.signed.Detached)
				}
				si := v.signed.SignerInfos[0]
				if si.HasSignedAttrs == (test.file == "signed-noattr") {
					t.Errorf("HasSignedAttrs = %v", si.HasSignedAttrs)
				}
				digest, signature := si.Names()
				bits := si.KeyBits(si.Certificate(append(v.signed.Certificates, cert(t, "rsa"))))
				if digest != test.digest || signature != test.signature || bits != test.bits {
					t.Errorf("%s %s %d, want %s %s %d", digest, signature, bits, test.digest, test.signature, test.bits)
				}
			})
		}
	}
}

func TestTwoSigners(t *testing.T) {
	v, err := verify(bytes.NewReader(testdata(t, "signed-two.der")), nil)
	if err != nil || len(v.errs) != 2 || v.errs[0] != nil || v.errs[1] != nil {
		t.Fatal(err, v)
	}
}

// THREATS A20: nothing is verified where nobody signed.
func TestA20CertificatesOnly(t *testing.T) {
	v, err := verify(bytes.NewReader(testdata(t, "signed-certsonly.der")), nil)
	if err != nil || len(v.errs) != 0 || len(v.signed.Certificates) != 2 || !v.signed.Detached {
		t.Fatal(err, v)
	}
}

// An opaque signature taken off its content is one that OpenSSL verifies over that content.
func TestDetachedObject(t *testing.T) {
	needOpenSSL(t)
	for _, file := range []string{"signed-rsa", "signed-p256", "signed-stream", "signed-noattr", "signed-two"} {
		v, err := verify(bytes.NewReader(testdata(t, file+".der")), nil)
		if err != nil {
			t.Fatal(err)
		}
		out := openssl(t, v.signed.DetachedObject(), "cms", "-verify", "-binary", "-inform", "DER", "-content", "content.txt",
			"-noverify", "-nosigs", "-no_attr_verify")
		if !bytes.Equal(out, testdata(t, "content.txt")) {
			t.Errorf("%s: %q", file, out)
		}
		openssl(t, v.signed.DetachedObject(), "cms", "-verify", "-binary", "-inform", "DER", "-content", "content.txt", "-noverify")
		again, err := verify(bytes.NewReader(v.signed.DetachedObject()), v.content)
		if err != nil || !again.signed.Detached || again.errs[0] != nil {
			t.Errorf("%s: read back: %v %+v", file, err, again)
		}
	}
}

func TestEnvelopedByOpenSSL(t *testing.T) {
	content := testdata(t, "content.txt")
	for _, test := range []struct {
		file   string
		cipher string
		err    error
	}{
		{"enveloped-aes128", "aes128-cbc", nil},
		{"enveloped-aes192", "aes192-cbc", nil},
		{"enveloped-aes256", "aes256-cbc", nil},
		{"enveloped-stream", "aes256-cbc", nil},
		{"enveloped-keyid", "aes256-cbc", nil},
		{"enveloped-two", "aes256-cbc", nil},
		{"enveloped-oaep", "aes256-cbc", nil},
		{"enveloped-oaep256", "aes256-cbc", nil},
		{"enveloped-oaep256mgf1", "aes256-cbc", nil},
		{"enveloped-oaep512label", "aes128-cbc", nil},
		{"enveloped-kari-rsa", "aes256-cbc", nil},
		{"enveloped-kari", "aes256-cbc", ErrDecrypt}, // no RecipientInfo of ours: no key
		{"enveloped-des3", "des-ede3-cbc", nil},
	} {
		for how, reader := range readers {
			t.Run(test.file+"/"+how, func(t *testing.T) {
				src := reader(bytes.NewReader(testdata(t, test.file+".der")))
				got, e, err := decrypt(src, cert(t, "rsa"), decrypter(t, "rsa"))
				if !errors.Is(err, test.err) {
					t.Fatalf("%v, want %v", err, test.err)
				}
				if err == nil && !bytes.Equal(got, content) {
					t.Errorf("content %q", got)
				}
				if e.Cipher != test.cipher {
					t.Errorf("cipher %s, want %s", e.Cipher, test.cipher)
				}
			})
		}
	}
}

func TestContentTypes(t *testing.T) {
	r := NewReader(bytes.NewReader(testdata(t, "enveloped-gcm.der")))
	got, err := r.ContentType()
	if err != nil || !got.Equal(OIDAuthEnvelopedData) {
		t.Fatal(got, err)
	}
	if _, err := r.EnvelopedData(); !errors.Is(err, ErrSyntax) {
		t.Errorf("AuthEnvelopedData as EnvelopedData: %v", err)
	}
}

func TestRecipientKinds(t *testing.T) {
	e, err := NewReader(bytes.NewReader(testdata(t, "enveloped-kari-rsa.der"))).EnvelopedData()
	if err != nil || len(e.RecipientInfos) != 2 {
		t.Fatal(err)
	}
	kinds := map[RecipientKind]int{}
	for _, ri := range e.RecipientInfos {
		kinds[ri.Kind]++
	}
	if kinds[KeyAgree] != 1 || kinds[KeyTrans] != 1 {
		t.Error(kinds)
	}
}

// Sizes around every boundary of buffers and blocks, in one piece and in OpenSSL's pieces, against OpenSSL.
func TestSizesAgainstOpenSSL(t *testing.T) {
	needOpenSSL(t)
	sizes := []int{0, 1, 15, 16, 17, 4095, decryptSize - 16, decryptSize - 1, decryptSize, decryptSize + 1, bufferSize - 7, 3*bufferSize + 5, 1 << 20}
	for i, size := range sizes {
		content := pattern(size)
		var stream []string
		if i%2 == 1 {
			stream = []string{"-stream"}
		}
		signed := openssl(t, content, append([]string{"cms", "-sign", "-binary", "-nodetach", "-signer", "p256.crt", "-inkey", "p256.key",
			"-outform", "DER"}, stream...)...)
		v, err := verify(bytes.NewReader(signed), nil)
		if err != nil || v.errs[0] != nil || !bytes.Equal(v.content, content) {
			t.Errorf("signed, %d octets: %v %v", size, err, v)
		}
		enveloped := openssl(t, content, append(append([]string{"cms", "-encrypt", "-binary", "-aes128", "-outform", "DER"}, stream...), "rsa.crt")...)
		got, _, err := decrypt(bytes.NewReader(enveloped), cert(t, "rsa"), decrypter(t, "rsa"))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("enveloped, %d octets: %v, %d octets", size, err, len(got))
		}
	}
}

// pattern returns n octets without a short period.
func pattern(n int) []byte {
	p := make([]byte, n)
	x := uint32(2463534242)
	for i := range p {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}

// Finish without a Read hashes the content all the same.
func TestFinishDrains(t *testing.T) {
	s, err := NewReader(bytes.NewReader(testdata(t, "signed-stream.der"))).SignedData()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	si := s.SignerInfos[0]
	if err := si.Verify(si.Certificate(s.Certificates), s.Digest(si.Hash), s.EContentType); err != nil {
		t.Error(err)
	}
}
