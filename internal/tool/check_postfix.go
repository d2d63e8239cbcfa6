package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paperknife/internal/config"
)

const defaultPostfix = "/etc/postfix"

// A parameter is a value of main.cf and the line it begins on.
type parameter struct {
	value string
	line  int
}

// checkPostfix looks for the settings of Postfix that are known to break mail handed to us. All are warnings: what
// Postfix really does with a message only Postfix knows.
func (c *checker) checkPostfix(cfg *config.Config, dir string) {
	asked := dir != ""
	if !asked {
		dir = defaultPostfix
	}
	path := filepath.Join(dir, "main.cf")
	text, err := readSmall(path)
	if err != nil {
		if asked || !errors.Is(err, fs.ErrNotExist) {
			c.add(severityWarning, config.Problem{File: path, Text: cause(err).Error(), Fix: "name the directory of main.cf"})
		}
		return
	}
	main := parseMainCF(string(text))
	if !asked && !usesLMTP(main) {
		return
	}
	p := postfixCheck{c, path, main}
	p.lineLength()
	p.destinations()
	p.milters(cfg, dir)
	p.delimiter(cfg)
	c.note("Postfix in %s", dir)
}

// parseMainCF reads the parameters of main.cf; the last of a name counts, as in postconf(5).
func parseMainCF(text string) map[string]parameter {
	found := map[string]parameter{}
	name := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if p, ok := found[name]; ok {
				p.value = strings.TrimSpace(p.value + " " + trimmed)
				found[name] = p
			}
		default:
			before, value, _ := strings.Cut(trimmed, "=")
			name = strings.TrimSpace(before)
			found[name] = parameter{strings.TrimSpace(value), i + 1}
		}
	}
	return found
}

func usesLMTP(main map[string]parameter) bool {
	for _, p := range main {
		if strings.Contains(p.value, "lmtp:") {
			return true
		}
	}
	return false
}

type postfixCheck struct {
	*checker
	path string
	main map[string]parameter
}

func (p postfixCheck) warn(name, fix, format string, args ...any) {
	p.add(severityWarning, config.Problem{File: p.path, Line: p.main[name].line, Key: name, Text: fmt.Sprintf(format, args...), Fix: fix})
}

func (p postfixCheck) lineLength() {
	const name = "lmtp_line_length_limit"
	value, set := p.main[name]
	if value.value == "0" {
		return
	}
	if !set {
		value.value = "998 by default"
	}
	p.warn(name, "postconf -e "+name+"=0", "is %s: longer lines are folded on the way to us, which breaks signatures", value.value)
}

// destinations: with "inet:" before the second host as well, lmtp(8) dies and the transport waits.
func (p postfixCheck) destinations() {
	for name, value := range p.main {
		list := strings.Split(value.value, ",")
		if !strings.Contains(list[0], "lmtp:inet:") || len(list) == 1 {
			continue
		}
		if slices.ContainsFunc(list[1:], func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), "inet:") }) {
			p.warn(name, "write inet: once: lmtp:inet:[a]:24, [b]:24", "has inet: before more than one host: Postfix's lmtp client dies of it")
		}
	}
}

// milters: a filter that writes Authentication-Results under our name has its fields removed by us.
func (p postfixCheck) milters(cfg *config.Config, dir string) {
	if p.main["smtpd_milters"].value == "" && p.main["non_smtpd_milters"].value == "" {
		return
	}
	const fix = "give authserv_id a name that no other filter has"
	host := p.main["myhostname"].value
	if host == "" {
		host, _ = os.Hostname() // Postfix's own default; without it there is nothing to compare
	}
	if same(host, cfg.AuthservID) {
		p.warn("myhostname", fix, "is our authserv_id %q, and milters use it for theirs: we remove their results", cfg.AuthservID)
	}
	for _, file := range []string{"opendkim.conf", "opendmarc.conf"} {
		path := filepath.Join(filepath.Dir(filepath.Clean(dir)), file)
		id, line := authservID(path)
		if id == "HOSTNAME" {
			id = host
		}
		if same(id, cfg.AuthservID) {
			p.add(severityWarning, config.Problem{File: path, Line: line, Key: "AuthservID", Fix: fix,
				Text: fmt.Sprintf("is our authserv_id %q: we remove its results", cfg.AuthservID)})
		}
	}
}

func same(a, b string) bool {
	return a != "" && strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// authservID reads the AuthservID of a configuration in the style of OpenDKIM; "" when there is none.
func authservID(path string) (id string, line int) {
	text, err := readSmall(path)
	if err != nil {
		return "", 0
	}
	for i, l := range strings.Split(string(text), "\n") {
		if words := strings.Fields(l); len(words) >= 2 && strings.EqualFold(words[0], "AuthservID") {
			id, line = words[1], i+1
		}
	}
	return id, line
}

func (p postfixCheck) delimiter(cfg *config.Config) {
	const name = "recipient_delimiter"
	if value, set := p.main[name]; set && value.value != cfg.Deliver.RecipientDelimiter {
		p.warn(name, "write the same into deliver.recipient_delimiter", "is %q, ours is %q", value.value, cfg.Deliver.RecipientDelimiter)
	}
}
