package agent

import (
	"context"
	"fmt"
	"time"

	"paperknife/internal/keys"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// A mail is one message on its way through the steps. Steps 1 to 3 are done once, unwrap and judge once per recipient
// domain, policy once per domain and class of recipient.
type mail struct {
	agent      *Agent
	received   *spool.Spool
	header     *message.Header
	originator policy.Originator
	fields     []policy.Field
	at         time.Time // receipt
	opened     map[*keys.Ring]*opened
}

// opened is what one domain's keys and the anchors say about the message.
type opened struct {
	result *unwrap.Result
	facts  policy.Facts
}

// newMail reads what every later step needs of the header. A fault here is ours: the spool could not be read.
func (a *Agent) newMail(received *spool.Spool) (*mail, error) {
	header, err := message.ParseHeader(received)
	if err != nil {
		return nil, fmt.Errorf("reading the spooled message: %w", err)
	}
	fields, err := watchedFields(header)
	if err != nil {
		return nil, fmt.Errorf("reading the spooled message: %w", err)
	}
	return &mail{agent: a, received: received, header: header, originator: readOriginator(header), fields: fields,
		at: a.now(), opened: map[*keys.Ring]*opened{}}, nil
}

// close gives back what the opened ciphertexts took.
func (m *mail) close() {
	for _, o := range m.opened {
		if err := o.result.Close(); err != nil {
			m.agent.log.Warn("spool not closed", "err", err)
		}
	}
}

// open runs unwrap and judge with the keys of one recipient domain; a nil ring opens nothing.
func (m *mail) open(ctx context.Context, ring *keys.Ring) (*opened, error) {
	if o := m.opened[ring]; o != nil {
		return o, nil
	}
	options := unwrap.Options{Spool: m.agent.spool, Strict: m.agent.strict}
	if ring != nil {
		options.Keys = ring
	}
	result, err := unwrap.Open(ctx, m.received, m.header, options)
	if err != nil {
		return nil, err
	}
	o := &opened{result: result, facts: policy.Facts{
		Originator:     m.originator,
		Fields:         m.fields,
		Layers:         result.Layers,
		Judgements:     m.judge(result.Layers),
		PartialContent: result.PartialContent,
		LimitReached:   result.LimitReached,
	}}
	m.opened[ring] = o
	return o, nil
}

// judge asks trust about every signer, with the anchors of the layer's role.
func (m *mail) judge(layers []unwrap.Layer) [][]trust.Judgement {
	judgements := make([][]trust.Judgement, len(layers))
	for i, layer := range layers {
		kind := trust.Person
		if layer.Role == unwrap.RoleDomain {
			kind = trust.Domain
		}
		judgements[i] = make([]trust.Judgement, len(layer.Signers))
		for j, signer := range layer.Signers {
			if signer.Certificate != nil && signer.Outcome != unwrap.NotVerified {
				judgements[i][j] = m.agent.trust.Judge(signer.Certificate, layer.Certificates, kind, m.at)
			}
		}
	}
	return judgements
}

// decide asks policy, and builds the view it names.
func (m *mail) decide(o *opened, class policy.Class) (policy.Decision, *message.View) {
	d := policy.Decide(o.facts, m.agent.policy, class)
	var view *message.View
	if d.Repack {
		view = o.result.Repackaged(d.Depth)
	} else {
		view = o.result.View(d.Depth)
	}
	view.Edits = append(view.Edits, d.Edits...)
	view.DropNames = policy.DropNames()
	return d, view
}

// asReceived is the message untouched.
func (m *mail) asReceived() *message.View {
	return &message.View{Received: m.received, Header: m.header}
}
