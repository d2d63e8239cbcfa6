package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/unwrap"
)

// ExplainOptions are the flags of `paperknife explain`.
type ExplainOptions struct {
	JSON      bool
	At        time.Time // zero: now
	Recipient string    // "": one that is not known
}

// Explain reads a message and writes what every layer proved and what would be done, without delivering. An error means
// that the message could not be read, or is a fault of ours.
func Explain(ctx context.Context, c *config.Config, o ExplainOptions, in io.Reader, out io.Writer) error {
	a, err := agent.New(c, agent.Options{})
	if err != nil {
		return err
	}
	w := spool.New(agent.SpoolSettings(c))
	if _, err := io.Copy(w, in); err != nil {
		w.Discard()
		return fmt.Errorf("reading the message: %w", err)
	}
	received, err := w.Finish()
	if err != nil {
		return fmt.Errorf("reading the message: %w", err)
	}
	defer received.Close()
	e, done, err := a.Explain(ctx, received, o.Recipient, o.At)
	if err != nil {
		return err
	}
	defer done()
	report := newReport(e)
	if o.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.text(out)
}

// A Report is the object that `explain -json` prints. Its names are a contract.
type Report struct {
	AuthservID string         `json:"authserv_id"`
	Subject    string         `json:"subject"`
	Layers     []ReportLayer  `json:"layers"`
	Results    []ReportResult `json:"results"`
	Decision   ReportDecision `json:"decision"`
}

// A ReportLayer is one S/MIME layer, outermost first.
type ReportLayer struct {
	Type       string         `json:"type"`
	Role       string         `json:"role"`
	Part       string         `json:"part,omitempty"`
	Algorithms []string       `json:"algorithms"`
	Signers    []ReportSigner `json:"signers"`
	Result     string         `json:"result"`
	Reason     string         `json:"reason"`
	Fault      string         `json:"fault,omitempty"`
}

// A ReportSigner is one SignerInfo.
type ReportSigner struct {
	Serial         string   `json:"serial,omitempty"`
	Digest         string   `json:"digest"`
	Algorithm      string   `json:"algorithm"`
	KeyBits        int      `json:"key_bits,omitempty"`
	SigningTime    string   `json:"signing_time,omitempty"`
	SignatureTypes []string `json:"signature_types,omitempty"`
	Verified       bool     `json:"verified"`
	Detail         string   `json:"detail,omitempty"`
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

func newReport(e *agent.Explanation) Report {
	r := Report{
		AuthservID: e.AuthservID,
		Subject:    e.Subject,
		Layers:     []ReportLayer{},
		Results:    []ReportResult{},
		Decision:   ReportDecision{string(e.Decision.Action), string(e.Decision.View), string(e.Decision.Reason)},
	}
	for i, layer := range e.Layers {
		r.Layers = append(r.Layers, reportLayer(layer, e.Decision.Layers[i]))
	}
	for _, v := range e.Decision.Results {
		r.Results = append(r.Results, reportResult(v))
	}
	return r
}

func reportLayer(layer unwrap.Layer, result policy.LayerResult) ReportLayer {
	l := ReportLayer{Type: string(layer.Type), Role: string(layer.Role), Part: layer.Part,
		Algorithms: layer.Algorithms, Signers: []ReportSigner{}, Result: result.Result, Reason: string(result.Reason)}
	if l.Algorithms == nil {
		l.Algorithms = []string{}
	}
	// What kept a ciphertext shut has one constant text (DESIGN rule 2).
	if layer.Fault != nil && !errors.Is(layer.Fault, unwrap.ErrOpen) {
		l.Fault = layer.Fault.Error()
	}
	for _, s := range layer.Signers {
		l.Signers = append(l.Signers, reportSigner(s))
	}
	return l
}

func reportSigner(s unwrap.Signer) ReportSigner {
	r := ReportSigner{Digest: s.Digest, Algorithm: s.Algorithm, KeyBits: s.KeyBits, SignatureTypes: s.Types,
		Verified: s.Outcome == unwrap.Good}
	if s.Serial != nil {
		r.Serial = s.Serial.String()
	}
	if !s.SigningTime.IsZero() {
		r.SigningTime = s.SigningTime.Format(time.RFC3339)
	}
	if s.Detail != nil {
		r.Detail = s.Detail.Error()
	}
	return r
}

func reportResult(v policy.Verdict) ReportResult {
	r := ReportResult{Method: v.Method, Result: v.Result, Reason: v.Reason, Comment: v.Comment, Properties: map[string]string{}}
	for _, p := range v.Properties {
		r.Properties[p.Type+"."+p.Name] = p.Value
	}
	return r
}

// text writes the report for people.
func (r Report) text(out io.Writer) error {
	w := &errWriter{w: out}
	w.printf("subject:  %q\n", r.Subject)
	for i, l := range r.Layers {
		w.printf("layer %d:  %s, role %s, part %s, %v: %s %s %s\n", i+1, l.Type, l.Role, l.Part, l.Algorithms, l.Result, l.Reason, l.Fault)
		for _, s := range l.Signers {
			w.printf("          signer serial %s %s/%s %s verified=%v %s\n", s.Serial, s.Digest, s.Algorithm, s.SigningTime, s.Verified, s.Detail)
		}
	}
	for _, v := range r.Results {
		w.printf("result:   %s=%s %s %v\n", v.Method, v.Result, v.Reason, v.Properties)
	}
	w.printf("decision: %s, view %s %s\n", r.Decision.Action, r.Decision.View, r.Decision.Reason)
	return w.err
}

// errWriter keeps the first error of many prints.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}
