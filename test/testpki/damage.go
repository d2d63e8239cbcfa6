package testpki

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// A Place is where a message is damaged. The outermost layer is meant.
type Place string

// The places. Those that name an octet flip one bit of it, so that the structure and all lengths stay as they were.
const (
	RecipientSerial  Place = "recipient serial number" // enveloped: nobody we know is addressed any more
	EncryptedKey     Place = "encrypted key"           // enveloped, of the first recipient
	ContentIV        Place = "iv"                      // enveloped: the first block of plaintext changes
	CiphertextFirst  Place = "ciphertext, first block" // enveloped: two blocks of plaintext change, padding stays
	CiphertextMiddle Place = "ciphertext, middle"      // enveloped: as before
	CiphertextBefore Place = "ciphertext, before last" // enveloped: the padding becomes invalid
	CiphertextLast   Place = "ciphertext, last block"  // enveloped: the last block becomes random
	GCMTag           Place = "tag"                     // authenveloped: the last octet of the mac
	GCMTagLength     Place = "tag length"              // authenveloped: the parameters ask for 17 octets; openssl does not look
	SignedContent    Place = "signed content"          // signed: the last letter or digit of the content
	SignedAttributes Place = "signed attributes"       // signed: the signing time; the digest still fits
	MessageDigest    Place = "message digest"          // signed: the attribute that holds the digest
	SignatureValue   Place = "signature value"         // signed, of the first signer
	SignerSerial     Place = "signer serial number"    // signed: no certificate fits
	CertificateValue Place = "certificate"             // signed: the signature of the first certificate
	Structure        Place = "structure"               // both: the outermost element gets another tag
	Base64Cut        Place = "base64 cut"              // both: the second half of the CMS object is missing
	Base64Letter     Place = "base64 letter"           // both: padding in the middle of the CMS object
	Boundary         Place = "boundary"                // multipart/signed: the delimiter before the signature
	CloseDelimiter   Place = "close delimiter"         // multipart/signed: missing; harmless to a reader that is lenient
	MediaType        Place = "media type"              // both: the top level is no S/MIME any more
)

// EnvelopedPlaces, AuthEnvelopedPlaces, SignedPlaces and DetachedPlaces list where a message of each form can be damaged.
var (
	EnvelopedPlaces = []Place{RecipientSerial, EncryptedKey, ContentIV, CiphertextFirst, CiphertextMiddle, CiphertextBefore,
		CiphertextLast, Structure, Base64Cut, Base64Letter, MediaType}
	AuthEnvelopedPlaces = []Place{RecipientSerial, EncryptedKey, ContentIV, CiphertextFirst, CiphertextMiddle, CiphertextLast, GCMTag,
		GCMTagLength, Structure, Base64Cut, Base64Letter, MediaType}
	SignedPlaces = []Place{SignedContent, SignedAttributes, MessageDigest, SignatureValue, SignerSerial, CertificateValue,
		Structure, Base64Cut, Base64Letter, MediaType}
	DetachedPlaces = append(slices.Clone(SignedPlaces), Boundary, CloseDelimiter)
)

// ErrNoPlace is returned for a place that the message does not have.
var ErrNoPlace = errors.New("the message has no such place")

// Damage returns a copy of a message that openssl has made, damaged in one place. It knows what openssl writes, and
// what package seal writes; it is no reader of S/MIME.
func Damage(message []byte, place Place) ([]byte, error) {
	m, err := takeApart(message)
	if err != nil {
		return nil, err
	}
	switch place {
	case MediaType:
		return replaceOnce(message, m.mediaType, "application/x-unknown")
	case Boundary:
		return m.damageDelimiter(m.ends + "--" + m.boundary + m.ends)
	case CloseDelimiter:
		return m.damageDelimiter("--" + m.boundary + "--")
	case Base64Cut:
		return m.with(m.text[:len(m.text)/2/4*4+2]), nil
	case Base64Letter:
		text := slices.Clone(m.text)
		return m.with(changeLetter(text)), nil
	case SignedContent:
		if m.boundary != "" {
			return m.damageFirstPart()
		}
	}
	at, err := m.locate(place)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	der := slices.Clone(m.der)
	der[at] ^= 1
	return m.with(m.encode(der)), nil
}

// A parts is a message around the base64 text of its outermost CMS object.
type parts struct {
	before, text, after []byte
	der                 []byte
	ends                string // CRLF or LF
	mediaType           string // as in the header
	boundary            string // of a multipart/signed
}

func takeApart(message []byte) (*parts, error) {
	m := &parts{ends: "\n"}
	if bytes.Contains(message, []byte("\r\n")) {
		m.ends = "\r\n"
	}
	blank := []byte(m.ends + m.ends)
	header, _, found := bytes.Cut(message, blank)
	if !found {
		return nil, ErrNoPlace
	}
	start, end := len(header)+len(blank), len(message)
	m.mediaType = "application/pkcs7-mime"
	if bytes.Contains(header, []byte("multipart/signed")) {
		m.mediaType = "multipart/signed"
		if start, end = m.signaturePart(message, header); end <= start {
			return nil, ErrNoPlace
		}
	}
	m.before, m.text, m.after = message[:start], message[start:end], message[end:]
	var err error
	m.der, err = base64.StdEncoding.DecodeString(string(m.text))
	return m, err
}

// signaturePart returns where the body of the last part is.
func (m *parts) signaturePart(message, header []byte) (start, end int) {
	_, rest, _ := bytes.Cut(header, []byte(`boundary="`))
	boundary, _, _ := bytes.Cut(rest, []byte(`"`))
	m.boundary = string(boundary)
	end = bytes.LastIndex(message, []byte("--"+m.boundary+"--"))
	part := bytes.LastIndex(message, []byte("--"+m.boundary+m.ends))
	if part < 0 || end < part {
		return 0, 0
	}
	blank := m.ends + m.ends
	return part + bytes.Index(message[part:], []byte(blank)) + len(blank), end
}

// with returns the message with another text in place of the object.
func (m *parts) with(text []byte) []byte { return slices.Concat(m.before, text, m.after) }

// encode returns base64 in lines of 64 characters, and what followed the text before.
func (m *parts) encode(der []byte) []byte {
	var out []byte
	for line := range slices.Chunk(der, 48) {
		out = append(base64.StdEncoding.AppendEncode(out, line), m.ends...)
	}
	tail := m.text[len(bytes.TrimRight(m.text, "\r\n")):]
	return append(bytes.TrimRight(out, "\r\n"), tail...)
}

// changeLetter puts padding into the middle of the text.
func changeLetter(text []byte) []byte {
	middle := len(text) / 2
	for text[middle] == '\r' || text[middle] == '\n' {
		middle++
	}
	text[middle] = '='
	return text
}

func replaceOnce(message []byte, old, replacement string) ([]byte, error) {
	if !bytes.Contains(message, []byte(old)) {
		return nil, ErrNoPlace
	}
	return bytes.Replace(message, []byte(old), []byte(replacement), 1), nil
}

// damageDelimiter changes a letter of the last occurrence of a delimiter.
func (m *parts) damageDelimiter(delimiter string) ([]byte, error) {
	if m.boundary == "" {
		return nil, ErrNoPlace
	}
	message := slices.Concat(m.before, m.text, m.after)
	at := bytes.LastIndex(message, []byte(delimiter))
	if at < 0 {
		return nil, ErrNoPlace
	}
	message[at+bytes.Index([]byte(delimiter), []byte(m.boundary))+len(m.boundary)-1] ^= 1
	return message, nil
}

// damageFirstPart changes the last letter or digit of the content that a multipart/signed has in the clear.
func (m *parts) damageFirstPart() ([]byte, error) {
	message := slices.Concat(m.before, m.text, m.after)
	end := bytes.LastIndex(m.before, []byte(m.ends+"--"+m.boundary+m.ends))
	for at := end - 1; at > 0; at-- {
		if isLetter(message[at]) {
			message[at] ^= 1
			return message, nil
		}
	}
	return nil, ErrNoPlace
}

// isLetter admits octets that stay printable when their lowest bit changes.
func isLetter(o byte) bool {
	return o >= '0' && o <= '9' || o >= 'b' && o <= 'y' || o >= 'B' && o <= 'Y'
}

// locate returns the offset of the octet to change in the CMS object.
func (m *parts) locate(place Place) (int, error) {
	root, _, err := parse(m.der, 0, len(m.der), 0)
	if err != nil {
		return 0, err
	}
	if place == Structure {
		return root.start, nil
	}
	content, err := root.child(1, 0)
	if err != nil {
		return 0, err
	}
	switch oid := m.der[root.children[0].body:root.children[0].end]; {
	case bytes.HasSuffix(oid, []byte{7, 3}):
		return m.locateEnveloped(content, place)
	case bytes.HasSuffix(oid, []byte{16, 1, 23}):
		return m.locateAuthEnveloped(content, place)
	}
	return m.locateSigned(content, place)
}

const (
	tagInteger            = 0x02
	tagUTCTime            = 0x17
	tagSequence           = 0x30
	tagSubjectKeyID       = 0x80
	tagContext0           = 0xa0 // certificates, signed attributes
	tagUnsignedAttributes = 0xa1

	firstOctet = 0
	lastOctet  = -1
)

func (m *parts) locateEnveloped(enveloped *node, place Place) (int, error) {
	recipient, err := enveloped.child(-2, 0)
	if err != nil {
		return 0, err
	}
	encrypted := enveloped.children[len(enveloped.children)-1]
	ciphertext, err := encrypted.child(-1)
	if err != nil {
		return 0, err
	}
	octets := ciphertext.octets()
	const block = 16
	switch place {
	case RecipientSerial:
		return identifier(recipient)
	case EncryptedKey:
		return octet(recipient, lastOctet, -1)
	case ContentIV:
		return octet(encrypted, firstOctet, 1, 1)
	case CiphertextFirst:
		return pick(octets, 0)
	case CiphertextMiddle:
		return pick(octets, len(octets)/2/block*block)
	case CiphertextBefore:
		return pick(octets, len(octets)-block-1)
	case CiphertextLast:
		return pick(octets, len(octets)-1)
	}
	return 0, ErrNoPlace
}

// locateAuthEnveloped knows objects without originatorInfo; the attributes that openssl never writes do not matter.
func (m *parts) locateAuthEnveloped(enveloped *node, place Place) (int, error) {
	recipient, err := enveloped.child(1, 0)
	if err != nil {
		return 0, err
	}
	encrypted, err := enveloped.child(2)
	if err != nil {
		return 0, err
	}
	ciphertext, err := encrypted.child(-1)
	if err != nil {
		return 0, err
	}
	octets := ciphertext.octets()
	switch place {
	case RecipientSerial:
		return identifier(recipient)
	case EncryptedKey:
		return octet(recipient, lastOctet, -1)
	case ContentIV:
		return octet(encrypted, firstOctet, 1, 1, 0)
	case GCMTagLength:
		return octet(encrypted, lastOctet, 1, 1, 1)
	case CiphertextFirst:
		return pick(octets, 0)
	case CiphertextMiddle:
		return pick(octets, len(octets)/2)
	case CiphertextLast:
		return pick(octets, len(octets)-1)
	case GCMTag:
		return octet(enveloped, lastOctet, -1)
	}
	return 0, ErrNoPlace
}

func (m *parts) locateSigned(signed *node, place Place) (int, error) {
	signer, err := signed.child(-1, 0)
	if err != nil {
		return 0, err
	}
	switch place {
	case SignedContent:
		return m.lastLetter(signed)
	case SignedAttributes:
		return m.attribute(signer, 5)
	case MessageDigest:
		return m.attribute(signer, 4)
	case SignatureValue:
		if last, err := signer.child(-1); err == nil && last.tag == tagUnsignedAttributes {
			return octet(signer, lastOctet, -2)
		}
		return octet(signer, lastOctet, -1)
	case SignerSerial:
		return identifier(signer)
	case CertificateValue:
		for _, c := range signed.children {
			if c.tag == tagContext0 && len(c.children) > 0 {
				return octet(c, lastOctet, 0, -1)
			}
		}
	}
	return 0, ErrNoPlace
}

// lastLetter returns the last octet of the eContent that is a letter or a digit.
func (m *parts) lastLetter(signed *node) (int, error) {
	content, err := signed.child(2, 1, 0)
	if err != nil {
		return 0, ErrNoPlace
	}
	for _, at := range slices.Backward(content.octets()) {
		if isLetter(m.der[at]) {
			return at, nil
		}
	}
	return 0, ErrNoPlace
}

// attribute returns the last digit of the value of a signed attribute of PKCS #9.
func (m *parts) attribute(signer *node, number byte) (int, error) {
	for _, attributes := range signer.children {
		if attributes.tag != tagContext0 {
			continue
		}
		for _, a := range attributes.children {
			value, err := a.child(1, 0)
			if err != nil {
				return 0, err
			}
			oid := m.der[a.children[0].body:a.children[0].end]
			if !bytes.Equal(oid, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, number}) {
				continue
			}
			if value.tag == tagUTCTime {
				return value.end - 2, nil // before the Z
			}
			return value.end - 1, nil
		}
	}
	return 0, ErrNoPlace
}

// identifier returns the last octet of a serial number or a subjectKeyIdentifier.
func identifier(info *node) (int, error) {
	id, err := info.child(1)
	if err != nil {
		return 0, err
	}
	switch id.tag {
	case tagSubjectKeyID:
		return id.end - 1, nil
	case tagSequence:
		if serial, err := id.child(1); err == nil && serial.tag == tagInteger {
			return serial.end - 1, nil
		}
	}
	return 0, ErrNoPlace
}

// octet returns the offset of the first octet (0) or the last (-1) of the string at a path.
func octet(n *node, which int, path ...int) (int, error) {
	n, err := n.child(path...)
	if err != nil {
		return 0, err
	}
	octets := n.octets()
	if which < 0 {
		which += len(octets)
	}
	return pick(octets, which)
}

func pick(octets []int, i int) (int, error) {
	if i < 0 || i >= len(octets) {
		return 0, ErrNoPlace
	}
	return octets[i], nil
}
