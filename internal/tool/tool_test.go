package tool_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/tool"
	"paperknife/seal"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The main job with no configuration, as a newcomer sees it.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	check(t, tool.Demo(context.Background(), "", &out))
	for _, part := range []string{
		"Content-Type: application/pkcs7-mime",                                  // what is sent
		"erin@example.net: 2.0.0",                                               // what lmtpd says
		"enveloped, role dca", "signed, role domain", "signed, role originator", // the layers
		"x-domsec=pass", "body.domsec-signer=example.com", "smime=pass", // the verdict
		"Third quarter: 42.", // the mail
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("output lacks %q", part)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// With a directory, what was made is there to be looked at and used afterwards.
func TestDemoKeepsItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	check(t, tool.Demo(context.Background(), dir, &bytes.Buffer{}))
	c, err := config.Load(filepath.Join(dir, "paperknife.toml"))
	check(t, err)
	var out bytes.Buffer
	check(t, tool.Explain(context.Background(), c, tool.ExplainOptions{}, strings.NewReader("From: alice@example.com\r\n\r\nplain\r\n"), &out))
	if _, err := os.Stat(filepath.Join(dir, "lmtp.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

func TestDemoStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- tool.Demo(ctx, "", &bytes.Buffer{}) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the demonstration does not end when it is told to")
	}
}

type world struct {
	config         *config.Config
	author, domain seal.KeyPair
	dca            seal.KeyPair
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var w world
	quick := seal.CertificateOptions{Key: seal.P256}
	domainCA, err := seal.NewCA("Test Domain CA", quick)
	check(t, err)
	personCA, err := seal.NewCA("Test Person CA", quick)
	check(t, err)
	w.author, err = personCA.IssuePerson("alice@sales.example.com", quick)
	check(t, err)
	w.domain, err = domainCA.IssueDomainSigner("example.com", quick)
	check(t, err)
	w.dca, err = domainCA.IssueDCA("example.net", seal.CertificateOptions{})
	check(t, err)
	key, err := w.dca.KeyPEM()
	check(t, err)
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"partners.pem": domainCA.CertificatePEM(), "people.pem": personCA.CertificatePEM(), "dca.pem": w.dca.CertificatePEM(), "dca.key": key,
		"paperknife.toml": []byte("authserv_id = \"mx.example.net\"\n[[domain]]\nname = \"example.net\"\nkeys = [{ cert = \"dca.pem\", key = \"dca.key\" }]\n" +
			"[trust]\ndomain_anchors = [\"partners.pem\"]\nperson_anchors = [\"people.pem\"]\n"),
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	w.config, err = config.Load(filepath.Join(dir, "paperknife.toml"))
	check(t, err)
	return &w
}

const header = "From: alice@sales.example.com\r\nTo: erin@example.net\r\nSubject: =?utf-8?q?Zahlen_f=C3=BCr_Q3?=\r\n"

func (w *world) figures(t *testing.T) []byte {
	t.Helper()
	entity := []byte("Content-Type: text/plain\r\n\r\nThird quarter: 42.\r\n")
	entity, err := seal.SignAsPerson(entity, w.author, seal.SignOptions{Detached: true})
	check(t, err)
	entity, err = seal.SignAsDomain(entity, w.domain, seal.SignOptions{})
	check(t, err)
	entity, err = seal.EncryptTo(entity, certificates(w.dca), seal.EncryptOptions{})
	check(t, err)
	return seal.Message([]byte(header), entity)
}

// explainJSON returns the object as any reader outside the project gets it.
func explainJSON(t *testing.T, w *world, o tool.ExplainOptions, msg []byte) map[string]any {
	t.Helper()
	o.JSON = true
	var out bytes.Buffer
	check(t, tool.Explain(context.Background(), w.config, o, bytes.NewReader(msg), &out))
	decoder := json.NewDecoder(&out)
	var object map[string]any
	check(t, decoder.Decode(&object))
	if decoder.More() {
		t.Error("more than one JSON value")
	}
	return object
}

// text and list read one member and its type, which is part of the contract.
func text(t *testing.T, o any, name string) string {
	t.Helper()
	s, ok := member(t, o, name).(string)
	if !ok {
		t.Fatalf("%q is no string: %v", name, o)
	}
	return s
}

func list(t *testing.T, o any, name string) []any {
	t.Helper()
	l, ok := member(t, o, name).([]any)
	if !ok {
		t.Fatalf("%q is no array: %v", name, o)
	}
	return l
}

func member(t *testing.T, o any, name string) any {
	t.Helper()
	object, ok := o.(map[string]any)
	if !ok {
		t.Fatalf("no object: %v", o)
	}
	value, ok := object[name]
	if !ok {
		t.Fatalf("no member %q: %v", name, o)
	}
	return value
}

// The names of `explain -json` are a contract: programs outside the project read them.
func TestExplainJSON(t *testing.T) {
	w := newWorld(t)
	o := explainJSON(t, w, tool.ExplainOptions{Recipient: "erin@example.net"}, w.figures(t))
	if got := text(t, o, "authserv_id"); got != "mx.example.net" {
		t.Errorf("authserv_id = %q", got)
	}
	if got := text(t, o, "subject"); got != "Zahlen für Q3" {
		t.Errorf("subject = %q", got)
	}

	var layers []string
	for _, l := range list(t, o, "layers") {
		layers = append(layers, text(t, l, "type")+"/"+text(t, l, "role")+"="+text(t, l, "result")+text(t, l, "reason"))
		if len(list(t, l, "algorithms")) == 0 {
			t.Errorf("no algorithms: %v", l)
		}
		if signers := list(t, l, "signers"); (len(signers) == 1) != (text(t, l, "type") == "signed") {
			t.Errorf("signers: %v", signers)
		}
	}
	if got, want := strings.Join(layers, " "), "enveloped/dca=opened signed/domain=pass signed/originator=pass"; got != want {
		t.Errorf("layers = %s, want %s", got, want)
	}

	var results []string
	for _, r := range list(t, o, "results") {
		results = append(results, text(t, r, "method")+"="+text(t, r, "result")+text(t, r, "reason"))
		properties, ok := member(t, r, "properties").(map[string]any)
		if !ok {
			t.Fatalf("properties: %v", r)
		}
		for name, value := range properties {
			if _, ok := value.(string); !ok || strings.Count(name, ".") != 1 {
				t.Errorf("property %q = %v", name, value)
			}
		}
		if text(t, r, "method") == "x-domsec" && text(t, properties, "body.domsec-signer") != "example.com" {
			t.Errorf("x-domsec: %v", properties)
		}
	}
	if got, want := strings.Join(results, " "), "smime=pass smime=pass x-domsec=pass"; got != want {
		t.Errorf("results = %s, want %s", got, want)
	}

	decision := member(t, o, "decision")
	if got, want := text(t, decision, "action")+" "+text(t, decision, "view")+text(t, decision, "reason"), "deliver plain"; got != want {
		t.Errorf("decision = %s, want %s", got, want)
	}
}

// Every member is there, and arrays are arrays, for a message with nothing to tell.
func TestExplainJSONOfPlainMail(t *testing.T) {
	w := newWorld(t)
	for name, msg := range map[string]string{
		"plain":     "From: alice@example.com\n\nplain\n",
		"no header": "\n",
		"one octet": "x",
	} {
		t.Run(name, func(t *testing.T) {
			o := explainJSON(t, w, tool.ExplainOptions{}, []byte(msg))
			if len(list(t, o, "layers"))+len(list(t, o, "results")) != 0 || text(t, o, "subject") != "" {
				t.Errorf("%v", o)
			}
			if got := text(t, member(t, o, "decision"), "action"); got != "deliver" {
				t.Errorf("action = %q", got)
			}
		})
	}
}

// -at judges as of another time; -recipient decides with the keys of that recipient's domain.
func TestExplainOptions(t *testing.T) {
	w := newWorld(t)
	msg := w.figures(t)
	late := explainJSON(t, w, tool.ExplainOptions{At: time.Now().AddDate(20, 0, 0)}, msg)
	for _, r := range list(t, late, "results") {
		if text(t, r, "result") != "policy" || text(t, member(t, r, "properties"), "policy.refused") != "certificate expired" {
			t.Errorf("in twenty years: %v", r)
		}
	}
	other := explainJSON(t, w, tool.ExplainOptions{Recipient: "bob@example.org"}, msg)
	if l := list(t, other, "layers"); len(l) != 1 || text(t, l[0], "role") != "other" {
		t.Errorf("for another domain: %v", l)
	}
}

// For people, every layer, result and the decision has a line.
func TestExplainText(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	check(t, tool.Explain(context.Background(), w.config, tool.ExplainOptions{}, bytes.NewReader(w.figures(t)), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, start := range []string{"subject ", "layer 1: ", "layer 2: ", "layer 3: ", "smime=pass", "x-domsec=pass", "decision for a recipient who is not named (unknown): deliver, view plain"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), start) }) {
			t.Errorf("no line begins with %q:\n%s", start, &out)
		}
	}
}

// What keeps a ciphertext shut has one text, whatever was wrong with it (DESIGN rule 2).
func TestExplainDamagedCiphertext(t *testing.T) {
	w := newWorld(t)
	msg := w.figures(t)
	lines := bytes.Split(msg, []byte("\r\n"))
	copy(lines[len(lines)-20], "AAAAAAAA") // a line of the ciphertext, in base64
	msg = bytes.Join(lines, []byte("\r\n"))
	o := explainJSON(t, w, tool.ExplainOptions{}, msg)
	l := list(t, o, "layers")[0]
	if text(t, l, "result") != "neutral" || text(t, l, "reason") != "cannot decrypt" {
		t.Errorf("layer: %v", l)
	}
	if _, told := l.(map[string]any)["fault"]; told {
		t.Errorf("the layer tells why: %v", l)
	}
	if got := text(t, member(t, o, "decision"), "view"); got != "received" {
		t.Errorf("view = %q", got)
	}
}

func certificates(pairs ...seal.KeyPair) []*x509.Certificate {
	var list []*x509.Certificate
	for _, p := range pairs {
		list = append(list, p.Certificate)
	}
	return list
}
