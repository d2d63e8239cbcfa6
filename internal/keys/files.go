package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// maxFile bounds a certificate or key file.
const maxFile = 1 << 20

// readCertificate returns the first certificate of a PEM file, or the one of a DER file.
func readCertificate(path string) (*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	der := data
	if block, ok := findBlock(data, "CERTIFICATE"); ok {
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: no certificate in PEM or DER: %w", path, err)
	}
	return cert, nil
}

func findBlock(data []byte, kind string) (*pem.Block, bool) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			return block, true
		}
	}
	return nil, false
}

// privateKey returns the key of an entry, reading it the first time. A fault is not remembered: once the file is put
// right, the next message finds it.
func (e *entry) privateKey(operations *atomic.Uint64) (crypto.PrivateKey, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.key != nil {
		return e.key, nil
	}
	key, remark, err := e.pair.private(e.cert)
	if err != nil {
		return nil, err
	}
	e.key, e.remark = hide(key, operations), remark
	return e.key, nil
}

// readKey returns the private key of a PEM file that belongs to the certificate.
func readKey(path string, cert *x509.Certificate) (crypto.PrivateKey, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	found := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		key, err := parseKey(block)
		clear(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if key == nil {
			continue
		}
		if belongs(key, cert) {
			return key, nil
		}
		found++
	}
	if found == 0 {
		return nil, fmt.Errorf("%s: no private key in PEM (PKCS#8, PKCS#1 or SEC 1)", path)
	}
	return nil, fmt.Errorf("%s: the private key is not the one of the certificate", path)
}

var errEncrypted = errors.New("the private key is encrypted: write it without a passphrase (openssl pkey -in FILE -out FILE.new) and protect the file by its owner and mode")

// parseKey returns the key in a PEM block, nil if the block is something else.
func parseKey(block *pem.Block) (crypto.PrivateKey, error) {
	if _, encrypted := block.Headers["DEK-Info"]; encrypted {
		return nil, errEncrypted
	}
	var key crypto.PrivateKey
	var err error
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "PRIVATE KEY":
		key, err = parsePKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("private key cannot be read: %w", err)
	}
	return key, nil
}

// readFile reads a regular file of bounded size.
func readFile(path string) (data []byte, err error) {
	info, err := os.Stat(path) // before opening, which would wait for ever on a FIFO
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
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

// subjectPublicKey returns the algorithm of a certificate's key, and the content of its BIT STRING.
func subjectPublicKey(cert *x509.Certificate) (algorithm asn1.ObjectIdentifier, key []byte, ok bool) {
	var info struct {
		Algorithm struct {
			OID        asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key asn1.BitString
	}
	_, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info)
	return info.Algorithm.OID, info.Key.Bytes, err == nil
}
