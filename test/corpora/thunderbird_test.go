package corpora_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"paperknife/internal/agent"
	"paperknife/internal/message"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/unwrap"
)

// thunderbirdText is in all mails of the set that are checked for their text.
const thunderbirdText = "This is a test message from Alice to Bob."

// TestThunderbird holds what a reader would be shown of our results against what Thunderbird's own tests expect it to
// show, with its default policy and with SHA-1 allowed.
func TestThunderbird(t *testing.T) {
	all := findThunderbird(t, load(t))
	if len(all) < 100 {
		t.Errorf("%d findings: the file is not the one meant", len(all))
	}
	judgeFindings(t, all, thunderbirdDifferences)
}

func findThunderbird(t testing.TB, c *corpus) (all []finding) {
	t.Helper()
	e := newExaminer(t, c)
	truths := readTruths(t, c)
	var expected map[string]map[string]map[string]string // policy, file, what
	if err := json.Unmarshal(c.read(t, "THUNDERBIRD_EXPECTED.json"), &expected); err != nil {
		t.Fatal(err)
	}
	for _, policy := range slices.Sorted(maps.Keys(expected)) {
		for _, f := range c.files {
			want := expected[policy][path.Base(f.Name)]
			if f.Set == "thunderbird-smime" && want != nil {
				all = append(all, e.shown(t, policy, f, want, truths[f.Name])...)
			}
		}
	}
	return all
}

// shown compares one mail.
func (e *examiner) shown(t testing.TB, policy string, f file, want map[string]string, what truth) (all []finding) {
	t.Helper()
	received := spool.FromBytes(f.raw)
	defer received.Close()
	x, done, err := e.agent.Explain(context.Background(), received, recipient(f.Name, "incapable"), what.at(t))
	if err != nil {
		t.Errorf("%s: %v", f.Name, err)
		return nil
	}
	defer done()
	add := func(aspect, ours string) {
		if truth, said := want[aspect]; said {
			all = append(all, finding{f.Name, 0, policy + " " + aspect, truth, ours})
		}
	}
	add("enc", anyLayer(x, func(i int) bool { return x.Layers[i].Opened }))
	add("sig", anyLayer(x, func(i int) bool { return x.Layers[i].Type == unwrap.Signed }))
	add("sig_good", anyLayer(x, func(i int) bool { return good(x, i) }))
	if want["check_text"] != "" {
		want["check_text"] = "true"
		add("check_text", hasText(t, x))
	}
	return all
}

func anyLayer(x *agent.Explanation, test func(int) bool) string {
	for i := range x.Layers {
		if test(i) {
			return "true"
		}
	}
	return "false"
}

// good leaves the address out of account, which the certificates of this set have in the subject alone: TestTruth
// compares that.
func good(x *agent.Explanation, i int) bool {
	r := x.Decision.Layers[i]
	return x.Layers[i].Type == unwrap.Signed && (r.Result == "pass" || r.Reason == policy.ReasonNotBound)
}

func hasText(t testing.TB, x *agent.Explanation) string {
	t.Helper()
	var out bytes.Buffer
	if err := x.View.Write(&out, message.AsGiven); err != nil {
		t.Fatal(err)
	}
	return map[bool]string{true: "true", false: "false"}[strings.Contains(out.String(), thunderbirdText)]
}
