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
}

// Describe reads a certificate that anybody may have made, within the limits of Judge.
func Describe(cert []byte) (d Description, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("certificate check panicked: %v", r)
		}
	}()
	leaf, f := readCertificate(cert)
	if f != nil {
		return Description{}, fmt.Errorf("%s: %w", f.reason, f.err)
	}
	sum := sha256.Sum256(cert)
	d = Description{
		Subject: nameText(leaf.RawSubject), Issuer: nameText(leaf.RawIssuer), Serial: serialText(leaf.SerialNumber),
		Fingerprint: hex.EncodeToString(sum[:]), NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
		CA: leaf.BasicConstraintsValid && leaf.IsCA, Emails: readNames(leaf).emails,
	}
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
