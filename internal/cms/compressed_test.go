package cms

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// A compressing is a CompressedData.
type compressing struct {
	content     []byte
	compressed  []byte // in place of the content in zlib
	eContent    []byte // whole element
	oid         asn1.ObjectIdentifier
	params      []byte
	contentType asn1.ObjectIdentifier
}

func (c compressing) bare(t testing.TB) []byte {
	t.Helper()
	if c.compressed == nil {
		c.compressed = deflated(t, c.content)
	}
	if c.eContent == nil {
		c.eContent = octetString(c.compressed)
	}
	if c.oid == nil {
		c.oid = oidZlib
	}
	if c.contentType == nil {
		c.contentType = OIDData
	}
	return seq(number(0), algorithm(c.oid, c.params), seq(marshalOID(c.contentType), tagged(0, c.eContent)))
}

func (c compressing) der(t testing.TB) []byte {
	t.Helper()
	return seq(marshalOID(OIDCompressedData), tagged(0, c.bare(t)))
}

func deflated(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func expand(src io.Reader, limit int64) ([]byte, error) {
	c, err := NewReader(src).CompressedData()
	if err != nil {
		return nil, err
	}
	c.Limit = limit
	p, err := io.ReadAll(c)
	if err == nil {
		err = c.Finish()
	}
	return p, err
}

// words is text that deflate makes a few times smaller.
func words(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString([]string{"figures ", "quarter ", "third ", "of ", "the ", "and\r\n", "energy ", "delivered "}[r.IntN(8)])
	}
	return b.Bytes()[:n]
}

func TestCompressedData(t *testing.T) {
	for _, n := range []int{0, 1, 500, 70000, 3 << 20} {
		content := words(n)
		packed := deflated(t, content)
		for name, c := range map[string]compressing{
			"DER": {content: content}, "NULL": {content: content, params: null},
			"pieces": {eContent: endless(tagOctetString|formConstructed, octetString(packed[:1]), octetString(packed[1:]))},
		} {
			der := c.der(t)
			for reader, wrap := range readers {
				if n > 1<<20 && reader == "onebyte" {
					continue
				}
				got, err := expand(wrap(bytes.NewReader(der)), 0)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s of %d, %s: %d octets, %v", name, n, reader, len(got), err)
				}
			}
		}
	}
	c, err := NewReader(bytes.NewReader(compressing{content: words(5000)}.der(t))).CompressedData()
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(c, words(5000)); err != nil {
		t.Error(err)
	}
}

// The ContentInfo of RFC 3274 is fine and what is in it is not.
func TestCompressedDamage(t *testing.T) {
	content := words(5000)
	packed := deflated(t, content)
	checksum := bytes.Clone(packed)
	checksum[len(checksum)-1] ^= 1
	middle := bytes.Clone(packed)
	middle[len(middle)/2] ^= 0x10
	for name, test := range map[string]struct {
		c    compressing
		want error
	}{
		"empty":              {compressing{compressed: []byte{}}, ErrSyntax},
		"cut":                {compressing{compressed: packed[:len(packed)-5]}, ErrSyntax},
		"no checksum":        {compressing{compressed: packed[:len(packed)-4]}, ErrSyntax},
		"checksum":           {compressing{compressed: checksum}, ErrSyntax},
		"damaged":            {compressing{compressed: middle}, ErrSyntax},
		"octets behind":      {compressing{compressed: append(bytes.Clone(packed), 0)}, ErrSyntax},
		"two streams":        {compressing{compressed: append(bytes.Clone(packed), packed...)}, ErrSyntax},
		"gzip":               {compressing{compressed: append([]byte{0x1f, 0x8b}, packed...)}, ErrSyntax},
		"preset dictionary":  {compressing{compressed: append([]byte{0x78, 0x20 | 0x1b}, packed...)}, ErrSyntax},
		"another algorithm":  {compressing{content: content, oid: asn1.ObjectIdentifier{1, 2, 3}}, ErrAlgorithm},
		"parameters":         {compressing{content: content, params: number(9)}, ErrAlgorithm},
		"no OCTET STRING":    {compressing{eContent: seq(number(1))}, ErrSyntax},
		"a second element":   {compressing{eContent: append(octetString(packed), null...)}, ErrSyntax},
		"INTEGER in a piece": {compressing{eContent: endless(tagOctetString|formConstructed, number(1))}, ErrSyntax},
	} {
		if _, err := expand(bytes.NewReader(test.c.der(t)), 0); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	der := compressing{content: content}.der(t)
	for n := range len(der) {
		if _, err := expand(bytes.NewReader(der[:n]), 0); !errors.Is(err, ErrSyntax) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	broken := errors.New("disk")
	for _, n := range []int{3, 40, len(der) - 3} {
		if _, err := expand(io.MultiReader(bytes.NewReader(der[:n]), iotest.ErrReader(broken)), 0); !errors.Is(err, broken) {
			t.Errorf("fault of the source at %d: %v", n, err)
		}
	}
}

// THREATS A40: what expands beyond 10:1 is refused after at most 1 MiB too much, whoever reads how.
func TestA40Bomb(t *testing.T) {
	zeros := make([]byte, 64<<20)
	der := compressing{content: zeros}.der(t)
	c, err := NewReader(bytes.NewReader(der)).CompressedData()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, c)
	if !errors.Is(err, ErrExpansion) || !errors.Is(err, ErrSyntax) || n > maxExpansion*int64(len(der))+expansionSlack {
		t.Errorf("%d octets of %d: %v", n, len(der), err)
	}
	if err := c.Finish(); !errors.Is(err, ErrExpansion) {
		t.Errorf("Finish: %v", err)
	}
	small := compressing{content: make([]byte, 20000)}.der(t)
	if _, err := expand(bytes.NewReader(small), 0); !errors.Is(err, ErrExpansion) {
		t.Errorf("a small one: %v", err)
	}
	// What is compressed too well in one place and makes up for it later is no bomb.
	noise := make([]byte, 100<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	mixed := append(make([]byte, 900<<10), noise...)
	for name, wrap := range readers {
		if got, err := expand(wrap(bytes.NewReader(compressing{content: mixed}.der(t))), 0); err != nil || !bytes.Equal(got, mixed) {
			t.Errorf("mixed, %s: %v", name, err)
		}
	}
	content := words(5000)
	if _, err := expand(bytes.NewReader(compressing{content: content}.der(t)), 4999); !errors.Is(err, ErrExpansion) {
		t.Errorf("limit: %v", err)
	}
	if _, err := expand(bytes.NewReader(compressing{content: content}.der(t)), 5000); err != nil {
		t.Errorf("limit reached: %v", err)
	}
}

// DOM-R10, RFC 5652 5.2: content of another object stands without a ContentInfo.
func TestContentReader(t *testing.T) {
	content := words(5000)
	bare, whole := compressing{content: content}.bare(t), compressing{content: content}.der(t)
	for name, test := range map[string]struct {
		object  []byte
		oid     asn1.ObjectIdentifier
		lenient bool
		want    error
	}{
		"bare":                {bare, OIDCompressedData, false, nil},
		"bare, lenient":       {bare, OIDCompressedData, true, nil},
		"ContentInfo":         {whole, OIDCompressedData, false, ErrSyntax},
		"ContentInfo allowed": {whole, OIDCompressedData, true, nil},
		"of another type":     {whole, OIDSignedData, true, ErrSyntax},
		"octets behind":       {append(bytes.Clone(bare), 1), OIDCompressedData, true, ErrSyntax},
		"indefinite":          {endless(tagSequence, bare[4:]), OIDCompressedData, false, nil},
	} {
		r := NewContentReader(bytes.NewReader(test.object), test.oid)
		r.Lenient = test.lenient
		c, err := r.CompressedData()
		var got []byte
		if err == nil {
			if got, err = io.ReadAll(c); err == nil {
				err = c.Finish()
			}
		}
		if !errors.Is(err, test.want) || err == nil && !bytes.Equal(got, content) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if named := len(r.Deviations()) > 0; named != (name == "ContentInfo allowed") {
			t.Errorf("%s: deviations %q", name, r.Deviations())
		}
	}
}

// FuzzCompressedData: no panic, no error but the documented ones, nothing beyond the ratio, and the same in halves.
func FuzzCompressedData(f *testing.F) {
	f.Add(compressing{content: words(300)}.der(f))
	f.Add(compressing{eContent: endless(tagOctetString|formConstructed, octetString(deflated(f, content)))}.der(f))
	f.Add(compressing{content: make([]byte, 5000)}.der(f))
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := expand(bytes.NewReader(p), 0)
		if !known(err) {
			t.Fatal(err)
		}
		if err == nil && len(got) > maxExpansion*len(p) || len(got) > maxExpansion*len(p)+expansionSlack {
			t.Fatalf("%d octets out of %d: %v", len(got), len(p), err)
		}
		half, err2 := expand(iotest.HalfReader(bytes.NewReader(p)), 0)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(got, half) {
			t.Fatalf("%d octets, %v; in halves %d, %v", len(got), err, len(half), err2)
		}
	})
}
