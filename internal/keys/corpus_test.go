package keys

import (
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"

	"paperknife/internal/cms"
)

// corpora finds the folder of real messages, which is not part of the repository.
func corpora(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PAPERKNIFE_SHARED"); dir != "" {
		return filepath.Join(dir, "corpora")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found := filepath.Join(dir, "..", "shared", "corpora")
		if _, err := os.Stat(found); err == nil {
			return found
		}
	}
	t.Skip("no folder ../shared/corpora beside the repository")
	return ""
}

// TestRFC9936: the example of its appendix C, with the key as printed there and in each form of RFC 9935. The
// certificate is that of the authors' repository, as the RFC prints none.
func TestRFC9936(t *testing.T) {
	root := corpora(t)
	authors := filepath.Join(root, "pqc-cms", "lamps-wg+cms-kyber", "example")
	rfc := filepath.Join(root, "rfc9936-mlkem")
	raw, err := os.ReadFile(filepath.Join(rfc, "02_C-1-Originator-CMS-Processing.cms.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	for _, key := range []string{filepath.Join(rfc, "03_C-2-Recipient-CMS-Processing.key"), filepath.Join(authors, "ML-KEM-512-seed.priv"),
		filepath.Join(authors, "ML-KEM-512-both.priv")} {
		ring, err := Load([]Pair{{Cert: filepath.Join(authors, "ML-KEM-512.pem"), Key: key}})
		if err != nil {
			t.Fatal(err)
		}
		if errs := ring.Check(); len(errs) != 0 {
			t.Fatal(errs)
		}
		again := func() (io.Reader, error) { return bytes.NewReader(block.Bytes), nil }
		e, err := cms.NewReader(bytes.NewReader(block.Bytes)).AuthEnvelopedData()
		if err != nil {
			t.Fatal(err)
		}
		index, ours := ring.Choose([][]byte{e.RecipientInfos[0].DER})
		if index != 0 || !ours {
			t.Fatal("not ours")
		}
		contentKey, err := ring.ContentKey(e.RecipientInfos[0].DER, e.KeySize)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := e.Decrypt(contentKey, again, &out); err != nil || out.String() != "Hello, world!" {
			t.Errorf("%q, %v", out.String(), err)
		}
	}
}

// TestMLKEMCorpus: the keys and certificates of the authors of RFC 9935, good and bad.
func TestMLKEMCorpus(t *testing.T) {
	dir := filepath.Join(corpora(t), "pqc-cms", "lamps-wg+kyber-certificates", "example")
	for _, set := range []string{"512", "768", "1024"} {
		for form, good := range map[string]bool{"seed": true, "both": true, "expanded": false} {
			name := filepath.Join(dir, "ML-KEM-"+set)
			ring, err := Load([]Pair{{Cert: name + ".crt", Key: name + "-" + form + ".priv"}})
			if err != nil {
				t.Fatal(err)
			}
			if errs := ring.Check(); (len(errs) == 0) != good {
				t.Errorf("%s %s: %v", set, form, errs)
			}
		}
	}
	bad, err := filepath.Glob(filepath.Join(dir, "bad-*.priv"))
	if err != nil || len(bad) == 0 {
		t.Fatal("no bad keys", err)
	}
	for _, name := range bad {
		ring, err := Load([]Pair{{Cert: filepath.Join(dir, "ML-KEM-512.crt"), Key: name}})
		if err != nil {
			t.Fatal(err)
		}
		errs := ring.Check()
		t.Log(filepath.Base(name), errs)
		if len(errs) == 0 {
			t.Errorf("%s is taken", name)
		}
	}
}
