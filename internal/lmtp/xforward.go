package lmtp

import (
	"net"
	"net/netip"
	"strings"

	"github.com/emersion/go-smtp"
)

// A Peer is the other side of a connection, and what it told us about the client it got the mail from. The fields
// after HELO come from XFORWARD and are empty unless the peer is trusted to send it.
type Peer struct {
	Network, Address string // of the connection itself
	HELO             string // argument of LHLO

	QueueID       string // IDENT: of the message that is being handed over
	ClientName    string
	ClientAddress string
	ClientPort    string
	ClientHELO    string
	ClientProto   string
	ClientSource  string // LOCAL or REMOTE
}

// xforwardAttributes is offered in the LHLO reply. Each name has its line in set.
const xforwardAttributes = "NAME ADDR PORT PROTO HELO IDENT SOURCE"

// set stores one attribute. It tells whether the name is known.
func (p *Peer) set(name, value string) bool {
	switch name {
	case "NAME":
		p.ClientName = value
	case "ADDR":
		p.ClientAddress, _ = cutPrefixFold(value, "IPv6:")
	case "PORT":
		p.ClientPort = value
	case "PROTO":
		p.ClientProto = value
	case "HELO":
		p.ClientHELO = value
	case "IDENT":
		p.QueueID = value
	case "SOURCE":
		p.ClientSource = value
	default:
		return false
	}
	return true
}

// xforward takes the argument of one XFORWARD command, all of it or nothing. An attribute that the sender does not know
// comes as [UNAVAILABLE] or [TEMPUNAVAIL] and is kept empty.
func (p *Peer) xforward(arg string) *smtp.SMTPError {
	next := *p
	fields := strings.Fields(arg)
	if len(fields) == 0 {
		return reply(501, 5, 5, 4, "attributes missing")
	}
	for _, field := range fields {
		name, encoded, found := strings.Cut(field, "=")
		value, err := decodeXtext(encoded)
		if !found || err != nil || len(value) > 255 || !isPrintable(value) {
			return reply(501, 5, 5, 4, "malformed attribute")
		}
		if strings.EqualFold(value, "[UNAVAILABLE]") || strings.EqualFold(value, "[TEMPUNAVAIL]") {
			value = ""
		}
		if !next.set(strings.ToUpper(name), value) {
			return reply(501, 5, 5, 4, "unknown attribute")
		}
	}
	*p = next
	return nil
}

// mayForward tells whether the peer at addr may say whose mail it hands over. Who can open a unix socket has been let
// in by its file mode; of the rest only the configured networks.
func mayForward(addr net.Addr, from []netip.Prefix) bool {
	if addr.Network() == "unix" {
		return true
	}
	peer, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return false
	}
	for _, prefix := range from {
		if prefix.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}
