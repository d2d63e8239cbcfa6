package tool

import (
	"bufio"
	"fmt"
	"strings"

	"paperknife/internal/message"
)

// Limits of looking for S/MIME parts.
const (
	maxPartDepth  = 100
	maxParts      = 1000
	maxPartHeader = 64 << 10
)

// smimeParts lists the S/MIME entities below the top of a message. Delivery never opens these (DESIGN rule 1); a
// postmaster wants to know that they are there. A message that is S/MIME as a whole has its layers instead.
func smimeParts(src message.Source) ([]ReportPart, error) {
	header, err := message.ParseHeader(src)
	if err != nil {
		return nil, err
	}
	body, err := message.Section(src, header.BodyOffset(), src.Size()-header.BodyOffset()).Open()
	if err != nil {
		return nil, err
	}
	w := &partWalk{found: []ReportPart{}}
	media := mediaType(header)
	if isSMIME(media) {
		return w.found, nil
	}
	w.descend(media, header, bufio.NewReader(body), "")
	for len(w.open) > 0 && w.seen < maxParts {
		w.step()
	}
	return w.found, nil
}

// A partWalk goes through the parts of a message in one pass, without recursion.
type partWalk struct {
	open  []openPart // the multiparts around the place it stands at, outermost first
	seen  int
	found []ReportPart
}

type openPart struct {
	parts   *message.Multipart
	section string // of the multipart itself
	n       int    // parts taken so far
}

// step takes the next part. What cannot be read ends the multipart that it stands in.
func (w *partWalk) step() {
	top := &w.open[len(w.open)-1]
	part, err := top.parts.NextPart()
	if err != nil {
		w.open = w.open[:len(w.open)-1]
		return
	}
	w.seen++
	top.n++
	section := fmt.Sprintf("%s%d", top.section, top.n)
	body := bufio.NewReader(part)
	header, err := message.ReadHeader(body, maxPartHeader)
	if err != nil {
		return
	}
	media := mediaType(header)
	if isSMIME(media) {
		w.found = append(w.found, ReportPart{section, media.Type, len(w.open) == 1})
	}
	w.descend(media, header, body, section+".")
}

// descend opens what has parts of its own: a multipart, or the one in an attached message.
func (w *partWalk) descend(media message.MediaType, header *message.Header, body *bufio.Reader, section string) {
	for media.Type == "message/rfc822" && identity(header) {
		var err error
		if header, err = message.ReadHeader(body, maxPartHeader); err != nil {
			return
		}
		media = mediaType(header)
		if isSMIME(media) {
			w.found = append(w.found, ReportPart{sectionOf(media, section), media.Type, false})
		}
	}
	boundary := media.Params["boundary"]
	if strings.HasPrefix(media.Type, "multipart/") && boundary != "" && identity(header) && len(w.open) < maxPartDepth {
		w.open = append(w.open, openPart{parts: message.NewMultipart(body, boundary), section: section})
	}
}

// sectionOf names the body of an attached message: a multipart has no number of its own (RFC 3501 section 6.4.5).
func sectionOf(media message.MediaType, section string) string {
	if strings.HasPrefix(media.Type, "multipart/") {
		return strings.TrimSuffix(section, ".")
	}
	return section + "1"
}

// identity reports whether a body is written without a transfer encoding.
func identity(header *message.Header) bool {
	positions := header.Find("content-transfer-encoding")
	if len(positions) == 0 {
		return true
	}
	value, err := header.Value(positions[0])
	if err != nil {
		return false
	}
	encoding, err := message.ParseEncoding(value)
	return err == nil && encoding != "base64" && encoding != "quoted-printable"
}

// mediaType returns the media type of an entity; the zero one when it has none or it cannot be read.
func mediaType(header *message.Header) message.MediaType {
	positions := header.Find("content-type")
	if len(positions) == 0 {
		return message.MediaType{}
	}
	value, err := header.Value(positions[0])
	if err != nil {
		return message.MediaType{}
	}
	media, err := message.ParseMediaType(value)
	if err != nil {
		return message.MediaType{}
	}
	return media
}

func isSMIME(media message.MediaType) bool {
	switch media.Type {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return true
	case "multipart/signed":
		protocol := strings.ToLower(media.Params["protocol"])
		return protocol == "application/pkcs7-signature" || protocol == "application/x-pkcs7-signature"
	}
	return false
}
