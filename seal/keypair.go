package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/mail"
	"net/url"
	"strings"
	"time"
)

// A KeyPair is a certificate with its private key and the certificates above it, without the root.
type KeyPair struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	Chain       []*x509.Certificate
}

// A Signer is a KeyPair in the role of the one who signs.
type Signer = KeyPair

// CertificatePEM returns the certificate and its chain in PEM.
func (p KeyPair) CertificatePEM() []byte {
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw})
	for _, c := range p.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// KeyPEM returns the private key as PKCS#8 in PEM, not encrypted. It fails for a key that cannot leave its token.
func (p KeyPair) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKeyPair reads a certificate, followed by the chain above it, and its private key from PEM: what CertificatePEM
// and KeyPEM write, or openssl.
func ParseKeyPair(certificates, key []byte) (KeyPair, error) {
	pair, err := tls.X509KeyPair(certificates, key) // checks that they belong together
	if err != nil {
		return KeyPair{}, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return KeyPair{}, fmt.Errorf("unsupported key type %T", pair.PrivateKey)
	}
	out := KeyPair{Key: signer}
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return KeyPair{}, err
		}
		out.Chain = append(out.Chain, c)
	}
	out.Certificate, out.Chain = out.Chain[0], out.Chain[1:]
	return out, nil
}

// A KeyType says which key a new certificate gets.
type KeyType int

// The key types.
const (
	RSA2048 KeyType = iota
	RSA3072
	P256
)

func (t KeyType) generate() (crypto.Signer, error) {
	switch t {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("unknown key type %d", t)
}

// CertificateOptions are the choices for a new certificate. The zero value is an RSA-2048 key, valid from an hour ago
// for two years (a certificate authority: ten).
type CertificateOptions struct {
	Key       KeyType
	NotBefore time.Time
	NotAfter  time.Time
	Serial    *big.Int                            // nil: random, 127 bits
	Edit      func(certificate *x509.Certificate) // last change of the template, for a certificate that breaks a rule
}

// A CA issues certificates. It is meant for tests, the demo and small closed groups: it keeps no register of what it
// has issued.
type CA struct {
	KeyPair
}

// NewCA makes a self-signed certificate authority whose subject is the common name.
func NewCA(commonName string, o CertificateOptions) (*CA, error) {
	pair, err := issue(nil, authority(commonName), 10*365*24*time.Hour, o)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %q: %w", commonName, err)
	}
	return &CA{KeyPair: pair}, nil
}

// IssueCA issues an intermediate certificate authority.
func (ca *CA) IssueCA(commonName string, o CertificateOptions) (*CA, error) {
	pair, err := issue(ca, authority(commonName), 5*365*24*time.Hour, o)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %q: %w", commonName, err)
	}
	return &CA{KeyPair: pair}, nil
}

func authority(commonName string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// IssueDomainSigner issues the signing certificate of a domain: the domain as URI smtp://domain and as dNSName in
// SubjectAltName (SEEDS DOM D3), and a key usage that tells it apart from the encryption certificate (D7).
func (ca *CA) IssueDomainSigner(domain string, o CertificateOptions) (Signer, error) {
	return ca.issueAgent(domain, "signing", x509.KeyUsageDigitalSignature, o)
}

// IssueDCA issues the encryption certificate of a domain, for its domain confidentiality authority (RFC 3183
// section 4.1). Only an RSA key can be encrypted to.
func (ca *CA) IssueDCA(domain string, o CertificateOptions) (KeyPair, error) {
	if o.Key == P256 {
		return KeyPair{}, errors.New("encryption certificate: only RSA keys are supported")
	}
	return ca.issueAgent(domain, "encryption", x509.KeyUsageKeyEncipherment, o)
}

func (ca *CA) issueAgent(domain, duty string, usage x509.KeyUsage, o CertificateOptions) (KeyPair, error) {
	if err := checkDomain(domain); err != nil {
		return KeyPair{}, err
	}
	return issue(ca, &x509.Certificate{
		Subject:     pkix.Name{CommonName: domain + " " + duty},
		KeyUsage:    usage,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		URIs:        []*url.URL{{Scheme: "smtp", Host: domain}},
		DNSNames:    []string{domain},
	}, 2*365*24*time.Hour, o)
}

// IssuePerson issues a certificate for the person with this e-mail address; with an RSA key it signs and is encrypted
// to.
func (ca *CA) IssuePerson(address string, o CertificateOptions) (KeyPair, error) {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address {
		return KeyPair{}, fmt.Errorf("not an e-mail address: %q", address)
	}
	usage := x509.KeyUsageDigitalSignature
	if o.Key != P256 {
		usage |= x509.KeyUsageKeyEncipherment
	}
	return issue(ca, &x509.Certificate{
		Subject:        pkix.Name{CommonName: address},
		KeyUsage:       usage,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{address},
	}, 2*365*24*time.Hour, o)
}

// checkDomain admits what a URI and a dNSName can both hold: lower-case letters, digits, hyphens, two labels or more.
// An internationalised domain is given as A-labels.
func checkDomain(domain string) error {
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("not a domain: %q", domain)
		}
	}
	if len(labels) < 2 || len(domain) > 253 {
		return fmt.Errorf("not a domain: %q", domain)
	}
	return nil
}

// issue signs the template with the authority's key, or with its own when ca is nil.
func issue(ca *CA, template *x509.Certificate, lifetime time.Duration, o CertificateOptions) (KeyPair, error) {
	key, err := o.Key.generate()
	if err != nil {
		return KeyPair{}, err
	}
	if err := complete(template, key.Public(), lifetime, o); err != nil {
		return KeyPair{}, err
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.Certificate, ca.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return KeyPair{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return KeyPair{}, err
	}
	pair := KeyPair{Certificate: certificate, Key: key}
	if ca != nil && ca.Certificate.CheckSignatureFrom(ca.Certificate) != nil {
		pair.Chain = append([]*x509.Certificate{ca.Certificate}, ca.Chain...)
	}
	return pair, nil
}

// complete fills in what every certificate has.
func complete(template *x509.Certificate, public crypto.PublicKey, lifetime time.Duration, o CertificateOptions) error {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	id := sha256.Sum256(spki)
	template.SubjectKeyId = id[:20]
	template.SerialNumber = o.Serial
	if template.SerialNumber == nil {
		if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
			return err
		}
	}
	template.NotBefore, template.NotAfter = o.NotBefore, o.NotAfter
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = template.NotBefore.Add(lifetime)
	}
	if o.Edit != nil {
		o.Edit(template)
	}
	return nil
}
