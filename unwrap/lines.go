package unwrap

import (
	"bytes"
	"crypto"
	"hash"
	"strings"

	"paperknife/internal/cms"
)

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
