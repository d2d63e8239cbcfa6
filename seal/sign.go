package seal

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // linked in for SignOptions.AllowSHA1
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The SignatureType attribute and its values, RFC 3183 section 3.1 with the identifiers of RFC 7107 (SEEDS DOM-R1,
// DOM-R2).
var (
	OIDSignatureType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 28}
	OIDOriginatorSignature  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 1}
	OIDDomainSignature      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 2}
	OIDAdditionalAttributes = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 3}
	OIDReviewSignature      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 9, 4}
)

// ErrNotSigned is returned by SignAsDomain for an entity that is no signature layer.
var ErrNotSigned = errors.New("a domain signature must encapsulate a signature, an empty one at least (RFC 3183 section 3.1.1)")

// An Attribute is one CMS attribute; Values are whole DER elements.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// SignOptions are the choices for a signature. The zero value is an opaque signature with SHA-256, made now, that
// carries the signer's certificate and chain.
type SignOptions struct {
	Detached    bool        // multipart/signed instead of application/pkcs7-mime
	Boundary    string      // of the multipart/signed; empty: random
	Hash        crypto.Hash // SHA-256, SHA-384, SHA-512
	AllowSHA1   bool        // admit SHA-1 in Hash: only for showing what a verifier does with it
	SigningTime time.Time   // zero: now

	SignatureTypes     []asn1.ObjectIdentifier // values of the SignatureType attribute; none: no attribute
	Attributes         []Attribute             // more signed attributes
	UnsignedAttributes []Attribute

	SubjectKeyID     bool // name the signer by subjectKeyIdentifier instead of issuer and serial number
	OmitCertificates bool
	CoSigners        []CoSigner // parallel SignerInfos
}

// A CoSigner is one more SignerInfo over the same content. Of its options only those of one SignerInfo count.
type CoSigner struct {
	Signer  Signer
	Options SignOptions
}

// SignAsDomain puts a domain signature around an entity that is a signature layer already: the originator's, or
// EmptySignature where there is none (SEEDS DOM D1, D10, D13). For any other entity it returns ErrNotSigned. That the
// signatures inside are valid and that the originator is who he says, the caller has found out before (D18).
func SignAsDomain(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	if !isSigned(entity) {
		return nil, ErrNotSigned
	}
	return Sign(entity, signer, asDomain(o))
}

func asDomain(o SignOptions) SignOptions {
	if len(o.SignatureTypes) == 0 {
		o.SignatureTypes = []asn1.ObjectIdentifier{OIDDomainSignature}
	}
	return o
}

// SignAsPerson puts an originator's signature around the entity: one without a SignatureType (SEEDS DOM D12).
func SignAsPerson(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	o.SignatureTypes = nil
	return Sign(entity, signer, o)
}

// SignAsMailingList puts the signature of a mailing list agent around the entity: one that has an mlExpansionHistory
// of one entry (RFC 2634 section 4.2).
func SignAsMailingList(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	history, err := expansionHistory(signer.Certificate, o.signingTime())
	if err != nil {
		return nil, err
	}
	o.Attributes = append(slices.Clone(o.Attributes), Attribute{oidMLExpansionHistory, [][]byte{history}})
	return Sign(entity, signer, o)
}

// Sign is the signature without rules: it puts around the entity what the options say.
func Sign(entity []byte, signer Signer, o SignOptions) ([]byte, error) {
	var content, out bytes.Buffer
	if _, err := (&crlfWriter{w: &content}).Write(entity); err != nil {
		return nil, err
	}
	s, err := newSigning(signer, o)
	if err != nil {
		return nil, err
	}
	if o.Detached {
		err = s.writeDetached(&out, &content, o.Boundary)
	} else {
		err = s.writeOpaque(&out, &content, int64(content.Len()))
	}
	return out.Bytes(), err
}

// WriteSigned is Sign for an entity of any size, in constant memory. The opaque form is BER of indefinite length.
func WriteSigned(w io.Writer, entity io.Reader, signer Signer, o SignOptions) error {
	s, err := newSigning(signer, o)
	if err != nil {
		return err
	}
	if o.Detached {
		return s.writeDetached(w, entity, o.Boundary)
	}
	return s.writeOpaque(w, entity, indefinite)
}

// WriteSignedAsDomain is SignAsDomain for an entity of any size.
func WriteSignedAsDomain(w io.Writer, entity io.Reader, signer Signer, o SignOptions) error {
	r := bufio.NewReaderSize(entity, peekLimit)
	head, err := r.Peek(peekLimit)
	if err != nil && err != io.EOF {
		return err
	}
	if !isSigned(head) {
		return ErrNotSigned
	}
	return WriteSigned(w, r, signer, asDomain(o))
}

// EmptySignature puts a signedData without signers around the entity. Unlike RFC 5652 section 5.2 the content is
// there, and its type is id-data (SEEDS DOM D1).
func EmptySignature(entity []byte) []byte {
	var content, out bytes.Buffer
	s := &signing{}
	// A bytes.Buffer does not fail.
	_, _ = (&crlfWriter{w: &content}).Write(entity)
	_ = s.writeOpaque(&out, &content, int64(content.Len()))
	return out.Bytes()
}

// WriteEmptySignature is EmptySignature for an entity of any size.
func WriteEmptySignature(w io.Writer, entity io.Reader) error {
	return (&signing{}).writeOpaque(w, entity, indefinite)
}

// A signing is one SignedData in the making.
type signing struct {
	signers []*signerInfo
}

func newSigning(signer Signer, o SignOptions) (*signing, error) {
	s := &signing{}
	for _, c := range append([]CoSigner{{signer, o}}, o.CoSigners...) {
		si, err := newSignerInfo(c.Signer, c.Options)
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, si)
	}
	return s, nil
}

// Write feeds the content to the digests.
func (s *signing) Write(p []byte) (int, error) {
	for _, si := range s.signers {
		si.digest.Write(p)
	}
	return len(p), nil
}

// writeOpaque writes the pkcs7-mime entity. With a known size the entity has CRLF line ends already, is in memory, and
// the object is DER.
func (s *signing) writeOpaque(w io.Writer, entity io.Reader, size int64) error {
	out := bufio.NewWriterSize(w, chunk)
	if _, err := out.WriteString(pkcs7MIMEHeader("signed-data")); err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	var err error
	if content, ok := entity.(*bytes.Buffer); ok && size != indefinite {
		err = s.writeDER(encoder, content.Bytes())
	} else {
		err = s.writeBER(encoder, entity)
	}
	if err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func (s *signing) writeDER(w io.Writer, content []byte) error {
	if _, err := s.Write(content); err != nil {
		return err
	}
	infos, err := s.sign()
	if err != nil {
		return err
	}
	f, err := s.frame(infos, int64(len(content)))
	if err != nil {
		return err
	}
	return writeAll(w, f.open, content, f.close)
}

// writeBER knows the SignerInfos only when the content is through; what stands before it does not depend on them.
func (s *signing) writeBER(w io.Writer, entity io.Reader) error {
	f, err := s.frame(nil, indefinite)
	if err != nil {
		return err
	}
	if err := writeAll(w, f.open); err != nil {
		return err
	}
	pieces := newChunkWriter(w)
	if _, err := io.Copy(&crlfWriter{w: io.MultiWriter(s, pieces)}, entity); err != nil {
		return err
	}
	if err := pieces.flush(); err != nil {
		return err
	}
	infos, err := s.sign()
	if err != nil {
		return err
	}
	if f, err = s.frame(infos, indefinite); err != nil {
		return err
	}
	return writeAll(w, f.close)
}

// writeDetached writes the multipart/signed entity (RFC 8551 section 3.5.3).
func (s *signing) writeDetached(w io.Writer, entity io.Reader, boundary string) error {
	if boundary == "" {
		boundary = newBoundary()
	}
	out := bufio.NewWriterSize(w, chunk)
	fmt.Fprintf(out, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"+
		" micalg=%s; boundary=\"%s\"\r\n\r\n--%s\r\n", s.micalg(), boundary, boundary)
	if _, err := io.Copy(&crlfWriter{w: io.MultiWriter(s, out)}, entity); err != nil {
		return err
	}
	fmt.Fprintf(out, "\r\n--%s\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n", boundary)
	infos, err := s.sign()
	if err != nil {
		return err
	}
	object, err := s.detached(infos)
	if err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	if err := writeAll(encoder, object); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	fmt.Fprintf(out, "--%s--\r\n", boundary)
	return out.Flush() // a bufio.Writer keeps its first error
}

// micalg names the digests of all signers, each once (RFC 8551 section 3.5.3.2).
func (s *signing) micalg() string {
	var names []string
	for _, si := range s.signers {
		names = append(names, si.hash.micalg)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 1 {
		return names[0]
	}
	list := `"` + names[0]
	for _, n := range names[1:] {
		list += "," + n
	}
	return list + `"`
}

// sign returns the SignerInfos for the content that was written.
func (s *signing) sign() ([][]byte, error) {
	var infos [][]byte
	for _, si := range s.signers {
		der, err := si.sign()
		if err != nil {
			return nil, err
		}
		infos = append(infos, der)
	}
	return infos, nil
}

// frame returns ContentInfo, SignedData and encapContentInfo around n octets of content.
func (s *signing) frame(infos [][]byte, n int64) (frame, error) {
	before, after, err := s.around(infos)
	if err != nil {
		return frame{}, err
	}
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return frame{}, err
	}
	idSignedData, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return frame{}, err
	}
	octetString := byte(0x04)
	if n == indefinite {
		octetString = 0x24
	}
	return frame{}.wrap(octetString, n, nil, nil).
		wrap(0xa0, n, nil, nil).
		wrap(0x30, n, idData, nil).
		wrap(0x30, n, before, after).
		wrap(0xa0, n, nil, nil).
		wrap(0x30, n, idSignedData, nil), nil
}

// detached returns a ContentInfo of a SignedData without content.
func (s *signing) detached(infos [][]byte) ([]byte, error) {
	before, after, err := s.around(infos)
	if err != nil {
		return nil, err
	}
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return nil, err
	}
	idSignedData, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return nil, err
	}
	return element(0x30, idSignedData, element(0xa0, element(0x30, before, element(0x30, idData), after))), nil
}

// around returns what stands before and after the encapContentInfo of a SignedData.
func (s *signing) around(infos [][]byte) (before, after []byte, err error) {
	version := byte(1)
	var digests, certificates [][]byte
	for _, si := range s.signers {
		if si.options.SubjectKeyID {
			version = 3 // RFC 5652 section 5.1: a SignerInfo of version 3
		}
		digest, err := build(func(b *cryptobyte.Builder) { addAlgorithm(b, si.hash.digest, nil) })
		if err != nil {
			return nil, nil, err
		}
		digests = append(digests, digest)
		if !si.options.OmitCertificates {
			certificates = append(certificates, si.signer.Certificate.Raw)
			for _, c := range si.signer.Chain {
				certificates = append(certificates, c.Raw)
			}
		}
	}
	before = slices.Concat([]byte{2, 1, version}, setOf(0x31, digests))
	if len(certificates) > 0 {
		after = setOf(0xa0, certificates)
	}
	return before, append(after, setOf(0x31, infos)...), nil
}

// A signerInfo is one SignerInfo in the making.
type signerInfo struct {
	signer  Signer
	options SignOptions
	hash    hashAlgorithm
	digest  hash.Hash
}

// A hashAlgorithm is one row of the table of digests a signature can have.
type hashAlgorithm struct {
	hash   crypto.Hash
	micalg string
	digest asn1.ObjectIdentifier
	ecdsa  asn1.ObjectIdentifier // ecdsa-with-..., RFC 5754 section 3.3
}

var hashAlgorithms = []hashAlgorithm{
	{crypto.SHA1, "sha-1", asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}},
	{crypto.SHA256, "sha-256", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{crypto.SHA384, "sha-384", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{crypto.SHA512, "sha-512", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
}

func findHash(h crypto.Hash) (hashAlgorithm, error) {
	for _, a := range hashAlgorithms {
		if a.hash == h {
			return a, nil
		}
	}
	return hashAlgorithm{}, fmt.Errorf("unsupported digest %v", h)
}

func newSignerInfo(signer Signer, o SignOptions) (*signerInfo, error) {
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	if o.Hash == crypto.SHA1 && !o.AllowSHA1 {
		return nil, errors.New("SHA-1 is no digest to sign with")
	}
	h, err := findHash(o.Hash)
	if err != nil {
		return nil, err
	}
	if signer.Certificate == nil || signer.Key == nil {
		return nil, errors.New("signer without certificate or key")
	}
	public, ok := signer.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(signer.Certificate.PublicKey) {
		return nil, errors.New("the signer's key is not that of the certificate")
	}
	if o.SubjectKeyID && len(signer.Certificate.SubjectKeyId) == 0 {
		return nil, errors.New("the signer's certificate has no subjectKeyIdentifier")
	}
	return &signerInfo{signer: signer, options: o, hash: h, digest: o.Hash.New()}, nil
}

func (o SignOptions) signingTime() time.Time {
	if o.SigningTime.IsZero() {
		return time.Now()
	}
	return o.SigningTime
}

// sign returns the DER of the SignerInfo (RFC 5652 section 5.3).
func (si *signerInfo) sign() ([]byte, error) {
	attributes, err := si.attributes()
	if err != nil {
		return nil, err
	}
	// Signed as SET OF, sent as [0] (RFC 5652 section 5.4).
	h := si.hash.hash.New()
	h.Write(setOf(0x31, attributes))
	signature, err := si.signer.Key.Sign(rand.Reader, h.Sum(nil), si.hash.hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var unsigned [][]byte
	for _, a := range si.options.UnsignedAttributes {
		der, err := a.marshal()
		if err != nil {
			return nil, err
		}
		unsigned = append(unsigned, der)
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			si.addIdentifier(b)
			addAlgorithm(b, si.hash.digest, nil)
			b.AddBytes(setOf(0xa0, attributes))
			si.addSignatureAlgorithm(b)
			b.AddASN1OctetString(signature)
			if len(unsigned) > 0 {
				b.AddBytes(setOf(0xa1, unsigned))
			}
		})
	})
}

func (si *signerInfo) addIdentifier(b *cryptobyte.Builder) {
	if si.options.SubjectKeyID {
		b.AddASN1Int64(3)
		b.AddASN1(cryptobyte_asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddBytes(si.signer.Certificate.SubjectKeyId)
		})
		return
	}
	b.AddASN1Int64(1)
	addIssuerAndSerial(b, si.signer.Certificate)
}

func addIssuerAndSerial(b *cryptobyte.Builder, c *x509.Certificate) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(c.RawIssuer)
		b.AddASN1BigInt(c.SerialNumber)
	})
}

func (si *signerInfo) addSignatureAlgorithm(b *cryptobyte.Builder) {
	switch si.signer.Key.Public().(type) {
	case *rsa.PublicKey:
		addAlgorithm(b, oidRSAEncryption, derNull)
	case *ecdsa.PublicKey:
		addAlgorithm(b, si.hash.ecdsa, nil)
	default:
		b.SetError(fmt.Errorf("unsupported key type %T", si.signer.Key.Public()))
	}
}

// attributes returns the DER of each signed attribute.
func (si *signerInfo) attributes() ([][]byte, error) {
	signingTime, err := derTime(si.options.signingTime())
	if err != nil {
		return nil, err
	}
	contentType, err := asn1.Marshal(oidData)
	if err != nil {
		return nil, err
	}
	list := []Attribute{
		{oidContentType, [][]byte{contentType}},
		{oidMessageDigest, [][]byte{element(0x04, si.digest.Sum(nil))}},
		{oidSigningTime, [][]byte{signingTime}},
	}
	if types := si.options.SignatureTypes; len(types) > 0 {
		value, err := asn1.Marshal(types)
		if err != nil {
			return nil, err
		}
		list = append(list, Attribute{OIDSignatureType, [][]byte{value}})
	}
	var out [][]byte
	for _, a := range append(list, si.options.Attributes...) {
		der, err := a.marshal()
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return out, nil
}

func (a Attribute) marshal() ([]byte, error) {
	oid, err := asn1.Marshal(a.Type)
	if err != nil {
		return nil, err
	}
	return element(0x30, oid, setOf(0x31, a.Values)), nil
}

// derTime encodes a time as UTCTime through the year 2049 and GeneralizedTime after (RFC 5652 section 11.3).
func derTime(t time.Time) ([]byte, error) {
	return asn1.Marshal(t.UTC().Truncate(time.Second))
}

// expansionHistory returns an MLExpansionHistory of one entry.
func expansionHistory(list *x509.Certificate, at time.Time) ([]byte, error) {
	if list == nil {
		return nil, errors.New("signer without certificate or key")
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addIssuerAndSerial(b, list)
				b.AddASN1GeneralizedTime(at.UTC().Truncate(time.Second))
			})
		})
	})
}

func writeAll(w io.Writer, parts ...[]byte) error {
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}
