package cms

import (
	"io"
)

// EnvelopedData is RFC 5652 section 6, read up to its ciphertext. Decrypt reads the rest.
type EnvelopedData struct {
	Version           int
	RecipientInfos    []RecipientInfo
	ContentEncryption AlgorithmIdentifier
	KeySize           int    // octets of a content-encryption key; 0 for an unknown cipher or unfit parameters
	Cipher            string // "aes256-cbc"; for an unknown cipher its OBJECT IDENTIFIER
}

// Stats counts the operations of a Decrypt. All ways in which the inside of a ciphertext can be wrong give the same
// counts as a good one of that length (THREATS A10, A12).
type Stats struct {
	Ciphertext int64 // octets of ciphertext read
	Blocks     int64 // cipher blocks decrypted
	Writes     int64 // calls of the writer
	RandomKeys int64 // keys drawn to stand in for one that does not fit
	Paddings   int64 // padding checks
}

// EnvelopedData reads an EnvelopedData up to its ciphertext.
func (r *Reader) EnvelopedData() (*EnvelopedData, error) { return nil, ErrSyntax }

// Decrypt decrypts the whole ciphertext into w with the content-encryption key, then reads to the end of the
// ContentInfo. Whatever is wrong with the key, the length of the ciphertext or its padding, the same operations take
// place and the error is ErrDecrypt; what was written is then worth nothing. Structure that is wrong is ErrSyntax,
// an unknown cipher ErrAlgorithm; errors of w and of the source pass through.
func (e *EnvelopedData) Decrypt(key []byte, w io.Writer) error { return ErrDecrypt }

// Stats returns what Decrypt has done.
func (e *EnvelopedData) Stats() Stats { return Stats{} }
