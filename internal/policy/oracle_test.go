package policy

import (
	"testing"

	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// worst are the verdicts of x-domsec that a site may refuse mail for, one for every reason there is.
func worst() map[Reason]struct {
	layer     unwrap.Layer
	judgement trust.Judgement
	from      Originator
} {
	type message = struct {
		layer     unwrap.Layer
		judgement trust.Judgement
		from      Originator
	}
	bad := map[Reason]message{}
	ours := from("a@example.com")
	domain := func(outcome unwrap.Outcome) unwrap.Layer { return signed(unwrap.RoleDomain, domainSignerInfo(outcome)) }
	for reason, outcome := range map[Reason]unwrap.Outcome{
		ReasonDigest: unwrap.BadDigest, ReasonSignature: unwrap.BadSignature, ReasonNoCertificate: unwrap.NoCertificate,
		ReasonAlgorithm: unwrap.Unsupported, ReasonAttributes: unwrap.Malformed,
	} {
		bad[reason] = message{domain(outcome), gate, ours}
	}
	revoked, nameless := gate, gate
	revoked.Revoked, revoked.Trusted = true, false
	nameless.Agents = nil
	bad[ReasonRevoked] = message{domain(unwrap.Good), revoked, ours}
	bad[ReasonForeign] = message{domain(unwrap.Good), gate, from("a@example.org")}
	bad[ReasonNoAgentName] = message{domain(unwrap.Good), nameless, ours}
	for _, fault := range []Reason{ReasonNoFrom, ReasonDuplicateFrom, ReasonFromSyntax, ReasonMalformed} {
		bad[fault] = message{domain(unwrap.Good), gate, Originator{Fault: fault}}
	}
	layer := domain(unwrap.Good)
	layer.SignatureTypeFault = "malformed signatureType"
	bad[Reason(layer.SignatureTypeFault)] = message{layer, gate, ours}
	layer = unwrap.Layer{Type: unwrap.Unreadable, Role: unwrap.RoleOther, Part: "1", Fault: unwrap.ErrContent}
	bad[ReasonUnreadable] = message{layer, trust.Judgement{}, ours}
	return bad
}

// DESIGN rule 2: for every reason to refuse a message there is, nothing is refused where a key of ours may have been
// used, whether the ciphertext stands around what is bad or inside it, and whether it opened or not: which of these it
// was is nothing for the sender to know.
func TestOracleEveryReason(t *testing.T) {
	s := settings
	s.Enforce = EnforceReject
	for reason, b := range worst() {
		judgements := func(layers []unwrap.Layer, at int) [][]trust.Judgement {
			list := make([][]trust.Judgement, len(layers))
			for i, l := range layers {
				list[i] = make([]trust.Judgement, len(l.Signers))
			}
			for i := range list[at] {
				list[at][i] = b.judgement
			}
			return list
		}
		decide := func(at int, layers ...unwrap.Layer) Decision {
			return Decide(Facts{Originator: b.from, Layers: layers, Judgements: judgements(layers, at)}, s, ClassIncapable)
		}
		open := decide(0, b.layer, signed(unwrap.RoleEmpty))
		if open.Action != ActionReject {
			t.Errorf("%s: %s in the open: %s", reason, open.Action, line(open))
		}
		sealed, text := b.layer, signed(unwrap.RoleEmpty)
		sealed.Sealed, text.Sealed = true, true
		for name, d := range map[string]Decision{
			"inside":                decide(1, envelope(true, true, true), sealed, text),
			"around what opens":     decide(0, b.layer, envelope(true, true, true), text),
			"around what does not":  decide(0, b.layer, envelope(false, false, false)),
			"around what is unsafe": decide(0, b.layer, envelope(true, false, false), text),
		} {
			if d.Action != ActionQuarantine {
				t.Errorf("%s, %s a ciphertext for us: %s, want quarantine: %s", reason, name, d.Action, line(d))
			}
		}
		// What is for others is no secret of ours.
		if d := decide(0, b.layer, foreignEnvelope); d.Action != ActionReject {
			t.Errorf("%s, around a ciphertext for others: %s", reason, d.Action)
		}
	}
}
