package keys

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Warnings returns what is odd about the keys and their files, one line each: nothing that stops mail, all of it
// worth a look at start-up.
func (r *Ring) Warnings() []string {
	var warnings []string
	for _, e := range r.entries {
		warnings = append(warnings, modeWarnings(e.pair.Key)...)
		warnings = append(warnings, usageWarnings(e.pair.Cert, e.cert)...)
	}
	return warnings
}

// DomainWarnings returns why senders may not find or use the certificates for a domain (given as A-labels): those
// out of date, and those whose SubjectAltName does not name the domain (D31). A retired key is meant to open old
// mail, so only the current certificate, the first, is looked at.
func (r *Ring) DomainWarnings(domain string, at time.Time) []string {
	if len(r.entries) == 0 {
		return nil
	}
	var warnings []string
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("%s: ", r.entries[0].pair.Cert)+fmt.Sprintf(format, args...))
	}
	cert := r.entries[0].cert
	if at.After(cert.NotAfter) {
		warn("certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if at.Before(cert.NotBefore) {
		warn("certificate is not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	}
	if !namesDomain(cert, domain) {
		warn("certificate has neither the dNSName %s nor the URI smtp://%s", domain, domain)
	}
	return warnings
}

// namesDomain reports whether a certificate names the domain as section 2.4 of the domain-security draft asks: by a
// URI or a dNSName.
func namesDomain(cert *x509.Certificate, domain string) bool {
	same := func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), domain) }
	if slices.ContainsFunc(cert.DNSNames, same) {
		return true
	}
	for _, uri := range cert.URIs {
		bare := uri.User == nil && (uri.Path == "" || uri.Path == "/") && uri.RawQuery == "" && !uri.ForceQuery && uri.Fragment == ""
		if (uri.Scheme == "smtp" || uri.Scheme == "submit") && bare && same(uri.Host) {
			return true
		}
	}
	return false
}

// modeWarnings looks at who else gets at a key. A group that may read is how a filter run by the mail system gets
// its key, so that is left alone.
func modeWarnings(path string) []string {
	info, err := os.Stat(path)
	if err != nil {
		return []string{fmt.Sprintf("key file: %v", err)}
	}
	var warnings []string
	if info.Mode().Perm()&0o004 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: everybody may read this private key: chmod o-r", path))
	}
	if info.Mode().Perm()&0o022 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: others may change this private key: chmod go-w", path))
	}
	return warnings
}

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

func usageWarnings(path string, cert *x509.Certificate) []string {
	var warnings []string
	limited := slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidKeyUsage) })
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if limited && cert.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
			warnings = append(warnings, fmt.Sprintf("%s: key usage lacks keyEncipherment: senders will not encrypt to this certificate", path))
		}
		if key.N.BitLen() < 2048 {
			warnings = append(warnings, fmt.Sprintf("%s: RSA key has %d bits: less than 2048 are weak", path, key.N.BitLen()))
		}
	case *ecdsa.PublicKey:
		if limited && cert.KeyUsage&x509.KeyUsageKeyAgreement == 0 {
			warnings = append(warnings, fmt.Sprintf("%s: key usage lacks keyAgreement: senders will not encrypt to this certificate", path))
		}
		warnings = append(warnings, fmt.Sprintf("%s: mail encrypted to elliptic-curve keys cannot be opened yet", path))
	default:
		warnings = append(warnings, fmt.Sprintf("%s: keys of this kind cannot open mail", path))
	}
	return warnings
}
