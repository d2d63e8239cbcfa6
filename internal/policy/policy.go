// Package policy turns facts and judgements about one message into a decision for one recipient: what is done, which
// view is delivered, which header fields change and what Authentication-Results says. It is a pure function: it reads
// no clock, no file and no network, and it never touches the message.
//
// One rule stands above all others here: what the inside of a ciphertext says never shows to the sender (DESIGN rule
// 2). A decision that rests on a sealed fact is never reject or defer.
package policy

import (
	"paperknife/internal/message"
	"paperknife/internal/trust"
	"paperknife/unwrap"
	"paperknife/verifyhdr"
)

// A Class says what a recipient's mail reader can do with S/MIME.
type Class string

// The classes of DESIGN's [mua].
const (
	ClassReceived  Class = "received"  // wants every message as it came
	ClassCapable   Class = "capable"   // reads S/MIME
	ClassUnknown   Class = "unknown"   // may or may not
	ClassIncapable Class = "incapable" // does not
)

// An Enforcement says what happens to a message whose verdict is bad.
type Enforcement string

// The enforcements of DESIGN's [policy].
const (
	EnforceReport     Enforcement = "report"
	EnforceMark       Enforcement = "mark"
	EnforceQuarantine Enforcement = "quarantine"
	EnforceReject     Enforcement = "reject"
)

// An Action is what is done with the message.
type Action string

// The actions. The sender sees a difference only for Reject.
const (
	ActionDeliver    Action = "deliver"
	ActionMark       Action = "mark"
	ActionQuarantine Action = "quarantine"
	ActionReject     Action = "reject"
)

// A View names what is delivered.
type View string

// The views (DESIGN, "Views by class of recipient").
const (
	ViewReceived View = "received" // as it came
	ViewOpened   View = "opened"   // domain, empty, mailing-list layers and our ciphertexts off
	ViewPlain    View = "plain"    // all S/MIME off that can come off
)

// Unauthenticated says what happens to CBC plaintext that no signature inside covers (DESIGN rule 5).
type Unauthenticated string

// The values of a partner's `unauthenticated`.
const (
	UnauthenticatedGated Unauthenticated = "gated" // released when it passes the gate
	UnauthenticatedKeep  Unauthenticated = "keep"  // delivered still encrypted
)

// Settings are what the postmaster configured, filled from the configuration by internal/agent.
type Settings struct {
	AuthservID        string
	TrustedIDs        []string // authserv-ids whose fields stay
	Enforce           Enforcement
	RequireInnerLayer bool                       // DOM-R8; true by default
	Unauthenticated   map[string]Unauthenticated // by sender domain, A-label; absent: gated
}

// An Originator is what the From fields of the received header say.
type Originator struct {
	Fault     Reason   // "" when there is exactly one From field and all its addresses could be read
	Addresses []string // addr-specs; domains as lower-case A-labels
	Domains   []string // of Addresses, in order
}

// A Field is one field of the received header that policy may have to change.
type Field struct {
	Index int
	Name  string // lower case
	Raw   []byte // whole field
	Cut   bool   // Raw is its first octets: it is too long to be read
}

// Facts are all that is known about one message for one recipient domain.
type Facts struct {
	Originator     Originator
	Fields         []Field // Authentication-Results, our own trace and flag fields, Subject
	Layers         []unwrap.Layer
	Judgements     [][]trust.Judgement // for each layer, for each signer; made with the anchors of the layer's role
	PartialContent bool
	LimitReached   bool
}

// A Verdict is one line of results: a method with its code, reason and properties.
type Verdict = verifyhdr.ResInfo

// A Decision is what is to be done for one recipient.
type Decision struct {
	Action  Action
	View    View
	Depth   int    // layers taken off
	Repack  bool   // the opaque signature below them becomes multipart/signed
	Reason  Reason // why the view or the action is not the ordinary one; "" otherwise
	Edits   []message.Edit
	Results []Verdict
	Layers  []LayerResult // one per layer of the facts
	Compat  []string      // what was let through against the standards, for the log

	// Sealed says that a ciphertext for us had a part in the decision: what follows from it must look the same to the
	// sender whatever is inside (DESIGN rule 2).
	Sealed bool
	// KeepOriginal says that a postmaster who keeps originals gets this one, since what is delivered is not what came.
	// With a ciphertext for us it is set whether that could be opened or not, so that a fault of the store does not
	// tell which.
	KeepOriginal bool
}

// Decide makes the decision for one recipient of the given class.
func Decide(facts Facts, settings Settings, class Class) Decision {
	all := facts
	facts = released(facts, settings)
	d := Decision{Action: ActionDeliver, Layers: layerResults(all, facts)}
	d.View, d.Depth, d.Repack, d.Reason = chooseView(facts.Layers, class)
	for _, layer := range all.Layers {
		d.Compat = append(d.Compat, layer.Compat...)
	}
	smime := smimeVerdicts(facts)
	domsec := domsecVerdict(facts, settings)
	d.Results = smime
	if domsec.written {
		d.Results = append(d.Results, domsec.verdict)
	}
	d.Sealed = sealed(facts)
	d.KeepOriginal = d.Depth > 0 || d.Repack || d.Sealed && class != ClassReceived
	enforce(&d, domsec, settings.Enforce)
	d.Edits = edits(facts, settings, d, domsec)
	return d
}

// released cuts the layers at a ciphertext whose plaintext may not be used: what stands inside is then as unknown as
// if it could not have been decrypted.
func released(facts Facts, settings Settings) Facts {
	for i, layer := range facts.Layers {
		if !layer.Opened || usable(layer, facts, settings) {
			continue
		}
		layers := append([]unwrap.Layer(nil), facts.Layers[:i+1]...)
		layers[i].Opened, layers[i].Strippable = false, false
		layers[i].Fault = unwrap.ErrOpen
		facts.Layers = layers
		facts.Judgements = facts.Judgements[:min(i+1, len(facts.Judgements))]
		break
	}
	return facts
}

// usable is DESIGN rule 5: authenticated encryption needs no gate, only an entity that can take its place.
func usable(layer unwrap.Layer, facts Facts, settings Settings) bool {
	if layer.Type == unwrap.AuthEnveloped || layer.Authenticated {
		return layer.Strippable
	}
	return layer.Covered || layer.GateGood && partnerSetting(facts.Originator, settings) != UnauthenticatedKeep
}

func partnerSetting(originator Originator, settings Settings) Unauthenticated {
	for _, domain := range originator.Domains {
		if s, ok := settings.Unauthenticated[domain]; ok {
			return s
		}
	}
	return UnauthenticatedGated
}

// enforce applies [policy] enforce to a bad x-domsec. The oracle rule turns reject into quarantine when the verdict
// rests on anything sealed.
func enforce(d *Decision, domsec domsecResult, setting Enforcement) {
	bad := domsec.written && (domsec.verdict.Result == resultFail || domsec.verdict.Result == resultPermerror || domsec.naming)
	if !bad {
		return
	}
	switch setting {
	case EnforceMark:
		d.Action = ActionMark
	case EnforceQuarantine:
		d.Action, d.Reason = ActionQuarantine, ReasonDomsec
	case EnforceReject:
		d.Action, d.Reason = ActionReject, ReasonDomsec
	}
	if d.Action == ActionReject && d.Sealed {
		d.Action = ActionQuarantine
	}
}

// sealed reports whether a key of ours was used on the message at all: whether it helped or not must not show.
func sealed(facts Facts) bool {
	for _, layer := range facts.Layers {
		if layer.Sealed || layer.ForUs {
			return true
		}
	}
	return false
}
