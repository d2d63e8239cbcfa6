package seal

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"slices"
	"strings"

	"paperknife/internal/message"
)

// peekLimit is how much of an entity tells what it is.
const peekLimit = 64 << 10

// Split takes a message apart: the fields that stay outside, and the entity that is to be sealed, which has the
// Content-* fields and the body (RFC 8551 section 3.1). Both have CRLF line ends. A message without a Content-Type
// gets the one it has by default (RFC 2045 section 5.2). The envelope line of an mbox is left out.
func Split(message []byte) (outerHeader, entity []byte) {
	fields, body := splitFields(toCRLF(message))
	var inner []byte
	typed := false
	for _, f := range fields {
		switch name := fieldName(f); {
		case strings.HasPrefix(name, "content-"):
			inner = append(inner, f...)
			typed = typed || name == "content-type"
		case name != "mime-version":
			outerHeader = append(outerHeader, f...)
		}
	}
	if !typed {
		inner = append([]byte("Content-Type: text/plain; charset=us-ascii\r\n"), inner...)
	}
	return outerHeader, slices.Concat(inner, []byte("\r\n"), body)
}

// Message puts the fields of the outer header on top of a sealed entity. Content-* and MIME-Version fields of the
// outer header are dropped: those of the entity hold for the message.
func Message(outerHeader, entity []byte) []byte {
	fields, _ := splitFields(toCRLF(outerHeader))
	var out []byte
	for _, f := range fields {
		if name := fieldName(f); !strings.HasPrefix(name, "content-") && name != "mime-version" {
			out = append(out, f...)
		}
	}
	return slices.Concat(out, []byte("MIME-Version: 1.0\r\n"), toCRLF(entity))
}

func toCRLF(b []byte) []byte {
	out, _ := io.ReadAll(message.Canonical(bytes.NewReader(b))) // a bytes.Reader does not fail
	return out
}

// splitFields returns the header fields, whole, and what follows the empty line. Lines end in CRLF.
func splitFields(b []byte) (fields [][]byte, body []byte) {
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		b = rest
		if found {
			line = line[:len(line)+1]
		} else {
			line = slices.Concat(line, []byte("\r\n"))
		}
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			return fields, b
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			last := len(fields) - 1
			fields[last] = slices.Concat(fields[last], line)
		case len(fields) == 0 && bytes.HasPrefix(line, []byte("From ")):
		default:
			fields = append(fields, line)
		}
	}
	return fields, nil
}

func fieldName(field []byte) string {
	name, _, _ := bytes.Cut(field, []byte(":"))
	return strings.ToLower(string(bytes.TrimRight(name, " \t")))
}

// isSigned says whether the entity, or the beginning of it, is a signature layer: multipart/signed of S/MIME, or
// application/pkcs7-mime with a signedData inside.
func isSigned(entity []byte) bool {
	fields, body := splitFields(toCRLF(entity[:min(len(entity), peekLimit)]))
	for _, f := range fields {
		if fieldName(f) != "content-type" {
			continue
		}
		_, value, _ := bytes.Cut(f, []byte(":"))
		mediaType, params, err := mime.ParseMediaType(strings.TrimSpace(string(value)))
		if err != nil {
			return false
		}
		switch mediaType {
		case "multipart/signed":
			p := strings.ToLower(params["protocol"])
			return p == "application/pkcs7-signature" || p == "application/x-pkcs7-signature"
		case "application/pkcs7-mime", "application/x-pkcs7-mime":
			// certs-only is a signedData as well, but no signature layer (SEEDS DOM D1).
			t := strings.ToLower(params["smime-type"])
			return (t == "" || t == "signed-data") && holdsSignedData(body)
		}
		return false
	}
	return false
}

// holdsSignedData looks for the content type at the start of a CMS object in base64.
func holdsSignedData(body []byte) bool {
	text := bytes.Join(bytes.Fields(body[:min(len(body), 256)]), nil)
	text = text[:min(len(text), 64)/4*4]
	start := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(start, text)
	return err == nil && bytes.Contains(start[:n], []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2})
}
