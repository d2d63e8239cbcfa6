package tool

import (
	"errors"
	"slices"
	"strings"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/trust"
	"paperknife/unwrap"
	"paperknife/verifyhdr"
)

// A Report is the object that `explain -json` prints. The names of authserv_id, subject, layers, results and decision,
// and of what is in them, are a contract.
type Report struct {
	AuthservID   string         `json:"authserv_id"`
	Subject      string         `json:"subject"`
	From         []string       `json:"from"`
	FromFault    string         `json:"from_fault,omitempty"`
	Layers       []ReportLayer  `json:"layers"`
	Results      []ReportResult `json:"results"`
	Recipient    string         `json:"recipient,omitempty"`
	Class        string         `json:"class"`
	Decision     ReportDecision `json:"decision"`
	Views        []ReportView   `json:"views"`
	Removed      []ReportField  `json:"removed"`
	Changed      []ReportField  `json:"changed"`
	Parts        []ReportPart   `json:"parts"`
	LimitReached bool           `json:"limit_reached,omitempty"`
}

// A ReportLayer is one S/MIME layer, outermost first.
type ReportLayer struct {
	Type       string         `json:"type"`
	Role       string         `json:"role"`
	Part       string         `json:"part,omitempty"`
	Detached   bool           `json:"detached,omitempty"`
	Algorithms []string       `json:"algorithms"`
	Signers    []ReportSigner `json:"signers"`
	Result     string         `json:"result"`
	Reason     string         `json:"reason"`
	Compat     []string       `json:"compat,omitempty"`
	Fault      string         `json:"fault,omitempty"`
	Attributes []string       `json:"attribute_faults,omitempty"`
	Why        string         `json:"why,omitempty"`
}

// A ReportSigner is one SignerInfo, and what its certificate says of itself. Texts from certificates are printable
// ASCII of bounded length.
type ReportSigner struct {
	Subject        string   `json:"subject,omitempty"`
	Issuer         string   `json:"issuer,omitempty"`
	Serial         string   `json:"serial,omitempty"`
	Fingerprint    string   `json:"fingerprint,omitempty"`
	NotBefore      string   `json:"not_before,omitempty"`
	NotAfter       string   `json:"not_after,omitempty"`
	Emails         []string `json:"emails,omitempty"`
	Domains        []string `json:"domains,omitempty"`
	Digest         string   `json:"digest"`
	Algorithm      string   `json:"algorithm"`
	KeyBits        int      `json:"key_bits,omitempty"`
	SigningTime    string   `json:"signing_time,omitempty"`
	SignatureTypes []string `json:"signature_types,omitempty"`
	Verified       bool     `json:"verified"`
	Trusted        bool     `json:"trusted"`
	Refused        string   `json:"refused,omitempty"` // why the certificate is not trusted, in full
	Detail         string   `json:"detail,omitempty"`
	Result         string   `json:"result,omitempty"`
	Reason         string   `json:"reason,omitempty"`
	Why            string   `json:"why,omitempty"`

	SignatureDigests []string          `json:"signature_digests,omitempty"` // of RSASSA-PSS: of what is signed, and of MGF1
	Attributes       *ReportAttributes `json:"attributes,omitempty"`
}

// A ReportResult is one result of Authentication-Results.
type ReportResult struct {
	Method     string            `json:"method"`
	Result     string            `json:"result"`
	Reason     string            `json:"reason"`
	Comment    string            `json:"comment,omitempty"`
	Properties map[string]string `json:"properties"`
}

// A ReportDecision is what would be done.
type ReportDecision struct {
	Action string `json:"action"`
	View   string `json:"view"`
	Reason string `json:"reason"`
}

// A ReportView is what recipients of one class would get.
type ReportView struct {
	Class      string `json:"class"`
	Action     string `json:"action"`
	View       string `json:"view"`
	Reason     string `json:"reason"`
	LayersOff  int    `json:"layers_off"`
	Repackaged bool   `json:"repackaged,omitempty"` // an opaque signature becomes multipart/signed
}

// A ReportField is a field of the received header that would be removed, or one that would be changed as it would be.
type ReportField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A ReportPart is an S/MIME entity that is not the whole message, and so is not opened.
type ReportPart struct {
	Section string `json:"section"`
	Type    string `json:"type"`
	Direct  bool   `json:"direct"` // a direct child of the outermost multipart
}

func newReport(e *agent.Explanation) (Report, error) {
	r := Report{
		AuthservID:   e.AuthservID,
		Subject:      e.Subject,
		From:         append([]string{}, e.Originator.Addresses...),
		FromFault:    string(e.Originator.Fault),
		Layers:       []ReportLayer{},
		Results:      []ReportResult{},
		Class:        string(e.Class),
		Decision:     ReportDecision{string(e.Decision.Action), string(e.Decision.View), string(e.Decision.Reason)},
		LimitReached: e.LimitReached,
	}
	verdicts := e.Decision.Results
	for i, layer := range e.Layers {
		var own []policy.Verdict
		own, verdicts = verdictsOf(layer, verdicts)
		r.Layers = append(r.Layers, reportLayer(e, i, own))
	}
	for _, v := range e.Decision.Results {
		r.Results = append(r.Results, reportResult(v))
	}
	for _, c := range e.Classes {
		d := c.Decision
		r.Views = append(r.Views, ReportView{string(c.Class), string(d.Action), string(d.View), string(d.Reason), d.Depth, d.Repack})
	}
	err := r.addFields(e)
	return r, err
}

// verdictsOf takes from the front of a list the `smime` verdicts of one layer: there is one for each signer.
func verdictsOf(layer unwrap.Layer, list []policy.Verdict) (own, rest []policy.Verdict) {
	n := 0
	for n < len(list) && n < len(layer.Signers) && list[n].Method == "smime" && hasPart(list[n], layer.Part) {
		n++
	}
	own, rest = list[:n], list[n:]
	if len(layer.Signers) == 0 && len(rest) > 0 && rest[0].Method == "smime" && layer.Fault != nil && hasPart(rest[0], layer.Part) {
		rest = rest[1:] // the one verdict of an unreadable layer
	}
	return own, rest
}

func hasPart(v policy.Verdict, part string) bool {
	return slices.ContainsFunc(v.Properties, func(p verifyhdr.Property) bool {
		return p.Type == "body" && p.Name == "smime-part" && p.Value == part
	})
}

func reportLayer(e *agent.Explanation, i int, verdicts []policy.Verdict) ReportLayer {
	layer, result := e.Layers[i], e.Decision.Layers[i]
	l := ReportLayer{Type: string(layer.Type), Role: string(layer.Role), Part: layer.Part, Detached: layer.Detached,
		Algorithms: layer.Algorithms, Attributes: layer.AttributeFaults, Signers: []ReportSigner{},
		Result: result.Result, Reason: string(result.Reason), Compat: layer.Compat, Why: layerWhy(layer, result)}
	if l.Algorithms == nil {
		l.Algorithms = []string{}
	}
	// What kept a ciphertext shut has one constant text (DESIGN rule 2).
	if layer.Fault != nil && !errors.Is(layer.Fault, unwrap.ErrOpen) {
		l.Fault = printable(layer.Fault.Error())
	}
	for j, s := range layer.Signers {
		signer := reportSigner(s, e.Judgements[i][j])
		if j < len(verdicts) {
			signer.Result, signer.Reason = verdicts[j].Result, verdicts[j].Reason
			signer.Why = signerWhy(layer, s, e.Judgements[i][j], policy.Reason(verdicts[j].Reason), e.Originator)
		}
		l.Signers = append(l.Signers, signer)
	}
	return l
}

func reportSigner(s unwrap.Signer, j trust.Judgement) ReportSigner {
	r := ReportSigner{Digest: s.Digest, Algorithm: s.Algorithm, KeyBits: s.KeyBits, SignatureTypes: s.Types,
		Verified: s.Outcome == unwrap.Good, Trusted: j.Trusted, Emails: j.Emails,
		SignatureDigests: s.Masked, Attributes: attributesOf(s.Attributes)}
	for _, agent := range j.Agents {
		r.Domains = append(r.Domains, agent.Domain)
	}
	if s.Serial != nil && s.Serial.BitLen() <= 8*64 {
		r.Serial = s.Serial.String()
	}
	if d, err := trust.Describe(s.Certificate); err == nil {
		r.Subject, r.Issuer, r.Fingerprint = d.Subject, d.Issuer, d.Fingerprint
		r.NotBefore, r.NotAfter = timeText(d.NotBefore), timeText(d.NotAfter)
		if d.Serial != "" {
			r.Serial = d.Serial
		}
	}
	r.SigningTime = timeText(s.SigningTime)
	if j.Err != nil {
		r.Refused = printable(j.Err.Error())
	}
	if s.Detail != nil {
		r.Detail = printable(s.Detail.Error())
	}
	return r
}

// timeText is empty for a time that is not known.
func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

func reportResult(v policy.Verdict) ReportResult {
	r := ReportResult{Method: v.Method, Result: v.Result, Reason: v.Reason, Comment: v.Comment, Properties: map[string]string{}}
	for _, p := range v.Properties {
		r.Properties[p.Type+"."+p.Name] = p.Value
	}
	return r
}

// addFields lists the received fields that policy takes out or changes. The Content-* fields that make way for those of
// an inner layer are no loss and not among them.
func (r *Report) addFields(e *agent.Explanation) error {
	r.Removed, r.Changed = []ReportField{}, []ReportField{}
	for _, edit := range e.Decision.Edits {
		if edit.Op == message.Prepend {
			continue
		}
		name := e.View.Header.Name(edit.Index)
		if edit.Op == message.Replace {
			_, value, _ := strings.Cut(edit.Text, ":")
			r.Changed = append(r.Changed, ReportField{name, strings.TrimSpace(strings.ReplaceAll(value, "\r\n", ""))})
			continue
		}
		value, err := e.View.Header.Value(edit.Index)
		if err != nil && !errors.Is(err, message.ErrFieldTooLong) {
			return err
		}
		r.Removed = append(r.Removed, ReportField{name, value})
	}
	return nil
}

// printable takes from a text what could move a cursor or end a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
