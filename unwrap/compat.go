package unwrap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// What known senders write and no standard allows, as Layer.Compat names it; those of cms.Deviation come beside them.
// Options.Strict refuses a layer with any of them.
const (
	CompatSMIMEType   = "smime-type of another object"          // RFC 8551 section 3.2.2
	CompatOldType     = "media type with x-"                    // application/x-pkcs7-mime and -signature
	CompatOctetStream = "application/octet-stream by its name"  // smime.p7m, smime.p7s
	CompatProtocol    = "multipart/signed without protocol"     // RFC 1847 section 2.1
	CompatLineEnds    = "line ends of LF inside"                // RFC 8551 section 3.1.1
	CompatSignedLF    = "signed with line ends of LF"           // the same
	CompatContentType = "content type of another object inside" // RFC 5652 section 6.1; nobody vouches for it there
)

// ErrCompat says that a layer was refused for a deviation.
var ErrCompat = errors.New("refused by compat = strict")

// deviates names a deviation in a layer. It reports whether the layer may be read all the same.
func (w *walk) deviates(layer *Layer, names ...string) bool {
	for _, name := range names {
		if !slices.Contains(layer.Compat, name) {
			layer.Compat = append(layer.Compat, name)
		}
		if w.options.Strict && layer.Fault == nil {
			layer.Fault = fmt.Errorf("%w: %s", ErrCompat, name)
		}
	}
	return len(names) == 0 || !w.options.Strict
}

// smimeTypes are the values of the parameter, and what they may stand for.
var smimeTypes = map[string]Type{
	"signed-data": Signed, "certs-only": Signed, "signed-receipt": Signed, "enveloped-data": Enveloped,
	"authenveloped-data": AuthEnveloped, "compressed-data": Compressed,
}

// fitsType reports whether an smime-type parameter, if there is one, names the object that there is.
func fitsType(media message.MediaType, is Type) bool {
	value, ok := media.Params["smime-type"]
	return !ok || is == Unreadable || smimeTypes[strings.ToLower(value)] == is
}

// oldTypes are the media types from before RFC 3851.
var oldTypes = map[string]string{
	"application/x-pkcs7-mime":      "application/pkcs7-mime",
	"application/x-pkcs7-signature": "application/pkcs7-signature",
}

// suffixes are the names of files in S/MIME (RFC 8551 section 3.2.1).
var suffixes = map[string]string{
	".p7m": "application/pkcs7-mime", ".p7z": "application/pkcs7-mime", ".p7c": "application/pkcs7-mime",
	".p7s": "application/pkcs7-signature",
}

// standardType returns the media type that an entity of S/MIME should have had, with the deviation that it takes; the
// type that it has for all others.
func standardType(header *message.Header, media message.MediaType) (mediaType, deviation string) {
	if now := oldTypes[media.Type]; now != "" {
		return now, CompatOldType
	}
	if media.Type != "application/octet-stream" {
		return media.Type, ""
	}
	for _, name := range []string{media.Params["name"], dispositionName(header)} {
		if i := strings.LastIndexByte(name, '.'); i >= 0 && suffixes[strings.ToLower(name[i:])] != "" {
			return suffixes[strings.ToLower(name[i:])], CompatOctetStream
		}
	}
	return media.Type, ""
}

// dispositionName is the filename in Content-Disposition, whose value differs from a media type in its first word alone.
func dispositionName(header *message.Header) string {
	value, ok := single(header, "content-disposition")
	if !ok {
		return ""
	}
	media, err := message.ParseMediaType("x/" + strings.TrimSpace(value))
	if err != nil {
		return ""
	}
	return media.Params["filename"]
}

// resolve settles what a multipart/signed without protocol is: its second part tells.
func (w *walk) resolve(f *form, body message.Content) error {
	if f.kind != undecided {
		return nil
	}
	f.kind = notSMIME
	r, err := body.Open()
	if err != nil {
		return err
	}
	parts := message.NewMultipart(r, f.media.Params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		return w.fault
	}
	second, err := parts.NextPart()
	if err != nil {
		return w.fault
	}
	header, err := message.ReadHeader(bufio.NewReader(second), maxEntityHeader)
	if err == nil && classify(header).kind == signature {
		f.kind = detached
		f.compat = append(f.compat, CompatProtocol)
	}
	return w.fault
}

// judgeLF verifies again what a digest kept from being good, over the content with line ends of LF: so it was signed by
// senders that take the text as their system has it. The text is the same.
func (w *walk) judgeLF(c *signatures, layer *Layer) {
	hashes := map[cms.Hash]hash.Hash{}
	for i, info := range c.infos {
		if layer.Signers[i].Outcome == BadDigest {
			hashes[info.Hash] = info.Hash.New()
		}
	}
	if len(hashes) == 0 || w.options.Strict {
		return
	}
	r, err := c.content.Open()
	if err != nil {
		return // a fault of ours is remembered by the reader
	}
	to := &lfHash{hashes: hashes}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, r, make([]byte, readBuffer)); err != nil {
		return
	}
	to.end()
	for i, info := range c.infos {
		if layer.Signers[i].Outcome != BadDigest {
			continue
		}
		signer := &layer.Signers[i]
		detail := info.Verify(signer.Certificate, hashes[info.Hash].Sum(nil), c.contentType)
		if errors.Is(detail, cms.ErrDigest) {
			continue
		}
		signer.Detail, signer.Outcome = detail, outcome(detail)
		signer.Digest, signer.Algorithm = info.Names()
		signer.LineEnds = true
		w.deviates(layer, CompatSignedLF)
	}
}

// An lfHash hashes what is written to it with every CRLF read as LF.
type lfHash struct {
	hashes map[cms.Hash]hash.Hash
	cr     bool // a CR is held back
}

func (l *lfHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if l.cr && p[0] != '\n' {
			l.feed([]byte{'\r'})
		}
		l.cr = false
		i := bytes.IndexByte(p, '\r')
		if i < 0 {
			l.feed(p)
			break
		}
		l.feed(p[:i])
		l.cr, p = true, p[i+1:]
	}
	return n, nil
}

// end gives back a CR that nothing follows.
func (l *lfHash) end() {
	if l.cr {
		l.feed([]byte{'\r'})
	}
}

func (l *lfHash) feed(p []byte) {
	for _, h := range l.hashes {
		h.Write(p)
	}
}
