package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hkdf"
	"encoding/asn1"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// agreements is every way from a shared secret to a key-encryption key: with the KDF of ANSI X9.63 (RFC 5753 7.1.4)
// or HKDF (RFC 8418 2.2). On the curves that are read, the cofactor is 1 and cofactor Diffie-Hellman the same as the
// standard one.
var agreements = []struct {
	name string
	hkdf bool
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
}{
	{"dhSinglePass-stdDH-sha1kdf", false, crypto.SHA1, asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2}},
	{"dhSinglePass-stdDH-sha224kdf", false, crypto.SHA224, asn1.ObjectIdentifier{1, 3, 132, 1, 11, 0}},
	{"dhSinglePass-stdDH-sha256kdf", false, crypto.SHA256, asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}},
	{"dhSinglePass-stdDH-sha384kdf", false, crypto.SHA384, asn1.ObjectIdentifier{1, 3, 132, 1, 11, 2}},
	{"dhSinglePass-stdDH-sha512kdf", false, crypto.SHA512, asn1.ObjectIdentifier{1, 3, 132, 1, 11, 3}},
	{"dhSinglePass-cofactorDH-sha1kdf", false, crypto.SHA1, asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 3}},
	{"dhSinglePass-cofactorDH-sha224kdf", false, crypto.SHA224, asn1.ObjectIdentifier{1, 3, 132, 1, 14, 0}},
	{"dhSinglePass-cofactorDH-sha256kdf", false, crypto.SHA256, asn1.ObjectIdentifier{1, 3, 132, 1, 14, 1}},
	{"dhSinglePass-cofactorDH-sha384kdf", false, crypto.SHA384, asn1.ObjectIdentifier{1, 3, 132, 1, 14, 2}},
	{"dhSinglePass-cofactorDH-sha512kdf", false, crypto.SHA512, asn1.ObjectIdentifier{1, 3, 132, 1, 14, 3}},
	{"dhSinglePass-stdDH-hkdf-sha256", true, crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 19}},
	{"dhSinglePass-stdDH-hkdf-sha384", true, crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 20}},
	{"dhSinglePass-stdDH-hkdf-sha512", true, crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 21}},
}

// agreementCurves is every curve of key agreement. crypto/ecdh does the arithmetic, and refuses points that are not on
// the curve (THREATS A35). It has no X448: that is the row without a curve. The Brainpool curves are left out, since no
// library has them with arithmetic that takes the same time for every private key.
var agreementCurves = []struct {
	curve     ecdh.Curve
	hkdf      bool                  // RFC 8418, else RFC 5753
	algorithm asn1.ObjectIdentifier // of the originator's key
	named     asn1.ObjectIdentifier // its ECParameters; nil: it has no parameters
}{
	{ecdh.P256(), false, oidECPublicKey, oidP256},
	{ecdh.P384(), false, oidECPublicKey, oidP384},
	{ecdh.P521(), false, oidECPublicKey, oidP521},
	{ecdh.X25519(), true, asn1.ObjectIdentifier{1, 3, 101, 110}, nil},
	{nil, true, asn1.ObjectIdentifier{1, 3, 101, 111}, nil},
}

// agreementInfo is what KeyAgreeRecipientInfo says once for all its recipients.
type agreementInfo struct {
	originator AlgorithmIdentifier // of the ephemeral key; none for a static one, which nobody uses (RFC 5753 3.1)
	point      []byte
	ukm        []byte // nil when absent
}

// parseKeyAgree reads KeyAgreeRecipientInfo, RFC 5652 6.2.2.
func parseKeyAgree(ri *RecipientInfo, s cryptobyte.String) error {
	var originator, keys cryptobyte.String
	var version int
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&originator, casn1.Tag(0).Constructed().ContextSpecific()) {
		return syntax("KeyAgreeRecipientInfo")
	}
	ri.agreement = new(agreementInfo)
	if !ri.agreement.readOriginator(originator) {
		return syntax("originator of a KeyAgreeRecipientInfo")
	}
	var ok bool
	if ri.agreement.ukm, ok = readUKM(&s, 1); !ok {
		return syntax("ukm")
	}
	if ri.KeyEncryption, ok = readAlgorithm(&s); !ok || !s.ReadASN1(&keys, casn1.SEQUENCE) || !s.Empty() {
		return syntax("KeyAgreeRecipientInfo")
	}
	for !keys.Empty() {
		if len(ri.Recipients) == maxRecipientInfos {
			return syntax("more than %d recipientEncryptedKeys", maxRecipientInfos)
		}
		r, ok := readRecipientEncryptedKey(&keys)
		if !ok {
			return syntax("RecipientEncryptedKey")
		}
		ri.Recipients = append(ri.Recipients, r)
	}
	return nil
}

// readOriginator reads OriginatorIdentifierOrKey. Who names a certificate instead of a key is left out.
func (a *agreementInfo) readOriginator(s cryptobyte.String) bool {
	if !s.PeekASN1Tag(casn1.Tag(1).Constructed().ContextSpecific()) {
		var ignored cryptobyte.String
		var tag casn1.Tag
		return s.ReadAnyASN1(&ignored, &tag) && s.Empty()
	}
	var key cryptobyte.String
	var ok bool
	if !s.ReadASN1(&key, casn1.Tag(1).Constructed().ContextSpecific()) || !s.Empty() {
		return false
	}
	if a.originator, ok = readAlgorithm(&key); !ok {
		return false
	}
	return key.ReadASN1BitStringAsBytes(&a.point) && key.Empty()
}

// readUKM reads UserKeyingMaterial under an explicit tag, if it is there.
func readUKM(s *cryptobyte.String, tag uint8) (ukm []byte, ok bool) {
	var explicit, octets cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&explicit, &present, casn1.Tag(tag).Constructed().ContextSpecific()) {
		return nil, false
	}
	if !present {
		return nil, true
	}
	ok = explicit.ReadASN1(&octets, casn1.OCTET_STRING) && explicit.Empty()
	return append([]byte{}, octets...), ok
}

// readRecipientEncryptedKey reads RecipientEncryptedKey. Date and other of RecipientKeyIdentifier help to find a key
// and mean nothing here.
func readRecipientEncryptedKey(s *cryptobyte.String) (r Recipient, ok bool) {
	var seq, id, keyID, key cryptobyte.String
	var present bool
	if !s.ReadASN1(&seq, casn1.SEQUENCE) ||
		!seq.ReadOptionalASN1(&id, &present, casn1.Tag(0).Constructed().ContextSpecific()) {
		return r, false
	}
	if present {
		if !id.ReadASN1(&keyID, casn1.OCTET_STRING) {
			return r, false
		}
		r.SubjectKeyID = append([]byte{}, keyID...) // never nil
	} else if r, ok = readRecipient(&seq); !ok || r.SubjectKeyID != nil {
		return r, false
	}
	if !seq.ReadASN1(&key, casn1.OCTET_STRING) || !seq.Empty() {
		return r, false
	}
	r.EncryptedKey = key
	return r, true
}

// An X448Key is a private key of X448.
type X448Key interface {
	// X448 returns the shared secret with a public key of 56 octets. It is of use only when ok, which a point of small
	// order is not (RFC 8418 section 6). An error is a fault of the key, as elsewhere.
	X448(point []byte) (secret []byte, ok bool, err error)
}

const sizeX448 = 56

// agreed is ContentKey by ephemeral-static Diffie-Hellman. A point that is none is replaced by our own, so that the
// key works all the same.
func (ri *RecipientInfo) agreed(private crypto.PrivateKey, size int) ([]byte, error) {
	var curve ecdh.Curve
	var agree func() (secret []byte, good int, err error)
	switch key := private.(type) {
	case ecdh.KeyExchanger:
		curve, agree = key.Curve(), func() ([]byte, int, error) { return agreeECDH(key, ri.agreement.point) }
	case X448Key:
		agree = func() ([]byte, int, error) { return agreeX448(key, ri.agreement.point) }
	default:
		return nil, otherKey("key agreement")
	}
	derive, wrap, err := ri.agreementScheme(curve)
	if err != nil {
		return nil, err
	}
	ri.work.operations++
	secret, good, err := agree()
	if err != nil {
		return nil, err
	}
	ri.work.derivations++
	kek, err := derive(secret)
	if err != nil {
		return nil, err
	}
	return ri.unwrapped(wrap, kek, size, good)
}

func agreeECDH(key ecdh.KeyExchanger, point []byte) (secret []byte, good int, err error) {
	good = 1
	peer, ok := usablePoint(key.Curve(), point)
	if !ok {
		peer, good = key.PublicKey(), 0
	}
	secret, err = key.ECDH(peer)
	return secret, good, err
}

func agreeX448(key X448Key, point []byte) (secret []byte, good int, err error) {
	fit := make([]byte, sizeX448)
	copy(fit, point)
	secret, ok, err := key.X448(fit)
	if ok && len(point) == sizeX448 {
		good = 1
	}
	return secret, good, err
}

// agreementScheme returns how the key-encryption key is derived, and what it encrypts with.
func (ri *RecipientInfo) agreementScheme(curve ecdh.Curve) (derive func(secret []byte) ([]byte, error), wrap keyWrap, err error) {
	hkdf, ok := ri.agreement.isOn(curve)
	if !ok {
		return nil, wrap, fmt.Errorf("%w: originator's key %v", ErrAlgorithm, ri.agreement.originator.Algorithm)
	}
	for _, scheme := range agreements {
		if !scheme.oid.Equal(ri.KeyEncryption.Algorithm) || scheme.hkdf != hkdf {
			continue
		}
		parameters := cryptobyte.String(ri.KeyEncryption.Parameters)
		a, ok := readAlgorithm(&parameters)
		if !ok || !parameters.Empty() {
			break
		}
		if wrap, ok = readKeyWrap(a); !ok {
			break
		}
		ukm, info := ri.agreement.ukm, sharedInfo(a, ri.agreement.ukm, wrap.size)
		if hkdf {
			return func(secret []byte) ([]byte, error) { return deriveHKDF(scheme.hash, secret, ukm, info, wrap.size) }, wrap, nil
		}
		return func(secret []byte) ([]byte, error) { return deriveX963(scheme.hash, secret, info, wrap.size), nil }, wrap, nil
	}
	return nil, wrap, fmt.Errorf("%w: key agreement %v", ErrAlgorithm, ri.KeyEncryption.Algorithm)
}

// isOn reports whether the originator's key may be one on the curve: its parameters may be absent, NULL, or the
// curve's name (RFC 5753 3.1.1). hkdf says by which family of schemes the curve is used.
func (a *agreementInfo) isOn(curve ecdh.Curve) (hkdf, ok bool) {
	for _, c := range agreementCurves {
		if c.curve != curve || !c.algorithm.Equal(a.originator.Algorithm) {
			continue
		}
		if a.originator.plain() {
			return c.hkdf, true
		}
		s := cryptobyte.String(a.originator.Parameters)
		var oid asn1.ObjectIdentifier
		return c.hkdf, s.ReadASN1ObjectIdentifier(&oid) && s.Empty() && oid.Equal(c.named)
	}
	return false, false
}

// nobody's key tells which points of X25519 have a small order: they give zero with this key as with every other, and
// are refused (RFC 8418 section 6). So this is found out without a use of our own.
var nobody = func() *ecdh.PrivateKey {
	key, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return key
}()

func usablePoint(curve ecdh.Curve, point []byte) (*ecdh.PublicKey, bool) {
	public, err := curve.NewPublicKey(point)
	if err != nil {
		return nil, false
	}
	if curve == nobody.Curve() {
		_, err = nobody.ECDH(public)
	}
	return public, err == nil
}

// sharedInfo is the DER of ECC-CMS-SharedInfo, RFC 5753 7.2. keyInfo is as the message has it, with NULL or without.
func sharedInfo(keyInfo AlgorithmIdentifier, ukm []byte, size int) []byte {
	var entityUInfo []byte
	if ukm != nil {
		entityUInfo = explicitOctets(0, ukm)
	}
	suppPubInfo := binary.BigEndian.AppendUint32(nil, uint32(size)*8)
	return appendElement(nil, tagSequence, keyInfo.der(), entityUInfo, explicitOctets(2, suppPubInfo))
}

func explicitOctets(tag byte, octets []byte) []byte {
	return appendElement(nil, tagContextConstructed|tag, appendElement(nil, tagOctetString, octets))
}

// der is the AlgorithmIdentifier as it was read from DER.
func (a AlgorithmIdentifier) der() []byte {
	return appendElement(nil, tagSequence, marshalOID(a.Algorithm), a.Parameters)
}

// deriveX963 is the KDF of ANSI X9.63, SEC 1 3.6.1.
func deriveX963(hash crypto.Hash, secret, info []byte, size int) []byte {
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		h := hash.New()
		h.Write(secret)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size]
}

func deriveHKDF(hash crypto.Hash, secret, salt, info []byte, size int) ([]byte, error) {
	return hkdf.Key(hash.New, secret, salt, string(info), size)
}
