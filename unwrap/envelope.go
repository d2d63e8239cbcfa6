package unwrap

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"paperknife/internal/cms"
	"paperknife/internal/spool"
)

// A sealedObject is an EnvelopedData or an AuthEnvelopedData, read up to its ciphertext.
type sealedObject struct {
	*cms.Envelope
	decrypt func(key []byte, to io.Writer) error
	gated   bool // the plaintext is not authenticated
}

// readEnvelope reads an object of the given type. What has a tag is read a second time, from o.
func (w *walk) readEnvelope(reader *cms.Reader, o object, contentType Type) (*sealedObject, error) {
	if contentType == Enveloped {
		e, err := reader.EnvelopedData()
		if err != nil {
			return nil, err
		}
		decrypt := func(key []byte, to io.Writer) error { return e.DecryptAgain(key, o.octets.Open, to) }
		return &sealedObject{&e.Envelope, decrypt, !e.Authenticated}, nil
	}
	a, err := reader.AuthEnvelopedData()
	if err != nil {
		return nil, err
	}
	decrypt := func(key []byte, to io.Writer) error { return a.Decrypt(key, o.octets.Open, to) }
	return &sealedObject{&a.Envelope, decrypt, false}, nil
}

// enterEnvelope opens an envelope, when a RecipientInfo of it names a key of ours, into a spool of its own.
func (w *walk) enterEnvelope(reader *cms.Reader, o object, contentType Type) (*stage, error) {
	index := w.add(Layer{Type: contentType, Role: RoleOther, Part: w.part()})
	layer := &w.result.Layers[index]
	envelope, err := w.readEnvelope(reader, o, contentType)
	if err != nil {
		w.unreadable(index, err)
		return nil, nil
	}
	layer.Algorithms = []string{envelope.Cipher}
	layer.Authenticated, layer.WeakCipher = envelope.Authenticated, envelope.Weak
	recipient := w.choose(layer, envelope.Envelope)
	if recipient == nil {
		return nil, nil
	}
	key, err := w.contentKey(layer, recipient, envelope.KeySize)
	if err != nil || layer.Fault != nil {
		return nil, err
	}
	plaintext, gate, err := w.decrypt(layer, envelope, key)
	if err != nil || plaintext == nil {
		return nil, err
	}
	// Signatures outside this ciphertext are complete once it was read.
	if err := w.finishOpen(); err != nil {
		return nil, errors.Join(err, plaintext.Close())
	}
	w.result.closers = append(w.result.closers, plaintext.Close)
	return w.enterPlaintext(index, plaintext, gate, envelope.ContentType)
}

// choose names the one RecipientInfo that is tried (DESIGN rule 2).
func (w *walk) choose(layer *Layer, envelope *cms.Envelope) []byte {
	if w.options.Keys == nil {
		return nil
	}
	list := make([][]byte, len(envelope.RecipientInfos))
	for i, info := range envelope.RecipientInfos {
		list[i] = info.DER
	}
	chosen, ours := w.options.Keys.Choose(list)
	if !ours {
		return nil
	}
	layer.ForUs, layer.Role = true, RoleDCA
	switch {
	case chosen < 0:
		layer.Fault = ErrAmbiguous
	case envelope.KeySize == 0:
		layer.Fault = ErrCipher
	case w.result.PrivateKeyUses == maxPrivateKeyUses:
		layer.Fault, w.result.LimitReached = ErrKeyBudget, true
	default:
		return list[chosen]
	}
	return nil
}

func (w *walk) contentKey(layer *Layer, recipient []byte, size int) ([]byte, error) {
	w.result.PrivateKeyUses++
	key, err := w.options.Keys.ContentKey(recipient, size)
	if errors.Is(err, cms.ErrAlgorithm) {
		layer.Fault = ErrCipher
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyStore, err)
	}
	return key, nil
}

// decrypt runs the cipher over the whole ciphertext. Every failure that depends on the key or on the inside leads to
// the same fact after the same work; nothing inside is looked at before (DESIGN rule 2). The gate listens meanwhile,
// but not to what a tag has authenticated (rule 5).
func (w *walk) decrypt(layer *Layer, envelope *sealedObject, key []byte) (*spool.Spool, *gate, error) {
	plaintext := &spoolWriter{Writer: spool.New(w.options.Spool)}
	var to io.Writer = plaintext
	gate := &gate{refused: !envelope.gated}
	if envelope.gated {
		to = io.MultiWriter(plaintext, gate)
	}
	failed := envelope.decrypt(key, to)
	layer.stats = envelope.Stats()
	if errors.Is(failed, cms.ErrReread) {
		plaintext.err = errors.Join(plaintext.err, failed)
	}
	if plaintext.err != nil || w.fault != nil {
		plaintext.Discard()
		return nil, nil, errors.Join(plaintext.err, w.fault)
	}
	if failed != nil {
		plaintext.Discard()
		layer.Fault = ErrOpen
		return nil, nil, nil
	}
	sp, err := plaintext.Finish()
	if err != nil {
		return nil, nil, err
	}
	layer.Opened = true
	return sp, gate, nil
}

// enterPlaintext starts the walk over an opened ciphertext.
func (w *walk) enterPlaintext(index int, plaintext *spool.Spool, gate *gate, contentType asn1.ObjectIdentifier) (*stage, error) {
	w.sealed = true
	octets := w.section(plaintext, 0)
	r, err := octets.Open()
	if err != nil {
		return nil, err
	}
	w.size = plaintext.Size()
	next, err := w.inside(index, w.buffered(r), octets, contentType)
	layer := &w.result.Layers[index]
	layer.Strippable = layer.content != nil
	layer.GateGood = layer.Strippable && gate.good() && headed(layer.content)
	return next, err
}

// headed reports whether an entity says what it is: the random blocks of a CBC gadget do not (DESIGN rule 5).
func headed(e *entity) bool {
	value, ok := single(e.header, "content-type")
	return ok && value != ""
}

// spoolWriter remembers that the spool failed, which is our fault and not the ciphertext's.
type spoolWriter struct {
	*spool.Writer
	err error
}

func (s *spoolWriter) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// A gate sees whether unauthenticated plaintext is text: octets 9, 32 to 126 and CRLF pairs, nothing else.
type gate struct {
	cr, refused bool
}

// gateClass: 0 text, 1 CR, 2 LF, 3 refused.
var gateClass = func() (table [256]byte) {
	for i := range table {
		switch {
		case i == 9 || i >= 32 && i <= 126:
		case i == '\r':
			table[i] = 1
		case i == '\n':
			table[i] = 2
		default:
			table[i] = 3
		}
	}
	return table
}()

// Write looks at every octet whatever it found before, so that the work does not tell what was found.
func (g *gate) Write(p []byte) (int, error) {
	cr, bad := g.cr, g.refused
	for _, c := range p {
		class := gateClass[c]
		bad = bad || class == 3 || cr != (class == 2)
		cr = class == 1
	}
	g.cr, g.refused = cr, bad
	return len(p), nil
}

func (g *gate) good() bool { return !g.refused && !g.cr }
