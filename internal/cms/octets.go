package cms

import "io"

// octets is the content of one OCTET STRING in a stream: primitive, or constructed of pieces that may be
// constructed again (X.690 8.7). It costs a header per piece and no memory.
type octets struct {
	b    *ber
	base int   // depth at which the string stands
	left int64 // of the current primitive piece
}

// newOctets starts the string whose header e was just read; e may carry an implicit tag.
func newOctets(b *ber, e element) (octets, error) {
	o := octets{b: b, base: b.depth}
	if !e.constructed() {
		o.left = e.length
		return o, nil
	}
	return o, b.enter(e)
}

// peek returns unread content out of the buffer, at least one octet, or io.EOF behind the end of the string.
func (o *octets) peek() ([]byte, error) {
	for o.left == 0 {
		if err := o.piece(); err != nil {
			return nil, err
		}
	}
	b := o.b
	if b.r == b.w {
		if err := b.need(1); err != nil {
			return nil, err
		}
	}
	return b.buf[b.r : b.r+int(min(o.left, int64(b.w-b.r)))], nil
}

// use consumes n of the octets that peek returned.
func (o *octets) use(n int) {
	o.b.r += n
	o.left -= int64(n)
}

// piece goes one header or one end further.
func (o *octets) piece() error {
	b := o.b
	if b.depth == o.base {
		return io.EOF
	}
	more, err := b.more()
	if err != nil {
		return err
	}
	if !more {
		return b.leave()
	}
	e, err := b.next()
	if err != nil {
		return err
	}
	switch e.tag {
	case tagOctetString:
		o.left = e.length
		return nil
	case tagOctetString | formConstructed:
		return b.enter(e)
	}
	return syntax("tag %#02x inside an OCTET STRING", e.tag)
}

// fill reads content into p until p is full, content ends (io.EOF, with what there was) or a read fails. It fills p
// across pieces, so that what works on p has no cost per piece.
func (o *octets) fill(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		q, err := o.peek()
		if err != nil {
			return n, err
		}
		k := copy(p[n:], q)
		o.use(k)
		n += k
	}
	return n, nil
}
