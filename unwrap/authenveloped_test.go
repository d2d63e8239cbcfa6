package unwrap_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/seal"
	"paperknife/unwrap"
)

// longEntity needs a second reading of its ciphertext.
var longEntity = "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + strings.Repeat("SECRET line of forty-eight octets, with its end\r\n", 4000)

// Authenticated encryption at every place in a nest, with ciphertexts that are held and that are read again through
// all the layers around them.
func TestAuthEnvelopedNesting(t *testing.T) {
	p := newParties(t)
	m := must(t)
	person := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{})) }
	detached := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{Detached: true})) }
	domain := func(e []byte) []byte { return m(seal.SignAsDomain(e, p.signer, seal.SignOptions{})) }
	list := func(e []byte) []byte { return m(seal.SignAsMailingList(e, p.author, seal.SignOptions{})) }
	encrypt := func(c seal.Cipher, to seal.KeyPair) func([]byte) []byte {
		return func(e []byte) []byte {
			return m(seal.EncryptTo(e, []*x509.Certificate{to.Certificate}, seal.EncryptOptions{Cipher: c}))
		}
	}
	stream := func(e []byte) []byte {
		var out bytes.Buffer
		to := []*x509.Certificate{p.dca.Certificate}
		check(t, seal.WriteEncrypted(&out, bytes.NewReader(e), to, seal.EncryptOptions{Cipher: seal.AES192GCM, OAEP: crypto.SHA256}))
		return out.Bytes()
	}
	attributes := func(e []byte) []byte {
		o := seal.EncryptOptions{Cipher: seal.AES128GCM, Attributes: []seal.Attribute{{Type: asn1.ObjectIdentifier{1, 2, 3}, Values: [][]byte{{5, 0}}}}}
		return m(seal.EncryptTo(e, []*x509.Certificate{p.dca.Certificate}, o))
	}
	gcm, cbc, foreign := encrypt(seal.AES256GCM, p.dca), encrypt(seal.AES256CBC, p.dca), encrypt(seal.AES256GCM, p.other)
	tests := []struct {
		name  string
		put   []func([]byte) []byte // outermost first
		want  string
		opens bool
	}{
		{"alone", []func([]byte) []byte{gcm}, "auth-enveloped/dca@1", true},
		{"in pieces", []func([]byte) []byte{stream}, "auth-enveloped/dca@1", true},
		{"with attributes", []func([]byte) []byte{attributes}, "auth-enveloped/dca@1", true},
		{"for others", []func([]byte) []byte{foreign}, "auth-enveloped/other@1", false},
		{"worked message", []func([]byte) []byte{gcm, domain, detached}, "auth-enveloped/dca@1 signed/domain@1/1 signed/originator@1/1/2", true},
		{"mailing list", []func([]byte) []byte{list, gcm, domain, person},
			"signed/mla@1 auth-enveloped/dca@1/1 signed/domain@1/1/1 signed/originator@1/1/1/1", true},
		{"in a multipart/signed", []func([]byte) []byte{detached, stream, person},
			"signed/inner@2 auth-enveloped/dca@1 signed/originator@1/1", true},
		{"under two signatures", []func([]byte) []byte{list, detached, gcm},
			"signed/mla@1 signed/inner@1/2 auth-enveloped/dca@1/1", true},
		{"GCM in CBC", []func([]byte) []byte{cbc, gcm, person}, "enveloped/dca@1 auth-enveloped/dca@1/1 signed/originator@1/1/1", true},
		{"CBC in GCM", []func([]byte) []byte{gcm, cbc, person}, "auth-enveloped/dca@1 enveloped/dca@1/1 signed/originator@1/1/1", true},
		{"GCM in GCM", []func([]byte) []byte{stream, person, attributes}, "auth-enveloped/dca@1 signed/inner@1/1 auth-enveloped/dca@1/1/1", true},
		{"for others, inside", []func([]byte) []byte{gcm, person, foreign}, "auth-enveloped/dca@1 signed/inner@1/1 auth-enveloped/other@1/1/1", false},
	}
	for _, tt := range tests {
		for _, plain := range []string{entity, longEntity} {
			t.Run(tt.name, func(t *testing.T) {
				e := []byte(plain)
				for i := range tt.put {
					e = tt.put[len(tt.put)-1-i](e)
				}
				r := open(t, seal.Message([]byte(header), e))
				if got := describe(r); got != tt.want {
					t.Errorf("layers %q, want %q", got, tt.want)
				}
				for _, l := range r.Layers {
					if len(l.Signers) > 0 && !l.GoodWithAttributes() || l.ForUs && !l.Opened {
						t.Errorf("%s %s: %v", l.Part, l.Type, l.Fault)
					}
					if l.Type == unwrap.AuthEnveloped && (l.GateGood || !strings.HasSuffix(l.Algorithms[0], "-gcm")) {
						t.Errorf("%s: gate %v, algorithms %q", l.Part, l.GateGood, l.Algorithms)
					}
				}
				if want := header + "MIME-Version: 1.0\r\n" + plain; tt.opens && view(t, r.View(len(r.Layers))) != want {
					t.Errorf("view %q", view(t, r.View(len(r.Layers))))
				}
			})
		}
	}
}

// reseal decodes the CMS object of a message, changes it, and puts it back.
func reseal(t *testing.T, msg []byte, change func([]byte) []byte) []byte {
	t.Helper()
	head, body, _ := bytes.Cut(msg, []byte("\r\n\r\n"))
	der, err := base64.StdEncoding.DecodeString(string(body))
	check(t, err)
	out := append(bytes.Clone(head), "\r\n\r\n"...)
	for line := range strings.SplitSeq(string(chunked(base64.StdEncoding.EncodeToString(change(der)))), "\n") {
		out = append(out, line+"\r\n"...)
	}
	return out
}

func chunked(text string) []byte {
	var out []byte
	for len(text) > 64 {
		out, text = append(append(out, text[:64]...), '\n'), text[64:]
	}
	return append(out, text...)
}

func replace(old, replacement string) func([]byte) []byte {
	return func(der []byte) []byte { return bytes.Replace(der, []byte(old), []byte(replacement), 1) }
}

const (
	aes            = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01" // the arc, header included
	enveloped      = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
	authEnveloped  = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"
	gcm256, cbc256 = "\x2e", "\x2a"
)

// THREATS A07, A08: what does not belong into the object, or is too short, is refused before the private key is used.
func TestA07A08Refused(t *testing.T) {
	p := newParties(t)
	to := []*x509.Certificate{p.dca.Certificate}
	gcm := seal.Message([]byte(header), must(t)(seal.EncryptTo([]byte(entity), to, seal.EncryptOptions{Cipher: seal.AES256GCM})))
	cbc := seal.Message([]byte(header), must(t)(seal.EncryptTo([]byte(entity), to, seal.EncryptOptions{})))
	for name, msg := range map[string][]byte{
		"A07 CBC":             reseal(t, gcm, replace(aes+gcm256, aes+cbc256)),
		"A07 OFB":             reseal(t, gcm, replace(aes+gcm256, aes+"\x2b")),
		"A07 CFB":             reseal(t, gcm, replace(aes+gcm256, aes+"\x2c")),
		"A07 GCM in 07 03":    reseal(t, cbc, replace(aes+cbc256, aes+gcm256)),
		"A08 tag of 0":        reseal(t, gcm, replace("\x02\x01\x10\x80", "\x02\x01\x00\x80")),
		"A08 tag of 1":        reseal(t, gcm, replace("\x02\x01\x10\x80", "\x02\x01\x01\x80")),
		"A08 tag of 4":        reseal(t, gcm, replace("\x02\x01\x10\x80", "\x02\x01\x04\x80")),
		"A08 tag of 17":       reseal(t, gcm, replace("\x02\x01\x10\x80", "\x02\x01\x11\x80")),
		"A08 nonce of 10":     reseal(t, gcm, shortNonce),
		"A06 container alone": reseal(t, gcm, replace(authEnveloped, "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09")),
	} {
		r := open(t, msg)
		l := r.Layers[0]
		if len(r.Layers) != 1 || l.Opened || l.Strippable || l.Fault == nil || r.PrivateKeyUses != 0 {
			t.Errorf("%s: %d layers, opened %v, %v, %d private-key operations", name, len(r.Layers), l.Opened, l.Fault, r.PrivateKeyUses)
		}
		if got := view(t, r.View(len(r.Layers))); got != string(msg) {
			t.Errorf("%s: not as received", name)
		}
	}
}

// shortNonce makes the last two octets of the nonce an element of their own, so that all lengths stay.
func shortNonce(der []byte) []byte {
	at := bytes.Index(der, []byte(aes+gcm256)) + len(aes+gcm256) + 2
	der[at+1] = 10
	der[at+12], der[at+13] = 5, 0
	return der
}

// THREATS A14: the RecipientInfo names one key of ours and was made for another. The other is never tried.
func TestA14OneKey(t *testing.T) {
	p := newParties(t)
	rotated := must(t)(seal.EncryptTo([]byte(entity), []*x509.Certificate{p.other.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	// The name of the current certificate in front of the key for the retired one.
	msg := reseal(t, seal.Message([]byte(header), rotated), func(der []byte) []byte {
		info := func(c *x509.Certificate) []byte {
			serial, err := asn1.Marshal(c.SerialNumber)
			check(t, err)
			return append(bytes.Clone(c.RawIssuer), serial...)
		}
		ours, theirs := info(p.dca.Certificate), info(p.other.Certificate)
		return bytes.Replace(der, theirs, ours, 1) // of the same length
	})
	src := spool.FromBytes(msg)
	h, err := message.ParseHeader(src)
	check(t, err)
	ring := twoKeys{oneKey{p.dca}, oneKey{p.other}}
	r, err := unwrap.Open(context.Background(), src, h, unwrap.Options{Keys: ring, Spool: spool.Settings{Dir: t.TempDir()}})
	check(t, err)
	defer func() { check(t, r.Close()) }()
	l := r.Layers[0]
	if !l.ForUs || l.Opened || !errors.Is(l.Fault, unwrap.ErrOpen) || r.PrivateKeyUses != 1 {
		t.Errorf("for us %v, opened %v, %v, %d private-key operations", l.ForUs, l.Opened, l.Fault, r.PrivateKeyUses)
	}
	if view(t, r.View(1)) != string(msg) {
		t.Error("not as received")
	}
}

// twoKeys opens with the key that the RecipientInfo names.
type twoKeys [2]oneKey

func (k twoKeys) Choose(list [][]byte) (int, bool) {
	if i, ours := k[0].Choose(list); ours {
		return i, ours
	}
	return k[1].Choose(list)
}

func (k twoKeys) ContentKey(der []byte, size int) ([]byte, error) {
	if _, ours := k[0].Choose([][]byte{der}); ours {
		return k[0].ContentKey(der, size)
	}
	return k[1].ContentKey(der, size)
}

// A plaintext under a good tag that is no MIME entity cannot take the layer's place.
func TestAuthEnvelopedNoEntity(t *testing.T) {
	p := newParties(t)
	for _, plain := range []string{"", "no header\r\nno field\r\n", "\x00\x01\x02"} {
		e := must(t)(seal.EncryptTo([]byte(plain), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
		msg := seal.Message([]byte(header), e)
		r := open(t, msg)
		if l := r.Layers[0]; !l.Opened || l.GateGood || plain != "" && l.Strippable {
			t.Errorf("%q: %+v", plain, l)
		}
	}
}

// DESIGN rules 2 and 3: a spool that fails is a fault of ours, whether or not the tag is right.
func TestSpoolFaultTellsNothing(t *testing.T) {
	p := newParties(t)
	e := must(t)(seal.EncryptTo([]byte(longEntity), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	good := seal.Message([]byte(header), e)
	bad := reseal(t, good, func(der []byte) []byte { der[len(der)-1] ^= 1; return der })
	for name, msg := range map[string][]byte{"good tag": good, "wrong tag": bad} {
		src := spool.FromBytes(msg)
		h, err := message.ParseHeader(src)
		check(t, err)
		options := unwrap.Options{Keys: oneKey{p.dca}, Spool: spool.Settings{Dir: t.TempDir() + "/missing", Memory: 1000}}
		if _, err := unwrap.Open(context.Background(), src, h, options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A message that cannot be read a second time is a fault of ours.
func TestSecondReadingIsOurs(t *testing.T) {
	p := newParties(t)
	e := must(t)(seal.EncryptTo([]byte(longEntity), []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	for name, entity := range map[string][]byte{
		"alone":    e,
		"signed":   must(t)(seal.SignAsPerson(e, p.author, seal.SignOptions{})),
		"detached": must(t)(seal.SignAsPerson(e, p.author, seal.SignOptions{Detached: true})),
	} {
		msg := seal.Message([]byte(header), entity)
		h, err := message.ParseHeader(spool.FromBytes(msg))
		check(t, err)
		src := &once{Reader: bytes.NewReader(msg)}
		options := unwrap.Options{Keys: oneKey{p.dca}, Spool: spool.Settings{Dir: t.TempDir(), Memory: 1 << 20}}
		if _, err := unwrap.Open(context.Background(), src, h, options); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// once is a source whose last octets can be read once; the second time it fails in the middle.
type once struct {
	*bytes.Reader
	read bool
}

func (o *once) ReadAt(p []byte, off int64) (int, error) {
	if o.read && off > o.Size()/2 {
		return 0, iotest.ErrTimeout
	}
	n, err := o.Reader.ReadAt(p, off)
	o.read = o.read || off+int64(n) == o.Size()
	return n, err
}
