package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The tests live on one day.
var (
	receipt = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	day     = 24 * time.Hour
)

// An entity is a certificate with its key, made for a test.
type entity struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

var lastSerial int64 = 1000

// template returns a certificate that is good on the day of the tests.
func template(name string) *x509.Certificate {
	lastSerial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(lastSerial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    receipt.Add(-30 * day),
		NotAfter:     receipt.Add(30 * day),
	}
}

func newKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCA makes a self-signed CA. The functions change the template.
func newCA(t testing.TB, name string, change ...func(*x509.Certificate)) *entity {
	t.Helper()
	c := caTemplate(name, change...)
	key := newKey(t, elliptic.P256())
	return &entity{t, create(t, c, c, key.Public(), key), key}
}

func caTemplate(name string, change ...func(*x509.Certificate)) *x509.Certificate {
	c := template(name)
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	for _, f := range change {
		f(c)
	}
	return c
}

// ca makes a CA below e.
func (e *entity) ca(name string, change ...func(*x509.Certificate)) *entity {
	e.t.Helper()
	key := newKey(e.t, elliptic.P256())
	return &entity{e.t, create(e.t, caTemplate(name, change...), e.cert, key.Public(), e.key), key}
}

// leaf makes a signer's certificate below e: digitalSignature, emailProtection, and no names.
func (e *entity) leaf(change ...func(*x509.Certificate)) *entity {
	e.t.Helper()
	key := newKey(e.t, elliptic.P256())
	return &entity{e.t, create(e.t, leafTemplate(change...), e.cert, key.Public(), e.key), key}
}

func leafTemplate(change ...func(*x509.Certificate)) *x509.Certificate {
	c := template("a signer")
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	for _, f := range change {
		f(c)
	}
	return c
}

func create(t testing.TB, c, parent *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Changes of a template.

func email(addresses ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = addresses }
}

func hosts(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func uris(t testing.TB, names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, name := range names {
			u, err := url.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
	}
}

// san sets the SubjectAltName to entries with the given tags, octet by octet.
func san(entries ...sanEntry) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, e := range entries {
				b.AddASN1(e.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(e.value)) })
			}
		})
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidSubjectAltName, Value: b.BytesOrPanic()})
	}
}

type sanEntry struct {
	tag   cbasn1.Tag
	value string
}

func permitEmail(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedEmailAddresses = true, names
	}
}

func excludeEmail(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.ExcludedEmailAddresses = true, names
	}
}

func permitHosts(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, names }
}

func excludeHosts(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, names }
}

func permitURIs(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.PermittedURIDomains = true, names }
}

func permitIP(cidr string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		_, n, _ := net.ParseCIDR(cidr)
		c.PermittedDNSDomainsCritical, c.PermittedIPRanges = true, []*net.IPNet{n}
	}
}

// constrainDirectory sets a nameConstraints extension on directory names.
func constrainDirectory(t testing.TB, critical bool, direction uint8, base pkix.Name) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		rdns, err := asn1.Marshal(base.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(direction).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(tagDirectory, func(b *cryptobyte.Builder) { b.AddBytes(rdns) })
				})
			})
		})
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidNameConstraints, Critical: critical, Value: b.BytesOrPanic()})
	}
}

func subject(name pkix.Name) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject = name }
}

func valid(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = receipt.Add(from), receipt.Add(to) }
}

func usage(u x509.KeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.KeyUsage = u }
}

func extended(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

// newStore trusts the anchors for both kinds.
func newStore(t testing.TB, change func(*Settings), roots ...*entity) *Store {
	t.Helper()
	s := Settings{Naming: []string{"melnikov"}}
	for _, root := range roots {
		s.DomainAnchors = append(s.DomainAnchors, root.cert)
		s.PersonAnchors = append(s.PersonAnchors, root.cert)
	}
	if change != nil {
		change(&s)
	}
	store, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func ders(entities ...*entity) [][]byte {
	var all [][]byte
	for _, e := range entities {
		all = append(all, e.cert.Raw)
	}
	return all
}

func pemOf(entities ...*entity) []byte {
	var all []byte
	for _, e := range entities {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw})...)
	}
	return all
}
