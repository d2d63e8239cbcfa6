// Package filter is the pipe: one message on standard input, its envelope on the command line.
package filter

import (
	"context"
	"io"

	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// An Envelope is what the pipe was told. Known says whether it was told at all.
type Envelope struct {
	Sender, Recipient           string
	SenderKnown, RecipientKnown bool
}

// A Handler takes one message; with out it writes what standard output gets.
type Handler interface {
	Filter(ctx context.Context, env Envelope, msg *spool.Spool, out io.Writer) status.Result
}
