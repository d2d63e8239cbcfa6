// Package agent holds the order of the steps a message goes through, written once for the server and the filter:
//
//	receive -> spool -> verifyhdr -> unwrap -> judge -> policy -> deliver -> status
//
// The first and the last word belong to internal/lmtp and internal/filter, which call it. It decides nothing itself,
// and it turns every fault of ours, panics included, into "try again later".
package agent

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"paperknife/deliver"
	"paperknife/internal/filter"
	"paperknife/internal/keys"
	"paperknife/internal/lmtp"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/internal/trust"
)

// An Agent takes messages of any number of transactions at once. It is made from the configuration by New.
type Agent struct {
	policy     policy.Settings
	spool      spool.Settings
	rings      map[string]*keys.Ring // by recipient domain, A-label
	firstRing  *keys.Ring            // of the first domain, for recipients that are not known
	trust      *trust.Store
	target     deliver.Target
	quarantine deliver.Target // nil: none configured
	original   deliver.Target // nil: keep_original is off
	classes    map[string]policy.Class
	class      policy.Class // default
	delimiter  string
	warnings   []string // found while loading
	log        *slog.Logger
	now        func() time.Time
}

// classOf returns the class of a recipient's mail reader: by the address as given, then without its detail.
func (a *Agent) classOf(r recipient) policy.Class {
	if !r.known {
		return a.class
	}
	address := strings.ToLower(r.Address)
	if class, ok := a.classes[address]; ok {
		return class
	}
	at := strings.LastIndexByte(address, '@')
	if at > 0 && a.delimiter != "" {
		if i := strings.IndexAny(address[:at], a.delimiter); i > 0 {
			if class, ok := a.classes[address[:i]+address[at:]]; ok {
				return class
			}
		}
	}
	return a.class
}

// A transaction is one LMTP transaction.
type transaction struct {
	agent      *Agent
	target     deliver.Transaction
	sender     string
	recipients []recipient
	attributes []any
}

// Begin starts a transaction of the server: Agent is an lmtp.Handler.
func (a *Agent) Begin(ctx context.Context, peer lmtp.Peer, sender string) lmtp.Transaction {
	ctx = deliver.WithTrace(ctx, deliver.Trace{HELO: peer.HELO, ClientName: peer.ClientName,
		ClientAddress: peer.ClientAddress, Protocol: "LMTP", ID: peer.QueueID})
	return &transaction{agent: a, target: a.target.Begin(ctx, sender), sender: sender,
		attributes: []any{"queue_id", peer.QueueID, "client", peer.ClientAddress, "from", sender}}
}

func (t *transaction) Rcpt(_ context.Context, address, original string) status.Result {
	result := t.target.Rcpt(address, original)
	if result.Delivered() {
		t.recipients = append(t.recipients, recipient{Recipient: deliver.Recipient{Address: address, OriginalRecipient: original}, known: true})
	}
	return result
}

func (t *transaction) Data(ctx context.Context, received *spool.Spool) []status.Result {
	return t.agent.process(ctx, received, envelope{sender: t.sender, recipients: t.recipients, target: t.target, final: true, attributes: t.attributes})
}

func (t *transaction) Close() {
	if err := t.target.Close(); err != nil {
		t.agent.log.Warn("target not closed", "err", err)
	}
}

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
	defer t.Close()
	address := deliver.Recipient{Address: env.Recipient}
	if out == nil && env.RecipientKnown {
		if r := t.Rcpt(env.Recipient, ""); !r.Delivered() {
			return r
		}
	}
	e := envelope{sender: env.Sender, recipients: []recipient{{Recipient: address, known: env.RecipientKnown}}, target: t,
		final: out == nil, attributes: []any{"from", env.Sender}}
	return a.process(ctx, received, e)[0]
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
