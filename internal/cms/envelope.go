package cms

import (
	"crypto/rand"
	"encoding/asn1"
	"io"
)

// An Envelope is what EnvelopedData and AuthEnvelopedData have in common: all that stands before the ciphertext.
type Envelope struct {
	Version           int
	RecipientInfos    []RecipientInfo
	ContentType       asn1.ObjectIdentifier // of what is encrypted; in an EnvelopedData nobody vouches for it
	ContentEncryption AlgorithmIdentifier
	KeySize           int    // octets of a content-encryption key; 0 for a cipher that does not belong here, or unfit parameters
	Cipher            string // "aes256-cbc"; for an unknown cipher its name or OBJECT IDENTIFIER

	reader *Reader
	// Authenticated reports that a tag covers the ciphertext. Decrypt then writes nothing before it was found right.
	Authenticated bool
	// Weak reports a cipher that should no longer be used.
	Weak bool

	b          *ber
	ciphertext ciphertext
	cipher     cipherMode
	tagBehind  *withTag // the ciphertext, where its tag stands behind it
	iv         []byte
	keyInfo    []byte // of the derivation of the key; nil when it is used as it came
	tagSize    int    // octets of the mac, of an AuthEnvelopedData
	taken      bool
	stats      Stats
}

// Stats counts the operations of a Decrypt. All ways in which the inside of a ciphertext can be wrong give the same
// counts as a good ciphertext with the same number of whole blocks (THREATS A10, A12).
type Stats struct {
	Ciphertext int64 // octets of ciphertext read
	Tagged     int64 // octets of ciphertext that went into the tag
	Blocks     int64 // cipher blocks decrypted
	Writes     int64 // calls of the writer
	RandomKeys int64 // keys drawn to stand in for one that does not fit
	Paddings   int64 // padding checks
	Tags       int64 // comparisons of the tag
}

// begin reads up to the ciphertext.
func (e *Envelope) begin() (err error) {
	if e.Version, _, err = e.b.version(); err != nil {
		return err
	}
	originator, ok, err := e.b.nextIf(tagContextConstructed)
	if err != nil {
		return err
	}
	if ok {
		if err := e.b.discard(originator); err != nil {
			return err
		}
	}
	if err := e.recipientInfos(); err != nil {
		return err
	}
	return e.encryptedContentInfo()
}

func (e *Envelope) recipientInfos() error {
	if err := e.b.open(tagSet); err != nil {
		return err
	}
	room, named := maxRecipients, 0
	for {
		more, err := e.b.more()
		if err != nil {
			return err
		}
		if !more {
			return e.b.leave()
		}
		el, err := e.b.next()
		if err != nil {
			return err
		}
		raw, err := e.b.collect(nil, el, room)
		if err != nil {
			return err
		}
		room -= len(raw)
		info := lenient(raw)
		if named += max(1, len(info.Recipients)); named > maxRecipientInfos {
			return syntax("more than %d recipients", maxRecipientInfos)
		}
		e.RecipientInfos = append(e.RecipientInfos, info)
	}
}

// lenient reads a RecipientInfo; one that cannot be read does not stand in the way of the others.
func lenient(raw []byte) RecipientInfo {
	der, err := toDER(raw)
	if err != nil {
		return RecipientInfo{Kind: Other, DER: raw}
	}
	ri, err := ParseRecipientInfo(der)
	if err != nil {
		return RecipientInfo{Kind: Other, DER: der}
	}
	return *ri
}

// encryptedContentInfo reads EncryptedContentInfo up to encryptedContent [0] IMPLICIT OCTET STRING.
func (e *Envelope) encryptedContentInfo() error {
	if err := e.b.open(tagSequence); err != nil {
		return err
	}
	contentType, err := e.b.oid()
	if err != nil {
		return err
	}
	e.ContentType = contentType
	a, _, err := e.b.algorithm()
	if err != nil {
		return err
	}
	e.setCipher(a)
	el, ok, err := e.b.nextIf(tagContextPrimitive)
	if err != nil {
		return err
	}
	if !ok {
		return syntax("encryptedContent is missing")
	}
	string, err := newOctets(e.b, el)
	e.ciphertext = &string
	if e.tagBehind != nil {
		e.tagBehind.of = e.ciphertext
		e.ciphertext = e.tagBehind
	}
	return err
}

// setCipher takes a cipher of the table whose mode belongs into this type of object. Anything without authentication in
// an AuthEnvelopedData would turn one key into an oracle for another mode, and so might AEAD in an EnvelopedData
// (THREATS A06, A07). A lenient reader takes AES-GCM there, which is then authenticated as anywhere.
func (e *Envelope) setCipher(a AlgorithmIdentifier) {
	e.ContentEncryption = a
	a, e.keyInfo = underHKDF(a)
	e.Cipher = algorithmName(a.Algorithm)
	for _, c := range ciphers {
		if c.oid.Equal(a.Algorithm) {
			e.Cipher = c.name
			e.setMode(c.mode, c.size, a.Parameters)
			return
		}
	}
}

func (e *Envelope) setMode(mode cipherMode, keySize int, parameters []byte) {
	var deviations []Deviation
	lenient := e.reader.Lenient
	behind := mode.authenticates() && !e.Authenticated
	switch {
	case mode.authenticates() == e.Authenticated:
	case lenient && mode == modeGCM:
		deviations = append(deviations, GCMInEnvelopedData)
	default:
		return
	}
	iv, tagSize, ok := mode.parameters(parameters)
	if !ok && lenient {
		if iv, tagSize, ok = mode.lenientParameters(parameters); ok {
			deviations = append(deviations, GCMNonceAlone)
		}
	}
	if !ok {
		return
	}
	e.KeySize, e.cipher, e.iv, e.tagSize, e.Weak = keySize, mode, iv, tagSize, mode.weak()
	if behind {
		e.Authenticated, e.tagBehind = true, &withTag{tag: make([]byte, tagSize)}
	}
	e.reader.deviates(deviations...)
}

// Stats returns what Decrypt has done.
func (e *Envelope) Stats() Stats { return e.stats }

// take is true once.
func (e *Envelope) take() bool {
	was := e.taken
	e.taken = true
	return !was
}

// fitKey returns the key, or a random one in its place when it does not have the size of the cipher.
func (e *Envelope) fitKey(key []byte) (fit []byte, good int, err error) {
	if fit, err = e.randomKey(); err != nil {
		return nil, 0, err
	}
	if len(key) == len(fit) {
		good = 1
		copy(fit, key)
	}
	if e.keyInfo != nil {
		fit, err = deriveCEK(fit, e.keyInfo)
	}
	return fit, good, err
}

func (e *Envelope) randomKey() ([]byte, error) {
	key := make([]byte, e.KeySize)
	e.stats.RandomKeys++
	_, err := rand.Read(key)
	return key, err
}

func (e *Envelope) write(w io.Writer, p []byte) error {
	e.stats.Writes++
	n, err := w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return err
}
