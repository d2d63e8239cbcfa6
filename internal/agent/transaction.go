package agent

import (
	"context"

	"paperknife/deliver"
	"paperknife/internal/lmtp"
	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// A transaction is one LMTP transaction.
type transaction struct {
	agent      *Agent
	target     deliver.Transaction
	sender     string
	trace      deliver.Trace
	recipients []recipient
	attributes []any
}

// Begin starts a transaction of the server: Agent is an lmtp.Handler.
func (a *Agent) Begin(ctx context.Context, peer lmtp.Peer, sender string) lmtp.Transaction {
	trace := deliver.Trace{HELO: peer.HELO, ClientName: peer.ClientName, ClientAddress: peer.ClientAddress, Protocol: "LMTP",
		ID: peer.QueueID}
	return &transaction{agent: a, target: a.target.Begin(deliver.WithTrace(ctx, trace), sender), sender: sender, trace: trace,
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
	return t.agent.process(deliver.WithTrace(ctx, t.trace), received, envelope{sender: t.sender, recipients: t.recipients,
		target: t.target, final: true, attributes: t.attributes})
}

func (t *transaction) Close() { t.agent.closeTarget(t.target) }
