package tool

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/spool"
	"paperknife/seal"
)

var (
	update     = flag.Bool("update", false, "write the golden files")
	makeInputs = flag.Bool("make-inputs", false, "make new keys and messages for the golden files")
)

// judged is the time as of which the golden files are made.
var judged = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const explainDir = "testdata/explain"

func explain(t *testing.T, message []byte, o ExplainOptions) string {
	t.Helper()
	c, err := config.Load(filepath.Join(explainDir, "paperknife.toml"))
	if err != nil {
		t.Fatal(err)
	}
	o.At = judged
	var out bytes.Buffer
	if err := Explain(context.Background(), c, o, bytes.NewReader(message), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestExplainGolden: what people read, and the object that other programs read, for every message in testdata.
func TestExplainGolden(t *testing.T) {
	if *makeInputs {
		makeExplainInputs(t)
	}
	messages, err := filepath.Glob(filepath.Join(explainDir, "*.eml"))
	if err != nil || len(messages) < 6 {
		t.Fatal(messages, err)
	}
	for _, file := range messages {
		message, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(file, ".eml")
		golden(t, base+".txt", explain(t, message, ExplainOptions{Recipient: "erin@example.net"}))
		golden(t, base+".json", explain(t, message, ExplainOptions{Recipient: "erin@example.net", JSON: true}))
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update || *makeInputs {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (-update writes it):\n%s", file, got)
	}
	if strings.Trim(got, printableText) != "" {
		t.Errorf("%s holds what is not printable ASCII", file)
	}
}

const printableText = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// The names of the object are a contract.
func TestExplainContract(t *testing.T) {
	message, err := os.ReadFile(filepath.Join(explainDir, "sealed.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		AuthservID *string `json:"authserv_id"`
		Subject    *string `json:"subject"`
		Results    []struct {
			Method, Result, Reason *string
			Properties             map[string]string
		}
		Layers []struct {
			Type, Role, Result, Reason *string
			Algorithms                 *[]string
			Signers                    *[]any
		}
		Decision struct{ Action, View, Reason *string }
	}
	if err := json.Unmarshal([]byte(explain(t, message, ExplainOptions{JSON: true})), &got); err != nil {
		t.Fatal(err)
	}
	if got.AuthservID == nil || got.Subject == nil || got.Decision.Action == nil || got.Decision.View == nil || got.Decision.Reason == nil ||
		len(got.Results) != 3 || len(got.Layers) != 3 {
		t.Fatalf("%+v", got)
	}
	for _, l := range got.Layers {
		if l.Type == nil || l.Role == nil || l.Result == nil || l.Reason == nil || l.Algorithms == nil || l.Signers == nil {
			t.Errorf("%+v", l)
		}
	}
	for _, r := range got.Results {
		if r.Method == nil || r.Result == nil || r.Reason == nil || r.Properties == nil {
			t.Errorf("%+v", r)
		}
	}
}

// A message that is empty, or not one at all, is explained too.
func TestExplainAnything(t *testing.T) {
	for _, message := range []string{"", "\n", "no header at all", "From: a@example.com\n\n", "Content-Type: application/pkcs7-mime\n\nMIIB",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n", "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n\nx\n--b\n\ny\n--b--\n"} {
		for _, asJSON := range []bool{false, true} {
			if out := explain(t, []byte(message), ExplainOptions{JSON: asJSON}); out == "" {
				t.Errorf("%q: nothing", message)
			}
		}
	}
}

const partsMessage = "From: alice@sales.example.com\nSubject: parts\nContent-Type: multipart/mixed; boundary=a\n\n" +
	"--a\nContent-Type: text/plain\n\nx\n" +
	"--a\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n\nMIIB\n" +
	"--a\nContent-Type: multipart/alternative; boundary=b\n\n" +
	"--b\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: application/x-pkcs7-mime\n\nMIIB\n" +
	"--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=c\n\n" +
	"--c\nContent-Type: application/pkcs7-mime\n\nMIIB\n--c--\n" +
	"--b--\n" +
	"--a\nContent-Type: application/pkcs7-signature\n\nMIIB\n" + // a signed document is no S/MIME entity
	"--a--\n"

// Rule 1: what is not the whole message is listed, wherever it stands, and never opened.
func TestSMIMEParts(t *testing.T) {
	got, err := smimeParts(spool.FromBytes([]byte(partsMessage)))
	if err != nil {
		t.Fatal(err)
	}
	want := []ReportPart{{"2", "application/pkcs7-mime", true}, {"3.1.1", "application/x-pkcs7-mime", false},
		{"3.2", "multipart/signed", false}, {"3.2.1", "application/pkcs7-mime", false}}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	deep := strings.Repeat("Content-Type: multipart/mixed; boundary=x\n\n--x\n", 5000) + "Content-Type: application/pkcs7-mime\n\n"
	if got, err := smimeParts(spool.FromBytes([]byte(deep))); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzSMIMEParts(f *testing.F) {
	f.Add([]byte(partsMessage))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=\"\"\n\n--\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		parts, err := smimeParts(spool.FromBytes(message))
		if err != nil {
			t.Fatal(err)
		}
		if len(parts) > maxParts+1 {
			t.Errorf("%d parts", len(parts))
		}
	})
}

const plainMessage = "From: Alice Arden <alice@sales.example.com>\r\nTo: Erin <erin@example.net>\r\nSubject: Figures\r\n" +
	"Date: Mon, 05 Jan 2026 09:00:00 +0000\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// makeExplainInputs makes the messages from new keys. Only the domain's own key is kept.
func makeExplainInputs(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o := seal.CertificateOptions{Key: seal.P256, NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)}
	domainCA, err := seal.NewCA("Domain CA", o)
	must(err)
	personCA, err := seal.NewCA("Person CA", o)
	must(err)
	unknownCA, err := seal.NewCA("Unknown CA", o)
	must(err)
	signer, err := domainCA.IssueDomainSigner("example.com", o)
	must(err)
	foreign, err := domainCA.IssueDomainSigner("other.example", o)
	must(err)
	unknown, err := unknownCA.IssueDomainSigner("example.com", o)
	must(err)
	alice, err := personCA.IssuePerson("alice@sales.example.com", o)
	must(err)
	o.Key = seal.RSA2048
	dca, err := domainCA.IssueDCA("example.net", o)
	must(err)
	other, err := domainCA.IssueDCA("example.org", o)
	must(err)
	key, err := dca.KeyPEM()
	must(err)

	write := func(name string, data []byte) { must(os.WriteFile(filepath.Join(explainDir, name), data, 0o644)) }
	write("partners.pem", domainCA.CertificatePEM())
	write("people.pem", personCA.CertificatePEM())
	write("dca.pem", dca.CertificatePEM())
	write("dca.key", key)

	sign := seal.SignOptions{SigningTime: judged.Add(-time.Hour)}
	detached := sign
	detached.Detached, detached.Boundary = true, "bound"
	header, entity := seal.Split([]byte(plainMessage))
	inner, err := seal.SignAsPerson(entity, alice, detached)
	must(err)
	domain := func(s seal.Signer) []byte {
		out, err := seal.SignAsDomain(inner, s, sign)
		must(err)
		return out
	}
	encrypt := func(entity []byte, to seal.KeyPair) []byte {
		out, err := seal.EncryptTo(entity, []*x509.Certificate{to.Certificate}, seal.EncryptOptions{})
		must(err)
		return out
	}
	forged := []byte("Authentication-Results: paperknife.example.net; smime=pass\r\nX-Unwrapped: paperknife.example.net; view=plain\r\n")
	write("sealed.eml", seal.Message(header, encrypt(domain(signer), dca)))
	write("foreign.eml", append(forged, seal.Message(header, domain(foreign))...))
	write("untrusted.eml", seal.Message(header, domain(unknown)))
	write("for-others.eml", seal.Message(header, encrypt(domain(signer), other)))
	write("unsigned.eml", seal.Message(header, encrypt(entity, dca)))
	write("altered.eml", seal.Message(header, bytes.Replace(inner, []byte("42"), []byte("43"), 1)))
	write("parts.eml", []byte(partsMessage))
	write("plain.eml", []byte(plainMessage))
}
