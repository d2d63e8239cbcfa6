package cms

import (
	"crypto"
	"math/big"
)

// A RecipientKind is a way to pass on a content-encryption key, RFC 5652 section 6.2.
type RecipientKind int

// The kinds. Other is also one that cannot be read.
const (
	Other RecipientKind = iota
	KeyTrans
	KeyAgree
	KEK
	Password
)

// RecipientInfo is the content-encryption key for one recipient. Only DER and Kind are set for kinds other than
// KeyTrans, where either Issuer and Serial, or SubjectKeyID, name the recipient's certificate.
type RecipientInfo struct {
	Kind          RecipientKind
	DER           []byte
	Issuer        []byte // DER Name
	Serial        *big.Int
	SubjectKeyID  []byte
	KeyEncryption AlgorithmIdentifier
	EncryptedKey  []byte
}

// ParseRecipientInfo reads one RecipientInfo.
func ParseRecipientInfo(der []byte) (*RecipientInfo, error) { return nil, ErrSyntax }

// ContentKey gets the content-encryption key of size octets out with the recipient's private key. Whatever is wrong
// with the encrypted key, the answer is a random key and no error, so that the fault shows only where a wrong
// content shows too: in Decrypt (THREATS A10). An error is ErrAlgorithm, or a fault of key itself, such as a token
// that does not answer. A key that is not an *rsa.PrivateKey must honour rsa.PKCS1v15DecryptOptions.SessionKeyLen
// or return rsa.ErrDecryption for a ciphertext that does not decrypt.
func (ri *RecipientInfo) ContentKey(key crypto.Decrypter, size int) ([]byte, error) {
	return nil, ErrAlgorithm
}
