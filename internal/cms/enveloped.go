package cms

import "io"

// EnvelopedData is RFC 5652 section 6, read up to its ciphertext. Decrypt reads the rest.
type EnvelopedData struct{ Envelope }

// EnvelopedData reads an EnvelopedData up to its ciphertext.
func (r *Reader) EnvelopedData() (*EnvelopedData, error) {
	b, err := r.content(OIDEnvelopedData)
	if err != nil {
		return nil, err
	}
	e := &EnvelopedData{Envelope{reader: r, b: b}}
	if err := e.begin(); err != nil {
		return nil, err
	}
	return e, nil
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

// Decrypt decrypts the whole ciphertext into w with the content-encryption key, then reads to the end of the
// ContentInfo. Whatever is wrong with the key, the length of the ciphertext or its padding, the same operations take
// place and the error is ErrDecrypt; what was written is then worth nothing. Structure that is wrong is ErrSyntax,
// an unknown cipher ErrAlgorithm; errors of w and of the source pass through.
//
// An object that is Authenticated, which only a lenient Reader lets through, is ErrAlgorithm here: DecryptAgain takes it.
func (e *EnvelopedData) Decrypt(key []byte, w io.Writer) error { return e.DecryptAgain(key, nil, w) }

// DecryptAgain is Decrypt, and takes an object that is Authenticated too, as AuthEnvelopedData.Decrypt does.
func (e *EnvelopedData) DecryptAgain(key []byte, again func() (io.Reader, error), w io.Writer) error {
	if e.KeySize == 0 || e.Authenticated && again == nil {
		return ErrAlgorithm
	}
	if !e.take() {
		return errTaken
	}
	if e.Authenticated {
		return e.decryptBehind(key, again, w)
	}
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

// decryptBehind decrypts what has its tag behind it.
func (e *EnvelopedData) decryptBehind(key []byte, again func() (io.Reader, error), w io.Writer) error {
	finish := func() (trailer, error) { return trailer{mac: e.tagBehind.tag}, e.finish() }
	reread := func() (ciphertext, error) {
		src, err := again()
		if err != nil {
			return nil, err
		}
		second, err := e.reader.another(src).EnvelopedData()
		if err != nil {
			return nil, err
		}
		return second.ciphertext, nil
	}
	return e.decryptAuthenticated(key, finish, reread, w)
}
