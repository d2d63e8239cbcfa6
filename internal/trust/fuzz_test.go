package trust

import (
	"strings"
	"testing"
)

// FuzzJudge: no certificate makes Judge panic, and what it reports is fit for a header field.
func FuzzJudge(f *testing.F) {
	root := newCA(f, "root", permitEmail("good.test"))
	store := newStore(f, nil, root)
	f.Add(root.leaf(email("a@good.test"), hosts("example.com")).cert.Raw)
	f.Add(root.cert.Raw)
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, kind := range []Kind{Person, Domain} {
			j := store.Judge(der, [][]byte{der, root.cert.Raw}, kind, receipt)
			if j.Trusted != (j.Reason == "") || j.Err != nil && strings.Contains(j.Err.Error(), "panicked") {
				t.Errorf("%+v", j)
			}
			if len(j.Issuer) > maxNameText || strings.ContainsFunc(j.Issuer, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("issuer %q", j.Issuer)
			}
			for _, address := range j.Emails {
				if !EqualAddress(address, address) {
					t.Errorf("address %q", address)
				}
			}
		}
	})
}

// FuzzNames: what is normal stays as it is, and holds nothing that ends a field or a word.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"alice@example.com", "a@münchen.de", "a@b@c", "a@xn--mnchen-3ya.de", "a@b.test\r\nX: y", `"a"@b.test`, "a@1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, err := NormalizeAddress(s)
		if err != nil {
			address, err = NormalizeAddress("a@" + s)
		}
		if err != nil {
			return
		}
		if again, err := NormalizeAddress(address); err != nil || again != address {
			t.Errorf("%q: %q, then %q, %v", s, address, again, err)
		}
		if strings.Count(address, "@") != 1 || strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c >= 0x7f }) || len(address) > maxLocal+1+maxDomain {
			t.Errorf("%q: %q", s, address)
		}
	})
}
