package cms

import (
	"fmt"
	"io"
	"math"
)

// Identifier octets, X.690 8.1.2, as this package meets them: class, form and low tag number in one octet.
const (
	formConstructed = 0x20
	highTag         = 0x1f

	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagSequence    = 0x30
	tagSet         = 0x31

	tagContextPrimitive   = 0x80 // | n
	tagContextConstructed = 0xa0 // | n
)

// An element is an identifier and a length. The reader stands behind them.
type element struct {
	tag    byte  // the first identifier octet
	length int64 // of the content; -1: indefinite
	header []byte
}

func (e element) constructed() bool { return e.tag&formConstructed != 0 }

// is reports whether the element has the given tag in primitive or constructed form.
func (e element) is(tag byte) bool { return e.tag&^formConstructed == tag&^formConstructed }

// indefinite is the end of a container that ends with end-of-contents octets.
const indefinite = -1

// A frame is an open container. limit is where the innermost container of definite length around it ends: nothing
// inside may reach past it, else the same octets could be read in two ways.
type frame struct{ end, limit int64 }

// ber pulls BER elements out of a stream. It keeps one buffer and a stack of open containers, never a tree.
type ber struct {
	src    io.Reader
	buf    []byte
	r, w   int   // unread octets are buf[r:w]
	base   int64 // offset of buf[0] in the stream
	err    error // of src, given once buf is empty
	frames [maxDepth]frame
	depth  int
	head   [16]byte // the header last read
}

// The buffer starts small, for the many small objects, and grows once to a size where hashing and decryption see
// long runs.
const (
	smallBuffer = 4 << 10
	bufferSize  = 64 << 10
)

func syntax(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

var errTruncated = fmt.Errorf("%w: cut short", ErrSyntax)

func (b *ber) offset() int64 { return b.base + int64(b.r) }

// fill reads more octets behind those in the buffer. With room for at least one octet it returns nil only when
// there is a new one.
func (b *ber) fill() error {
	if b.err != nil {
		return b.err
	}
	to := b.buf
	switch {
	case b.buf == nil:
		to = make([]byte, smallBuffer)
	case b.w == len(b.buf) && b.w < bufferSize:
		to = make([]byte, min(2*len(b.buf), bufferSize))
	}
	b.base += int64(b.r)
	b.w = copy(to, b.buf[b.r:b.w])
	b.r, b.buf = 0, to
	for range 100 {
		var n int
		n, b.err = b.src.Read(b.buf[b.w:])
		b.w += n
		if n > 0 {
			return nil
		}
		if b.err != nil {
			return b.err
		}
	}
	return io.ErrNoProgress
}

// need makes n unread octets available, n at most a few. An end of input is ErrSyntax.
func (b *ber) need(n int) error {
	for b.w-b.r < n {
		if err := b.fill(); err != nil {
			return ended(err)
		}
	}
	return nil
}

// ended is the error of a source that stops inside an object: a fault of the object if it just ends, else its own.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTruncated
	}
	return err
}

// limit is the offset that nothing in the current container may pass.
func (b *ber) limit() int64 {
	if b.depth == 0 {
		return math.MaxInt64
	}
	return b.frames[b.depth-1].limit
}

func (b *ber) octet() (byte, error) {
	if b.r == b.w {
		if err := b.need(1); err != nil {
			return 0, err
		}
	}
	c := b.buf[b.r]
	b.r++
	return c, nil
}

// next reads the header of the next element, which must be there and must fit into the current container. The
// header slice is valid until the next call.
func (b *ber) next() (element, error) {
	head := b.head[:0]
	c, err := b.octet()
	if err != nil {
		return element{}, err
	}
	if c == 0 {
		return element{}, syntax("reserved tag 0")
	}
	e := element{tag: c}
	head = append(head, c)
	if c&highTag == highTag {
		if head, err = b.highTag(head); err != nil {
			return element{}, err
		}
	}
	if c, err = b.octet(); err != nil {
		return element{}, err
	}
	head = append(head, c)
	switch {
	case c < 0x80:
		e.length = int64(c)
	case c == 0x80:
		if !e.constructed() {
			return element{}, syntax("indefinite length of a primitive element")
		}
		e.length = indefinite
	default:
		if head, e.length, err = b.longLength(head, int(c&0x7f)); err != nil {
			return element{}, err
		}
	}
	at, limit := b.offset(), b.limit()
	if at > limit || e.length > limit-at {
		return element{}, syntax("element reaches past the end of its container")
	}
	e.header = head
	return e, nil
}

func (b *ber) highTag(head []byte) ([]byte, error) {
	for i := 0; ; i++ {
		c, err := b.octet()
		if err != nil {
			return nil, err
		}
		if i == 0 && c&0x7f == 0 || i == 4 {
			return nil, syntax("tag number")
		}
		head = append(head, c)
		if c < 0x80 {
			return head, nil
		}
	}
}

// longLength reads a length of n octets. BER lets it begin with zeros.
func (b *ber) longLength(head []byte, n int) ([]byte, int64, error) {
	if n > 8 {
		return nil, 0, syntax("length of %d octets", n)
	}
	var length int64
	for range n {
		c, err := b.octet()
		if err != nil {
			return nil, 0, err
		}
		if length >= 1<<54 {
			return nil, 0, syntax("length")
		}
		head = append(head, c)
		length = length<<8 | int64(c)
	}
	return head, length, nil
}

// enter opens the element whose header was just read.
func (b *ber) enter(e element) error {
	if !e.constructed() {
		return syntax("primitive element with tag %#02x where a constructed one belongs", e.tag)
	}
	if b.depth == maxDepth {
		return syntax("nested deeper than %d", maxDepth)
	}
	f := frame{end: indefinite, limit: b.limit()}
	if e.length != indefinite {
		f.end = b.offset() + e.length
		f.limit = f.end
	}
	b.frames[b.depth] = f
	b.depth++
	return nil
}

// more reports whether the current container holds another element.
func (b *ber) more() (bool, error) {
	f := &b.frames[b.depth-1]
	if f.end != indefinite {
		return b.offset() < f.end, nil
	}
	if b.w-b.r < 2 {
		if err := b.need(2); err != nil {
			return false, err
		}
	}
	if b.buf[b.r] != 0 {
		return true, nil
	}
	if b.buf[b.r+1] != 0 {
		return false, syntax("end-of-contents octets")
	}
	if b.offset()+2 > f.limit {
		return false, syntax("end-of-contents octets past the end of the container")
	}
	return false, nil
}

// leave closes the current container, which must be at its end.
func (b *ber) leave() error {
	more, err := b.more()
	if err != nil {
		return err
	}
	if more {
		return syntax("unexpected element")
	}
	if b.frames[b.depth-1].end == indefinite {
		b.r += 2
	}
	b.depth--
	return nil
}

// nextIf reads the header of the next element if there is one with the given tag, in either form.
func (b *ber) nextIf(tag byte) (element, bool, error) {
	more, err := b.more()
	if err != nil || !more {
		return element{}, false, err
	}
	if err := b.need(1); err != nil {
		return element{}, false, err
	}
	if !(element{tag: b.buf[b.r]}).is(tag) {
		return element{}, false, nil
	}
	e, err := b.next()
	return e, err == nil, err
}

// expect reads the header of the next element, which must have the given tag and form.
func (b *ber) expect(tag byte) (element, error) {
	if b.depth > 0 {
		more, err := b.more()
		if err != nil {
			return element{}, err
		}
		if !more {
			return element{}, syntax("element with tag %#02x is missing", tag)
		}
	}
	e, err := b.next()
	if err == nil && e.tag != tag {
		err = syntax("tag %#02x where %#02x belongs", e.tag, tag)
	}
	return e, err
}

// open is expect, then enter.
func (b *ber) open(tag byte) error {
	e, err := b.expect(tag)
	if err != nil {
		return err
	}
	return b.enter(e)
}

// collect appends the octets of the element whose header was just read to dst, at most max octets of it.
func (b *ber) collect(dst []byte, e element, max int) ([]byte, error) {
	stop := len(dst) + max
	base := b.depth
	for {
		dst = append(dst, e.header...)
		if e.length != indefinite {
			if e.length > int64(stop-len(dst)) {
				return dst, syntax("element of more than %d octets", max)
			}
			var err error
			if dst, err = b.copyOut(dst, int(e.length)); err != nil {
				return dst, err
			}
		} else if err := b.enter(e); err != nil {
			return dst, err
		}
		var err error
		if dst, err = b.closeEnded(dst, base); err != nil || b.depth == base {
			return dst, err
		}
		if len(dst) >= stop {
			return dst, syntax("element of more than %d octets", max)
		}
		if e, err = b.next(); err != nil {
			return dst, err
		}
	}
}

// closeEnded closes containers of indefinite length that are at their end, down to depth base.
func (b *ber) closeEnded(dst []byte, base int) ([]byte, error) {
	for b.depth > base {
		more, err := b.more()
		if err != nil || more {
			return dst, err
		}
		if err := b.leave(); err != nil {
			return dst, err
		}
		dst = append(dst, 0, 0)
	}
	return dst, nil
}

// copyOut appends n octets to dst as they come, so that a length alone takes no memory.
func (b *ber) copyOut(dst []byte, n int) ([]byte, error) {
	for n > 0 {
		if err := b.need(1); err != nil {
			return dst, err
		}
		k := min(n, b.w-b.r)
		dst = append(dst, b.buf[b.r:b.r+k]...)
		b.r += k
		n -= k
	}
	return dst, nil
}

// discard passes over the element whose header was just read.
func (b *ber) discard(e element) error {
	base := b.depth
	for {
		if e.length != indefinite {
			if err := b.skip(e.length); err != nil {
				return err
			}
		} else if err := b.enter(e); err != nil {
			return err
		}
		if _, err := b.closeEnded(nil, base); err != nil || b.depth == base {
			return err
		}
		var err error
		if e, err = b.next(); err != nil {
			return err
		}
	}
}

func (b *ber) skip(n int64) error {
	for n > 0 {
		if err := b.need(1); err != nil {
			return err
		}
		k := min(n, int64(b.w-b.r))
		b.r += int(k)
		n -= k
	}
	return nil
}

// der reads the next element, with the given tag in its form, as DER of at most max octets.
func (b *ber) der(tag byte, max int) ([]byte, error) {
	e, err := b.expect(tag)
	if err != nil {
		return nil, err
	}
	raw, err := b.collect(nil, e, max)
	if err != nil {
		return nil, err
	}
	return toDER(raw)
}

// isBlank: what transports leave behind an object.
func isBlank(c byte) bool { return c == 0 || c == '\r' || c == '\n' || c == ' ' || c == '\t' }

// blankToEOF reads to the end of input, where only blank octets may be.
func (b *ber) blankToEOF() error {
	for {
		for ; b.r < b.w; b.r++ {
			if !isBlank(b.buf[b.r]) {
				return syntax("octets after the object")
			}
		}
		if err := b.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return ended(err)
		}
	}
}
