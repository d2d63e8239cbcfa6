package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/test/need"

	"github.com/cloudflare/circl/dh/x448"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyAgreement(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }

// keyAgree makes a KeyAgreeRecipientInfo that names the identifiers.
func keyAgree(identifiers ...func(*cryptobyte.Builder)) []byte {
	context := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	var b cryptobyte.Builder
	b.AddASN1(context(1), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(context(0), func(b *cryptobyte.Builder) {
			b.AddASN1(context(1), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}) })
				b.AddASN1BitString([]byte{4})
			})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1})
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 5})
			})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, identifier := range identifiers {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					identifier(b)
					b.AddASN1OctetString([]byte("x"))
				})
			}
		})
	})
	return b.BytesOrPanic()
}

// rKeyID is the form of a key identifier in KeyAgreeRecipientInfo.
func rKeyID(id []byte) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(id) })
	}
}

func (o *owner) name() func(*cryptobyte.Builder) {
	return issuerAndSerial(o.cert.RawIssuer, o.cert.SerialNumber)
}

// TestChooseAcrossKinds: rule 2 of DESIGN whatever the kind of RecipientInfo: one is tried, and two for one
// certificate are none.
func TestChooseAcrossKinds(t *testing.T) {
	current := newOwner(t, ecKey(t, elliptic.P256()), 1, keyAgreement)
	retired := newOwner(t, ecKey(t, elliptic.P384()), 2, keyAgreement)
	rsa := newOwner(t, rsaKey(0), 3)
	stranger := newOwner(t, rsaKey(1), 9)
	ring := load(t, current, retired, rsa)
	ids := func(o ...*owner) []byte {
		var names []func(*cryptobyte.Builder)
		for _, o := range o {
			names = append(names, o.name())
		}
		return keyAgree(names...)
	}
	for _, test := range []struct {
		name  string
		infos [][]byte
		index int
		ours  bool
	}{
		{"alone", [][]byte{ids(current)}, 0, true},
		{"by rKeyId", [][]byte{keyAgree(rKeyID(stranger.cert.SubjectKeyId), rKeyID(current.cert.SubjectKeyId))}, 0, true},
		{"nobody named", [][]byte{keyAgree()}, -1, false},
		{"only strangers", [][]byte{ids(stranger, stranger)}, -1, false},
		{"among strangers", [][]byte{stranger.bySerial(), ids(stranger, current, stranger)}, 1, true},
		{"two keys in one", [][]byte{ids(retired, current)}, 0, true},
		{"two keys in two", [][]byte{ids(retired), ids(current)}, 1, true},
		{"RSA first in the message", [][]byte{rsa.bySerial(), ids(retired)}, 1, true},
		{"RSA behind", [][]byte{ids(retired), rsa.bySerial()}, 0, true},
		{"twice in one", [][]byte{ids(current, current)}, -1, true},
		{"twice in one under both names", [][]byte{keyAgree(current.name(), rKeyID(current.cert.SubjectKeyId))}, -1, true},
		{"twice in two", [][]byte{ids(current), ids(stranger, current)}, -1, true},
		{"key agreement and key transport for one", [][]byte{current.bySerial(), ids(current)}, -1, true},
		{"the other order", [][]byte{ids(rsa), rsa.byKeyID()}, -1, true},
		{"one twice beside a better", [][]byte{ids(current), ids(retired, retired)}, -1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if index, ours := ring.Choose(test.infos); index != test.index || ours != test.ours {
				t.Errorf("%d, %v; want %d, %v", index, ours, test.index, test.ours)
			}
		})
	}
	if _, err := ring.ContentKey(ids(current, current), 16); !errors.Is(err, ErrNotOurs) || ring.Operations() != 0 {
		t.Errorf("twice: %v", err)
	}
	// A key of another kind cannot open it, and is not asked.
	for _, info := range [][]byte{current.bySerial(), ids(rsa)} {
		if _, err := ring.ContentKey(info, 16); !errors.Is(err, cms.ErrAlgorithm) || errors.Is(err, ErrKeyStore) || ring.Operations() != 0 {
			t.Errorf("another kind: %v", err)
		}
	}
}

// TestKeyKinds: keys on every curve, in PKCS #8 and SEC 1, open what OpenSSL seals for them.
func TestKeyKinds(t *testing.T) {
	need.Command(t, "openssl")
	plain := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	in := write(t, t.TempDir(), "plain", plain)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key := ecKey(t, curve)
		o := newOwner(t, key, 1, keyAgreement)
		sec1, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for form, pair := range map[string]Pair{
			"PKCS #8": o.pair,
			"SEC 1":   {Cert: o.pair.Cert, Key: write(t, t.TempDir(), "sec1", pemBlock("EC PRIVATE KEY", sec1))},
		} {
			ring, err := Load([]Pair{pair})
			if err != nil {
				t.Fatal(err)
			}
			if errs, warnings := ring.Check(), ring.Findings(); len(errs)+len(warnings) != 0 {
				t.Errorf("%s: %v %q", form, errs, warnings)
			}
			object, err := exec.Command("openssl", "cms", "-encrypt", "-binary", "-in", in, "-outform", "DER", "-aes256", o.pair.Cert).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := opened(t, ring, object); !bytes.Equal(got, plain) || ring.Operations() != 1 {
				t.Errorf("%s %s: %q after %d operations", curve.Params().Name, form, got, ring.Operations())
			}
		}
	}
}

// opened opens an EnvelopedData.
func opened(t testing.TB, ring *Ring, object []byte) []byte {
	t.Helper()
	e, err := cms.NewReader(bytes.NewReader(object)).EnvelopedData()
	if err != nil {
		t.Fatal(err)
	}
	var infos [][]byte
	for _, ri := range e.RecipientInfos {
		infos = append(infos, ri.DER)
	}
	index, ours := ring.Choose(infos)
	if !ours || index < 0 {
		t.Fatal("not ours")
	}
	key, err := ring.ContentKey(infos[index], e.KeySize)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.Decrypt(key, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// certify makes a certificate for a key that cannot sign.
func certify(t testing.TB, algorithm asn1.ObjectIdentifier, public []byte, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "agent"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: usage, SubjectKeyId: []byte{77}, DNSNames: []string{"example.net"},
	}
	signer := ecKey(t, elliptic.P256())
	der, err := x509.CreateCertificate(rand.Reader, c, c, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	// The signature is not looked at, so the key can be put in its place.
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := asn1.Marshal(struct {
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Key       asn1.BitString
	}{struct{ OID asn1.ObjectIdentifier }{algorithm}, asn1.BitString{Bytes: public, BitLength: 8 * len(public)}})
	if err != nil {
		t.Fatal(err)
	}
	var whole, tbs cryptobyte.String
	rest := cryptobyte.String(der)
	if !rest.ReadASN1(&whole, cbasn1.SEQUENCE) || !whole.ReadASN1(&tbs, cbasn1.SEQUENCE) {
		t.Fatal("certificate")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Replace(tbs, c.RawSubjectPublicKeyInfo, spki, 1)) })
		b.AddBytes(whole)
	})
	if c, err = x509.ParseCertificate(b.BytesOrPanic()); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOtherKinds: X25519, and ML-KEM in each form of RFC 9935, are read and known as the certificate's.
func TestOtherKinds(t *testing.T) {
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(x25519)
	if err != nil {
		t.Fatal(err)
	}
	kem768, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	kem1024, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	oid := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, n} }
	seed := func(n int, seed []byte) []byte { return kemKey(oid(n), append([]byte{0x80, byte(len(seed))}, seed...)) }
	octets := func(p []byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1OctetString(p)
		return b.BytesOrPanic()
	}
	both := func(seed, expanded []byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(seed); b.AddASN1OctetString(expanded) })
		return b.BytesOrPanic()
	}
	expanded := append(make([]byte, 1152), expandedEnd(kem768, kem768.Bytes())...)
	oidX25519 := asn1.ObjectIdentifier{1, 3, 101, 110}
	encipher := x509.KeyUsageKeyEncipherment
	key448 := &x448Key{x448.Key(bytes.Repeat([]byte{5}, 56))}
	cert448 := certify(t, oidX448, key448.public(), x509.KeyUsageKeyAgreement)
	pkcs8448 := kemKey(oidX448, octets(key448.secret[:]))
	xcert := certify(t, oidX25519, x25519.PublicKey().Bytes(), x509.KeyUsageKeyAgreement)
	cert768 := certify(t, oid(2), kem768.EncapsulationKey().Bytes(), encipher)
	cert1024 := certify(t, oid(3), kem1024.EncapsulationKey().Bytes(), encipher)
	for name, test := range map[string]struct {
		cert *x509.Certificate
		key  []byte
		want string
	}{
		"X25519":                    {xcert, pkcs8, ""},
		"X448":                      {cert448, pkcs8448, ""},
		"X448, 55 octets":           {cert448, kemKey(oidX448, octets(key448.secret[:55])), "no private key of X448"},
		"X448, another's":           {cert448, kemKey(oidX448, octets(make([]byte, 56))), "not the one of the certificate"},
		"X448, usage of RSA":        {certify(t, oidX448, key448.public(), encipher), pkcs8448, "lacks keyAgreement"},
		"X25519 for X448":           {cert448, pkcs8, "not the one of the certificate"},
		"ML-KEM-768":                {cert768, seed(2, kem768.Bytes()), ""},
		"ML-KEM-1024":               {cert1024, seed(3, kem1024.Bytes()), ""},
		"ML-KEM-768, both":          {cert768, kemKey(oid(2), both(kem768.Bytes(), expanded)), ""},
		"ML-KEM-768, both differ":   {cert768, kemKey(oid(2), both(kem768.Bytes(), make([]byte, 2400))), "not of one key"},
		"ML-KEM-768, expanded":      {cert768, kemKey(oid(2), octets(make([]byte, 2400))), "no seed"},
		"ML-KEM-768, short seed":    {cert768, seed(2, kem768.Bytes()[:63]), "cannot be read"},
		"ML-KEM-768, nothing":       {cert768, kemKey(oid(2), nil), "none of the forms"},
		"ML-KEM-768, another's":     {cert768, seed(2, make([]byte, 64)), "not the one of the certificate"},
		"ML-KEM-1024 for 768":       {cert768, seed(3, kem1024.Bytes()), "not the one of the certificate"},
		"X25519 for ML-KEM":         {cert768, pkcs8, "not the one of the certificate"},
		"ML-KEM for X25519":         {xcert, seed(2, kem768.Bytes()), "not the one of the certificate"},
		"X25519, usage of RSA":      {certify(t, oidX25519, x25519.PublicKey().Bytes(), encipher), pkcs8, "lacks keyAgreement"},
		"ML-KEM, usage of agreeing": {certify(t, oid(2), kem768.EncapsulationKey().Bytes(), x509.KeyUsageKeyAgreement), seed(2, kem768.Bytes()), "lacks keyEncipherment"},
	} {
		dir := t.TempDir()
		ring, err := Load([]Pair{{Cert: write(t, dir, "cert", pemBlock("CERTIFICATE", test.cert.Raw)), Key: write(t, dir, "key", pemBlock("PRIVATE KEY", test.key))}})
		if err != nil {
			t.Fatal(name, err)
		}
		var found []string
		for _, err := range ring.Check() {
			found = append(found, err.Error())
		}
		for _, w := range ring.Findings() {
			found = append(found, w.String())
		}
		if test.want == "" && len(found) != 0 || test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)) {
			t.Errorf("%s: %q, want %q", name, found, test.want)
		}
	}
}

// kemKey makes a PKCS #8 key.
func kemKey(oid asn1.ObjectIdentifier, private []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
		b.AddASN1OctetString(private)
	})
	return b.BytesOrPanic()
}

// TestOtherKeysAreNeverShown: A43 for keys that are not RSA.
func TestOtherKeysAreNeverShown(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	ring := load(t, newOwner(t, key, 1, keyAgreement))
	if errs := ring.Check(); len(errs) != 0 {
		t.Fatal(errs)
	}
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	agreement, err := key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{agreement.Bytes(), kem.Bytes()}
	for _, key := range []crypto.PrivateKey{ring.entries[0].key, hide(kem, &ring.operations)} {
		shown := fmt.Sprintf("%v %+v %#v %s %q %d %x", key, key, key, key, key, key, key)
		shown += fmt.Sprintf("%v %+v %#v %d %x", struct{ k any }{key}, struct{ k any }{key}, struct{ k any }{key}, struct{ k any }{key}, struct{ k any }{key})
		for _, secret := range secrets {
			for _, form := range []string{new(big.Int).SetBytes(secret).String(), fmt.Sprintf("%x", secret[:20]), strings.Trim(fmt.Sprint(secret[:20]), "[]")} {
				if strings.Contains(shown, form) {
					t.Errorf("%T is shown", key)
				}
			}
		}
	}
}

// TestECKeyFaults: what is wrong with a key file is told, and is ErrKeyStore.
func TestECKeyFaults(t *testing.T) {
	o := newOwner(t, ecKey(t, elliptic.P256()), 1, keyAgreement)
	another := newOwner(t, ecKey(t, elliptic.P256()), 1, keyAgreement)
	otherCurve := newOwner(t, ecKey(t, elliptic.P384()), 1, keyAgreement)
	p224 := newOwner(t, ecKey(t, elliptic.P224()), 1, keyAgreement)
	dir := t.TempDir()
	for name, pair := range map[string]Pair{
		"another":       {Cert: o.pair.Cert, Key: another.pair.Key},
		"another curve": {Cert: o.pair.Cert, Key: otherCurve.pair.Key},
		"absent":        {Cert: o.pair.Cert, Key: filepath.Join(dir, "absent")},
		"junk":          {Cert: o.pair.Cert, Key: write(t, dir, "junk", pemBlock("EC PRIVATE KEY", []byte("junk")))},
	} {
		ring, err := Load([]Pair{pair})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ring.ContentKey(keyAgree(o.name()), 16); !errors.Is(err, ErrKeyStore) {
			t.Errorf("%s: %v", name, err)
		}
		if errs := ring.Check(); len(errs) != 1 || name == "absent" && !errors.Is(errs[0], os.ErrNotExist) {
			t.Errorf("%s: %v", name, errs)
		}
	}
	ring := load(t, p224)
	if _, err := ring.ContentKey(keyAgree(p224.name()), 16); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("P-224: %v", err)
	}
	if w := ring.Findings(); len(w) != 1 || !strings.Contains(w[0].String(), "cannot open mail") {
		t.Errorf("P-224: %q", w)
	}
}
