package cms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"

	"github.com/ProtonMail/go-crypto/brainpool"
)

// A namedBrainpool is a curve of RFC 5639 with its name.
type namedBrainpool struct {
	name  string
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}

// brainpoolCurves are those that CMS uses. Their arithmetic takes a time that depends on the numbers, so nothing here
// ever meets a private key.
var brainpoolCurves = []namedBrainpool{
	{"brainpoolP256r1", asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}, brainpool.P256r1()},
	{"brainpoolP384r1", asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 11}, brainpool.P384r1()},
	{"brainpoolP512r1", asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 13}, brainpool.P512r1()},
}

// brainpoolCurve returns the curve that ECParameters name, nil when it is none of these.
func brainpoolCurve(parameters []byte) *namedBrainpool {
	for i, b := range brainpoolCurves {
		if isOID(parameters, b.oid) {
			return &brainpoolCurves[i]
		}
	}
	return nil
}

// key reads a point, uncompressed (RFC 5480 2.2); nil for what is none of the curve.
func (b *namedBrainpool) key(point []byte) *ecdsa.PublicKey {
	params := b.curve.Params()
	size := (params.BitSize + 7) / 8
	if len(point) != 1+2*size || point[0] != 4 {
		return nil
	}
	x, y := new(big.Int).SetBytes(point[1:1+size]), new(big.Int).SetBytes(point[1+size:])
	//lint:ignore SA1019 crypto/ecdh does not know the curve
	if x.Cmp(params.P) >= 0 || y.Cmp(params.P) >= 0 || !b.curve.IsOnCurve(x, y) {
		return nil
	}
	//lint:ignore SA1019 crypto/ecdsa parses no point of this curve
	return &ecdsa.PublicKey{Curve: b.curve, X: x, Y: y}
}
