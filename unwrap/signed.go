package unwrap

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// enterSigned starts an opaque SignedData.
func (w *walk) enterSigned(reader *cms.Reader, o object) (*stage, error) {
	index := w.add(Layer{Type: Signed, Part: w.part(), WholeBody: true})
	signed, err := reader.SignedData()
	if err != nil {
		w.unreadable(index, err)
		return nil, nil
	}
	f := &opaqueFrame{index: index, signed: signed, octets: signedContent{o}}
	w.open = append(w.open, f)
	if signed.Detached || !signed.EContentType.Equal(cms.OIDData) && typeOf(signed.EContentType) == "" {
		return nil, nil
	}
	f.stream = w.buffered(io.TeeReader(signed, &f.lines))
	f.prefix, _ = f.stream.Peek(1024)
	f.prefix = bytes.Clone(f.prefix)
	return w.inside(index, f.stream, f.octets, signed.EContentType)
}

// An opaqueFrame is a SignedData that carries its content.
type opaqueFrame struct {
	index  int
	signed *cms.SignedData
	octets message.Content
	stream *bufio.Reader
	lines  lineScan
	prefix []byte // first octets of the content
}

func (f *opaqueFrame) finish(w *walk) error {
	layer := &w.result.Layers[f.index]
	if f.stream != nil {
		if _, err := io.Copy(io.Discard, f.stream); err != nil {
			layer.Fault = err
			return nil
		}
	}
	if err := f.signed.Finish(); err != nil {
		layer.Fault = err
		return nil
	}
	layer.Certificates = f.signed.Certificates
	layer.certsOnly = len(f.signed.SignerInfos) == 0 &&
		(f.signed.Detached || f.stream != nil && len(f.prefix) == 0 && len(layer.Certificates) > 0) // some write the content, empty
	if f.signed.Detached && !layer.certsOnly {
		layer.Fault = ErrContent // signatures over content that is elsewhere prove nothing about this message
		return nil
	}
	layer.Strippable = layer.content != nil && !layer.certsOnly
	layer.Repackable = layer.Strippable && !layer.Bare && f.lines.canonical() && len(f.signed.SignerInfos) > 0
	if layer.Repackable {
		layer.signature = f.signed.DetachedObject()
	}
	digests := map[cms.Hash][]byte{}
	for _, info := range f.signed.SignerInfos {
		if d := f.signed.Digest(info.Hash); d != nil {
			digests[info.Hash] = d
		}
	}
	c := signatures{infos: f.signed.SignerInfos, content: f.octets, digests: digests,
		contentType: f.signed.EContentType, prefix: f.prefix}
	w.judge(&c, layer)
	return nil
}

// enterDetached starts a multipart/signed (RFC 1847).
func (w *walk) enterDetached(at stage) (*stage, error) {
	index := w.add(Layer{Type: Signed, Part: w.prefix + w.child("2"), Detached: true})
	f := &detachedFrame{index: index, body: at.entity.body,
		parts: message.NewMultipart(at.stream, at.form.media.Params["boundary"])}
	f.second.text = []byte("--" + at.form.media.Params["boundary"])
	part, err := f.parts.NextPart()
	if err != nil {
		w.result.Layers[index].Fault = ErrMultipart
		return nil, nil
	}
	f.start, _ = f.parts.Offset()
	f.hashes = newCanonicalHash(at.form.media.Params["micalg"])
	f.stream = w.buffered(io.TeeReader(part, f.hashes))
	f.prefix, _ = f.stream.Peek(1024)
	f.prefix = bytes.Clone(f.prefix)
	w.open = append(w.open, f)
	w.number = w.child("1")
	return w.inside(index, f.stream, firstPart{of: at.entity.body, boundary: at.form.media.Params["boundary"]}, cms.OIDData)
}

// firstPart is the first part of a multipart body.
type firstPart struct {
	of       message.Content
	boundary string
}

func (p firstPart) Open() (io.Reader, error) {
	r, err := p.of.Open()
	if err != nil {
		return nil, err
	}
	part, err := message.NewMultipart(r, p.boundary).NextPart()
	if err != nil {
		return nil, unexpected(err)
	}
	return part, nil
}

// A detachedFrame is a multipart/signed whose first part is being read.
type detachedFrame struct {
	index  int
	body   message.Content
	parts  *message.Multipart
	stream *bufio.Reader
	start  int64
	hashes *canonicalHash
	prefix []byte
	second finder // of the boundary inside the signature part, where base64 would hide it (THREATS B23)
}

func (f *detachedFrame) finish(w *walk) error {
	layer := &w.result.Layers[f.index]
	if _, err := io.Copy(io.Discard, f.stream); err != nil {
		layer.Fault = err
		return nil
	}
	_, end := f.parts.Offset()
	signed, err := f.signaturePart(w, layer)
	if err != nil {
		layer.Fault = err
		return nil
	}
	if _, err := f.parts.NextPart(); !errors.Is(err, io.EOF) {
		layer.Fault = ErrMultipart
		return nil
	}
	blank, err := f.parts.EpilogueBlank()
	if err != nil {
		layer.Fault = err
		return nil
	}
	// THREATS B11: text around the parts would be shown by some readers and is signed by nobody. So would be what they
	// take for one more part.
	layer.WholeBody = blank && preambleSaysNothing(f.parts) && f.parts.Closed() && !f.parts.Lookalike() && !f.second.found
	layer.Strippable = layer.content != nil && layer.WholeBody
	layer.Certificates = signed.Certificates
	content := slice{of: f.body, offset: f.start, length: end - f.start}
	c := signatures{infos: signed.SignerInfos, content: content, canonical: true, digests: f.hashes.sums(),
		contentType: signed.EContentType, prefix: f.prefix}
	w.judge(&c, layer)
	w.judgeLF(&c, layer)
	return nil
}

// stockPreambles are the lines that well-known senders put before the first part of every message they sign.
var stockPreambles = []string{
	"This is an S/MIME signed message",
	"This is a cryptographically signed message in MIME format.",
	"This is a multi-part message in MIME format.",
	"This is a multipart message in MIME format.",
}

// preambleSaysNothing reports whether the preamble is blank or one of stockPreambles.
func preambleSaysNothing(parts *message.Multipart) bool {
	text, whole := parts.Preamble()
	return parts.PreambleBlank() || whole && slices.Contains(stockPreambles, text)
}

// signaturePart reads the second part, which must be a SignedData without content: one that carries its own is the
// confusion of THREATS A19.
func (f *detachedFrame) signaturePart(w *walk, layer *Layer) (*cms.SignedData, error) {
	part, err := f.parts.NextPart()
	if err != nil {
		return nil, ErrMultipart
	}
	stream := bufio.NewReader(io.TeeReader(part, &f.second))
	header, err := message.ReadHeader(stream, maxEntityHeader)
	if err != nil {
		return nil, err
	}
	form := classify(header)
	if form.kind != signature || form.encoding == "" {
		return nil, ErrSignature
	}
	if !w.deviates(layer, form.compat...) {
		return nil, layer.Fault
	}
	object := cms.NewReader(message.Decode(stream, form.encoding))
	contentType, err := object.ContentType()
	if err != nil {
		return nil, err
	}
	if !contentType.Equal(cms.OIDSignedData) {
		return nil, ErrSignature
	}
	signed, err := object.SignedData()
	if err != nil {
		return nil, err
	}
	if !signed.Detached {
		return nil, ErrSignature
	}
	return signed, signed.Finish()
}

// A finder looks for a text in what is written to it.
type finder struct {
	text, tail []byte
	found      bool
}

func (f *finder) Write(p []byte) (int, error) {
	keep := len(f.text) - 1
	seam := append(f.tail, p[:min(len(p), keep)]...)
	f.found = f.found || bytes.Contains(seam, f.text) || bytes.Contains(p, f.text)
	last := p
	if len(p) < keep {
		last = seam
	}
	f.tail = append(f.tail[:0], last[max(0, len(last)-keep):]...)
	return len(p), nil
}

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

// A canonicalHash hashes what is written to it with every bare LF read as CRLF.
type canonicalHash struct {
	hashes map[cms.Hash]hash.Hash
	asIs   bool // hash the octets as they are
	cr     bool // the last octet was CR
}

// micalgs are the names of RFC 5751 and RFC 8551 section 3.5.3.2.
var micalgs = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha-1": crypto.SHA1,
	"sha256": crypto.SHA256, "sha-256": crypto.SHA256,
	"sha384": crypto.SHA384, "sha-384": crypto.SHA384,
	"sha512": crypto.SHA512, "sha-512": crypto.SHA512,
}

// newCanonicalHash prepares the algorithms that micalg announces; none known: SHA-256, the usual one.
func newCanonicalHash(micalg string) *canonicalHash {
	c := &canonicalHash{hashes: map[cms.Hash]hash.Hash{}}
	for name := range strings.SplitSeq(strings.ToLower(micalg), ",") {
		if h, ok := micalgs[strings.TrimSpace(name)]; ok {
			c.hashes[h] = h.New()
		}
	}
	if len(c.hashes) == 0 {
		c.hashes[crypto.SHA256] = crypto.SHA256.New()
	}
	return c
}

func (c *canonicalHash) Write(p []byte) (int, error) {
	if c.asIs {
		c.feed(p)
		return len(p), nil
	}
	start := 0
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			break
		}
		lf := at + i
		bare := lf > 0 && p[lf-1] != '\r' || lf == 0 && !c.cr
		if bare {
			c.feed(p[start:lf])
			c.feed([]byte("\r"))
			start = lf
		}
		at = lf + 1
	}
	c.feed(p[start:])
	if len(p) > 0 {
		c.cr = p[len(p)-1] == '\r'
	}
	return len(p), nil
}

func (c *canonicalHash) feed(p []byte) {
	for _, h := range c.hashes {
		h.Write(p)
	}
}

func (c *canonicalHash) sums() map[cms.Hash][]byte {
	sums := map[cms.Hash][]byte{}
	for algorithm, h := range c.hashes {
		sums[algorithm] = h.Sum(nil)
	}
	return sums
}

// A lineScan sees whether content survives transport as text: CRLF line ends only, no NUL.
type lineScan struct {
	cr, spoiled bool
}

func (s *lineScan) Write(p []byte) (int, error) {
	if s.spoiled {
		return len(p), nil
	}
	if bytes.IndexByte(p, 0) >= 0 {
		s.spoiled = true
		return len(p), nil
	}
	rest := p
	for len(rest) > 0 && !s.spoiled {
		if s.cr {
			s.spoiled = rest[0] != '\n'
			s.cr = false
			rest = rest[1:]
			continue
		}
		lf, cr := bytes.IndexByte(rest, '\n'), bytes.IndexByte(rest, '\r')
		switch {
		case cr < 0 && lf < 0:
			rest = nil
		case cr < 0 || lf >= 0 && lf < cr:
			s.spoiled = true
		default:
			s.cr, rest = true, rest[cr+1:]
		}
	}
	return len(p), nil
}

func (s *lineScan) canonical() bool { return !s.spoiled && !s.cr }
