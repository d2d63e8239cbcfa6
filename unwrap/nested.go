package unwrap

import (
	"bufio"
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// contentTypes are the CMS content types that make a layer, in a MIME entity or as the content of another object. Those
// that the walk enters are in enterObject.
var contentTypes = []struct {
	oid       asn1.ObjectIdentifier
	name      Type
	smimeType string // RFC 8551 section 3.2.2
}{
	{cms.OIDSignedData, Signed, "signed-data"},
	{cms.OIDEnvelopedData, Enveloped, "enveloped-data"},
	{cms.OIDAuthEnvelopedData, AuthEnveloped, "authEnveloped-data"},
	{cms.OIDCompressedData, Compressed, "compressed-data"},
	{cms.OIDDigestedData, Digested, ""},
	{cms.OIDEncryptedData, Encrypted, ""},
	{cms.OIDAuthenticatedData, Authenticated, ""},
}

// typeOf returns the type of layer that an object of the given content type is, "" for none.
func typeOf(contentType asn1.ObjectIdentifier) Type {
	for _, c := range contentTypes {
		if c.oid.Equal(contentType) {
			return c.name
		}
	}
	return ""
}

// An object is a CMS object that can be read again: a ContentInfo, or what stands as content of another object, with
// bare as its type.
type object struct {
	octets message.Content
	bare   asn1.ObjectIdentifier
	strict bool
}

// from returns a reader of the object in r.
func (o object) from(r io.Reader) *cms.Reader {
	reader := cms.NewReader(r)
	if o.bare != nil {
		reader = cms.NewContentReader(r, o.bare)
	}
	reader.Lenient = !o.strict
	return reader
}

// open starts another reading.
func (o object) open() (*cms.Reader, error) {
	r, err := o.octets.Open()
	if err != nil {
		return nil, err
	}
	return o.from(r), nil
}

// signedContent is the content of a SignedData.
type signedContent struct{ of object }

func (s signedContent) Open() (io.Reader, error) {
	r, err := s.of.open()
	if err != nil {
		return nil, err
	}
	return r.SignedData()
}

// bareEntity is the MIME entity that holds a CMS object which came without one, as RFC 8551 section 3.2 makes it. Only
// so can the layer around the object come off and the object stay.
func bareEntity(contentType asn1.ObjectIdentifier, octets message.Content) (*entity, error) {
	parameter := ""
	for _, c := range contentTypes {
		if c.oid.Equal(contentType) && c.smimeType != "" {
			parameter = " smime-type=" + c.smimeType + ";"
		}
	}
	text := fmt.Sprintf("Content-Type: application/pkcs7-mime;%s name=\"smime.p7m\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n", parameter)
	header, err := message.ReadHeader(bufio.NewReader(strings.NewReader(text)), maxEntityHeader)
	if err != nil {
		return nil, err
	}
	body := contentInfo{octets, contentType}
	return &entity{header: header, body: body, octets: message.Concat(message.Bytes([]byte(text)), body)}, nil
}

// contentInfo is a CMS object in a ContentInfo, in base64.
type contentInfo struct {
	of          message.Content
	contentType asn1.ObjectIdentifier
}

// Open writes the ContentInfo around the object with indefinite lengths, since nobody knows how long it is. One that is
// there already stays.
func (c contentInfo) Open() (io.Reader, error) {
	r, err := c.of.Open()
	if err != nil {
		return nil, err
	}
	object := bufio.NewReaderSize(r, readBuffer)
	if isContentInfo(object) {
		return &base64Lines{of: object}, nil
	}
	name, err := asn1.Marshal(c.contentType)
	if err != nil {
		return nil, err
	}
	head := append(append([]byte{0x30, 0x80}, name...), 0xa0, 0x80)
	return &base64Lines{of: io.MultiReader(bytes.NewReader(head), object, bytes.NewReader(make([]byte, 4)))}, nil
}

// isContentInfo reports whether the SEQUENCE ahead begins with an OBJECT IDENTIFIER.
func isContentInfo(r *bufio.Reader) bool {
	p, _ := r.Peek(2 + 8 + 1)
	if len(p) < 3 {
		return false
	}
	first := 2
	if p[1] > 0x80 {
		first += int(p[1] & 0x7f)
	}
	return first < len(p) && p[first] == 0x06
}

// base64Lines is an io.Reader of base64 in lines of 76 characters, the last one without its end.
type base64Lines struct {
	of    io.Reader
	lines []byte // encoded and not yet read
	buf   [8192]byte
	begun bool
	err   error
}

const lineOctets = 57

func (b *base64Lines) Read(p []byte) (int, error) {
	for len(b.lines) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.more()
	}
	n := copy(p, b.lines)
	b.lines = b.lines[n:]
	return n, nil
}

// more encodes the next lines.
func (b *base64Lines) more() {
	raw := make([]byte, len(b.buf)/80*lineOctets)
	n, err := io.ReadFull(b.of, raw)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.err = err
	b.lines = b.buf[:0]
	for raw = raw[:n]; len(raw) > 0; {
		if b.begun {
			b.lines = append(b.lines, '\r', '\n')
		}
		b.begun = true
		k := min(lineOctets, len(raw))
		b.lines = base64.StdEncoding.AppendEncode(b.lines, raw[:k])
		raw = raw[k:]
	}
}
