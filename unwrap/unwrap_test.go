package unwrap_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/seal"
	"paperknife/unwrap"
)

// parties are what the messages of these tests are sealed with.
type parties struct {
	author, signer, dca, other seal.KeyPair
}

var made *parties

func newParties(t testing.TB) *parties {
	t.Helper()
	if made != nil {
		return made
	}
	ca, err := seal.NewCA("Test CA", seal.CertificateOptions{})
	check(t, err)
	p := &parties{}
	p.author, err = ca.IssuePerson("alice@sales.example.com", seal.CertificateOptions{})
	check(t, err)
	p.signer, err = ca.IssueDomainSigner("example.com", seal.CertificateOptions{})
	check(t, err)
	p.dca, err = ca.IssueDCA("example.net", seal.CertificateOptions{Serial: big.NewInt(70001)})
	check(t, err)
	p.other, err = ca.IssueDCA("example.org", seal.CertificateOptions{Serial: big.NewInt(70002)})
	check(t, err)
	made = p
	return p
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		check(t, err)
		return b
	}
}

// oneKey is a key ring of one key that takes the first RecipientInfo that names its certificate.
type oneKey struct{ pair seal.KeyPair }

func (k oneKey) Choose(list [][]byte) (int, bool) {
	index, ours := -1, false
	for i, der := range list {
		info, err := cms.ParseRecipientInfo(der)
		if err != nil || !info.IsFor(k.pair.Certificate.Raw) {
			continue
		}
		if ours {
			return -1, true
		}
		index, ours = i, true
	}
	return index, ours
}

func (k oneKey) ContentKey(der []byte, size int) ([]byte, error) {
	info, err := cms.ParseRecipientInfo(der)
	if err != nil {
		return nil, err
	}
	return info.ContentKey(k.pair.Key.(crypto.Decrypter), size)
}

const header = "From: alice@sales.example.com\r\nTo: bob@example.net\r\nSubject: Figures\r\n"

const entity = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// open runs a message through unwrap with the key of example.net.
func open(t testing.TB, msg []byte) *unwrap.Result {
	t.Helper()
	src := spool.FromBytes(msg)
	h, err := message.ParseHeader(src)
	check(t, err)
	r, err := unwrap.Open(context.Background(), src, h, unwrap.Options{Keys: oneKey{newParties(t).dca}, Spool: spool.Settings{Dir: t.TempDir(), Memory: 1 << 20}})
	check(t, err)
	t.Cleanup(func() { check(t, r.Close()) })
	return r
}

func view(t testing.TB, v *message.View) string {
	t.Helper()
	var b bytes.Buffer
	check(t, v.Write(&b, message.AsGiven))
	return b.String()
}

// describe is the layers in short: type/role, "!" when no signer verified, part.
func describe(r *unwrap.Result) string {
	var words []string
	for _, l := range r.Layers {
		word := string(l.Type) + "/" + string(l.Role) + "@" + l.Part
		if len(l.Signers) > 0 && !l.Good() {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// The seven examples of SEEDS D(a), as they arrive, and other nestings: layers, roles and sections, and the view with
// all of them off.
func TestLayers(t *testing.T) {
	p := newParties(t)
	m := must(t)
	person := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{})) }
	detached := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{Detached: true})) }
	domain := func(e []byte) []byte { return m(seal.SignAsDomain(e, p.signer, seal.SignOptions{})) }
	domainDetached := func(e []byte) []byte { return m(seal.SignAsDomain(e, p.signer, seal.SignOptions{Detached: true})) }
	list := func(e []byte) []byte { return m(seal.SignAsMailingList(e, p.author, seal.SignOptions{})) }
	encrypt := func(e []byte) []byte {
		return m(seal.EncryptTo(e, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	}
	foreign := func(e []byte) []byte {
		return m(seal.EncryptTo(e, []*x509.Certificate{p.other.Certificate}, seal.EncryptOptions{}))
	}
	plain := []byte(entity)
	tests := []struct {
		name   string
		entity []byte
		want   string
		opens  bool // all layers can come off
	}{
		{"plain", plain, "", true},
		{"originator opaque", person(plain), "signed/originator@1", true},
		{"originator detached", detached(plain), "signed/originator@2", true},
		{"example 1", domain(person(plain)), "signed/domain@1 signed/originator@1/1", true},
		{"example 1, detached in detached", domainDetached(detached(plain)), "signed/domain@2 signed/originator@1.2", true},
		{"example 1, detached in opaque", domain(detached(plain)), "signed/domain@1 signed/originator@1/2", true},
		{"empty signature", domain(seal.EmptySignature(plain)), "signed/domain@1 signed/empty@1/1", true},
		{"example 2", domain(person(person(person(plain)))),
			"signed/domain@1 signed/inner@1/1 signed/inner@1/1/1 signed/originator@1/1/1/1", true},
		{"example 3, the worked message", encrypt(domain(detached(plain))),
			"enveloped/dca@1 signed/domain@1/1 signed/originator@1/1/2", true},
		{"example 4", list(encrypt(domain(person(plain)))),
			"signed/mla@1 enveloped/dca@1/1 signed/domain@1/1/1 signed/originator@1/1/1/1", true},
		{"example 4 without encryption", list(domain(person(plain))), "signed/mla@1 signed/domain@1/1 signed/originator@1/1/1", true},
		{"example 7", encrypt(domain(person(foreign(person(plain))))),
			"enveloped/dca@1 signed/domain@1/1 signed/inner@1/1/1 enveloped/other@1/1/1/1", false},
		{"encrypted alone", encrypt(plain), "enveloped/dca@1", true},
		{"for others", foreign(plain), "enveloped/other@1", false},
		{"twice encrypted", encrypt(encrypt(detached(plain))), "enveloped/dca@1 enveloped/dca@1/1 signed/originator@1/1/2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, seal.Message([]byte(header), tt.entity))
			if got := describe(r); got != tt.want {
				t.Errorf("layers %q, want %q", got, tt.want)
			}
			for _, l := range r.Layers {
				if len(l.Signers) > 0 && !l.GoodWithAttributes() {
					t.Errorf("%s %s: not verified: %v", l.Type, l.Role, l.Signers[0].Detail)
				}
				if l.ForUs && !l.Opened {
					t.Errorf("%s: not opened: %v", l.Part, l.Fault)
				}
			}
			if !tt.opens {
				return
			}
			want := header + "MIME-Version: 1.0\r\n" + entity
			if got := view(t, r.View(len(r.Layers))); got != want {
				t.Errorf("view\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// DESIGN rule 5: what covers a ciphertext, and what passes the gate.
func TestGateAndCover(t *testing.T) {
	p := newParties(t)
	m := must(t)
	encrypt := func(e string) []byte {
		return m(seal.EncryptTo([]byte(e), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	}
	signed := func(e string, detached bool) string {
		return string(m(seal.SignAsPerson([]byte(e), p.author, seal.SignOptions{Detached: detached, Boundary: "b1"})))
	}
	eightBit := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nd\u00e9j\u00e0\r\n"
	tests := []struct {
		name          string
		plain         string
		gate, covered bool
		strippable    bool
		layersInside  int
	}{
		{"text", entity, true, false, true, 0},
		{"8-bit text fails the gate", eightBit, false, false, true, 0},
		{"8-bit text, signed", signed(eightBit, true), false, true, true, 1},
		{"bare CR", strings.Replace(entity, "quarter: 42.\r\n", "quarter:\r42.\r\n", 1), false, false, true, 0},
		{"CR at the end", entity + "\r", false, false, true, 0},
		{"tab", entity + "\t\r\n", true, false, true, 0},
		{"NUL", entity + "\x00\r\n", false, false, true, 0},
		{"DEL", entity + "\x7f\r\n", false, false, true, 0},
		{"opaque", signed(entity, false), true, true, true, 1},
		{"no header", "Hello, world: this is no field\r\nand this is not either\r\n", false, false, false, 0},
		{"no Content-Type", "Content-Language: en\r\n\r\ntext\r\n", false, false, true, 0},
		{"epilogue", signed(entity, true) + "and more\r\n", true, false, true, 1},
		{"preamble", strings.Replace(signed(entity, true), "\r\n\r\n--b1", "\r\n\r\nread me\r\n--b1", 1), true, false, true, 1},
		{"stock preamble", strings.Replace(signed(entity, true), "\r\n\r\n--b1", "\r\n\r\nThis is an S/MIME signed message\r\n\r\n--b1", 1), true, true, true, 1},
		{"signed content changed", strings.Replace(signed(entity, true), "42", "43", 1), true, false, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, seal.Message([]byte(header), encrypt(tt.plain)))
			l := r.Layers[0]
			if !l.Opened || l.GateGood != tt.gate || l.Covered != tt.covered || l.Strippable != tt.strippable || len(r.Layers) != 1+tt.layersInside {
				t.Errorf("opened %v, gate %v, covered %v, strippable %v, %d layers", l.Opened, l.GateGood, l.Covered, l.Strippable, len(r.Layers))
			}
			for _, l := range r.Layers[1:] {
				if !l.Sealed {
					t.Errorf("%s is not marked sealed", l.Part)
				}
			}
		})
	}
}

// E2E-R6: an opaque signature becomes multipart/signed and still verifies.
func TestRepackaged(t *testing.T) {
	p := newParties(t)
	msg := seal.Message([]byte(header), must(t)(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{})))
	r := open(t, msg)
	if !r.Layers[0].Repackable {
		t.Fatal("not repackable")
	}
	again := open(t, []byte(view(t, r.Repackaged(0))))
	if got := describe(again); got != "signed/originator@2" {
		t.Fatalf("layers %q", got)
	}
	if !again.Layers[0].GoodWithAttributes() || !again.Layers[0].WholeBody {
		t.Error("the repackaged signature does not verify")
	}
}

// DESIGN rule 1, THREATS B08: only the whole message counts.
func TestPartialContent(t *testing.T) {
	p := newParties(t)
	part := must(t)(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{}))
	mixed := "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + string(part) + "\r\n--m\r\nContent-Type: text/plain\r\n\r\nfooter\r\n--m--\r\n"
	r := open(t, []byte(header+mixed))
	if len(r.Layers) != 0 || !r.PartialContent {
		t.Errorf("%d layers, partial %v", len(r.Layers), r.PartialContent)
	}
}

// THREATS A41: the walk ends at its limits, and the private key is used four times at most.
func TestMatryoshka(t *testing.T) {
	p := newParties(t)
	e := []byte(entity)
	for range 12 {
		e = must(t)(seal.EncryptTo(e, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	}
	r := open(t, seal.Message([]byte(header), e))
	if r.PrivateKeyUses != 4 || !r.LimitReached {
		t.Errorf("%d private-key operations, limit reached %v", r.PrivateKeyUses, r.LimitReached)
	}
	e = []byte(entity)
	for range 12 {
		e = must(t)(seal.SignAsPerson(e, p.author, seal.SignOptions{}))
	}
	if r = open(t, seal.Message([]byte(header), e)); len(r.Layers) != 10 || !r.LimitReached {
		t.Errorf("%d layers, limit reached %v", len(r.Layers), r.LimitReached)
	}
}

// A fault of our disk is no fault of the message.
func TestReadErrorIsOurs(t *testing.T) {
	p := newParties(t)
	msg := seal.Message([]byte(header), must(t)(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{})))
	h, err := message.ParseHeader(spool.FromBytes(msg))
	check(t, err)
	_, err = unwrap.Open(context.Background(), failing{bytes.NewReader(msg), int64(len(msg)), 600}, h, unwrap.Options{})
	if err == nil {
		t.Error("no error")
	}
}

// A deadline ends the reading of one long layer, in the open and within a ciphertext.
func TestContextEndsTheReading(t *testing.T) {
	p := newParties(t)
	long := []byte(entity + strings.Repeat("line\r\n", 100_000))
	signed := must(t)(seal.SignAsPerson(long, p.author, seal.SignOptions{}))
	sealed := must(t)(seal.EncryptTo(signed, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	for name, e := range map[string][]byte{"signed": signed, "enveloped": sealed} {
		src := spool.FromBytes(seal.Message([]byte(header), e))
		h, err := message.ParseHeader(src)
		check(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		options := unwrap.Options{Keys: oneKey{p.dca}, Spool: spool.Settings{Dir: t.TempDir()}}
		if _, err := unwrap.Open(ctx, &ending{Spool: src, after: 200_000, end: cancel}, h, options); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ending is a source during whose reading something ends.
type ending struct {
	*spool.Spool
	after int64
	end   func()
}

func (e *ending) ReadAt(p []byte, off int64) (int, error) {
	if off > e.after {
		e.end()
	}
	return e.Spool.ReadAt(p, off)
}

// failing is a source that cannot be read past an offset.
type failing struct {
	io.ReaderAt
	size, until int64
}

func (f failing) Size() int64 { return f.size }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.until {
		return 0, io.ErrClosedPipe
	}
	return f.ReaderAt.ReadAt(p, off)
}
