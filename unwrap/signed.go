package unwrap

import (
	"bufio"
	"bytes"
	"io"

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
