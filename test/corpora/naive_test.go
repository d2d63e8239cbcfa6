package corpora_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"paperknife/verifyhdr"
)

// What stands below reads header sections line by line in the plainest way there is: it is to agree with the reader
// of the product, and shares nothing with it.

// An expectation is what a message must look like behind us when no layer comes off.
type expectation struct {
	id       string   // our authserv-id
	envelope []byte   // the "From " line of an mbox
	rest     []byte   // everything else, without the fields that must go
	removed  []string // those, one line each with the cause
	crlf     bool
	fragment bool // the first line begins with white space
}

// expect takes the fields out that rule 8 of the design names.
func expect(message []byte, id string) expectation {
	e := expectation{id: id}
	first := firstLine(message)
	e.crlf = !bytes.HasSuffix(first, []byte("\n")) || bytes.HasSuffix(first, []byte("\r\n"))
	if bytes.HasPrefix(message, []byte("From ")) && nameOf(first) != "from" {
		e.envelope, message = first, message[len(first):]
	}
	e.fragment = bytes.HasPrefix(message, []byte(" ")) || bytes.HasPrefix(message, []byte("\t"))
	fields, body := split(message)
	for _, field := range fields {
		if cause := forged(field, id); cause != "" {
			e.removed = append(e.removed, cause)
			continue
		}
		e.rest = append(e.rest, field...)
	}
	e.rest = append(e.rest, body...)
	return e
}

func firstLine(p []byte) []byte {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return p[:i+1]
	}
	return p
}

// split returns the fields, each with its continuation lines, and the rest from the blank line on.
func split(message []byte) (fields [][]byte, rest []byte) {
	for len(message) > 0 {
		line := firstLine(message)
		if l := strings.TrimSuffix(string(line), "\n"); l != string(line) && (l == "" || l == "\r") {
			return fields, message
		}
		if continues := line[0] == ' ' || line[0] == '\t'; continues && len(fields) > 0 {
			fields[len(fields)-1] = append(fields[len(fields)-1], line...)
		} else {
			fields = append(fields, bytes.Clone(line))
		}
		message = message[len(line):]
	}
	return fields, nil
}

// told reports whether the last hop has put a field of that name on top already: above the topmost Received.
func told(message []byte, name string) bool {
	if first := firstLine(message); bytes.HasPrefix(message, []byte("From ")) && nameOf(first) != "from" {
		message = message[len(first):]
	}
	fields, _ := split(message)
	there := false
	for _, field := range fields {
		if nameOf(field) == "received" {
			return there
		}
		there = there || nameOf(field) == name
	}
	return false
}

func nameOf(field []byte) string {
	name, _, found := strings.Cut(string(field), ":")
	if !found {
		return ""
	}
	return strings.ToLower(strings.TrimRight(name, " \t\r\n"))
}

// Causes for which a field is removed.
const (
	causeOurs   = "a field that only we write"
	causeSyntax = "Authentication-Results that the grammar does not allow"
	causeClaims = "Authentication-Results that claims to be ours"
)

// forged says why a field must go, or nothing.
func forged(field []byte, id string) string {
	name := nameOf(field)
	switch name {
	case "x-unwrapped", "domsec-flag", "x-e2e-notice", "x-auth-flag", "x-quarantine":
		return causeOurs
	case "authentication-results":
		if !verifyhdr.Claims(field, id) {
			return ""
		}
		if _, err := verifyhdr.ParseAuthenticationResults(field); err != nil {
			return causeSyntax
		}
		return causeClaims
	}
	return ""
}

// prepended are the fields we may put on top.
var prepended = []string{"authentication-results", "x-unwrapped", "domsec-flag", "x-auth-flag", "x-malformed-header"}

// check holds what came out against e, and returns the fields that we wrote.
func (e expectation) check(out []byte) ([][]byte, error) {
	rest, found := bytes.CutPrefix(out, e.envelope)
	if !found {
		return nil, fmt.Errorf("the From line is lost")
	}
	own, found := bytes.CutSuffix(rest, e.rest)
	if !found {
		return nil, fmt.Errorf("octets are lost or changed: %s", parted(rest, e.rest))
	}
	fields, err := e.ownFields(own)
	if guard := len(fields) - 1; err == nil && e.fragment && nameOf(fields[guard]) == "x-malformed-header" {
		fields = fields[:guard] // without it the first line would continue a field of ours
	}
	return fields, err
}

// ownFields reads the octets that stand before the received header.
func (e expectation) ownFields(own []byte) ([][]byte, error) {
	fields, rest := split(own)
	if len(rest) > 0 || len(fields) == 0 {
		return nil, fmt.Errorf("no field of ours on top, but %q", own)
	}
	for _, field := range fields {
		if !slices.Contains(prepended, nameOf(field)) {
			return nil, fmt.Errorf("a field that is not ours to write: %q", field)
		}
		lines := bytes.Count(field, []byte("\n"))
		if bytes.Count(field, []byte("\r\n")) != map[bool]int{true: lines}[e.crlf] {
			return nil, fmt.Errorf("line ends differ from the message's: %q", field)
		}
	}
	return fields, e.results(fields[0])
}

func (e expectation) results(field []byte) error {
	a, err := verifyhdr.ParseAuthenticationResults(field)
	if err != nil || a.AuthservID != e.id {
		return fmt.Errorf("the first field is not our Authentication-Results: %q: %w", field, err)
	}
	return nil
}

// nothing reports whether fields say that there was nothing to verify.
func nothing(fields [][]byte) bool {
	return len(fields) == 1 && strings.TrimRight(string(fields[0]), "\r\n") == "Authentication-Results: "+authservID+"; none"
}

// parted says where two texts part, from their ends.
func parted(got, want []byte) string {
	n := 0
	for n < len(got) && n < len(want) && got[len(got)-1-n] == want[len(want)-1-n] {
		n++
	}
	return fmt.Sprintf("%d and %d octets, the last %d are the same, before them %q, want %q",
		len(got), len(want), n, tail(got[:len(got)-n]), tail(want[:len(want)-n]))
}

func tail(p []byte) []byte { return p[max(0, len(p)-60):] }

func toLF(p []byte) []byte { return bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n")) }

func toCRLF(p []byte) []byte { return bytes.ReplaceAll(toLF(p), []byte("\n"), []byte("\r\n")) }
