package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"paperknife/deliver"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/status"
)

// An envelope is what the steps know beside the message.
type envelope struct {
	sender     string
	recipients []recipient
	target     deliver.Transaction
	final      bool  // delivery ends here: loops are refused (THREATS C22)
	attributes []any // for the log: queue-id, client
}

// A passage is one message in process: its envelope and, per recipient, what was decided and what came of it.
type passage struct {
	envelope
	received  *spool.Spool
	mail      *mail
	decisions []policy.Decision
	results   []status.Result
}

// process takes one spooled message through the steps and returns one Result per recipient, in their order. It never
// panics: a fault of ours in one message is "try again later" for that message only.
func (a *Agent) process(ctx context.Context, received *spool.Spool, e envelope) []status.Result {
	p := &passage{envelope: e, received: received, decisions: make([]policy.Decision, len(e.recipients)),
		results: make([]status.Result, len(e.recipients))}
	a.steps(ctx, p)
	a.logResults(p)
	return p.results
}

func (a *Agent) steps(ctx context.Context, p *passage) {
	all := make([]int, len(p.recipients))
	for i := range all {
		all[i] = i
	}
	defer a.contain(p, all)
	faultPoint()
	var err error
	if p.mail, err = a.newMail(p.received); err != nil {
		p.set(all, status.From(err))
		return
	}
	defer p.mail.close()
	for _, group := range a.groups(p.recipients) {
		a.deliverGroup(ctx, p, group)
	}
}

// contain is to be deferred. It turns a panic into "try again later" for those of the recipients that have no answer
// yet: what was delivered stays delivered, what was refused stays refused, and other groups have their turn.
func (a *Agent) contain(p *passage, indexes []int) {
	r := recover()
	if r == nil {
		return
	}
	line := append(slices.Clone(p.attributes), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	a.log.Error("panic while delivering", line...)
	for _, i := range indexes {
		if p.results[i].Temporary() {
			p.results[i] = status.Result{Err: errPanic}
		}
	}
}

// set gives the recipients at some indexes the same result.
func (p *passage) set(indexes []int, r status.Result) {
	for _, i := range indexes {
		p.results[i] = r
	}
}

var errPanic = errors.New("panic while delivering")

// deliverGroup opens, decides and delivers for one group.
func (a *Agent) deliverGroup(ctx context.Context, p *passage, g group) {
	defer a.contain(p, g.indexes)
	if g.indexes = refuseLoops(p, g.indexes); len(g.indexes) == 0 {
		return
	}
	o, err := p.mail.open(ctx, g.ring)
	if err != nil {
		p.set(g.indexes, status.From(err))
		return
	}
	decision, view := p.mail.decide(o, g.class)
	for _, i := range g.indexes {
		p.decisions[i] = decision
	}
	if decision.Action == policy.ActionReject {
		p.set(g.indexes, status.Reject(status.Enhanced{Class: 5, Subject: 7, Detail: 1}, string(decision.Reason), nil))
		return
	}
	if decision.KeepOriginal && a.original != nil {
		if r := a.store(ctx, a.original, p.sender, p.mail.asReceived()); !r.Delivered() {
			p.set(g.indexes, r)
			return
		}
	}
	if decision.Action == policy.ActionQuarantine && p.final {
		r := a.store(ctx, a.quarantine, p.sender, view)
		if r.Delivered() || !decision.Sealed {
			p.set(g.indexes, r)
			return
		}
		// That the quarantine cannot be written must not tell the sender what the inside of a ciphertext said (DESIGN
		// rule 2): the message goes to its recipient, with the field that policy has put on it.
		a.log.Error("quarantine not written, delivered with a mark", append(slices.Clone(p.attributes), "err", r.Error())...)
	}
	a.hand(ctx, p, g, view)
}

// refuseLoops answers for the recipients to whom the message has been delivered before, and returns the others. It comes
// before every decision: one that rests on a sealed fact must not hide or show a loop to the sender (DESIGN rule 2).
func refuseLoops(p *passage, indexes []int) []int {
	if !p.final {
		return indexes
	}
	var rest []int
	for _, i := range indexes {
		if r, looped := deliver.Looped(p.mail.header, p.recipients[i].Address); looped {
			p.results[i] = r
			continue
		}
		rest = append(rest, i)
	}
	return rest
}

// hand gives the view to the target for the recipients of a group.
func (a *Agent) hand(ctx context.Context, p *passage, g group, view *message.View) {
	var list []deliver.Recipient
	for _, i := range g.indexes {
		list = append(list, p.recipients[i].Recipient)
	}
	for n, r := range p.target.Deliver(ctx, view, list) {
		if n < len(g.indexes) {
			p.results[g.indexes[n]] = r
		}
	}
}

// store writes a view to a Maildir of the postmaster's.
func (a *Agent) store(ctx context.Context, target deliver.Target, sender string, view deliver.View) status.Result {
	if target == nil {
		return status.Result{Err: errors.New("no quarantine configured")}
	}
	t := target.Begin(ctx, sender)
	defer a.closeTarget(t)
	results := t.Deliver(ctx, view, []deliver.Recipient{{}})
	if len(results) != 1 {
		return status.Result{Err: errors.New("target gave no result")}
	}
	return results[0]
}

// closeTarget ends a transaction of a target. What was delivered stays, so an error is for the log alone.
func (a *Agent) closeTarget(t deliver.Transaction) {
	if err := t.Close(); err != nil {
		a.log.Warn("target not closed", "err", err)
	}
}
