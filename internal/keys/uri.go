package keys

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A tokenURI names a key in a PKCS #11 token, RFC 7512.
type tokenURI struct {
	module                             string // path of the PKCS #11 library
	token, serial, manufacturer, model string // of the token; "" is any
	slot                               *uint
	label                              string // CKA_LABEL; "" is any
	id                                 []byte // CKA_ID; nil is any
	pin, pinFile                       string
}

// parseTokenURI reads a "pkcs11:" URI. The library must be named (module-path), and the key by object or id.
func parseTokenURI(s string) (*tokenURI, error) {
	rest, ok := strings.CutPrefix(s, "pkcs11:")
	if !ok {
		return nil, fmt.Errorf("%q is no PKCS #11 URI", withoutPIN(s))
	}
	u := new(tokenURI)
	path, query, _ := strings.Cut(rest, "?")
	if err := eachAttribute(path, ";", u.pathAttribute); err != nil {
		return nil, err
	}
	if err := eachAttribute(query, "&", u.queryAttribute); err != nil {
		return nil, err
	}
	switch {
	case u.module == "":
		return nil, fmt.Errorf("%q names no library: end it with ?module-path=FILE", withoutPIN(s))
	case u.label == "" && u.id == nil:
		return nil, fmt.Errorf("%q names no key: write object=LABEL or id=%%01", withoutPIN(s))
	case u.pin != "" && u.pinFile != "":
		return nil, fmt.Errorf("%q has both pin-value and pin-source", withoutPIN(s))
	}
	return u, nil
}

// withoutPIN is a URI that can be shown.
func withoutPIN(s string) string {
	before, after, found := strings.Cut(s, "pin-value=")
	if !found {
		return s
	}
	_, rest, more := strings.Cut(after, "&")
	if more {
		rest = "&" + rest
	}
	return before + "pin-value=..." + rest
}

func eachAttribute(s, separator string, read func(name, value string) error) error {
	if s == "" {
		return nil
	}
	seen := map[string]bool{}
	for attribute := range strings.SplitSeq(s, separator) {
		name, escaped, ok := strings.Cut(attribute, "=")
		if !ok || seen[name] {
			return fmt.Errorf("attribute %q of a PKCS #11 URI has no value, or stands twice", name)
		}
		seen[name] = true
		value, err := url.PathUnescape(escaped)
		if err != nil {
			return fmt.Errorf("attribute %q of a PKCS #11 URI is not well escaped", name)
		}
		if err := read(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *tokenURI) pathAttribute(name, value string) error {
	switch name {
	case "token":
		u.token = value
	case "serial":
		u.serial = value
	case "manufacturer":
		u.manufacturer = value
	case "model":
		u.model = value
	case "object":
		u.label = value
	case "id":
		u.id = []byte(value)
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("slot-id %q of a PKCS #11 URI is no number", value)
		}
		slot := uint(n)
		u.slot = &slot
	case "type":
		if value != "private" {
			return fmt.Errorf("type %q of a PKCS #11 URI is not that of a private key", value)
		}
	default:
		return fmt.Errorf("attribute %q of a PKCS #11 URI is not known: it could name another key than is meant", name)
	}
	return nil
}

func (u *tokenURI) queryAttribute(name, value string) error {
	switch name {
	case "module-path":
		u.module = value
	case "pin-value":
		u.pin = value
	case "pin-source":
		file := strings.TrimPrefix(value, "file:")
		if !strings.HasPrefix(file, "/") {
			return fmt.Errorf("pin-source %q of a PKCS #11 URI is no absolute path of a file", value)
		}
		u.pinFile = "/" + strings.TrimLeft(file, "/")
	default:
		return fmt.Errorf("attribute %q of a PKCS #11 URI is not known", name)
	}
	return nil
}
