package unwrap_test

import (
	"bytes"
	"compress/zlib"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"paperknife/internal/cms"
	"paperknife/seal"
	"paperknife/unwrap"
)

func der(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	out, err := asn1.Marshal(asn1.RawValue{Class: int(tag >> 6), Tag: int(tag & 0x1f), IsCompound: tag&0x20 != 0, Bytes: content})
	if err != nil {
		panic(err)
	}
	return out
}

func oid(o asn1.ObjectIdentifier) []byte {
	out, err := asn1.Marshal(o)
	if err != nil {
		panic(err)
	}
	return out
}

var zlibAlgorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}

// compressedData is a CompressedData without ContentInfo.
func compressedData(t testing.TB, content []byte, contentType asn1.ObjectIdentifier) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(content)
	check(t, err)
	check(t, w.Close())
	return der(0x30, []byte{2, 1, 0}, der(0x30, oid(zlibAlgorithm)), der(0x30, oid(contentType), der(0xa0, der(0x04, b.Bytes()))))
}

func contentInfo(contentType asn1.ObjectIdentifier, bare []byte) []byte {
	return der(0x30, oid(contentType), der(0xa0, bare))
}

// pkcs7Entity is the entity of a CMS object.
func pkcs7Entity(object []byte) []byte {
	text := "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return append([]byte(text), bytes.ReplaceAll(append(chunked(base64.StdEncoding.EncodeToString(object)), '\n'), []byte("\n"), []byte("\r\n"))...)
}

func compressEntity(t testing.TB, e []byte) []byte {
	return pkcs7Entity(contentInfo(cms.OIDCompressedData, compressedData(t, e, cms.OIDData)))
}

// bareOf is the object in an entity without its ContentInfo.
func bareOf(t testing.TB, entity []byte) (contentType asn1.ObjectIdentifier, bare []byte) {
	t.Helper()
	_, body, _ := bytes.Cut(entity, []byte("\r\n\r\n"))
	object, err := base64.StdEncoding.DecodeString(string(body))
	check(t, err)
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	_, err = asn1.Unmarshal(object, &info)
	check(t, err)
	return info.Type, info.Content.Bytes
}

// signContent signs content of any type with openssl, which is not ours.
func signContent(t testing.TB, pair seal.KeyPair, content []byte, contentType asn1.ObjectIdentifier) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	key, err := pair.KeyPEM()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "pair.pem"), append(pair.CertificatePEM(), key...), 0o600))
	cmd := exec.Command("openssl", "cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-econtent_type", contentType.String(),
		"-signer", filepath.Join(dir, "pair.pem"))
	cmd.Stdin = bytes.NewReader(content)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	return out
}

// CompressedData is read through wherever it stands, comes off as its content, and is never evidence.
func TestCompressedLayers(t *testing.T) {
	p := newParties(t)
	m := must(t)
	compressed := func(e []byte) []byte { return compressEntity(t, e) }
	person := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{})) }
	detached := func(e []byte) []byte { return m(seal.SignAsPerson(e, p.author, seal.SignOptions{Detached: true})) }
	list := func(e []byte) []byte { return m(seal.SignAsMailingList(e, p.signer, seal.SignOptions{})) }
	encrypt := func(e []byte) []byte {
		return m(seal.EncryptTo(e, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	}
	plain := []byte(entity)
	for _, tt := range []struct {
		name    string
		entity  []byte
		want    string
		covered bool
	}{
		{"alone", compressed(plain), "compressed/compressed@1", false},
		{"twice", compressed(compressed(plain)), "compressed/compressed@1 compressed/compressed@1/1", false},
		{"signed inside", compressed(person(plain)), "compressed/compressed@1 signed/originator@1/1", false},
		{"detached inside", compressed(detached(plain)), "compressed/compressed@1 signed/originator@1/2", false},
		{"signed outside", person(compressed(plain)), "signed/originator@1 compressed/compressed@1/1", false},
		{"detached outside", detached(compressed(plain)), "signed/originator@2 compressed/compressed@1", false},
		{"between signatures", list(compressed(person(plain))), "signed/mla@1 compressed/compressed@1/1 signed/originator@1/1/1", false},
		{"between person's signatures", person(compressed(person(plain))), "signed/inner@1 compressed/compressed@1/1 signed/originator@1/1/1", false},
		{"encrypted", encrypt(compressed(plain)), "enveloped/dca@1 compressed/compressed@1/1", false},
		{"between encryption and signature", encrypt(compressed(compressed(person(plain)))),
			"enveloped/dca@1 compressed/compressed@1/1 compressed/compressed@1/1/1 signed/originator@1/1/1/1", true},
		{"encryption inside", compressed(encrypt(detached(plain))), "compressed/compressed@1 enveloped/dca@1/1 signed/originator@1/1/2", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, seal.Message([]byte(header), tt.entity))
			if got := describe(r); got != tt.want {
				t.Errorf("layers %q, want %q", got, tt.want)
			}
			for i, l := range r.Layers {
				if l.Fault != nil || !l.Strippable || len(l.Signers) > 0 && !l.GoodWithAttributes() {
					t.Errorf("%s %s: %v, strippable %v", l.Part, l.Type, l.Fault, l.Strippable)
				}
				if l.Type == unwrap.Enveloped && l.Covered != tt.covered {
					t.Errorf("layer %d: covered %v", i, l.Covered)
				}
			}
			if want := header + "MIME-Version: 1.0\r\n" + entity; view(t, r.View(len(r.Layers))) != want {
				t.Errorf("view %q", view(t, r.View(len(r.Layers))))
			}
		})
	}
}

// THREATS A40, nested: each layer keeps to 10:1, together they do not, and nothing comes off.
func TestA40NestedBomb(t *testing.T) {
	bomb := []byte("Content-Type: text/plain\r\n\r\n")
	bomb = append(bomb, bytes.Repeat([]byte("0123456789abcdef0123456789abcdef\r\n"), 1<<18)...)
	for name, e := range map[string][]byte{
		"once":               compressEntity(t, bomb),
		"twice":              compressEntity(t, compressEntity(t, bomb)),
		"under a signature":  must(t)(seal.SignAsPerson(compressEntity(t, bomb), newParties(t).author, seal.SignOptions{})),
		"damaged at its end": compressEntity(t, append([]byte("Content-Type: text/plain\r\n\r\n"), make([]byte, 1<<16)...)),
	} {
		r := open(t, seal.Message([]byte(header), e))
		last := r.Layers[len(r.Layers)-1]
		for i, l := range r.Layers {
			if l.Type == unwrap.Compressed && !l.Strippable && errors.Is(l.Fault, cms.ErrExpansion) {
				last = r.Layers[i]
				break
			}
		}
		if !errors.Is(last.Fault, cms.ErrExpansion) || last.Strippable {
			t.Errorf("%s: %v, strippable %v", name, last.Fault, last.Strippable)
		}
	}
	// 10 octets of the received message for each of the content, however many layers: noise of its own for each.
	deep := []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 1000))
	for range 3 {
		deep = compressEntity(t, append(deep, bytes.Repeat([]byte("ab"), 20*len(deep)/5)...))
	}
	r := open(t, seal.Message([]byte(header), deep))
	for _, l := range r.Layers {
		if l.Strippable && l.Type != unwrap.Compressed {
			t.Errorf("%s", l.Type)
		}
	}
}

// DOM-R10: CMS objects that stand in each other without MIME are walked and verified, and every view is good S/MIME.
func TestBareLayers(t *testing.T) {
	p := newParties(t)
	m := must(t)
	to := []*x509.Certificate{p.dca.Certificate}
	plain := []byte(entity)
	nested := func(inner []byte) []byte {
		contentType, bare := bareOf(t, inner)
		return pkcs7Entity(signContent(t, p.signer, bare, contentType))
	}
	squeezed := func(inner []byte) []byte {
		contentType, bare := bareOf(t, inner)
		return pkcs7Entity(contentInfo(cms.OIDCompressedData, compressedData(t, bare, contentType)))
	}
	person := m(seal.SignAsPerson(plain, p.author, seal.SignOptions{}))
	encrypted := m(seal.EncryptTo(person, to, seal.EncryptOptions{}))
	authenticated := m(seal.EncryptTo(person, to, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	large := append(bytes.Clone(plain), bytes.Repeat([]byte("0123456789abcdef0123456789abcdef\r\n"), 5000)...)
	for _, tt := range []struct {
		name   string
		entity []byte
		want   string
		text   []byte
	}{
		{"signed in signed", nested(person), "signed/inner@1 signed/originator@1", plain},
		{"three", nested(nested(person)), "signed/inner@1 signed/inner@1 signed/originator@1", plain},
		{"encrypted in signed", nested(encrypted), "signed/inner@1 enveloped/dca@1 signed/originator@1/1", plain},
		{"AEAD in signed", nested(authenticated), "signed/inner@1 auth-enveloped/dca@1 signed/originator@1/1", plain},
		{"compressed in signed", nested(compressEntity(t, plain)), "signed/originator@1 compressed/compressed@1", plain},
		{"signed in compressed", squeezed(person), "compressed/compressed@1 signed/originator@1", plain},
		{"AEAD in compressed, large", squeezed(m(seal.EncryptTo(large, to, seal.EncryptOptions{Cipher: seal.AES128GCM}))),
			"compressed/compressed@1 auth-enveloped/dca@1", large},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := seal.Message([]byte(header), tt.entity)
			r := open(t, msg)
			if got := describe(r); got != tt.want {
				t.Fatalf("layers %q, want %q", got, tt.want)
			}
			for _, l := range r.Layers {
				if l.Fault != nil || !l.Strippable || len(l.Signers) > 0 && !l.GoodWithAttributes() || l.Bare && l.Repackable {
					t.Errorf("%s %s: %v, strippable %v", l.Part, l.Type, l.Fault, l.Strippable)
				}
				if l.Content() != nil {
					c, err := l.Content().Open()
					check(t, err)
					whole, err := io.ReadAll(c)
					check(t, err)
					c, err = l.Content().Open()
					check(t, err)
					check(t, iotest.TestReader(c, whole))
				}
			}
			if want := header + "MIME-Version: 1.0\r\n" + string(tt.text); view(t, r.View(len(r.Layers))) != want {
				t.Errorf("view %.300q", view(t, r.View(len(r.Layers))))
			}
			// With one layer off the message reads as the layers that are left.
			for depth := 1; depth < len(r.Layers); depth++ {
				rest := open(t, []byte(view(t, r.View(depth))))
				if len(rest.Layers) != len(r.Layers)-depth {
					t.Fatalf("depth %d: %q", depth, describe(rest))
				}
				for i, l := range rest.Layers {
					if l.Type != r.Layers[depth+i].Type || l.Fault != nil || len(l.Signers) > 0 && !l.Good() {
						t.Errorf("depth %d: %s, %v", depth, l.Type, l.Fault)
					}
				}
				if view(t, rest.View(len(rest.Layers))) != view(t, r.View(len(r.Layers))) {
					t.Errorf("depth %d: another text", depth)
				}
			}
		})
	}
}

// A bare object that cannot be read keeps the layer around it in its place. So does one that is not what its type says.
func TestBareDamage(t *testing.T) {
	p := newParties(t)
	for name, content := range map[string][]byte{
		"no SEQUENCE":         []byte(entity),
		"cut":                 {0x30, 0x82, 9, 9, 2, 1, 1},
		"nothing":             {},
		"another ContentInfo": contentInfo(cms.OIDCompressedData, compressedData(t, []byte(entity), cms.OIDData)),
	} {
		msg := seal.Message([]byte(header), pkcs7Entity(signContent(t, p.signer, content, cms.OIDSignedData)))
		r := open(t, msg)
		if len(r.Layers) != 2 || r.Layers[0].Strippable || r.Layers[1].Type != unwrap.Unreadable || !r.Layers[0].Good() {
			t.Errorf("%s: %s, strippable %v", name, describe(r), r.Layers[0].Strippable)
		}
		if view(t, r.View(len(r.Layers))) != string(msg) {
			t.Errorf("%s: not as received", name)
		}
	}
}

// What is recognised and no more is named, and left alone.
func TestRecognisedOnly(t *testing.T) {
	for _, tt := range []struct {
		oid  asn1.ObjectIdentifier
		want unwrap.Type
	}{
		{cms.OIDDigestedData, unwrap.Digested},
		{cms.OIDEncryptedData, unwrap.Encrypted},
		{cms.OIDAuthenticatedData, unwrap.Authenticated},
		{cms.OIDData, unwrap.Unreadable},
	} {
		msg := seal.Message([]byte(header), pkcs7Entity(contentInfo(tt.oid, der(0x30, []byte{2, 1, 0}))))
		r := open(t, msg)
		if len(r.Layers) != 1 || r.Layers[0].Type != tt.want || !errors.Is(r.Layers[0].Fault, unwrap.ErrContent) || r.Layers[0].Strippable {
			t.Errorf("%v: %s, %v", tt.oid, describe(r), r.Layers[0].Fault)
		}
		if view(t, r.View(1)) != string(msg) {
			t.Errorf("%v: not as received", tt.oid)
		}
	}
}

// RFC 8551 section 3.8: certificates alone are left alone, with the content absent or empty.
func TestCertsOnly(t *testing.T) {
	p := newParties(t)
	certs := der(0xa0, p.author.Certificate.Raw)
	for name, info := range map[string][]byte{
		"absent": der(0x30, oid(cms.OIDData)),
		"empty":  der(0x30, oid(cms.OIDData), der(0xa0, der(0x04))),
	} {
		object := contentInfo(cms.OIDSignedData, der(0x30, []byte{2, 1, 1}, der(0x31), info, certs, der(0x31)))
		msg := seal.Message([]byte(header), pkcs7Entity(object))
		r := open(t, msg)
		if len(r.Layers) != 1 || !r.Layers[0].CertsOnly() || r.Layers[0].Strippable || len(r.Layers[0].Certificates) != 1 || r.Layers[0].Fault != nil {
			t.Errorf("%s: %s, %+v", name, describe(r), r.Layers[0])
		}
	}
}
