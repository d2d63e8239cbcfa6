package cms

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// seeds gives every object of the test data whose name begins with prefix.
func seeds(f *testing.F, prefix string) {
	files, err := filepath.Glob(filepath.Join("testdata", prefix+"*.der"))
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		f.Add(testdata(f, filepath.Base(file)))
	}
}

// known reports whether err is one that readers of this package give.
func known(err error) bool {
	return err == nil || errors.Is(err, ErrSyntax) || errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrDecrypt)
}

// FuzzReader walks any BER. Read in one piece or octet by octet it is the same, and its DER is stable.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"2480040161240304016200000000", "30800201010000", "3004040261", "1f80", "3082", "248000"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		whole, err := readOctets(&ber{src: bytes.NewReader(p)})
		bytewise, err2 := readOctets(&ber{src: iotest.OneByteReader(bytes.NewReader(p))})
		if !bytes.Equal(whole, bytewise) || (err == nil) != (err2 == nil) || !known(err) {
			t.Fatalf("%x, %v; %x, %v", whole, err, bytewise, err2)
		}
		before := bytes.Clone(p)
		der, err := toDER(p)
		if !bytes.Equal(p, before) {
			t.Fatal("input changed")
		}
		if err != nil {
			if !known(err) {
				t.Fatal(err)
			}
			return
		}
		if _, ok, err := scan(der); !ok || err != nil {
			t.Fatalf("%x is not DER: %v", der, err)
		}
		b := &ber{src: bytes.NewReader(p)}
		e, err := b.next()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.collect(nil, e, len(p))
		if err != nil || !bytes.Equal(raw, p) {
			t.Fatalf("collect: %x, %v", raw, err)
		}
		d := &ber{src: bytes.NewReader(p)}
		if e, err = d.next(); err != nil {
			t.Fatal(err)
		}
		if err := d.discard(e); err != nil || d.offset() != int64(len(p)) {
			t.Fatalf("discard stops at %d: %v", d.offset(), err)
		}
	})
}

// FuzzSignedData: nothing verifies but the content that the keys of the test data signed.
func FuzzSignedData(f *testing.F) {
	seeds(f, "signed-")
	seeds(f, "pss-")
	seeds(f, "ed25519")
	signedContent := testdata(f, "content.txt")
	rsaCert, p256Cert, p384Cert := cert(f, "rsa"), cert(f, "p256"), cert(f, "p384")
	f.Fuzz(func(t *testing.T, p []byte) {
		v, err := verify(bytes.NewReader(p), signedContent, rsaCert)
		if !known(err) {
			t.Fatal(err)
		}
		half, err2 := verify(iotest.HalfReader(bytes.NewReader(p)), signedContent, rsaCert)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%v; in halves %v", err, err2)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(v.content, half.content) {
			t.Fatal("content differs in halves")
		}
		if again, err := verify(bytes.NewReader(v.signed.DetachedObject()), v.content, rsaCert); err != nil || len(again.errs) != len(v.errs) {
			t.Fatalf("DetachedObject: %v", err)
		}
		for i, err := range v.errs {
			si := v.signed.SignerInfos[i]
			used := si.Certificate(append(v.signed.Certificates, rsaCert))
			si.Names()
			si.KeyBits(used)
			ours := bytes.Equal(used, rsaCert) || bytes.Equal(used, p256Cert) || bytes.Equal(used, p384Cert)
			if err == nil && ours && !bytes.Equal(v.content, signedContent) && !LooksLikeSignedAttrs(v.content) {
				t.Fatalf("verifies %q", v.content)
			}
		}
	})
}

// FuzzEnvelopedData: no panic, no error but the documented ones, and as many octets out as blocks in.
func FuzzEnvelopedData(f *testing.F) {
	seeds(f, "enveloped-")
	f.Add(enveloping{padded: pad(content)}.der(f))
	f.Fuzz(func(t *testing.T, p []byte) {
		e, err := NewReader(bytes.NewReader(p)).EnvelopedData()
		if err != nil {
			if !known(err) {
				t.Fatal(err)
			}
			return
		}
		for _, ri := range e.RecipientInfos {
			if _, err := ParseRecipientInfo(ri.DER); !known(err) {
				t.Fatal(err)
			}
			if _, err := ri.transport(32); !known(err) {
				t.Fatal(err)
			}
		}
		var out strings.Builder
		err = e.Decrypt([]byte("0123456789abcdef"), io.MultiWriter(&out))
		if !known(err) {
			t.Fatal(err)
		}
		n, whole := int64(out.Len()), e.Stats().Blocks*16
		if err == nil && (n >= whole || n < whole-16) || err == ErrDecrypt && n > whole {
			t.Fatalf("%d octets out of %d: %v", n, whole, err)
		}
	})
}

// FuzzAuthEnvelopedData: no panic, no error but the documented ones, no second reading that differs, and nothing comes
// out whole but what was sealed: all that the tag covers is there to the bit.
func FuzzAuthEnvelopedData(f *testing.F) {
	key := []byte("0123456789abcdef0123456789abcdef")
	contentType := attribute(OIDAttrContentType, marshalOID(OIDData))
	f.Add(testdata(f, "enveloped-gcm.der"))
	f.Add(testdata(f, "enveloped-aes256.der"))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}}.der(f))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, attrs: [][]byte{contentType}, tagSize: 12}.der(f))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, oid: oidOf("aes256-ccm"), seal: ccm(f), tagSize: 14}.der(f))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, oid: oidOf("chacha20-poly1305"), seal: chaCha(f), params: octetString([]byte("fedcba987654"))}.der(f))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, ciphertext: pieces(7), unauthAttrs: tagged(2, contentType)}.der(f))
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := NewReader(bytes.NewReader(p)).AuthEnvelopedData()
		if err != nil {
			if !known(err) {
				t.Fatal(err)
			}
			return
		}
		again := func() (io.Reader, error) { return iotest.OneByteReader(bytes.NewReader(p)), nil }
		var out bytes.Buffer
		err = a.Decrypt(key, again, &out)
		if !known(err) && !errors.Is(err, ErrAttributes) {
			t.Fatal(err)
		}
		stats := a.Stats()
		if stats.Ciphertext != int64(out.Len()) || (err == nil || err == ErrDecrypt) && stats.Tagged != stats.Ciphertext {
			t.Fatalf("%d octets: %v, %+v", out.Len(), err, stats)
		}
		if err == nil && out.Len() > 0 && !bytes.Equal(out.Bytes(), content) { // a seed is empty
			t.Fatalf("%q", out.Bytes())
		}
	})
}

// FuzzLenient: what a strict Reader takes a lenient one takes too, says the same of it, and finds no deviation. What only
// a lenient one takes has a deviation.
func FuzzLenient(f *testing.F) {
	same := func(p []byte) []byte { return p }
	attr := attribute(OIDAttrContentType, marshalOID(OIDData))
	f.Add(gcmInEnveloped(f, content, nil, 16, same))
	f.Add(gcmInEnveloped(f, content, octetString([]byte("fedcba987654")), 16, same))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, attrs: [][]byte{attr}, rawAttrs: tagged(2, attr)}.der(f))
	f.Add(authEnveloping{plaintext: content, encrypted: []byte{1}, unauthAttrs: tagged(3, attr)}.der(f))
	f.Add(testdata(f, "bc-gcm-in-enveloped.der"))
	f.Add(testdata(f, "bc-des3.der"))
	f.Fuzz(func(t *testing.T, p []byte) {
		read := func(lenient bool) (string, []Deviation, error) {
			again := func() (io.Reader, error) { return iotest.HalfReader(bytes.NewReader(p)), nil }
			r := NewReader(bytes.NewReader(p))
			r.Lenient = lenient
			var out strings.Builder
			contentType, err := r.ContentType()
			switch {
			case err != nil:
			case contentType.Equal(OIDAuthEnvelopedData):
				var a *AuthEnvelopedData
				if a, err = r.AuthEnvelopedData(); err == nil {
					err = a.Decrypt([]byte("0123456789abcdef0123456789abcdef")[:a.KeySize], again, &out)
				}
			default:
				var e *EnvelopedData
				if e, err = r.EnvelopedData(); err == nil {
					err = e.DecryptAgain([]byte("0123456789abcdef0123456789abcdef")[:e.KeySize], again, &out)
				}
			}
			if !known(err) && !errors.Is(err, ErrAttributes) {
				t.Fatal(err)
			}
			return out.String(), r.Deviations(), err
		}
		strict, none, strictErr := read(false)
		got, deviations, err := read(true)
		if len(none) > 0 || strictErr == nil && (err != nil || got != strict || len(deviations) > 0) || strictErr != nil && err == nil && len(deviations) == 0 {
			t.Fatalf("strict %v, %q; lenient %v, %q", strictErr, none, err, deviations)
		}
	})
}
