package unwrap

import (
	"bufio"
	"context"
	"encoding/asn1"
	"errors"
	"io"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// A walk goes through the layers of one message from the outside in. Signed layers are read through: the reader of an
// inner layer pulls from the reader of the outer one, which hashes on the way, so that all signatures between two
// ciphertexts are verified in one pass. An opened ciphertext starts a new pass over a spool of its own.
type walk struct {
	ctx     context.Context
	options Options
	result  *Result

	prefix, number string   // IMAP section of the current entity: "1/" and "2.1"
	compat         []string // deviations of the entity whose layer is added next
	sealed         bool     // inside a ciphertext of ours
	open           []frame  // signed layers whose content is being read, outermost first
	verified       int      // signatures
	size           int64    // of the spool that is being read
	fault          error    // what reading a spool said, other than io.EOF: a fault of ours
}

// A frame is a signed layer whose signatures stand behind the content that is still being read.
type frame interface {
	finish(*walk) error
}

// A stage is the entity the walk stands at: its body is to be read from stream.
type stage struct {
	entity *entity
	form   form
	stream *bufio.Reader

	bare *bare // set where no MIME entity stands between two CMS objects: entity is made up
}

// A bare object is the content of the layer at index outer.
type bare struct {
	object
	outer int
}

func (w *walk) run() error {
	header := w.result.header
	top := &entity{header: header, body: w.section(w.result.received, header.BodyOffset())}
	at := stage{entity: top, form: classify(header)}
	if err := w.resolve(&at.form, top.body); err != nil {
		return err
	}
	if !w.isLayer(at.form) {
		return w.probeParts(at)
	}
	stream, err := top.body.Open()
	if err != nil {
		return err
	}
	w.size = w.result.received.Size()
	at.stream = w.buffered(stream)
	for w.isLayer(at.form) {
		if len(w.result.Layers) == maxLayers {
			w.result.LimitReached = true
			break
		}
		next, err := w.enter(at)
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		at = *next
	}
	if err := w.finishOpen(); err != nil {
		return err
	}
	return w.cover()
}

// section is a Content over a Source from an offset on. Read errors are remembered, since the parsers above take any
// error for a fault of the message. The end of the walk's context is one of them.
func (w *walk) section(src message.Source, offset int64) message.Content {
	return watched{ctx: w.ctx, of: message.Section(src, offset, src.Size()-offset), fault: &w.fault}
}

type watched struct {
	ctx   context.Context
	of    message.Content
	fault *error
}

func (c watched) Open() (io.Reader, error) {
	r, err := c.of.Open()
	if err != nil {
		return nil, err
	}
	return &watchedReader{c, r}, nil
}

type watchedReader struct {
	watched
	r io.Reader
}

func (r *watchedReader) Read(p []byte) (n int, err error) {
	if err = context.Cause(r.ctx); err == nil {
		n, err = r.r.Read(p)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		*r.fault = err
	}
	return n, err
}

// enter takes one layer. It returns the stage inside it, or nil when the walk ends here.
func (w *walk) enter(at stage) (*stage, error) {
	var next *stage
	var err error
	if w.options.Strict && len(at.form.compat) > 0 {
		w.refuse(at.form.compat...)
		return nil, nil
	}
	w.compat = at.form.compat
	if at.form.kind == detached {
		next, err = w.enterDetached(at)
	} else {
		next, err = w.enterOpaque(at)
	}
	if w.fault != nil {
		return nil, w.fault
	}
	return next, err
}

// buffered returns a reader with a buffer that suits the spool: most mail is small, and clearing memory costs.
func (w *walk) buffered(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(r, int(min(max(w.size, leastBuffer), readBuffer)))
}

// add appends a layer and returns its index.
func (w *walk) add(l Layer) int {
	l.Sealed, l.Compat, w.compat = w.sealed, append(l.Compat, w.compat...), nil
	w.result.Layers = append(w.result.Layers, l)
	return len(w.result.Layers) - 1
}

// part returns the IMAP section of the current entity; a message that is no multipart has the one part 1.
func (w *walk) part() string {
	if w.number == "" {
		return w.prefix + "1"
	}
	return w.prefix + w.number
}

func (w *walk) child(n string) string {
	if w.number == "" {
		return n
	}
	return w.number + "." + n
}

func (w *walk) enterOpaque(at stage) (*stage, error) {
	o := object{octets: decoded{of: at.entity.body, encoding: at.form.encoding}, strict: w.options.Strict}
	stream := message.Decode(at.stream, at.form.encoding)
	if at.bare != nil {
		o, stream = at.bare.object, at.stream
	}
	reader := o.from(stream)
	index := len(w.result.Layers)
	next, err := w.enterObject(reader, o, at.form)
	if index == len(w.result.Layers) {
		return nil, err // a name that promised too much
	}
	for _, d := range reader.Deviations() {
		w.result.Layers[index].Compat = append(w.result.Layers[index].Compat, string(d))
	}
	if at.bare != nil && w.result.Layers[index].Type == Unreadable {
		// Nothing that could take the place of the layer around it.
		outer := &w.result.Layers[at.bare.outer]
		outer.content, outer.Strippable = nil, false
	}
	return next, err
}

// enterObject adds the layer that an object is.
func (w *walk) enterObject(reader *cms.Reader, o object, f form) (*stage, error) {
	contentType, err := reader.ContentType()
	layer := Layer{Type: Unreadable, Role: RoleOther, Part: w.part(), Fault: err}
	if f.byName() && (err != nil || typeOf(contentType) == "") {
		return nil, nil
	}
	if err == nil {
		layer.Type = typeOf(contentType)
		if !fitsType(f.media, layer.Type) {
			if w.options.Strict {
				w.refuse(CompatSMIMEType)
				return nil, nil
			}
			w.compat = append(w.compat, CompatSMIMEType)
		}
		switch layer.Type {
		case Signed:
			return w.enterSigned(reader, o)
		case Enveloped, AuthEnveloped:
			return w.enterEnvelope(reader, o, layer.Type)
		case Compressed:
			return w.enterCompressed(reader, o)
		case "":
			layer.Type = Unreadable
		}
		layer.Fault = ErrContent
	}
	w.add(layer)
	return nil, nil
}

// refuse adds a layer that compat = "strict" keeps shut.
func (w *walk) refuse(deviations ...string) {
	layer := Layer{Type: Unreadable, Role: RoleOther, Part: w.part()}
	w.deviates(&layer, deviations...)
	w.add(layer)
}

// unreadable marks a layer whose object could not be read.
func (w *walk) unreadable(index int, fault error) {
	w.result.Layers[index].Type, w.result.Layers[index].Fault = Unreadable, fault
	w.result.Layers[index].Role = RoleOther
}

// inside prepares the stage for what the layer at index holds: a MIME entity, or another object when contentType says
// so. The octets are the layer's content.
func (w *walk) inside(index int, stream *bufio.Reader, octets message.Content, contentType asn1.ObjectIdentifier) (*stage, error) {
	layer := &w.result.Layers[index]
	nested := typeOf(contentType) != "" // DOM-R10
	if p, _ := stream.Peek(1); nested && layer.Type != Signed && len(p) == 1 && p[0] != 0x30 {
		if !w.deviates(layer, CompatContentType) {
			return nil, nil
		}
		nested = false
	}
	if nested {
		made, err := bareEntity(contentType, octets)
		if err != nil {
			return nil, err
		}
		layer.Bare, layer.content = true, made
		return &stage{entity: made, form: form{kind: opaque}, stream: stream, bare: &bare{object{octets: octets, bare: contentType, strict: w.options.Strict}, index}}, nil
	}
	if !layer.Detached {
		w.prefix, w.number = w.part()+"/", ""
	}
	inner, err := readEntity(stream, octets)
	if w.fault != nil {
		return nil, w.fault
	}
	if err != nil || inner == nil {
		return nil, nil // the layer's own end will say what is wrong with it
	}
	if !layer.Detached && inner.header.Len() > 0 && !inner.header.CRLF() && !w.deviates(layer, CompatLineEnds) {
		return nil, nil
	}
	layer.content = inner
	next := &stage{entity: inner, form: classify(inner.header), stream: stream}
	return next, w.resolve(&next.form, inner.body)
}

// isLayer reports whether the walk enters an entity. With compat strict the name of a file makes none.
func (w *walk) isLayer(f form) bool { return f.isLayer() && !(w.options.Strict && f.byName()) }

// finishOpen reads the open layers to their ends, innermost first, and verifies their signatures.
func (w *walk) finishOpen() error {
	for len(w.open) > 0 {
		last := len(w.open) - 1
		err := w.open[last].finish(w)
		if w.fault != nil {
			return w.fault
		}
		if err != nil {
			return err
		}
		w.open = w.open[:last]
	}
	return nil
}

// cover marks the envelopes whose whole plaintext a good signature covers (DESIGN rule 5): the layer directly inside
// is signed, and nothing stands beside it. Compression between the two does not matter, when it could be undone to its
// end: what is released is what came out of it, the signature covers that, and who cannot sign what he does not know
// cannot sign it compressed either.
//
// What is not covered, and has passed the gate so far, is searched for what an attacker who cut it would have left.
func (w *walk) cover() error {
	layers := w.result.Layers
	for i := range layers {
		if !layers[i].Opened {
			continue
		}
		inner := i + 1
		for inner < len(layers) && layers[inner].Type == Compressed && layers[inner].Fault == nil {
			inner++
		}
		layers[i].Covered = inner < len(layers) && layers[inner].Type == Signed && layers[inner].GoodWithAttributes() &&
			layers[inner].WholeBody
		if layers[i].Covered || !layers[i].GateGood {
			continue
		}
		text, err := layers[i].content.octets.Open()
		if err != nil {
			return err
		}
		found, err := orphans(text)
		if err != nil {
			return err
		}
		layers[i].GateGood = !found
	}
	return nil
}

// probeParts looks at the direct children of a top-level multipart for S/MIME entities (DESIGN rule 1, DOM-R20).
func (w *walk) probeParts(at stage) error {
	if !at.form.composite() || len(at.form.media.Type) < 10 || at.form.media.Type[:10] != "multipart/" {
		return nil
	}
	stream, err := at.entity.body.Open()
	if err != nil {
		return err
	}
	parts := message.NewMultipart(stream, at.form.media.Params["boundary"])
	for range maxPartsProbed {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		header, err := message.ReadHeader(bufio.NewReader(part), maxEntityHeader)
		if err == nil && w.isLayer(classify(header)) {
			w.result.PartialContent = true
			break
		}
	}
	return w.fault
}
