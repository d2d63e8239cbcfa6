package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/internal/cms"
	"paperknife/test/need"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// An owner is a certificate with its key, made for a test, and the files they are in.
type owner struct {
	cert *x509.Certificate
	key  crypto.Signer
	pair Pair
}

var (
	rsaKeys     [4]*rsa.PrivateKey
	makeRSAKeys = sync.OnceFunc(func() {
		for i := range rsaKeys {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			rsaKeys[i] = key
		}
	})
)

// rsaKey returns one of a few keys, which are made once.
func rsaKey(n int) *rsa.PrivateKey {
	makeRSAKeys()
	return rsaKeys[n]
}

// newOwner makes a certificate with the given serial number.
func newOwner(t testing.TB, key crypto.Signer, serial int64, change ...func(*x509.Certificate)) *owner {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "agent"},
		Issuer:       pkix.Name{CommonName: "agent"},
		NotBefore:    now.AddDate(0, -1, 0),
		NotAfter:     now.AddDate(0, 1, 0),
		KeyUsage:     x509.KeyUsageKeyEncipherment,
		DNSNames:     []string{"example.net"},
		SubjectKeyId: []byte{byte(serial), 2, 3},
	}
	for _, f := range change {
		f(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &owner{cert, key, Pair{
		Cert: write(t, dir, "cert.pem", pemBlock("CERTIFICATE", der)),
		Key:  write(t, dir, "key.pem", pemBlock("PRIVATE KEY", pkcs8)),
	}}
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, owners ...*owner) *Ring {
	t.Helper()
	var pairs []Pair
	for _, o := range owners {
		pairs = append(pairs, o.pair)
	}
	r, err := Load(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// recipient makes a KeyTransRecipientInfo with the given identifier and content.
func recipient(identifier func(*cryptobyte.Builder), algorithm asn1.ObjectIdentifier, encryptedKey []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		identifier(b)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(algorithm)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(encryptedKey)
	})
	return b.BytesOrPanic()
}

var oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

func issuerAndSerial(issuer []byte, serial *big.Int) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(issuer)
			b.AddASN1BigInt(serial)
		})
	}
}

func subjectKeyID(id []byte) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id) })
	}
}

func (o *owner) bySerial() []byte {
	return recipient(issuerAndSerial(o.cert.RawIssuer, o.cert.SerialNumber), oidRSA, []byte("x"))
}

func (o *owner) byKeyID() []byte {
	return recipient(subjectKeyID(o.cert.SubjectKeyId), oidRSA, []byte("x"))
}

// TestChoose: rule 2 of DESIGN. Exactly one RecipientInfo is tried.
func TestChoose(t *testing.T) {
	key := func(n int) crypto.Signer { return rsaKey(n) }
	current, retired, renewed := newOwner(t, key(0), 1), newOwner(t, key(1), 2), newOwner(t, key(0), 3)
	twin := newOwner(t, key(2), 4, func(c *x509.Certificate) { c.SubjectKeyId = []byte{1, 2, 3} }) // the key identifier of current
	bare := newOwner(t, key(3), 5, func(c *x509.Certificate) { c.SubjectKeyId = nil })
	stranger := newOwner(t, key(2), 1, func(c *x509.Certificate) { c.Subject.CommonName = "stranger"; c.SubjectKeyId = []byte{9} })
	ring := load(t, current, retired, renewed, twin, bare)

	otherSpelling, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("Agent")}}}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(x509.MarshalPKCS1PublicKey(&rsaKey(3).PublicKey))
	kinds := func(tag byte) []byte { return []byte{tag, 0} }
	for _, test := range []struct {
		name  string
		infos [][]byte
		index int
		ours  bool
	}{
		{"none", nil, -1, false},
		{"only a stranger's", [][]byte{stranger.bySerial(), stranger.byKeyID()}, -1, false},
		{"ours by issuer and serial", [][]byte{stranger.bySerial(), current.bySerial()}, 1, true},
		{"ours by key identifier", [][]byte{stranger.byKeyID(), current.byKeyID()}, 1, true},
		{"issuer in another string type and case", [][]byte{recipient(issuerAndSerial(otherSpelling, big.NewInt(2)), oidRSA, nil)}, 0, true},
		{"negative serial number is another", [][]byte{recipient(issuerAndSerial(current.cert.RawIssuer, big.NewInt(-1)), oidRSA, nil)}, -1, false},
		{"serial number of another issuer", [][]byte{stranger.bySerial()}, -1, false},
		{"retired key alone", [][]byte{retired.bySerial()}, 0, true},
		{"two keys: the first in the configuration", [][]byte{retired.bySerial(), stranger.bySerial(), current.bySerial()}, 2, true},
		{"two keys in the other order", [][]byte{current.bySerial(), retired.bySerial()}, 0, true},
		{"two certificates of one key", [][]byte{renewed.bySerial(), current.bySerial()}, 1, true},
		{"same certificate twice", [][]byte{current.bySerial(), current.bySerial()}, -1, true},
		{"same certificate under both its names", [][]byte{current.bySerial(), stranger.bySerial(), current.byKeyID()}, -1, true},
		{"another certificate twice beside the first", [][]byte{current.bySerial(), retired.bySerial(), retired.byKeyID()}, -1, true},
		{"key identifier of two: the first in the configuration", [][]byte{recipient(subjectKeyID([]byte{1, 2, 3}), oidRSA, nil)}, 0, true},
		{"key identifier made from the key", [][]byte{recipient(subjectKeyID(sum[:]), oidRSA, nil)}, 0, true},
		{"empty key identifier", [][]byte{recipient(subjectKeyID(nil), oidRSA, nil)}, -1, false},
		{"other kinds and junk", [][]byte{kinds(0xa1), kinds(0xa2), kinds(0xa3), kinds(0xa4), nil, []byte("junk"), {0x30, 0x80}, retired.bySerial()}, 7, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if index, ours := ring.Choose(test.infos); index != test.index || ours != test.ours {
				t.Errorf("%d, %v; want %d, %v", index, ours, test.index, test.ours)
			}
		})
	}
	if n := ring.Operations(); n != 0 {
		t.Errorf("choosing used a private key %d times", n)
	}
}

// TestOwnDomainOnly: the ring of one domain opens nothing for another.
func TestOwnDomainOnly(t *testing.T) {
	a, b := newOwner(t, rsaKey(0), 1), newOwner(t, rsaKey(1), 2)
	ring := load(t, a)
	if _, err := ring.ContentKey(b.bySerial(), 32); !errors.Is(err, ErrNotOurs) {
		t.Errorf("error %v", err)
	}
	if empty := load(t); len(empty.entries) != 0 {
		t.Error("keys from nowhere")
	} else if index, ours := empty.Choose([][]byte{a.bySerial()}); index != -1 || ours {
		t.Errorf("%d, %v", index, ours)
	}
}

// TestContentKey: a right ciphertext gives the key, a wrong one some key and no error (A10), each for one operation.
func TestContentKey(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	ring := load(t, o)
	contentKey := bytes.Repeat([]byte{7}, 32)
	//lint:ignore SA1019 the scheme that most mail uses
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, &rsaKey(0).PublicKey, contentKey)
	for err == nil && encrypted[0] == 0 { // the same number without its first octet
		//lint:ignore SA1019 the scheme that most mail uses
		encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, &rsaKey(0).PublicKey, contentKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	info := func(ciphertext []byte) []byte {
		return recipient(issuerAndSerial(o.cert.RawIssuer, o.cert.SerialNumber), oidRSA, ciphertext)
	}
	damaged := bytes.Clone(encrypted)
	damaged[100] ^= 1
	for i, test := range []struct {
		name       string
		ciphertext []byte
		size       int
		right      bool
	}{
		{"right", encrypted, 32, true},
		{"damaged", damaged, 32, false},
		{"another length", encrypted, 16, false},
		{"empty", nil, 32, false},
		{"short", encrypted[1:], 32, false},
		{"long", append(bytes.Clone(encrypted), 0), 32, false},
		{"over the modulus", bytes.Repeat([]byte{0xff}, 256), 32, false},
	} {
		got, err := ring.ContentKey(info(test.ciphertext), test.size)
		if err != nil || len(got) != test.size || bytes.Equal(got, contentKey) != test.right {
			t.Errorf("%s: %d octets, %v", test.name, len(got), err)
		}
		if n := ring.Operations(); n != uint64(i+1) {
			t.Errorf("%s: %d operations", test.name, n)
		}
	}
	unknown := recipient(issuerAndSerial(o.cert.RawIssuer, o.cert.SerialNumber), asn1.ObjectIdentifier{1, 2, 3}, encrypted)
	if _, err := ring.ContentKey(unknown, 32); !errors.Is(err, cms.ErrAlgorithm) || errors.Is(err, ErrKeyStore) {
		t.Errorf("unknown algorithm: %v", err)
	}
	if _, err := ring.ContentKey([]byte("junk"), 32); !errors.Is(err, cms.ErrSyntax) {
		t.Errorf("junk: %v", err)
	}
}

// TestConcurrent: first uses at the same time.
func TestConcurrent(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	ring := load(t, o)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := ring.ContentKey(o.bySerial(), 32); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := ring.Operations(); n != 16 {
		t.Errorf("%d operations", n)
	}
}

// TestKeyForms: what a key file may hold, and what each fault says.
func TestKeyForms(t *testing.T) {
	o, other := newOwner(t, rsaKey(0), 1), newOwner(t, rsaKey(1), 2)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := newOwner(t, ecKey, 3)
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey(0)))
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	pkcs8 := read(o.pair.Key)
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})
	for _, test := range []struct {
		name  string
		owner *owner
		data  []byte
		fault string
	}{
		{"PKCS#8", o, pkcs8, ""},
		{"PKCS#1", o, pkcs1, ""},
		{"SEC 1", ec, pemBlock("EC PRIVATE KEY", sec1), ""},
		{"behind a certificate and text", o, append(append([]byte("Bag Attributes\n"), read(other.pair.Cert)...), pkcs8...), ""},
		{"behind another key", o, append(read(other.pair.Key), pkcs8...), ""},
		{"of another certificate", o, read(other.pair.Key), "not the one of the certificate"},
		{"of another kind", o, pemBlock("EC PRIVATE KEY", sec1), "not the one of the certificate"},
		{"encrypted PKCS#8", o, pemBlock("ENCRYPTED PRIVATE KEY", []byte("x")), "is encrypted"},
		{"encrypted PKCS#1", o, legacy, "is encrypted"},
		{"no key", o, read(o.pair.Cert), "no private key"},
		{"empty", o, nil, "no private key"},
		{"broken", o, pemBlock("PRIVATE KEY", []byte("x")), "cannot be read"},
		{"too long", o, make([]byte, maxFile+1), "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, t.TempDir(), "key.pem", test.data)
			ring, err := Load([]Pair{{Cert: test.owner.pair.Cert, Key: path}})
			if err != nil {
				t.Fatal(err)
			}
			errs := ring.Check()
			if test.fault == "" {
				if len(errs) != 0 {
					t.Errorf("errors %v", errs)
				}
				return
			}
			if len(errs) != 1 || !errors.Is(errs[0], ErrKeyStore) || !strings.Contains(errs[0].Error(), test.fault) || !strings.Contains(errs[0].Error(), path) {
				t.Errorf("errors %v", errs)
			}
			if _, err := ring.ContentKey(test.owner.bySerial(), 32); !errors.Is(err, ErrKeyStore) {
				t.Errorf("content key: %v", err)
			}
			if n := ring.Operations(); n != 0 {
				t.Errorf("%d operations", n)
			}
		})
	}
}

// TestFaultIsTemporary: rule 3. A key that is not there is a fault of ours, and over as soon as it is there.
func TestFaultIsTemporary(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	data, err := os.ReadFile(o.pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(o.pair.Key); err != nil {
		t.Fatal(err)
	}
	ring := load(t, o) // a key that is away does not keep plain mail from being delivered
	if index, ours := ring.Choose([][]byte{o.bySerial()}); index != 0 || !ours {
		t.Errorf("%d, %v", index, ours)
	}
	if _, err := ring.ContentKey(o.bySerial(), 32); !errors.Is(err, ErrKeyStore) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(o.pair.Key, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.ContentKey(o.bySerial(), 32); err != nil {
		t.Errorf("after the repair: %v", err)
	}
	if err := os.Remove(o.pair.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.ContentKey(o.bySerial(), 32); err != nil {
		t.Errorf("the key was not kept: %v", err)
	}
}

func TestLoadFaults(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	dir := t.TempDir()
	for name, pairs := range map[string][]Pair{
		"absent":           {{Cert: filepath.Join(dir, "absent"), Key: o.pair.Key}},
		"a directory":      {{Cert: dir, Key: o.pair.Key}},
		"a key":            {{Cert: o.pair.Key, Key: o.pair.Key}},
		"configured twice": {o.pair, o.pair},
	} {
		if _, err := Load(pairs); !errors.Is(err, ErrKeyStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	der := write(t, dir, "cert.der", o.cert.Raw)
	if _, err := Load([]Pair{{Cert: der, Key: o.pair.Key}}); err != nil {
		t.Errorf("DER: %v", err)
	}
}

// TestWarnings: lax modes and certificates nobody would encrypt to.
func TestWarnings(t *testing.T) {
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o640: "", 0o400: "", 0o440: "",
		0o644: "everybody may read", 0o604: "everybody may read",
		0o660: "others may change", 0o602: "others may change",
	} {
		o := newOwner(t, rsaKey(0), 1)
		if err := os.Chmod(o.pair.Key, mode); err != nil {
			t.Fatal(err)
		}
		w := load(t, o).Findings()
		if want == "" && len(w) != 0 || want != "" && (len(w) != 1 || !strings.Contains(w[0].String(), want)) {
			t.Errorf("mode %v: %q", mode, w)
		}
	}
	for _, test := range []struct {
		usage x509.KeyUsage
		want  int
	}{{0, 0}, {x509.KeyUsageKeyEncipherment, 0}, {x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature, 0}, {x509.KeyUsageDigitalSignature, 1}} {
		o := newOwner(t, rsaKey(0), 1, func(c *x509.Certificate) { c.KeyUsage = test.usage })
		if w := load(t, o).Findings(); len(w) != test.want {
			t.Errorf("usage %v: %q", test.usage, w)
		}
	}
}

// TestDomainWarnings: D31.
func TestDomainWarnings(t *testing.T) {
	uri := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.DNSNames, c.URIs = nil, []*url.URL{u}
		}
	}
	host := func(s ...string) func(*x509.Certificate) { return func(c *x509.Certificate) { c.DNSNames = s } }
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
		want   string
	}{
		{"dNSName", host("other.test", "EXAMPLE.net"), ""},
		{"URI", uri("smtp://example.net"), ""},
		{"URI submit", uri("submit://example.net/"), ""},
		{"no name", host(), "neither"},
		{"other name", host("example.com"), "neither"},
		{"wildcard", host("*.example.net"), "neither"},
		{"URI with port", uri("smtp://example.net:25"), "neither"},
		{"URI of another scheme", uri("http://example.net"), "neither"},
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, "expired"},
		{"not yet", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }, "not valid before"},
	} {
		ring := load(t, newOwner(t, rsaKey(0), 1, test.change), newOwner(t, rsaKey(1), 2, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }))
		w := ring.DomainFindings("example.net", now)
		if test.want == "" && len(w) != 0 || test.want != "" && (len(w) != 1 || !strings.Contains(w[0].String(), test.want)) {
			t.Errorf("%s: %q", test.name, w)
		}
	}
	if w := load(t).DomainFindings("example.net", now); w != nil {
		t.Errorf("no keys: %q", w)
	}
}

// TestKeyIsNeverShown: A43. No verb and no log handler shows a key.
func TestKeyIsNeverShown(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	ring := load(t, o)
	if errs := ring.Check(); len(errs) != 0 {
		t.Fatal(errs)
	}
	key := ring.entries[0].key
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "key", key, "ring", ring, "entry", ring.entries[0])
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "ring", ring, "entry", ring.entries[0])
	shown := log.String()
	for _, v := range []any{key, &key, ring.entries[0], ring.entries, struct{ key crypto.PrivateKey }{key}, struct{ key *crypto.PrivateKey }{&key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			shown += fmt.Sprintf(verb, v)
		}
	}
	if text, err := json.Marshal(key); err != nil || string(text) != `"`+hidden+`"` {
		t.Errorf("JSON %s, %v", text, err)
	}
	for _, secret := range []*big.Int{rsaKey(0).D, rsaKey(0).Primes[0], rsaKey(0).Primes[1]} {
		for _, form := range []string{secret.String(), secret.Text(16), fmt.Sprint(secret.Bytes())} {
			if strings.Contains(strings.ToLower(shown), strings.Trim(form, "[]")[:40]) {
				t.Fatal("a private number is shown")
			}
		}
	}
}

// TestOpenSSL opens what the command line tool sealed for several recipients.
func TestOpenSSL(t *testing.T) {
	tool := need.Command(t, "openssl")
	current, retired, stranger := newOwner(t, rsaKey(0), 1), newOwner(t, rsaKey(1), 2), newOwner(t, rsaKey(2), 3)
	ring := load(t, current, retired)
	plain := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	in := write(t, t.TempDir(), "plain", plain)
	for _, test := range []struct {
		name   string
		args   []string
		owners []*owner
		want   int
		ours   bool
	}{
		{"one", nil, []*owner{current}, 0, true},
		{"key identifier", []string{"-keyid"}, []*owner{stranger, retired}, 1, true},
		{"OAEP", []string{"-recip", current.pair.Cert, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"}, nil, 0, true},
		{"both of ours", nil, []*owner{stranger, retired, current}, 2, true},
		{"twice", nil, []*owner{current, current}, -1, true},
		{"a stranger", nil, []*owner{stranger}, -1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", in}, test.args...)
			for _, o := range test.owners {
				args = append(args, o.pair.Cert)
			}
			cmd := exec.Command(tool, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			sealed, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			e, err := cms.NewReader(bytes.NewReader(sealed)).EnvelopedData()
			if err != nil {
				t.Fatal(err)
			}
			var infos [][]byte
			for _, ri := range e.RecipientInfos {
				infos = append(infos, ri.DER)
			}
			index, ours := ring.Choose(infos)
			if index < 0 || test.want < 0 {
				if index != test.want || ours != test.ours {
					t.Errorf("%d, %v", index, ours)
				}
				return
			}
			contentKey, err := ring.ContentKey(infos[index], e.KeySize)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := e.Decrypt(contentKey, &got); err != nil || !bytes.Equal(got.Bytes(), plain) {
				t.Errorf("%q, %v", got.Bytes(), err)
			}
		})
	}
}

func BenchmarkChoose(b *testing.B) {
	r := &Ring{bySerial: map[string][]*entry{}, byKeyID: map[string][]*entry{}}
	info := recipient(issuerAndSerial([]byte{0x30, 0}, big.NewInt(1)), oidRSA, make([]byte, 256))
	infos := make([][]byte, 1000)
	for i := range infos {
		infos[i] = info
	}
	for b.Loop() {
		r.Choose(infos)
	}
}
