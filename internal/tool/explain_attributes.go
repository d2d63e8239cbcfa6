package tool

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"paperknife/unwrap"
)

// ReportAttributes is what the signed attributes of a signer say. They are as good as the signature is.
type ReportAttributes struct {
	Types            []string          `json:"types"` // in the order received, by name or OBJECT IDENTIFIER
	SecurityLabel    *ReportLabel      `json:"security_label,omitempty"`
	EquivalentLabels []ReportLabel     `json:"equivalent_labels,omitempty"`
	MailingLists     []ReportExpansion `json:"ml_expansion_history,omitempty"` // the last list last
	ReceiptRequest   *ReportReceipt    `json:"receipt_request,omitempty"`
	Capabilities     []string          `json:"smime_capabilities,omitempty"`
	KeyPreference    string            `json:"encryption_key_preference,omitempty"`
	Faults           []string          `json:"faults,omitempty"`
}

// A ReportLabel is a security label of RFC 2634.
type ReportLabel struct {
	Policy         string   `json:"policy"`
	Classification *int     `json:"classification,omitempty"`
	PrivacyMark    string   `json:"privacy_mark,omitempty"`
	Categories     []string `json:"categories,omitempty"`
}

// A ReportExpansion is a mailing list that the message went through.
type ReportExpansion struct {
	List     string `json:"list"` // its certificate, by serial number or key identifier
	Time     string `json:"time"`
	Receipts string `json:"receipts,omitempty"`
}

// A ReportReceipt is a request for signed receipts.
type ReportReceipt struct {
	From []string `json:"from"` // "all", "first tier", or addresses
	To   []string `json:"to"`
}

// attributesOf returns nil for a signer without signed attributes.
func attributesOf(a unwrap.Attributes) *ReportAttributes {
	if len(a.Types) == 0 {
		return nil
	}
	r := &ReportAttributes{Types: a.Types, Capabilities: a.Capabilities, Faults: a.Faults}
	if a.Label != nil {
		label := labelOf(*a.Label)
		r.SecurityLabel = &label
	}
	for _, label := range a.EquivalentLabels {
		r.EquivalentLabels = append(r.EquivalentLabels, labelOf(label))
	}
	for _, e := range a.Expansions {
		r.MailingLists = append(r.MailingLists, ReportExpansion{identifierText(e.List), e.Time.Format(time.RFC3339), e.Receipts})
	}
	if request := a.ReceiptRequest; request != nil {
		r.ReceiptRequest = &ReportReceipt{From: printables(request.List), To: printables(request.To)}
		if request.From != "" {
			r.ReceiptRequest.From = []string{request.From}
		}
	}
	if a.KeyPreference != nil {
		r.KeyPreference = identifierText(*a.KeyPreference)
	}
	return r
}

func labelOf(l unwrap.Label) ReportLabel {
	r := ReportLabel{Policy: l.Policy, PrivacyMark: printable(l.PrivacyMark), Categories: l.Categories}
	if l.Classification >= 0 {
		r.Classification = &l.Classification
	}
	return r
}

// identifierText names a certificate by what there is.
func identifierText(id unwrap.Identifier) string {
	if id.Serial != nil {
		return "serial " + id.Serial.String()
	}
	return "key " + hex.EncodeToString(id.KeyID[:min(len(id.KeyID), 64)])
}

func printables(list []string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = printable(s)
	}
	return all
}

// classifications are the basic ones, RFC 2634 section 3.2; a policy may mean something else.
var classifications = []string{"unmarked", "unclassified", "restricted", "confidential", "secret", "top secret"}

func (l ReportLabel) String() string {
	text := "policy " + l.Policy
	if l.Classification != nil {
		class := strconv.Itoa(*l.Classification)
		if *l.Classification < len(classifications) {
			class = classifications[*l.Classification]
		}
		text += ", " + class
	}
	if l.PrivacyMark != "" {
		text += fmt.Sprintf(", %q", l.PrivacyMark)
	}
	if len(l.Categories) > 0 {
		text += ", categories " + strings.Join(l.Categories, " ")
	}
	return text
}

// write shows people what is unusual; that there are a contentType and a messageDigest goes without saying.
func (a *ReportAttributes) write(n node) {
	if a == nil {
		return
	}
	if a.SecurityLabel != nil {
		n.value("label", a.SecurityLabel.String())
	}
	for _, label := range a.EquivalentLabels {
		n.value("equivalent", label.String())
	}
	for _, list := range a.MailingLists {
		n.value("mailing list", list.List+" at "+list.Time)
	}
	if r := a.ReceiptRequest; r != nil {
		n.value("receipts", fmt.Sprintf("asked of %s, to %s; none is sent", nobody(r.From), nobody(r.To)))
	}
	n.value("capabilities", strings.Join(a.Capabilities, " "))
	for _, fault := range a.Faults {
		n.value("attributes", fault)
	}
}
