package unwrap

import (
	"errors"
	"hash"
	"io"
	"maps"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// signatures are the SignerInfos of one layer with what they are to be held against.
type signatures struct {
	infos       []*cms.SignerInfo
	content     message.Content
	canonical   bool // hash with bare LF read as CRLF (RFC 8551 section 3.1.1)
	digests     map[cms.Hash][]byte
	contentType []int
	prefix      []byte
}

// judge verifies the signers of a layer, as far as the message's budget goes (THREATS A33).
func (w *walk) judge(c *signatures, layer *Layer) {
	signers := make([]Signer, len(c.infos))
	for i, info := range c.infos {
		signers[i] = Signer{Issuer: info.Issuer, Serial: info.Serial, SignedAttrs: info.HasSignedAttrs,
			Certificate: info.Certificate(layer.Certificates)}
		if w.verified == maxSignatures {
			w.result.LimitReached = true
			signers[i].Detail = ErrSignatureBudget
			continue
		}
		w.verified++
		c.prepare(info, &signers[i])
	}
	c.addDigests(signers)
	for i, info := range c.infos {
		c.verify(info, &signers[i])
		signers[i].Digest, signers[i].Algorithm = info.Names() // the curve is known once the key was used
		signers[i].Masked = info.MaskedDigests()
		layer.Algorithms = append(layer.Algorithms, signers[i].Digest+"/"+signers[i].Algorithm)
	}
	layer.Signers = append(layer.Signers, signers...) // nil when there are none
	readAttributes(layer, c.infos)
}

// prepare finds what keeps a signature from being verified at all.
func (c *signatures) prepare(info *cms.SignerInfo, signer *Signer) {
	switch {
	case info.Hash == nil:
		signer.Outcome, signer.Detail = Unsupported, cms.ErrAlgorithm
	case signer.Certificate == nil:
		signer.Outcome = NoCertificate
	case !info.HasSignedAttrs && cms.LooksLikeSignedAttrs(c.prefix):
		// The DER of another message's signed attributes, shown as content (THREATS A17).
		signer.Outcome, signer.Detail = Malformed, cms.ErrAttributes
	default:
		signer.KeyBits = info.KeyBits(signer.Certificate)
	}
}

// pending reports whether a signature is still to be verified.
func (s Signer) pending() bool { return s.Outcome == NotVerified && s.Detail == nil }

// addDigests takes the digests that neither micalg nor digestAlgorithms announced, all of them in one more pass over
// the content (THREATS A23: what they announce decides nothing). A read that fails leaves them out; a fault of ours is
// remembered by the reader.
func (c *signatures) addDigests(signers []Signer) {
	missing := map[cms.Hash]hash.Hash{}
	for i, info := range c.infos {
		if signers[i].pending() && c.digests[info.Hash] == nil {
			missing[info.Hash] = info.Hash.New()
		}
	}
	if len(missing) == 0 {
		return
	}
	r, err := c.content.Open()
	if err != nil {
		return
	}
	more := &canonicalHash{hashes: missing, asIs: !c.canonical}
	if _, err := io.CopyBuffer(struct{ io.Writer }{more}, r, make([]byte, readBuffer)); err != nil {
		return
	}
	maps.Copy(c.digests, more.sums())
}

func (c *signatures) verify(info *cms.SignerInfo, signer *Signer) {
	if !signer.pending() {
		return
	}
	digest := c.digests[info.Hash]
	if digest == nil {
		signer.Outcome, signer.Detail = Malformed, cms.ErrDigest
		return
	}
	signer.Detail = info.Verify(signer.Certificate, digest, c.contentType)
	signer.Outcome = outcome(signer.Detail)
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return Good
	case errors.Is(err, cms.ErrDigest):
		return BadDigest
	case errors.Is(err, cms.ErrSignature):
		return BadSignature
	case errors.Is(err, cms.ErrAlgorithm):
		return Unsupported
	}
	return Malformed
}
