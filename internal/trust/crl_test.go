package trust

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// revoke makes a list of e's that is fresh for a week from the given time.
func (e *entity) revoke(from time.Time, revoked ...*entity) *x509.RevocationList {
	e.t.Helper()
	return e.list(from, nil, revoked...)
}

func (e *entity) list(from time.Time, change func(*x509.RevocationList), revoked ...*entity) *x509.RevocationList {
	e.t.Helper()
	c := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(7 * day)}
	for _, r := range revoked {
		c.RevokedCertificateEntries = append(c.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: from})
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateRevocationList(rand.Reader, c, e.cert, e.key)
	if err != nil {
		e.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		e.t.Fatal(err)
	}
	return list
}

// TestRevocation: A31 and the table of DESIGN for smime.
func TestRevocation(t *testing.T) {
	root := newCA(t, "root")
	mid := root.ca("mid")
	leaf, other := mid.leaf(), mid.leaf()
	impostor := newCA(t, "mid")
	impostor.cert.SubjectKeyId = mid.cert.SubjectKeyId
	hold := func(reason int) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = reason }
	}
	critical := func(value ...byte) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingDistributionPoint, Critical: true, Value: value}}
		}
	}
	for _, test := range []struct {
		name           string
		lists          []*x509.RevocationList
		revoked, stale bool
	}{
		{"no list", nil, false, false},
		{"fresh, not on it", []*x509.RevocationList{mid.revoke(receipt, other)}, false, false},
		{"fresh, on it", []*x509.RevocationList{mid.revoke(receipt, other, leaf)}, true, false},
		{"stale, not on it", []*x509.RevocationList{mid.revoke(receipt.Add(-8*day), other)}, false, true},
		{"stale, on it", []*x509.RevocationList{mid.revoke(receipt.Add(-8*day), leaf)}, true, false},
		{"from the future", []*x509.RevocationList{mid.revoke(receipt.Add(day))}, false, true},
		{"stale and fresh", []*x509.RevocationList{mid.revoke(receipt.Add(-8 * day)), mid.revoke(receipt)}, false, false},
		{"intermediate revoked", []*x509.RevocationList{root.revoke(receipt, mid)}, true, false},
		{"list of a stranger of that name", []*x509.RevocationList{impostor.revoke(receipt, leaf)}, false, false},
		{"the same number from another issuer", []*x509.RevocationList{root.revoke(receipt, leaf)}, false, false},
		{"on hold", []*x509.RevocationList{mid.list(receipt, hold(6), leaf)}, true, false},
		{"taken off hold", []*x509.RevocationList{mid.list(receipt, hold(8), leaf)}, false, false},
		{"list for users only", []*x509.RevocationList{mid.list(receipt, critical(0x30, 3, 0x81, 1, 0xff), leaf)}, true, false},
		{"indirect list is not used", []*x509.RevocationList{mid.list(receipt, critical(0x30, 3, 0x84, 1, 0xff), leaf)}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newStore(t, func(s *Settings) { s.CRLs = test.lists }, root)
			for range 2 { // the second time from what the first remembered
				j := store.Judge(leaf.cert.Raw, ders(mid), Person, receipt)
				want := Judgement{Trusted: !test.revoked, Revoked: test.revoked, StaleCRL: test.stale}
				if test.revoked {
					want.Reason = ReasonRevoked
				}
				if j.Trusted != want.Trusted || j.Revoked != want.Revoked || j.Reason != want.Reason || j.StaleCRL != want.StaleCRL {
					t.Errorf("got %+v", j)
				}
			}
			if got := len(store.Warnings()) > 0; got != strings.Contains(test.name, "indirect") {
				t.Errorf("warnings %q", store.Warnings())
			}
		})
	}
}

// TestRevokedOnOnePath: a second, good path counts; the signer's own revocation has no way around.
func TestRevokedOnOnePath(t *testing.T) {
	old, young := newCA(t, "old root"), newCA(t, "young root")
	mid := old.ca("mid")
	cross := &entity{t, create(t, caTemplate("mid"), young.cert, mid.key.Public(), young.key), mid.key}
	leaf := mid.leaf()
	judge := func(lists ...*x509.RevocationList) Judgement {
		store := newStore(t, func(s *Settings) { s.CRLs = lists }, old, young)
		return store.Judge(leaf.cert.Raw, ders(mid, cross), Person, receipt)
	}
	if j := judge(old.revoke(receipt, mid)); !j.Trusted || j.Revoked {
		t.Errorf("one path revoked: %+v", j)
	}
	if j := judge(old.revoke(receipt, mid), young.revoke(receipt, cross)); !j.Revoked {
		t.Errorf("both paths revoked: %+v", j)
	}
	if j := judge(cross.revoke(receipt, leaf)); !j.Revoked {
		t.Errorf("signer revoked: %+v", j)
	}
}

func TestLoadCRLs(t *testing.T) {
	root := newCA(t, "root")
	first, second := root.revoke(receipt), root.revoke(receipt.Add(day))
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"first.crl": first.Raw,
		"both.pem":  append(pemCRL(first), pemCRL(second)...),
		".hidden":   []byte("junk"),
		"broken":    []byte("junk"),
		"empty.pem": pemOf(root),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("first.crl", filepath.Join(dir, "0123abcd.r0")); err != nil {
		t.Fatal(err)
	}
	lists, err := LoadCRLs(dir)
	if len(lists) != 2 {
		t.Errorf("%d lists", len(lists))
	}
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "empty.pem") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error %v", err)
	}
	if _, err := LoadCRLs(filepath.Join(dir, "absent")); err == nil {
		t.Error("no error for a directory that is not there")
	}
}

func pemCRL(list *x509.RevocationList) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.Raw})
}
