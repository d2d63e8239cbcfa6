package seal

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Cipher is the content encryption of an EnvelopedData.
type Cipher int

// The ciphers, RFC 3565.
const (
	AES256CBC Cipher = iota
	AES192CBC
	AES128CBC
)

var ciphers = map[Cipher]struct {
	keySize int
	oid     asn1.ObjectIdentifier
}{
	AES128CBC: {16, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}},
	AES192CBC: {24, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}},
	AES256CBC: {32, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}},
}

// EncryptOptions are the choices for an EnvelopedData. The zero value is AES-256-CBC with RSA PKCS #1 v1.5, which
// every S/MIME reader knows.
type EncryptOptions struct {
	Cipher       Cipher
	OAEP         crypto.Hash // RSAES-OAEP with this hash; 0: PKCS #1 v1.5
	MGFHash      crypto.Hash // the hash of MGF1; 0: that of OAEP
	Label        []byte      // the OAEP label
	SubjectKeyID bool        // name recipients by subjectKeyIdentifier instead of issuer and serial number
}

// EncryptTo puts an EnvelopedData for the recipients around the entity. A recipient's certificate has an RSA key and,
// where it has a key usage at all, keyEncipherment.
func EncryptTo(entity []byte, recipients []*x509.Certificate, o EncryptOptions) ([]byte, error) {
	var content, out bytes.Buffer
	if _, err := (&crlfWriter{w: &content}).Write(entity); err != nil {
		return nil, err
	}
	size := int64(content.Len())/aes.BlockSize*aes.BlockSize + aes.BlockSize
	err := writeEnveloped(&out, &content, size, recipients, o)
	return out.Bytes(), err
}

// WriteEncrypted is EncryptTo for an entity of any size, in constant memory. The object is BER of indefinite length.
func WriteEncrypted(w io.Writer, entity io.Reader, recipients []*x509.Certificate, o EncryptOptions) error {
	return writeEnveloped(w, entity, indefinite, recipients, o)
}

// writeEnveloped writes the pkcs7-mime entity; size is that of the ciphertext.
func writeEnveloped(w io.Writer, entity io.Reader, size int64, recipients []*x509.Certificate, o EncryptOptions) error {
	out := bufio.NewWriterSize(w, chunk)
	if _, err := out.WriteString(pkcs7MIMEHeader("enveloped-data")); err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	if err := writeEnvelopedData(encoder, entity, size, recipients, o); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func writeEnvelopedData(w io.Writer, entity io.Reader, size int64, recipients []*x509.Certificate, o EncryptOptions) error {
	algorithm, ok := ciphers[o.Cipher]
	if !ok {
		return fmt.Errorf("unknown cipher %d", o.Cipher)
	}
	key, iv := make([]byte, algorithm.keySize), make([]byte, aes.BlockSize)
	rand.Read(key) // never fails
	rand.Read(iv)
	infos, err := recipientInfos(key, recipients, o)
	if err != nil {
		return err
	}
	encryption, err := build(func(b *cryptobyte.Builder) { addAlgorithm(b, algorithm.oid, element(0x04, iv)) })
	if err != nil {
		return err
	}
	f, err := envelopedFrame(infos, encryption, o.SubjectKeyID, size)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if err := writeAll(w, f.open); err != nil {
		return err
	}
	if err := writeCiphertext(w, entity, size, cipher.NewCBCEncrypter(block, iv)); err != nil {
		return err
	}
	return writeAll(w, f.close)
}

// writeCiphertext encrypts the entity, in pieces when the size is not known.
func writeCiphertext(w io.Writer, entity io.Reader, size int64, mode cipher.BlockMode) error {
	if size != indefinite {
		cbc := &cbcWriter{w: w, mode: mode}
		if _, err := io.Copy(cbc, entity); err != nil {
			return err
		}
		return cbc.Close()
	}
	pieces := newChunkWriter(w)
	cbc := &cbcWriter{w: pieces, mode: mode}
	if _, err := io.Copy(&crlfWriter{w: cbc}, entity); err != nil {
		return err
	}
	if err := cbc.Close(); err != nil {
		return err
	}
	return pieces.flush()
}

// envelopedFrame returns ContentInfo, EnvelopedData and EncryptedContentInfo around n octets of ciphertext.
func envelopedFrame(infos [][]byte, encryption []byte, subjectKeyID bool, n int64) (frame, error) {
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return frame{}, err
	}
	idEnvelopedData, err := asn1.Marshal(oidEnvelopedData)
	if err != nil {
		return frame{}, err
	}
	version, content := byte(0), byte(0x80)
	if subjectKeyID {
		version = 2 // RFC 5652 section 6.1: a RecipientInfo that is not of version 0
	}
	if n == indefinite {
		content = 0xa0
	}
	before := append([]byte{2, 1, version}, setOf(0x31, infos)...)
	return frame{}.wrap(content, n, nil, nil).
		wrap(0x30, n, append(idData, encryption...), nil).
		wrap(0x30, n, before, nil).
		wrap(0xa0, n, nil, nil).
		wrap(0x30, n, idEnvelopedData, nil), nil
}

func recipientInfos(key []byte, recipients []*x509.Certificate, o EncryptOptions) ([][]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipients")
	}
	var infos [][]byte
	for _, c := range recipients {
		info, err := keyTransRecipientInfo(key, c, o)
		if err != nil {
			return nil, fmt.Errorf("recipient %q: %w", c.Subject, err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// keyTransRecipientInfo returns the key for one recipient (RFC 5652 section 6.2.1).
func keyTransRecipientInfo(key []byte, c *x509.Certificate, o EncryptOptions) ([]byte, error) {
	public, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("unsupported key type %T", c.PublicKey)
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		return nil, errors.New("key usage does not allow keyEncipherment")
	}
	if o.SubjectKeyID && len(c.SubjectKeyId) == 0 {
		return nil, errors.New("certificate has no subjectKeyIdentifier")
	}
	encrypted, err := o.encryptKey(key, public)
	if err != nil {
		return nil, err
	}
	parameters, err := o.oaepParameters()
	if err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if o.SubjectKeyID {
				b.AddASN1Int64(2)
				b.AddASN1(cryptobyte_asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(c.SubjectKeyId) })
			} else {
				b.AddASN1Int64(0)
				addIssuerAndSerial(b, c)
			}
			if o.OAEP == 0 {
				addAlgorithm(b, oidRSAEncryption, derNull)
			} else {
				addAlgorithm(b, oidRSAESOAEP, parameters)
			}
			b.AddASN1OctetString(encrypted)
		})
	})
}

func (o EncryptOptions) encryptKey(key []byte, public *rsa.PublicKey) ([]byte, error) {
	if o.OAEP == 0 {
		//lint:ignore SA1019 what every S/MIME reader knows (RFC 8551 section 2.3); the danger is at the reader's side
		return rsa.EncryptPKCS1v15(rand.Reader, public, key)
	}
	return rsa.EncryptOAEPWithOptions(rand.Reader, public, key, &rsa.OAEPOptions{Hash: o.OAEP, MGFHash: o.mgfHash(), Label: o.Label})
}

func (o EncryptOptions) mgfHash() crypto.Hash {
	if o.MGFHash == 0 {
		return o.OAEP
	}
	return o.MGFHash
}

// oaepParameters returns RSAES-OAEP-params (RFC 4055 section 4.1), nil for v1.5. DER leaves out what has its default value: SHA-1,
// MGF1 with SHA-1, the empty label.
func (o EncryptOptions) oaepParameters() ([]byte, error) {
	if o.OAEP == 0 {
		return nil, nil
	}
	hash, err := findHash(o.OAEP)
	if err != nil {
		return nil, err
	}
	mgf, err := findHash(o.mgfHash())
	if err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if hash.hash != crypto.SHA1 {
				addExplicit(b, 0, func(b *cryptobyte.Builder) { addAlgorithm(b, hash.digest, derNull) })
			}
			if mgf.hash != crypto.SHA1 {
				addExplicit(b, 1, func(b *cryptobyte.Builder) {
					b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidMGF1)
						addAlgorithm(b, mgf.digest, derNull)
					})
				})
			}
			if len(o.Label) > 0 {
				addExplicit(b, 2, func(b *cryptobyte.Builder) { addAlgorithm(b, oidPSpecified, element(0x04, o.Label)) })
			}
		})
	})
}

func addExplicit(b *cryptobyte.Builder, n uint8, f cryptobyte.BuilderContinuation) {
	b.AddASN1(cryptobyte_asn1.Tag(n).ContextSpecific().Constructed(), f)
}

// A cbcWriter encrypts whole blocks as they come and pads at Close (RFC 5652 section 6.3).
type cbcWriter struct {
	w    io.Writer
	mode cipher.BlockMode
	buf  []byte // less than a block between calls
	out  []byte
}

func (c *cbcWriter) Write(p []byte) (int, error) {
	c.buf = append(c.buf, p...)
	whole := len(c.buf) / aes.BlockSize * aes.BlockSize
	if err := c.blocks(c.buf[:whole]); err != nil {
		return 0, err
	}
	c.buf = append(c.buf[:0], c.buf[whole:]...)
	return len(p), nil
}

func (c *cbcWriter) blocks(p []byte) error {
	c.out = append(c.out[:0], p...)
	c.mode.CryptBlocks(c.out, c.out)
	_, err := c.w.Write(c.out)
	return err
}

func (c *cbcWriter) Close() error {
	pad := aes.BlockSize - len(c.buf)
	return c.blocks(append(c.buf, bytes.Repeat([]byte{byte(pad)}, pad)...))
}
