package unwrap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/seal"
	"paperknife/unwrap"
)

// openAs is open with compat lenient or strict.
func openAs(t testing.TB, msg []byte, strict bool) *unwrap.Result {
	t.Helper()
	src := spool.FromBytes(msg)
	h, err := message.ParseHeader(src)
	check(t, err)
	r, err := unwrap.Open(context.Background(), src, h, unwrap.Options{Keys: oneKey{newParties(t).dca}, Spool: spool.Settings{Dir: t.TempDir(), Memory: 1 << 20}, Strict: strict})
	check(t, err)
	t.Cleanup(func() { check(t, r.Close()) })
	return r
}

// opensslSign makes multipart/signed over exactly the given octets.
func opensslSign(t testing.TB, pair seal.KeyPair, content []byte) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	key, err := pair.KeyPEM()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "pair.pem"), append(pair.CertificatePEM(), key...), 0o600))
	cmd := exec.Command("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer", filepath.Join(dir, "pair.pem"))
	cmd.Stdin = bytes.NewReader(content)
	object, err := cmd.Output()
	check(t, err)
	signature := base64.StdEncoding.EncodeToString(object)
	return []byte("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n" +
		"--b\r\n" + string(content) + "\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + strings.ReplaceAll(string(chunked(signature)), "\n", "\r\n") + "\r\n--b--\r\n")
}

// What known senders write against the standards: lenient reads it and names it, strict leaves the message as it came.
func TestCompat(t *testing.T) {
	p := newParties(t)
	m := must(t)
	to := []*x509.Certificate{p.dca.Certificate}
	plain := []byte(entity)
	opaque := m(seal.SignAsPerson(plain, p.author, seal.SignOptions{}))
	detached := m(seal.SignAsPerson(plain, p.author, seal.SignOptions{Detached: true}))
	sealed := m(seal.EncryptTo(opaque, to, seal.EncryptOptions{}))
	gcm := m(seal.EncryptTo(plain, to, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	swap := func(e []byte, old, replacement string) []byte {
		t.Helper()
		if !bytes.Contains(e, []byte(old)) {
			t.Fatalf("no %q in %.200q", old, e)
		}
		return bytes.Replace(e, []byte(old), []byte(replacement), 1)
	}
	lf := bytes.ReplaceAll(plain, []byte("\r\n"), []byte("\n"))
	typed := pkcs7Entity(contentInfo(cms.OIDCompressedData, compressedData(t, plain, cms.OIDSignedData)))
	for _, tt := range []struct {
		name   string
		entity []byte
		compat string // of all layers
		strict string // what strict sees
		text   string
	}{
		{"smime-type of a signature", swap(opaque, "smime-type=signed-data", "smime-type=enveloped-data"), unwrap.CompatSMIMEType, "unreadable/other@1", entity},
		{"smime-type of GCM", swap(gcm, "smime-type=authEnveloped-data", "smime-type=enveloped-data"), unwrap.CompatSMIMEType, "unreadable/other@1", entity},
		{"smime-type nobody knows", swap(sealed, "smime-type=enveloped-data", "smime-type=secret"), unwrap.CompatSMIMEType, "unreadable/other@1", entity},
		{"smime-type in capitals", swap(opaque, "smime-type=signed-data", "smime-type=Signed-DATA"), "", "signed/originator@1", entity},
		{"x-pkcs7-mime", swap(sealed, "application/pkcs7-mime", "application/x-pkcs7-mime"), unwrap.CompatOldType, "unreadable/other@1", entity},
		{"x-pkcs7-signature", bytes.ReplaceAll(detached, []byte("application/pkcs7-signature"), []byte("application/x-pkcs7-signature")),
			unwrap.CompatOldType, "unreadable/other@1", entity},
		{"x- in the part alone", swap(detached, "Content-Type: application/pkcs7-signature", "Content-Type: application/x-pkcs7-signature"),
			unwrap.CompatOldType, "signed/other@2", entity},
		{"octet-stream", swap(sealed, "application/pkcs7-mime", "application/octet-stream"), unwrap.CompatOctetStream, "", entity},
		{"octet-stream by its disposition", swap(swap(sealed, "application/pkcs7-mime", "application/octet-stream"), " name=\"smime.p7m\"", " name=\"sealed\""),
			unwrap.CompatOctetStream, "", entity},
		{"octet-stream in multipart/signed", swap(detached, "Content-Type: application/pkcs7-signature", "Content-Type: application/octet-stream"),
			unwrap.CompatOctetStream, "signed/other@2", entity},
		{"no protocol", swap(detached, "protocol=\"application/pkcs7-signature\";", ""), unwrap.CompatProtocol, "unreadable/other@1", entity},
		{"line ends in an opaque signature", pkcs7Entity(signContent(t, p.author, lf, cms.OIDData)), unwrap.CompatLineEnds, "signed/originator@1",
			strings.ReplaceAll(entity, "\r\n", "\n")},
		{"signed with LF", bytes.ReplaceAll(opensslSign(t, p.author, lf), []byte("\r\n"), []byte("\n")), unwrap.CompatSignedLF, "signed/originator@2!", entity},
		{"signed with LF, carried as CRLF", bytes.ReplaceAll(bytes.ReplaceAll(opensslSign(t, p.author, lf), []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")),
			unwrap.CompatSignedLF, "signed/originator@2!", entity},
		{"signed with CRLF, carried as LF", bytes.ReplaceAll(opensslSign(t, p.author, plain), []byte("\r\n"), []byte("\n")), "", "signed/originator@2", entity},
		{"content type", typed, unwrap.CompatContentType, "compressed/compressed@1", entity},
		{"two at once", swap(swap(opaque, "smime-type=signed-data", "smime-type=enveloped-data"), "application/pkcs7-mime", "application/x-pkcs7-mime"),
			unwrap.CompatOldType + ", " + unwrap.CompatSMIMEType, "unreadable/other@1", entity},
		{"ContentInfo inside", func() []byte {
			inner, _, _ := bytes.Cut(opaque, []byte("\r\n\r\n"))
			object, err := base64.StdEncoding.DecodeString(string(opaque[len(inner)+4:]))
			check(t, err)
			return pkcs7Entity(signContent(t, p.signer, object, cms.OIDSignedData))
		}(), string(cms.ContentInfoInside), "signed/inner@1 unreadable/other@1", entity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := seal.Message([]byte(header), tt.entity)
			if strings.Contains(tt.name, "LF") { // Message makes CRLF
				msg = append([]byte(header), tt.entity...)
			}
			r := openAs(t, msg, false)
			var named []string
			for _, l := range r.Layers {
				named = append(named, l.Compat...)
				if l.Fault != nil || !l.Strippable || len(l.Signers) > 0 && !l.GoodWithAttributes() {
					t.Errorf("%s %s: %v, strippable %v", l.Part, l.Type, l.Fault, l.Strippable)
				}
			}
			if got := strings.Join(named, ", "); got != tt.compat {
				t.Errorf("compat %q, want %q", got, tt.compat)
			}
			got := strings.ReplaceAll(view(t, r.View(len(r.Layers))), "\r\n", "\n")
			if want := strings.ReplaceAll(header+"MIME-Version: 1.0\r\n"+tt.text, "\r\n", "\n"); got != want {
				t.Errorf("view %q", got)
			}
			s := openAs(t, msg, true)
			if got := describe(s); got != tt.strict {
				t.Errorf("strict: layers %q, want %q", got, tt.strict)
			}
			if tt.compat == "" || tt.compat == unwrap.CompatSignedLF { // which is just a bad signature
				return
			}
			if view(t, s.View(len(s.Layers))) != string(msg) {
				t.Error("strict: not as received")
			}
			for _, l := range s.Layers {
				if l.Strippable || tt.name != "ContentInfo inside" && !errors.Is(l.Fault, unwrap.ErrCompat) {
					t.Errorf("strict: %v, strippable %v", l.Fault, l.Strippable)
				}
			}
		})
	}
}

// What only looks like a deviation is no S/MIME, or fails as it did.
func TestCompatIsNoExcuse(t *testing.T) {
	p := newParties(t)
	detached := must(t)(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{Detached: true}))
	head := "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + entity + "\r\n--b\r\n"
	for name, tt := range map[string]struct{ entity, want string }{
		"another file":          {"Content-Type: application/octet-stream; name=report.pdf\r\n\r\nx\r\n", ""},
		"no CMS under the name": {"Content-Type: application/octet-stream; name=smime.p7m\r\n\r\nx\r\n", ""},
		"CMS of no layer":       {"Content-Type: application/octet-stream; name=x.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nMAsGCSqGSIb3DQEHAQ==\r\n", ""},
		"PGP without protocol":  {head + "Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n", ""},
		"one part":              {"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + entity + "\r\n--b--\r\n", ""},
		"protocol of PGP":       {strings.Replace(string(detached), "protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\"", 1), ""},
		"text changed":          {strings.Replace(string(detached), "quarter", "quarter!", 1), "signed/originator@2!"},
		"a CR changed":          {strings.Replace(string(detached), "42.", "42.\r", 1), "signed/originator@2!"},
	} {
		r := openAs(t, seal.Message([]byte(header), []byte(tt.entity)), false)
		if got := describe(r); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		for _, l := range r.Layers {
			if len(l.Compat) > 0 {
				t.Errorf("%s: compat %q", name, l.Compat)
			}
		}
	}
}

// The direct child of a multipart counts as S/MIME by the same rules (DESIGN rule 1).
func TestCompatPartial(t *testing.T) {
	for strict, want := range map[bool]bool{false: true, true: false} {
		msg := header + "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: application/octet-stream; name=smime.p7m\r\n\r\nx\r\n--m--\r\n"
		if r := openAs(t, []byte(msg), strict); r.PartialContent != want {
			t.Errorf("strict %v: partial %v", strict, r.PartialContent)
		}
	}
}
