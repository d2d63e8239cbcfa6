package unwrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"paperknife/internal/message"
)

// View returns the message with the outermost depth layers taken off: the outer header with its Content-* fields
// replaced by those of the entity inside, and that entity's body. Depth 0 is the message as received. Only layers
// that are Strippable can be taken off; the depth is cut at the first that is not.
func (r *Result) View(depth int) *message.View {
	v := &message.View{Received: r.received, Header: r.header}
	inner := r.at(&depth)
	if inner == nil {
		return v
	}
	v.Edits = r.replaceContentFields(contentFields(inner.header))
	v.Body = inner.body
	return v
}

// Repackaged returns the message with depth layers taken off and the opaque signature below them turned into
// multipart/signed with the same SignerInfos (E2E-R6). It is View(depth) when that layer is not Repackable.
func (r *Result) Repackaged(depth int) *message.View {
	if depth >= len(r.Layers) || !r.Layers[depth].Repackable {
		return r.View(depth)
	}
	layer := r.Layers[depth]
	sum := sha256.Sum256(layer.signature) // over the message digest too, so the content cannot hold it
	boundary := "paperknife-" + hex.EncodeToString(sum[:16])
	fields := fmt.Sprintf("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"+
		" micalg=%s; boundary=\"%s\"\r\n", layer.micalg(), boundary)
	return &message.View{
		Received: r.received,
		Header:   r.header,
		Edits:    r.replaceContentFields(fields),
		Body: message.Concat(
			message.Bytes([]byte("--"+boundary+"\r\n")),
			layer.content.octets,
			message.Bytes([]byte("\r\n--"+boundary+"\r\n"+signaturePart(layer.signature)+"\r\n--"+boundary+"--\r\n"))),
	}
}

// at returns the entity below depth layers, nil for the message itself.
func (r *Result) at(depth *int) *entity {
	var inner *entity
	for i := range min(*depth, len(r.Layers)) {
		if !r.Layers[i].Strippable {
			*depth = i
			break
		}
		inner = r.Layers[i].content
	}
	return inner
}

// replaceContentFields puts fields where the first Content-* field of the received header stands and takes the
// others out. Nothing else inside ever becomes a top-level field (THREATS B12, B13).
func (r *Result) replaceContentFields(fields string) []message.Edit {
	var edits []message.Edit
	version := len(r.header.Find("mime-version")) > 0
	if !version {
		fields = "MIME-Version: 1.0\r\n" + fields
	}
	for i := range r.header.Len() {
		if !strings.HasPrefix(r.header.Name(i), "content-") {
			continue
		}
		edit := message.Edit{Op: message.Remove, Index: i}
		if len(edits) == 0 {
			edit = message.Edit{Op: message.Replace, Index: i, Text: fields}
		}
		edits = append(edits, edit)
	}
	return edits
}

// contentFields returns the Content-* fields of an entity with CRLF line ends.
func contentFields(header *message.Header) string {
	var fields bytes.Buffer
	for i := range header.Len() {
		if !strings.HasPrefix(header.Name(i), "content-") {
			continue
		}
		raw, err := header.Raw(i)
		if err != nil {
			continue // isEntity has read every one of them
		}
		text, _ := io.ReadAll(message.Canonical(bytes.NewReader(raw)))
		fields.Write(text)
		if !bytes.HasSuffix(text, []byte("\r\n")) {
			fields.WriteString("\r\n")
		}
	}
	return fields.String()
}

// micalg names the digests of the layer's signers as RFC 8551 section 3.5.3.2 writes them.
func (l Layer) micalg() string {
	var names []string
	seen := map[string]bool{}
	for _, s := range l.Signers {
		name := strings.Replace(s.Digest, "sha", "sha-", 1)
		if !seen[name] && name != "" {
			names = append(names, name)
		}
		seen[name] = true
	}
	if len(names) == 1 {
		return names[0]
	}
	return `"` + strings.Join(names, ",") + `"`
}

func signaturePart(object []byte) string {
	var b strings.Builder
	b.WriteString("Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(object)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	b.WriteString(text)
	return b.String()
}
