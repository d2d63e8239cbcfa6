package tool

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/trust"
	"paperknife/seal"
)

// installation is what init makes, made once: keys take their time.
var installation = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "paperknife-tool-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := Init(filepath.Join(dir, "made"), InitOptions{Domain: "example.net", Key: seal.RSA2048, Now: judged.AddDate(0, -1, 0)}, &bytes.Buffer{}); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range initNames {
		if files[name], err = os.ReadFile(filepath.Join(dir, "made", name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// installed returns a directory as init makes it.
func installed(t *testing.T) string {
	t.Helper()
	files, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		mode := fs.FileMode(modeFile)
		if strings.HasSuffix(name, ".key") {
			mode = modeKey
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func initOptions() InitOptions { return InitOptions{Domain: "example.net", Key: seal.RSA2048} }

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet")
	var out bytes.Buffer
	if err := Init(dir, InitOptions{Domain: "EXAMPLE.net.", Key: seal.RSA2048}, &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range initNames {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		want := fs.FileMode(modeFile)
		if strings.HasSuffix(name, ".key") {
			want = modeKey
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
	}
	c, err := config.Load(filepath.Join(dir, fileConfig))
	if err != nil {
		t.Fatal(err)
	}
	if c.MUA.Default != "received" || c.Domains[0].Name != "example.net" || c.AuthservID != "paperknife.example.net" {
		t.Errorf("%+v", c)
	}
	if p := append(c.Pending(), c.Warnings()...); len(p) > 0 {
		t.Errorf("%q", p)
	}
	var report bytes.Buffer
	if err := Check(CheckOptions{Config: c.File, Postfix: ""}, &report); err != nil || strings.Contains(report.String(), "warning: "+dir) {
		t.Errorf("%v:\n%s", err, &report)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".paperknife*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q %v", left, err)
	}
	for _, name := range initNames {
		if name != fileZone && !strings.Contains(out.String(), name) {
			t.Errorf("%s is not told:\n%s", name, &out)
		}
	}
}

// A path that is too long for a socket gets one elsewhere.
func TestInitLongPath(t *testing.T) {
	if short := configText("/etc/paperknife", "example.net"); !strings.Contains(short, `listen = ["unix:lmtp.sock"]`) {
		t.Error(short)
	}
	if long := configText("/"+strings.Repeat("x", 100), "example.net"); !strings.Contains(long, `listen = ["unix:/run/paperknife/lmtp.sock"]`) {
		t.Error(long)
	}
}

// What is there stays as it is, whichever file it is, and nothing is added to it.
func TestInitNeverOverwrites(t *testing.T) {
	for _, name := range initNames {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Init(dir, initOptions(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		unchanged(t, dir, name)
	}
}

func unchanged(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir) // what begins with a dot too
	if err != nil || len(entries) != 1 {
		t.Errorf("%s: %v %v", name, entries, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "mine" {
		t.Errorf("%s: %q %v", name, data, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".paperknife-init*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q %v", left, err)
	}
}

// A file that comes in between is kept, and what was linked before it is taken back.
func TestInitLosesARace(t *testing.T) {
	dir := t.TempDir()
	files := &newFiles{dir: dir}
	if err := errors.Join(files.add("a", modeFile, []byte("a")), files.add("b", modeKey, nil), files.add("c", modeFile, nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := files.commit(); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	unchanged(t, dir, "b")
}

// An error leaves neither files nor directories behind.
func TestInitLeavesNothingHalfMade(t *testing.T) {
	top := t.TempDir()
	files := &newFiles{dir: filepath.Join(top, "x", "y", "z")}
	if err := errors.Join(files.add("a", modeFile, []byte("a")), files.add("no/such/directory", modeFile, nil)); err != nil {
		t.Fatal(err)
	}
	if err := files.commit(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) > 0 {
		t.Errorf("%v %v", entries, err)
	}
	if err := os.WriteFile(filepath.Join(top, "file"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, domain := range map[string]string{"file/below": "example.net", "file": "example.net", "new": "no domain", "new2": "net", "new3": ""} {
		if err := Init(filepath.Join(top, dir), InitOptions{Domain: domain, Key: seal.RSA2048}, &bytes.Buffer{}); err == nil {
			t.Errorf("%s %q: no error", dir, domain)
		}
	}
	unchanged(t, top, "file")
}

// In a directory with other files the new ones come to stand beside them.
func TestInitBesideOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, initOptions(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(initNames)+1 {
		t.Errorf("%v %v", entries, err)
	}
}

// The CA of a domain vouches for that domain alone, whoever makes it an anchor.
func TestInitCAIsForItsDomain(t *testing.T) {
	dir := installed(t)
	ca, err := readPair(filepath.Join(dir, fileCA), filepath.Join(dir, fileCAKey))
	if err != nil {
		t.Fatal(err)
	}
	store, err := trust.New(trust.Settings{DomainAnchors: certs(t, filepath.Join(dir, fileCA)), Naming: []string{"melnikov"}})
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{"example.net": "", "sub.example.net": "", "example.com": trust.ReasonNameConstraints, "badexample.net": trust.ReasonNameConstraints} {
		signer, err := (&seal.CA{KeyPair: ca}).IssueDomainSigner(domain, seal.CertificateOptions{Key: seal.P256, NotBefore: judged.Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if j := store.Judge(signer.Certificate.Raw, nil, trust.Domain, judged); j.Reason != want {
			t.Errorf("%s: %q (%v)", domain, j.Reason, j.Err)
		}
	}
	if openssl, err := exec.LookPath("openssl"); err != nil {
		t.Log("openssl is not installed")
	} else if out, err := exec.Command(openssl, "verify", "-no_check_time", "-CAfile", filepath.Join(dir, fileCA), filepath.Join(dir, fileDCA), filepath.Join(dir, fileSigner)).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

// The owner name is the one of the example in RFC 8162 section 3.
func TestSMIMEAName(t *testing.T) {
	const want = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com."
	if got := smimeaName("hugh", "example.com"); got != want {
		t.Errorf("got %s", got)
	}
}

// The zone holds both certificates, whole, and no other record.
func TestInitZone(t *testing.T) {
	dir := installed(t)
	text, err := os.ReadFile(filepath.Join(dir, fileZone))
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, ";") || line == "":
		case line[0] != ' ':
			records = append(records, line)
		default:
			records[len(records)-1] += strings.TrimSpace(line)
		}
	}
	want := []string{
		smimeaName(confidentialityAuthority, "example.net") + " 3600 IN SMIMEA 3 0 0 (" + hexOf(t, dir, fileDCA) + ")",
		smimeaName(signingAuthority, "example.net") + " 3600 IN SMIMEA 3 0 0 (" + hexOf(t, dir, fileSigner) + ")",
	}
	if len(records) != 2 || records[0] != want[0] || records[1] != want[1] {
		t.Errorf("got %q", records)
	}
}

func hexOf(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	return strings.ToLower(strings.Join(strings.Fields(hexString(block.Bytes)), ""))
}
