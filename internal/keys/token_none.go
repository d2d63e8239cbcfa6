//go:build !pkcs11

package keys

import (
	"crypto"
	"crypto/x509"
	"errors"
)

// errNoTokens: the library that talks to tokens is C, so it is in a build of its own.
var errNoTokens = errors.New("this program was built without PKCS #11 tokens: build it with -tags pkcs11")

func tokenCertificate(*tokenURI) (*x509.Certificate, error) { return nil, errNoTokens }

func tokenKey(*tokenURI, *x509.Certificate) (crypto.PrivateKey, string, error) {
	return nil, "", errNoTokens
}
