package unwrap

import (
	"bufio"
	"io"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// expansion is how many times the size of the received message the content of any compressed layer may have, so that
// layers of compression in each other do not multiply (DESIGN rule 9; THREATS A40).
const expansion = 10

// enterCompressed starts a CompressedData (RFC 3274). It proves nothing and hides nothing: it is read through.
func (w *walk) enterCompressed(reader *cms.Reader, o object) (*stage, error) {
	index := w.add(Layer{Type: Compressed, Role: RoleCompressed, Part: w.part(), WholeBody: true})
	content := compressedContent{o, expansion * w.result.received.Size()}
	compressed, err := content.from(reader)
	if err != nil {
		w.unreadable(index, err)
		return nil, nil
	}
	w.result.Layers[index].Algorithms = []string{"zlib"}
	f := &compressedFrame{index: index, compressed: compressed, stream: bufio.NewReaderSize(compressed, readBuffer)}
	w.open = append(w.open, f)
	return w.inside(index, f.stream, content, compressed.ContentType)
}

// compressedContent is the content of a CompressedData, at most limit octets.
type compressedContent struct {
	of    object
	limit int64
}

func (c compressedContent) Open() (io.Reader, error) {
	r, err := c.of.open()
	if err != nil {
		return nil, err
	}
	return c.from(r)
}

func (c compressedContent) from(r *cms.Reader) (*cms.CompressedData, error) {
	compressed, err := r.CompressedData()
	if err != nil {
		return nil, err
	}
	compressed.Limit = c.limit
	return compressed, nil
}

var _ message.Content = compressedContent{}

// A compressedFrame is a CompressedData whose content is being read.
type compressedFrame struct {
	index      int
	compressed *cms.CompressedData
	stream     *bufio.Reader
}

// finish reads the layer to its end. Only there it shows that the content is whole.
func (f *compressedFrame) finish(w *walk) error {
	layer := &w.result.Layers[f.index]
	if _, err := io.Copy(io.Discard, f.stream); err != nil {
		layer.Fault = err
		return nil
	}
	if err := f.compressed.Finish(); err != nil {
		layer.Fault = err
		return nil
	}
	layer.Strippable = layer.content != nil
	return nil
}
