package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// RFC 4134 4.10: every attribute of RFC 2634 in one signature.
func TestAttributesOfRFC4134(t *testing.T) {
	object, err := os.ReadFile(filepath.Join(corpora(t), "rfc4134", "bcgit+bc-test-data", "4.10.bin"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify(bytes.NewReader(object), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := v.signed.SignerInfos[0].Attributes()
	if len(a.Faults) > 0 || len(a.Types) != 10 {
		t.Errorf("%q, %q", a.Types, a.Faults)
	}
	label := Label{"1.2.3.4.5.6.7.8", 1, "THIS IS A PRIVACY MARK TEST", []string{"1.2.3.4.5.6.7.888"}}
	if got := fmt.Sprint(*a.Label, len(a.EquivalentLabels), a.EquivalentLabels[1].Policy); got != fmt.Sprint(label, 2, "1.2.3.4.5.6.7.10") {
		t.Error(got)
	}
	at := time.Date(1999, 3, 11, 10, 44, 33, 0, time.UTC)
	if e := a.Expansions; len(e) != 1 || string(e[0].List.KeyID) != "5738299" || !e[0].Time.Equal(at) || e[0].Receipts != "insteadOf" {
		t.Errorf("%+v", e)
	}
	if strings.Join(a.Capabilities, " ") != "1.2.3.4.5.6 1.2.3.4.5.6.77" || a.KeyPreference == nil {
		t.Errorf("%q %+v", a.Capabilities, a.KeyPreference)
	}
}

var (
	policy1 = marshalOID(asn1.ObjectIdentifier{1, 2, 3, 1})
	policy2 = marshalOID(asn1.ObjectIdentifier{1, 2, 3, 2})
)

func text(tag byte, s string) []byte { return appendElement(nil, tag, []byte(s)) }

func category(oid []byte) []byte {
	return seq(appendElement(nil, tagContextPrimitive, oid[2:]), tagged(1, null))
}

// What is written in an attribute is what is read, and what its standard does not allow is a fault and nothing else.
func TestAttributes(t *testing.T) {
	const printable, utf8, generalized, utc = 19, 12, 24, 23
	name := seq()
	issuer := seq(name, number(7))
	emails := func(list ...string) []byte {
		var names [][]byte
		for _, e := range list {
			names = append(names, text(0x81, e))
		}
		return seq(names...)
	}
	list := func(policy ...[]byte) []byte {
		return seq(octetString([]byte("list")), text(generalized, "20260101000000Z"), bytes.Join(policy, nil))
	}
	many := func(n int, element []byte) []byte { return bytes.Repeat(element, n) }
	label := set(policy1)
	for name, test := range map[string]struct {
		attribute int // of id-aa; others by oid
		oid       asn1.ObjectIdentifier
		value     []byte
		want      func(Attributes) string
		say, err  string
	}{
		"time":                {0, OIDAttrSigningTime, text(utc, "260102030405Z"), func(a Attributes) string { return a.SigningTime.Format(time.RFC3339) }, "2026-01-02T03:04:05Z", ""},
		"time after 2049":     {0, OIDAttrSigningTime, text(generalized, "20500102030405Z"), func(a Attributes) string { return a.SigningTime.Format(time.RFC3339) }, "2050-01-02T03:04:05Z", ""},
		"time, too long":      {0, OIDAttrSigningTime, text(generalized, "20260102030405Z"), func(a Attributes) string { return a.SigningTime.Format(time.RFC3339) }, "2026-01-02T03:04:05Z", "signingTime of 2026 as GeneralizedTime"},
		"time of no time":     {0, OIDAttrSigningTime, text(utc, "yesterday"), nil, "", "malformed signingTime"},
		"capabilities":        {0, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, seq(algorithm(oidAES128), algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}, number(40))), func(a Attributes) string { return fmt.Sprint(a.Capabilities) }, "[aes128-cbc rc2-cbc]", ""},
		"128 capabilities":    {0, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, seq(many(128, algorithm(oidAES128))), func(a Attributes) string { return fmt.Sprint(len(a.Capabilities)) }, "128", ""},
		"129 capabilities":    {0, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, seq(many(129, algorithm(oidAES128))), nil, "", "malformed smimeCapabilities"},
		"key by issuer":       {11, nil, tagged(0, name, number(7)), func(a Attributes) string { return fmt.Sprint(a.KeyPreference.Serial) }, "7", ""},
		"key by recipient":    {11, nil, tagged(1, octetString([]byte("id"))), func(a Attributes) string { return string(a.KeyPreference.KeyID) }, "id", ""},
		"key by identifier":   {11, nil, text(0x82, "id"), func(a Attributes) string { return string(a.KeyPreference.KeyID) }, "id", ""},
		"key by nothing":      {11, nil, text(0x83, "id"), nil, "", "malformed encrypKeyPref"},
		"receipts of all":     {1, nil, seq(octetString([]byte("x")), []byte{0x80, 1, 0}, seq(emails("a@b", "c@d"))), func(a Attributes) string { return fmt.Sprint(a.ReceiptRequest.From, a.ReceiptRequest.To) }, "all[a@b c@d]", ""},
		"receipts of first":   {1, nil, seq(octetString([]byte("x")), []byte{0x80, 1, 1}, seq(emails("a@b"))), func(a Attributes) string { return a.ReceiptRequest.From }, "first tier", ""},
		"receipts of some":    {1, nil, seq(octetString(nil), tagged(1, emails("e@f")), seq(emails("a@b"))), func(a Attributes) string { return fmt.Sprint(a.ReceiptRequest.List) }, "[e@f]", ""},
		"receipts of 2":       {1, nil, seq(octetString(nil), []byte{0x80, 1, 2}, seq(emails("a@b"))), nil, "", "malformed receiptRequest"},
		"receipts to 17":      {1, nil, seq(octetString(nil), []byte{0x80, 1, 0}, seq(many(17, emails("a@b")))), nil, "", "malformed receiptRequest"},
		"receipts, more":      {1, nil, seq(octetString(nil), []byte{0x80, 1, 0}, seq(emails("a@b")), null), nil, "", "malformed receiptRequest"},
		"label":               {2, nil, set(number(5), policy1, text(printable, "MARK"), set(category(policy2))), func(a Attributes) string { return fmt.Sprint(*a.Label) }, "{1.2.3.1 5 MARK [1.2.3.2]}", ""},
		"label in any order":  {2, nil, set(text(utf8, "ä"), policy1), func(a Attributes) string { return fmt.Sprint(*a.Label) }, "{1.2.3.1 -1 ä []}", ""},
		"label, no policy":    {2, nil, set(number(5)), nil, "", "malformed securityLabel"},
		"label, 257":          {2, nil, set(policy1, []byte{2, 2, 1, 1}), nil, "", "malformed securityLabel"},
		"label, two policies": {2, nil, set(policy1, policy2), nil, "", "malformed securityLabel"},
		"label, two marks":    {2, nil, set(policy1, text(utf8, "a"), text(printable, "b")), nil, "", "malformed securityLabel"},
		"label, long mark":    {2, nil, set(policy1, text(printable, strings.Repeat("x", 129))), nil, "", "malformed securityLabel"},
		"label, 65":           {2, nil, set(policy1, set(many(65, category(policy2)))), nil, "", "malformed securityLabel"},
		"label, odd category": {2, nil, set(policy1, set(seq(policy2))), nil, "", "malformed securityLabel"},
		"equivalents alone":   {9, nil, seq(label), func(a Attributes) string { return a.EquivalentLabels[0].Policy }, "1.2.3.1", "equivalentLabels without a securityLabel"},
		"no equivalents":      {9, nil, seq(), nil, "", "malformed equivalentLabels"},
		"list by key":         {3, nil, seq(list()), func(a Attributes) string { return string(a.Expansions[0].List.KeyID) + a.Expansions[0].Receipts }, "list", ""},
		"list by issuer":      {3, nil, seq(seq(issuer, text(generalized, "20260101000000Z"))), func(a Attributes) string { return fmt.Sprint(a.Expansions[0].List.Serial) }, "7", ""},
		"list, no receipts":   {3, nil, seq(list([]byte{0x80, 0})), func(a Attributes) string { return a.Expansions[0].Receipts }, "none", ""},
		"list, receipts to":   {3, nil, seq(list(tagged(2, emails("a@b")))), func(a Attributes) string { return a.Expansions[0].Receipts }, "inAdditionTo", ""},
		"list, else":          {3, nil, seq(list(tagged(3))), nil, "", "malformed mlExpandHistory"},
		"64 lists":            {3, nil, seq(many(64, list())), func(a Attributes) string { return fmt.Sprint(len(a.Expansions)) }, "64", ""},
		"65 lists":            {3, nil, seq(many(65, list())), nil, "", "malformed mlExpandHistory"},
		"no list":             {3, nil, seq(), nil, "", "malformed mlExpandHistory"},
	} {
		t.Run(name, func(t *testing.T) {
			oid := test.oid
			if oid == nil {
				oid = essAttribute(test.attribute)
			}
			a := (&SignerInfo{SignedAttrs: []Attribute{{oid, [][]byte{test.value}}}}).Attributes()
			if got := strings.Join(a.Faults, "; "); got != test.err {
				t.Errorf("faults %q, want %q", got, test.err)
			}
			if test.want == nil {
				return
			}
			if got := test.want(a); got != test.say {
				t.Errorf("%q, want %q", got, test.say)
			}
		})
	}
}

// RFC 2634 3.4: a label and its equivalents are of different policies.
func TestEquivalentLabels(t *testing.T) {
	label := Attribute{essAttribute(2), [][]byte{set(policy1)}}
	for want, equivalents := range map[string][]byte{
		"":                                    seq(set(policy2)),
		"two labels under the policy 1.2.3.1": seq(set(policy1)),
		"two labels under the policy 1.2.3.2": seq(set(policy2), set(policy2)),
	} {
		a := (&SignerInfo{SignedAttrs: []Attribute{label, {essAttribute(9), [][]byte{equivalents}}}}).Attributes()
		if got := strings.Join(a.Faults, "; "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// THREATS A18: an attribute that stands once stands once, whatever it says; another may stand as often as it likes.
func TestA18AttributesTwice(t *testing.T) {
	contentType, messageDigest := good(t)
	for _, known := range attributeTypes {
		for how, extra := range map[string][]byte{
			"twice":      join(attribute(known.oid, null), attribute(known.oid, null)),
			"two values": attribute(known.oid, null, null),
			"no value":   attribute(known.oid),
		} {
			v, err := verify(bytes.NewReader(signing{content: content, attrs: [][]byte{contentType, messageDigest, extra}}.der(t)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if passed := v.errs[0] == nil; passed == known.once {
				t.Errorf("%s, %s: %v", known.name, how, v.errs)
			}
			a := v.signed.SignerInfos[0].Attributes()
			if faulty := len(a.Faults) > 0; faulty != known.once {
				t.Errorf("%s, %s: faults %q", known.name, how, a.Faults)
			}
		}
	}
}

// Attributes of anybody's making cost what their octets cost, and no more.
func FuzzAttributes(f *testing.F) {
	for n, value := range map[int][]byte{
		1: seq(octetString([]byte("x")), []byte{0x80, 1, 0}, seq(seq(text(0x81, "a@b")))),
		2: set(number(5), policy1, text(19, "MARK"), set(category(policy2))),
		3: seq(seq(octetString([]byte("list")), text(24, "20260101000000Z"), tagged(1, seq()))),
		9: seq(set(policy1), set(policy2)),
	} {
		f.Add(attribute(essAttribute(n), value))
	}
	f.Add(attribute(OIDAttrSigningTime, text(23, "260102030405Z")))
	f.Fuzz(func(t *testing.T, octets []byte) {
		attrs, _, ok := readAttributes(octets)
		if !ok {
			return
		}
		a := (&SignerInfo{SignedAttrs: attrs}).Attributes()
		if len(a.Types) != len(attrs) || len(a.Expansions) > maxExpansions || len(a.EquivalentLabels) > maxLabels || len(a.Faults) > 2*len(attributeTypes) {
			t.Errorf("%+v", a)
		}
	})
}
