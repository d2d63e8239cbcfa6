package policy

import (
	"slices"
	"strings"
	"time"

	"paperknife/internal/trust"
	"paperknife/unwrap"
	"paperknife/verifyhdr"
)

// smimeVerdicts gives one `smime` result per SignerInfo, outermost layer first (RFC 7281).
func smimeVerdicts(facts Facts) []Verdict {
	if facts.PartialContent {
		return []Verdict{{Method: "smime", Result: resultNone}}
	}
	var verdicts []Verdict
	for i, layer := range facts.Layers {
		if layer.Type != unwrap.Signed && layer.Type != unwrap.Unreadable {
			continue
		}
		if layer.Fault != nil && len(layer.Signers) == 0 {
			verdicts = append(verdicts, property(Verdict{Method: "smime", Result: resultNeutral, Reason: string(ReasonUnreadable)},
				"body", "smime-part", layer.Part))
			continue
		}
		for j := range layer.Signers {
			verdicts = append(verdicts, smimeVerdict(facts, i, j))
		}
	}
	return verdicts
}

func smimeVerdict(facts Facts, i, j int) Verdict {
	layer, judgement := facts.Layers[i], facts.Judgements[i][j]
	v := Verdict{Method: "smime", Comment: string(layer.Role), Remark: remarkHeader}
	result, reason := signerResult(facts, i, j)
	v.Result, v.Reason = result, string(reason)
	v = property(v, "body", "smime-part", layer.Part)
	v = certificateProperties(v, layer.Signers[j], judgement, facts.Originator)
	if reason == ReasonUntrusted {
		v = refused(v, judgement)
	}
	return signedAt(v, layer.Signers[j].SigningTime)
}

// signerResult maps the facts of one signer to a result, in the order of what is worst (DESIGN, "What smime says of one signature").
func signerResult(facts Facts, i, j int) (string, Reason) {
	layer, signer, judgement := facts.Layers[i], facts.Layers[i].Signers[j], facts.Judgements[i][j]
	if result, reason := cryptoResult(signer); result != resultPass {
		return result, reason
	}
	switch {
	case judgement.Revoked:
		return resultFail, ReasonRevoked
	case beside(facts.Layers, i):
		return resultPolicy, ReasonBeside
	case layer.Role == unwrap.RoleMLA:
		return resultPolicy, ReasonMailingList
	case weakness(signer) != "":
		return resultPolicy, weakness(signer)
	case !judgement.Trusted:
		return resultPolicy, ReasonUntrusted
	case facts.Originator.Fault != "":
		return resultPolicy, facts.Originator.Fault
	}
	return bound(facts, i, judgement)
}

// beside reports whether something that nobody signed may be shown beside what layer i signed: in that layer, or in one
// around it, which is no more than a multipart with other parts when it is broken (THREATS B01, B08).
func beside(layers []unwrap.Layer, i int) bool {
	return slices.ContainsFunc(layers[:i+1], func(l unwrap.Layer) bool {
		return (l.Type == unwrap.Signed || l.Type == unwrap.Compressed) && (!l.WholeBody || l.Fault != nil)
	})
}

// cryptoResult is what the signature alone says.
func cryptoResult(signer unwrap.Signer) (string, Reason) {
	switch signer.Outcome {
	case unwrap.Good:
		return resultPass, ""
	case unwrap.BadDigest:
		return resultFail, ReasonDigest
	case unwrap.BadSignature:
		return resultFail, ReasonSignature
	case unwrap.NoCertificate:
		return resultPermerror, ReasonNoCertificate
	case unwrap.Unsupported:
		return resultNeutral, ReasonAlgorithm
	case unwrap.NotVerified:
		return resultNeutral, ReasonSignatures
	}
	return resultNeutral, ReasonAttributes
}

// weakness names what keeps a good signature from `pass` (DESIGN rule 6); "" for nothing.
func weakness(signer unwrap.Signer) Reason {
	switch {
	case !signer.SignedAttrs:
		return ReasonNoAttributes
	case !strongDigest(signer.Digest) || slices.ContainsFunc(signer.Masked, func(d string) bool { return !strongDigest(d) }):
		return ReasonSHA1
	case !slices.Contains(strongAlgorithms, signer.Algorithm):
		return ReasonAlgorithm
	case strings.HasPrefix(signer.Algorithm, "rsa") && signer.KeyBits < 2048:
		return ReasonWeakKey
	case signer.LineEnds:
		return ReasonLineEnds
	}
	return ""
}

// strongAlgorithms may pass (SEEDS 0.2). For those of the second line trust knows no path yet, or only one by other
// algorithms; one it does know counts (DESIGN rule 6).
var strongAlgorithms = []string{"rsa", "rsa-pss", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519",
	"ed448", "ecdsa-brainpoolP256r1", "ecdsa-brainpoolP384r1", "ecdsa-brainpoolP512r1", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"}

func strongDigest(name string) bool { return name != "sha1" && name != "md5" && name != "" }

// refused says which rule of trust the certificate broke, where there is more to say than that it is not trusted.
func refused(v Verdict, judgement trust.Judgement) Verdict {
	if judgement.Reason == trust.ReasonUntrusted {
		return v
	}
	return property(v, "policy", "refused", judgement.Reason)
}

// bound holds the certificate's names against From: the address itself, or for a domain signer a name that covers the
// domain of every From address.
func bound(facts Facts, i int, judgement trust.Judgement) (string, Reason) {
	from := facts.Originator
	if facts.Layers[i].Role == unwrap.RoleDomain {
		if _, ok := coversAll(judgement, from.Domains); ok {
			return resultPass, ""
		}
		// The anchors of domains vouch for agents of domains. A person who claims the type of one is not bound by them.
		if len(judgement.Agents) == 0 || len(from.Addresses) != 1 || !hasAddress(judgement, from.Addresses[0]) {
			return resultPolicy, ReasonForeign
		}
		return resultPass, ""
	}
	if len(from.Addresses) != 1 || !hasAddress(judgement, from.Addresses[0]) {
		return resultPolicy, ReasonNotBound
	}
	if otherFails(facts, i, from.Addresses[0]) {
		return resultPolicy, ReasonOtherSigner
	}
	return resultPass, ""
}

// otherFails reports whether a signer of the same layer that claims the address, or cannot be told, did not verify
// (THREATS A21).
func otherFails(facts Facts, i int, address string) bool {
	for j, signer := range facts.Layers[i].Signers {
		if signer.Outcome == unwrap.Good {
			continue
		}
		if signer.Certificate == nil || signer.Outcome == unwrap.NotVerified || hasAddress(facts.Judgements[i][j], address) {
			return true
		}
	}
	return false
}

func hasAddress(judgement trust.Judgement, address string) bool {
	return slices.ContainsFunc(judgement.Emails, func(e string) bool { return trust.EqualAddress(e, address) })
}

// coversAll returns the agent name that covers every domain (DOM-R6).
func coversAll(judgement trust.Judgement, domains []string) (trust.Agent, bool) {
	var agent trust.Agent
	for i, domain := range domains {
		a, ok := judgement.Covers(domain)
		if !ok {
			return trust.Agent{}, false
		}
		if i == 0 {
			agent = a
		}
	}
	return agent, len(domains) > 0
}

// certificateProperties names the signer's certificate: an address of it, else serial and issuer (RFC 7281).
func certificateProperties(v Verdict, signer unwrap.Signer, judgement trust.Judgement, from Originator) Verdict {
	identifier := ""
	for _, email := range judgement.Emails {
		if identifier == "" || len(from.Addresses) == 1 && trust.EqualAddress(email, from.Addresses[0]) {
			identifier = email
		}
	}
	if identifier != "" {
		return property(v, "body", "smime-identifier", identifier)
	}
	serial := judgement.Serial
	if serial == "" && signer.Serial != nil {
		serial = signer.Serial.String()
	}
	if serial == "" || judgement.Issuer == "" {
		return v
	}
	v = property(v, "body", "smime-serial", serial)
	return property(v, "body", "smime-issuer", judgement.Issuer)
}

func property(v Verdict, ptype, name, value string) Verdict {
	if value != "" {
		v.Properties = append(v.Properties, verifyhdr.Property{Type: ptype, Name: name, Value: value})
	}
	return v
}

func signedAt(v Verdict, at time.Time) Verdict {
	if at.IsZero() {
		return v
	}
	return property(v, "policy", "signed-at", at.UTC().Format(time.RFC3339))
}

// unopened reports a type of object that is recognised and no more.
func unopened(layer unwrap.Layer) bool {
	return layer.Type == unwrap.Digested || layer.Type == unwrap.Encrypted || layer.Type == unwrap.Authenticated
}
