package tool

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// tree writes the report for people.
func (r Report) tree(out io.Writer) error {
	w := &errWriter{w: out}
	from := nobody(r.From)
	if r.FromFault != "" {
		from = r.FromFault
	}
	w.printf("from     %s\n", from)
	w.printf("subject  %q\n", r.Subject)
	r.writeLayers(w)
	r.writeResults(w)
	r.writeViews(w)
	r.writeFields(w)
	return w.err
}

func (r Report) writeLayers(w *errWriter) {
	w.printf("\n")
	if len(r.Layers) == 0 {
		w.printf("no S/MIME layer\n")
	}
	for i, l := range r.Layers {
		n := node{w, strings.Repeat("  ", i)}
		form := ""
		if l.Detached {
			form = ", detached"
		}
		n.line("layer %d: %s, role %s%s: %s", i+1, l.Type, l.Role, form, outcomeOf(l.Result, l.Reason))
		n.value("why", l.Why)
		n.value("fault", l.Fault)
		for _, fault := range l.Attributes {
			n.value("attributes", fault)
		}
		n.value("compat", strings.Join(l.Compat, ", "))
		n.value("part", l.Part)
		if len(l.Signers) == 0 {
			n.value("algorithms", strings.Join(l.Algorithms, ", "))
		}
		for _, s := range l.Signers {
			s.write(n)
		}
	}
	if r.LimitReached {
		w.printf("%sand more: the limit of layers is reached\n", strings.Repeat("  ", len(r.Layers)))
	}
	for _, p := range r.Parts {
		place := "deep inside"
		if p.Direct {
			place = "directly inside a multipart"
		}
		w.printf("not opened: part %s, %s, %s: only a message that is S/MIME as a whole is\n", printable(p.Section), p.Type, place)
	}
}

func (s ReportSigner) write(n node) {
	result := ""
	if s.Result != "" {
		result = ": " + outcomeOf(s.Result, s.Reason)
	}
	n.line("    signer %s%s", orUnknown(s.Subject), result)
	n.indent += "    "
	n.value("why", s.Why)
	n.value("issuer", s.Issuer)
	n.value("serial", s.Serial)
	n.value("sha256", s.Fingerprint)
	if s.NotAfter != "" {
		n.value("valid", s.NotBefore+" to "+s.NotAfter)
	}
	n.value("names", strings.Join(append(slices.Clone(s.Domains), s.Emails...), ", "))
	n.value("algorithms", s.algorithms())
	n.value("signed at", s.claimedTime())
	n.value("signature", s.signature())
	n.value("certificate", s.certificate())
	s.Attributes.write(n)
}

func (s ReportSigner) certificate() string {
	switch {
	case s.Trusted:
		return "trusted"
	case s.Refused != "":
		return "not trusted: " + s.Refused
	}
	return "not trusted"
}

func (s ReportSigner) algorithms() string {
	text := orUnknown(s.Digest) + ", " + orUnknown(s.Algorithm)
	if len(s.SignatureDigests) == 2 {
		text += fmt.Sprintf(" (%s, MGF1 with %s)", s.SignatureDigests[0], s.SignatureDigests[1])
	}
	if s.KeyBits > 0 {
		text += fmt.Sprintf(", %d bits", s.KeyBits)
	}
	return text
}

func (s ReportSigner) claimedTime() string {
	if s.SigningTime == "" {
		return ""
	}
	return s.SigningTime + " (the signer says)"
}

func (s ReportSigner) signature() string {
	if s.Verified {
		return "good: the key of this certificate signed these octets"
	}
	return "not good: " + s.Detail
}

func (r Report) writeResults(w *errWriter) {
	w.printf("\nresults (%s)\n", r.AuthservID)
	if len(r.Results) == 0 {
		w.printf("  none\n")
	}
	for _, v := range r.Results {
		w.printf("  %s=%s", v.Method, outcomeOf(v.Result, v.Reason))
		if v.Comment != "" {
			w.printf(" (%s)", printable(v.Comment))
		}
		w.printf("\n")
		for _, name := range slices.Sorted(maps.Keys(v.Properties)) {
			w.printf("      %s=%s\n", name, printable(v.Properties[name]))
		}
	}
}

func (r Report) writeViews(w *errWriter) {
	recipient := "a recipient who is not named"
	if r.Recipient != "" {
		recipient = fmt.Sprintf("%q", r.Recipient)
	}
	w.printf("\ndecision for %s (%s): %s, view %s%s\n", recipient, r.Class, r.Decision.Action, r.Decision.View, because(r.Decision.Reason))
	for _, v := range r.Views {
		what := "all layers stay"
		switch {
		case v.LayersOff == 1:
			what = "layer 1 off"
		case v.LayersOff > 1:
			what = fmt.Sprintf("layers 1 to %d off", v.LayersOff)
		}
		if v.Repackaged {
			what += ", the opaque signature becomes multipart/signed"
		}
		w.printf("  %-10s %s, view %s: %s%s\n", v.Class, v.Action, v.View, what, because(v.Reason))
	}
}

func (r Report) writeFields(w *errWriter) {
	for _, list := range []struct {
		title  string
		fields []ReportField
	}{{"removed from the header", r.Removed}, {"changed in the header", r.Changed}} {
		if len(list.fields) > 0 {
			w.printf("\n%s\n", list.title)
		}
		for _, f := range list.fields {
			w.printf("  %s: %s\n", printable(f.Name), printable(f.Value))
		}
	}
}

func outcomeOf(result, reason string) string {
	if reason == "" {
		return result
	}
	return fmt.Sprintf("%s, %s", result, reason)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// A node is one place in the tree.
type node struct {
	w      *errWriter
	indent string
}

func (n node) line(format string, args ...any) {
	n.w.printf("%s%s\n", n.indent, fmt.Sprintf(format, args...))
}

// value writes one line of what is known of the node, and nothing when nothing is.
func (n node) value(name, text string) {
	if text != "" {
		n.line("    %-11s  %s", name, text)
	}
}
