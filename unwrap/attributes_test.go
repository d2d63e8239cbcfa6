package unwrap

import (
	"encoding/asn1"
	"slices"
	"testing"

	"paperknife/internal/cms"
)

func withAttribute(oid asn1.ObjectIdentifier, values ...string) *cms.SignerInfo {
	a := cms.Attribute{Type: oid}
	for _, v := range values {
		a.Values = append(a.Values, []byte(v))
	}
	return &cms.SignerInfo{SignedAttrs: []cms.Attribute{a}}
}

// RFC 2634 2.2.1 and 3.1.1: what the signers of one content ask for and claim about it is the same.
func TestSignersContradictEachOther(t *testing.T) {
	const requests, labels = "receipt requests of the signers differ", "security labels of the signers differ"
	none := &cms.SignerInfo{}
	for name, test := range map[string]struct {
		signers []*cms.SignerInfo
		want    []string
	}{
		"nothing said":           {[]*cms.SignerInfo{none, none}, nil},
		"no signer":              {nil, nil},
		"the same request":       {[]*cms.SignerInfo{withAttribute(oidReceiptRequest, "a"), withAttribute(oidReceiptRequest, "a")}, nil},
		"one request":            {[]*cms.SignerInfo{withAttribute(oidReceiptRequest, "a"), none}, nil},
		"two requests":           {[]*cms.SignerInfo{withAttribute(oidReceiptRequest, "a"), withAttribute(oidReceiptRequest, "b")}, []string{requests}},
		"the same label":         {[]*cms.SignerInfo{withAttribute(oidSecurityLabel, "a"), withAttribute(oidSecurityLabel, "a")}, nil},
		"two labels":             {[]*cms.SignerInfo{withAttribute(oidSecurityLabel, "a"), withAttribute(oidSecurityLabel, "b")}, []string{labels}},
		"one label, two signers": {[]*cms.SignerInfo{withAttribute(oidSecurityLabel, "a"), none}, []string{labels}},
		"both at once":           {[]*cms.SignerInfo{withAttribute(oidSecurityLabel, "a"), withAttribute(oidReceiptRequest, "a")}, []string{labels}},
	} {
		var layer Layer
		compareSigners(&layer, test.signers)
		if !slices.Equal(layer.AttributeFaults, test.want) {
			t.Errorf("%s: %q, want %q", name, layer.AttributeFaults, test.want)
		}
	}
}

// RFC 2634 2.1: a request stands in the innermost signature.
func TestReceiptRequestsInside(t *testing.T) {
	asks := Layer{Type: Signed, Signers: []Signer{{Attributes: Attributes{ReceiptRequest: &ReceiptRequest{}}}}}
	plain, envelope, empty := Layer{Type: Signed, Signers: []Signer{{}}}, Layer{Type: Enveloped}, Layer{Type: Signed}
	for name, test := range map[string]struct {
		layers []Layer
		want   []int // layers at fault
	}{
		"alone":              {[]Layer{asks}, nil},
		"innermost":          {[]Layer{plain, envelope, asks}, nil},
		"outside":            {[]Layer{asks, envelope, plain}, []int{0}},
		"twice":              {[]Layer{asks, asks}, []int{0}},
		"around nobody's":    {[]Layer{asks, empty}, nil},
		"around an envelope": {[]Layer{asks, envelope}, nil},
	} {
		checkReceiptRequests(test.layers)
		var got []int
		for i, l := range test.layers {
			if len(l.AttributeFaults) > 0 {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: layers %v, want %v", name, got, test.want)
		}
	}
}
