package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A decoder fills a Config from what the TOML library read. The library's own decoding stops at the first wrong
// type; this one goes on, so that the administrator sees all there is to mend.
type decoder struct {
	file     string
	text     string
	lines    lines // of text, once they are asked for
	problems Problems
	written  map[string]bool // keys that are known
}

// report adds a problem. Brackets are for the line only: the administrator knows lists of tables by their name.
func (d *decoder) report(key, text, fix string) {
	d.problems = append(d.problems, Problem{d.file, d.line(key), plainKey(key), text, fix})
}

func (d *decoder) line(key string) int {
	if d.lines == nil {
		d.lines = locate(d.text)
	}
	return d.lines.at(key)
}

// reported tells whether something is already said about the key, so that one fault makes one problem.
func (d *decoder) reported(key string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Line == d.line(key) && p.Key == plainKey(key) })
}

func plainKey(key string) string {
	var b strings.Builder
	for _, part := range strings.SplitAfter(key, "]") {
		if name, index, ok := strings.Cut(part, "["); ok && strings.Trim(index, "0123456789") == "]" {
			part = name
		}
		b.WriteString(part)
	}
	return b.String()
}

// table fills a struct.
func (d *decoder) table(key string, values map[string]any, into reflect.Value) {
	fields := fieldsOf(into.Type())
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i, ok := fields[name]
		if !ok {
			fix := ""
			if len(d.problems) < maxHints {
				fix = suggest(key, name)
			}
			d.report(join(key, name), "unknown key", fix)
			continue
		}
		d.written[join(key, name)] = true
		d.value(join(key, name), values[name], into.Field(i), into.Type().Field(i).Tag.Get("enum"))
	}
}

// maxHints bounds the work on a file that is no configuration at all.
const maxHints = 100

// fieldsOf maps the keys of a table to its fields.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("toml"); name != "-" {
			fields[name] = i
		}
	}
	return fields
}

// value fills one field. What it may be is seen from the field's type alone.
func (d *decoder) value(key string, value any, into reflect.Value, enum string) {
	switch p := into.Addr().Interface().(type) {
	case *string:
		if s, ok := d.str(key, value, `"..."`); ok && d.allowed(key, s, enum) {
			*p = s
		}
	case *bool:
		b, ok := value.(bool)
		if !ok {
			d.wrongType(key, value, "true or false")
			return
		}
		*p = b
	case *int:
		n, ok := value.(int64)
		if !ok {
			d.wrongType(key, value, "a number without quotes")
			return
		}
		*p = int(n)
	case *Size:
		parseText(d, key, value, `a size with its unit, as in "256MiB"`, parseSize, p)
	case *time.Duration:
		parseText(d, key, value, `a duration with its unit, as in "5m" or "90s"`, parseDuration, p)
	case *os.FileMode:
		parseText(d, key, value, `an octal mode in quotes, as in "0660"`, parseMode, p)
	case *LegacySHA1:
		if err := p.decode(value); err != nil {
			d.report(key, err.Error(), `write "policy", "pass", or one of both by system, as in { meta = "pass" }; systems are `+strings.Join(sha1Systems, ", "))
		}
	case *[]string:
		d.strs(key, value, p, enum)
	case *map[string]string:
		d.strMap(key, value, p, enum)
	default:
		d.tables(key, value, into)
	}
}

func (d *decoder) wrongType(key string, value any, want string) {
	d.report(key, "is "+typeName(value), "write "+want)
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case time.Time:
		return "a date"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "something else"
}

func (d *decoder) str(key string, value any, want string) (string, bool) {
	s, ok := value.(string)
	if !ok {
		d.wrongType(key, value, want)
		return "", false
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		d.report(key, fmt.Sprintf("%q holds a control character", s), "take it out")
		return "", false
	}
	return s, true
}

func (d *decoder) allowed(key, s, enum string) bool {
	words := strings.Fields(enum)
	if enum == "" || slices.Contains(words, s) {
		return true
	}
	d.report(key, fmt.Sprintf("%q is not allowed", s), "write one of "+strings.Join(words, ", "))
	return false
}

// parseText fills a value that is written as a string.
func parseText[T any](d *decoder, key string, value any, want string, parse func(string) (T, error), into *T) {
	s, ok := d.str(key, value, want)
	if !ok {
		return
	}
	parsed, err := parse(s)
	if err != nil {
		d.report(key, err.Error(), "write "+want)
		return
	}
	*into = parsed
}

func (d *decoder) strs(key string, value any, into *[]string, enum string) {
	list, ok := value.([]any)
	if !ok {
		d.wrongType(key, value, `a list of strings, ["...", "..."]`)
		return
	}
	read := make([]string, 0, len(list))
	for _, element := range list {
		if s, ok := d.str(key, element, `a list of strings, ["...", "..."]`); ok && d.allowed(key, s, enum) {
			read = append(read, s)
		}
	}
	if len(read) == len(list) {
		*into = read
	}
}

func (d *decoder) strMap(key string, value any, into *map[string]string, enum string) {
	table, ok := value.(map[string]any)
	if !ok {
		d.wrongType(key, value, `a table, { "name" = "value" }`)
		return
	}
	*into = make(map[string]string, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if s, ok := d.str(join(key, name), table[name], `"..."`); ok && d.allowed(join(key, name), s, enum) {
			(*into)[name] = s
		}
	}
}

// tables fills a struct, or a list of them.
func (d *decoder) tables(key string, value any, into reflect.Value) {
	if into.Kind() == reflect.Struct {
		table, ok := value.(map[string]any)
		if !ok {
			d.wrongType(key, value, "a table, ["+plainKey(key)+"]")
			return
		}
		d.table(key, table, into)
		return
	}
	list, ok := tableList(value)
	if !ok {
		d.wrongType(key, value, "a list of tables, [["+plainKey(key)+"]] or { ... } in brackets")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
	for i, table := range list {
		element := into.Index(i)
		defaultElement(element.Addr().Interface())
		d.table(fmt.Sprintf("%s[%d]", key, i), table, element)
	}
}

// tableList takes both forms in which the library gives a list of tables.
func tableList(value any) ([]map[string]any, bool) {
	switch value := value.(type) {
	case []map[string]any:
		return value, true
	case []any:
		list := make([]map[string]any, len(value))
		for i, element := range value {
			table, ok := element.(map[string]any)
			if !ok {
				return nil, false
			}
			list[i] = table
		}
		return list, true
	}
	return nil, false
}

// suggest names the known key that the administrator may have meant: one like it in this table, or the same one in
// another table.
func suggest(table, name string) string {
	table = plainKey(table)
	best, distance := "", len(name)/3+1
	for _, known := range knownKeys(reflect.TypeFor[Config](), "") {
		parent, last := "", known
		if i := strings.LastIndexByte(known, '.'); i >= 0 {
			parent, last = known[:i], known[i+1:]
		}
		n := editDistance(strings.ToLower(name), last)
		if parent != table {
			n += 1 + min(n, 1)*len(name) // elsewhere only the very same name
		}
		if n <= distance && (best == "" || n < distance) {
			best, distance = known, n
		}
	}
	if best == "" {
		return "take it out, or see the manual for the keys there are"
	}
	return "did you mean " + best + "?"
}

func knownKeys(t reflect.Type, table string) (keys []string) {
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("toml")
		if name == "-" {
			continue
		}
		keys = append(keys, join(table, name))
		inner := t.Field(i).Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, knownKeys(inner, join(table, name))...)
		}
	}
	return keys
}

// editDistance is the number of letters to insert, take out or change (Levenshtein).
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
