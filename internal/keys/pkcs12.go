package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// readPKCS12 returns the one private key of a PKCS #12 file, and the certificate in it that belongs to the key.
func readPKCS12(path, passwordFile string) (crypto.PrivateKey, *x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	password, err := readPassword(passwordFile)
	if err != nil {
		return nil, nil, err
	}
	key, first, others, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && passwordFile == "":
		return nil, nil, fmt.Errorf("%s: its password is not empty: write it to a file, and password_file = \"FILE\"", path)
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, fmt.Errorf("%s: the password in %s is not the one", path, passwordFile)
	case err != nil: // the library reads no BER, which Mozilla writes
		return nil, nil, fmt.Errorf("%s: no PKCS #12 file in DER with one private key and its certificate (openssl pkcs12 -in FILE -nodes makes PEM of any): %w", path, err)
	}
	for _, cert := range append([]*x509.Certificate{first}, others...) {
		if belongs(key, cert) {
			return key, cert, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: no certificate in it is that of the private key", path)
}

// readPassword returns the first line of a file; no file is an empty password.
func readPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if len(rest) > 0 {
		return "", fmt.Errorf("%s: more than one line", path)
	}
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}
