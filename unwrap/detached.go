package unwrap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

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
