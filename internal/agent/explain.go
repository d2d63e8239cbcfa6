package agent

import (
	"context"
	"mime"
	"time"

	"paperknife/deliver"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/unwrap"
)

// An Explanation is what would be done with a message for one recipient, and why.
type Explanation struct {
	AuthservID string
	Decision   policy.Decision
	Layers     []unwrap.Layer
	Subject    string
	View       *message.View
}

// Explain takes a message through all steps but the delivery. An empty recipient is one the filter was not told. A zero
// at means now. The Explanation reads from received until done is called.
func (a *Agent) Explain(ctx context.Context, received *spool.Spool, address string, at time.Time) (e *Explanation, done func(), err error) {
	m, err := a.newMail(received)
	if err != nil {
		return nil, nil, err
	}
	if !at.IsZero() {
		m.at = at
	}
	r := recipient{Recipient: deliver.Recipient{Address: address}, known: address != ""}
	o, err := m.open(ctx, a.ring(r))
	if err != nil {
		m.close()
		return nil, nil, err
	}
	e = &Explanation{AuthservID: a.policy.AuthservID, Layers: o.facts.Layers, Subject: subject(m.header)}
	e.Decision, e.View = m.decide(o, a.classOf(r))
	return e, m.close, nil
}

func subject(header *message.Header) string {
	positions := header.Find("subject")
	if len(positions) == 0 {
		return ""
	}
	value, err := header.Value(positions[0])
	if err != nil {
		return ""
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}
