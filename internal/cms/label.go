package cms

import (
	"encoding/asn1"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Label is an ESSSecurityLabel, RFC 2634 3.2.
type Label struct {
	Policy         string   // OBJECT IDENTIFIER
	Classification int      // 0 to 256; -1 when there is none
	PrivacyMark    string   // as the signer wrote it
	Categories     []string // OBJECT IDENTIFIERs; their values are those of the policy
}

// Bounds of RFC 2634, appendix A.
const (
	maxClassification = 256
	maxPrivacyMark    = 128
	maxCategories     = 64
)

func (a *Attributes) readSecurityLabel(s cryptobyte.String) bool {
	label, ok := readLabel(&s)
	if ok && s.Empty() {
		a.Label = &label
	}
	return a.Label != nil
}

// readEquivalentLabels is RFC 2634 3.4.1.
func (a *Attributes) readEquivalentLabels(s cryptobyte.String) bool {
	var labels []Label
	if !readSequence(&s, maxLabels, func(s *cryptobyte.String) bool {
		label, ok := readLabel(s)
		labels = append(labels, label)
		return ok
	}) || !s.Empty() || len(labels) == 0 {
		return false
	}
	a.EquivalentLabels = labels
	return true
}

// readLabel reads a SET, whose elements may stand in any order and once each.
func readLabel(s *cryptobyte.String) (Label, bool) {
	label := Label{Classification: -1}
	seen := map[string]bool{}
	ok := readList(s, casn1.SET, 4, func(s *cryptobyte.String) bool {
		kind, ok := label.readElement(s)
		first := !seen[kind]
		seen[kind] = true
		return ok && first
	})
	return label, ok && seen["policy"]
}

func (l *Label) readElement(s *cryptobyte.String) (kind string, ok bool) {
	var text cryptobyte.String
	switch {
	case s.PeekASN1Tag(casn1.OBJECT_IDENTIFIER):
		var oid asn1.ObjectIdentifier
		ok = s.ReadASN1ObjectIdentifier(&oid)
		l.Policy = oid.String()
		return "policy", ok
	case s.PeekASN1Tag(casn1.INTEGER):
		ok = s.ReadASN1Integer(&l.Classification)
		return "classification", ok && l.Classification >= 0 && l.Classification <= maxClassification
	case s.PeekASN1Tag(casn1.PrintableString):
		ok = s.ReadASN1(&text, casn1.PrintableString)
		l.PrivacyMark = string(text)
		return "mark", ok && len(text) <= maxPrivacyMark
	case s.PeekASN1Tag(casn1.UTF8String):
		ok = s.ReadASN1(&text, casn1.UTF8String)
		l.PrivacyMark = string(text)
		return "mark", ok && utf8.Valid(text) && len(text) <= maxAlgorithm
	}
	return "categories", readList(s, casn1.SET, maxCategories, l.readCategory)
}

// readCategory reads SEQUENCE { type [0] IMPLICIT OBJECT IDENTIFIER, value [1] ANY }.
func (l *Label) readCategory(s *cryptobyte.String) bool {
	var category, kind cryptobyte.String
	if !s.ReadASN1(&category, casn1.SEQUENCE) || !category.ReadASN1(&kind, casn1.Tag(0).ContextSpecific()) ||
		!category.SkipASN1(casn1.Tag(1).Constructed().ContextSpecific()) || !category.Empty() {
		return false
	}
	element := cryptobyte.String(appendElement(nil, tagOID, kind))
	var oid asn1.ObjectIdentifier
	ok := element.ReadASN1ObjectIdentifier(&oid)
	l.Categories = append(l.Categories, oid.String())
	return ok
}

// checkLabels is RFC 2634 3.4: equivalents are to a label, and each under a policy of its own.
func (a *Attributes) checkLabels() {
	if len(a.EquivalentLabels) == 0 {
		return
	}
	if a.Label == nil {
		a.fault("equivalentLabels without a securityLabel")
		return
	}
	policies := map[string]bool{a.Label.Policy: true}
	for _, label := range a.EquivalentLabels {
		if policies[label.Policy] {
			a.fault("two labels under the policy %s", label.Policy)
			return
		}
		policies[label.Policy] = true
	}
}
