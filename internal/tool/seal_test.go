package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperknife/internal/config"
	"paperknife/seal"
	"paperknife/test/need"
)

// exchange is a directory with the keys of both sides: those of example.com, who seals, and of example.net, who opens.
var exchange = sync.OnceValues(func() (map[string][]byte, error) {
	files := map[string][]byte{fileConfig: []byte(`authserv_id = "mx.example.net"
[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]
[trust]
domain_anchors = ["domain-ca.pem"]
person_anchors = ["person-ca.pem"]
`)}
	o := seal.CertificateOptions{Key: seal.P256}
	var errs []error
	put := func(name string, pair seal.KeyPair, err error) {
		errs = append(errs, err)
		if err == nil {
			var key []byte
			key, err = pair.KeyPEM()
			errs = append(errs, err)
			files[name+".pem"], files[name+".key"] = pair.CertificatePEM(), key
		}
	}
	domainCA, err := seal.NewCA("Domain CA", o)
	if err != nil {
		return nil, err
	}
	personCA, err := seal.NewCA("Person CA", o)
	if err != nil {
		return nil, err
	}
	put("domain-ca", domainCA.KeyPair, nil)
	put("person-ca", personCA.KeyPair, nil)
	for name, issue := range map[string]func() (seal.KeyPair, error){
		"signer":  func() (seal.KeyPair, error) { return domainCA.IssueDomainSigner("example.com", o) },
		"foreign": func() (seal.KeyPair, error) { return domainCA.IssueDomainSigner("other.example", o) },
		"alice":   func() (seal.KeyPair, error) { return personCA.IssuePerson("alice@sales.example.com", o) },
		"bob":     func() (seal.KeyPair, error) { return personCA.IssuePerson("bob@sales.example.com", o) },
		"list":    func() (seal.KeyPair, error) { return personCA.IssuePerson("list@lists.example", o) },
		"mallory": func() (seal.KeyPair, error) {
			ca, err := seal.NewCA("Unknown CA", o)
			if err != nil {
				return seal.KeyPair{}, err
			}
			return ca.IssuePerson("alice@sales.example.com", o)
		},
		"dca":   func() (seal.KeyPair, error) { return domainCA.IssueDCA("example.net", seal.CertificateOptions{}) },
		"other": func() (seal.KeyPair, error) { return domainCA.IssueDCA("example.org", seal.CertificateOptions{}) },
	} {
		pair, err := issue()
		put(name, pair, err)
	}
	files["alice.both"] = append(files["alice.pem"], files["alice.key"]...)
	return files, errors.Join(errs...)
})

// keyDir returns a directory with the files of exchange.
func keyDir(t *testing.T) string {
	t.Helper()
	files, err := exchange()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// paperknife runs a command; DIR in the arguments is the directory of the keys.
func paperknife(dir, in string, args ...string) (out, stderr string, code int) {
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	var o, e bytes.Buffer
	code = Run(context.Background(), args, Streams{strings.NewReader(in), &o, &e})
	return o.String(), e.String(), code
}

// sealed runs seal once for each command line, each on what the one before it wrote.
func sealed(t *testing.T, dir string, lines ...string) string {
	t.Helper()
	text := plainMessage
	for _, line := range lines {
		out, stderr, code := paperknife(dir, text, strings.Fields("seal "+line)...)
		if code != 0 {
			t.Fatalf("seal %s: %d %s", line, code, stderr)
		}
		text = out
	}
	return text
}

// shape returns the layers that explain finds, and the verdict.
func shape(t *testing.T, dir, text string) string {
	t.Helper()
	out, stderr, code := paperknife(dir, text, "explain", "-config", "DIR/paperknife.toml", "-json")
	if code != 0 {
		t.Fatalf("explain: %d %s", code, stderr)
	}
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, l := range r.Layers {
		words = append(words, l.Role)
		for _, s := range l.Signers {
			if !s.Verified {
				t.Errorf("a signature of layer %s is not good: %s", l.Role, s.Detail)
			}
		}
	}
	for _, v := range r.Results {
		if v.Method == "x-domsec" {
			words = append(words, v.Result+v.Reason)
		}
	}
	return strings.Join(words, " ")
}

const domainSigned = "-config DIR/paperknife.toml -sign-as-domain"

// The seven examples of RFC 3183 section 5.1 in the forms that arrive, encrypted and not, opaque and detached.
func TestSealExamples(t *testing.T) {
	const person, encrypt, mla = "-sign-as-person DIR/alice.pem,DIR/alice.key ", " -encrypt-to DIR/dca.pem", " -mla DIR/list.pem,DIR/list.key"
	const reviewer = "-sign-as-person DIR/bob.pem,DIR/bob.key"
	for _, test := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"1", []string{person + domainSigned}, "domain originator pass"},
		{"2", []string{person, reviewer, reviewer, domainSigned}, "domain inner inner originator pass"},
		{"3", []string{person + domainSigned + encrypt}, "dca domain originator pass"},
		{"4", []string{person + domainSigned + encrypt + mla}, "mla dca domain originator pass"},
		{"4, no encryption policy", []string{person + domainSigned + mla}, "mla domain originator pass"},
		{"5", []string{person, domainSigned + encrypt}, "dca domain originator pass"},
		{"6", []string{person, domainSigned, encrypt, mla}, "mla dca domain originator pass"},
		{"7", []string{person + "-encrypt-to DIR/other.pem", reviewer, domainSigned + encrypt}, "dca domain inner other pass"},
		{"empty", []string{domainSigned}, "domain empty pass"},
		{"empty, asked for", []string{"-empty", domainSigned + encrypt}, "dca domain empty pass"},
		{"empty in one", []string{"-empty " + domainSigned}, "domain empty pass"},
		{"two recipients", []string{domainSigned + encrypt + " -encrypt-to DIR/other.pem"}, "dca domain empty pass"},
		{"files named", []string{"-sign-as-domain=DIR/signer.pem,DIR/signer.key"}, "domain empty pass"},
		{"one file", []string{"-sign-as-person DIR/alice.both"}, "originator none"},
		{"encrypted only", []string{strings.TrimSpace(encrypt)}, "dca policyencrypted but not domain-signed"},
		{"oaep", []string{domainSigned + encrypt + " -oaep sha256 -cipher aes128-cbc -digest sha512"}, "dca domain empty pass"},
		{"authenticated", []string{person + domainSigned + encrypt + " -cipher aes256-gcm"}, "dca domain originator pass"},
		{"authenticated 128", []string{domainSigned + encrypt + " -oaep sha384 -cipher aes128-gcm"}, "dca domain empty pass"},
		{"oaep with SHA-1", []string{domainSigned + encrypt + " -oaep sha1 -cipher aes192-cbc -digest sha384"}, "dca domain empty pass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := keyDir(t)
			for _, detached := range []string{"", " -detached"} {
				var lines []string
				for _, line := range test.lines {
					lines = append(lines, line+detached)
				}
				if got := shape(t, dir, sealed(t, dir, lines...)); got != test.want {
					t.Errorf("%q: %s, want %s", detached, got, test.want)
				}
			}
		})
	}
}

// D17, D18: the domain signs for its own senders only, and wraps no signature that it does not find valid.
func TestSealRefuses(t *testing.T) {
	dir := keyDir(t)
	person := sealed(t, dir, "-sign-as-person DIR/alice.pem,DIR/alice.key -detached")
	for _, test := range []struct{ name, message, line, want string }{
		{"altered", strings.Replace(person, "42", "43", 1), domainSigned, "the content is not the one that was signed"},
		{"unknown CA", sealed(t, dir, "-sign-as-person DIR/mallory.pem,DIR/mallory.key"), domainSigned, "untrusted certificate"},
		{"not the sender", sealed(t, dir, "-sign-as-person DIR/bob.pem,DIR/bob.key"), domainSigned, "from address not in certificate"},
		{"no anchors", person, "-sign-as-domain=DIR/signer.pem,DIR/signer.key", "give the configuration with the anchors"},
		{"encrypted", sealed(t, dir, "-encrypt-to DIR/dca.pem"), domainSigned, "sign first, then encrypt"},
		{"encrypted for others", sealed(t, dir, "-encrypt-to DIR/other.pem"), domainSigned, "sign first, then encrypt"},
		{"unreadable", "From: alice@sales.example.com\nContent-Type: application/pkcs7-mime\n\nMIIB\n", domainSigned, "it cannot be verified"},
		{"doubtful header", "From: alice@sales.example.com\nContent-Type: application/pkcs7-mime; name=a; name=b\n\nMIIB\n", domainSigned, "cannot be read for certain"},
		{"foreign domain", plainMessage, "-sign-as-domain=DIR/foreign.pem,DIR/foreign.key", "does not cover the sender's domain sales.example.com"},
		{"a person's certificate", plainMessage, "-sign-as-domain=DIR/alice.pem,DIR/alice.key", "names no domain"},
		{"another person", plainMessage, domainSigned + " -sign-as-person DIR/bob.pem,DIR/bob.key", "does not name the sender alice@sales.example.com"},
		{"no From", "To: x@example.com\n\nx\n", domainSigned, "missing from"},
		{"two From", "From: a@example.com\nFrom: b@example.com\n\nx\n", domainSigned, "duplicate from"},
	} {
		out, stderr, code := paperknife(dir, test.message, strings.Fields("seal "+test.line)...)
		if code != exitData || out != "" || !strings.Contains(stderr, "not signed: ") || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d %q %q", test.name, code, out, stderr)
		}
	}
}

// What was asked for wrongly, and what is wrong with keys, is told before the message is read.
func TestSealFaults(t *testing.T) {
	dir := keyDir(t)
	for _, test := range []struct {
		line string
		code int
		want string
	}{
		{"", exitUsage, "say what is to be done"},
		{"-cipher rot13 -encrypt-to DIR/dca.pem", exitUsage, "-cipher"},
		{"-oaep md5 -encrypt-to DIR/dca.pem", exitUsage, "-oaep"},
		{"-digest sha1 -sign-as-person DIR/alice.both", exitUsage, "-digest"},
		{"-sign-as-domain", exitUsage, "needs =CERT,KEY"},
		{"-sign-as-person ,", exitUsage, "write CERT,KEY"},
		{"-encrypt-to= -empty", exitUsage, "file name is empty"},
		{"-empty extra", exitUsage, "extra"},
		{"-sign-as-person DIR/none.pem,DIR/alice.key", exitFailed, "none.pem: no such file"},
		{"-sign-as-person DIR/alice.pem,DIR/bob.key", exitFailed, "alice.pem and DIR/bob.key"},
		{"-encrypt-to DIR/none.pem -encrypt-to DIR/alice.key", exitFailed, "none.pem: no such file"},
		{"-encrypt-to DIR/alice.pem", exitFailed, "unsupported key type"},
		{"-encrypt-to DIR/signer.pem", exitFailed, ""},
		{"-config DIR/none.toml -sign-as-domain=DIR/signer.pem,DIR/signer.key", exitConfig, "none.toml: no such file"},
	} {
		out, stderr, code := paperknife(dir, plainMessage, strings.Fields("seal "+test.line)...)
		if code != test.code || out != "" || !strings.Contains(strings.ReplaceAll(stderr, dir, "DIR"), test.want) {
			t.Errorf("%s: %d %q %q", test.line, code, out, stderr)
		}
	}
}

// openssl, which is not ours, verifies and opens what was sealed.
func TestSealOpenSSL(t *testing.T) {
	openssl := need.Command(t, "openssl")
	dir := keyDir(t)
	run := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.Command(openssl, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v %s", args, err, &stderr)
		}
		return string(out)
	}
	for _, options := range []string{"", " -oaep sha256", " -oaep sha512 -cipher aes128-cbc"} {
		text := sealed(t, dir, "-sign-as-person DIR/alice.both "+domainSigned+" -detached -encrypt-to DIR/dca.pem"+options)
		domain := run(text, "cms", "-decrypt", "-inkey", "dca.key", "-recip", "dca.pem")
		person := run(domain, "cms", "-verify", "-CAfile", "domain-ca.pem", "-purpose", "any")
		plain := run(person, "cms", "-verify", "-CAfile", "person-ca.pem", "-purpose", "any")
		if !strings.Contains(plain, "Third quarter: 42.\r\n") {
			t.Errorf("%q: %q", options, plain)
		}
	}
}

// From init to the verdict, with nothing but the commands.
func TestSealFromInit(t *testing.T) {
	dir := installed(t)
	plain := strings.ReplaceAll(plainMessage, "sales.example.com", "example.net")
	text, stderr, code := paperknife(dir, plain, "seal", "-config", "DIR/paperknife.toml", "-sign-as-domain", "-encrypt-to", "DIR/dca.pem")
	if code != 0 {
		t.Fatal(code, stderr)
	}
	c, err := config.Load(filepath.Join(dir, fileConfig))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Explain(context.Background(), c, ExplainOptions{At: judged, Recipient: "erin@example.net"}, strings.NewReader(text), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n  x-domsec=pass\n") || !strings.Contains(out.String(), "(received): deliver, view received\n") {
		t.Errorf("%s", &out)
	}
}
