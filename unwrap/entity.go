package unwrap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"paperknife/internal/message"
)

// An entity is a MIME entity that can be read again.
type entity struct {
	header *message.Header
	octets message.Content // header and body
	body   message.Content
}

// kind says what an entity is, as far as the walk needs it.
type kind int

const (
	notSMIME  kind = iota
	opaque         // application/pkcs7-mime
	detached       // multipart/signed with an S/MIME signature
	undecided      // multipart/signed that does not say what kind of signature it has
	signature      // application/pkcs7-signature, which is no layer by itself
)

// A form is the reading of an entity's Content-Type and Content-Transfer-Encoding.
type form struct {
	kind     kind
	encoding message.Encoding
	media    message.MediaType
	compat   []string // deviations that the reading takes
}

// classify reads the Content-* fields strictly. Anything doubtful makes the entity notSMIME: hands off
// (THREATS B13, B23).
func classify(header *message.Header) form {
	var f form
	value, ok := single(header, "content-type")
	if !ok || header.Overflow() {
		return f
	}
	var err error
	if f.media, err = message.ParseMediaType(value); err != nil {
		return f
	}
	if f.encoding, ok = transferEncoding(header); !ok {
		return f
	}
	mediaType, deviation := standardType(header, f.media)
	f.deviates(deviation)
	switch mediaType {
	case "application/pkcs7-mime":
		f.kind = opaque
	case "application/pkcs7-signature":
		f.kind = signature
	case "multipart/signed":
		f.classifySigned()
	}
	return f
}

func (f *form) deviates(name string) {
	if name != "" {
		f.compat = append(f.compat, name)
	}
}

func (f *form) classifySigned() {
	protocol, ok := f.media.Params["protocol"]
	protocol = strings.ToLower(protocol)
	switch {
	case !f.composite():
	case !ok:
		f.kind = undecided
	case protocol == "application/pkcs7-signature":
		f.kind = detached
	case oldTypes[protocol] == "application/pkcs7-signature":
		f.kind = detached
		f.deviates(CompatOldType)
	}
}

// isLayer reports whether the entity is, or may be, an S/MIME layer.
func (f form) isLayer() bool { return f.kind == opaque || f.kind == detached }

// byName reports whether only the name of a file makes the entity one of S/MIME.
func (f form) byName() bool { return slices.Contains(f.compat, CompatOctetStream) }

// composite reports whether the entity can be split into parts (RFC 2045 section 6.4).
func (f form) composite() bool {
	identity := f.encoding == "7bit" || f.encoding == "8bit" || f.encoding == "binary"
	return identity && f.media.Params["boundary"] != ""
}

func transferEncoding(header *message.Header) (message.Encoding, bool) {
	if len(header.Find("content-transfer-encoding")) == 0 {
		return "7bit", true
	}
	value, ok := single(header, "content-transfer-encoding")
	if !ok {
		return "", false
	}
	encoding, err := message.ParseEncoding(value)
	return encoding, err == nil
}

func single(header *message.Header, name string) (string, bool) {
	positions := header.Find(name)
	if len(positions) != 1 {
		return "", false
	}
	value, err := header.Value(positions[0])
	return value, err == nil
}

// isEntity reports whether a header makes what it heads a MIME entity that may become the top level of a message: it
// is well-formed, its Content-* fields are written plainly and once each, and there is one of them, or no field at
// all.
func isEntity(header *message.Header) bool {
	if header.Malformed() || header.Overflow() {
		return false
	}
	seen := map[string]bool{}
	for i := range header.Len() {
		name := header.Name(i)
		if !strings.HasPrefix(name, "content-") && name != "mime-version" {
			continue
		}
		raw, err := header.Raw(i)
		if err != nil || seen[name] || !plainField(raw, name) {
			return false
		}
		seen[name] = true
	}
	if fields := contentFields(header); fields != "" && message.CheckText(fields) != nil {
		return false
	}
	return len(seen) > 0 || header.Len() == 0
}

// plainField reports whether raw is name, a colon and a value without NUL and bare CR.
func plainField(raw []byte, name string) bool {
	if len(raw) <= len(name) || raw[len(name)] != ':' || !strings.EqualFold(string(raw[:len(name)]), name) {
		return false
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		return false
	}
	return bytes.IndexByte(bytes.ReplaceAll(raw, []byte("\r\n"), nil), '\r') < 0
}

// readEntity reads the header of what stands inside a layer. It returns nil when that is no MIME entity.
func readEntity(r *bufio.Reader, octets message.Content) (*entity, error) {
	header, err := message.ReadHeader(r, maxEntityHeader)
	if errors.Is(err, message.ErrHeaderTooLong) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !isEntity(header) {
		return nil, nil
	}
	return &entity{header: header, octets: octets, body: slice{of: octets, offset: header.BodyOffset(), length: -1}}, nil
}

// slice is a Content without its first octets; length -1 means to the end.
type slice struct {
	of             message.Content
	offset, length int64
}

func (s slice) Open() (io.Reader, error) {
	r, err := s.of.Open()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, s.offset); err != nil {
		return nil, unexpected(err)
	}
	if s.length < 0 {
		return r, nil
	}
	return io.LimitReader(r, s.length), nil
}

// decoded is a Content with its transfer encoding taken off.
type decoded struct {
	of       message.Content
	encoding message.Encoding
}

func (d decoded) Open() (io.Reader, error) {
	r, err := d.of.Open()
	if err != nil {
		return nil, err
	}
	return message.Decode(r, d.encoding), nil
}

// unexpected turns an early end into an error: what was there when it was walked must not be short when it is
// delivered.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
