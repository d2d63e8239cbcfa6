package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/asn1"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A cipherMode is a way to encrypt content. It belongs to one type of object.
type cipherMode int

const (
	modeCBC    cipherMode = iota // AES, EnvelopedData
	modeDES3                     // 3DES in CBC, EnvelopedData
	modeGCM                      // AES, AuthEnvelopedData
	modeCCM                      // AES, AuthEnvelopedData
	modeChaCha                   // ChaCha20 with Poly1305, AuthEnvelopedData
)

// ciphers is every content cipher this package opens, by exact OBJECT IDENTIFIER (THREATS A05).
var ciphers = []struct {
	name string
	size int // octets of the key
	mode cipherMode
	oid  asn1.ObjectIdentifier
}{
	{"aes128-cbc", 16, modeCBC, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}},
	{"aes192-cbc", 24, modeCBC, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}},
	{"aes256-cbc", 32, modeCBC, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}},
	{"aes128-gcm", 16, modeGCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}},
	{"aes192-gcm", 24, modeGCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 26}},
	{"aes256-gcm", 32, modeGCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}},
	{"aes128-ccm", 16, modeCCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 7}},
	{"aes192-ccm", 24, modeCCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 27}},
	{"aes256-ccm", 32, modeCCM, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 47}},
	{"chacha20-poly1305", 32, modeChaCha, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 18}},
	{"des-ede3-cbc", 24, modeDES3, asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}},
}

// authenticates reports whether the mode belongs into an AuthEnvelopedData.
func (m cipherMode) authenticates() bool { return m >= modeGCM }

// weak reports a cipher that is read because mail is still sent with it, and that nobody should use.
func (m cipherMode) weak() bool { return m == modeDES3 }

// blockSize is how many octets a call of the cipher works on.
func (m cipherMode) blockSize() int {
	switch m {
	case modeDES3:
		return des.BlockSize
	case modeChaCha:
		return chachaBlock
	}
	return aes.BlockSize
}

func (m cipherMode) newBlock(key []byte) (cipher.Block, error) {
	if m == modeDES3 {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// newStream returns what decrypts the ciphertext of a mode with authentication.
func (m cipherMode) newStream(key, nonce []byte) (cipher.Stream, error) {
	if m == modeChaCha {
		return newChaCha(key, nonce)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if m == modeCCM {
		return newCCMStream(block, nonce), nil
	}
	return newCTR(block, nonce), nil
}

// newTagger returns what computes the tag. size and aad are not known (-1, nil) at the first reading of a ciphertext.
func (m cipherMode) newTagger(key, nonce []byte, tagSize int, size int64, aad []byte) (tagger, error) {
	switch m {
	case modeCCM:
		return newCCMTagger(key, nonce, tagSize, size, aad)
	case modeChaCha:
		return newChaChaTagger(key, nonce, aad)
	}
	tag, err := NewGCMTag(key, nonce)
	return gcmTagger{tag}, err
}

// maxCiphertext is the most that one key and nonce may encrypt.
func (m cipherMode) maxCiphertext(nonce []byte) int64 {
	switch m {
	case modeCCM:
		return maxCCM(len(nonce))
	case modeChaCha:
		return maxChaCha
	}
	return maxGCM
}

// parameters reads the parameters of a cipher. Any form but the one that the standards print is refused (THREATS A05).
func (m cipherMode) parameters(der []byte) (iv []byte, tagSize int, ok bool) {
	switch m {
	case modeCBC, modeDES3: // AES-IV, RFC 3565 4.1; CBCParameter, RFC 3370 5.1
		iv, ok = octetStringOf(der, m.blockSize())
		return iv, 0, ok
	case modeChaCha: // AEADChaCha20Poly1305Nonce, RFC 8103 section 3
		iv, ok = octetStringOf(der, chacha20.NonceSize)
		return iv, aes.BlockSize, ok
	}
	// GCMParameters, CCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }, RFC 5084 3. Tags
	// under 12 octets are allowed for CCM, and refused (DESIGN rule 6; THREATS A08).
	s := cryptobyte.String(der)
	var octets, seq cryptobyte.String
	tagSize = minTag
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1(&octets, casn1.OCTET_STRING) {
		return nil, 0, false
	}
	if !seq.Empty() && (!seq.ReadASN1Integer(&tagSize) || !seq.Empty()) {
		return nil, 0, false
	}
	if tagSize < minTag || tagSize > aes.BlockSize {
		return nil, 0, false
	}
	if m == modeCCM {
		return octets, tagSize, len(octets) >= 7 && len(octets) <= 13 && tagSize%2 == 0
	}
	// A nonce of another length than 12 octets is allowed for GCM and used nowhere.
	return octets, tagSize, len(octets) == gcmNonce
}

// octetStringOf reads an OCTET STRING of so many octets.
func octetStringOf(der []byte, size int) ([]byte, bool) {
	s := cryptobyte.String(der)
	var octets cryptobyte.String
	ok := s.ReadASN1(&octets, casn1.OCTET_STRING) && s.Empty() && len(octets) == size
	return octets, ok
}

// lenientParameters reads what PKI.js and old Bouncy Castle write for AES-GCM: the nonce alone. Their tag is whole.
func (m cipherMode) lenientParameters(der []byte) (iv []byte, tagSize int, ok bool) {
	if m != modeGCM {
		return nil, 0, false
	}
	iv, ok = octetStringOf(der, gcmNonce)
	return iv, aes.BlockSize, ok
}
