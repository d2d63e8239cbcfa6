package testpki

import (
	"bytes"
	"testing"
)

// Entity is the plain entity of every message whose Options have no other: what is to come out again.
const Entity = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThird quarter: 42.\r\n"

// Header is the outer header of every message, without MIME fields.
const Header = "From: Alice Arden <alice@sales.example.com>\r\n" +
	"To: bob@example.net\r\n" +
	"Subject: Figures\r\n" +
	"Date: Mon, 20 Jan 2014 09:00:00 +0000\r\n" +
	"Message-ID: <fig.1@sales.example.com>\r\n"

// Options are the choices for a message. The zero value is signed by Alice with SHA-256, encrypted to the DCA of
// example.net with AES-256-CBC and RSA PKCS #1 v1.5, of definite length, with CRLF line ends.
type Options struct {
	Entity []byte // CRLF line ends; nil: the constant Entity
	LF     bool   // the message has LF line ends, as on a pipe; what is signed or encrypted keeps its CRLF
	Stream bool   // BER of indefinite length
	KeyID  bool   // signer and recipients by subjectKeyIdentifier

	// NoPreamble takes out the line "This is an S/MIME signed message" that openssl puts before the first part of a
	// multipart/signed. No signature covers it.
	NoPreamble bool

	Signer         string // name of the signer; empty: Alice
	Digest         string // "sha1", "sha384"; empty: "sha256"
	PSS            bool   // RSASSA-PSS; OpenSSL 3.0 cannot do it with Stream
	NoAttributes   bool   // no signed attributes
	NoCertificates bool   // signer's certificate left out

	Recipients []string // names; empty: DCANet
	Cipher     string   // "aes-128-cbc", "des3", ...; empty: "aes-256-cbc". "aes-256-gcm" makes an authEnveloped-data
	OAEP       string   // hash of RSAES-OAEP and of its MGF1, "sha1", "sha256"; empty: PKCS #1 v1.5
}

func (o Options) entity() []byte {
	if o.Entity == nil {
		return []byte(Entity)
	}
	return o.Entity
}

// SignOpaque returns a message of application/pkcs7-mime, smime-type=signed-data, and the entity in it.
func (p *PKI) SignOpaque(tb testing.TB, o Options) (message, entity []byte) {
	tb.Helper()
	return p.Message(p.SignEntity(tb, o.entity(), false, o), o), o.entity()
}

// SignDetached returns a message of multipart/signed and the entity that is its first part.
func (p *PKI) SignDetached(tb testing.TB, o Options) (message, entity []byte) {
	tb.Helper()
	return p.Message(p.SignEntity(tb, o.entity(), true, o), o), o.entity()
}

// Encrypt returns a message of application/pkcs7-mime, smime-type=enveloped-data or authEnveloped-data, and the entity in
// it.
func (p *PKI) Encrypt(tb testing.TB, o Options) (message, entity []byte) {
	tb.Helper()
	return p.Message(p.EncryptEntity(tb, o.entity(), o), o), o.entity()
}

// SignThenEncrypt returns a message with a signature, detached or opaque, inside an enveloped-data.
func (p *PKI) SignThenEncrypt(tb testing.TB, detached bool, o Options) (message, entity []byte) {
	tb.Helper()
	return p.Message(p.EncryptEntity(tb, p.SignEntity(tb, o.entity(), detached, o), o), o), o.entity()
}

// SignEntity returns the entity with a signature around it, with CRLF line ends, for any order of layers.
func (p *PKI) SignEntity(tb testing.TB, entity []byte, detached bool, o Options) []byte {
	tb.Helper()
	signer := withDefault(o.Signer, Alice)
	args := []string{"cms", "-sign", "-md", withDefault(o.Digest, "sha256"), "-signer", signer + ".pem", "-inkey", signer + ".key"}
	if o.PSS {
		args = append(args, "-keyopt", "rsa_padding_mode:pss")
	}
	// openssl writes the first part of a multipart/signed with LF, which -binary would have it sign as well.
	if !detached {
		args = append(args, "-nodetach", "-binary")
	}
	args = addIf(args, o.NoAttributes, "-noattr")
	args = addIf(args, o.NoCertificates, "-nocerts")
	signed := p.seal(tb, entity, args, o)
	if detached && o.NoPreamble {
		signed = bytes.Replace(signed, []byte(preamble), nil, 1)
	}
	return signed
}

const preamble = "This is an S/MIME signed message\r\n\r\n"

// EncryptEntity returns the entity in an enveloped-data, with CRLF line ends, for any order of layers.
func (p *PKI) EncryptEntity(tb testing.TB, entity []byte, o Options) []byte {
	tb.Helper()
	args := []string{"cms", "-encrypt", "-binary", "-" + withDefault(o.Cipher, "aes-256-cbc")}
	recipients := o.Recipients
	if len(recipients) == 0 {
		recipients = []string{DCANet}
	}
	for _, name := range recipients {
		args = append(args, "-recip", name+".pem")
		if o.OAEP != "" {
			args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+o.OAEP, "-keyopt", "rsa_mgf1_md:"+o.OAEP)
		}
	}
	return p.seal(tb, entity, args, o)
}

func (p *PKI) seal(tb testing.TB, entity []byte, args []string, o Options) []byte {
	tb.Helper()
	if o.Stream {
		args = append(args, "-stream")
	} else {
		args = append(args, "-noindef")
	}
	args = addIf(args, o.KeyID, "-keyid")
	out, err := p.OpenSSL(entity, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return toCRLF(out)
}

// Message puts Header on top of a sealed entity, in the line ends that the options ask for.
func (p *PKI) Message(entity []byte, o Options) []byte {
	message := append([]byte(Header), entity...)
	if o.LF {
		return bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	}
	return message
}

// toCRLF evens out the line ends of openssl, which writes LF around a content with CRLF.
func toCRLF(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func withDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func addIf(args []string, condition bool, arg string) []string {
	if condition {
		return append(args, arg)
	}
	return args
}
