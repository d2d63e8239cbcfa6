package agent

import (
	"context"
	"io"

	"paperknife/deliver"
	"paperknife/internal/filter"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// Filter takes the one message of a pipe: Agent is a filter.Handler. With out nil the target of the agent delivers it,
// else it is written to out.
func (a *Agent) Filter(ctx context.Context, env filter.Envelope, received *spool.Spool, out io.Writer) status.Result {
	target := a.target
	if out != nil {
		target = deliver.NewStdout(out)
	}
	trace, err := told(received)
	if err != nil {
		return status.From(err)
	}
	trace.SenderUnknown = trace.SenderUnknown || !env.SenderKnown
	ctx = deliver.WithTrace(ctx, trace)
	t := target.Begin(ctx, env.Sender)
	defer a.closeTarget(t)
	if out == nil && env.RecipientKnown {
		if r := t.Rcpt(env.Recipient, ""); !r.Delivered() {
			return r
		}
	}
	to := recipient{Recipient: deliver.Recipient{Address: env.Recipient}, known: env.RecipientKnown}
	return a.process(ctx, received, envelope{sender: env.Sender, recipients: []recipient{to}, target: t, final: out == nil,
		attributes: []any{"from", env.Sender}})[0]
}

// told says what the MTA that started the pipe has put on top of the message already: above the topmost Received field
// stands only what was added in this hop.
func told(received *spool.Spool) (deliver.Trace, error) {
	var trace deliver.Trace
	header, err := message.ParseHeader(received)
	if err != nil {
		return trace, err
	}
	for i := range header.Len() {
		switch header.Name(i) {
		case "return-path":
			trace.SenderUnknown = true
		case "delivered-to":
			trace.RecipientTold = true
		case "received":
			return trace, nil
		}
	}
	return deliver.Trace{}, nil // no MTA has touched it
}
