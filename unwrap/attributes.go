package unwrap

import (
	"bytes"
	"encoding/asn1"

	"paperknife/internal/cms"
)

// What signed attributes say (RFC 2634, RFC 8551 section 2.5).
type (
	// Attributes is all of one signer's, by name and as far as they are understood.
	Attributes = cms.Attributes
	// A Label is a security label.
	Label = cms.Label
	// An Expansion is a mailing list that the message went through.
	Expansion = cms.Expansion
	// A ReceiptRequest asks for signed receipts. None is sent.
	ReceiptRequest = cms.ReceiptRequest
	// An Identifier names a certificate.
	Identifier = cms.Identifier
)

var (
	oidReceiptRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 1}
	oidSecurityLabel   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 2}
	oidMLExpandHistory = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 3}
)

// compareSigners finds attributes in which the signers of a layer contradict each other.
func compareSigners(layer *Layer, infos []*cms.SignerInfo) {
	requests, labels := values(infos, oidReceiptRequest), values(infos, oidSecurityLabel)
	if !allEqual(requests) {
		layer.fault("receipt requests of the signers differ") // RFC 2634 section 2.2.1
	}
	if len(labels) > 0 && (len(labels) < len(infos) || !allEqual(labels)) {
		layer.fault("security labels of the signers differ") // RFC 2634 section 3.1.1
	}
}

// values returns the attribute of the given type of every signer that has one.
func values(infos []*cms.SignerInfo, oid asn1.ObjectIdentifier) [][]byte {
	var all [][]byte
	for _, info := range infos {
		for _, a := range attributes(info.SignedAttrs, oid) {
			all = append(all, bytes.Join(a.Values, nil))
		}
	}
	return all
}

func allEqual(list [][]byte) bool {
	for _, v := range list {
		if !bytes.Equal(v, list[0]) {
			return false
		}
	}
	return true
}

// checkReceiptRequests finds requests that do not stand in the innermost signature (RFC 2634 section 2.1).
func checkReceiptRequests(layers []Layer) {
	signedInside := false
	for i := len(layers) - 1; i >= 0; i-- {
		l := &layers[i]
		if l.Type != Signed {
			continue
		}
		if signedInside && l.anySigner(func(s Signer) bool { return s.Attributes.ReceiptRequest != nil }) {
			l.fault("receipt request outside the innermost signature")
		}
		signedInside = signedInside || len(l.Signers) > 0
	}
}

func (l *Layer) fault(text string) { l.AttributeFaults = append(l.AttributeFaults, text) }
