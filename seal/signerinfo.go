package seal

import (
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
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

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
