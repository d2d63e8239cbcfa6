// Package message knows where things are in a message, to the octet: fields of the header section, parts of a
// multipart body, what a transfer encoding hides. It reads, and it writes changed copies; it never repairs,
// re-folds, re-encodes or normalises what it was given, and it never judges what it finds. Any sequence of octets
// is a message. Nothing here holds a whole message in memory, recurses on input, or takes more than linear time.
package message

import "io"

// LineEnds says which line ends a writer wants.
type LineEnds int

const (
	// AsGiven keeps the line ends of the received message; content that comes out of a ciphertext follows the
	// style of the received message's first line.
	AsGiven LineEnds = iota
	// LF turns every CRLF into LF: Maildir.
	LF
	// CRLF turns every bare LF into CRLF: LMTP.
	CRLF
)

// A Source is the octets of one message.
type Source interface {
	io.ReaderAt
	Size() int64
}

// A Content is octets that can be read more than once, each time from the start.
type Content interface {
	Open() (io.Reader, error)
}

// An Op is what an Edit does.
type Op int

const (
	Prepend Op = iota // Text goes on top; the first Prepend of a list ends up first
	Remove            // field Index is left out
	Replace           // field Index gives way to Text, which may hold several fields or none
)

// An Edit is one change of the header section. Text is whole fields with CRLF line ends.
type Edit struct {
	Op    Op
	Index int
	Text  string
}

// A View is a message as one recipient is to see it: the received octets, the changes of the header section, and
// the body that takes the place of the received one. It can be written any number of times.
type View struct {
	Received Source
	Header   *Header // of Received
	Edits    []Edit
	Body     Content // nil: the received body

	// DropNames are names, in lower case, of fields that must not get through. They count only for the part of
	// the header section that has no index (see Header.Overflow); in the rest, fields go by Edits.
	DropNames []string
}
