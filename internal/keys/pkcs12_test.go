package keys

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/test/need"
)

// export makes a PKCS #12 file with openssl.
func export(t testing.TB, o *owner, password string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.p12")
	cmd := exec.Command("openssl", append([]string{"pkcs12", "-export", "-in", o.pair.Cert, "-inkey", o.pair.Key, "-out", path, "-passout", "pass:" + password}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestPKCS12: files as OpenSSL makes them today and made them long ago, with and without a chain or a password.
func TestPKCS12(t *testing.T) {
	need.Command(t, "openssl")
	dir := t.TempDir()
	password := write(t, dir, "password", []byte("caf\u00e9 au lait\n"))
	windows := write(t, dir, "windows", []byte("caf\u00e9 au lait\r\n"))
	lines := write(t, dir, "lines", []byte("caf\u00e9 au lait\nmore\n"))
	wrong := write(t, dir, "wrong", []byte("tea\n"))
	rsa, ec := newOwner(t, rsaKey(0), 1), newOwner(t, ecKey(t, elliptic.P384()), 2, keyAgreement)
	other := newOwner(t, rsaKey(1), 3)
	secret := export(t, rsa, "caf\u00e9 au lait")
	for name, test := range map[string]struct {
		owner *owner
		pair  Pair
		want  string
	}{
		"today's":              {rsa, Pair{PKCS12: secret, PasswordFile: password}, ""},
		"password with CRLF":   {rsa, Pair{PKCS12: secret, PasswordFile: windows}, ""},
		"triple DES":           {rsa, Pair{PKCS12: export(t, rsa, "x", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"), PasswordFile: write(t, dir, "x", []byte("x"))}, ""},
		"empty password":       {rsa, Pair{PKCS12: export(t, rsa, "")}, ""},
		"chain":                {rsa, Pair{PKCS12: export(t, rsa, "", "-certfile", other.pair.Cert)}, ""},
		"elliptic curve":       {ec, Pair{PKCS12: export(t, ec, "")}, ""},
		"wrong password":       {rsa, Pair{PKCS12: secret, PasswordFile: wrong}, "is not the one"},
		"no password":          {rsa, Pair{PKCS12: secret}, "password_file"},
		"password in lines":    {rsa, Pair{PKCS12: secret, PasswordFile: lines}, "more than one line"},
		"password file absent": {rsa, Pair{PKCS12: secret, PasswordFile: filepath.Join(dir, "absent")}, "no such file"},
		"absent":               {rsa, Pair{PKCS12: filepath.Join(dir, "absent")}, "no such file"},
		"PEM":                  {rsa, Pair{PKCS12: rsa.pair.Cert}, "no PKCS #12 file"},
		"without a key":        {rsa, Pair{PKCS12: export(t, rsa, "", "-nokeys")}, "no PKCS #12 file"},
	} {
		t.Run(name, func(t *testing.T) {
			ring, err := Load([]Pair{test.pair})
			if test.want != "" {
				if !errors.Is(err, ErrKeyStore) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "lait") {
					t.Errorf("%v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if errs := ring.Check(); len(errs) != 0 || !ring.entries[0].cert.Equal(test.owner.cert) {
				t.Errorf("%v", errs)
			}
			if index, ours := ring.Choose([][]byte{test.owner.bySerial()}); index != 0 || !ours {
				t.Errorf("%d, %v", index, ours)
			}
		})
	}
}

// TestPKCS12Opens: the key out of the file opens mail; a file that was changed under us is a fault of the store.
func TestPKCS12Opens(t *testing.T) {
	need.Command(t, "openssl")
	o := newOwner(t, ecKey(t, elliptic.P256()), 1, keyAgreement)
	path := export(t, o, "")
	plain := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	in := write(t, t.TempDir(), "plain", plain)
	object, err := exec.Command("openssl", "cms", "-encrypt", "-binary", "-in", in, "-outform", "DER", "-aes256", o.pair.Cert).Output()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := Load([]Pair{{PKCS12: path}})
	if err != nil {
		t.Fatal(err)
	}
	if got := opened(t, ring, object); !bytes.Equal(got, plain) {
		t.Errorf("%q", got)
	}
	fresh, err := Load([]Pair{{PKCS12: path}})
	if err != nil {
		t.Fatal(err)
	}
	another, err := os.ReadFile(export(t, newOwner(t, rsaKey(0), 2), ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, another, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.ContentKey(keyAgree(o.name()), 16); !errors.Is(err, ErrKeyStore) || !strings.Contains(err.Error(), "changed") {
		t.Error(err)
	}
}

// TestPKCS12Warnings: the file and that of its password are looked at like a key.
func TestPKCS12Warnings(t *testing.T) {
	need.Command(t, "openssl")
	o := newOwner(t, rsaKey(0), 1, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	password := write(t, t.TempDir(), "password", []byte("x"))
	path := export(t, o, "x")
	for _, name := range []string{path, password} {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := Load([]Pair{{PKCS12: path, PasswordFile: password}})
	if err != nil {
		t.Fatal(err)
	}
	var found string
	for _, w := range ring.Findings() {
		found += w.String() + "\n"
	}
	for _, want := range []string{path + ": everybody may read", password + ": everybody may read", path + ": key usage lacks"} {
		if !strings.Contains(found, want) {
			t.Errorf("no %q in\n%s", want, found)
		}
	}
}
