package cms

import (
	"bytes"
	"encoding/asn1"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SameName reports whether two DER Names are the same: octet for octet, or else by RFC 5280 section 7.1 as far as
// authorities need it that write a name once as PrintableString and once as UTF8String, with letters in another case
// or with other blanks.
func SameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) > maxAlgorithm || len(b) > maxAlgorithm {
		return false
	}
	x, ok := foldName(a)
	if !ok {
		return false
	}
	y, ok := foldName(b)
	return ok && x == y
}

// foldName writes a Name in a form that is equal for names that are the same.
func foldName(der []byte) (string, bool) {
	s := cryptobyte.String(der)
	var rdns cryptobyte.String
	if !s.ReadASN1(&rdns, casn1.SEQUENCE) || !s.Empty() {
		return "", false
	}
	var out strings.Builder
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, casn1.SET) {
			return "", false
		}
		var parts [][]byte
		for !rdn.Empty() {
			part, ok := foldAttribute(&rdn)
			if !ok {
				return "", false
			}
			parts = append(parts, part)
		}
		out.Write(appendElement(nil, tagSet, sortSet(parts)))
	}
	return out.String(), true
}

func foldAttribute(rdn *cryptobyte.String) ([]byte, bool) {
	var attribute, value cryptobyte.String
	var oid asn1.ObjectIdentifier
	var tag casn1.Tag
	if !rdn.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
		!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
		return nil, false
	}
	folded := []byte(value)
	if text, ok := directoryString(tag, value); ok {
		tag = casn1.UTF8String
		folded = []byte(strings.ToLower(strings.Join(strings.Fields(text), " ")))
	}
	return appendElement(nil, tagSequence, marshalOID(oid), appendElement(nil, byte(tag), folded)), true
}

// directoryString returns the text of a value that is a string.
func directoryString(tag casn1.Tag, value []byte) (string, bool) {
	switch tag {
	case casn1.UTF8String, casn1.PrintableString, casn1.IA5String:
		return string(value), utf8.Valid(value)
	case casn1.Tag(30): // BMPString
		if len(value)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}
