package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What a certificate may cost (DESIGN rule 9, THREATS A33 and A34).
const (
	maxIntermediates = 32       // looked at, of those that came along
	maxCertificate   = 64 << 10 // octets
	maxSerial        = 64       // octets; RFC 5280 allows 20
	maxExtensions    = 256      // looked through in a certificate that is refused
	maxNames         = 256      // names, constraints and policies of one certificate
	maxChainNames    = 512      // of all intermediates together: they are compared with each other
	minRSA           = 2048     // bits, for a path that is trusted
	maxRSA           = 8192
)

var errCertificate = errors.New("not a certificate")

var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}

	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPolicies        = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidPolicyMappings  = asn1.ObjectIdentifier{2, 5, 29, 33}
	oidKeyUsage        = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// readCertificate parses a certificate after a look at its outline has shown that it cannot be dear: parsing and
// checking are linear in most things, but not in the size of an RSA key.
func readCertificate(der []byte) (*x509.Certificate, *fault) {
	if len(der) > maxCertificate {
		return nil, faultf(ReasonCertificateTooLong, fmt.Sprintf("certificate has %d octets", len(der)))
	}
	if f := checkOutline(der); f != nil {
		return nil, f
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &fault{ReasonUnreadable, err}
	}
	takePSSKey(cert)
	return cert, nil
}

// checkOutline looks at what makes a certificate dear, numbers and names unread.
func checkOutline(der []byte) *fault {
	o, ok := readOutline(der)
	if !ok {
		return &fault{ReasonUnreadable, errCertificate}
	}
	if f := checkKey(o.key); f != nil {
		return f
	}
	names, ok := countNames(o.extensions)
	if !ok {
		return &fault{ReasonUnreadable, errCertificate}
	}
	if names > maxNames {
		return faultf(ReasonTooManyNames, fmt.Sprintf("certificate has %d names", names))
	}
	return nil
}

// checkKey refuses a SubjectPublicKeyInfo whose use would be dear or is not understood.
func checkKey(spki cryptobyte.String) *fault {
	var algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !spki.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) {
		return &fault{ReasonUnreadable, errCertificate}
	}
	switch {
	case oid.Equal(oidRSA), oid.Equal(oidRSAPSS):
		return checkRSA(spki)
	case oid.Equal(oidEC), oid.Equal(oidEd25519), isMLDSA(oid):
		return nil
	}
	return faultf(ReasonUnsupportedKey, fmt.Sprintf("public key algorithm %s", oid))
}

func checkRSA(spki cryptobyte.String) *fault {
	var octets []byte
	if !spki.ReadASN1BitStringAsBytes(&octets) {
		return &fault{ReasonUnreadable, errCertificate}
	}
	content := cryptobyte.String(octets)
	var key, modulus, exponent cryptobyte.String
	if !content.ReadASN1(&key, cbasn1.SEQUENCE) || !key.ReadASN1(&modulus, cbasn1.INTEGER) || !key.ReadASN1(&exponent, cbasn1.INTEGER) {
		return &fault{ReasonUnreadable, errCertificate}
	}
	if n := bitLen(modulus); n > maxRSA {
		return faultf(ReasonKeyTooLarge, fmt.Sprintf("RSA modulus has %d bits", n))
	}
	if n := bitLen(exponent); n > 32 || n < 2 || exponent[len(exponent)-1]&1 == 0 {
		return faultf(ReasonUnsupportedKey, "RSA exponent is not an odd number of 3 to 2^32")
	}
	return nil
}

// bitLen returns the length of a big-endian number.
func bitLen(number []byte) int {
	for len(number) > 0 && number[0] == 0 {
		number = number[1:]
	}
	if len(number) == 0 {
		return 0
	}
	return 8*(len(number)-1) + bits.Len8(number[0])
}

// countNames counts the entries of the extensions whose entries are compared with those of other certificates.
func countNames(extensions cryptobyte.String) (int, bool) {
	if extensions.Empty() {
		return 0, true
	}
	var list cryptobyte.String
	if !extensions.ReadASN1(&list, cbasn1.SEQUENCE) {
		return 0, false
	}
	names := 0
	for !list.Empty() {
		var entry, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1ObjectIdentifier(&oid) ||
			!entry.SkipOptionalASN1(cbasn1.BOOLEAN) || !entry.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return 0, false
		}
		names += namesIn(oid, value)
	}
	return names, true
}

// namesIn counts the entries of one extension.
func namesIn(oid asn1.ObjectIdentifier, value []byte) int {
	switch {
	case oid.Equal(oidSubjectAltName), oid.Equal(oidPolicies), oid.Equal(oidPolicyMappings):
		return countEntries(value, 1)
	case oid.Equal(oidNameConstraints):
		return countEntries(value, 2)
	}
	return 0
}

// nameCount is countNames for a parsed certificate.
func nameCount(cert *x509.Certificate) int {
	names := 0
	for _, e := range cert.Extensions {
		names += namesIn(e.Id, e.Value)
	}
	return names
}

// countEntries counts the elements at the given depth below a SEQUENCE. What cannot be read counts nothing: the
// real parser says so.
func countEntries(value cryptobyte.String, depth int) int {
	var list cryptobyte.String
	if !value.ReadASN1(&list, cbasn1.SEQUENCE) {
		return 0
	}
	n := 0
	for !list.Empty() {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&element, &tag) {
			return n
		}
		if depth == 1 {
			n++
			continue
		}
		for !element.Empty() {
			if !element.ReadAnyASN1(&value, &tag) {
				break
			}
			n++
		}
	}
	return n
}
