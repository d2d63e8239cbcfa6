package agent

import (
	"bytes"
	"cmp"
	"errors"
	netmail "net/mail"
	"slices"
	"strings"

	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/trust"
)

// maxFromAddresses bounds what one From field may name; more is no originator but a list.
const maxFromAddresses = 100

// readOriginator reads the From fields of the received header. Whatever is doubtful is a fault, never a guess: no
// signature of any kind can bind an address that is not plainly there (THREATS B03 to B05).
func readOriginator(header *message.Header) policy.Originator {
	positions := header.Find("from")
	switch {
	case len(positions) == 0:
		return policy.Originator{Fault: policy.ReasonNoFrom}
	case len(positions) > 1:
		return policy.Originator{Fault: policy.ReasonDuplicateFrom}
	case header.Malformed() || header.Overflow():
		return policy.Originator{Fault: policy.ReasonMalformed}
	case len(header.Find("content-type")) > 1:
		return policy.Originator{Fault: policy.ReasonMalformed}
	}
	value, err := header.Value(positions[0])
	if err != nil {
		return policy.Originator{Fault: policy.ReasonFromSyntax}
	}
	raw, err := header.Raw(positions[0])
	if err != nil || !strings.HasPrefix(strings.ToLower(string(raw)), "from:") {
		return policy.Originator{Fault: policy.ReasonFromSyntax}
	}
	originator, err := parseFrom(value)
	if err != nil {
		return policy.Originator{Fault: policy.ReasonFromSyntax}
	}
	if header.BareCR() { // for some readers there may be another From
		return policy.Originator{Fault: policy.ReasonMalformed}
	}
	return originator
}

var errFrom = errors.New("from field cannot be read")

func parseFrom(value string) (policy.Originator, error) {
	var originator policy.Originator
	if strings.ContainsAny(value, "\x00\r\n") || isGroup(value) {
		return originator, errFrom
	}
	list, err := (&netmail.AddressParser{}).ParseList(value)
	if err != nil || len(list) == 0 || len(list) > maxFromAddresses {
		return originator, errFrom
	}
	for _, address := range list {
		at := strings.LastIndexByte(address.Address, '@')
		if at <= 0 {
			return originator, errFrom
		}
		domain, err := trust.NormalizeDomain(address.Address[at+1:])
		if err != nil {
			return originator, errFrom
		}
		originator.Addresses = append(originator.Addresses, address.Address[:at]+"@"+domain)
		originator.Domains = append(originator.Domains, domain)
	}
	return originator, nil
}

// isGroup reports a colon or semicolon outside quoted strings, comments and angle brackets: group syntax, or a route.
func isGroup(value string) bool {
	comment, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && (quoted || comment > 0):
			i++
		case c == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
		case comment > 0:
		case c == ':' || c == ';':
			return true
		}
	}
	return false
}

// maxWatched bounds the octets of the fields of one name that are kept for policy.
const maxWatched = 1 << 20

// A Subject that is too long is read as far as any reader shows it, and not for ever.
const (
	subjectHead = 4 << 10
	maxHeads    = 64
)

// watchedFields collects the fields that policy may have to change, top first. One that is too long to be read, or comes
// after too many, is handed on by its first octets: such an Authentication-Results cannot be read strictly, and goes. Of
// a Subject like that the beginning is read, which is where it may imitate our warning.
func watchedFields(header *message.Header) ([]policy.Field, error) {
	var fields []policy.Field
	heads := 0
	for _, name := range policy.Watched() {
		room, unread := maxWatched, []byte(name+": (")
		for _, i := range header.Find(name) {
			raw, err := readWithin(header, i, &room)
			cut := false
			if errors.Is(err, message.ErrFieldTooLong) {
				raw, err, cut = unread, nil, true
				if name == "subject" {
					if heads++; heads > maxHeads {
						continue
					}
					raw, err = header.Head(i, subjectHead)
				}
			}
			if err != nil {
				return nil, err
			}
			fields = append(fields, policy.Field{Index: i, Name: name, Raw: raw, Cut: cut})
		}
	}
	if header.BareCR() {
		hidden, err := hiddenFields(header)
		if err != nil {
			return nil, err
		}
		fields = append(fields, hidden...)
	}
	slices.SortStableFunc(fields, func(a, b policy.Field) int { return cmp.Compare(a.Index, b.Index) })
	return fields, nil
}

// hiddenFields finds fields of any name that hold a field of ours, or results, for readers that end a line at a bare CR.
// They are handed on under that name, and so they go as a whole. One that is too long to be read counts as such.
func hiddenFields(header *message.Header) ([]policy.Field, error) {
	var hidden []policy.Field
	for i := range header.Len() {
		raw, err := header.Raw(i)
		if errors.Is(err, message.ErrFieldTooLong) {
			raw, err = []byte("\r"+policy.FieldTrace+":"), nil
		}
		if err != nil {
			return nil, err
		}
		_, rest, found := bytes.Cut(raw, []byte("\r"))
		for found {
			var line []byte
			line, rest, found = bytes.Cut(rest, []byte("\r"))
			name, _, _ := strings.Cut(strings.ToLower(string(line[:min(len(line), 100)])), ":")
			name = strings.TrimRight(name, " \t")
			if name != "subject" && slices.Contains(policy.Watched(), name) {
				hidden = append(hidden, policy.Field{Index: i, Name: name, Raw: []byte(name + ": (")})
				break
			}
		}
	}
	return hidden, nil
}

func readWithin(header *message.Header, i int, room *int) ([]byte, error) {
	if *room <= 0 {
		return nil, message.ErrFieldTooLong
	}
	raw, err := header.Raw(i)
	*room -= len(raw)
	return raw, err
}
