package cms

import "slices"

// A Deviation is a form that known senders write and no standard allows. A Reader lets it through when it is Lenient.
type Deviation string

// The deviations.
const (
	// ContentInfoInside: a ContentInfo where the content of another object should stand without one (RFC 5652 5.2).
	ContentInfoInside Deviation = "ContentInfo inside content"
	// GCMInEnvelopedData: AES-GCM in an EnvelopedData, the tag behind the ciphertext in the same OCTET STRING.
	GCMInEnvelopedData Deviation = "AES-GCM in EnvelopedData"
	// GCMNonceAlone: a nonce where GCMParameters should be (RFC 5084 3.2).
	GCMNonceAlone Deviation = "AES-GCM parameters without SEQUENCE"
	// AttributeTags: authAttrs as [2] or unauthAttrs as [3], not [1] and [2] (RFC 5083 2.1).
	AttributeTags Deviation = "attribute tags of AuthEnvelopedData"
)

// Deviations returns what was let through so far, in the ContentInfo and in the object read from it.
func (r *Reader) Deviations() []Deviation { return r.deviations }

func (r *Reader) deviates(found ...Deviation) {
	for _, d := range found {
		if !slices.Contains(r.deviations, d) {
			r.deviations = append(r.deviations, d)
		}
	}
}
