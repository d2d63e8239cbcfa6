package trust

import (
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An outline is what a certificate says of itself, read without the rules of crypto/x509. It serves to look at a
// certificate before that does, and to report one that it refuses; nothing is trusted for it.
type outline struct {
	serial, issuer, subject []byte // content of the INTEGER; DER Names
	notBefore, notAfter     time.Time
	key                     cryptobyte.String // content of SubjectPublicKeyInfo
	extensions              cryptobyte.String // Extensions, empty when there are none
}

// readOutline walks the certificate without recursion and reads no numbers.
func readOutline(der []byte) (outline, bool) {
	var o outline
	input := cryptobyte.String(der)
	var cert, tbs, serial, issuer, subject, validity cryptobyte.String
	var hasExtensions bool
	switch {
	case len(der) > maxCertificate,
		!input.ReadASN1(&cert, cbasn1.SEQUENCE),
		!cert.ReadASN1(&tbs, cbasn1.SEQUENCE),
		!tbs.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()),
		!tbs.ReadASN1(&serial, cbasn1.INTEGER),
		len(serial) > maxSerial,
		!tbs.SkipASN1(cbasn1.SEQUENCE), // signature
		!tbs.ReadASN1Element(&issuer, cbasn1.SEQUENCE),
		!tbs.ReadASN1(&validity, cbasn1.SEQUENCE),
		!tbs.ReadASN1Element(&subject, cbasn1.SEQUENCE),
		!tbs.ReadASN1(&o.key, cbasn1.SEQUENCE),
		!tbs.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific()),
		!tbs.SkipOptionalASN1(cbasn1.Tag(2).ContextSpecific()),
		!tbs.ReadOptionalASN1(&o.extensions, &hasExtensions, cbasn1.Tag(3).ContextSpecific().Constructed()):
		return outline{}, false
	}
	o.serial, o.issuer, o.subject = serial, issuer, subject
	o.notBefore, o.notAfter = readTime(&validity), readTime(&validity)
	return o, true
}

// readTime reads a Time, the zero one when it cannot be read.
func readTime(s *cryptobyte.String) time.Time {
	var at time.Time
	var ok bool
	if s.PeekASN1Tag(cbasn1.UTCTime) {
		ok = s.ReadASN1UTCTime(&at)
	} else {
		ok = s.ReadASN1GeneralizedTime(&at)
	}
	if !ok {
		return time.Time{}
	}
	return at.UTC()
}

// serialText returns the serial number in decimal, which may be negative here.
func (o outline) serialText() string {
	s := cryptobyte.String(append([]byte{byte(cbasn1.INTEGER), byte(len(o.serial))}, o.serial...))
	n := new(big.Int)
	if !s.ReadASN1Integer(n) {
		return ""
	}
	return serialText(n)
}

// extension returns the value of the first extension of that type, nil when there is none.
func (o outline) extension(want asn1.ObjectIdentifier) []byte {
	list := o.extensions
	var entries cryptobyte.String
	if !list.ReadASN1(&entries, cbasn1.SEQUENCE) {
		return nil
	}
	for range maxExtensions {
		var entry, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !entries.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1ObjectIdentifier(&oid) ||
			!entry.SkipOptionalASN1(cbasn1.BOOLEAN) || !entry.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return nil
		}
		if oid.Equal(want) {
			return value
		}
	}
	return nil
}

// judgement is that of a certificate refused for f: who it claims to be, and no trust.
func (o outline) judgement(f *fault) Judgement {
	j := Judgement{Reason: f.reason, Err: f.err}
	if o.issuer == nil {
		return j
	}
	j.Serial, j.Issuer, j.NotAfter = o.serialText(), nameText(o.issuer), o.notAfter
	if san := o.extension(oidSubjectAltName); countEntries(san, 1) <= maxNames {
		j.Emails = readNames(san).emails
	}
	return j
}
