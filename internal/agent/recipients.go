package agent

import (
	"strings"

	"paperknife/deliver"
	"paperknife/internal/keys"
	"paperknife/internal/policy"
	"paperknife/internal/trust"
)

// A recipient is one accepted recipient of a transaction.
type recipient struct {
	deliver.Recipient
	known bool // false: the filter was not told
}

// classOf returns the class of a recipient's mail reader: by the address as given, then without its detail.
func (a *Agent) classOf(r recipient) policy.Class {
	if !r.known {
		return a.class
	}
	for _, delimiters := range []string{"", a.delimiter} {
		if class, ok := a.classes[classKey(r.Address, delimiters)]; ok {
			return class
		}
	}
	return a.class
}

// classKey returns an address, without its detail, as it stands among the classes. Letters of any script are compared
// without regard to case, since no more than a view depends on it.
func classKey(address, delimiters string) string {
	return deliver.Mailbox(strings.ToLower(address), delimiters)
}

// A group is the recipients that get the same decision: same keys, same class.
type group struct {
	ring    *keys.Ring
	class   policy.Class
	indexes []int
}

func (a *Agent) groups(recipients []recipient) []group {
	var list []group
next:
	for i, r := range recipients {
		ring, class := a.ring(r), a.classOf(r)
		for g := range list {
			if list[g].ring == ring && list[g].class == class {
				list[g].indexes = append(list[g].indexes, i)
				continue next
			}
		}
		list = append(list, group{ring, class, []int{i}})
	}
	return list
}

// ring returns the keys that may open mail for a recipient: those of his domain and no others (DESIGN rule 11). A
// recipient without a domain is a local user, whose domain is the first.
func (a *Agent) ring(r recipient) *keys.Ring {
	at := strings.LastIndexByte(r.Address, '@')
	if !r.known || at < 0 {
		return a.firstRing
	}
	domain, err := trust.NormalizeDomain(r.Address[at+1:])
	if err != nil {
		return nil
	}
	return a.rings[domain]
}
