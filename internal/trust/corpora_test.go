package trust

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRFC9216 judges the sample certificates of RFC 9216, RSA and Ed25519, straight and by way of the cross-signed
// authorities.
func TestRFC9216(t *testing.T) {
	dir := corpus(t, "rfc9216-keys")
	read := func(number string) []byte {
		paths, err := filepath.Glob(filepath.Join(dir, number+"_*.crt"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: %v %v", number, paths, err)
		}
		certs, err := LoadAnchors(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		return certs[0].Raw
	}
	const rsaRoot, rsaCross, edRoot, edCross = "01", "03", "14", "16"
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		who, anchor, leaf string
		others            []string
		reason, email     string
	}{
		{"Alice", rsaRoot, "04", nil, "", "alice@smime.example"},
		{"Bob", rsaRoot, "09", nil, "", "bob@smime.example"},
		{"Carlos", edRoot, "17", nil, "", "carlos@smime.example"},
		{"Dana", edRoot, "22", nil, "", "dana@smime.example"},
		{"Alice below the other root", edRoot, "04", []string{rsaCross}, "", "alice@smime.example"},
		{"Dana below the other root", rsaRoot, "22", []string{edCross}, "", "dana@smime.example"},
		{"Alice without the cross-signed authority", edRoot, "04", nil, ReasonUntrusted, "alice@smime.example"},
		{"Alice's encryption certificate", rsaRoot, "06", nil, ReasonKeyUsage, "alice@smime.example"},
		{"Carlos's encryption certificate", edRoot, "19", nil, ReasonUnsupportedKey, ""},
		{"the root", rsaRoot, rsaRoot, nil, ReasonCA, ""},
	} {
		anchor, f := readCertificate(read(test.anchor))
		if f != nil {
			t.Fatal(f.err)
		}
		store := newStore(t, nil, &entity{t: t, cert: anchor})
		var others [][]byte
		for _, number := range test.others {
			others = append(others, read(number))
		}
		j := store.Judge(read(test.leaf), others, Person, at)
		if j.Reason != test.reason || test.email != "" && !slices.Equal(j.Emails, []string{test.email}) {
			t.Errorf("%s: %q %q: %v", test.who, j.Reason, j.Emails, j.Err)
		}
	}
}

// corpus returns a folder of the collection of real messages and keys, which is no part of the repository.
func corpus(t *testing.T, name string) string {
	t.Helper()
	for _, shared := range []string{os.Getenv("PAPERKNIFE_SHARED"), "../../../shared"} {
		dir := filepath.Join(shared, "corpora", name)
		if _, err := os.Stat(dir); shared != "" && err == nil {
			return dir
		}
	}
	t.Skip("no collection of messages and keys: set PAPERKNIFE_SHARED to run this test")
	return ""
}
