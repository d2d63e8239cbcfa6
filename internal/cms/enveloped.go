package cms

import (
	"encoding/asn1"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// EnvelopedData is RFC 5652 section 6, read up to its ciphertext. Decrypt reads the rest.
type EnvelopedData struct {
	Version           int
	RecipientInfos    []RecipientInfo
	ContentType       asn1.ObjectIdentifier // of what is encrypted; nobody vouches for it
	ContentEncryption AlgorithmIdentifier
	KeySize           int    // octets of a content-encryption key; 0 for an unknown cipher or unfit parameters
	Cipher            string // "aes256-cbc"; for an unknown cipher its name or OBJECT IDENTIFIER

	b          *ber
	ciphertext octets
	iv         []byte
	taken      bool
	stats      Stats
}

// Stats counts the operations of a Decrypt. All ways in which the inside of a ciphertext can be wrong give the same
// counts as a good ciphertext with the same number of whole blocks (THREATS A10, A12).
type Stats struct {
	Ciphertext int64 // octets of ciphertext read
	Blocks     int64 // cipher blocks decrypted
	Writes     int64 // calls of the writer
	RandomKeys int64 // keys drawn to stand in for one that does not fit
	Paddings   int64 // padding checks
}

// EnvelopedData reads an EnvelopedData up to its ciphertext.
func (r *Reader) EnvelopedData() (*EnvelopedData, error) {
	b, err := r.content(OIDEnvelopedData)
	if err != nil {
		return nil, err
	}
	e := &EnvelopedData{b: b}
	if err := e.begin(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *EnvelopedData) begin() (err error) {
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

func (e *EnvelopedData) recipientInfos() error {
	if err := e.b.open(tagSet); err != nil {
		return err
	}
	room := maxRecipients
	for {
		more, err := e.b.more()
		if err != nil {
			return err
		}
		if !more {
			return e.b.leave()
		}
		if len(e.RecipientInfos) == maxRecipientInfos {
			return syntax("more than %d recipientInfos", maxRecipientInfos)
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
		e.RecipientInfos = append(e.RecipientInfos, lenient(raw))
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
func (e *EnvelopedData) encryptedContentInfo() error {
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
	e.ciphertext, err = newOctets(e.b, el)
	return err
}

func (e *EnvelopedData) setCipher(a AlgorithmIdentifier) {
	e.ContentEncryption = a
	e.Cipher = algorithmName(a.Algorithm)
	for _, c := range ciphers {
		if !c.oid.Equal(a.Algorithm) {
			continue
		}
		e.Cipher = c.name
		// AES-IV ::= OCTET STRING (SIZE(16)), RFC 3565 4.1. Any other form is refused (THREATS A05).
		s := cryptobyte.String(a.Parameters)
		var iv cryptobyte.String
		if s.ReadASN1(&iv, casn1.OCTET_STRING) && s.Empty() && len(iv) == 16 {
			e.KeySize, e.iv = c.size, iv
		}
	}
}

// finish reads what follows the ciphertext: unprotectedAttrs [1], which nobody vouches for, and the ends.
func (e *EnvelopedData) finish() error {
	if err := e.b.leave(); err != nil { // encryptedContentInfo
		return err
	}
	attrs, ok, err := e.b.nextIf(tagContextConstructed | 1)
	if err != nil {
		return err
	}
	if ok {
		if err := e.b.discard(attrs); err != nil {
			return err
		}
	}
	return e.b.finish()
}

// Stats returns what Decrypt has done.
func (e *EnvelopedData) Stats() Stats { return e.stats }

// Decrypt decrypts the whole ciphertext into w with the content-encryption key, then reads to the end of the
// ContentInfo. Whatever is wrong with the key, the length of the ciphertext or its padding, the same operations take
// place and the error is ErrDecrypt; what was written is then worth nothing. Structure that is wrong is ErrSyntax,
// an unknown cipher ErrAlgorithm; errors of w and of the source pass through.
func (e *EnvelopedData) Decrypt(key []byte, w io.Writer) error {
	if e.KeySize == 0 {
		return ErrAlgorithm
	}
	if e.taken {
		return errTaken
	}
	e.taken = true
	good, err := e.decryptCBC(key, w)
	if err != nil {
		return err
	}
	if err := e.finish(); err != nil {
		return err
	}
	if good != 1 {
		return ErrDecrypt
	}
	return nil
}
