package corpora_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A row counts what a set brings.
type row struct {
	files, smime, items, layers, same, differ int
}

// TestDocument keeps docs/corpora.md true; -update writes it anew. It holds counts, names of sets and reasons only.
func TestDocument(t *testing.T) {
	c := load(t)
	text := document(t, c)
	name := filepath.Join(repository(), "docs", "corpora.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("\n%s", text)
	written, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, text) {
		t.Errorf("%s is not what these tests found: go test ./test/corpora -run TestDocument -update", name)
	}
}

func document(t *testing.T, c *corpus) []byte {
	found := findTruth(t, c)
	var b bytes.Buffer
	b.WriteString(documentHead)
	rows := count(c, found)
	for layered, what := range readTruths(t, c) {
		set, _, _ := strings.Cut(layered, "/")
		rows[set].items++
		rows[set].layers += len(what.Layers)
	}
	sum := &row{}
	b.WriteString("| set | files | S/MIME | held against OpenSSL | layers | findings the same | different |\n|---|---|---|---|---|---|---|\n")
	for _, set := range slices.Sorted(maps.Keys(rows)) {
		r := rows[set]
		r.write(&b, set)
		sum.add(r)
	}
	sum.write(&b, "all")
	b.WriteString(documentReasons)
	writeReasons(&b, differences, judgeFindings(t, found, differences))
	found = findThunderbird(t, c)
	differ := 0
	for _, f := range found {
		if f.differs() {
			differ++
		}
	}
	fmt.Fprintf(&b, documentThunderbird, len(found)-differ, differ)
	writeReasons(&b, thunderbirdDifferences, judgeFindings(t, found, thunderbirdDifferences))
	writeRemoved(&b, c)
	return b.Bytes()
}

func count(c *corpus, found []finding) map[string]*row {
	rows := map[string]*row{}
	for _, f := range c.files {
		if rows[f.Set] == nil {
			rows[f.Set] = &row{}
		}
		rows[f.Set].files++
		if f.smime() {
			rows[f.Set].smime++
		}
	}
	for _, f := range found {
		set, _, _ := strings.Cut(f.File, "/")
		if f.differs() {
			rows[set].differ++
		} else {
			rows[set].same++
		}
	}
	return rows
}

func (r *row) add(o *row) {
	r.files, r.smime, r.items, r.layers = r.files+o.files, r.smime+o.smime, r.items+o.items, r.layers+o.layers
	r.same, r.differ = r.same+o.same, r.differ+o.differ
}

func (r *row) write(b *bytes.Buffer, name string) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d |\n", name, r.files, r.smime, r.items, r.layers, r.same, r.differ)
}

func writeReasons(b *bytes.Buffer, reasons []difference, explained map[string]int) {
	b.WriteString("| findings | why ours differ |\n|---|---|\n")
	for _, d := range reasons {
		fmt.Fprintf(b, "| %d | %s |\n", explained[d.reason], d.reason)
	}
}

// writeRemoved counts the fields that the filter takes out of the corpora.
func writeRemoved(b *bytes.Buffer, c *corpus) {
	fields, unreadable, claims := 0, 0, 0
	for _, f := range c.files {
		list, _ := split(f.raw)
		for _, field := range list {
			if nameOf(field) == "authentication-results" {
				fields++
			}
		}
		unreadable += among(expect(f.raw, authservID).removed, causeSyntax)
		claims += among(expect(f.raw, provider).removed, causeClaims)
	}
	fmt.Fprintf(b, documentRemoved, unreadable, fields, claims)
}

func among(causes []string, cause string) (n int) {
	for _, c := range causes {
		if c == cause {
			n++
		}
	}
	return n
}

const documentHead = `# Other people's mail

What our tests found in mail, keys and CMS objects that others made: the examples of RFCs, the test suites of mail
readers and libraries, broken MIME. The files are not part of this repository, since their licences differ; where they
are at hand, ` + "`go test ./test/corpora`" + ` reads them, and ` + "`-run TestDocument -update`" + ` writes this page.

Every file, whether it is a message or not, goes through ` + "`deliver-filter`" + ` to standard output, and all S/MIME and some of
the rest into a Maildir; in process every file goes through in LF, CRLF and as an mbox, for every class of recipient.
The exit code is 0 (75 for an empty file), and plain mail comes out as it went in, octet for octet, below our own fields
and but for fields that must go.

Every S/MIME file is held against what OpenSSL found in it, layer by layer: does the signature verify, with how many
signers, which digest and when; what comes out, length and SHA-256; does the chain end in the set's root; is From the
signer's. One comparison is one finding.

`

const documentReasons = `
## Where we differ from OpenSSL

`

const documentThunderbird = `
## Thunderbird

Its own tests say what it shows for its mails, with SHA-1 refused and allowed: %d findings are the same, %d differ.

`

const documentRemoved = `
## Fields that go

%d of %d Authentication-Results fields on top of these messages cannot be read by the grammar of RFC 8601, and are
removed. Under the authserv-id of a big provider another %d are removed, since they claim to be ours.
`
