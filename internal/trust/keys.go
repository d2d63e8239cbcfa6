package trust

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Keys that crypto/x509 reads over: it parses such a certificate and leaves the key out.
var (
	oidRSAPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMLDSA  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3} // and 17, 18 or 19: RFC 9881
)

// isMLDSA reports an ML-DSA key. The path to a signer with one is judged like any other, as his own key has no part in it;
// a certificate that such a key signed is not, since crypto/x509 does not verify it.
func isMLDSA(key asn1.ObjectIdentifier) bool {
	n := len(oidMLDSA)
	return len(key) == n+1 && key[:n].Equal(oidMLDSA) && key[n] >= 17 && key[n] <= 19
}

// keyType returns the algorithm of a SubjectPublicKeyInfo, and its key.
func keyType(spki []byte) (oid asn1.ObjectIdentifier, key []byte) {
	s := cryptobyte.String(spki)
	var content, algorithm cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) || !content.ReadASN1BitStringAsBytes(&key) {
		return nil, nil
	}
	return oid, key
}

// takePSSKey gives a certificate its key of type id-RSASSA-PSS (RFC 4055 1.2), with which crypto/x509 can then verify what
// the certificate signed. checkRSA has seen its size.
func takePSSKey(cert *x509.Certificate) {
	oid, der := keyType(cert.RawSubjectPublicKeyInfo)
	if cert.PublicKey != nil || !oid.Equal(oidRSAPSS) {
		return
	}
	s := cryptobyte.String(der)
	var content cryptobyte.String
	n, e := new(big.Int), 0
	if s.ReadASN1(&content, cbasn1.SEQUENCE) && content.ReadASN1Integer(n) && content.ReadASN1Integer(&e) && n.Sign() > 0 && e < 1<<31 {
		cert.PublicKey, cert.PublicKeyAlgorithm = &rsa.PublicKey{N: n, E: e}, x509.RSA
	}
}
