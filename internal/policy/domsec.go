package policy

import (
	"slices"
	"strings"

	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// A domsecResult is the verdict of DOMSEC (SEEDS part D) with what else follows from it.
type domsecResult struct {
	written bool // the message has an S/MIME layer
	signed  bool // a domain layer decided
	verdict Verdict
	naming  bool   // a naming violation, which must be flagged to the user (D4, D6)
	signer  string // the domain that signed; "" when its certificate names none
}

// domsecVerdict judges the message: the outermost domain signature that verifies and fits decides (DOM-R17).
func domsecVerdict(facts Facts, settings Settings) domsecResult {
	if facts.PartialContent {
		return domsecResult{written: true, verdict: Verdict{Method: "x-domsec", Result: resultPolicy, Reason: string(ReasonPartial)}}
	}
	if len(facts.Layers) == 0 {
		return domsecResult{}
	}
	best := domsecResult{}
	for i, layer := range facts.Layers {
		if layer.Type != unwrap.Signed || layer.Role != unwrap.RoleDomain && layer.SignatureTypeFault == "" {
			continue
		}
		r := domainLayer(facts, settings, i)
		if !best.written || rank(r) > rank(best) {
			best = r
		}
	}
	best.signed = best.written
	if weakCiphers(facts.Layers) != "" && best.verdict.Result == resultPass { // SEEDS 0.2
		best.verdict.Result, best.verdict.Reason = resultPolicy, string(ReasonWeakCipher)
	}
	if !best.written {
		best = noDomainLayer(facts)
	}
	best.written = true
	best.verdict.Method = "x-domsec"
	describe(&best, facts)
	return best
}

// rank orders the verdicts of several domain layers: one that fits decides; if none fits, one that verifies but is
// named wrongly; then the rest.
func rank(r domsecResult) int {
	switch {
	case r.verdict.Result == resultPass:
		return 3
	case r.naming:
		return 2
	case r.verdict.Result == resultPolicy:
		return 1
	}
	return 0
}

// domainLayer judges one layer by its best signer.
func domainLayer(facts Facts, settings Settings, i int) domsecResult {
	if fault := facts.Layers[i].SignatureTypeFault; fault != "" {
		return verdict(resultPermerror, Reason(fault))
	}
	best := domsecResult{}
	for j := range facts.Layers[i].Signers {
		r := domainSigner(facts, settings, i, j)
		if !best.written || rank(r) > rank(best) {
			best = r
		}
	}
	if best.verdict.Result == resultPass && !allGood(facts.Layers[i]) {
		best.verdict.Comment = "another signature of this layer fails"
	}
	return best
}

// weakCiphers names the ciphers that opened layers have and should not have.
func weakCiphers(layers []unwrap.Layer) string {
	var names []string
	for _, layer := range layers {
		if layer.Opened && layer.WeakCipher && !slices.Contains(names, layer.Algorithms[0]) {
			names = append(names, layer.Algorithms[0])
		}
	}
	return strings.Join(names, " ")
}

func allGood(layer unwrap.Layer) bool {
	for _, s := range layer.Signers {
		if s.Outcome != unwrap.Good {
			return false
		}
	}
	return true
}

func verdict(result string, reason Reason) domsecResult {
	return domsecResult{written: true, verdict: Verdict{Result: result, Reason: string(reason)}}
}

func domainSigner(facts Facts, settings Settings, i, j int) domsecResult {
	signer, judgement := facts.Layers[i].Signers[j], facts.Judgements[i][j]
	result, reason := cryptoResult(signer)
	switch {
	case result == resultNeutral:
		return verdict(resultPermerror, reason)
	case result != resultPass:
		return verdict(result, reason)
	case judgement.Revoked:
		return verdict(resultFail, ReasonRevoked)
	case facts.Originator.Fault != "":
		return verdict(resultPermerror, facts.Originator.Fault)
	case beside(facts.Layers, i):
		return verdict(resultPolicy, ReasonBeside)
	case weakness(signer) != "":
		return verdict(resultPolicy, weakness(signer))
	case !judgement.Trusted:
		r := verdict(resultPolicy, ReasonUntrusted)
		r.verdict = refused(r.verdict, judgement)
		return r
	}
	r := naming(facts.Originator, judgement)
	if r.verdict.Result == resultPass && settings.RequireInnerLayer && !encapsulates(facts.Layers, i) {
		r.verdict.Result, r.verdict.Reason = resultPolicy, string(ReasonNothingInside)
	}
	r.verdict = signedAt(r.verdict, signer.SigningTime)
	return r
}

// naming holds the names of a domain signer against the originator's domain (D4, DOM-R5 to R7).
func naming(from Originator, judgement trust.Judgement) domsecResult {
	if len(judgement.Agents) == 0 {
		r := verdict(resultPolicy, ReasonNoAgentName)
		r.naming = true
		return r
	}
	if agent, ok := coversAll(judgement, from.Domains); ok {
		r := verdict(resultPass, "")
		r.signer = agent.Domain
		return r
	}
	r := verdict(resultPolicy, ReasonForeign)
	r.naming, r.signer = true, judgement.Agents[0].Domain
	return r
}

// encapsulates reports whether layer i holds another signed layer (D13, DOM-R8).
func encapsulates(layers []unwrap.Layer, i int) bool {
	for i++; i < len(layers) && layers[i].Role == unwrap.RoleCompressed; i++ {
	}
	return i < len(layers) && layers[i].Type == unwrap.Signed && layers[i].Role != unwrap.RoleOther
}

// noDomainLayer is the verdict of a message that no domain signed (D29 and the table of part D(d)).
func noDomainLayer(facts Facts) domsecResult {
	opened := false
	for _, layer := range facts.Layers {
		switch {
		case layer.ForUs && !layer.Opened:
			return verdict(resultNeutral, ReasonCannotDecrypt)
		case layer.Type == unwrap.Unreadable, layer.Type == unwrap.Compressed && layer.Fault != nil:
			return verdict(resultPermerror, ReasonUnreadable)
		case unopened(layer):
			return verdict(resultNeutral, ReasonUnsupported)
		case layer.Type == unwrap.Signed && layer.Fault != nil && len(layer.Signers) == 0:
			return verdict(resultPermerror, ReasonUnreadable)
		}
		opened = opened || layer.Opened
	}
	switch {
	case facts.LimitReached:
		return verdict(resultPermerror, ReasonLimit)
	case opened:
		return verdict(resultPolicy, ReasonNotDomainSigned)
	}
	return verdict(resultNone, "")
}

// describe adds the properties and comments that SEEDS D(d) lists. Those of the signer stay last.
func describe(r *domsecResult, facts Facts) {
	signer := r.verdict.Properties
	r.verdict.Properties = nil
	encryption := encrypted(facts.Layers)
	if r.signed {
		if len(facts.Originator.Domains) == 1 && facts.Originator.Fault == "" {
			r.verdict = property(r.verdict, "header", "from", facts.Originator.Domains[0])
		}
		r.verdict = property(r.verdict, "body", "domsec-signer", r.signer)
		r.verdict.Remark = remarkHeader
	}
	switch {
	case r.verdict.Result == resultPass:
		r.verdict = property(r.verdict, "policy", "domsec-origin", origin(facts))
		if r.verdict.Comment == "" && forOthers(facts.Layers) {
			r.verdict.Comment = "inner content encrypted for the recipient" // example 7
		}
	case r.verdict.Result == resultNone && encryption == "recipient":
		r.verdict.Comment = "encrypted for the recipient" // section 4 case (a)
	}
	if r.verdict.Result != resultNone || encryption != "no" {
		r.verdict = property(r.verdict, "policy", "domsec-encrypted", encryption)
	}
	r.verdict.Properties = append(r.verdict.Properties, signer...)
}

// forOthers reports an envelope that none of our keys opens.
func forOthers(layers []unwrap.Layer) bool {
	for _, layer := range layers {
		if (layer.Type == unwrap.Enveloped || layer.Type == unwrap.AuthEnveloped) && !layer.ForUs {
			return true
		}
	}
	return false
}

// origin says how much the domain signature vouches for: a user whose own signature it encapsulates, or the domain
// alone (D22, D23).
func origin(facts Facts) string {
	for i, layer := range facts.Layers {
		if layer.Role != unwrap.RoleOriginator {
			continue
		}
		for j, signer := range layer.Signers {
			one := len(facts.Originator.Addresses) == 1
			if one && signer.Outcome == unwrap.Good && hasAddress(facts.Judgements[i][j], facts.Originator.Addresses[0]) {
				return "user"
			}
		}
	}
	return "domain"
}

func encrypted(layers []unwrap.Layer) string {
	for _, layer := range layers {
		if layer.ForUs {
			return "dca"
		}
	}
	if forOthers(layers) {
		return "recipient"
	}
	return "no"
}
