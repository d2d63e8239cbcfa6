package paperknife

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// Every parser has a fuzz target, and every fuzz target begins with what is known to be hard: a corpus that is committed.
func TestFuzzTargetsHaveCorpora(t *testing.T) {
	root := os.DirFS(".")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range tree.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			corpus, err := fs.ReadDir(root, path.Join(path.Dir(name), "testdata/fuzz", f.Name.Name))
			if err != nil || len(corpus) < 2 {
				t.Errorf("%s: %s has %d files of corpus: %v", name, f.Name.Name, len(corpus), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
