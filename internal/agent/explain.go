package agent

import (
	"context"
	"mime"
	"time"

	"paperknife/deliver"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
)

// An Explanation is what would be done with a message for one recipient, and why.
type Explanation struct {
	AuthservID string
	Subject    string
	policy.Facts

	Class     policy.Class    // of the recipient
	Decision  policy.Decision // for the recipient
	Classes   []ClassDecision // what each class of recipient would get
	View      *message.View   // what the recipient would get
	Innermost *message.View   // all layers off that can come off, whoever may have it so
}

// A ClassDecision is the decision for a class of recipient.
type ClassDecision struct {
	Class    policy.Class
	Decision policy.Decision
}

// classes are all classes of recipients, from the one whose messages change least.
var classes = []policy.Class{policy.ClassReceived, policy.ClassCapable, policy.ClassUnknown, policy.ClassIncapable}

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
	e = &Explanation{AuthservID: a.policy.AuthservID, Subject: subject(m.header), Facts: o.facts, Class: a.classOf(r),
		Innermost: o.result.View(len(o.facts.Layers))}
	e.Decision, e.View = m.decide(o, e.Class)
	for _, class := range classes {
		decision, _ := m.decide(o, class)
		e.Classes = append(e.Classes, ClassDecision{class, decision})
	}
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
