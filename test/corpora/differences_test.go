package corpora_test

import (
	"regexp"
	"slices"
	"testing"
)

// A difference is a reason why we say something else than others do, with all the places where we do. An entry that
// explains nothing any more is an error, as is a difference that no entry explains.
type difference struct {
	reason string
	where  []place
}

// A place is findings of files: layer 0 is every layer.
type place struct {
	file    string // regular expression for the whole name
	layer   int
	aspects []string
}

var differences = []difference{
	{"RC2 content encryption is not opened", []place{
		{`rfc4134/.*/5\.2\.bin`, 1, []string{"decrypt", "content"}},
	}},
	{"signed with line ends of LF, which compat reads and names, and which never passes", []place{
		{`thunderbird-smime/.*/alice\.env\.dsig\.SHA(1|256)\.multipart\.eml`, 1, []string{"verify"}},
	}},
	{"DSA signatures are not verified", []place{
		{`rfc4134/.*/4\.(1|10|4|7|8|9)\.(bin|eml)`, 1, []string{"verify"}},
	}},
	{"the message lacks the certificate of its ML-DSA signer (package cms verifies the signatures with it)", []place{
		{`(pqc-cms|rfc9882-mldsa)/.*(ML-DSA-|mldsa)\d\d.*\.pem`, 1, []string{"verify", "chain now"}},
	}},
	{"what is inside is no MIME entity, so it cannot take the layer's place (package cms compares its octets)", []place{
		{`rfc4134/.*/4\.(1|10|2|4|5|7)\.bin`, 1, []string{"content"}},
		{`rfc4134/.*/5\.[13]\.(bin|eml)`, 1, []string{"content"}},
		{`gnutls-pkcs7/.*/rfc4134-4\.5\.p7b`, 1, []string{"content"}},
		{`(pqc-cms|rfc9882-mldsa)/.*(ML-DSA-|mldsa)\d\d.*\.pem`, 1, []string{"content"}},
		{`pqc-cms/.*/ML-KEM-512\.cms|rfc9936-mlkem/.*\.cms\.pem`, 1, []string{"content"}},
	}},
	{"Data is no layer of S/MIME", []place{
		{`rfc4134/.*/3\.[12]\.bin`, 1, []string{"layer"}},
	}},
	{"only a message that is S/MIME as a whole is opened", []place{
		{`thunderbird-smime/.*/alice\.dsig\.SHA256\.multipart\.in\.mixed.*\.eml`, 1, []string{"layer"}},
		{`thunderbird-smime/.*/multipart-alternative\.eml`, 0, []string{"layer"}},
		{`thunderbird-smime/.*/nested-sigs\.eml`, 2, []string{"layer"}},
	}},
	{"the certificate has the address in its subject alone, where name constraints do not reach it (THREATS A27)", []place{
		{`thunderbird-smime/.*/alice\.(html\.)?d?sig.*\.eml`, 0, []string{"from", "pass"}},
		{`thunderbird-smime/.*/alice\.env\.sig\.SHA\d+\.opaque\.eml`, 1, []string{"from", "pass"}},
	}},
}

// thunderbirdDifferences are those from what Thunderbird shows.
var thunderbirdDifferences = []difference{
	{"a signature around a ciphertext is verified and reported; Thunderbird, which shows what the author did, passes it over", []place{
		{`thunderbird-smime/.*/alice\.env\.d?sig.*\.eml`, 0, []string{"default sig", "allow_sha1 sig"}},
		{`thunderbird-smime/.*/alice\.env\.sig\.SHA256\.opaque\.eml`, 0, []string{"default sig_good", "allow_sha1 sig_good"}},
	}},
	{"SHA-1 never passes; Thunderbird can be told to let it", []place{
		{`thunderbird-smime/.*/alice\.d?sig\.SHA1\.(multipart|opaque)(\.env)?\.eml`, 0, []string{"allow_sha1 sig_good"}},
	}},
}

// judgeFindings fails the test for every difference that differences does not explain, and for every entry that
// explains nothing. It returns how many each reason explains.
func judgeFindings(t testing.TB, all []finding, reasons []difference) map[string]int {
	t.Helper()
	explained := map[string]int{}
	known := make([]bool, len(all))
	for _, d := range reasons {
		for _, p := range d.where {
			file := regexp.MustCompile(`^` + p.file + `$`)
			used := false
			for i, f := range all {
				if !f.differs() || !file.MatchString(f.File) || p.layer != 0 && p.layer != f.Layer || !slices.Contains(p.aspects, f.Aspect) {
					continue
				}
				if known[i] {
					t.Errorf("explained twice: %s", f)
				}
				used, known[i] = true, true
				explained[d.reason]++
			}
			if !used {
				t.Errorf("no difference any more: %s layer %d %v", p.file, p.layer, p.aspects)
			}
		}
	}
	same := 0
	for i, f := range all {
		switch {
		case !f.differs():
			same++
		case !known[i]:
			t.Errorf("no reason for %s", f)
		}
	}
	t.Logf("%d findings are the same, %d differ with a reason", same, len(all)-same)
	for _, d := range reasons {
		t.Logf("%4d  %s", explained[d.reason], d.reason)
	}
	return explained
}
