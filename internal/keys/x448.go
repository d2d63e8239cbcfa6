package keys

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"github.com/cloudflare/circl/dh/x448"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidX448 = asn1.ObjectIdentifier{1, 3, 101, 111}

// An x448Key is a private key of X448, RFC 8410, which the standard library leaves out.
type x448Key struct{ secret x448.Key }

// parseX448 reads CurvePrivateKey, RFC 8410 section 7.
func parseX448(s cryptobyte.String) (*x448Key, error) {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, casn1.OCTET_STRING) || !s.Empty() || len(octets) != x448.Size {
		return nil, errors.New("no private key of X448 (RFC 8410)")
	}
	return &x448Key{x448.Key(octets)}, nil
}

func (k *x448Key) public() []byte {
	var public x448.Key
	x448.KeyGen(&public, &k.secret)
	return public[:]
}

// X448 implements cms.X448Key.
func (k *x448Key) X448(point []byte) (secret []byte, ok bool, err error) {
	if len(point) != x448.Size {
		return nil, false, errors.New("point of another length than 56 octets")
	}
	var shared x448.Key
	peer := x448.Key(point)
	ok = x448.Shared(&shared, &k.secret, &peer)
	return shared[:], ok, nil
}

// x448Of returns the key of a certificate for X448.
func x448Of(cert *x509.Certificate) ([]byte, bool) {
	oid, key, ok := subjectPublicKey(cert)
	return key, ok && oid.Equal(oidX448)
}
