// Package keys holds the decryption keys of one domain: it says which part of an encrypted message is for one of
// them, and turns that part into the content key. A RecipientInfo goes in and a content key comes out, so that the
// keys could as well live in another process.
//
// It never opens content, never tries a second key when the first does not fit (DESIGN rule 2), and never shows a
// private key: not in an error, not in a log, not under any verb of fmt.
package keys

import (
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"

	"paperknife/internal/cms"
)

var (
	// ErrKeyStore is a fault of ours: a file that cannot be read, a key that is not the certificate's, a token that
	// does not answer. The message may be opened later.
	ErrKeyStore = errors.New("key store")
	// ErrNotOurs: the RecipientInfo is for nobody here.
	ErrNotOurs = errors.New("recipient is not ours")
)

// A Pair is where a certificate and its private key are: in PEM files, which may be one file, in a PKCS #12 file, or in
// a PKCS #11 token, beside which the certificate may be in a file.
type Pair struct {
	Cert, Key    string
	PKCS12       string
	PasswordFile string // of the PKCS #12 file; "" when its password is empty
	PKCS11       string // RFC 7512 URI
}

// CertFile is the file that the certificate is in.
func (p Pair) CertFile() string {
	switch {
	case p.PKCS12 != "":
		return p.PKCS12
	case p.Cert == "":
		return withoutPIN(p.PKCS11)
	}
	return p.Cert
}

// KeyFile is the file that the private key is in, or the URI of its token.
func (p Pair) KeyFile() string {
	switch {
	case p.PKCS12 != "":
		return p.PKCS12
	case p.PKCS11 != "":
		return withoutPIN(p.PKCS11)
	}
	return p.Key
}

// certificate reads the certificate.
func (p Pair) certificate() (*x509.Certificate, error) {
	if p.PKCS12 != "" {
		_, cert, err := readPKCS12(p.PKCS12, p.PasswordFile)
		return cert, err
	}
	if p.PKCS11 == "" {
		return readCertificate(p.Cert)
	}
	uri, err := parseTokenURI(p.PKCS11)
	if err != nil {
		return nil, err
	}
	if p.Cert != "" {
		return readCertificate(p.Cert)
	}
	return tokenCertificate(uri)
}

// private reads the private key, which must be that of the certificate. remark is what is odd about it.
func (p Pair) private(cert *x509.Certificate) (key crypto.PrivateKey, remark string, err error) {
	switch {
	case p.PKCS12 != "":
		key, now, err := readPKCS12(p.PKCS12, p.PasswordFile)
		if err == nil && !now.Equal(cert) {
			err = fmt.Errorf("%s: changed since it was read", p.PKCS12)
		}
		return key, "", err
	case p.PKCS11 != "":
		uri, err := parseTokenURI(p.PKCS11)
		if err != nil {
			return nil, "", err
		}
		return tokenKey(uri, cert)
	}
	key, err = readKey(p.Key, cert)
	return key, "", err
}

// A Ring is the keys of one domain, the current one first. It may be used by many goroutines.
type Ring struct {
	entries    []*entry
	bySerial   map[string][]*entry
	byKeyID    map[string][]*entry
	operations atomic.Uint64
}

// An entry is one certificate of ours. The key is read when it is first needed.
type entry struct {
	pair Pair
	rank int // place in the configuration
	cert *x509.Certificate

	mu     sync.Mutex
	key    crypto.PrivateKey
	remark string // what was odd about the key
}

// Load reads the certificates. Private keys are left where they are until a message needs one: a process that
// delivers plain mail never holds a key.
func Load(pairs []Pair) (*Ring, error) {
	r := &Ring{bySerial: make(map[string][]*entry), byKeyID: make(map[string][]*entry)}
	for rank, pair := range pairs {
		cert, err := pair.certificate()
		if err != nil {
			return nil, fmt.Errorf("%w: certificate: %w", ErrKeyStore, err)
		}
		if slices.ContainsFunc(r.entries, func(e *entry) bool { return e.cert.Equal(cert) }) {
			return nil, fmt.Errorf("%w: certificate %q is configured twice", ErrKeyStore, pair.CertFile())
		}
		e := &entry{pair: pair, rank: rank, cert: cert}
		r.entries = append(r.entries, e)
		serial, keyID := serialKey(cert.SerialNumber), string(keyID(cert))
		r.bySerial[serial] = append(r.bySerial[serial], e)
		r.byKeyID[keyID] = append(r.byKeyID[keyID], e)
	}
	return r, nil
}

// Operations returns how often a private key was used.
func (r *Ring) Operations() uint64 { return r.operations.Load() }

// Choose returns the index of the one RecipientInfo that is tried, and whether any of them is for us (DESIGN rule
// 2). Of those for different certificates of ours it is the one that stands first in the configuration, whatever
// the order in the message. Two for the same certificate are a sender's attempt to have a second guess: then none is
// tried, and the index is -1 as it is when nothing is ours.
func (r *Ring) Choose(recipientInfos [][]byte) (index int, ours bool) {
	index = -1
	var chosen *entry
	seen := make(map[*entry]bool)
	for i, der := range recipientInfos {
		ri, err := cms.ParseRecipientInfo(der)
		if err != nil {
			continue // what cannot be read names nobody
		}
		for j := range ri.Recipients {
			e := r.find(&ri.Recipients[j])
			if e == nil {
				continue
			}
			if seen[e] {
				return -1, true
			}
			seen[e] = true
			if chosen == nil || e.rank < chosen.rank {
				chosen, index = e, i
			}
		}
	}
	return index, chosen != nil
}

// ContentKey returns the content key of size octets from a RecipientInfo that Choose chose. Whatever is wrong with
// the ciphertext the answer is some key and no error. An error is ErrKeyStore (try later), ErrNotOurs, or one of
// package cms for what can be seen without a key.
func (r *Ring) ContentKey(recipientInfo []byte, size int) ([]byte, error) {
	ri, err := cms.ParseRecipientInfo(recipientInfo)
	if err != nil {
		return nil, err
	}
	e, place := r.foremost(ri)
	if e == nil {
		return nil, ErrNotOurs
	}
	key, err := e.privateKey(&r.operations)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyStore, err)
	}
	contentKey, err := ri.Only(place).ContentKey(key, size)
	if err != nil && !errors.Is(err, cms.ErrAlgorithm) && !errors.Is(err, cms.ErrSyntax) {
		return nil, fmt.Errorf("%w: %w", ErrKeyStore, err)
	}
	return contentKey, err
}

// foremost returns the entry that Choose looked for in a RecipientInfo, nil for none, and its place there.
func (r *Ring) foremost(ri *cms.RecipientInfo) (chosen *entry, place int) {
	seen := make(map[*entry]bool)
	for i := range ri.Recipients {
		e := r.find(&ri.Recipients[i])
		if e == nil {
			continue
		}
		if seen[e] {
			return nil, 0
		}
		seen[e] = true
		if chosen == nil || e.rank < chosen.rank {
			chosen, place = e, i
		}
	}
	return chosen, place
}

// find returns the entry that is named. Looking by number first keeps the cost flat in the number of keys;
// names are compared as cms does, since some senders write an issuer anew in another string type.
func (r *Ring) find(named *cms.Recipient) *entry {
	if len(named.SubjectKeyID) > 0 {
		return first(r.byKeyID[string(named.SubjectKeyID)])
	}
	if named.Serial == nil {
		return nil
	}
	for _, e := range r.bySerial[serialKey(named.Serial)] {
		if cms.SameName(e.cert.RawIssuer, named.Issuer) {
			return e
		}
	}
	return nil
}

func first(entries []*entry) *entry {
	if len(entries) == 0 {
		return nil
	}
	return entries[0]
}

// Check reads every private key now and returns everything that is wrong.
func (r *Ring) Check() []error {
	var errs []error
	for _, e := range r.entries {
		if _, err := e.privateKey(&r.operations); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrKeyStore, err))
		}
	}
	return errs
}

// serialKey returns a serial number, with its sign, for a map.
func serialKey(serial *big.Int) string {
	return string(append([]byte{byte(serial.Sign())}, serial.Bytes()...))
}

// keyID returns the subjectKeyIdentifier, or what senders make of a certificate that has none (RFC 5280 section
// 4.2.1.2, method 1).
func keyID(cert *x509.Certificate) []byte {
	if len(cert.SubjectKeyId) > 0 {
		return cert.SubjectKeyId
	}
	_, key, _ := subjectPublicKey(cert)
	sum := sha1.Sum(key)
	return sum[:]
}
