package testpki

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever the place, openssl must not read the damaged message as if nothing had happened.
func TestDamage(t *testing.T) {
	p := Shared(t)
	entity := []byte("Content-Type: text/plain\r\n\r\n" + string(bytes.Repeat([]byte("Line of text 42.\r\n"), 40)))
	for name, o := range map[string]Options{
		"DER, P-256":     {Entity: entity, Signer: DomainSignerP256},
		"stream, key id": {Entity: entity, Stream: true, KeyID: true, LF: true},
	} {
		t.Run(name, func(t *testing.T) {
			opaque, _ := p.SignOpaque(t, o)
			detached, _ := p.SignDetached(t, o)
			encrypted, _ := p.Encrypt(t, o)
			damageAll(t, p, "opaque", opaque, entity, "", SignedPlaces)
			damageAll(t, p, "detached", detached, entity, "", DetachedPlaces)
			damageAll(t, p, "enveloped", encrypted, entity, DCANet, EnvelopedPlaces)
			o.Cipher = "aes-256-gcm"
			authenticated, _ := p.Encrypt(t, o)
			damageAll(t, p, "authenveloped", authenticated, entity, DCANet, AuthEnvelopedPlaces)
		})
	}
}

func damageAll(t *testing.T, p *PKI, form string, message, entity []byte, recipient string, places []Place) {
	t.Helper()
	original := bytes.Clone(message)
	for _, place := range places {
		damaged, err := Damage(message, place)
		if err != nil {
			t.Errorf("%s, %s: %v", form, place, err)
			continue
		}
		if !bytes.Equal(message, original) {
			t.Fatalf("%s, %s: the original changed", form, place)
		}
		if bytes.Equal(damaged, message) {
			t.Errorf("%s, %s: nothing changed", form, place)
		}
		same := len(damaged) == len(message)
		if wants := place != Base64Cut && place != MediaType; same != wants {
			t.Errorf("%s, %s: length %d, was %d", form, place, len(damaged), len(message))
		}
		got, err := read(p, damaged, recipient, false)
		t.Logf("%s, %s: %d octets, %v", form, place, len(got), err)
		if err == nil && bytes.Equal(got, entity) && place != CloseDelimiter && place != GCMTagLength {
			t.Errorf("%s, %s: openssl reads it as before", form, place)
		}
	}
}

// What a damage is meant to leave alone: the structure can still be printed.
func TestDamageKeepsStructure(t *testing.T) {
	p := Shared(t)
	encrypted, _ := p.Encrypt(t, Options{Stream: true})
	opaque, _ := p.SignOpaque(t, Options{})
	for _, place := range []Place{RecipientSerial, EncryptedKey, ContentIV, CiphertextFirst, CiphertextMiddle, CiphertextBefore, CiphertextLast,
		SignedContent, SignedAttributes, MessageDigest, SignatureValue, SignerSerial, CertificateValue} {
		message := encrypted
		if _, err := Damage(message, place); errors.Is(err, ErrNoPlace) {
			message = opaque
		}
		damaged, err := Damage(message, place)
		if err != nil {
			t.Fatal(err)
		}
		before, err := p.OpenSSL(message, "cms", "-cmsout", "-print", "-noout")
		if err != nil {
			t.Fatal(err)
		}
		after, err := p.OpenSSL(damaged, "cms", "-cmsout", "-print", "-noout")
		if err != nil {
			t.Errorf("%s: %v", place, err)
		}
		changed := 0
		b, a := bytes.Split(before, []byte("\n")), bytes.Split(after, []byte("\n"))
		if len(a) != len(b) {
			t.Errorf("%s: another structure", place)
			continue
		}
		for i := range b {
			if !bytes.Equal(a[i], b[i]) {
				changed++
				t.Logf("%s:\n%s\n%s", place, b[i], a[i])
			}
		}
		if changed != 1 {
			t.Errorf("%s: %d lines of the print changed, want 1", place, changed)
		}
	}
}

func TestDamageHasNoSuchPlace(t *testing.T) {
	p := Shared(t)
	encrypted, _ := p.Encrypt(t, Options{})
	opaque, _ := p.SignOpaque(t, Options{NoAttributes: true, NoCertificates: true})
	for _, c := range []struct {
		message []byte
		place   Place
	}{
		{encrypted, SignedContent}, {encrypted, Boundary}, {encrypted, "elsewhere"},
		{opaque, EncryptedKey}, {opaque, MessageDigest}, {opaque, CertificateValue}, {opaque, CloseDelimiter},
		{[]byte("Subject: x\n"), MediaType},
	} {
		if _, err := Damage(c.message, c.place); !errors.Is(err, ErrNoPlace) {
			t.Errorf("%s: %v", c.place, err)
		}
	}
	if _, err := Damage([]byte("Content-Type: application/pkcs7-mime\n\nMIAG\n"), EncryptedKey); err == nil {
		t.Error("a cut object has places")
	}
}

func FuzzDamage(f *testing.F) {
	f.Add([]byte("Content-Type: application/pkcs7-mime\n\nMIAGCSqGSIb3DQEHA6CAMIACAQAxAA==\n"), string(EncryptedKey))
	f.Add([]byte("Content-Type: multipart/signed; boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\nMAA=\r\n--b--\r\n"), string(SignatureValue))
	f.Fuzz(func(t *testing.T, message []byte, place string) {
		_, _ = Damage(message, Place(place)) // must return
	})
}
