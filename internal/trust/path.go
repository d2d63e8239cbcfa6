package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// checkSigner holds the certificate of a signer against what crypto/x509 does not look at (THREATS A30, DOM-R9).
func checkSigner(leaf *x509.Certificate, requireEKU bool, at time.Time) *fault {
	switch {
	case !strongKey(leaf):
		return faultf(ReasonWeakKey, "key of the signer is too short")
	case leaf.IsCA, leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return faultf(ReasonCA, "the signer's certificate may sign certificates")
	case extension(leaf, oidKeyUsage) != nil && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return faultf(ReasonKeyUsage, "key usage has neither digitalSignature nor nonRepudiation")
	case !mailUsage(leaf, requireEKU):
		return faultf(ReasonExtendedKeyUsage, "extended key usage lacks emailProtection")
	case at.IsZero():
		return faultf(ReasonUntrusted, "time of receipt is not known")
	case at.Before(leaf.NotBefore):
		return faultf(ReasonNotYetValid, fmt.Sprintf("certificate valid from %s", leaf.NotBefore.UTC().Format(time.RFC3339)))
	case at.After(leaf.NotAfter):
		return faultf(ReasonExpired, fmt.Sprintf("certificate valid to %s", leaf.NotAfter.UTC().Format(time.RFC3339)))
	}
	return nil
}

func mailUsage(leaf *x509.Certificate, required bool) bool {
	if len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 {
		return !required
	}
	return slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// strongKey reports whether a key is long enough for a path that is trusted (DESIGN rule 6).
func strongKey(cert *x509.Certificate) bool {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return key.Params().BitSize >= 256
	}
	oid, _ := keyType(cert.RawSubjectPublicKeyInfo)
	return cert.PublicKeyAlgorithm == x509.Ed25519 || isMLDSA(oid)
}

// paths returns every path from leaf to an anchor that crypto/x509 finds good at the given time.
func (a anchors) paths(leaf *x509.Certificate, intermediates [][]byte, at time.Time) ([][]*x509.Certificate, *fault) {
	usable := readIntermediates(leaf, intermediates)
	pool := x509.NewCertPool()
	for _, cert := range a.certified(usable) {
		pool.AddCert(cert)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots:         a.pool,
		Intermediates: pool,
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	if err != nil {
		return nil, &fault{pathReason(leaf, usable, err), err}
	}
	return chains, nil
}

// readIntermediates parses those of the certificates that could be a CA on the path.
func readIntermediates(leaf *x509.Certificate, ders [][]byte) []*x509.Certificate {
	var usable []*x509.Certificate
	names := 0
	for _, der := range ders {
		if bytes.Equal(der, leaf.Raw) {
			continue
		}
		cert, f := readCertificate(der)
		if f != nil || !cert.IsCA || !strongKey(cert) {
			continue
		}
		if n := nameCount(cert); names+n <= maxChainNames {
			names += n
			takeDirectoryConstraints(cert)
			usable = append(usable, cert)
		}
	}
	return usable
}

// maxSignatures bounds what the intermediates of one judgement may cost; crypto/x509 has the same bound on a path.
const maxSignatures = 100

// certified returns those intermediates that an anchor has signed, by way of others or not. A path is built upwards
// from the signer, and so with keys that a stranger made as dear as he could (THREATS A33, A34); this looks
// downwards first, so that a stranger's keys never come to be used.
func (a anchors) certified(usable []*x509.Certificate) []*x509.Certificate {
	var found []*x509.Certificate
	taken := make([]bool, len(usable))
	signatures := 0
	below := func(issuer *x509.Certificate) {
		for i, cert := range usable {
			if taken[i] || signatures >= maxSignatures || !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
				continue
			}
			signatures++
			if cert.CheckSignatureFrom(issuer) == nil {
				taken[i] = true
				found = append(found, cert)
			}
		}
	}
	for _, anchor := range a.certs {
		below(anchor)
	}
	for i := 0; i < len(found); i++ { // found grows on the way
		below(found[i])
	}
	return found
}

// pathReason puts an error of crypto/x509 into one of our words.
func pathReason(leaf *x509.Certificate, usable []*x509.Certificate, err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.CANotAuthorizedForThisName:
			return ReasonNameConstraints
		case x509.IncompatibleUsage:
			return ReasonExtendedKeyUsage
		}
		return ReasonUntrusted
	}
	if reason := signatureReason(leaf); reason != "" {
		return reason
	}
	for _, cert := range usable {
		if reason := signatureReason(cert); reason != "" && bytes.Equal(cert.RawSubject, leaf.RawIssuer) {
			return reason
		}
	}
	return ReasonUntrusted
}

// signatureReason names what is wrong with the signature on a certificate that crypto/x509 never accepts; "" for nothing.
func signatureReason(cert *x509.Certificate) string {
	switch cert.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return ReasonWeakSignature
	case x509.UnknownSignatureAlgorithm:
		return ReasonUnsupportedSignature
	}
	return ""
}

// checkPath adds to a path that crypto/x509 found good what it lets through, and returns the constraints on names.
func checkPath(chain []*x509.Certificate, names certificateNames) ([]constraints, *fault) {
	for _, cert := range chain {
		if !strongKey(cert) {
			return nil, faultf(ReasonWeakKey, fmt.Sprintf("key of %q is too short", nameText(cert.RawSubject)))
		}
	}
	all, f := readPathConstraints(chain)
	if f != nil {
		return nil, f
	}
	return all, checkConstraints(chain, all, names.emails)
}

// walk calls f for every element of a DER SEQUENCE or SET content, and reports whether all could be read and f
// never said no.
func walk(content cryptobyte.String, f func(tag cbasn1.Tag, value cryptobyte.String) bool) bool {
	for !content.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !content.ReadAnyASN1(&value, &tag) || !f(tag, value) {
			return false
		}
	}
	return true
}
