package cms

// A Deviation is a form that known senders write and no standard allows. A Reader lets it through when it is Lenient.
type Deviation string

// The deviations.
const (
	// ContentInfoInside: a ContentInfo where the content of another object should stand without one (RFC 5652 5.2).
	ContentInfoInside Deviation = "ContentInfo inside content"
)
