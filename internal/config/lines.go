package config

import (
	"fmt"
	"strconv"
	"strings"
)

// lines says on which line of the file a key stands, "domain[1].name". The library checks the grammar but tells no
// positions of keys, so the text, known to be good TOML by then, is gone through once more. What stands inside a
// list or an inline table has the line of its key.
type lines map[string]int

// at returns the line of the key, or of the nearest table around it that the file names.
func (l lines) at(key string) int {
	for key != "" {
		if n, ok := l[key]; ok {
			return n
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

func locate(text string) lines {
	s := scanner{text: text, line: 1, found: lines{}, count: map[string]int{}}
	for s.skip(" \t\r\n") {
		switch s.text[s.pos] {
		case '#':
			s.comment()
		case '[':
			s.header()
		default:
			s.statement()
		}
	}
	return s.found
}

type scanner struct {
	text  string
	pos   int
	line  int
	table string         // prefix of the keys that follow
	count map[string]int // elements so far of each list of tables
	found lines
}

// next takes n octets.
func (s *scanner) next(n int) {
	n = min(n, len(s.text)-s.pos)
	s.line += strings.Count(s.text[s.pos:s.pos+n], "\n")
	s.pos += n
}

// skip takes octets of set and reports whether any other is left.
func (s *scanner) skip(set string) bool {
	rest := strings.TrimLeft(s.text[s.pos:], set)
	s.next(len(s.text) - s.pos - len(rest))
	return rest != ""
}

func (s *scanner) comment() {
	n := strings.IndexByte(s.text[s.pos:], '\n')
	if n < 0 {
		n = len(s.text) - s.pos
	}
	s.next(n)
}

func (s *scanner) header() {
	line, list := s.line, strings.HasPrefix(s.text[s.pos:], "[[")
	s.skip("[")
	s.table = ""
	names := s.key()
	for i, name := range names {
		s.table = join(s.table, name)
		if list && i == len(names)-1 {
			s.count[s.table]++
		}
		if n := s.count[s.table]; n > 0 {
			s.table = fmt.Sprintf("%s[%d]", s.table, n-1)
		}
	}
	s.skip("]")
	s.note(s.table, line)
}

func (s *scanner) statement() {
	line, key := s.line, s.table
	for _, name := range s.key() {
		key = join(key, name)
		s.note(key, line)
	}
	s.skip("=")
	s.value()
}

func (s *scanner) note(key string, line int) {
	if _, ok := s.found[key]; !ok {
		s.found[key] = line
	}
}

// key takes a dotted key up to "=" or "]".
func (s *scanner) key() (names []string) {
	for s.skip(" \t.") {
		rest := s.text[s.pos:]
		switch rest[0] {
		case '=', ']', '\r', '\n':
			return names
		case '"', '\'':
			start := s.pos
			s.quoted()
			name := s.text[start:s.pos]
			if plain, err := strconv.Unquote(name); err == nil && rest[0] == '"' {
				name = plain
			}
			names = append(names, strings.Trim(name, `'`))
		default:
			n := strings.IndexAny(rest, " \t.=]\r\n")
			if n < 0 {
				n = len(rest)
			}
			names = append(names, rest[:n])
			s.next(n)
		}
	}
	return names
}

// value takes a value to the end of its line, or past the brackets and strings that it opens.
func (s *scanner) value() {
	for depth := 0; s.pos < len(s.text); {
		switch s.text[s.pos] {
		case '"', '\'':
			s.quoted()
			continue
		case '#':
			s.comment()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			if depth <= 0 {
				return
			}
		}
		s.next(1)
	}
}

// quoted takes a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		quote = triple
	}
	s.next(len(quote))
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], quote) {
		if s.text[s.pos] == '\\' && quote[0] == '"' {
			s.next(1)
		}
		s.next(1)
	}
	s.next(len(quote))
	if len(quote) == 3 {
		s.skip(quote[:1]) // up to two quotes may stand before the closing three
	}
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}
