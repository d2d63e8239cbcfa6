package keys

import (
	"crypto/ecdh"
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

// A Warning is one thing that is odd about a key or its file.
type Warning struct {
	File  string
	Text  string
	Fix   string
	Grave bool // nobody can use the certificate, its mail is not opened, or the key is not safe
}

// String returns "FILE: TEXT: FIX" on one line.
func (w Warning) String() string {
	text := w.Text
	if w.File != "" {
		text = w.File + ": " + text
	}
	if w.Fix != "" {
		text += ": " + w.Fix
	}
	return text
}

// Findings returns what is odd about the keys and their files: nothing that stops mail, all of it worth a look at
// start-up.
func (r *Ring) Findings() []Warning {
	var warnings []Warning
	for _, e := range r.entries {
		for _, file := range e.pair.secrets() {
			warnings = append(warnings, modeWarnings(file)...)
		}
		if remark := e.remarked(); remark != "" {
			warnings = append(warnings, Warning{e.pair.KeyFile(), remark, "allow the mechanism for the key, or tell partners to use RSAES-OAEP", true})
		}
		warnings = append(warnings, usageWarnings(e.pair.CertFile(), e.cert)...)
	}
	return warnings
}

// soon is how long before its end a certificate is due to be replaced.
const soon = 30 * 24 * time.Hour

// secrets are the files that nobody else may read.
func (p Pair) secrets() []string {
	var files []string
	if p.PKCS11 == "" {
		files = append(files, p.KeyFile())
	} else if uri, err := parseTokenURI(p.PKCS11); err == nil && uri.pinFile != "" {
		files = append(files, uri.pinFile)
	}
	if p.PasswordFile != "" {
		files = append(files, p.PasswordFile)
	}
	return files
}

func (e *entry) remarked() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.remark
}

// DomainFindings returns why senders may not find or use the certificates for a domain (given as A-labels): those
// out of date, and those whose SubjectAltName does not name the domain (D31). A retired key is meant to open old
// mail, so only the current certificate, the first, is looked at.
func (r *Ring) DomainFindings(domain string, at time.Time) []Warning {
	if len(r.entries) == 0 {
		return nil
	}
	cert, file := r.entries[0].cert, r.entries[0].pair.CertFile()
	warnings := dateWarnings(file, cert, at)
	if !namesDomain(cert, domain) {
		warnings = append(warnings, Warning{file, fmt.Sprintf("certificate has neither the dNSName %s nor the URI smtp://%s", domain, domain),
			"senders that look for the domain in SubjectAltName do not find it; ask the CA for one of the names", false})
	}
	return warnings
}

func dateWarnings(file string, cert *x509.Certificate, at time.Time) []Warning {
	const fix = "senders do not encrypt to it; put a new certificate and key first, keep this one after it"
	switch {
	case at.After(cert.NotAfter):
		return []Warning{{file, "certificate expired at " + date(cert.NotAfter), fix, true}}
	case at.Before(cert.NotBefore):
		return []Warning{{file, "certificate is not valid before " + date(cert.NotBefore), "senders do not encrypt to it; check the clock, or put a valid certificate first", true}}
	case at.Add(soon).After(cert.NotAfter):
		return []Warning{{file, "certificate expires at " + date(cert.NotAfter), "put a new certificate and key first in time, keep this one after it", false}}
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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
func modeWarnings(path string) []Warning {
	info, err := os.Stat(path)
	if err != nil {
		return []Warning{{Text: fmt.Sprintf("key file: %v", err)}}
	}
	var warnings []Warning
	if info.Mode().Perm()&0o004 != 0 {
		warnings = append(warnings, Warning{path, "everybody may read this private key", "chmod o-r", true})
	}
	if info.Mode().Perm()&0o022 != 0 {
		warnings = append(warnings, Warning{path, "others may change this private key", "chmod go-w", true})
	}
	return warnings
}

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

func usageWarnings(path string, cert *x509.Certificate) []Warning {
	var warnings []Warning
	warn := func(grave bool, text, fix string) { warnings = append(warnings, Warning{path, text, fix, grave}) }
	limited := slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidKeyUsage) })
	const unused = "senders will not encrypt to this certificate; ask the CA for one that has it"
	kind, usage, name := kindOf(cert)
	if limited && kind != "" && cert.KeyUsage&usage == 0 {
		warn(true, "key usage lacks "+name, unused)
	}
	if kind == "" {
		warn(true, "keys of this kind cannot open mail", "use a key of RSA, on P-256, P-384 or P-521, X25519, X448, or ML-KEM")
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		warn(false, fmt.Sprintf("RSA key has %d bits, and less than 2048 are weak", key.N.BitLen()), "make a new key of 3072")
	}
	return warnings
}

// kindOf returns the kind of the certificate's key, empty for one that cannot open mail, and the key usage with which
// senders use it.
func kindOf(cert *x509.Certificate) (kind string, usage x509.KeyUsage, name string) {
	if _, ok := kemOf(cert); ok {
		return "ML-KEM", x509.KeyUsageKeyEncipherment, "keyEncipherment" // RFC 9935 section 5
	}
	if _, ok := x448Of(cert); ok {
		return "X448", x509.KeyUsageKeyAgreement, "keyAgreement"
	}
	switch key := publicKey(cert).(type) {
	case *rsa.PublicKey:
		return "RSA", x509.KeyUsageKeyEncipherment, "keyEncipherment"
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err == nil {
			return key.Params().Name, x509.KeyUsageKeyAgreement, "keyAgreement"
		}
	case *ecdh.PublicKey:
		return "X25519", x509.KeyUsageKeyAgreement, "keyAgreement"
	}
	return "", 0, ""
}
