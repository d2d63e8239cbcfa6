package lmtp

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
)

// An envelope is what MAIL said.
type envelope struct {
	sender string // as the client wrote it; "" is the null reverse-path
	size   int64  // SIZE parameter, 0 when absent
	utf8   bool
}

// A forward is what RCPT said.
type forward struct {
	recipient string // as the client wrote it
	original  string // ORCPT, decoded
}

func reply(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// parseMail reads the argument of MAIL. A sender's local part may be as long as the whole address: the senders that
// mailing lists and forwarders make up pass 64 octets, and a refusal here would bounce what the sender's own
// server let through.
func parseMail(arg string) (envelope, *smtp.SMTPError) {
	var e envelope
	path, params, fault := parsePath(arg, "FROM:")
	if fault != nil {
		return e, fault
	}
	for _, p := range params {
		value := p.value
		switch p.name {
		case "SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			switch {
			case errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(value, "-"):
				n = math.MaxInt64
			case err != nil || n < 0:
				return e, reply(501, 5, 5, 4, "malformed SIZE")
			}
			e.size = n
		case "BODY":
			if !strings.EqualFold(value, "7BIT") && !strings.EqualFold(value, "8BITMIME") {
				return e, reply(501, 5, 5, 4, "BODY is not 7BIT or 8BITMIME")
			}
		case "SMTPUTF8":
			if value != "" {
				return e, reply(501, 5, 5, 4, "SMTPUTF8 takes no value")
			}
			e.utf8 = true
		case "RET", "ENVID", "AUTH": // not offered; nothing that delivery could do with them
		default:
			return e, unknownParameter
		}
	}
	if path != "" {
		if fault := addressFault(checkMailbox(path, e.utf8, maxMailbox), 7); fault != nil {
			return e, fault
		}
	}
	e.sender = path
	return e, nil
}

// parseRcpt reads the argument of RCPT. ORCPT is understood although DSN is not offered: who sends it all the same
// means it.
func parseRcpt(arg string, allowUTF8 bool) (forward, *smtp.SMTPError) {
	var f forward
	path, params, fault := parsePath(arg, "TO:")
	if fault != nil {
		return f, fault
	}
	for _, p := range params {
		switch p.name {
		case "ORCPT":
			original, err := decodeORCPT(p.value)
			if err != nil {
				return f, reply(501, 5, 5, 4, "malformed ORCPT")
			}
			f.original = original
		case "NOTIFY": // not offered
		default:
			return f, unknownParameter
		}
	}
	if fault := addressFault(checkMailbox(path, allowUTF8, maxLocalPart), 3); fault != nil {
		return f, fault
	}
	f.recipient = path
	return f, nil
}

// unknownParameter is the reply of RFC 5321 section 4.1.1.11.
var unknownParameter = reply(555, 5, 5, 4, "parameter not implemented")

// addressFault turns the verdict on an address into a reply. detail is 7 for a sender, 3 for a recipient (RFC 3463 X.1.7,
// X.1.3).
func addressFault(err error, detail int) *smtp.SMTPError {
	switch err {
	case nil:
		return nil
	case errAddressUTF8:
		return reply(553, 5, 6, 7, "address needs SMTPUTF8")
	case errAddressLength:
		return reply(553, 5, 1, detail, "address too long")
	}
	return reply(553, 5, 1, detail, "malformed address")
}

// parsePath splits "FROM:<path> NAME=value ..." into its parts.
func parsePath(arg, prefix string) (path string, params []parameter, fault *smtp.SMTPError) {
	syntax := reply(501, 5, 5, 2, "syntax: "+prefix+"<address>")
	rest, ok := cutPrefixFold(arg, prefix)
	if !ok {
		return "", nil, syntax
	}
	rest = strings.TrimLeft(rest, " ")
	end := pathEnd(rest)
	if end < 0 {
		return "", nil, syntax
	}
	path, rest = rest[1:end], rest[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", nil, syntax
	}
	params, fault = parseParameters(rest)
	return path, params, fault
}

// pathEnd returns the offset of the angle bracket that closes the one s begins with, or -1. Brackets inside a quoted
// string do not count.
func pathEnd(s string) int {
	if !strings.HasPrefix(s, "<") {
		return -1
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// A parameter is one esmtp-param, its name in upper case.
type parameter struct{ name, value string }

// parseParameters reads esmtp-params of RFC 5321 section 4.1.2. A parameter given twice is refused.
func parseParameters(s string) ([]parameter, *smtp.SMTPError) {
	var params []parameter
	for _, field := range strings.Fields(s) {
		name, value, _ := strings.Cut(field, "=")
		name = strings.ToUpper(name)
		twice := slices.ContainsFunc(params, func(p parameter) bool { return p.name == name })
		if twice || name == "" || len(params) == 16 {
			return nil, reply(501, 5, 5, 4, "malformed parameters")
		}
		params = append(params, parameter{name, value})
	}
	return params, nil
}

// quotePath writes an address so that go-smtp, which takes the quotes off a local part, hands over exactly what the
// client wrote.
func quotePath(mailbox string) string {
	if mailbox == "" {
		return "<>"
	}
	at := strings.LastIndexByte(mailbox, '@')
	return `<"` + quoter.Replace(mailbox[:at]) + `"` + mailbox[at:] + ">"
}

var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
