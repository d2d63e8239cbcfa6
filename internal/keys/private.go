package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"io"
	"sync/atomic"
)

// belongs reports whether a private key is the one of a certificate.
func belongs(key crypto.PrivateKey, cert *x509.Certificate) bool {
	switch key := key.(type) {
	case *x448Key:
		public, ok := x448Of(cert)
		return ok && bytes.Equal(public, key.public())
	case crypto.Decapsulator:
		kem, ok := kemOf(cert)
		return ok && len(kem) == len(key.Encapsulator().Bytes()) && bytes.Equal(kem, key.Encapsulator().Bytes())
	case interface{ Public() crypto.PublicKey }:
		public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(publicKey(cert))
	}
	return false
}

// publicKey returns the key of a certificate, those included that x509 reads in no certificate: X25519.
func publicKey(cert *x509.Certificate) crypto.PublicKey {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	key, err := x509.ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil
	}
	return key
}

// hide returns a key that counts its use and cannot be seen. The key itself is inside a closure, where not even fmt,
// which looks into unexported fields, gets at it. What cannot open mail becomes a key that can do nothing.
func hide(key crypto.PrivateKey, operations *atomic.Uint64) crypto.PrivateKey {
	switch key := key.(type) {
	case crypto.Decrypter:
		return decrypter{public: key.Public(), decrypt: func(random io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error) {
			operations.Add(1)
			return key.Decrypt(random, message, opts)
		}}
	case *ecdsa.PrivateKey:
		if key, err := key.ECDH(); err == nil {
			return hide(key, operations)
		}
	case ecdh.KeyExchanger:
		return exchanger{public: key.PublicKey(), exchange: func(peer *ecdh.PublicKey) ([]byte, error) {
			operations.Add(1)
			return key.ECDH(peer)
		}}
	case *x448Key:
		return x448Exchanger{exchange: func(point []byte) ([]byte, bool, error) {
			operations.Add(1)
			return key.X448(point)
		}}
	case crypto.Decapsulator:
		return decapsulator{public: key.Encapsulator(), decapsulate: func(ciphertext []byte) ([]byte, error) {
			operations.Add(1)
			return key.Decapsulate(ciphertext)
		}}
	}
	return hiddenKey{}
}

// A decrypter is an RSA key.
type decrypter struct {
	hiddenKey
	public  crypto.PublicKey
	decrypt func(random io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error)
}

// Public implements crypto.Decrypter.
func (k decrypter) Public() crypto.PublicKey { return k.public }

// Decrypt implements crypto.Decrypter.
func (k decrypter) Decrypt(random io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return k.decrypt(random, message, opts)
}

// An exchanger is a key on an elliptic curve.
type exchanger struct {
	hiddenKey
	public   *ecdh.PublicKey
	exchange func(*ecdh.PublicKey) ([]byte, error)
}

// PublicKey implements ecdh.KeyExchanger.
func (k exchanger) PublicKey() *ecdh.PublicKey { return k.public }

// Curve implements ecdh.KeyExchanger.
func (k exchanger) Curve() ecdh.Curve { return k.public.Curve() }

// ECDH implements ecdh.KeyExchanger.
func (k exchanger) ECDH(peer *ecdh.PublicKey) ([]byte, error) { return k.exchange(peer) }

// An x448Exchanger is a key of X448.
type x448Exchanger struct {
	hiddenKey
	exchange func(point []byte) ([]byte, bool, error)
}

// X448 implements cms.X448Key.
func (k x448Exchanger) X448(point []byte) ([]byte, bool, error) { return k.exchange(point) }

// A decapsulator is an ML-KEM key.
type decapsulator struct {
	hiddenKey
	public      crypto.Encapsulator
	decapsulate func([]byte) ([]byte, error)
}

// Encapsulator implements crypto.Decapsulator.
func (k decapsulator) Encapsulator() crypto.Encapsulator { return k.public }

// Decapsulate implements crypto.Decapsulator.
func (k decapsulator) Decapsulate(ciphertext []byte) ([]byte, error) {
	return k.decapsulate(ciphertext)
}

// hiddenKey is what a key looks like to fmt, JSON and logs.
type hiddenKey struct{}

const hidden = "private key (not shown)"

// String hides the key.
func (hiddenKey) String() string { return hidden }

// GoString hides the key from %#v.
func (hiddenKey) GoString() string { return hidden }

// Format hides the key from every verb.
func (hiddenKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the key from JSON and log handlers.
func (hiddenKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }
