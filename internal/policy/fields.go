package policy

import (
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode"

	"paperknife/internal/message"
	"paperknife/unwrap"
	"paperknife/verifyhdr"
)

// The fields that only we write. Inbound copies are removed, signed or not (DESIGN rule 8).
const (
	FieldTrace      = "X-Unwrapped"
	FieldFlag       = "DOMSEC-Flag"
	FieldQuarantine = "X-Quarantine" // on a message that goes, or behind a filter is to go, into quarantine
)

// flagPrefix begins the Subject of a message with a naming violation (DOM-R15).
const flagPrefix = "[Warning: sealed by "

// Watched are the lower-case names of the fields that policy needs to see.
func Watched() []string { return append([]string{"authentication-results", "subject"}, reserved...) }

// reserved are the fields of ours by their lower-case names, those of systems that are still to come included: what a
// sender writes into one of them must never be taken for our word.
var reserved = []string{"x-unwrapped", "domsec-flag", "x-auth-flag", "x-quarantine", "x-e2e-notice"}

func ours(name string) bool { return slices.Contains(reserved, name) }

// edits are all changes of the header section but those of the view.
func edits(facts Facts, settings Settings, d Decision, domsec domsecResult) []message.Edit {
	var list []message.Edit
	for _, field := range resultFields(settings.AuthservID, d.Results) {
		list = append(list, message.Edit{Op: message.Prepend, Text: field})
	}
	if trace := traceField(settings.AuthservID, d, facts.Layers); trace != "" {
		list = append(list, message.Edit{Op: message.Prepend, Text: trace})
	}
	if domsec.naming {
		list = append(list, message.Edit{Op: message.Prepend, Text: flagField(domsec, facts.Originator)})
	}
	if d.Action == ActionMark && !domsec.naming {
		list = append(list, message.Edit{Op: message.Prepend, Text: fmt.Sprintf("X-Auth-Flag: x-domsec; result=%s\r\n", domsec.verdict.Result)})
	}
	if d.Action == ActionQuarantine {
		list = append(list, message.Edit{Op: message.Prepend, Text: fmt.Sprintf("%s: x-domsec; result=%s\r\n", FieldQuarantine, domsec.verdict.Result)})
	}
	list = append(list, replaced(facts, settings, domsec)...)
	// A text that cannot stand in a header would keep the message from ever being delivered: it is left out.
	return slices.DeleteFunc(list, func(e message.Edit) bool { return e.Op != message.Remove && message.CheckText(e.Text) != nil })
}

// resultFields writes the results in at most two fields: registered methods first, then private ones, since a strict
// reader may drop a whole field that names a method it does not know (RFC 8601 section 2.7.6).
func resultFields(authservID string, results []Verdict) []string {
	registered := verifyhdr.AuthenticationResults{AuthservID: authservID}
	private := verifyhdr.AuthenticationResults{AuthservID: authservID}
	for _, r := range results {
		if strings.HasPrefix(r.Method, "x-") {
			private.Results = append(private.Results, r)
		} else {
			registered.Results = append(registered.Results, r)
		}
	}
	fields := []string{registered.Field()}
	if len(private.Results) > 0 {
		fields = append(fields, private.Field())
	}
	return fields
}

// traceField says which layers came off or were repackaged, or why one for us did not.
func traceField(authservID string, d Decision, layers []unwrap.Layer) string {
	field := fmt.Sprintf("%s: %s; view=%s", FieldTrace, authservID, d.View)
	if d.Depth > 0 {
		field += fmt.Sprintf(";\r\n layers=\"%s\"", layerNames(layers[:d.Depth]))
	}
	switch {
	case d.Repack:
		field += fmt.Sprintf(";\r\n repackaged=\"%s\"", layerNames(layers[d.Depth:d.Depth+1]))
	case d.Depth > 0:
		if weak := weakCiphers(layers[:d.Depth]); weak != "" {
			field += fmt.Sprintf("; weak=\"%s\"", weak)
		}
	case d.View == ViewReceived && d.Reason == ReasonCannotDecrypt:
		field += fmt.Sprintf("; reason=\"%s\"", d.Reason)
	default:
		return ""
	}
	return field + "\r\n"
}

func layerNames(layers []unwrap.Layer) string {
	names := make([]string, 0, len(layers))
	for _, layer := range layers {
		names = append(names, string(layer.Type)+"/"+string(layer.Role))
	}
	return strings.Join(names, " ")
}

func flagField(domsec domsecResult, from Originator) string {
	return fmt.Sprintf("%s: naming; signer=%s;\r\n originator=%s\r\n", FieldFlag, named(domsec.signer), named(strings.Join(from.Domains, ",")))
}

func named(domain string) string {
	if domain == "" {
		return "unknown"
	}
	return domain
}

// replaced removes forged fields, and marks the Subject of a message with a naming violation.
func replaced(facts Facts, settings Settings, domsec domsecResult) []message.Edit {
	var list []message.Edit
	subject := false
	for _, field := range facts.Fields {
		switch {
		case ours(field.Name), field.Name == "authentication-results" && forged(field.Raw, settings):
			list = append(list, message.Edit{Op: message.Remove, Index: field.Index})
		case field.Name == "subject" && field.Cut:
			// What imitates our warning loses the rest; any other stays whole, and ours goes above it.
			if text, changed := subjectText(field.Raw, domsecResult{}, false); changed {
				list = append(list, message.Edit{Op: message.Replace, Index: field.Index, Text: text})
			}
		case field.Name == "subject":
			if text, changed := subjectText(field.Raw, domsec, !subject); changed {
				list = append(list, message.Edit{Op: message.Replace, Index: field.Index, Text: text})
			}
			subject = true
		}
	}
	if domsec.naming && !subject {
		list = append(list, message.Edit{Op: message.Prepend, Text: "Subject: " + flagText(domsec) + "\r\n"})
	}
	return list
}

// forged reports whether an Authentication-Results field claims to be ours or cannot be read, and is not from a filter
// that the postmaster trusts.
func forged(field []byte, settings Settings) bool {
	return verifyhdr.Claims(field, settings.AuthservID) && !verifyhdr.Trusted(field, settings.TrustedIDs, settings.AuthservID)
}

// unprintable takes from a received text what may not stand in a field we write.
var unprintable = strings.NewReplacer("\x00", "?", "\r", "?")

func flagText(domsec domsecResult) string {
	return flagPrefix + named(domsec.signer) + ", not by the sender's domain]"
}

// subjectText puts our warning before a Subject (mark: only the first one) and takes the bracket from one that a
// sender wrote to look like ours.
func subjectText(raw []byte, domsec domsecResult, mark bool) (string, bool) {
	colon := strings.IndexByte(string(raw), ':')
	if colon < 0 {
		return "", false
	}
	value := strings.ReplaceAll(strings.TrimRight(string(raw[colon+1:]), "\r\n"), "\r\n", "\n")
	value = strings.ReplaceAll(unprintable.Replace(value), "\n", "\r\n")
	changed := false
	if i := strings.IndexByte(value, '['); i >= 0 && strings.TrimSpace(value[:i]) == "" && looksLikeFlag(value) {
		value, changed = value[:i]+"?"+value[i+1:], true
	} else if looksLikeFlag(value) {
		value, changed = " ?"+value, true // written as an encoded-word
	}
	if domsec.naming && mark {
		value, changed = " "+flagText(domsec)+continuation(value), true
	}
	return "Subject:" + value + "\r\n", changed
}

// continuation makes text a continuation line.
func continuation(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return ""
	case strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t"):
		return "\r\n" + text
	}
	return "\r\n " + text
}

var lineEnds = strings.NewReplacer("\r", "", "\n", "")

// looksLikeFlag reads the Subject as a mail reader would show it.
func looksLikeFlag(value string) bool {
	text := lineEnds.Replace(value)
	if decoded, err := words.DecodeHeader(text); err == nil {
		text = decoded
	}
	text = strings.ToLower(strings.Join(strings.Fields(strings.Map(visible, text)), " "))
	return strings.HasPrefix(text, strings.ToLower(flagPrefix))
}

// words decodes encoded-words of every charset: our warning is ASCII, which all that mail readers know have in common,
// UTF-16 but for its zeros.
var words = mime.WordDecoder{CharsetReader: func(_ string, in io.Reader) (io.Reader, error) { return in, nil }}

// visible takes out what takes no room on a screen.
func visible(r rune) rune {
	if r == 0 || unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me) || unicode.Is(unicode.Variation_Selector, r) {
		return -1
	}
	return r
}

// DropNames are the fields that are removed by name alone from the part of a header that is too long to be read
// field by field.
func DropNames() []string { return append([]string{"authentication-results"}, reserved...) }
