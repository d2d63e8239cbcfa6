package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	threatList = regexp.MustCompile(`THREATS [ABC]\d\d(?:(?:,| and| to|, and) [ABC]\d\d)*`)
	threat     = regexp.MustCompile(`[ABC]\d\d`)
	reading    = regexp.MustCompile(`\b(?:DOM|E2E)-R\d+`)
	demand     = regexp.MustCompile(`SEEDS DOM (D\d+)`)
	rule       = regexp.MustCompile(`DESIGN rule (\d+)`)
)

// Every short reference in the code has a row that says what it means, and every rule that is cited is there.
func TestReferences(t *testing.T) {
	rows, rules := read(t, "references.md"), read(t, "../DESIGN.md")
	row := func(file, id string) {
		if !strings.Contains(rows, "\n| "+id+" |") {
			t.Errorf("%s: references.md has no row for %s", file, id)
		}
	}
	cited := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md" {
			return err
		}
		// A reference may be broken by the end of a comment line.
		text := regexp.MustCompile(`\n\s*// `).ReplaceAllString(read(t, path), " ")
		for _, list := range threatList.FindAllString(text, -1) {
			for _, id := range threat.FindAllString(list, -1) {
				row(path, id)
				cited++
			}
		}
		for _, id := range reading.FindAllString(text, -1) {
			row(path, id)
			cited++
		}
		for _, m := range demand.FindAllStringSubmatch(text, -1) {
			row(path, m[1])
		}
		for _, m := range rule.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(rules, "\n"+m[1]+". **") {
				t.Errorf("%s: DESIGN.md has no rule %s", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 100 {
		t.Errorf("only %d references found", cited)
	}
}
