package filter

import (
	"bytes"
	"strings"
)

// An Envelope is what is known of sender and recipient. A known sender of "" is the null reverse-path.
type Envelope struct {
	Sender, Recipient           string
	SenderKnown, RecipientKnown bool
}

// Given is what the command line says: -f and -d, and whether they were there at all.
type Given struct {
	Sender, Recipient       string
	SenderSet, RecipientSet bool
}

// HeadLength is how much of a message ResolveEnvelope wants to see.
const HeadLength = 8 << 10

// maxAddress is more than any mail server hands on.
const maxAddress = 1000

// nobody is the recipient in place of one that cannot be an address. He is known, since for a recipient who is not the
// keys of the first domain would do (DESIGN rule 11), and he is in no domain.
const nobody = "@"

// ResolveEnvelope finds sender and recipient. Recipient: -d, else $RECIPIENT. Sender: -f, else a Return-Path that is the
// first field of the message, else $SENDER, which comes last since Postfix replaces characters in it. A sender that
// is set but empty is the null reverse-path; an empty recipient is none. head is the beginning of the message, all
// of it when it is shorter than HeadLength.
func ResolveEnvelope(given Given, getenv func(string) (string, bool), head []byte) Envelope {
	var e Envelope
	e.Recipient, e.RecipientKnown = given.Recipient, given.RecipientSet
	if !e.RecipientKnown {
		e.Recipient, e.RecipientKnown = getenv("RECIPIENT")
	}
	if e.RecipientKnown {
		address, ok := address(e.Recipient)
		if !ok {
			address = nobody
		}
		e.Recipient, e.RecipientKnown = address, address != ""
	}
	e.Sender, e.SenderKnown = sender(given, getenv, head)
	return e
}

func sender(given Given, getenv func(string) (string, bool), head []byte) (string, bool) {
	if given.SenderSet {
		return address(given.Sender)
	}
	if value, ok := returnPath(head); ok {
		return value, true
	}
	if value, ok := getenv("SENDER"); ok {
		return address(value)
	}
	return "", false
}

// address takes angle brackets off. What cannot be an address in one line is none.
func address(s string) (string, bool) {
	s = strings.Trim(s, " \t")
	if inner, ok := strings.CutPrefix(s, "<"); ok {
		if s, ok = strings.CutSuffix(inner, ">"); !ok {
			return "", false
		}
	}
	if len(s) > maxAddress {
		return "", false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", false
		}
	}
	return s, true
}

// returnPath reads the Return-Path when it is the first field, after the "From " line of an mbox if there is one: only
// there has the delivering server put it.
func returnPath(head []byte) (string, bool) {
	if bytes.HasPrefix(head, []byte("From ")) {
		_, head, _ = bytes.Cut(head, []byte("\n"))
	}
	name, rest, found := bytes.Cut(head, []byte(":"))
	if !found || !strings.EqualFold(strings.TrimRight(string(name), " \t"), "Return-Path") {
		return "", false
	}
	value, ok := fieldBody(rest)
	if !ok || !strings.HasPrefix(value, "<") && !strings.Contains(value, "@") {
		return "", false
	}
	return address(value)
}

// fieldBody returns the body of the field that b begins in, unfolded. A field that does not end inside b is none.
func fieldBody(b []byte) (string, bool) {
	var body strings.Builder
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		if !found {
			return "", false
		}
		body.Write(bytes.TrimSuffix(line, []byte("\r")))
		if len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
			return strings.Trim(body.String(), " \t"), true
		}
		b = rest
	}
}
