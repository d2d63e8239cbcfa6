// Package signature_test lets other people's software sign: OpenSSL, GnuTLS, GnuPG and NSS, with every kind of key and
// signature they have. What they sign goes through `paperknife explain`, which must say what it is worth.
package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/test/harness"
	"paperknife/test/need"
)

type suite struct{ *testing.M }

func (s suite) Run() int { return s.M.Run() }

func TestMain(m *testing.M) { os.Exit(harness.Main(suite{m})) }

const content = "Content-Type: text/plain\r\n\r\nThe quick brown fox\r\n"

// A workshop is a directory with a CA and the keys of persons.
type workshop struct {
	t   *testing.T
	dir string
	env []string
}

func newWorkshop(t *testing.T) *workshop {
	need.Command(t, "openssl")
	w := &workshop{t: t, dir: t.TempDir()}
	w.write("content", content)
	w.write("openssl.cnf", "[req]\ndistinguished_name=dn\n[dn]\n")
	w.env = append(os.Environ(), "OPENSSL_CONF="+filepath.Join(w.dir, "openssl.cnf"))
	for _, ca := range []string{"ca", "pssca"} {
		kind := map[string]string{"ca": "RSA", "pssca": "RSA-PSS"}[ca]
		w.run("openssl", "genpkey", "-quiet", "-algorithm", kind, "-pkeyopt", "rsa_keygen_bits:2048", "-out", ca+".key")
		w.run("openssl", "req", "-new", "-x509", "-key", ca+".key", "-out", ca+".pem", "-days", "100", "-subj", "/CN="+ca,
			"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
	}
	return w
}

func (w *workshop) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a program in the directory and returns its standard output.
func (w *workshop) run(name string, args ...string) []byte { return w.feed(nil, name, args...) }

func (w *workshop) feed(stdin []byte, name string, args ...string) []byte {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, w.env, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.Bytes())
	}
	return out
}

// person makes a key and its certificate for NAME@example.com below a CA.
func (w *workshop) person(name, ca string, key ...string) {
	w.t.Helper()
	w.run("openssl", append([]string{"genpkey", "-quiet", "-out", name + ".key", "-algorithm"}, key...)...)
	w.run("openssl", "req", "-new", "-key", name+".key", "-subj", "/CN="+name, "-out", name+".csr")
	usage := "digitalSignature"
	if key[0] == "RSA" {
		usage += ",keyEncipherment" // NSS wants it
	}
	w.write(name+".ext", "subjectAltName=email:"+name+"@example.com\nkeyUsage=critical,"+usage+
		"\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
	args := []string{"x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial", "-days", "90",
		"-sha256", "-extfile", name + ".ext", "-out", name + ".pem"}
	if ca == "pssca" { // as long as the digest, the one length that crypto/x509 takes
		args = append(args, "-sigopt", "rsa_pss_saltlen:digest")
	}
	w.run("openssl", args...)
}

func (w *workshop) openssl(name string, options ...string) []byte {
	w.t.Helper()
	return w.run("openssl", append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "content", "-signer", name + ".pem",
		"-inkey", name + ".key", "-outform", "DER"}, options...)...)
}

func (w *workshop) gnutls(name string, options ...string) []byte {
	w.t.Helper()
	need.Command(w.t, "certtool")
	return w.run("certtool", append([]string{"--p7-sign", "--p7-time", "--load-privkey", name + ".key", "--load-certificate",
		name + ".pem", "--infile", "content", "--outder"}, options...)...)
}

func (w *workshop) nss(name string, options ...string) []byte {
	w.t.Helper()
	need.Command(w.t, "cmsutil")
	w.run("openssl", "pkcs12", "-export", "-in", name+".pem", "-inkey", name+".key", "-passout", "pass:x", "-name", name, "-out", name+".p12")
	store := "sql:" + w.t.TempDir()
	w.run("certutil", "-N", "-d", store, "--empty-password")
	w.run("certutil", "-A", "-d", store, "-n", "ca", "-t", "C,C,C", "-i", "ca.pem")
	w.run("pk12util", "-i", name+".p12", "-d", store, "-W", "x", "-K", "")
	return w.run("cmsutil", append([]string{"-S", "-N", name, "-d", store, "-G", "-i", "content"}, options...)...)
}

func (w *workshop) gpgsm(name string, options ...string) []byte {
	w.t.Helper()
	need.Command(w.t, "gpgsm")
	home, err := os.MkdirTemp("", "pk-") // short: it holds a socket
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.env
	w.env = append(before, "GNUPGHOME="+home)
	defer func() {
		w.run("gpgconf", "--kill", "all")
		w.env = before
		if err := os.RemoveAll(home); err != nil {
			w.t.Error(err)
		}
	}()
	fingerprint := string(w.run("openssl", "x509", "-in", "ca.pem", "-noout", "-fingerprint", "-sha1"))
	_, fingerprint, _ = strings.Cut(strings.TrimSpace(fingerprint), "=")
	for file, text := range map[string]string{"gpg-agent.conf": "allow-loopback-pinentry\ns2k-count 65536\n", "gpgsm.conf": "disable-crl-checks\n",
		"trustlist.txt": fingerprint + " S\n"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run("openssl", "pkcs12", "-export", "-in", name+".pem", "-inkey", name+".key", "-passout", "pass:x", "-certfile", "ca.pem", "-out", name+".p12",
		"-legacy")
	batch := []string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0"}
	w.feed([]byte("x\n"), "gpgsm", append(batch, "--import", name+".p12")...)
	args := append(append(batch, options...), "--sign", "-u", name+"@example.com", "content")
	return w.feed([]byte("x\n"), "gpgsm", args...)
}

// A signer is what explain says of one.
type signer struct {
	Digest, Algorithm string
	Verified, Trusted bool
	Result, Reason    string
	Refused, Detail   string
}

func explain(t *testing.T, site *harness.Site, name string, object []byte) signer {
	t.Helper()
	text := base64.StdEncoding.EncodeToString(object)
	var b strings.Builder
	b.WriteString("From: " + name + "@example.com\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for ; len(text) > 64; text = text[64:] {
		b.WriteString(text[:64] + "\r\n")
	}
	b.WriteString(text + "\r\n")
	end := site.Program(t, "paperknife", []byte(b.String()), "explain", "-config", site.Config(), "-json")
	var report struct {
		Layers []struct{ Signers []signer }
	}
	if err := json.Unmarshal(end.Stdout, &report); err != nil || len(report.Layers) != 1 || len(report.Layers[0].Signers) != 1 {
		t.Fatalf("%v\n%s%s", err, end.Stdout, end.Stderr)
	}
	return report.Layers[0].Signers[0]
}

func TestSignatures(t *testing.T) {
	w := newWorkshop(t)
	w.person("rsa", "ca", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	w.person("weak", "ca", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
	w.person("pss", "pssca", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
	w.person("weakpss", "ca", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024")
	for _, curve := range []string{"P-256", "P-384", "P-521", "brainpoolP256r1"} {
		w.person(curve, "ca", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve)
	}
	w.person("ed25519", "ca", "ed25519")
	var anchors []byte
	for _, ca := range []string{"ca.pem", "pssca.pem"} {
		anchor, err := os.ReadFile(filepath.Join(w.dir, ca))
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, anchor...)
	}
	site := harness.NewSite(t, "authserv_id = \"mx.example.net\"\n[trust]\nperson_anchors = [\"anchors.pem\"]\n",
		map[string][]byte{"anchors.pem": anchors})
	padding := []string{"-keyopt", "rsa_padding_mode:pss"}
	pss := func(options ...string) []string { return append(append([]string{}, padding...), options...) }
	for name, test := range map[string]struct {
		by      func(string, ...string) []byte
		who     string
		options []string
		want    string // digest, algorithm, result and reason
	}{
		"openssl RSA":               {w.openssl, "rsa", nil, "sha256 rsa pass"},
		"openssl RSA, SHA-512":      {w.openssl, "rsa", []string{"-md", "sha512"}, "sha512 rsa pass"},
		"openssl RSA, by key":       {w.openssl, "rsa", []string{"-keyid"}, "sha256 rsa pass"},
		"A24 openssl RSA, SHA-1":    {w.openssl, "rsa", []string{"-md", "sha1"}, "sha1 rsa policy sha1"},
		"A24 openssl RSA, MD5":      {w.openssl, "rsa", []string{"-md", "md5"}, "md5 rsa neutral unsupported algorithm"},
		"A24 openssl RSA, 1024":     {w.openssl, "weak", nil, "sha256 rsa policy weak key"},
		"A17 openssl, no attrs":     {w.openssl, "rsa", []string{"-noattr"}, "sha256 rsa policy no signed attributes"},
		"openssl PSS":               {w.openssl, "rsa", pss(), "sha256 rsa-pss pass"},
		"openssl PSS, SHA-512":      {w.openssl, "rsa", pss("-md", "sha512"), "sha512 rsa-pss pass"},
		"openssl PSS, no salt":      {w.openssl, "rsa", pss("-keyopt", "rsa_pss_saltlen:0"), "sha256 rsa-pss pass"},
		"openssl PSS, MGF1 SHA-512": {w.openssl, "rsa", pss("-keyopt", "rsa_mgf1_md:sha512"), "sha256 rsa-pss pass"},
		"A24 openssl MGF1 SHA-1":    {w.openssl, "rsa", pss("-keyopt", "rsa_mgf1_md:sha1"), "sha256 rsa-pss policy sha1"},
		"A24 openssl PSS, SHA-1":    {w.openssl, "rsa", pss("-md", "sha1"), "sha1 rsa-pss policy sha1"},
		"A24 openssl PSS, 1024":     {w.openssl, "weak", pss(), "sha256 rsa-pss policy weak key"},
		"openssl PSS key":           {w.openssl, "pss", pss(), "sha256 rsa-pss pass"},
		"A24 openssl PSS key, 1024": {w.openssl, "weakpss", pss(), "sha256 rsa-pss policy weak key"},
		"openssl P-256":             {w.openssl, "P-256", nil, "sha256 ecdsa-p256 pass"},
		"openssl P-384":             {w.openssl, "P-384", []string{"-md", "sha384"}, "sha384 ecdsa-p384 pass"},
		"openssl P-521":             {w.openssl, "P-521", []string{"-md", "sha512"}, "sha512 ecdsa-p521 pass"},
		"openssl Brainpool":         {w.openssl, "brainpoolP256r1", nil, "sha256 ecdsa-brainpoolP256r1 policy untrusted certificate"},
		"gnutls RSA":                {w.gnutls, "rsa", nil, "sha256 rsa pass"},
		"gnutls PSS key":            {w.gnutls, "pss", []string{"--hash", "sha384"}, "sha384 rsa-pss pass"},
		"gnutls P-256":              {w.gnutls, "P-256", nil, "sha256 ecdsa-p256 pass"},
		"gnutls P-521":              {w.gnutls, "P-521", []string{"--hash", "sha512"}, "sha512 ecdsa-p521 pass"},
		"gnutls Ed25519":            {w.gnutls, "ed25519", nil, "sha512 ed25519 pass"},
		"nss RSA":                   {w.nss, "rsa", []string{"-H", "SHA256"}, "sha256 rsa pass"},
		"nss P-256":                 {w.nss, "P-256", []string{"-H", "SHA256"}, "sha256 ecdsa-p256 pass"},
		"gpgsm RSA":                 {w.gpgsm, "rsa", nil, "sha256 rsa pass"},
		"gpgsm RSA, SHA-512":        {w.gpgsm, "rsa", []string{"--digest-algo", "SHA512"}, "sha512 rsa pass"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			s := explain(t, site, test.who, test.by(test.who, test.options...))
			got := strings.TrimSpace(strings.Join([]string{s.Digest, s.Algorithm, s.Result, s.Reason}, " "))
			if got != test.want {
				t.Errorf("%s, want %s; %+v", got, test.want, s)
			}
		})
	}
}
