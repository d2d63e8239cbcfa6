// Package corpora_test holds the delivery path against mail, keys and CMS objects that others made: RFC examples, the
// test suites of mail readers and libraries, broken MIME. They stand in ../shared/corpora beside the repository with a
// list of what other software found in them; their licences differ, so none of them is part of the repository, and
// where the folder is absent these tests have nothing to read and skip.
package corpora_test

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write docs/corpora.md anew")

// A corpus is the folder with its list.
type corpus struct {
	dir   string
	files []file
}

// A file is one row of the list.
type file struct {
	Set      string
	Name     string // path below the folder
	Kind     string
	Expected string
	raw      []byte
}

// smime reports whether the list says that the file is S/MIME or CMS.
func (f file) smime() bool {
	return strings.HasPrefix(f.Kind, "smime-message") || strings.HasPrefix(f.Kind, "cms-object")
}

var loaded = sync.OnceValues(func() (*corpus, error) {
	dir := find()
	if dir == "" {
		return nil, nil
	}
	c := &corpus{dir: dir}
	return c, c.readManifest()
})

// load returns the corpora, or skips the test.
func load(t testing.TB) *corpus {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		t.Skip("no ../shared/corpora beside the repository, and no PAPERKNIFE_SHARED: nothing to read")
	}
	return c
}

// find looks in $PAPERKNIFE_SHARED, else beside the repository.
func find() string {
	if dir := os.Getenv("PAPERKNIFE_SHARED"); dir != "" {
		return existing(filepath.Join(dir, "corpora"))
	}
	root := repository()
	if root == "" {
		return ""
	}
	return existing(filepath.Join(root, "..", "shared", "corpora"))
}

func existing(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); err != nil {
		return ""
	}
	return dir
}

// repository is the directory of go.mod.
func repository() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return ""
}

func (c *corpus) readManifest() error {
	raw, err := os.ReadFile(filepath.Join(c.dir, "MANIFEST.tsv"))
	if err != nil {
		return err
	}
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		return err
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		f := file{Set: row[column["set"]], Name: row[column["file"]], Kind: row[column["kind"]], Expected: row[column["expected_result"]]}
		if f.raw, err = os.ReadFile(filepath.Join(c.dir, f.Name)); err != nil {
			return err
		}
		c.files = append(c.files, f)
	}
	return nil
}

// read returns a file of the corpora.
func (c *corpus) read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// scratch is a directory for all tests of the package.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "paperknife-corpora-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}
