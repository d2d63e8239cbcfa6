package verifyhdr

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// corpus reads a file of the corpora, which are kept beside the repository.
func corpus(t *testing.T, name string) string {
	t.Helper()
	dirs := []string{os.Getenv("PAPERKNIFE_SHARED"), "../../shared"}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "corpora", name))
		if err == nil {
			return string(text)
		}
	}
	t.Skipf("no corpora in %q: set PAPERKNIFE_SHARED", dirs)
	return ""
}

var (
	authresParse = regexp.MustCompile(`^>>> (?:try: )?\w+ = \S+\.parse\('(.*)'\)$`)
	authresAsk   = regexp.MustCompile(`^>>> (?:str\()?\w+\.(authserv_id|results\[(\d)\]\.(\w+)(?:\[(\d)\]\.(\w+))?)\)?$`)
	// lenient are fields which it reads and the grammar does not: "/" in a token, a property without ptype, ";" at the end.
	lenient      = regexp.MustCompile(`header\.b=\w+/| version=|;$`)
	authresSaid  = regexp.MustCompile(`^'(.*)'$`)
	authresWrote = regexp.MustCompile(`^'(Authentication-Results: .*)'$`)
)

// The tests of authres, a reader and writer in Python: what it reads out of a field we read too, and what it writes
// we can read.
func TestAgainstAuthres(t *testing.T) {
	lines := strings.Split(corpus(t, "dkim-arc/authres-1.2.0/authres/tests"), "\n")
	var a *AuthenticationResults
	facts, written := 0, 0
	for i, line := range lines[:len(lines)-1] {
		if m := authresWrote.FindStringSubmatch(line); m != nil {
			if _, err := ParseAuthenticationResults([]byte(m[1])); err != nil {
				t.Errorf("line %d: %v", i+1, err)
			}
			written++
		}
		if m := authresParse.FindStringSubmatch(line); m != nil {
			var err error
			if a, err = ParseAuthenticationResults([]byte(m[1])); (err != nil) != lenient.MatchString(m[1]) {
				t.Errorf("line %d: %v", i+1, err)
			}
			continue
		}
		ask, said := authresAsk.FindStringSubmatch(line), authresSaid.FindStringSubmatch(lines[i+1])
		if a == nil || ask == nil || said == nil {
			continue
		}
		if want, got := strings.ReplaceAll(said[1], "None", ""), answer(a, ask); got != want {
			t.Errorf("line %d: %s: got %q, want %q", i+1, ask[1], got, want)
		}
		facts++
	}
	t.Logf("%d facts, %d written fields", facts, written)
	if facts < 100 || written < 10 {
		t.Error("too few: the file is not the one meant")
	}
}

// answer gives what authres was asked for: the words of the expression after "results".
func answer(a *AuthenticationResults, ask []string) string {
	if ask[1] == "authserv_id" {
		return a.AuthservID
	}
	res := a.Results[int(ask[2][0]-'0')]
	switch ask[3] {
	case "method":
		return res.Method
	case "result":
		return res.Result
	case "reason":
		return res.Reason
	case "properties":
		p := res.Properties[int(ask[4][0]-'0')]
		return map[string]string{"type": p.Type, "name": p.Name, "value": p.Value}[ask[5]]
	}
	for _, p := range res.Properties { // smtp_mailfrom
		if strings.ReplaceAll(p.Type+"_"+p.Name, "-", "_") == ask[3] {
			return p.Value
		}
	}
	return ""
}

// What authres refuses, we refuse.
func TestRefusedByAuthres(t *testing.T) {
	for _, field := range []string{
		"Authentication-Results: mail.example.org; iprev=pass policy.iprev=2001:748:100:40::2:2 (mout0.example.org)",
		"authentication-results: example.com; dkim=none (message not signed) header.d=none;example.com; dmarc=none action=none",
	} {
		if a, err := ParseAuthenticationResults([]byte(field)); err == nil {
			t.Errorf("%s: %+v", field, a)
		}
	}
}

// Every field of the text of RFC 8601 appendix B is read.
func TestAppendixB(t *testing.T) {
	text := corpus(t, "authres/rfc8601-appendixB-examples.txt")
	field := regexp.MustCompile(`(?m)^ +Authentication-Results:[^\n]*\n(?: {10,}[^\n]*\n)*`)
	found := field.FindAllString(text, -1)
	if len(found) < 8 {
		t.Fatalf("%d fields: %q", len(found), found)
	}
	for _, f := range found {
		f = strings.TrimLeft(f, " ")
		if _, err := ParseAuthenticationResults([]byte(f)); err != nil {
			t.Errorf("%s: %v", strconv.Quote(f), err)
		}
	}
}
