package keys

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestTokenURI(t *testing.T) {
	slot := uint(3)
	for s, want := range map[string]*tokenURI{
		"pkcs11:object=dca?module-path=/usr/lib/a.so":                                          {module: "/usr/lib/a.so", label: "dca"},
		"pkcs11:token=The%20token;object=dca;type=private?module-path=/a.so&pin-value=12%2634": {module: "/a.so", token: "The token", label: "dca", pin: "12&34"},
		"pkcs11:id=%01%ff;serial=7;manufacturer=M;model=O;slot-id=3?module-path=/a.so&pin-source=file:/etc/pin": {
			module: "/a.so", id: []byte{1, 255}, serial: "7", manufacturer: "M", model: "O", slot: &slot, pinFile: "/etc/pin"},
		"pkcs11:id=a?pin-source=file:///etc/pin&module-path=/a.so": {module: "/a.so", id: []byte("a"), pinFile: "/etc/pin"},
		"pkcs11:id=a?pin-source=/etc/pin&module-path=/a.so":        {module: "/a.so", id: []byte("a"), pinFile: "/etc/pin"},
	} {
		if got, err := parseTokenURI(s); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"pkcs12:object=a":                  "no PKCS #11 URI",
		"pkcs11:":                          "names no library",
		"pkcs11:object=a":                  "names no library",
		"pkcs11:token=a?module-path=/a.so": "names no key",
		"pkcs11:object=a;object=b?module-path=/a.so":                    "twice",
		"pkcs11:object?module-path=/a.so":                               "no value",
		"pkcs11:object=%zz?module-path=/a.so":                           "not well escaped",
		"pkcs11:object=a;type=cert?module-path=/a.so":                   "type",
		"pkcs11:object=a;slot-id=x?module-path=/a.so":                   "slot-id",
		"pkcs11:object=a;colour=red?module-path=/a.so":                  "colour",
		"pkcs11:object=a?module-path=/a.so&colour=red":                  "colour",
		"pkcs11:object=a?module-name=opensc":                            "module-name",
		"pkcs11:object=a?module-path=/a&pin-source=file":                "pin-source",
		"pkcs11:object=a?module-path=/a&pin-source=|cat":                "pin-source",
		"pkcs11:object=a?module-path=/a&pin-source=/a&pin-value=secret": "both",
		"pkcs11:object=a?pin-value=secret&x=y":                          "not known",
		"pkcs11:object=a?pin-value=secret":                              "names no library",
	} {
		_, err := parseTokenURI(s)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
	if got := withoutPIN("pkcs11:object=a?pin-value=secret&module-path=/a"); got != "pkcs11:object=a?pin-value=...&module-path=/a" {
		t.Error(got)
	}
}

// TestTokenFaults: a URI that is none, and a token that is not there, are faults of the store, and no PIN is told.
func TestTokenFaults(t *testing.T) {
	o := newOwner(t, rsaKey(0), 1)
	const uri = "pkcs11:token=none;object=a?pin-value=secret&module-path=/nowhere/none.so"
	for _, pair := range []Pair{{PKCS11: uri}, {PKCS11: "pkcs11:pin-value=secret"}, {Cert: o.pair.Cert, PKCS11: "pkcs11:object=a"}} {
		if _, err := Load([]Pair{pair}); !errors.Is(err, ErrKeyStore) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", pair, err)
		}
	}
	ring, err := Load([]Pair{{Cert: o.pair.Cert, PKCS11: uri}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.ContentKey(o.bySerial(), 16); !errors.Is(err, ErrKeyStore) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if errs := ring.Check(); len(errs) != 1 {
		t.Error(errs)
	}
	if w := ring.Findings(); len(w) != 0 {
		t.Error(w)
	}
}

func FuzzTokenURI(f *testing.F) {
	f.Add("pkcs11:token=a;object=%41;id=%01?module-path=/a.so&pin-source=file:/etc/pin")
	f.Add("pkcs11:object=a?pin-value=x")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseTokenURI(s)
		if (u == nil) == (err == nil) || err == nil && (u.module == "" || u.label == "" && u.id == nil) {
			t.Errorf("%+v, %v", u, err)
		}
	})
}
