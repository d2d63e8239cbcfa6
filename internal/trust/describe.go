package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// A Description is what a certificate says of itself, for people. It is not verified, and every text is printable ASCII
// of bounded length.
type Description struct {
	Subject     string // RFC 4514, at most 64 octets
	Issuer      string
	Serial      string // decimal; "" for a number of more than 20 octets
	Fingerprint string // SHA-256 of the certificate, hexadecimal
	NotBefore   time.Time
	NotAfter    time.Time
	Key         string   // "rsa 2048"
	CA          bool     // says that it may issue
	Emails      []string // rfc822Names that are addresses
	Refused     error    // why it is never trusted, whoever issued it; nil when that is not known
}

// Describe reads a certificate that anybody may have made, within the limits of Judge. One that Judge refuses is described
// too, as far as it can be read.
func Describe(cert []byte) (d Description, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("certificate check panicked: %v", r)
		}
	}()
	o, ok := readOutline(cert)
	if !ok {
		return Description{}, fmt.Errorf("%s: %w", ReasonUnreadable, errCertificate)
	}
	sum := sha256.Sum256(cert)
	claimed := o.judgement(&fault{})
	d = Description{
		Subject: nameText(o.subject), Issuer: claimed.Issuer, Serial: claimed.Serial, Fingerprint: hex.EncodeToString(sum[:]),
		NotBefore: o.notBefore, NotAfter: o.notAfter, Emails: claimed.Emails,
	}
	leaf, f := readCertificate(cert)
	if f != nil {
		d.Refused = fmt.Errorf("%s: %w", f.reason, f.err)
		return d, nil
	}
	d.CA = leaf.BasicConstraintsValid && leaf.IsCA
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		d.Key = fmt.Sprintf("rsa %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		d.Key = "ecdsa " + key.Curve.Params().Name
	case ed25519.PublicKey:
		d.Key = "ed25519"
	}
	return d, nil
}
