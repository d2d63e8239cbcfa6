package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"paperknife/deliver"
	"paperknife/internal/keys"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/internal/trust"
)

// A recipient is one accepted recipient of a transaction.
type recipient struct {
	deliver.Recipient
	known bool // false: the filter was not told
}

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
	mail      *mail
	decisions []policy.Decision
	results   []status.Result
}

// process takes one spooled message through the steps and returns one Result per recipient, in their order. It never
// panics: a fault of ours in one message is "try again later" for that message only.
func (a *Agent) process(ctx context.Context, received *spool.Spool, e envelope) []status.Result {
	p := &passage{envelope: e, decisions: make([]policy.Decision, len(e.recipients)), results: make([]status.Result, len(e.recipients))}
	a.steps(ctx, received, p)
	a.logResults(e, received.Size(), p.decisions, p.results)
	return p.results
}

func (a *Agent) steps(ctx context.Context, received *spool.Spool, p *passage) {
	defer a.contain(p, allOf(p.results))
	if err := faultPoint(received); err != nil {
		p.fill(status.From(err))
		return
	}
	var err error
	if p.mail, err = a.newMail(received); err != nil {
		p.fill(status.From(err))
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

func allOf(results []status.Result) []int {
	indexes := make([]int, len(results))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

func (p *passage) fill(r status.Result) {
	for i := range p.results {
		p.results[i] = r
	}
}

var errPanic = errors.New("panic while delivering")

// A group is the recipients that get the same decision: same keys, same class.
type group struct {
	ring    *keys.Ring
	class   policy.Class
	indexes []int
}

func (a *Agent) groups(recipients []recipient) []group {
	var list []group
next:
	for i, r := range recipients {
		ring, class := a.ring(r), a.classOf(r)
		for g := range list {
			if list[g].ring == ring && list[g].class == class {
				list[g].indexes = append(list[g].indexes, i)
				continue next
			}
		}
		list = append(list, group{ring, class, []int{i}})
	}
	return list
}

// ring returns the keys that may open mail for a recipient: those of his domain and no others (DESIGN rule 11). A
// recipient without a domain is a local user, whose domain is the first.
func (a *Agent) ring(r recipient) *keys.Ring {
	at := strings.LastIndexByte(r.Address, '@')
	if !r.known || at < 0 {
		return a.firstRing
	}
	domain, err := trust.NormalizeDomain(r.Address[at+1:])
	if err != nil {
		return nil
	}
	return a.rings[domain]
}

// deliverGroup opens, decides and delivers for one group.
func (a *Agent) deliverGroup(ctx context.Context, p *passage, g group) {
	defer a.contain(p, g.indexes)
	if g.indexes = refuseLoops(p, g.indexes); len(g.indexes) == 0 {
		return
	}
	set := func(r status.Result) {
		for _, i := range g.indexes {
			p.results[i] = r
		}
	}
	o, err := p.mail.open(ctx, g.ring)
	if err != nil {
		set(status.From(err))
		return
	}
	decision, view := p.mail.decide(o, g.class)
	for _, i := range g.indexes {
		p.decisions[i] = decision
	}
	if decision.Action == policy.ActionReject {
		set(status.Reject(status.Enhanced{Class: 5, Subject: 7, Detail: 1}, string(decision.Reason), nil))
		return
	}
	if r := a.keepOriginal(ctx, p, o, g.class, decision); !r.Delivered() {
		set(r)
		return
	}
	if decision.Action == policy.ActionQuarantine && p.final {
		r := a.store(ctx, a.quarantine, p.sender, view)
		if r.Delivered() || !o.forUs() {
			set(r)
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

// keepOriginal stores the message as received before an altered view of it is delivered (DESIGN rule 12). A ciphertext
// for us is stored whether it could be opened or not, so that a fault of this Maildir does not tell which.
func (a *Agent) keepOriginal(ctx context.Context, p *passage, o *opened, class policy.Class, d policy.Decision) status.Result {
	altered := d.Depth > 0 || d.Repack || o.forUs() && class != policy.ClassReceived
	if a.original == nil || !altered {
		return status.Delivered()
	}
	return a.store(ctx, a.original, p.sender, &message.View{Received: p.mail.received, Header: p.mail.header})
}

// store writes a view to a Maildir of the postmaster's.
func (a *Agent) store(ctx context.Context, target deliver.Target, sender string, view deliver.View) status.Result {
	if target == nil {
		return status.Result{Err: errors.New("no quarantine configured")}
	}
	t := target.Begin(ctx, sender)
	defer t.Close()
	results := t.Deliver(ctx, view, []deliver.Recipient{{}})
	if len(results) != 1 {
		return status.Result{Err: errors.New("target gave no result")}
	}
	return results[0]
}
