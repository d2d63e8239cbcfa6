package deliver

import (
	"bufio"
	"context"
	"errors"
	"io"

	"paperknife/internal/message"
	"paperknife/internal/status"
)

// NewStdout returns a Target for a filter: it writes the view as it is, without fields of its own and with the line
// ends of the received message. There is one message on standard output, whatever the number of recipients, so a
// transaction takes one view and all its recipients share the Result. What a failure has left on w is not the
// target's to take back: the exit code tells the reader to drop it.
func NewStdout(w io.Writer) Target { return &stdout{w} }

type stdout struct{ w io.Writer }

func (s *stdout) Begin(context.Context, string) Transaction { return &stdoutTransaction{w: s.w} }

type stdoutTransaction struct {
	w    io.Writer
	used bool
}

func (t *stdoutTransaction) Rcpt(string, string) Result { return accepted() }

func (t *stdoutTransaction) Close() error { return nil }

func (t *stdoutTransaction) Deliver(ctx context.Context, view View, recipients []Recipient) []Result {
	results := make([]Result, len(recipients))
	if len(recipients) == 0 {
		return results
	}
	result := status.Delivered()
	if err := t.write(ctx, view); err != nil {
		result = fault(err)
	}
	for i := range results {
		results[i] = result
	}
	return results
}

var errSecondView = errors.New("standard output takes one view")

func (t *stdoutTransaction) write(ctx context.Context, view View) error {
	if t.used {
		return errSecondView
	}
	t.used = true
	buffer := bufio.NewWriterSize(&sizer{ctx: ctx, w: t.w}, 64<<10)
	if err := view.Write(buffer, message.AsGiven); err != nil {
		return err
	}
	return buffer.Flush()
}
