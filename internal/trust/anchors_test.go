package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paperknife/test/need"
)

func TestLoadAnchors(t *testing.T) {
	first, second := newCA(t, "first"), newCA(t, "second")
	both := pemOf(first, second)
	key := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, test := range []struct {
		name  string
		data  []byte
		want  int
		fault string
	}{
		{"one.pem", pemOf(first), 1, ""},
		{"both.pem", slices.Concat([]byte("# partners\n"), both, []byte("end\n")), 2, ""},
		{"one.der", first.cert.Raw, 1, ""},
		{"both.der", slices.Concat(first.cert.Raw, second.cert.Raw), 2, ""},
		{"empty.pem", nil, 0, ""},
		{"text.pem", []byte("hello"), 0, ""},
		{"key.pem", slices.Concat(both, key), 0, `"PRIVATE KEY"`},
		{"broken.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0, "block after certificate 0"},
	} {
		if err := os.WriteFile(path(test.name), test.data, 0o600); err != nil {
			t.Fatal(err)
		}
		certs, err := LoadAnchors(path(test.name))
		if len(certs) != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%s: %d certificates, %v", test.name, len(certs), err)
		}
		if err != nil && (!strings.Contains(err.Error(), test.fault) || !strings.Contains(err.Error(), test.name)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := LoadAnchors(path("absent")); err == nil {
		t.Error("a file that is not there")
	}
	tool := need.Command(t, "openssl")
	for _, form := range []string{"PEM", "DER"} {
		out := path("bundle.p7b")
		if msg, err := exec.Command(tool, "crl2pkcs7", "-nocrl", "-certfile", path("both.pem"), "-outform", form, "-out", out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		if certs, err := LoadAnchors(out); err != nil || len(certs) != 2 {
			t.Errorf("%s bundle: %d certificates, %v", form, len(certs), err)
		}
	}
}
