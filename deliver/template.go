package deliver

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A template is a Maildir path with placeholders: a fixed part, which is the administrator's and may be a symbolic
// link, and components below it, from the first with a placeholder on.
type template struct {
	home       bool       // starts at the recipient's home directory
	fixed      string     // absolute path of the part without placeholders; empty with home
	components [][]string // each alternately literal text and placeholder name
}

// parseTemplate reads "mail/{domain}/{local}"; a relative one starts at base.
func parseTemplate(text, base string) (*template, error) {
	t := &template{}
	rest := text
	if text == "{home}" || strings.HasPrefix(text, "{home}/") {
		t.home = true
		rest = strings.TrimPrefix(text, "{home}")
	} else if !filepath.IsAbs(text) {
		if !filepath.IsAbs(base) {
			return nil, fmt.Errorf("maildir %q: relative, and %q to start from is no absolute path", text, base)
		}
		rest = filepath.Clean(base) + "/" + text
	}
	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			return nil, fmt.Errorf("maildir %q: \"..\" is not allowed", text)
		}
		pieces, err := parseComponent(part)
		if err != nil {
			return nil, fmt.Errorf("maildir %q: %w", text, err)
		}
		if len(pieces) == 1 && len(t.components) == 0 && !t.home {
			t.fixed += "/" + part
			continue
		}
		t.components = append(t.components, pieces)
	}
	if !t.home && t.fixed == "" {
		if len(t.components) == 0 {
			return nil, fmt.Errorf("maildir %q: names no directory", text)
		}
		t.fixed = "/"
	}
	return t, nil
}

// forAll says that the template is one directory for every recipient.
func (t *template) forAll() bool { return !t.home && len(t.components) == 0 }

// parseComponent splits "a{local}b" into "a", "local", "b": literal text at even places.
func parseComponent(part string) ([]string, error) {
	var pieces []string
	for {
		literal, rest, open := strings.Cut(part, "{")
		if strings.Contains(literal, "}") || strings.Contains(literal, "\x00") {
			return nil, fmt.Errorf("%q is no file name", literal)
		}
		pieces = append(pieces, literal)
		if !open {
			return pieces, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		switch {
		case !closed:
			return nil, errors.New("a \"{\" without \"}\"")
		case name == "home":
			return nil, errors.New("{home} stands for a whole path and only at the start")
		case name != "domain" && name != "local" && name != "detail":
			return nil, fmt.Errorf("unknown {%s}; there are {domain} {local} {detail} {home}", name)
		}
		pieces = append(pieces, name)
		part = after
	}
}

// uses says whether a placeholder is in the template.
func (t *template) uses(name string) bool {
	for _, pieces := range t.components {
		for i := 1; i < len(pieces); i += 2 {
			if pieces[i] == name {
				return true
			}
		}
	}
	return false
}

// expand returns the path below the fixed part, or below the home directory, for one address. A component that names
// {detail} is left out for an address without one, so that mail for the plain address goes to the folder above.
func (t *template) expand(a address, delimiters string) (string, error) {
	user, detail := splitDetail(a.local, delimiters)
	values := map[string]string{"domain": a.domain, "local": user, "detail": detail}
	var parts []string
components:
	for _, pieces := range t.components {
		var b strings.Builder
		for i, piece := range pieces {
			if i%2 == 0 {
				b.WriteString(piece)
				continue
			}
			if piece == "detail" && detail == "" {
				continue components
			}
			escaped, err := escapeComponent(values[piece])
			if err != nil {
				return "", err
			}
			b.WriteString(escaped)
		}
		name := b.String()
		if len(name) > maxComponent || name == "." || name == ".." {
			return "", fmt.Errorf("%q is no file name", name)
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

const maxComponent = 255 // NAME_MAX

// escapeComponent returns foreign text as a file name, or a part of one, so that different texts (but for the case of
// A-Z, which is folded) have different names, whatever they hold. Letters, digits and "-_+=." stay, the dot not in
// front; so do printable characters outside ASCII; other printable ASCII becomes %xx, so "a/b" is "a%2fb" and "%2f" is
// "%252f". Control characters, separators and octets that are no UTF-8 have no name (THREATS C14).
func escapeComponent(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty name")
	}
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError || r != ' ' && !unicode.IsPrint(r) {
			return "", fmt.Errorf("%q: a character that no mailbox name has", s)
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		switch {
		case r >= 0x80 || isLetterDigit(byte(r)) || strings.ContainsRune("-_+=", r) || r == '.' && i > 0:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "%%%02x", r)
		}
	}
	if b.Len() > maxComponent {
		return "", errors.New("name too long")
	}
	return b.String(), nil
}
