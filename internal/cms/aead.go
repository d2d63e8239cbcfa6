package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"fmt"
	"io"
)

// A tagger computes the tag of an AEAD cipher over a ciphertext.
type tagger interface {
	// add takes the next piece. All pieces but the last are whole blocks. The piece may change meanwhile, and is as it
	// was afterwards.
	add(p []byte)
	// sum returns the tag; ok is false when the tagger would have had to know the additional data, or the size, before.
	sum(aad []byte) (tag [aes.BlockSize]byte, ok bool)
}

// A trailer is what follows a ciphertext.
type trailer struct{ aad, mac []byte }

// decryptAuthenticated reads to the end of the ContentInfo, computes the tag over all of the ciphertext, then decrypts
// it into w. The tag stands behind the ciphertext, and so do the attributes it covers, so a ciphertext longer than a
// buffer is read a second time, and a third time where the tag begins with what stands behind: again opens the same
// octets that the Reader was made of, and from is where the ciphertext in them is.
//
// No plaintext is in w before the tag was found right, and none at all when it is wrong. The same operations take place
// all the same: a random key takes the place of the right one, what w gets is noise, and the error is ErrDecrypt.
func (e *Envelope) decryptAuthenticated(key []byte, finish func() (trailer, error), again func() (ciphertext, error), w io.Writer) error {
	key, good, err := e.fitKey(key)
	if err != nil {
		return err
	}
	tag, err := e.cipher.newTagger(key, e.iv, e.tagSize, -1, nil)
	if err != nil {
		return err
	}
	s := &survey{Envelope: e, again: again, buf: make([]byte, decryptSize)}
	if err := s.first(tag); err != nil {
		return err
	}
	end, err := finish()
	if err != nil {
		return err
	}
	sum, ok := tag.sum(end.aad)
	if !ok {
		if sum, err = s.tagAgain(key, end.aad); err != nil {
			return err
		}
	}
	good &= subtle.ConstantTimeCompare(sum[:e.tagSize], end.mac)
	e.stats.Tags++
	if key, err = e.keyIf(good, key); err != nil {
		return err
	}
	stream, err := e.cipher.newStream(key, e.iv)
	if err != nil {
		return err
	}
	block := e.cipher.blockSize()
	err = s.each(func(p []byte) error {
		e.stats.Ciphertext += int64(len(p))
		e.stats.Blocks += int64((len(p) + block - 1) / block)
		stream.XORKeyStream(p, p)
		return e.write(w, p)
	})
	if err == nil && good != 1 {
		err = ErrDecrypt
	}
	return err
}

// keyIf returns the key when good is 1, else a random one, and both ways take the same.
func (e *Envelope) keyIf(good int, key []byte) ([]byte, error) {
	chosen, err := e.randomKey()
	if err != nil {
		return nil, err
	}
	subtle.ConstantTimeCopy(good, chosen, key)
	return chosen, nil
}

// A ciphertext is read in pieces as large as asked for, the last one with io.EOF.
type ciphertext interface {
	fill(p []byte) (int, error)
}

// A survey is a ciphertext that was read once.
type survey struct {
	*Envelope
	again func() (ciphertext, error)
	buf   []byte
	held  []byte // all of it, when it fits into buf
	whole bool   // held is set
	size  int64
}

// first is the first reading.
func (s *survey) first(tag tagger) error {
	limit := s.cipher.maxCiphertext(s.iv)
	for begin := true; ; begin = false {
		n, err := s.ciphertext.fill(s.buf)
		if err != nil && err != io.EOF {
			return err
		}
		if s.size += int64(n); s.size > limit {
			return syntax("ciphertext of more than %d octets", limit)
		}
		s.tagged(tag, s.buf[:n])
		if err == io.EOF {
			s.held, s.whole = s.buf[:n], begin
			return nil
		}
	}
}

func (s *survey) tagged(tag tagger, p []byte) {
	s.stats.Tagged += int64(len(p))
	tag.add(p)
}

// tagAgain computes the tag with all known that it covers.
func (s *survey) tagAgain(key, aad []byte) (sum [aes.BlockSize]byte, err error) {
	tag, err := s.cipher.newTagger(key, s.iv, s.tagSize, s.size, aad)
	if err != nil {
		return sum, err
	}
	s.stats.Tagged = 0
	err = s.each(func(p []byte) error {
		s.tagged(tag, p)
		return nil
	})
	sum, _ = tag.sum(aad)
	return sum, err
}

// each hands out the ciphertext once more.
func (s *survey) each(do func(p []byte) error) error {
	if s.whole {
		return do(s.held)
	}
	second, err := s.again()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReread, err)
	}
	for left := s.size; ; {
		n, err := second.fill(s.buf)
		left -= int64(n)
		switch {
		case err != nil && err != io.EOF:
			return fmt.Errorf("%w: %w", ErrReread, err)
		case left < 0 || err == io.EOF && left > 0:
			return fmt.Errorf("%w: a ciphertext of another length", ErrReread)
		}
		if failed := do(s.buf[:n]); failed != nil || err == io.EOF {
			return failed
		}
	}
}

// withTag is a ciphertext with its tag behind it in the same OCTET STRING.
type withTag struct {
	of   ciphertext
	tag  []byte // the octets last read, as many as a tag has
	buf  []byte
	done bool
}

func (c *withTag) fill(p []byte) (int, error) {
	if c.buf == nil {
		n, err := c.of.fill(c.tag)
		if err == io.EOF && n < len(c.tag) {
			return 0, syntax("ciphertext shorter than its tag")
		}
		if err != nil && err != io.EOF {
			return 0, err
		}
		c.done = err == io.EOF
	}
	if c.done {
		return 0, io.EOF
	}
	if len(c.buf) < len(c.tag)+len(p) {
		c.buf = make([]byte, len(c.tag)+len(p))
	}
	copy(c.buf, c.tag)
	n, err := c.of.fill(c.buf[len(c.tag) : len(c.tag)+len(p)])
	copy(c.tag, c.buf[n:])
	c.done = err == io.EOF
	return copy(p[:n], c.buf), err
}
