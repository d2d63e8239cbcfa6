package path_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/script"
	"paperknife/test/testpki"
)

var update = flag.Bool("update", false, "make the fixed site of the command-line tests anew")

const siteConfig = `# Made by "go test ./test/path -run TestSite -update". The keys are for tests alone.
authserv_id = "mx.example.net"

[lmtp]
listen = ["unix:lmtp.sock"]

[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]

[trust]
domain_anchors = ["domain-ca.pem"]
person_anchors = ["person-ca.pem"]

[mua.users]
"received@example.net" = "received"
"capable@example.net" = "capable"
"unknown@example.net" = "unknown"
"incapable@example.net" = "incapable"
`

// The fixed site: that its messages still are what their names say.
func TestSite(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, script.Site)
	if *update {
		makeSite(t, testpki.Shared(t), dir)
	}
	site := &harness.Site{Dir: dir}
	for name, want := range map[string]string{
		"plain.eml": "", "signed.eml": "smime=pass x-domsec=none", "sealed.eml": "smime=pass smime=pass x-domsec=pass", "foreign.eml": "smime=policy x-domsec=policy",
		"enveloped.eml": "x-domsec=policy", "damaged.eml": "x-domsec=neutral",
	} {
		message, err := os.ReadFile(site.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		fields, _ := harness.Split(sendStdout(t, site, message, []string{"incapable@example.net"})[0])
		d := delivery{ours: fields[:position(fields, "From")]}
		var got []string
		for _, l := range d.linesAt(t, false) {
			l, _, _ := strings.Cut(l, " ")
			got = append(got, l)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func makeSite(t *testing.T, p *testpki.PKI, dir string) {
	t.Helper()
	o := testpki.Options{Entity: []byte(testpki.Entity), Signer: testpki.AliceP256, NoPreamble: true}
	sealed := p.Message(p.EncryptEntity(t, domainEntity(t, p, sealing{signer: testpki.DomainSignerP256, author: testpki.AliceP256, entity: testpki.Entity}), o), o)
	damaged, err := testpki.Damage(sealed, testpki.CiphertextLast)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"paperknife.toml": []byte(siteConfig),
		"dca.pem":         p.Certificate(t, testpki.DCANet),
		"dca.key":         p.Key(t, testpki.DCANet),
		"domain-ca.pem":   p.Certificate(t, testpki.DomainCA),
		"person-ca.pem":   p.Certificate(t, testpki.PersonCA),
		"plain.eml":       append([]byte(testpki.Header+"MIME-Version: 1.0\r\n"), testpki.Entity...),
		"signed.eml":      p.Message(p.SignEntity(t, o.Entity, true, o), o),
		"enveloped.eml":   p.Message(p.EncryptEntity(t, o.Entity, o), o),
		"sealed.eml":      sealed,
		"damaged.eml":     damaged,
		"foreign.eml":     p.Message(domainEntity(t, p, sealing{signer: testpki.ForeignSigner, entity: testpki.Entity}), o),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, mode); err != nil {
			t.Fatal(err)
		}
	}
}
