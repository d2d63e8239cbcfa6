package attack_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/filter"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/seal"
	"paperknife/test/harness"
)

// seeds returns messages whose text is plain, signed in every way by the boss or his domain.
func (l *lab) seeds(t *testing.T) [][]byte {
	t.Helper()
	var entities [][]byte
	for _, detached := range []bool{true, false} {
		o := seal.SignOptions{Detached: detached}
		person := must(t)(seal.Sign([]byte(plain), l.boss, o))
		domain := must(t)(seal.SignAsDomain(seal.EmptySignature([]byte(plain)), l.corp, o))
		both := must(t)(seal.SignAsDomain(person, l.corp, o))
		entities = append(entities, person, domain, both, must(t)(seal.Sign(person, l.boss, o)))
	}
	entities = append(entities, seal.EmptySignature([]byte(plain)), []byte(plain))
	for _, e := range entities[:len(entities):len(entities)] {
		sealed := must(t)(seal.EncryptTo(e, []*x509.Certificate{l.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
		entities = append(entities, l.encrypt(t, e), sealed, sign(t, sealed, l.corp, seal.SignOptions{SignatureTypes: domainSig}))
	}
	// A ciphertext that is read twice, through a signature.
	long := must(t)(seal.EncryptTo(append([]byte(plain), bytes.Repeat([]byte("long\r\n"), 10000)...), []*x509.Certificate{l.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES128GCM}))
	entities = append(entities, sign(t, long, l.eve, seal.SignOptions{}), sign(t, long, l.eve, seal.SignOptions{Detached: true}))
	messages := make([][]byte, len(entities))
	for i, e := range entities {
		messages[i] = from(bossAddress, e)
	}
	return messages
}

// A mutation changes one place of a message.
type mutation func(r *rand.Rand, m []byte) []byte

var junk = []string{"\r\n", "\n", "\r", "\r\r\n", "\x00", "\x80", " ", "\t", ":", "--", "\r\n\r\n", "\n\n", "\r\n ", "=", "\"", "(", ";",
	"\r\nContent-Type: text/html\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\n", "From: eve@evil.example\r\n", "X-Unwrapped: x\r\n",
	"Authentication-Results: mx.example.net; smime=pass\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "MIME-Version: 1.0\r\n", "From \r\n"}

var mutations = []mutation{
	func(r *rand.Rand, m []byte) []byte { // flip
		i := r.IntN(len(m))
		m[i] ^= 1 << r.IntN(8)
		return m
	},
	func(r *rand.Rand, m []byte) []byte { // insert
		i := r.IntN(len(m))
		return bytes.Join([][]byte{m[:i], m[i:]}, []byte(junk[r.IntN(len(junk))]))
	},
	func(r *rand.Rand, m []byte) []byte { // insert a line
		lines := bytes.SplitAfter(m, []byte("\n"))
		i := r.IntN(len(lines))
		lines[i] = append([]byte(junk[r.IntN(len(junk))]), lines[i]...)
		return bytes.Join(lines, nil)
	},
	func(r *rand.Rand, m []byte) []byte { // remove lines
		lines := bytes.SplitAfter(m, []byte("\n"))
		i := r.IntN(len(lines))
		return bytes.Join(append(lines[:i:i], lines[min(len(lines), i+1+r.IntN(3)):]...), nil)
	},
	func(r *rand.Rand, m []byte) []byte { // double or move lines
		lines := bytes.SplitAfter(m, []byte("\n"))
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		lines[j] = append(bytes.Clone(lines[j]), lines[i]...)
		return bytes.Join(lines, nil)
	},
	func(r *rand.Rand, m []byte) []byte { return m[:r.IntN(len(m))] },
	func(r *rand.Rand, m []byte) []byte { return bytes.ReplaceAll(m, []byte("\r\n"), []byte("\n")) },
	inside, inside, inside,
}

// inside changes an octet of the longest run of base64, or takes some out, or doubles them.
func inside(r *rand.Rand, m []byte) []byte {
	start := bytes.LastIndex(m, []byte("\r\n\r\nMI"))
	if start < 0 {
		return m
	}
	start += 4
	end := len(m)
	if i := bytes.Index(m[start:], []byte("\r\n--")); i >= 0 {
		end = start + i
	}
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(m[start:end]), "\r\n", ""))
	if err != nil || len(der) == 0 {
		return m
	}
	i := r.IntN(len(der))
	switch r.IntN(4) {
	case 0:
		der[i] ^= 1 << r.IntN(8)
	case 1:
		der[i] = []byte{0, 0x80, 0xff, 0x30, 0x24, 0x04, 0xa0}[r.IntN(7)]
	case 2:
		der = append(der[:i:i], der[min(len(der), i+1+r.IntN(20)):]...)
	case 3:
		j := min(len(der), i+1+r.IntN(200))
		der = append(der[:j:j], der[i:]...)
	}
	var b strings.Builder
	text := base64.StdEncoding.EncodeToString(der)
	for ; len(text) > 64; text = text[64:] {
		b.WriteString(text[:64] + "\r\n")
	}
	return bytes.Join([][]byte{m[:start], []byte(b.String() + text + "\r\n"), m[end:]}, nil)
}

// newAgent is the product in this process, for as many messages as a socket would be too slow for.
func (l *lab) newAgent(t *testing.T) *agent.Agent {
	t.Helper()
	c, err := config.Load(l.site.Config())
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(c, agent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// THREATS C23, A39, B01: whatever is done to a message, it is delivered; and when a result says pass, the text that is
// delivered is what was signed.
func TestC23Mutations(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	seeds := l.seeds(t)
	count := 2000
	if n, err := strconv.Atoi(os.Getenv("PAPERKNIFE_MUTATIONS")); err == nil {
		count = n
	}
	seed := uint64(count)
	r := rand.New(rand.NewPCG(seed, 1))
	passes := 0
	for range count {
		m := bytes.Clone(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(2) {
			if len(m) > 0 {
				m = mutations[r.IntN(len(mutations))](r, m)
			}
		}
		if len(m) == 0 {
			continue
		}
		class := classes[r.IntN(len(classes))]
		if l.mutant(t, a, m, class) {
			passes++
		}
		if t.Failed() {
			t.Fatalf("%s:\n%q", class, m)
		}
	}
	t.Logf("%d messages, %d passed with their text whole", count, passes)
}

// filtered puts one message through the filter in this process.
func (l *lab) filtered(t *testing.T, a *agent.Agent, m []byte, class string) delivery {
	t.Helper()
	var out bytes.Buffer
	env := filter.Envelope{Recipient: class + "@example.net", RecipientKnown: true, SenderKnown: true}
	if r := a.Filter(context.Background(), env, spool.FromBytes(m), &out); !r.Delivered() {
		t.Errorf("not delivered: %v", r)
	}
	return read(t, harness.LF(out.Bytes()))
}

// mutant puts one message through the filter and every way of writing it, and checks the outcome.
func (l *lab) mutant(t *testing.T, a *agent.Agent, m []byte, class string) bool {
	t.Helper()
	d := l.filtered(t, a, m, class)
	e, done, err := a.Explain(context.Background(), spool.FromBytes(m), class+"@example.net", noTime)
	if err != nil {
		t.Error(err)
		return false
	}
	defer done()
	for _, ends := range []message.LineEnds{message.LF, message.CRLF} {
		var b bytes.Buffer
		if err := e.View.Write(&b, ends); err != nil {
			t.Errorf("line ends %d: %v", ends, err)
		}
	}
	if !d.passed() {
		return false
	}
	if class == "incapable" {
		text := strings.TrimSuffix(string(harness.LF(d.body)), "\n")
		if text != "Third quarter: 42." && !strings.HasPrefix(text, "Third quarter: 42.\nlong\n") {
			t.Errorf("passes: %+v\nwith the text %q", d.results, text)
		}
	}
	return true
}
