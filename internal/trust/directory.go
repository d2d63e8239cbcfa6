package trust

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A directoryName is a distinguished name as one comparable string per RDN.
type directoryName []string

// readDirectoryName reads the content of an RDNSequence.
func readDirectoryName(content cryptobyte.String) (directoryName, bool) {
	var name directoryName
	ok := walk(content, func(_ cbasn1.Tag, rdn cryptobyte.String) bool {
		var attributes []string
		ok := walk(rdn, func(_ cbasn1.Tag, pair cryptobyte.String) bool {
			oid, tag, value, ok := readAttribute(pair)
			attributes = append(attributes, oid.String()+"="+foldedText(tag, value))
			return ok
		})
		slices.Sort(attributes)
		name = append(name, strings.Join(attributes, "\x00"))
		return ok
	})
	return name, ok
}

// below reports whether a name is base or under it.
func (n directoryName) below(base directoryName) bool {
	return len(n) >= len(base) && slices.Equal(n[:len(base)], base)
}

// foldedText folds case and white space of a string, RFC 5280 section 7.1; any other value is its octets.
func foldedText(tag cbasn1.Tag, value []byte) string {
	text, ok := attributeText(tag, value)
	if !ok {
		return fmt.Sprintf("#%d:%x", tag, value)
	}
	return strings.Join(strings.Fields(strings.ToLower(text)), " ")
}

// readAttribute reads the content of an AttributeTypeAndValue.
func readAttribute(pair cryptobyte.String) (oid asn1.ObjectIdentifier, tag cbasn1.Tag, value cryptobyte.String, ok bool) {
	ok = pair.ReadASN1ObjectIdentifier(&oid) && pair.ReadAnyASN1(&value, &tag)
	return oid, tag, value, ok
}

// attributeText decodes the string types of RFC 5280 section 4.1.2.4 and IA5String.
func attributeText(tag cbasn1.Tag, value []byte) (string, bool) {
	switch tag {
	case cbasn1.UTF8String:
		return string(value), true
	case cbasn1.PrintableString, cbasn1.IA5String, cbasn1.Tag(18), cbasn1.Tag(26):
		return string(value), isASCII(string(value))
	case cbasn1.T61String: // in practice Latin-1
		runes := make([]rune, len(value))
		for i, c := range value {
			runes[i] = rune(c)
		}
		return string(runes), true
	case cbasn1.Tag(30): // BMPString
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		return string(utf16.Decode(units)), len(value)%2 == 0
	}
	return "", false
}

// maxNameText is the room a name has in a header field.
const maxNameText = 64

// shortNames are those of RFC 4514 section 3.
var shortNames = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.6":                    "C",
	"2.5.4.9":                    "STREET",
	"0.9.2342.19200300.100.1.25": "DC",
	"0.9.2342.19200300.100.1.1":  "UID",
}

// nameText writes a DER Name as RFC 4514 has it, last RDN first, as printable ASCII of at most 64 octets: what is
// not printable becomes "?" and the end is cut, since this is for a reader and names nobody (DESIGN rule 8).
func nameText(der []byte) string {
	raw := cryptobyte.String(der)
	var content cryptobyte.String
	if !raw.ReadASN1(&content, cbasn1.SEQUENCE) {
		return ""
	}
	var rdns []cryptobyte.String
	if !walk(content, func(_ cbasn1.Tag, rdn cryptobyte.String) bool { rdns = append(rdns, rdn); return true }) {
		return ""
	}
	var b strings.Builder
	for i, rdn := range slices.Backward(rdns) {
		if i != len(rdns)-1 {
			b.WriteByte(',')
		}
		separator := ""
		walk(rdn, func(_ cbasn1.Tag, pair cryptobyte.String) bool {
			b.WriteString(separator)
			separator = "+"
			writeAttribute(&b, pair)
			return b.Len() <= maxNameText
		})
		if b.Len() > maxNameText {
			break
		}
	}
	return cutName(b.String())
}

func writeAttribute(b *strings.Builder, pair cryptobyte.String) {
	oid, tag, value, ok := readAttribute(pair)
	if !ok {
		return
	}
	short, known := shortNames[oid.String()]
	text, isText := attributeText(tag, value[:min(len(value), 4*maxNameText)])
	if !known {
		short = oid.String()
	}
	b.WriteString(short)
	b.WriteByte('=')
	if !known || !isText {
		pair.ReadASN1ObjectIdentifier(&oid) // what is left is the value with its tag
		b.WriteByte('#')
		b.WriteString(hex.EncodeToString(pair[:min(len(pair), maxNameText)]))
		return
	}
	for i, c := range text {
		switch {
		case c < ' ' || c > '~':
			c = '?'
		case strings.ContainsRune(`"+,;<>\`, c),
			i == 0 && (c == ' ' || c == '#'),
			i == len(text)-1 && c == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
}

// cutName cuts a name to its room without leaving half an escape.
func cutName(s string) string {
	if len(s) <= maxNameText {
		return s
	}
	s = s[:maxNameText]
	if escapes := len(s) - len(strings.TrimRight(s, `\`)); escapes%2 == 1 {
		s = s[:len(s)-1]
	}
	return s
}

// serialText returns a serial number in decimal, or "" for one that no CA may give.
func serialText(serial *big.Int) string {
	if serial == nil || serial.BitLen() > 8*20 {
		return ""
	}
	return serial.String()
}
