// Package docs holds the manuals. Its tests hold them against the code.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperknife/internal/config"
	"paperknife/test/need"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A manual says every key of the configuration with its default, says which of them do nothing yet, and says no other.
func TestConfigurationManual(t *testing.T) {
	page := items(t, read(t, "paperknife.toml.5"))
	pending := pendingKeys(t)
	want := map[string]string{}
	keysOf(want, "", reflect.ValueOf(*config.Default()))
	for _, key := range slices.Sorted(maps.Keys(want)) {
		text, ok := page[key]
		if !ok {
			t.Errorf("paperknife.toml.5 lacks the key %s", key)
			continue
		}
		text = strings.Join(strings.Fields(text), " ")
		if standard := "Default: " + want[key]; want[key] != "" && !strings.Contains(text, standard) {
			t.Errorf("paperknife.toml.5: %s lacks %q", key, standard)
		}
		if says := strings.Contains(text, "no effect yet"); says != pending[key] {
			t.Errorf("paperknife.toml.5: %s has no effect yet: the page says %v, the program %v", key, says, pending[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(page)) {
		if _, ok := want[key]; !ok {
			t.Errorf("paperknife.toml.5 has the key %s, which is none", key)
		}
	}
}

// items returns the entries of the page by key: the table in the heading, and the item.
func items(t *testing.T, page string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var tables, keys []string
	for line := range strings.SplitSeq(page, "\n") {
		switch heading, item := strings.TrimPrefix(line, ".Ss "), strings.TrimPrefix(line, ".It Ic "); {
		case strings.HasPrefix(line, ".Sh "):
			tables, keys = nil, nil
		case heading != line:
			tables, keys = tablesOf(heading), nil
		case item != line:
			keys = nil
			for _, table := range tables {
				key := strings.TrimPrefix(table+"."+item, ".")
				if _, twice := found[key]; twice {
					t.Errorf("the key %s is there twice", key)
				}
				found[key] = ""
				keys = append(keys, key)
			}
		default:
			for _, key := range keys {
				found[key] += line + "\n"
			}
		}
	}
	return found
}

func tablesOf(heading string) []string {
	switch {
	case heading == "Top level":
		return []string{""}
	case heading == "keys of a [[domain]]":
		return []string{"domain.keys"}
	case !strings.HasPrefix(heading, "["):
		return nil
	}
	var tables []string
	for name := range strings.SplitSeq(heading, ", ") {
		tables = append(tables, strings.Trim(name, "[]"))
	}
	return tables
}

// keysOf adds every key of a struct with its default as the page prints it; "" for one that has none.
func keysOf(into map[string]string, table string, v reflect.Value) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		if name == "-" {
			continue
		}
		key := strings.TrimPrefix(table+"."+name, ".")
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			keysOf(into, key, f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			if name == "keys" {
				into[key] = ""
			}
			keysOf(into, key, reflect.Zero(f.Type().Elem()))
		default:
			into[key] = standard(key, f)
		}
	}
}

// What the types of Default do not say.
var standards = map[string]string{
	"authserv_id":             `"paperknife."`,
	"verify.legacy_sha1":      `"policy"`,
	"partner.unauthenticated": `"gated"`,
	"domain.name":             "", "partner.domain": "",
	"domain.keys.cert": "", "domain.keys.key": "", "domain.keys.pkcs12": "", "domain.keys.password_file": "", "domain.keys.pkcs11": "",
}

func standard(key string, f reflect.Value) string {
	if s, ok := standards[key]; ok {
		return s
	}
	switch v := f.Interface().(type) {
	case string:
		return strconv.Quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case time.Duration:
		return strconv.Quote(strings.TrimSuffix(v.String(), "0s"))
	case os.FileMode:
		return fmt.Sprintf("\"%04o\"", v)
	case config.Size:
		return strconv.Quote(v.String())
	case map[string]string:
		return "{}"
	}
	return fmt.Sprint(f.Interface())
}

// pendingKeys reads the table of internal/config that says what does nothing yet. An entry about one value of a key,
// `trust.naming "direct"`, counts for the key.
func pendingKeys(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for _, file := range sources(t, "../internal/config") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Names[0].Name != "pendingKeys" {
				return true
			}
			for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
				key, _, _ := strings.Cut(literal(t, e.(*ast.CompositeLit).Elts[0]), " ")
				keys[key] = true
				if strings.HasPrefix(key, "policy.") && strings.Count(key, ".") == 1 && key != "policy.replay" {
					keys[key+".enforce"] = true // the entry is for the table
				}
			}
			return false
		})
	}
	if len(keys) == 0 {
		t.Fatal("no table named pendingKeys in internal/config: this test has to learn where it went")
	}
	return keys
}

// Every option of a program is in its page, and no other.
func TestOptionsManual(t *testing.T) {
	for page, dir := range map[string]string{"lmtpd.8": "../cmd/lmtpd", "deliver-filter.8": "../cmd/deliver-filter", "paperknife.8": "../internal/tool"} {
		have := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^\.It Fl (\S+)`).FindAllStringSubmatch(read(t, page), -1) {
			have[m[1]] = true
		}
		want := map[string]bool{}
		for _, file := range sources(t, dir) {
			flagsOf(t, file, want)
		}
		if len(want) == 0 {
			t.Errorf("no options found in %s: this test has to learn where they went", dir)
		}
		if !maps.Equal(have, want) {
			t.Errorf("%s has the options %v, %s %v", page, slices.Sorted(maps.Keys(have)), dir, slices.Sorted(maps.Keys(want)))
		}
	}
}

// flagsOf adds the name in every call of a method of a flag.FlagSet that is named flags, as in flags.Bool("json", ...).
func flagsOf(t *testing.T, file *ast.File, into map[string]bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if x, named := method, ok; !named || fmt.Sprint(x.X) != "flags" {
			return true
		}
		name := 0
		switch strings.TrimSuffix(method.Sel.Name, "Var") {
		case "String", "Bool", "Int", "Duration", "Func", "BoolFunc", "Text", "Uint", "Float64", "Int64", "Uint64", "":
			if strings.HasSuffix(method.Sel.Name, "Var") {
				name = 1
			}
		default:
			return true
		}
		if len(call.Args) > name {
			into[literal(t, call.Args[name])] = true
		}
		return true
	})
}

// Every reason that a header field, the log or a report can give is in the postmaster's manual.
func TestReasonsInOperating(t *testing.T) {
	manual := read(t, "operating.md")
	found := 0
	for dir, is := range map[string]func(name string, spec *ast.ValueSpec) bool{
		"../internal/policy": func(name string, spec *ast.ValueSpec) bool { return fmt.Sprint(spec.Type) == "Reason" },
		"../internal/trust":  func(name string, spec *ast.ValueSpec) bool { return strings.HasPrefix(name, "Reason") },
		"../unwrap":          func(name string, spec *ast.ValueSpec) bool { return strings.HasPrefix(name, "fault") },
	} {
		n := 0
		for _, file := range sources(t, dir) {
			ast.Inspect(file, func(node ast.Node) bool {
				spec, ok := node.(*ast.ValueSpec)
				if !ok || len(spec.Values) != 1 || !is(spec.Names[0].Name, spec) {
					return true
				}
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					n++
					if reason := literal(t, lit); !strings.Contains(manual, "\n| `"+reason+"` |") {
						t.Errorf("operating.md has no row for %q (%s in %s)", reason, spec.Names[0].Name, dir)
					}
				}
				return true
			})
		}
		if n == 0 {
			t.Errorf("no reasons in %s: this test has to learn where they went", dir)
		}
		found += n
	}
	if found < 40 {
		t.Errorf("only %d reasons found", found)
	}
}

// What adding.md names is there: files, and symbols in them.
func TestAddingNamesWhatIsThere(t *testing.T) {
	text := read(t, "adding.md")
	for _, m := range regexp.MustCompile("`([a-z][a-z0-9_./-]*/[a-z0-9_./-]*)`(?: `([A-Za-z]+)`)?").FindAllStringSubmatch(text, -1) {
		file, symbol := filepath.Join("..", m[1]), m[2]
		info, err := os.Stat(file)
		if err != nil {
			t.Errorf("adding.md names %s, which is not there", m[1])
			continue
		}
		if symbol == "" {
			continue
		}
		declares := map[string]bool{}
		if info.IsDir() {
			for _, f := range sources(t, file) {
				declared(f, declares)
			}
		} else {
			declared(parse(t, file), declares)
		}
		if !declares[symbol] {
			t.Errorf("adding.md names %s in %s, which is not there", symbol, m[1])
		}
	}
}

func declared(file *ast.File, into map[string]bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			into[n.Name.Name] = true
			return false
		case *ast.TypeSpec:
			into[n.Name.Name] = true
		case *ast.ValueSpec:
			for _, name := range n.Names {
				into[name.Name] = true
			}
		}
		return true
	})
}

// The configurations of the examples can be read.
func TestExamplesLoad(t *testing.T) {
	found := 0
	for _, page := range []string{"lmtpd.8", "paperknife.toml.5"} {
		for _, block := range strings.Split(read(t, page), ".Bd -literal -offset indent\n")[1:] {
			text, _, _ := strings.Cut(block, ".Ed\n")
			if !strings.Contains(text, "[[domain]]") {
				continue
			}
			found++
			file := filepath.Join(t.TempDir(), "paperknife.toml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file)
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if said := append(c.Pending(), c.Warnings()...); len(said) > 0 {
				t.Errorf("%s: the example makes the program say %q", page, said)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d examples, want 2", found)
	}
}

// The pages are good mdoc, where there is a program to tell.
func TestPagesAreClean(t *testing.T) {
	pages, err := filepath.Glob("*.[58]")
	if err != nil || len(pages) != 4 {
		t.Fatalf("pages %v, %v", pages, err)
	}
	mandoc := need.Command(t, "mandoc")
	for _, page := range pages {
		out, err := exec.Command(mandoc, "-Tlint", "-Wwarning", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}

// sources parses the Go files of one folder, tests left out.
func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	var files []*ast.File
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		files = append(files, parse(t, filepath.Join(dir, e.Name())))
	}
	return files
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%v is no literal", e)
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
