package corpora_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// A truth is what OpenSSL found in one file: GROUND_TRUTH.json.
type truth struct {
	Form   string // MIME, DER, PEM
	Layers []truthLayer
}

type truthLayer struct {
	Layer    string // "signed-data", "multipart/mixed[0]>multipart/signed"
	Algs     string `json:"alg"`
	Verify   string // "ok", "fail: ...", "n/a ..."
	Decrypt  string
	ChainAt  string `json:"chain_at_signtime"`
	ChainNow string `json:"chain_now"`
	From     string `json:"from_match"`
	Signer   string `json:"signer_email"`
	Signed   string `json:"signtime"`
	Length   int    `json:"inner_len"`
	Hash     string `json:"inner_sha256"`
}

// now is the time at which chain_now is asked: the youngest certificates of the sets are of January 2026.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func (l truthLayer) signingTime(t testing.TB) time.Time {
	t.Helper()
	if l.Signed == "" {
		return time.Time{}
	}
	at, err := time.Parse("Jan _2 15:04:05 2006", l.Signed)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func readTruths(t testing.TB, c *corpus) map[string]truth {
	t.Helper()
	var truths map[string]truth
	if err := json.Unmarshal(c.read(t, "GROUND_TRUTH.json"), &truths); err != nil {
		t.Fatal(err)
	}
	return truths
}

// A finding is one thing that the truth says about a file, and what we say.
type finding struct {
	File        string
	Layer       int // from 1
	Aspect      string
	Truth, Ours string
}

func (f finding) differs() bool { return f.Truth != f.Ours }

func (f finding) String() string {
	return fmt.Sprintf("%s layer %d %s: %q, ours %q", f.File, f.Layer, f.Aspect, f.Truth, f.Ours)
}

// An examiner holds the path against the truth.
type examiner struct {
	agent *agent.Agent
	trust *trust.Store
}

func newExaminer(t testing.TB, c *corpus) *examiner {
	t.Helper()
	var roots []*x509.Certificate
	for _, name := range anchors {
		list, err := trust.LoadAnchors(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, list...)
	}
	store, err := trust.New(trust.Settings{PersonAnchors: roots, Naming: []string{"melnikov"}})
	if err != nil {
		t.Fatal(err)
	}
	return &examiner{agent: newAgent(t, agent.Options{}), trust: store}
}

// TestTruth holds every layer of every S/MIME file against what OpenSSL found: whether signatures verify, what comes
// out of ciphertexts, octet for octet, whether the chain ends in an anchor, whether From is the signer's. A difference
// is an error, unless differences gives the reason.
func TestTruth(t *testing.T) {
	judgeFindings(t, findTruth(t, load(t)), differences)
}

func findTruth(t testing.TB, c *corpus) (all []finding) {
	t.Helper()
	e := newExaminer(t, c)
	truths := readTruths(t, c)
	for _, name := range slices.Sorted(maps.Keys(truths)) {
		all = append(all, e.examine(t, name, truths[name], entityOf(c.read(t, name), truths[name]))...)
	}
	return append(all, e.overFile(t, c)...)
}

// TestTruthForms: line ends and an mbox line change nothing that we find.
func TestTruthForms(t *testing.T) {
	c := load(t)
	e := newExaminer(t, c)
	compared := 0
	for name, what := range readTruths(t, c) {
		if what.Form != "MIME" {
			continue
		}
		raw := c.read(t, name)
		want := e.examine(t, name, what, raw)
		for _, form := range forms[1:] {
			if got := e.examine(t, name, what, form.make(raw)); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %v, want %v", name, form.name, got, want)
			}
			compared += len(want)
		}
	}
	t.Logf("%d findings the same in every form", compared)
}

// entityOf returns a message: the file, or the CMS object in the least message that can hold it.
func entityOf(raw []byte, what truth) []byte {
	if what.Form == "MIME" {
		return raw
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	header := "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	if from := what.Layers[0].Signer; from != "" {
		header = "From: " + from + "\r\n" + header
	}
	return append([]byte(header), lines(base64.StdEncoding.EncodeToString(raw))...)
}

func lines(text string) []byte {
	var b bytes.Buffer
	for len(text) > 64 {
		b.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

// examine compares one file.
func (e *examiner) examine(t testing.TB, name string, what truth, msg []byte) []finding {
	t.Helper()
	received := spool.FromBytes(msg)
	defer received.Close()
	x, done, err := e.agent.Explain(context.Background(), received, recipient(name, "incapable"), what.at(t))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	defer done()
	var all []finding
	for i, want := range what.Layers {
		add := func(aspect, truth, ours string) {
			all = append(all, finding{name, i + 1, aspect, truth, ours})
		}
		if i >= len(x.Layers) || strings.Contains(want.Layer, ">") {
			add("layer", want.Layer, "not looked at")
			continue
		}
		got := x.Layers[i]
		add("layer", want.Layer, kindOf(got))
		if want.Verify != "" {
			add("verify", okOrNot(want.Verify), verified(got))
		}
		if want.Decrypt != "" {
			add("decrypt", okOrNot(want.Decrypt), map[bool]string{true: "ok", false: "not"}[got.Opened])
		}
		if want.Hash != "" {
			add("content", fmt.Sprintf("%d %s", want.Length, want.Hash), contentOf(t, got))
		}
		e.judgements(t, add, want, got, msg)
		e.algorithms(t, add, want, got)
		if got.Type == unwrap.Signed {
			if len(got.Signers) > 0 && got.Signers[0].Digest == "sha1" && verified(got) == "ok" {
				add("sha1", "policy", x.Decision.Layers[i].Result)
			}
			add("pass", passOrNot(want), map[bool]string{true: "pass", false: "not"}[x.Decision.Layers[i].Result == "pass"])
		}
	}
	viewIsContent(t, name, received, x)
	return all
}

// at is the time of receipt: the signing time, else now.
func (w truth) at(t testing.TB) time.Time {
	for _, l := range w.Layers {
		if at := l.signingTime(t); !at.IsZero() {
			return at
		}
	}
	return now
}

func okOrNot(s string) string {
	if s == "ok" {
		return "ok"
	}
	return "not"
}

// passOrNot is what a mail reader would make of OpenSSL's facts.
func passOrNot(l truthLayer) string {
	if l.Verify == "ok" && l.ChainAt == "ok" && l.From == "yes" {
		return "pass"
	}
	return "not"
}

// kindOf names a layer as the truth does.
func kindOf(l unwrap.Layer) string {
	switch {
	case l.Type == unwrap.Signed && l.Detached:
		return "multipart/signed"
	case l.Type == unwrap.Signed:
		return "signed-data"
	case l.Type == unwrap.Enveloped:
		return "enveloped-data"
	case l.Type == unwrap.AuthEnveloped:
		return "authEnveloped-data"
	case l.Type == unwrap.Digested:
		return "pkcs7-digestData"
	case l.Type == unwrap.Encrypted:
		return "pkcs7-encryptedData"
	}
	return string(l.Type)
}

// verified is as OpenSSL has it: all signers must verify, and there must be one.
func verified(l unwrap.Layer) string {
	for _, s := range l.Signers {
		if s.Outcome != unwrap.Good {
			return "not"
		}
	}
	return map[bool]string{true: "ok", false: "not"}[len(l.Signers) > 0]
}

// contentOf is length and digest of what is inside; a multipart/signed is hashed with CRLF.
func contentOf(t testing.TB, l unwrap.Layer) string {
	t.Helper()
	if l.Content() == nil {
		return "no entity"
	}
	r, err := l.Content().Open()
	if err != nil {
		t.Fatal(err)
	}
	if l.Detached {
		r = message.Canonical(r)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", n, hex.EncodeToString(sum.Sum(nil)))
}

var (
	digestOf  = regexp.MustCompile(`dig=(sha\d+)`)
	signersOf = regexp.MustCompile(`signers=(\d+)`)
	cipherOf  = regexp.MustCompile(`cenc=aes-(\d+)-(\w+)`)
)

// algorithms compares digests, ciphers, the number of signers and the signing time.
func (e *examiner) algorithms(t testing.TB, add func(aspect, truth, ours string), want truthLayer, got unwrap.Layer) {
	t.Helper()
	if m := signersOf.FindStringSubmatch(want.Algs); m != nil && !strings.HasPrefix(want.Verify, "n/a") {
		add("signers", m[1], strconv.Itoa(len(got.Signers)))
	}
	if m := digestOf.FindStringSubmatch(want.Algs); m != nil && len(got.Signers) > 0 {
		add("digest", m[1], got.Signers[0].Digest)
	}
	if m := cipherOf.FindStringSubmatch(want.Algs); m != nil && want.Layer == "enveloped-data" {
		add("cipher", "aes"+m[1]+"-"+m[2], strings.Join(got.Algorithms, " "))
	}
	if want.Signed != "" && len(got.Signers) > 0 {
		add("signing time", want.signingTime(t).Format(time.RFC3339), got.Signers[0].SigningTime.Format(time.RFC3339))
	}
}

// overFile: two detached signatures of the list are over a file beside them, as the list says.
func (e *examiner) overFile(t testing.TB, c *corpus) (all []finding) {
	t.Helper()
	for _, digest := range []string{"SHA1", "SHA256"} {
		name := thunderbird + "alice.mime.dsig." + digest
		var b bytes.Buffer
		b.WriteString("From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b;\r\n" +
			" protocol=\"application/pkcs7-signature\"; micalg=" + strings.ToLower(digest) + "\r\n\r\n--b\r\n")
		b.Write(c.read(t, thunderbird+"alice.mime"))
		b.WriteString("\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		b.Write(lines(base64.StdEncoding.EncodeToString(c.read(t, name))))
		b.WriteString("--b--\r\n")
		what := truth{Layers: []truthLayer{{Layer: "multipart/signed", Algs: "dig=" + strings.ToLower(digest) + " signers=1", Verify: "ok"}}}
		all = append(all, e.examine(t, name+" over alice.mime", what, b.Bytes())...)
	}
	return all
}

// judgements compares the chain and the addresses of the signers.
func (e *examiner) judgements(t testing.TB, add func(aspect, truth, ours string), want truthLayer, got unwrap.Layer, msg []byte) {
	t.Helper()
	if want.ChainAt != "" {
		add("chain at signing", okOrNot(want.ChainAt), e.chain(got, want.signingTime(t)))
	}
	if want.ChainNow != "" {
		add("chain now", okOrNot(want.ChainNow), e.chain(got, now))
	}
	if want.From != "" {
		add("from", map[bool]string{true: "bound", false: "not"}[want.From == "yes"], e.bound(got, msg))
	}
}

func (e *examiner) chain(l unwrap.Layer, at time.Time) string {
	for _, s := range l.Signers {
		if s.Certificate == nil || !e.trust.Judge(s.Certificate, l.Certificates, trust.Person, at).Trusted {
			return "not"
		}
	}
	return map[bool]string{true: "ok", false: "not"}[len(l.Signers) > 0]
}

// bound reports whether every From address is one of a signer's.
func (e *examiner) bound(l unwrap.Layer, msg []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(msg))
	if err != nil {
		return "not"
	}
	list, err := m.Header.AddressList("From")
	if err != nil {
		return "not"
	}
	for _, from := range list {
		if !slices.ContainsFunc(l.Signers, func(s unwrap.Signer) bool {
			emails := e.trust.Judge(s.Certificate, l.Certificates, trust.Person, now).Emails
			return slices.ContainsFunc(emails, func(a string) bool { return trust.EqualAddress(a, from.Address) })
		}) {
			return "not"
		}
	}
	return "bound"
}

// viewIsContent: the delivered body is the body of what stands below the layers that came off, octet for octet.
func viewIsContent(t testing.TB, name string, received *spool.Spool, x *agent.Explanation) {
	t.Helper()
	var out bytes.Buffer
	if err := x.View.Write(&out, message.AsGiven); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	want := make([]byte, received.Size())
	if _, err := received.ReadAt(want, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if depth := x.Decision.Depth; depth > 0 {
		r, err := x.Layers[depth-1].Content().Open()
		if err != nil {
			t.Fatal(err)
		}
		if want, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	_, body := split(want)
	_, got := split(out.Bytes())
	if !bytes.Equal(toLF(body), toLF(got)) {
		t.Errorf("%s: delivered body differs from that of layer %d: %s", name, x.Decision.Depth, parted(got, body))
	}
}
