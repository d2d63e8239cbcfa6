//go:build pkcs11

package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"sync"

	"paperknife/internal/cms"

	"github.com/miekg/pkcs11"
)

// A module is a PKCS #11 library. It is loaded once in a process and stays.
type module struct{ *pkcs11.Ctx }

var modules = struct {
	mu     sync.Mutex
	loaded map[string]module
}{loaded: make(map[string]module)}

func loadModule(path string) (module, error) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m, ok := modules.loaded[path]; ok {
		return m, nil
	}
	ctx := pkcs11.New(path)
	if ctx == nil {
		return module{}, fmt.Errorf("%s: no PKCS #11 library", path)
	}
	if err := ctx.Initialize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		ctx.Destroy()
		return module{}, fmt.Errorf("%s: %w", path, err)
	}
	modules.loaded[path] = module{ctx}
	return module{ctx}, nil
}

// A token is a session with a token in which one private key was found. A fault ends the session; the next use begins
// another, so that a token that comes back is used again.
type token struct {
	uri *tokenURI

	mu      sync.Mutex
	open    bool
	module  module
	session pkcs11.SessionHandle
	key     pkcs11.ObjectHandle
	id      []byte // CKA_ID of the key
}

// use calls f with the session and the key, one call at a time. What failed in a session that was there before is
// tried once more in a new one, unless the ciphertext is to blame.
func (t *token) use(f func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		fresh := !t.open
		if fresh {
			if err := t.begin(); err != nil {
				return err
			}
		}
		err := f()
		if err == nil || errors.Is(err, rsa.ErrDecryption) || errors.Is(err, cms.ErrAlgorithm) {
			return err
		}
		t.open = false
		_ = t.module.CloseSession(t.session) // the fault is told already
		if fresh {
			return err
		}
	}
}

func (t *token) begin() error {
	m, err := loadModule(t.uri.module)
	if err != nil {
		return err
	}
	slot, err := t.uri.find(m)
	if err != nil {
		return err
	}
	session, err := m.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return fmt.Errorf("token %q: %w", t.uri.token, err)
	}
	t.module, t.session = m, session
	if err := t.enter(); err != nil {
		return errors.Join(err, m.CloseSession(session))
	}
	t.open = true
	return nil
}

// enter logs in and finds the key.
func (t *token) enter() error {
	pin, err := t.uri.readPIN()
	if err != nil {
		return err
	}
	if pin != "" {
		err := t.module.Login(t.session, pkcs11.CKU_USER, pin)
		if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
			return fmt.Errorf("token %q: login: %w", t.uri.token, err)
		}
	}
	found, err := t.objects(pkcs11.CKO_PRIVATE_KEY, t.uri.id, t.uri.label)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("token %q: %d private keys have the object %q and id %x; there must be one, which a PIN may show", t.uri.token, len(found), t.uri.label, t.uri.id)
	}
	t.key = found[0]
	t.id, err = t.attribute(t.key, pkcs11.CKA_ID)
	return err
}

// readPIN returns the PIN, empty when there is none.
func (u *tokenURI) readPIN() (string, error) {
	if u.pinFile != "" {
		return readPassword(u.pinFile)
	}
	return u.pin, nil
}

// find returns the slot of the one token that the URI names.
func (u *tokenURI) find(m module) (uint, error) {
	slots, err := m.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", u.module, err)
	}
	slots = slices.DeleteFunc(slots, func(slot uint) bool {
		info, err := m.GetTokenInfo(slot)
		is := func(want, have string) bool { return want == "" || want == have }
		return err != nil || u.slot != nil && *u.slot != slot || !is(u.token, info.Label) || !is(u.serial, info.SerialNumber) ||
			!is(u.manufacturer, info.ManufacturerID) || !is(u.model, info.Model)
	})
	if len(slots) != 1 {
		return 0, fmt.Errorf("%s: %d tokens are the one named %q", u.module, len(slots), u.token)
	}
	return slots[0], nil
}

// objects returns the handles of a few objects of a class.
func (t *token) objects(class uint, id []byte, label string) ([]pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if id != nil {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	}
	if label != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	}
	if err := t.module.FindObjectsInit(t.session, template); err != nil {
		return nil, fmt.Errorf("token %q: %w", t.uri.token, err)
	}
	found, _, err := t.module.FindObjects(t.session, 10)
	if err = errors.Join(err, t.module.FindObjectsFinal(t.session)); err != nil {
		return nil, fmt.Errorf("token %q: %w", t.uri.token, err)
	}
	return found, nil
}

func (t *token) attribute(object pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	values, err := t.module.GetAttributeValue(t.session, object, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil {
		return nil, fmt.Errorf("token %q: %w", t.uri.token, err)
	}
	return values[0].Value, nil
}

// tokenCertificate returns the certificate that stands beside the key in the token.
func tokenCertificate(u *tokenURI) (cert *x509.Certificate, err error) {
	t := &token{uri: u}
	err = t.use(func() error {
		found, err := t.objects(pkcs11.CKO_CERTIFICATE, t.id, "")
		if err == nil && (len(found) == 0 || len(t.id) == 0) && u.label != "" {
			found, err = t.objects(pkcs11.CKO_CERTIFICATE, nil, u.label)
		}
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("token %q: %d certificates beside the key; name a file with cert", u.token, len(found))
		}
		der, err := t.attribute(found[0], pkcs11.CKA_VALUE)
		if err != nil {
			return err
		}
		cert, err = x509.ParseCertificate(der)
		return err
	})
	return cert, err
}

// tokenKey returns the key. It is tried first, with what the certificate's key makes, to see that both belong together
// and how the token wants to be asked. remark is what the postmaster should know, if anything.
func tokenKey(u *tokenURI, cert *x509.Certificate) (key crypto.PrivateKey, remark string, err error) {
	t := &token{uri: u}
	switch public := publicKey(cert).(type) {
	case *rsa.PublicKey:
		return t.rsaKey(public)
	case *ecdsa.PublicKey:
		point, err := public.ECDH()
		if err != nil {
			return nil, "", err
		}
		key, err := t.ecKey(point)
		return key, "", err
	}
	return nil, "", errors.New("keys of this kind are not used in a token: RSA, or on P-256, P-384 or P-521")
}

var errAnother = errors.New("the private key in the token is not the one of the certificate")

func (t *token) rsaKey(public *rsa.PublicKey) (crypto.PrivateKey, string, error) {
	probe, err := rand.Int(rand.Reader, public.N)
	if err != nil {
		return nil, "", err
	}
	sealed := new(big.Int).Exp(probe, big.NewInt(int64(public.E)), public.N).FillBytes(make([]byte, public.Size()))
	got, err := t.raw(sealed)
	switch {
	case err == nil && new(big.Int).SetBytes(got).Cmp(probe) != 0:
		return nil, "", errAnother
	case err == nil:
		return rawRSA{public, t.raw}, "", nil
	case !errors.Is(err, cms.ErrAlgorithm):
		return nil, "", err
	}
	// The padding is the token's then. It may tell right PKCS #1 v1.5 from wrong by its time, or by its answer.
	native := tokenRSA{t, public}
	seed := []byte("paperknife")
	if sealed, err = rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, public, seed, nil); err != nil {
		return nil, "", err
	}
	got, err = native.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1})
	switch {
	case errors.Is(err, cms.ErrAlgorithm):
		return native, "the token has neither CKM_RSA_X_509 nor CKM_RSA_PKCS_OAEP for this key, so it opens no mail", nil
	case err != nil && !errors.Is(err, rsa.ErrDecryption):
		return nil, "", err
	case !bytes.Equal(got, seed):
		return nil, "", errAnother
	}
	return native, "the token has no CKM_RSA_X_509 for this key, so mail with RSA PKCS #1 v1.5 is not opened, only RSAES-OAEP", nil
}

// raw is the bare RSA operation. It works on every number below the modulus.
func (t *token) raw(ciphertext []byte) (em []byte, err error) {
	err = t.use(func() error {
		em, err = t.decrypt(pkcs11.NewMechanism(pkcs11.CKM_RSA_X_509, nil), ciphertext)
		return err
	})
	return em, err
}

// decrypt does one operation. What fails before the ciphertext is seen is the mechanism, or the token.
func (t *token) decrypt(mechanism *pkcs11.Mechanism, ciphertext []byte) ([]byte, error) {
	if err := t.module.DecryptInit(t.session, []*pkcs11.Mechanism{mechanism}, t.key); err != nil {
		if isCode(err, refusals) {
			return nil, fmt.Errorf("%w: the token refuses mechanism %#x: %w", cms.ErrAlgorithm, mechanism.Mechanism, err)
		}
		return nil, err
	}
	return t.module.Decrypt(t.session, ciphertext)
}

// refusals are what tokens answer to a mechanism, or parameters of it, that they do not have for a key.
var refusals = []uint{pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD,
	pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, pkcs11.CKR_KEY_TYPE_INCONSISTENT, pkcs11.CKR_FUNCTION_NOT_SUPPORTED}

// faults are what tokens answer when they are at fault. All else that they say to a ciphertext is about the ciphertext
// (several say CKR_GENERAL_ERROR).
var faults = []uint{pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT,
	pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN,
	pkcs11.CKR_HOST_MEMORY, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID,
	pkcs11.CKR_OPERATION_NOT_INITIALIZED, pkcs11.CKR_SLOT_ID_INVALID}

func isCode(err error, codes []uint) bool {
	var code pkcs11.Error
	return errors.As(err, &code) && slices.Contains(codes, uint(code))
}

// A tokenRSA is an RSA key whose token takes the padding off.
type tokenRSA struct {
	token  *token
	public *rsa.PublicKey
}

// Public implements crypto.Decrypter.
func (k tokenRSA) Public() crypto.PublicKey { return k.public }

// oaepHashes are the mechanisms of hashes, and of MGF1 with them.
var oaepHashes = map[crypto.Hash]struct{ hash, mgf uint }{
	crypto.SHA1:   {pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1},
	crypto.SHA224: {pkcs11.CKM_SHA224, pkcs11.CKG_MGF1_SHA224},
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// Decrypt implements crypto.Decrypter, for RSAES-OAEP alone.
func (k tokenRSA) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) (plain []byte, err error) {
	oaep, ok := opts.(*rsa.OAEPOptions)
	if !ok {
		return nil, fmt.Errorf("%w: the token would take PKCS #1 v1.5 padding off itself", cms.ErrAlgorithm)
	}
	hash, mgf := oaepHashes[oaep.Hash], oaepHashes[oaep.MGFHash]
	params := pkcs11.NewOAEPParams(hash.hash, mgf.mgf, pkcs11.CKZ_DATA_SPECIFIED, oaep.Label)
	err = k.token.use(func() error {
		plain, err = k.token.decrypt(pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, params), ciphertext)
		if err == nil || errors.Is(err, cms.ErrAlgorithm) || isCode(err, faults) {
			return err
		}
		return rsa.ErrDecryption
	})
	return plain, err
}

// A tokenEC is a key on an elliptic curve in a token.
type tokenEC struct {
	token   *token
	public  *ecdh.PublicKey
	wrapped bool // the token wants points as an OCTET STRING
}

func (t *token) ecKey(public *ecdh.PublicKey) (crypto.PrivateKey, error) {
	probe, err := public.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	want, err := probe.ECDH(public)
	if err != nil {
		return nil, err
	}
	var got []byte
	for _, wrapped := range []bool{false, true} {
		key := tokenEC{t, public, wrapped}
		if got, err = key.ECDH(probe.PublicKey()); err == nil && bytes.Equal(got, want) {
			return key, nil
		}
	}
	switch {
	case err == nil:
		err = errAnother
	case isCode(err, refusals):
		err = fmt.Errorf("the token does not let the key derive secrets (CKA_DERIVE, CKM_ECDH1_DERIVE): %w", err)
	}
	return nil, err
}

// PublicKey implements ecdh.KeyExchanger.
func (k tokenEC) PublicKey() *ecdh.PublicKey { return k.public }

// Curve implements ecdh.KeyExchanger.
func (k tokenEC) Curve() ecdh.Curve { return k.public.Curve() }

// ECDH implements ecdh.KeyExchanger. The point of peer was found to be on the curve, so that an error is the token's.
func (k tokenEC) ECDH(peer *ecdh.PublicKey) (secret []byte, err error) {
	point := peer.Bytes()
	if k.wrapped {
		point = octetString(point)
	}
	size := (len(peer.Bytes()) - 1) / 2 // of a coordinate
	err = k.token.use(func() error {
		secret, err = k.token.derive(point, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(secret) > size {
		return nil, fmt.Errorf("the token gave a secret of %d octets, not %d", len(secret), size)
	}
	return append(make([]byte, size-len(secret)), secret...), nil
}

// derive returns the x-coordinate of the common point, by C_DeriveKey.
func (t *token) derive(point []byte, size int) (secret []byte, err error) {
	mechanism := pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, point))
	object, err := t.module.DeriveKey(t.session, []*pkcs11.Mechanism{mechanism}, t.key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, size),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
	})
	if err != nil {
		return nil, err
	}
	secret, err = t.attribute(object, pkcs11.CKA_VALUE)
	return secret, errors.Join(err, t.module.DestroyObject(t.session, object))
}

// octetString is the DER of up to 255 octets.
func octetString(p []byte) []byte {
	head := []byte{4, byte(len(p))}
	if len(p) > 127 {
		head = []byte{4, 0x81, byte(len(p))}
	}
	return append(head, p...)
}
