package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/asn1"
	"encoding/binary"
	"io"

	"paperknife/internal/cms"
)

// A Cipher is the content encryption of an EnvelopedData or, for AES-GCM, an AuthEnvelopedData.
type Cipher int

// The ciphers, RFC 3565 and RFC 5084.
const (
	AES256CBC Cipher = iota
	AES192CBC
	AES128CBC
	AES256GCM
	AES192GCM
	AES128GCM
)

var ciphers = map[Cipher]struct {
	keySize int
	gcm     bool
	oid     asn1.ObjectIdentifier
}{
	AES128CBC: {16, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}},
	AES192CBC: {24, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}},
	AES256CBC: {32, false, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}},
	AES128GCM: {16, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}},
	AES192GCM: {24, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 26}},
	AES256GCM: {32, true, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}},
}

// authenticates reports whether the cipher belongs into an AuthEnvelopedData.
func (c Cipher) authenticates() bool { return ciphers[c].gcm }

const (
	gcmNonceSize = 12
	tagSize      = aes.BlockSize
)

// An encryption is one content cipher with its key, which is used once.
type encryption struct {
	key, iv   []byte
	cipher    Cipher
	algorithm []byte // AlgorithmIdentifier
	tag       *cms.GCMTag
}

func newEncryption(c Cipher) (*encryption, error) {
	e := &encryption{cipher: c, key: make([]byte, ciphers[c].keySize), iv: make([]byte, aes.BlockSize)}
	if c.authenticates() {
		e.iv = e.iv[:gcmNonceSize]
	}
	rand.Read(e.key) // never fails
	rand.Read(e.iv)
	parameters := element(0x04, e.iv)
	if c.authenticates() {
		parameters = element(0x30, parameters, []byte{2, 1, tagSize})
		var err error
		if e.tag, err = cms.NewGCMTag(e.key, e.iv); err != nil {
			return nil, err
		}
	}
	oid, err := asn1.Marshal(ciphers[c].oid)
	e.algorithm = element(0x30, oid, parameters)
	return e, err
}

// size is that of the ciphertext for so much plaintext.
func (e *encryption) size(plaintext int64) int64 {
	if e.cipher.authenticates() {
		return plaintext
	}
	return plaintext/aes.BlockSize*aes.BlockSize + aes.BlockSize
}

// writer encrypts what is written to it, to its end at Close.
func (e *encryption) writer(w io.Writer) (io.WriteCloser, error) {
	block, err := aes.NewCipher(e.key)
	if err != nil {
		return nil, err
	}
	if !e.cipher.authenticates() {
		return &cbcWriter{w: w, mode: cipher.NewCBCEncrypter(block, e.iv)}, nil
	}
	// The counter block of a nonce of 12 octets; the first one is the tag's (NIST SP 800-38D 7.1).
	counter := binary.BigEndian.AppendUint32(bytes.Clone(e.iv), 2)
	return &gcmWriter{w: w, stream: cipher.NewCTR(block, counter), tag: e.tag, buf: make([]byte, 0, chunk)}, nil
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

// A gcmWriter encrypts in chunks, whole blocks but for the last, and keeps the tag up to date.
type gcmWriter struct {
	w      io.Writer
	stream cipher.Stream
	tag    *cms.GCMTag
	buf    []byte
}

func (g *gcmWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := copy(g.buf[len(g.buf):cap(g.buf)], p)
		g.buf, p = g.buf[:len(g.buf)+n], p[n:]
		if len(g.buf) < cap(g.buf) {
			break
		}
		if err := g.Close(); err != nil {
			return 0, err
		}
	}
	return written, nil
}

// Close encrypts what is left.
func (g *gcmWriter) Close() error {
	g.stream.XORKeyStream(g.buf, g.buf)
	g.tag.Add(g.buf)
	_, err := g.w.Write(g.buf)
	g.buf = g.buf[:0]
	return err
}
