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
