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
	e := &EnvelopedData{Envelope{reader: r, b: b, mode: modeCBC}}
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
func (e *EnvelopedData) Decrypt(key []byte, w io.Writer) error {
	if e.KeySize == 0 {
		return ErrAlgorithm
	}
	if !e.take() {
		return errTaken
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
