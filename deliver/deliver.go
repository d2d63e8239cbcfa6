// Package deliver writes one view of a message to where its recipients read it: a Maildir, or standard output.
//
// A target is all or nothing for each recipient: a Result that says delivered means the whole message is on disk (or
// was taken by the next hop), any other means nothing of it is there. A target knows nothing of signatures or policy.
// It never changes what a view holds, only puts its own fields on top, and never lets a path or an error number into
// the text a sender can see.
package deliver

import (
	"context"
	"io"

	"paperknife/internal/message"
	"paperknife/internal/status"
)

// A Result is the final word on one recipient.
type Result = status.Result

// A View is a message as some recipients are to see it. Write may be called more than once and gives the same
// octets each time, with the fields of prepend (each with CRLF) on top and line ends as asked.
type View interface {
	Write(w io.Writer, ends message.LineEnds, prepend ...string) error
}

// A Recipient is one accepted RCPT.
type Recipient struct {
	Address           string // without angle brackets
	OriginalRecipient string // ORCPT, decoded; empty when there was none
}

// A Target is a place that takes mail.
type Target interface {
	// Begin starts a transaction for one message of sender, which is empty for the null reverse-path. What else is
	// known about where the message came from is in ctx, see WithTrace.
	Begin(ctx context.Context, sender string) Transaction
}

// A Transaction is one message on its way to one target. It is used by one goroutine at a time.
type Transaction interface {
	// Rcpt says whether the target would take mail for addr. It writes nothing.
	Rcpt(addr, orcpt string) Result

	// Deliver hands over one view for some of the recipients and answers for each, in their order. It is called
	// once per distinct view.
	Deliver(ctx context.Context, view View, recipients []Recipient) []Result

	// Close ends the transaction. What was delivered stays.
	Close() error
}
