package seal

import (
	"bytes"
	"encoding/asn1"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The structures are written here and not by smallstep/pkcs7, which cannot write them soundly: its
// AlgorithmIdentifiers lack the NULL that RFC 3370 sections 3.2 and 4.2.1 demand, its signingTime is always the wall
// clock, the content cipher is a package global that starts as DES, its OAEP parameters leave out the MGF hash, and
// content has to be in memory. The tests read everything back with it.

// The identifiers of RFC 5652, RFC 5083, RFC 5754, RFC 3565, RFC 4055, RFC 2634 and RFC 3183.
var (
	oidData              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidAuthEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
	oidEnvelopedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}

	oidContentType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidMLExpansionHistory = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 3}

	oidRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAESOAEP     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSpecified    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 9}
)

// indefinite as a content length asks for the BER form, whose length nobody has to know beforehand.
const indefinite = -1

// chunk is the length of one piece of a constructed octet string.
const chunk = 32 << 10

var endOfContents = []byte{0, 0}

// header returns the identifier and length octets of an element with n content octets.
func header(tag byte, n int64) []byte {
	if n == indefinite {
		return []byte{tag, 0x80}
	}
	if n < 0x80 {
		return []byte{tag, byte(n)}
	}
	var length []byte
	for ; n > 0; n >>= 8 {
		length = append(length, byte(n))
	}
	slices.Reverse(length)
	return append([]byte{tag, 0x80 | byte(len(length))}, length...)
}

// element returns one DER element around its parts.
func element(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	return append(header(tag, int64(len(content))), content...)
}

// setOf returns a DER SET OF: the members in ascending order (X.690 section 11.6).
func setOf(tag byte, members [][]byte) []byte {
	return element(tag, slices.SortedFunc(slices.Values(members), bytes.Compare)...)
}

// distinct leaves out repeated members.
func distinct(members [][]byte) [][]byte {
	return slices.CompactFunc(slices.SortedFunc(slices.Values(members), bytes.Compare), bytes.Equal)
}

// build runs f on a Builder and returns what it made. The callers pass values that cryptobyte can always encode,
// save for object identifiers and times of a caller, hence the error.
func build(f func(b *cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	f(&b)
	return b.Bytes()
}

// addAlgorithm adds an AlgorithmIdentifier; parameters is the whole DER element, nil for absent.
func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, parameters []byte) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddBytes(parameters)
	})
}

var derNull = []byte{5, 0}

// A frame is what stands around a content of unknown or known length: the outer elements, outermost first.
type frame struct {
	open  []byte
	close []byte
}

// wrap puts the frame into one more element: before and after are the siblings of what is inside. n is the length of
// the content that the innermost frame surrounds.
func (f frame) wrap(tag byte, n int64, before, after []byte) frame {
	inner := frame{open: append(slices.Clone(before), f.open...), close: append(slices.Clone(f.close), after...)}
	if n == indefinite {
		inner.close = append(inner.close, endOfContents...)
	} else {
		n += int64(len(inner.open) + len(inner.close))
	}
	inner.open = append(header(tag, n), inner.open...)
	return inner
}

// A chunkWriter writes the pieces of a constructed octet string.
type chunkWriter struct {
	w   io.Writer
	buf []byte
}

func newChunkWriter(w io.Writer) *chunkWriter {
	return &chunkWriter{w: w, buf: make([]byte, 0, chunk)}
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := copy(c.buf[len(c.buf):cap(c.buf)], p)
		c.buf, p = c.buf[:len(c.buf)+n], p[n:]
		if len(c.buf) < cap(c.buf) {
			break
		}
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return written, nil
}

// flush writes what is collected; the last piece may be short, and there is none for an empty content.
func (c *chunkWriter) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	if _, err := c.w.Write(header(4, int64(len(c.buf)))); err != nil {
		return err
	}
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func writeAll(w io.Writer, parts ...[]byte) error {
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}
