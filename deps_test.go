package paperknife

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "paperknife/"

// everything is what agent may import: every step of the path, but neither what makes messages nor what starts it.
var everything = []string{
	"internal/status", "internal/durable", "internal/message", "internal/spool", "internal/cms", "internal/dns",
	"internal/fetch", "internal/config", "internal/sigfield", "unwrap", "verifyhdr", "internal/trust", "internal/keys",
	"deliver", "internal/policy", "internal/lmtp", "internal/filter", "internal/admin",
}

// imports says which packages of ours a package may import directly. It is a statement of how the house is built:
// an import that the test refuses is to be thought over before this table is. Tests import what they like.
var imports = map[string][]string{
	// The ground floor: each could be a module of its own.
	"internal/status":  {},
	"internal/durable": {},
	"internal/message": {},
	"internal/spool":   {},
	"internal/cms":     {}, // crypto never learns about mail
	"internal/dns":     {},
	"internal/fetch":   {},
	"internal/config":  {},

	// What is in a message. None of these knows who is trusted or what will be done about it; the interfaces for
	// trust, keys and dns are declared here and implemented there.
	"internal/sigfield": {"internal/message"},
	"unwrap":            {"internal/cms", "internal/message", "internal/spool"},
	"verifyhdr":         {"internal/sigfield", "internal/message", "internal/cms"},
	"seal":              {"internal/cms", "internal/sigfield", "internal/message"},

	// Who it is from, and what we can open.
	"internal/trust": {"internal/cms"},
	"internal/keys":  {"internal/cms"},

	// What is done: facts in, decision out. Its settings are its own, which agent fills from the configuration.
	"internal/policy": {"internal/status", "internal/message", "unwrap", "verifyhdr", "internal/trust"},

	// In and out. Targets never learn why a message looks as it does; lmtp and filter declare what agent implements.
	"deliver":             {"internal/status", "internal/durable", "internal/message"},
	"deliver/delivertest": {"deliver", "internal/status", "internal/message"},
	"internal/lmtp":       {"internal/status", "internal/spool"},
	"internal/filter":     {"internal/status", "internal/spool"},
	"internal/admin":      {"internal/status"},

	// The order of the steps, and those who start it.
	"internal/agent":     everything,
	"internal/tool":      slices.Concat(everything, []string{"internal/agent", "seal"}),
	"cmd/lmtpd":          slices.Concat(everything, []string{"internal/agent"}),
	"cmd/deliver-filter": slices.Concat(everything, []string{"internal/agent"}),
	"cmd/paperknife":     slices.Concat(everything, []string{"internal/agent", "internal/tool", "seal"}),
}

// free are folders of helpers for tests and measurements, which may import everything and stay out of the product.
var free = []string{"test", "bench"}

// reserved says which packages alone may import a package from outside, and why.
var reserved = []struct {
	imported []string // a path, and all below it when it ends in "/"
	by       []string
	reason   string
}{
	{[]string{"net", "net/http", "net/http/", "net/smtp", "net/rpc", "net/rpc/"},
		[]string{"internal/fetch", "internal/dns", "internal/lmtp", "internal/filter", "internal/admin", "deliver", "internal/tool",
			"cmd/lmtpd", "cmd/deliver-filter", "cmd/paperknife"},
		"no network because a message says so"},
	{[]string{"github.com/smallstep/pkcs7"}, []string{"seal", "internal/trust"},
		"it is for what we or the administrator made, and panics on what an attacker makes"},
	{[]string{"github.com/emersion/go-smtp"}, []string{"internal/lmtp", "deliver", "internal/tool"}, "the rest of the path knows no SMTP"},
	{[]string{"github.com/miekg/dns"}, []string{"internal/dns"}, "one cache, one budget, one place that checks answers"},
	{[]string{"github.com/BurntSushi/toml"}, []string{"internal/config"}, "one configuration, read in one place"},
}

// pure lists what a package must not import because what it does depends on its arguments alone.
var pure = map[string][]string{
	"internal/policy": {"net", "net/http", "os", "os/", "io/fs", "io/ioutil", "path/filepath", "syscall", "log", "log/", "math/rand", "math/rand/",
		"crypto/rand", "golang.org/x/sys/", "unsafe"},
}

// pureTime are the functions of package time that look at a clock.
var pureTime = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// A source is one Go file that is no test.
type source struct {
	dir, file string
	tree      *ast.File
	lines     int
}

func sources(t *testing.T) []source {
	var found []source
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		found = append(found, source{path.Dir(name), name, tree, bytes.Count(text, []byte{'\n'})})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// imported returns the import paths of a file.
func (s source) imported(t *testing.T) (paths []string) {
	for _, spec := range s.tree.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func (s source) isFree() bool {
	top, _, _ := strings.Cut(s.dir, "/")
	return slices.Contains(free, top)
}

// matches reports whether p is one of the paths, or below one that ends in "/".
func matches(p string, paths []string) bool {
	return slices.ContainsFunc(paths, func(q string) bool { return p == q || strings.HasSuffix(q, "/") && strings.HasPrefix(p, q) })
}

func TestImportDirection(t *testing.T) {
	for _, s := range sources(t) {
		if s.isFree() {
			continue
		}
		allowed, known := imports[s.dir]
		if !known {
			t.Errorf("%s: package %s is not in the table of imports", s.file, s.dir)
			continue
		}
		for _, p := range s.imported(t) {
			if ours, ok := strings.CutPrefix(p, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s: %s may not import %s", s.file, s.dir, ours)
			}
		}
	}
}

// A mistake in the table must not open a way around: no package may reach itself.
func TestImportTableHasNoCycle(t *testing.T) {
	done := map[string]bool{}
	for range imports {
		for dir, allowed := range imports {
			done[dir] = done[dir] || !slices.ContainsFunc(allowed, func(p string) bool { return !done[p] })
		}
	}
	for dir, allowed := range imports {
		if !done[dir] {
			t.Errorf("%s is in a cycle, or may import what is not in the table: %v", dir, allowed)
		}
	}
}

func TestReservedImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imported(t) {
			for _, r := range reserved {
				if !s.isFree() && matches(p, r.imported) && !slices.Contains(r.by, s.dir) {
					t.Errorf("%s: %s may not import %s: %s", s.file, s.dir, p, r.reason)
				}
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	for _, s := range sources(t) {
		forbidden, ok := pure[s.dir]
		if !ok {
			continue
		}
		for _, p := range s.imported(t) {
			if matches(p, forbidden) {
				t.Errorf("%s: %s may not import %s", s.file, s.dir, p)
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(pureTime, sel.Sel.Name) {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s: %s may not use time.%s", s.file, s.dir, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// Registration happens in tables that can be read, never by importing a package.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: has an init function", s.file)
			}
		}
	}
}

// Commands wire; what they do is in packages that can be tested.
func TestCommandsAreShort(t *testing.T) {
	lines := map[string]int{}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.dir, "cmd/") {
			lines[s.dir] += s.lines
		}
	}
	for dir, n := range lines {
		if n >= 150 {
			t.Errorf("%s has %d lines", dir, n)
		}
	}
}
