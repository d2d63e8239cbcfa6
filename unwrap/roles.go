package unwrap

import (
	"encoding/asn1"
	"slices"

	"paperknife/internal/cms"
)

// SignatureType values, RFC 3183 section 3.1.2 and RFC 7107 (DOM-R2).
const (
	SignatureTypeDomain        = "1.2.840.113549.1.9.16.9.2"
	SignatureTypeAddAttributes = "1.2.840.113549.1.9.16.9.3"
)

var (
	// DOM-R1: the registered OID, and the one the draft prints.
	oidSignatureType      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 28}
	oidSignatureTypeDraft = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 28}
)

// Faults of the SignatureType attribute, in the words of x-domsec.
const (
	faultUnsigned  = "signatureType unsigned"           // D11
	faultSeveral   = "several signatureType attributes" // D14
	faultEmpty     = "empty signatureType"              // DOM-R3
	faultSyntax    = "malformed signatureType"
	faultAddAttrib = "signatureType combined with addAttribSig" // D15
	faultUnequal   = "signatureTypes of the signers differ"     // D16
)

// readAttributes fills what the signed attributes of a layer's signers say.
func readAttributes(layer *Layer, infos []*cms.SignerInfo) {
	for i, info := range infos {
		signer := &layer.Signers[i]
		fault := ""
		signer.Types, fault = signatureTypes(info)
		if fault != "" && layer.SignatureTypeFault == "" {
			layer.SignatureTypeFault = fault
		}
		signer.Attributes = info.Attributes()
		signer.SigningTime = signer.Attributes.SigningTime // as claimed: it decides nothing (THREATS A26)
		signer.mlExpansion = len(attributes(info.SignedAttrs, oidMLExpandHistory)) > 0
	}
	for i := 1; i < len(layer.Signers); i++ {
		if layer.SignatureTypeFault == "" && !slices.Equal(layer.Signers[0].Types, layer.Signers[i].Types) {
			layer.SignatureTypeFault = faultUnequal
		}
	}
	compareSigners(layer, infos)
}

func attributes(list []cms.Attribute, types ...asn1.ObjectIdentifier) []cms.Attribute {
	var found []cms.Attribute
	for _, a := range list {
		for _, t := range types {
			if a.Type.Equal(t) {
				found = append(found, a)
			}
		}
	}
	return found
}

// signatureTypes returns the sorted set of values (DOM-R3: several SEQUENCEs and several OIDs are one union).
func signatureTypes(info *cms.SignerInfo) (types []string, fault string) {
	if len(attributes(info.UnsignedAttrs, oidSignatureType, oidSignatureTypeDraft)) > 0 {
		fault = faultUnsigned
	}
	found := attributes(info.SignedAttrs, oidSignatureType, oidSignatureTypeDraft)
	if len(found) == 0 {
		return nil, fault
	}
	if len(found) > 1 {
		fault = faultSeveral
	}
	for _, attribute := range found {
		for _, value := range attribute.Values {
			var oids []asn1.ObjectIdentifier
			if rest, err := asn1.Unmarshal(value, &oids); err != nil || len(rest) > 0 {
				return types, faultSyntax
			}
			for _, oid := range oids {
				types = append(types, oid.String())
			}
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	switch {
	case len(types) == 0:
		return nil, faultEmpty
	case fault == "" && len(types) > 1 && slices.Contains(types, SignatureTypeAddAttributes):
		fault = faultAddAttrib
	}
	return types, fault
}

// assignRoles gives each signed layer its role. The layer that follows is what it holds.
func assignRoles(layers []Layer) {
	for i := range layers {
		l := &layers[i]
		if l.Type != Signed {
			continue
		}
		next := i + 1
		for next < len(layers) && layers[next].Role == RoleCompressed { // DOM-R10: it is no layer
			next++
		}
		l.Role = signedRole(*l, next < len(layers))
	}
}

func signedRole(l Layer, holdsLayer bool) Role {
	typed := l.anySigner(func(s Signer) bool { return len(s.Types) > 0 })
	switch {
	case l.Fault != nil && len(l.Signers) == 0:
		return RoleOther
	case len(l.Signers) == 0 && l.certsOnly:
		return RoleOther
	case len(l.Signers) == 0 && l.Detached:
		return RoleOther // multipart/signed without a signer: nothing was signed
	case len(l.Signers) == 0:
		return RoleEmpty
	case l.Claims(SignatureTypeDomain):
		return RoleDomain
	case l.anySigner(func(s Signer) bool { return s.mlExpansion }):
		return RoleMLA
	case typed:
		return RoleOther
	case holdsLayer:
		return RoleInner
	}
	return RoleOriginator
}
