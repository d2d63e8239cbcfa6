package trust

import (
	"crypto/x509"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// TestMemory: a judgement out of memory is the one that would have been made, at any time.
func TestMemory(t *testing.T) {
	root := newCA(t, "root", valid(-40*day, 40*day))
	mid := root.ca("mid", valid(-20*day, 20*day))
	leaf := mid.leaf(email("a@example.com"), hosts("example.com"), valid(-30*day, 10*day))
	for name, lists := range map[string][]*x509.RevocationList{
		"no lists":  nil,
		"a list":    {mid.revoke(receipt)},
		"a revoked": {mid.revoke(receipt, leaf)},
	} {
		fill := func(s *Settings) { s.CRLs = lists }
		used := newStore(t, fill, root)
		used.Judge(leaf.cert.Raw, ders(mid), Domain, receipt)
		used.Judge(leaf.cert.Raw, ders(mid), Person, receipt)
		for _, kind := range []Kind{Person, Domain} {
			for _, at := range []time.Duration{-50 * day, -25 * day, -15 * day, 0, 8 * day, 15 * day, 50 * day} {
				got := used.Judge(leaf.cert.Raw, ders(mid), kind, receipt.Add(at))
				want := newStore(t, fill, root).Judge(leaf.cert.Raw, ders(mid), kind, receipt.Add(at))
				if (got.Err == nil) != (want.Err == nil) {
					t.Errorf("%s %v %v: %v, want %v", name, kind, at, got.Err, want.Err)
				}
				got.Err, want.Err = nil, nil
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s %v %v: %+v, want %+v", name, kind, at, got, want)
				}
			}
		}
	}
}

// TestMemoryIsByOctets: one octet more or less is another question, and what a caller does to an answer changes
// nobody else's.
func TestMemoryIsByOctets(t *testing.T) {
	root := newCA(t, "root")
	mid := root.ca("mid")
	leaf := mid.leaf(email("a@example.com"))
	store := newStore(t, nil, root)
	j := store.Judge(leaf.cert.Raw, ders(mid), Person, receipt)
	j.Emails[0] = "evil@example.com"
	if j := store.Judge(leaf.cert.Raw, ders(mid), Person, receipt); j.Emails[0] != "a@example.com" {
		t.Errorf("emails %q", j.Emails)
	}
	damaged := append([]byte(nil), leaf.cert.Raw...)
	damaged[len(damaged)-1] ^= 1
	if j := store.Judge(damaged, ders(mid), Person, receipt); j.Trusted {
		t.Error("a damaged signature is trusted")
	}
	if j := store.Judge(leaf.cert.Raw, nil, Person, receipt); j.Trusted {
		t.Error("trusted without the intermediate")
	}
}

// TestMemoryIsBounded: many good signers do not fill it.
func TestMemoryIsBounded(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	leaf := root.leaf()
	for i := range maxRemembered + 50 {
		if !store.Judge(leaf.cert.Raw, [][]byte{[]byte(strconv.Itoa(i))}, Person, receipt).Trusted {
			t.Fatal("not trusted")
		}
	}
	if n := len(store.memory.good); n > maxRemembered {
		t.Errorf("%d remembered", n)
	}
}
