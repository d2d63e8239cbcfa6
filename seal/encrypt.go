package seal

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"paperknife/internal/message"
)

// EncryptOptions are the choices for an EnvelopedData or AuthEnvelopedData. The zero value is AES-256-CBC with RSA
// PKCS #1 v1.5, which every S/MIME reader knows.
type EncryptOptions struct {
	Cipher       Cipher
	OAEP         crypto.Hash // RSAES-OAEP with this hash; 0: PKCS #1 v1.5
	MGFHash      crypto.Hash // the hash of MGF1; 0: that of OAEP
	Label        []byte      // the OAEP label
	SubjectKeyID bool        // name recipients by subjectKeyIdentifier instead of issuer and serial number
	// Attributes are authenticated attributes, for AES-GCM only; with any of them there is contentType too. OpenSSL 3.0
	// does not read an object that has them: it expects another tag than RFC 5083 section 2.1 prints.
	Attributes []Attribute
}

// EncryptTo puts an envelope for the recipients around the entity. A recipient's certificate has an RSA key and,
// where it has a key usage at all, keyEncipherment.
func EncryptTo(entity []byte, recipients []*x509.Certificate, o EncryptOptions) ([]byte, error) {
	var out bytes.Buffer
	content := toCRLF(entity)
	err := writeEnvelope(&out, bytes.NewReader(content), int64(len(content)), recipients, o)
	return out.Bytes(), err
}

// WriteEncrypted is EncryptTo for an entity of any size, in constant memory. The object is BER of indefinite length.
func WriteEncrypted(w io.Writer, entity io.Reader, recipients []*x509.Certificate, o EncryptOptions) error {
	return writeEnvelope(w, entity, indefinite, recipients, o)
}

// writeEnvelope writes the pkcs7-mime entity; size is that of the entity, which then has its line ends already.
func writeEnvelope(w io.Writer, entity io.Reader, size int64, recipients []*x509.Certificate, o EncryptOptions) error {
	smimeType := "enveloped-data"
	if o.Cipher.authenticates() {
		smimeType = "authEnveloped-data"
	}
	out := bufio.NewWriterSize(w, chunk)
	if _, err := out.WriteString(pkcs7MIMEHeader(smimeType)); err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	if err := writeEnvelopeObject(encoder, entity, size, recipients, o); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func writeEnvelopeObject(w io.Writer, entity io.Reader, size int64, recipients []*x509.Certificate, o EncryptOptions) error {
	if _, ok := ciphers[o.Cipher]; !ok {
		return fmt.Errorf("unknown cipher %d", o.Cipher)
	}
	if len(o.Attributes) > 0 && !o.Cipher.authenticates() {
		return errors.New("authenticated attributes ask for AES-GCM")
	}
	e, err := newEncryption(o.Cipher)
	if err != nil {
		return err
	}
	infos, err := recipientInfos(e.key, recipients, o)
	if err != nil {
		return err
	}
	attributes, err := o.authAttributes()
	if err != nil {
		return err
	}
	if size != indefinite {
		size = e.size(size)
	}
	f, err := o.frame(infos, e.algorithm, attributes, size)
	if err != nil {
		return err
	}
	if err := writeAll(w, f.open); err != nil {
		return err
	}
	if err := writeCiphertext(w, entity, size, e); err != nil {
		return err
	}
	return writeAll(w, f.closeWith(e, attributes))
}

// writeCiphertext encrypts the entity, in pieces when the size is not known.
func writeCiphertext(w io.Writer, entity io.Reader, size int64, e *encryption) error {
	pieces := newChunkWriter(w)
	if size == indefinite {
		w, entity = pieces, message.Canonical(entity)
	}
	encrypter, err := e.writer(w)
	if err != nil {
		return err
	}
	if _, err := io.Copy(encrypter, entity); err != nil {
		return err
	}
	if err := encrypter.Close(); err != nil {
		return err
	}
	return pieces.flush()
}

// authAttributes returns the DER of the authenticated attributes, with contentType among them.
func (o EncryptOptions) authAttributes() ([][]byte, error) {
	if len(o.Attributes) == 0 {
		return nil, nil
	}
	contentType, err := asn1.Marshal(oidData)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, a := range append([]Attribute{{oidContentType, [][]byte{contentType}}}, o.Attributes...) {
		der, err := a.marshal()
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return out, nil
}

// An envelopeFrame is a frame with room for the tag, which is known once everything was encrypted.
type envelopeFrame struct {
	frame
	tag int // offset in close; 0: none
}

func (f envelopeFrame) closeWith(e *encryption, attributes [][]byte) []byte {
	if f.tag > 0 {
		var aad []byte
		if len(attributes) > 0 {
			aad = setOf(0x31, attributes)
		}
		tag := e.tag.Sum(aad)
		copy(f.close[f.tag:], tag[:])
	}
	return f.close
}

// frame returns ContentInfo, EnvelopedData or AuthEnvelopedData and EncryptedContentInfo around n octets of ciphertext.
func (o EncryptOptions) frame(infos [][]byte, encryption []byte, attributes [][]byte, n int64) (f envelopeFrame, err error) {
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return f, err
	}
	idContent := oidEnvelopedData
	version, content := byte(0), byte(0x80)
	if o.SubjectKeyID {
		version = 2 // RFC 5652 section 6.1: a RecipientInfo that is not of version 0
	}
	if n == indefinite {
		content = 0xa0
	}
	f.frame = frame{}.wrap(content, n, nil, nil).wrap(0x30, n, append(idData, encryption...), nil)
	var after []byte
	if o.Cipher.authenticates() {
		idContent, version = oidAuthEnvelopedData, 0 // RFC 5083 section 2.1
		if len(attributes) > 0 {
			after = setOf(0xa1, attributes)
		}
		after = append(after, element(0x04, make([]byte, tagSize))...)
		f.tag = len(f.close) + len(after) - tagSize
	}
	id, err := asn1.Marshal(idContent)
	if err != nil {
		return f, err
	}
	before := append([]byte{2, 1, version}, setOf(0x31, infos)...)
	f.frame = f.frame.wrap(0x30, n, before, after).wrap(0xa0, n, nil, nil).wrap(0x30, n, id, nil)
	return f, nil
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
