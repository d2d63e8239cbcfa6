package cms

import (
	"bytes"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// AuthEnvelopedData is RFC 5083, read up to its ciphertext. Decrypt reads the rest.
type AuthEnvelopedData struct{ Envelope }

// AuthEnvelopedData reads an AuthEnvelopedData up to its ciphertext.
func (r *Reader) AuthEnvelopedData() (*AuthEnvelopedData, error) {
	b, err := r.content(OIDAuthEnvelopedData)
	if err != nil {
		return nil, err
	}
	a := &AuthEnvelopedData{Envelope{reader: r, b: b, Authenticated: true}}
	if err := a.begin(); err != nil {
		return nil, err
	}
	return a, nil
}

// Decrypt reads to the end of the ContentInfo and authenticates all of it that can be, then decrypts the ciphertext
// into w with the content-authenticated-encryption key. again opens the same octets that the Reader was made of, for
// other readings of a long ciphertext. See decryptAuthenticated for what happens when the tag is wrong (RFC 5083 section
// 2). Structure and attributes that are wrong are ErrSyntax and ErrAttributes, an unknown cipher ErrAlgorithm, a fault
// of another reading ErrReread; errors of w and of the source pass through.
func (a *AuthEnvelopedData) Decrypt(key []byte, again func() (io.Reader, error), w io.Writer) error {
	if a.KeySize == 0 {
		return ErrAlgorithm
	}
	if !a.take() {
		return errTaken
	}
	reread := func() (ciphertext, error) {
		src, err := again()
		if err != nil {
			return nil, err
		}
		second, err := a.reader.another(src).AuthEnvelopedData()
		if err != nil {
			return nil, err
		}
		return second.ciphertext, nil
	}
	return a.decryptAuthenticated(key, a.finish, reread, w)
}

// finish reads what follows the ciphertext: authAttrs [1], mac, unauthAttrs [2], which nobody vouches for, and the ends.
func (a *AuthEnvelopedData) finish() (end trailer, err error) {
	if err := a.b.leave(); err != nil { // authEncryptedContentInfo
		return end, err
	}
	if end.aad, err = a.authAttrs(); err != nil {
		return end, err
	}
	if end.mac, err = a.mac(); err != nil {
		return end, err
	}
	_, attrs, ok, err := a.attributes(2, 3)
	if err != nil {
		return end, err
	}
	if ok {
		if err := a.b.discard(attrs); err != nil {
			return end, err
		}
	}
	return end, a.b.finish()
}

// attributes reads the header of attributes with the tag number of RFC 5083 2.1, or the one that old versions of OpenSSL
// write, which RFC 5083 gives to nothing that may stand there.
func (a *AuthEnvelopedData) attributes(number, old byte) (byte, element, bool, error) {
	e, ok, err := a.b.nextIf(tagContextConstructed | number)
	if ok || err != nil || !a.reader.Lenient {
		return number, e, ok, err
	}
	if e, ok, err = a.b.nextIf(tagContextConstructed | old); ok {
		a.reader.deviates(AttributeTags)
	}
	return old, e, ok, err
}

// authAttrs returns the DER of the attributes as a SET OF, which is what the tag covers (RFC 5083 2.2); nothing when
// they are absent. They must be there for any content type but id-data (2.1), and then name it.
func (a *AuthEnvelopedData) authAttrs() ([]byte, error) {
	number, e, ok, err := a.attributes(1, 2)
	if err != nil {
		return nil, err
	}
	isData := a.ContentType.Equal(OIDData)
	if !ok && !isData {
		return nil, fmt.Errorf("%w: none over content of type %v", ErrAttributes, a.ContentType)
	}
	if !ok {
		return nil, nil
	}
	raw, err := a.b.collect(nil, e, maxAuthAttrs)
	if err != nil {
		return nil, err
	}
	der, err := toDER(raw)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var set cryptobyte.String
	if !s.ReadASN1(&set, casn1.Tag(number).Constructed().ContextSpecific()) || set.Empty() {
		return nil, syntax("authAttrs")
	}
	attributes, elements, ok := readAttributes(set)
	if !ok {
		return nil, syntax("authAttrs")
	}
	contentType, err := single(attributes, OIDAttrContentType)
	if err != nil {
		return nil, err
	}
	if contentType == nil && !isData || contentType != nil && !bytes.Equal(contentType, marshalOID(a.ContentType)) {
		return nil, fmt.Errorf("%w: contentType is not %v", ErrAttributes, a.ContentType)
	}
	return appendElement(nil, tagSet, sortSet(elements)), nil
}

// mac returns the tag, which must have the length that the parameters say (RFC 5084 3.2).
func (a *AuthEnvelopedData) mac() ([]byte, error) {
	e, ok, err := a.b.nextIf(tagOctetString)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, syntax("mac is missing")
	}
	raw, err := a.b.collect(nil, e, maxAlgorithm)
	if err != nil {
		return nil, err
	}
	der, err := toDER(raw)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var mac cryptobyte.String
	if !s.ReadASN1(&mac, casn1.OCTET_STRING) || len(mac) != a.tagSize {
		return nil, syntax("mac")
	}
	return mac, nil
}
