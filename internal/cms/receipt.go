package cms

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A ReceiptRequest is RFC 2634 2.7. It is reported; nothing here answers it.
type ReceiptRequest struct {
	ContentID []byte
	From      string   // who shall send one: "all", "first tier", or "" for those of List
	List      []string // rfc822Names
	To        []string // rfc822Names
}

// An Expansion is an MLData, RFC 2634 4.4: a mailing list that the message went through.
type Expansion struct {
	List     Identifier
	Time     time.Time
	Receipts string // "none", "insteadOf", "inAdditionTo", or "" when the list leaves receipts alone
}

// Bounds of RFC 2634, appendix A.
const (
	maxReceiptsTo = 16
	maxExpansions = 64
)

func (a *Attributes) readReceiptRequest(s cryptobyte.String) bool {
	var request, id cryptobyte.String
	var r ReceiptRequest
	if !s.ReadASN1(&request, casn1.SEQUENCE) || !s.Empty() || !request.ReadASN1(&id, casn1.OCTET_STRING) ||
		!r.readFrom(&request) || !readNamesList(&request, casn1.SEQUENCE, maxReceiptsTo, &r.To) || !request.Empty() {
		return false
	}
	r.ContentID = id
	a.ReceiptRequest = &r
	return true
}

// readFrom reads ReceiptsFrom: [0] IMPLICIT INTEGER, or [1] IMPLICIT SEQUENCE OF GeneralNames.
func (r *ReceiptRequest) readFrom(s *cryptobyte.String) bool {
	list := casn1.Tag(1).Constructed().ContextSpecific()
	if s.PeekASN1Tag(list) {
		return readNamesList(s, list, maxGeneralNames, &r.List)
	}
	var number cryptobyte.String
	if !s.ReadASN1(&number, casn1.Tag(0).ContextSpecific()) || len(number) != 1 || number[0] > 1 {
		return false
	}
	r.From = []string{"all", "first tier"}[number[0]]
	return true
}

// readNamesList reads GeneralNames after GeneralNames and keeps the addresses in them.
func readNamesList(s *cryptobyte.String, tag casn1.Tag, limit int, addresses *[]string) bool {
	return readList(s, tag, limit, func(s *cryptobyte.String) bool {
		return readSequence(s, maxGeneralNames, func(s *cryptobyte.String) bool {
			var name cryptobyte.String
			var tag casn1.Tag
			if !s.ReadAnyASN1(&name, &tag) {
				return false
			}
			if tag == casn1.Tag(1).ContextSpecific() {
				*addresses = append(*addresses, string(name))
			}
			return true
		})
	})
}

func (a *Attributes) readExpansions(s cryptobyte.String) bool {
	var all []Expansion
	if !readSequence(&s, maxExpansions, func(s *cryptobyte.String) bool {
		e, ok := readExpansion(s)
		all = append(all, e)
		return ok
	}) || !s.Empty() || len(all) == 0 {
		return false
	}
	a.Expansions = all
	return true
}

func readExpansion(s *cryptobyte.String) (e Expansion, ok bool) {
	var data, id cryptobyte.String
	if !s.ReadASN1(&data, casn1.SEQUENCE) {
		return e, false
	}
	if data.PeekASN1Tag(casn1.OCTET_STRING) {
		ok = data.ReadASN1(&id, casn1.OCTET_STRING)
		e.List.KeyID = id
	} else if ok = data.ReadASN1(&id, casn1.SEQUENCE); ok {
		e.List, ok = readIssuerAndSerial(id)
	}
	if !ok || !data.ReadASN1GeneralizedTime(&e.Time) {
		return e, false
	}
	e.Time = e.Time.UTC()
	return e, e.readReceipts(&data)
}

// readReceipts reads MLReceiptPolicy, if it is there. Who the receipts go to is for the list's members to read.
func (e *Expansion) readReceipts(s *cryptobyte.String) bool {
	if s.Empty() {
		return true
	}
	var content cryptobyte.String
	var tag casn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
		return false
	}
	switch tag {
	case casn1.Tag(0).ContextSpecific():
		e.Receipts = "none"
	case casn1.Tag(1).Constructed().ContextSpecific():
		e.Receipts = "insteadOf"
	case casn1.Tag(2).Constructed().ContextSpecific():
		e.Receipts = "inAdditionTo"
	}
	return e.Receipts != ""
}
