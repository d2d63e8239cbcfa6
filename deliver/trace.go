package deliver

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Trace is what the receiving side knows about the origin of a message, for the Received field. Every part may be
// empty.
type Trace struct {
	HELO          string // the name the client gave
	ClientName    string // its name by DNS
	ClientAddress string // its IP address
	Protocol      string // "LMTP"; RFC 5321 section 4.4, with-protocol
	ID            string // of this message with us
	SenderUnknown bool   // there was no envelope, or the MTA has said it on top: no Return-Path is written
	RecipientTold bool   // the MTA has put Delivered-To on top: no other is written
}

type traceKey struct{}

// WithTrace returns a context that carries t to Target.Begin.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

func traceFrom(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// traceFields returns the fields a delivery agent puts on top: Return-Path, Delivered-To, Received (RFC 5321 section
// 4.4). A part that cannot be said in a field of sane length is left out.
func traceFields(t Trace, sender, recipient, by string, now time.Time) []string {
	var fields []string
	if path, ok := fieldAddress(sender); ok && !t.SenderUnknown {
		fields = append(fields, "Return-Path: <"+path+">\r\n")
	}
	to, ok := fieldAddress(recipient)
	if ok = ok && to != ""; ok && !t.RecipientTold {
		fields = append(fields, "Delivered-To: "+to+"\r\n")
	}
	var b strings.Builder
	b.WriteString("Received:")
	if from := fromClause(t); from != "" {
		b.WriteString(" from " + from + "\r\n\t")
	} else {
		b.WriteString(" ")
	}
	b.WriteString("by " + fieldToken(by))
	if with := fieldToken(t.Protocol); with != "" {
		b.WriteString(" with " + with)
	}
	if id := fieldToken(t.ID); id != "" {
		b.WriteString(" id " + id)
	}
	if ok {
		b.WriteString("\r\n\tfor <" + to + ">")
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return append(fields, b.String())
}

// fromClause is the client as it named itself and as the connection shows it.
func fromClause(t Trace) string {
	helo, name, addr := fieldToken(t.HELO), fieldToken(t.ClientName), fieldToken(t.ClientAddress)
	if helo == "" {
		helo = name
	}
	if helo == "" || addr == "" {
		return helo
	}
	if name != "" {
		name += " "
	}
	return helo + " (" + name + "[" + addr + "])"
}

// Longer than any address or name that mail has; a line of a field has room for it (RFC 5322 section 2.1.1).
const (
	maxFieldAddress = 900
	maxFieldToken   = 255
)

// fieldAddress returns an address as it may stand in a field. Nothing of it can end the field or the angle brackets
// around it: what could becomes "?".
func fieldAddress(addr string) (string, bool) {
	if len(addr) > maxFieldAddress {
		return "", false
	}
	quoted := strings.HasPrefix(addr, `"`) // the one place where RFC 5321 lets these octets stand
	return replaceRunes(addr, func(r rune) bool {
		return r >= 0x80 || r > ' ' && r < 0x7f && r != '<' && r != '>' || quoted && r >= ' ' && r < 0x7f
	}), true
}

// fieldToken returns a name, address or id as it may stand in a Received field outside comments and quotes.
func fieldToken(s string) string {
	if len(s) > maxFieldToken {
		s = s[:maxFieldToken]
	}
	return replaceRunes(s, func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:+=/", r)
	})
}

// replaceRunes puts "?" for every octet that is no UTF-8 and every rune that is not allowed. C1 controls are never.
func replaceRunes(s string, allowed func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r >= 0x80 && r < 0xa0 || !allowed(r) {
			b.WriteByte('?')
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
