package cms

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// attributeTypes are the attributes with a name here. Those of which a signature has one, with one value, are so for a
// signature that verifies (THREATS A18); read, where there is one, takes what the attribute says.
var attributeTypes = []struct {
	name string
	oid  asn1.ObjectIdentifier
	once bool
	read func(*Attributes, cryptobyte.String) bool
}{
	{"contentType", OIDAttrContentType, true, nil},
	{"messageDigest", OIDAttrMessageDigest, true, nil},
	{"signingTime", OIDAttrSigningTime, true, (*Attributes).readSigningTime},
	{"countersignature", asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}, false, nil},
	{"smimeCapabilities", asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, true, (*Attributes).readCapabilities},
	{"cmsAlgorithmProtection", OIDAttrAlgorithmProtection, true, nil},
	{"receiptRequest", essAttribute(1), true, (*Attributes).readReceiptRequest},
	{"securityLabel", essAttribute(2), true, (*Attributes).readSecurityLabel},
	{"mlExpandHistory", essAttribute(3), true, (*Attributes).readExpansions},
	{"contentHint", essAttribute(4), true, nil},
	{"msgSigDigest", essAttribute(5), true, nil},
	{"contentIdentifier", essAttribute(7), true, nil},
	{"equivalentLabels", essAttribute(9), true, (*Attributes).readEquivalentLabels},
	{"contentReference", essAttribute(10), true, nil},
	{"encrypKeyPref", essAttribute(11), true, (*Attributes).readKeyPreference},
	{"signingCertificate", OIDAttrSigningCertificate, true, nil},
	{"signatureType", essAttribute(28), false, nil}, // its form is a matter of RFC 3183
	{"signingCertificateV2", OIDAttrSigningCertificateV2, true, nil},
}

// essAttribute is an attribute of the arc id-aa, RFC 7107 3.4.
func essAttribute(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, n}
}

// Attributes is what the signed attributes of a signer say beyond the signature itself. They are as good as the
// signature is, and nothing here decides whether that is good.
type Attributes struct {
	Types            []string // of all signed attributes, by name where there is one, in the order received
	SigningTime      time.Time
	Capabilities     []string // smimeCapabilities, best first
	KeyPreference    *Identifier
	ReceiptRequest   *ReceiptRequest
	Label            *Label
	EquivalentLabels []Label
	Expansions       []Expansion // mlExpandHistory, the last mailing list last
	Faults           []string    // attributes that are not what their standard says
}

// An Identifier names a certificate, by issuer and serial number or by subjectKeyIdentifier.
type Identifier struct {
	Issuer []byte // DER Name
	Serial *big.Int
	KeyID  []byte
}

// once holds the signed attributes against attributeTypes.
func (si *SignerInfo) once() error {
	for _, known := range attributeTypes {
		if known.once {
			if _, err := si.single(known.oid); err != nil {
				return err
			}
		}
	}
	return nil
}

// Attributes reads the signed attributes, of a signature that verifies or not.
func (si *SignerInfo) Attributes() Attributes {
	var all Attributes
	for _, a := range si.SignedAttrs {
		all.Types = append(all.Types, attributeName(a.Type))
	}
	for _, known := range attributeTypes {
		value, err := si.single(known.oid)
		switch {
		case !known.once:
		case err != nil:
			all.fault("%s twice or without its one value", known.name)
		case value != nil && known.read != nil && !known.read(&all, value):
			all.fault("malformed %s", known.name)
		}
	}
	all.checkLabels()
	return all
}

func (a *Attributes) fault(format string, args ...any) {
	a.Faults = append(a.Faults, fmt.Sprintf(format, args...))
}

func attributeName(oid asn1.ObjectIdentifier) string {
	for _, known := range attributeTypes {
		if known.oid.Equal(oid) {
			return known.name
		}
	}
	return oid.String()
}

// readSigningTime reads Time: UTCTime to 2049, GeneralizedTime after it (RFC 5652 11.3). Another year in either is
// reported, and read.
func (a *Attributes) readSigningTime(s cryptobyte.String) bool {
	utc := s.PeekASN1Tag(casn1.UTCTime)
	at, ok := readTime(&s)
	if !ok || !s.Empty() {
		return false
	}
	a.SigningTime = at
	if !utc && at.Year() >= 1950 && at.Year() < 2050 {
		a.fault("signingTime of %d as GeneralizedTime", at.Year())
	}
	return true
}

func readTime(s *cryptobyte.String) (at time.Time, ok bool) {
	if s.PeekASN1Tag(casn1.UTCTime) {
		ok = s.ReadASN1UTCTime(&at)
	} else {
		ok = s.ReadASN1GeneralizedTime(&at)
	}
	return at.UTC(), ok
}

// readCapabilities reads SMIMECapabilities, RFC 8551 2.5.2. Parameters are left alone.
func (a *Attributes) readCapabilities(s cryptobyte.String) bool {
	return readSequence(&s, maxCapabilities, func(s *cryptobyte.String) bool {
		var capability cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !s.ReadASN1(&capability, casn1.SEQUENCE) || !capability.ReadASN1ObjectIdentifier(&oid) {
			return false
		}
		a.Capabilities = append(a.Capabilities, knownName(oid))
		return true
	}) && s.Empty()
}

// knownName is the name of a cipher or another algorithm, or its dotted numbers.
func knownName(oid asn1.ObjectIdentifier) string {
	for _, c := range ciphers {
		if c.oid.Equal(oid) {
			return c.name
		}
	}
	for _, s := range signatures {
		if s.oid.Equal(oid) {
			return s.name
		}
	}
	for _, d := range digests {
		if d.oid.Equal(oid) {
			return d.name
		}
	}
	return algorithmName(oid)
}

// readSequence reads a SEQUENCE of at most limit elements, each with read.
func readSequence(s *cryptobyte.String, limit int, read func(*cryptobyte.String) bool) bool {
	return readList(s, casn1.SEQUENCE, limit, read)
}

func readList(s *cryptobyte.String, tag casn1.Tag, limit int, read func(*cryptobyte.String) bool) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, tag) {
		return false
	}
	for n := 0; !list.Empty(); n++ {
		if n == limit || !read(&list) {
			return false
		}
	}
	return true
}

// readKeyPreference reads SMIMEEncryptionKeyPreference, RFC 8551 2.5.3: one of three, under implicit tags.
func (a *Attributes) readKeyPreference(s cryptobyte.String) bool {
	var content cryptobyte.String
	var tag casn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
		return false
	}
	var id Identifier
	ok := false
	switch tag {
	case casn1.Tag(0).Constructed().ContextSpecific():
		id, ok = readIssuerAndSerial(content)
	case casn1.Tag(1).Constructed().ContextSpecific(): // RecipientKeyIdentifier
		ok = content.ReadASN1((*cryptobyte.String)(&id.KeyID), casn1.OCTET_STRING)
	case casn1.Tag(2).ContextSpecific():
		id.KeyID, ok = content, true
	}
	a.KeyPreference = &id
	return ok
}

// readIssuerAndSerial reads the content of an IssuerAndSerialNumber.
func readIssuerAndSerial(s cryptobyte.String) (id Identifier, ok bool) {
	var name, number cryptobyte.String
	if !s.ReadASN1Element(&name, casn1.SEQUENCE) || !s.ReadASN1(&number, casn1.INTEGER) || !s.Empty() || len(number) > maxSerial {
		return id, false
	}
	id.Issuer = name
	id.Serial, ok = integer(number)
	return id, ok
}
