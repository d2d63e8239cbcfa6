//go:build pkcs11

package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/internal/cms"
	"paperknife/test/need"

	"github.com/miekg/pkcs11"
)

const (
	testToken = "paperknife test"
	testPIN   = "1234"
)

// softHSM is the library, with a token of its own; Debian's softhsm2.
var softHSM = sync.OnceValues(func() (string, error) {
	const library = "/usr/lib/softhsm/libsofthsm2.so"
	if _, err := os.Stat(library); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "softhsm")
	if err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir), 0o600); err != nil {
		return "", err
	}
	if err := os.Setenv("SOFTHSM2_CONF", conf); err != nil { // in the library's environment too
		return "", err
	}
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", testToken, "--pin", testPIN, "--so-pin", testPIN).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	tokenDir = dir
	return library, nil
})

var tokenDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if tokenDir != "" {
		if err := os.RemoveAll(tokenDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func needSoftHSM(t testing.TB) string {
	t.Helper()
	library, err := softHSM()
	if err != nil {
		need.Missing(t, "softhsm2 is not installed: ", err)
	}
	return library
}

// store puts a key, and its certificate where there is one, into the token, and returns the URI of the key.
func store(t testing.TB, label string, key crypto.Signer, cert *x509.Certificate, more ...*pkcs11.Attribute) string {
	t.Helper()
	library := needSoftHSM(t)
	uri := &tokenURI{module: library, token: testToken, pin: testPIN}
	m, err := loadModule(library)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := uri.find(m)
	if err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.CloseSession(session); err != nil {
			t.Error(err)
		}
	}()
	if err := m.Login(session, pkcs11.CKU_USER, testPIN); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		t.Fatal(err)
	}
	attribute := pkcs11.NewAttribute
	template := []*pkcs11.Attribute{attribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), attribute(pkcs11.CKA_TOKEN, true),
		attribute(pkcs11.CKA_PRIVATE, true), attribute(pkcs11.CKA_SENSITIVE, true), attribute(pkcs11.CKA_EXTRACTABLE, false),
		attribute(pkcs11.CKA_LABEL, label), attribute(pkcs11.CKA_ID, "id "+label)}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		template = append(template, attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_RSA), attribute(pkcs11.CKA_DECRYPT, true),
			attribute(pkcs11.CKA_MODULUS, key.N.Bytes()), attribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
			attribute(pkcs11.CKA_PRIVATE_EXPONENT, key.D.Bytes()), attribute(pkcs11.CKA_PRIME_1, key.Primes[0].Bytes()),
			attribute(pkcs11.CKA_PRIME_2, key.Primes[1].Bytes()), attribute(pkcs11.CKA_EXPONENT_1, key.Precomputed.Dp.Bytes()),
			attribute(pkcs11.CKA_EXPONENT_2, key.Precomputed.Dq.Bytes()), attribute(pkcs11.CKA_COEFFICIENT, key.Precomputed.Qinv.Bytes()))
	case *ecdsa.PrivateKey:
		oid := map[elliptic.Curve]asn1.ObjectIdentifier{elliptic.P256(): {1, 2, 840, 10045, 3, 1, 7}, elliptic.P384(): {1, 3, 132, 0, 34},
			elliptic.P521(): {1, 3, 132, 0, 35}}[key.Curve]
		params, err := asn1.Marshal(oid)
		if err != nil {
			t.Fatal(err)
		}
		agreement, err := key.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		template = append(template, attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), attribute(pkcs11.CKA_DERIVE, true),
			attribute(pkcs11.CKA_EC_PARAMS, params), attribute(pkcs11.CKA_VALUE, agreement.Bytes()))
	}
	if _, err := m.CreateObject(session, append(template, more...)); err != nil {
		t.Fatal(err)
	}
	if cert != nil {
		if _, err := m.CreateObject(session, []*pkcs11.Attribute{attribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
			attribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509), attribute(pkcs11.CKA_TOKEN, true), attribute(pkcs11.CKA_PRIVATE, false),
			attribute(pkcs11.CKA_SUBJECT, cert.RawSubject), attribute(pkcs11.CKA_ID, "id "+label), attribute(pkcs11.CKA_LABEL, "certificate of "+label),
			attribute(pkcs11.CKA_VALUE, cert.Raw)}); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("pkcs11:token=%s;object=%s?module-path=%s&pin-value=%s", "paperknife%20test", label, library, testPIN)
}

// allowed limits a key to mechanisms.
func allowed(mechanisms ...uint) *pkcs11.Attribute {
	var value []byte
	for _, m := range mechanisms {
		value = append(value, pkcs11.NewAttribute(0, m).Value...)
	}
	return pkcs11.NewAttribute(pkcs11.CKA_ALLOWED_MECHANISMS, value)
}

// sealed makes an EnvelopedData with openssl.
func sealed(t testing.TB, cert string, plain []byte, args ...string) []byte {
	t.Helper()
	args = append([]string{"cms", "-encrypt", "-binary", "-in", write(t, t.TempDir(), "plain", plain), "-outform", "DER", "-aes256", "-recip", cert}, args...)
	out, err := exec.Command("openssl", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestToken: keys in a token open what openssl seals, with the certificate in the token or in a file.
func TestToken(t *testing.T) {
	plain := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	oaep := func(more ...string) []string { return append([]string{"-keyopt", "rsa_padding_mode:oaep"}, more...) }
	for name, test := range map[string]struct {
		owner *owner
		args  [][]string
	}{
		"rsa":  {newOwner(t, rsaKey(0), 1), [][]string{nil, oaep(), oaep("-keyopt", "rsa_oaep_md:sha256"), oaep("-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha1", "-keyopt", "rsa_oaep_label:6c6162656c")}},
		"p256": {newOwner(t, ecKey(t, elliptic.P256()), 2, keyAgreement), [][]string{nil, {"-keyopt", "ecdh_kdf_md:sha256", "-keyopt", "ecdh_cofactor_mode:1"}}},
		"p384": {newOwner(t, ecKey(t, elliptic.P384()), 3, keyAgreement), [][]string{nil}},
		"p521": {newOwner(t, ecKey(t, elliptic.P521()), 4, keyAgreement), [][]string{nil, {"-keyid"}}},
	} {
		t.Run(name, func(t *testing.T) {
			uri := store(t, "token-"+name, test.owner.key, test.owner.cert)
			for _, pair := range []Pair{{PKCS11: uri}, {Cert: test.owner.pair.Cert, PKCS11: uri}} {
				ring, err := Load([]Pair{pair})
				if err != nil {
					t.Fatal(err)
				}
				if errs, odd := ring.Check(), ring.Findings(); len(errs)+len(odd) != 0 || !ring.entries[0].cert.Equal(test.owner.cert) {
					t.Errorf("%v %v", errs, odd)
				}
				for i, args := range test.args {
					if got := opened(t, ring, sealed(t, test.owner.pair.Cert, plain, args...)); !bytes.Equal(got, plain) || ring.Operations() != uint64(i+1) {
						t.Errorf("%q: %q after %d operations", args, got, ring.Operations())
					}
				}
			}
		})
	}
}

// TestA10Token: what is wrong inside an encrypted key is no fault of the token: a random key, for one operation.
func TestA10Token(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	raw, err := Load([]Pair{{PKCS11: store(t, "a10-raw", o.key, o.cert)}})
	if err != nil {
		t.Fatal(err)
	}
	native, err := Load([]Pair{{PKCS11: store(t, "a10-native", o.key, o.cert, allowed(pkcs11.CKM_RSA_PKCS, pkcs11.CKM_RSA_PKCS_OAEP))}})
	if err != nil {
		t.Fatal(err)
	}
	public := &rsaKey(0).PublicKey
	contentKey := []byte("0123456789abcdef")
	//lint:ignore SA1019 the scheme that most mail uses
	v15, err := rsa.EncryptPKCS1v15(rand.Reader, public, contentKey)
	if err != nil {
		t.Fatal(err)
	}
	oaep, err := rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, public, contentKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	oidOAEP := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	for _, ring := range []*Ring{raw, native} {
		if errs := ring.Check(); len(errs) != 0 {
			t.Fatal(errs)
		}
		for i, ciphertext := range [][]byte{oaep, v15, nil, {1}, bytes.Repeat([]byte{0xff}, 256), make([]byte, 256), bytes.Repeat([]byte{0x11}, 256), make([]byte, 1000)} {
			got, err := ring.ContentKey(recipient(o.name(), oidOAEP, ciphertext), 16)
			if err != nil || len(got) != 16 || bytes.Equal(got, contentKey) != (i == 0) || ring.Operations() != uint64(i+1) {
				t.Errorf("%d: %x, %v after %d operations", i, got, err, ring.Operations())
			}
		}
	}
	before := raw.Operations()
	for i, ciphertext := range [][]byte{v15, oaep, nil, {1}, bytes.Repeat([]byte{0xff}, 256), make([]byte, 256)} {
		got, err := raw.ContentKey(recipient(o.name(), oidRSA, ciphertext), 16)
		if err != nil || len(got) != 16 || bytes.Equal(got, contentKey) != (i == 0) || raw.Operations() != before+uint64(i+1) {
			t.Errorf("v1.5, %d: %x, %v", i, got, err)
		}
	}
	// PKCS #1 v1.5 is off where the token would take it off itself, and check says so.
	for _, ciphertext := range [][]byte{v15, oaep, nil} {
		if _, err := native.ContentKey(recipient(o.name(), oidRSA, ciphertext), 16); !errors.Is(err, cms.ErrAlgorithm) || errors.Is(err, ErrKeyStore) {
			t.Errorf("v1.5 by the token: %v", err)
		}
	}
	if odd := native.Findings(); len(odd) != 1 || !odd[0].Grave || !strings.Contains(odd[0].Text, "v1.5 is not opened") || strings.Contains(odd[0].String(), testPIN) {
		t.Errorf("%v", odd)
	}
	if odd := raw.Findings(); len(odd) != 0 {
		t.Errorf("%v", odd)
	}
}

// TestTokenFaultsAndReturn: a session that ends is begun anew; a token, PIN, key or certificate that is not the right
// one is a fault of the store.
func TestTokenFaultsAndReturn(t *testing.T) {
	o := newOwner(t, ecKey(t, elliptic.P256()), 1, keyAgreement)
	other := newOwner(t, ecKey(t, elliptic.P256()), 2, keyAgreement)
	otherRSA := newOwner(t, rsaKey(1), 3)
	rsaOwner := newOwner(t, rsaKey(0), 4)
	uri := store(t, "faults", o.key, o.cert)
	store(t, "twin", o.key, o.cert)
	store(t, "twin", o.key, o.cert)
	bare := store(t, "bare", o.key, nil)
	rsaURI := store(t, "faults-rsa", rsaKey(0), nil)
	signOnly := store(t, "sign-only", rsaKey(0), nil, pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, false))
	change := func(from, to string) string { return strings.Replace(uri, from, to, 1) }
	for name, test := range map[string]struct {
		pair Pair
		want string
	}{
		"another token":            {Pair{PKCS11: change("paperknife", "someone")}, "0 tokens"},
		"another object":           {Pair{PKCS11: change("faults", "nothing")}, "0 private keys"},
		"two objects":              {Pair{PKCS11: change("faults", "twin")}, "2 private keys"},
		"no certificate":           {Pair{PKCS11: bare}, "0 certificates"},
		"another certificate":      {Pair{Cert: other.pair.Cert, PKCS11: uri}, "not the one of the certificate"},
		"certificate of RSA":       {Pair{Cert: otherRSA.pair.Cert, PKCS11: uri}, ""},
		"RSA, another certificate": {Pair{Cert: otherRSA.pair.Cert, PKCS11: rsaURI}, "not the one of the certificate"},
	} {
		ring, err := Load([]Pair{test.pair})
		if err == nil {
			if errs := ring.Check(); len(errs) == 1 {
				err = errs[0]
			}
		}
		if name == "certificate of RSA" && err == nil && len(ring.Findings()) > 0 {
			continue // the token refuses every RSA mechanism for the key
		}
		if !errors.Is(err, ErrKeyStore) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), testPIN) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	ring, err := Load([]Pair{{Cert: rsaOwner.pair.Cert, PKCS11: signOnly}})
	if err != nil {
		t.Fatal(err)
	}
	if errs, odd := ring.Check(), ring.Findings(); len(errs) != 0 || len(odd) != 1 || !strings.Contains(odd[0].Text, "opens no mail") {
		t.Errorf("sign only: %v %v", errs, odd)
	}

	noDerive := store(t, "no-derive", o.key, nil, pkcs11.NewAttribute(pkcs11.CKA_DERIVE, false))
	if ring, err = Load([]Pair{{Cert: o.pair.Cert, PKCS11: noDerive}}); err != nil {
		t.Fatal(err)
	}
	if errs := ring.Check(); len(errs) != 1 || !errors.Is(errs[0], ErrKeyStore) || !strings.Contains(errs[0].Error(), "CKA_DERIVE") {
		t.Errorf("no right to derive: %v", errs)
	}

	plain := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	object := sealed(t, o.pair.Cert, plain)
	if ring, err = Load([]Pair{{PKCS11: uri}}); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, ring, object); !bytes.Equal(got, plain) {
		t.Fatalf("%q", got)
	}
	parsed, err := parseTokenURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	m, err := loadModule(parsed.module)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := parsed.find(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.CloseAllSessions(slot); err != nil { // which logs out, as a token does that is taken away
		t.Fatal(err)
	}
	if got := opened(t, ring, object); !bytes.Equal(got, plain) {
		t.Errorf("after a fault: %q", got)
	}
	// The library is gone altogether, and comes back.
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.ContentKey(keyAgree(o.name()), 16); !errors.Is(err, ErrKeyStore) {
		t.Errorf("without the library: %v", err)
	}
	if err := m.Initialize(); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, ring, object); !bytes.Equal(got, plain) {
		t.Errorf("after a fault: %q", got)
	}
}

// TestTokenWrongPIN comes last, since some tokens lock after a few.
func TestTokenWrongPIN(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	uri := store(t, "pin", o.key, o.cert)
	parsed, err := parseTokenURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	m, err := loadModule(parsed.module)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := parsed.find(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.CloseAllSessions(slot); err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(uri, "pin-value="+testPIN, "pin-value=99999", 1)
	if _, err := Load([]Pair{{PKCS11: bad}}); !errors.Is(err, ErrKeyStore) || !strings.Contains(err.Error(), "login") || strings.Contains(err.Error(), "99999") {
		t.Error(err)
	}
	file := write(t, t.TempDir(), "pin", []byte(testPIN+"\n"))
	good := strings.Replace(uri, "pin-value="+testPIN, "pin-source=file:"+file, 1)
	ring, err := Load([]Pair{{PKCS11: good}})
	if err != nil {
		t.Fatal(err)
	}
	if errs, odd := ring.Check(), ring.Findings(); len(errs)+len(odd) != 0 {
		t.Error(errs, odd)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if odd := ring.Findings(); len(odd) != 1 || odd[0].File != file {
		t.Error(odd)
	}
}

// TestTokenConcurrent: one session serves all.
func TestTokenConcurrent(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	ring, err := Load([]Pair{{PKCS11: store(t, "concurrent", o.key, o.cert)}})
	if err != nil {
		t.Fatal(err)
	}
	contentKey := []byte("0123456789abcdef")
	//lint:ignore SA1019 the scheme that most mail uses
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, &rsaKey(0).PublicKey, contentKey)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got, err := ring.ContentKey(recipient(o.name(), oidRSA, encrypted), 16); err != nil || !bytes.Equal(got, contentKey) {
					t.Errorf("%x, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
