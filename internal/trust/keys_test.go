package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Places in a TBSCertificate.
const (
	atSerial = 1
	atKey    = 6
)

// rewritten returns a certificate with some elements of its TBSCertificate replaced, signed by the ECDSA key of its issuer.
func (e *entity) rewritten(issuer *entity, elements map[int][]byte) []byte {
	e.t.Helper()
	s := cryptobyte.String(e.cert.RawTBSCertificate)
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.SEQUENCE) {
		e.t.Fatal("no TBSCertificate")
	}
	var all [][]byte
	for !content.Empty() {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !content.ReadAnyASN1Element(&element, &tag) {
			e.t.Fatal("no element")
		}
		all = append(all, element)
	}
	for i, element := range elements {
		all[i] = element
	}
	tbs := der(cbasn1.SEQUENCE, all...)
	sum := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, issuer.key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		e.t.Fatal(err)
	}
	return der(cbasn1.SEQUENCE, tbs, all[2], der(cbasn1.BIT_STRING, []byte{0}, signature))
}

func der(tag cbasn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(parts, nil)) })
	return b.BytesOrPanic()
}

// spki returns a SubjectPublicKeyInfo.
func spki(algorithm asn1.ObjectIdentifier, parameters, key []byte) []byte {
	oid, err := asn1.Marshal(algorithm)
	if err != nil {
		panic(err)
	}
	return der(cbasn1.SEQUENCE, der(cbasn1.SEQUENCE, oid, parameters), der(cbasn1.BIT_STRING, []byte{0}, key))
}

func newRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Certificates that crypto/x509 does not read, or reads without their key: judged where that key has no part in it,
// refused with the reason and described where it has.
func TestKeysUnknownToX509(t *testing.T) {
	ca := newCA(t, "CA")
	signer := ca.leaf(email("alice@example.com"))
	strong, weak := newRSA(t, 2048), newRSA(t, 1024)
	brainpool := asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}
	curve, err := asn1.Marshal(brainpool)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		elements map[int][]byte
		reason   string
	}{
		{"as made", nil, ""},
		{"id-RSASSA-PSS", map[int][]byte{atKey: spki(oidRSAPSS, nil, x509.MarshalPKCS1PublicKey(&strong.PublicKey))}, ""},
		{"id-RSASSA-PSS of 1024 bits", map[int][]byte{atKey: spki(oidRSAPSS, nil, x509.MarshalPKCS1PublicKey(&weak.PublicKey))}, ReasonWeakKey},
		{"id-RSASSA-PSS without a key", map[int][]byte{atKey: spki(oidRSAPSS, nil, nil)}, ReasonUnreadable},
		{"ML-DSA-44", map[int][]byte{atKey: spki(append(slices.Clone(oidMLDSA), 17), nil, make([]byte, 1312))}, ""},
		{"ML-DSA-87", map[int][]byte{atKey: spki(append(slices.Clone(oidMLDSA), 19), nil, make([]byte, 2592))}, ""},
		{"SLH-DSA", map[int][]byte{atKey: spki(append(slices.Clone(oidMLDSA), 20), nil, make([]byte, 32))}, ReasonUnsupportedKey},
		{"Ed448", map[int][]byte{atKey: spki(asn1.ObjectIdentifier{1, 3, 101, 113}, nil, make([]byte, 57))}, ReasonUnsupportedKey},
		{"Brainpool", map[int][]byte{atKey: spki(oidEC, curve, make([]byte, 65))}, ReasonUnreadable},
		{"negative serial number", map[int][]byte{atSerial: {2, 1, 0x85}}, ReasonUnreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert := signer.rewritten(ca, test.elements)
			j := newStore(t, nil, ca).Judge(cert, nil, Person, receipt)
			if j.Reason != test.reason || j.Trusted != (test.reason == "") {
				t.Errorf("trusted %v, %q: %v", j.Trusted, j.Reason, j.Err)
			}
			if !slices.Equal(j.Emails, []string{"alice@example.com"}) || j.Issuer != "CN=CA" || j.Serial == "" || j.NotAfter.IsZero() {
				t.Errorf("who it is, is lost: %+v", j)
			}
			d, err := Describe(cert)
			if err != nil || d.Subject != "CN=a signer" || d.Serial != j.Serial || !d.NotAfter.Equal(j.NotAfter) || !slices.Equal(d.Emails, j.Emails) {
				t.Errorf("%+v, %v", d, err)
			}
			if refused := test.reason == ReasonUnreadable || test.reason == ReasonUnsupportedKey; (d.Refused != nil) != refused {
				t.Errorf("Refused: %v", d.Refused)
			}
			if test.name == "negative serial number" && j.Serial != "-123" {
				t.Errorf("serial %s", j.Serial)
			}
		})
	}
}

// A CA whose key is of type id-RSASSA-PSS vouches as others do.
func TestCAWithPSSKey(t *testing.T) {
	key := newRSA(t, 2048)
	root := newCA(t, "Root")
	plain := &entity{t, create(t, caTemplate("PSS CA"), root.cert, key.Public(), root.key), key}
	raw := plain.rewritten(root, map[int][]byte{atKey: spki(oidRSAPSS, nil, x509.MarshalPKCS1PublicKey(&key.PublicKey))})
	pss, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	if pss.PublicKey != nil {
		t.Log("crypto/x509 reads such keys by now")
	}
	leaf := &entity{t: t, cert: create(t, leafTemplate(email("alice@example.com"), func(c *x509.Certificate) {
		c.SignatureAlgorithm = x509.SHA256WithRSAPSS
	}), plain.cert, newKey(t, elliptic.P256()).Public(), key)}
	if j := newStore(t, nil, root).Judge(leaf.cert.Raw, [][]byte{raw}, Person, receipt); !j.Trusted {
		t.Errorf("as an intermediate: %q, %v", j.Reason, j.Err)
	}
	if j := newStore(t, nil, &entity{t: t, cert: pss}).Judge(leaf.cert.Raw, nil, Person, receipt); !j.Trusted {
		t.Errorf("as an anchor: %q, %v", j.Reason, j.Err)
	}
	if pss.PublicKey != nil {
		t.Error("the caller's certificate was changed")
	}
}

// What ML-DSA signed is not verified, and so nothing is trusted for it.
func TestCAWithMLDSAKey(t *testing.T) {
	ca := newCA(t, "CA")
	signer := ca.leaf(email("alice@example.com"))
	oid, err := asn1.Marshal(append(slices.Clone(oidMLDSA), 18))
	if err != nil {
		t.Fatal(err)
	}
	algorithm := der(cbasn1.SEQUENCE, oid)
	cert := signer.rewritten(ca, map[int][]byte{2: algorithm})
	j := newStore(t, nil, ca).Judge(cert, nil, Person, receipt)
	if j.Trusted || j.Reason != ReasonUnsupportedSignature || len(j.Emails) != 1 {
		t.Errorf("%+v", j)
	}
	own := ca.ca("ML-DSA CA").rewritten(ca, map[int][]byte{atKey: spki(append(slices.Clone(oidMLDSA), 18), nil, make([]byte, 1952))})
	anchor, err := x509.ParseCertificate(own)
	if err != nil {
		t.Fatal(err)
	}
	store := newStore(t, nil, &entity{t: t, cert: anchor})
	if !slices.ContainsFunc(store.Warnings(), func(w string) bool { return strings.Contains(w, "ML-DSA CA") }) {
		t.Errorf("no warning about the anchor: %q", store.Warnings())
	}
}
