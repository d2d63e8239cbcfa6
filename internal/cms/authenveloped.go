package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/subtle"
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
	a := &AuthEnvelopedData{Envelope{reader: r, b: b, mode: modeGCM}}
	if err := a.begin(); err != nil {
		return nil, err
	}
	return a, nil
}

// Decrypt reads to the end of the ContentInfo and authenticates all of it that can be, then decrypts the ciphertext
// into w with the content-authenticated-encryption key. The tag stands behind the ciphertext, so a ciphertext longer
// than a buffer is read a second time: again opens the same octets that the Reader was made of.
//
// No plaintext exists before the tag was found right, and none at all when it is wrong (RFC 5083 section 2). The same
// operations take place all the same: a random key takes the place of the right one, what w gets is noise, and the
// error is ErrDecrypt. Structure and attributes that are wrong are ErrSyntax and ErrAttributes, an unknown cipher
// ErrAlgorithm, a fault of the second reading ErrReread; errors of w and of the source pass through.
func (a *AuthEnvelopedData) Decrypt(key []byte, again func() (io.Reader, error), w io.Writer) error {
	if a.KeySize == 0 {
		return ErrAlgorithm
	}
	if !a.take() {
		return errTaken
	}
	key, good, err := a.fitKey(key)
	if err != nil {
		return err
	}
	tag, err := NewGCMTag(key, a.iv)
	if err != nil {
		return err
	}
	buf := make([]byte, decryptSize)
	held, err := a.authenticate(tag, buf)
	if err != nil {
		return err
	}
	aad, mac, err := a.finish()
	if err != nil {
		return err
	}
	size := tag.size
	good &= sameTag(tag.Sum(aad), mac)
	a.stats.Tags++
	if key, err = a.keyIf(good, key); err != nil {
		return err
	}
	if held != nil {
		err = a.decryptCTR(key, func() ([]byte, error) { return held, io.EOF }, w)
	} else {
		err = a.decryptAgain(key, again, size, buf, w)
	}
	if err == nil && good != 1 {
		err = ErrDecrypt
	}
	return err
}

// keyIf returns the key when good is 1, else a random one, and both ways take the same.
func (a *AuthEnvelopedData) keyIf(good int, key []byte) ([]byte, error) {
	chosen, err := a.randomKey()
	if err != nil {
		return nil, err
	}
	subtle.ConstantTimeCopy(good, chosen, key)
	return chosen, nil
}

// authenticate takes the whole ciphertext into the tag. held is the ciphertext when all of it is in buf, else nil.
func (a *AuthEnvelopedData) authenticate(tag *GCMTag, buf []byte) (held []byte, err error) {
	for first := true; ; first = false {
		n, err := a.ciphertext.fill(buf)
		if err != nil && err != io.EOF {
			return nil, err
		}
		a.stats.Tagged += int64(n)
		tag.Add(buf[:n])
		switch {
		case tag.size > maxGCM:
			return nil, syntax("ciphertext of more than %d octets", int64(maxGCM))
		case err == io.EOF && first:
			return buf[:n], nil
		case err == io.EOF:
			return nil, nil
		}
	}
}

// decryptAgain decrypts the ciphertext as it is read a second time.
func (a *AuthEnvelopedData) decryptAgain(key []byte, again func() (io.Reader, error), size int64, buf []byte, w io.Writer) error {
	src, err := again()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReread, err)
	}
	second, err := a.reader.another(src).AuthEnvelopedData()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReread, err)
	}
	next := func() ([]byte, error) {
		n, err := second.ciphertext.fill(buf)
		size -= int64(n)
		switch {
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("%w: %w", ErrReread, err)
		case size < 0 || err == io.EOF && size > 0:
			return nil, fmt.Errorf("%w: a ciphertext of another length", ErrReread)
		}
		return buf[:n], err
	}
	return a.decryptCTR(key, next, w)
}

// decryptCTR decrypts what next returns, which is overwritten, until it returns io.EOF with the last of it.
func (a *AuthEnvelopedData) decryptCTR(key []byte, next func() ([]byte, error), w io.Writer) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	stream := newCTR(block, a.iv)
	for {
		p, err := next()
		if err != nil && err != io.EOF {
			return err
		}
		a.stats.Ciphertext += int64(len(p))
		a.stats.Blocks += int64((len(p) + aes.BlockSize - 1) / aes.BlockSize)
		stream.XORKeyStream(p, p)
		if failed := a.write(w, p); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
	}
}

// finish reads what follows the ciphertext: authAttrs [1], mac, unauthAttrs [2], which nobody vouches for, and the ends.
func (a *AuthEnvelopedData) finish() (aad, mac []byte, err error) {
	if err := a.b.leave(); err != nil { // authEncryptedContentInfo
		return nil, nil, err
	}
	if aad, err = a.authAttrs(); err != nil {
		return nil, nil, err
	}
	if mac, err = a.mac(); err != nil {
		return nil, nil, err
	}
	attrs, ok, err := a.b.nextIf(tagContextConstructed | 2)
	if err != nil {
		return nil, nil, err
	}
	if ok {
		if err := a.b.discard(attrs); err != nil {
			return nil, nil, err
		}
	}
	return aad, mac, a.b.finish()
}

// authAttrs returns the DER of the attributes as a SET OF, which is what the tag covers (RFC 5083 2.2); nothing when
// they are absent. They must be there for any content type but id-data (2.1), and then name it.
func (a *AuthEnvelopedData) authAttrs() ([]byte, error) {
	e, ok, err := a.b.nextIf(tagContextConstructed | 1)
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
	if !s.ReadASN1(&set, casn1.Tag(1).Constructed().ContextSpecific()) || set.Empty() {
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
