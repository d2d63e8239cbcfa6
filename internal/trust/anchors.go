package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxFile bounds a file of the administrator's: more than any list of CAs, and most revocation lists, need.
const maxFile = 64 << 20

// anchors is one set of trust anchors.
type anchors struct {
	pool     *x509.CertPool
	certs    []*x509.Certificate
	warnings []string
}

// newAnchors makes the pool that paths may end in. A certificate of a person or an agent may be an anchor: it is
// then trusted itself and issues nothing.
func newAnchors(certs []*x509.Certificate) anchors {
	a := anchors{pool: x509.NewCertPool()}
	for _, cert := range certs {
		if cert == nil {
			continue
		}
		own := *cert // the caller's stays as it is
		takePSSKey(&own)
		if !usableAnchorKey(&own) {
			a.warnings = append(a.warnings, fmt.Sprintf("anchor %q: key is too short, too long or of an unknown kind: it is not used", nameText(cert.RawSubject)))
			continue
		}
		takeDirectoryConstraints(&own)
		a.pool.AddCert(&own)
		a.certs = append(a.certs, &own)
	}
	return a
}

func usableAnchorKey(cert *x509.Certificate) bool {
	spki := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var content cryptobyte.String
	oid, _ := keyType(cert.RawSubjectPublicKeyInfo)
	if isMLDSA(oid) && cert.IsCA {
		return false // crypto/x509 does not verify what it signed
	}
	return spki.ReadASN1(&content, cbasn1.SEQUENCE) && checkKey(content) == nil && strongKey(cert)
}

// LoadAnchors reads the certificates of a file: PEM, one or many, or DER, or a bundle (.p7b, .p7c) in either form.
// The file is the administrator's and is believed.
func LoadAnchors(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := parseAnchors(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

func parseAnchors(data []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return parseBundle(data)
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var found []*x509.Certificate
		var err error
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "CMS":
			found, err = parseBundle(block.Bytes)
		default:
			err = fmt.Errorf("PEM block %q is no certificate", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("block after certificate %d: %w", len(certs), err)
		}
		certs = append(certs, found...)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// parseBundle reads DER: certificates one after another, or a SignedData that only carries them.
func parseBundle(der []byte) ([]*x509.Certificate, error) {
	certs, err := x509.ParseCertificates(der)
	if err == nil && len(certs) > 0 {
		return certs, nil
	}
	bundle, bundleErr := pkcs7.Parse(der)
	if bundleErr != nil {
		return nil, errors.Join(err, bundleErr)
	}
	if len(bundle.Certificates) == 0 {
		return nil, errors.New("no certificate in the bundle")
	}
	return bundle.Certificates, nil
}

// readFile reads a file of bounded size.
func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: more than %d octets", path, maxFile)
	}
	return data, nil
}
