package seal

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/smallstep/pkcs7"
)

// object returns the CMS object of a pkcs7-mime entity.
func object(t *testing.T, entity []byte) []byte {
	t.Helper()
	_, body, _ := bytes.Cut(entity, []byte("\r\n\r\n"))
	der, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// smallstep/pkcs7 is the second reader, and reads the attributes openssl has no names for.
func TestSecondReader(t *testing.T) {
	w := testWorld(t)
	at := w.rsa.Certificate.NotBefore.Add(20 * time.Minute) // the library refuses a time outside the certificate's
	inner := EmptySignature([]byte(plainEntity))
	for name, signer := range map[string]Signer{"rsa": w.rsa, "p256": w.p256} {
		signed, err := SignAsDomain(inner, signer, SignOptions{SigningTime: at})
		if err != nil {
			t.Fatal(err)
		}
		p7, err := pkcs7.Parse(object(t, signed))
		if err != nil {
			t.Fatal(err)
		}
		if err := p7.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(p7.Content, inner) {
			t.Errorf("%s: content %q", name, p7.Content)
		}
		var types []asn1.ObjectIdentifier
		if err := p7.UnmarshalSignedAttribute(OIDSignatureType, &types); err != nil || len(types) != 1 || !types[0].Equal(OIDDomainSignature) {
			t.Errorf("%s: SignatureType %v, %v", name, types, err)
		}
		var signingTime time.Time
		if err := p7.UnmarshalSignedAttribute(oidSigningTime, &signingTime); err != nil || !signingTime.Equal(at) {
			t.Errorf("%s: signingTime %v, %v", name, signingTime, err)
		}
	}
	sealed, err := EncryptTo(inner, []*x509.Certificate{w.dca.Certificate}, EncryptOptions{Cipher: AES128CBC})
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(object(t, sealed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p7.Decrypt(w.dca.Certificate, w.dca.Key); err != nil || !bytes.Equal(got, inner) {
		t.Errorf("decrypts to %q, %v", got, err)
	}
}

// RFC 2634 section 4.2, RFC 3183 section 3.1.1: the attributes a verifier has rules for, right and wrong ones.
func TestAttributes(t *testing.T) {
	w := testWorld(t)
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{OIDDomainSignature})
	if err != nil {
		t.Fatal(err)
	}
	mark := Attribute{OIDSignatureType, [][]byte{value}}
	list := func(o SignOptions) ([]byte, error) { return SignAsMailingList([]byte(plainEntity), w.rsa, o) }
	sign := func(o SignOptions) ([]byte, error) { return Sign([]byte(plainEntity), w.rsa, o) }
	person := func(o SignOptions) ([]byte, error) { return SignAsPerson([]byte(plainEntity), w.rsa, o) }
	domain := func(o SignOptions) ([]byte, error) {
		return SignAsDomain(EmptySignature([]byte(plainEntity)), w.rsa, o)
	}
	domainTypes := []asn1.ObjectIdentifier{OIDDomainSignature}
	for name, c := range map[string]struct {
		sign  func(SignOptions) ([]byte, error)
		o     SignOptions
		marks int // SignatureType attributes, in print
		print string
	}{
		"mailing list":        {list, SignOptions{}, 0, "id-smime-aa-mlExpandHistory"},
		"none":                {sign, SignOptions{}, 0, "signingTime"},
		"person":              {person, SignOptions{SignatureTypes: domainTypes}, 0, "signingTime"},
		"domain":              {domain, SignOptions{}, 1, "1.2.840.113549.1.9.16.9.2"},
		"two types":           {domain, SignOptions{SignatureTypes: []asn1.ObjectIdentifier{OIDReviewSignature}}, 1, "1.2.840.113549.1.9.16.9.4"},
		"twice":               {domain, SignOptions{Attributes: []Attribute{mark}}, 2, "signingTime"},
		"unsigned":            {sign, SignOptions{UnsignedAttributes: []Attribute{mark}}, 1, "unsignedAttrs"},
		"co-signer":           {domain, SignOptions{CoSigners: []CoSigner{{Signer: w.p256}}}, 2, "ecdsa-with-SHA256"},
		"co-signer, unlike":   {sign, SignOptions{SignatureTypes: domainTypes, CoSigners: []CoSigner{{Signer: w.p256}}}, 1, "ecdsa-with-SHA256"},
		"co-signer, SHA-512":  {domain, SignOptions{CoSigners: []CoSigner{{w.p256, SignOptions{Hash: crypto.SHA512}}}}, 2, "sha512"},
		"SHA-1":               {sign, SignOptions{Hash: crypto.SHA1, AllowSHA1: true}, 0, "sha1"},
		"year 2050":           {sign, SignOptions{SigningTime: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)}, 0, "GENERALIZEDTIME:Jan  1 00:00:00 2050 GMT"},
		"without certificate": {sign, SignOptions{OmitCertificates: true}, 0, "certificates:\n      <ABSENT>"},
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := c.sign(c.o)
			if err != nil {
				t.Fatal(err)
			}
			if !c.o.OmitCertificates {
				verify(t, signed)
			}
			printed, err := openssl(t, signed, "cms", "-cmsout", "-print", "-noout")
			if err != nil {
				t.Fatal("openssl does not print")
			}
			if got := strings.Count(printed, "1.2.840.113549.1.9.16.2.28"); got != c.marks {
				t.Errorf("%d SignatureType attributes, want %d", got, c.marks)
			}
			if !strings.Contains(printed, c.print) {
				t.Errorf("no %q in\n%s", c.print, printed)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	w := testWorld(t)
	noID := *w.rsa.Certificate
	noID.SubjectKeyId = nil
	for name, c := range map[string]struct {
		signer Signer
		o      SignOptions
		want   string
	}{
		"SHA-1":           {w.rsa, SignOptions{Hash: crypto.SHA1}, "SHA-1 is no digest"},
		"MD5":             {w.rsa, SignOptions{Hash: crypto.MD5}, "unsupported digest"},
		"nobody":          {Signer{}, SignOptions{}, "without certificate or key"},
		"another's key":   {Signer{Certificate: w.rsa.Certificate, Key: w.alice.Key}, SignOptions{}, "not that of the certificate"},
		"no key id":       {Signer{Certificate: &noID, Key: w.rsa.Key}, SignOptions{SubjectKeyID: true}, "no subjectKeyIdentifier"},
		"boundary":        {w.rsa, SignOptions{Detached: true, Boundary: "a\"b"}, "not a boundary"},
		"co-signer":       {w.rsa, SignOptions{CoSigners: []CoSigner{{}}}, "without certificate or key"},
		"nameless option": {w.rsa, SignOptions{SignatureTypes: []asn1.ObjectIdentifier{{}}}, "invalid object identifier"},
	} {
		if _, err := Sign([]byte(plainEntity), c.signer, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		to   []*x509.Certificate
		o    EncryptOptions
		want string
	}{
		"nobody":       {nil, EncryptOptions{}, "no recipients"},
		"P-256":        {[]*x509.Certificate{w.aliceP256.Certificate}, EncryptOptions{}, "unsupported key type"},
		"signer":       {[]*x509.Certificate{w.rsa.Certificate}, EncryptOptions{}, "keyEncipherment"},
		"cipher":       {[]*x509.Certificate{w.dca.Certificate}, EncryptOptions{Cipher: 99}, "unknown cipher"},
		"AAD for CBC":  {[]*x509.Certificate{w.dca.Certificate}, EncryptOptions{Attributes: []Attribute{{}}}, "ask for AES-GCM"},
		"attribute":    {[]*x509.Certificate{w.dca.Certificate}, EncryptOptions{Cipher: AES128GCM, Attributes: []Attribute{{}}}, "invalid object identifier"},
		"OAEP of MD5":  {[]*x509.Certificate{w.dca.Certificate}, EncryptOptions{OAEP: crypto.MD5}, "unsupported digest"},
		"one of three": {[]*x509.Certificate{w.dca.Certificate, w.rsa.Certificate, w.alice.Certificate}, EncryptOptions{}, "example.com signing"},
	} {
		if _, err := EncryptTo([]byte(plainEntity), c.to, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A failing writer or reader is never taken for success.
func TestFaults(t *testing.T) {
	w := testWorld(t)
	to := []*x509.Certificate{w.dca.Certificate}
	entity := plainEntity + strings.Repeat("line\n", 40000)
	for name, write := range map[string]func(io.Writer, io.Reader) error{
		"opaque": func(out io.Writer, in io.Reader) error { return WriteSigned(out, in, w.rsa, SignOptions{}) },
		"detached": func(out io.Writer, in io.Reader) error {
			return WriteSigned(out, in, w.rsa, SignOptions{Detached: true})
		},
		"empty": WriteEmptySignature,
		"enveloped": func(out io.Writer, in io.Reader) error {
			return WriteEncrypted(out, in, to, EncryptOptions{})
		},
		"authEnveloped": func(out io.Writer, in io.Reader) error {
			return WriteEncrypted(out, in, to, EncryptOptions{Cipher: AES128GCM})
		},
	} {
		var whole bytes.Buffer
		if err := write(&whole, strings.NewReader(entity)); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 10, whole.Len() / 2, whole.Len() - 1} {
			if err := write(&fullDisk{n}, strings.NewReader(entity)); !errors.Is(err, errFull) {
				t.Errorf("%s: disk full after %d of %d octets: %v", name, n, whole.Len(), err)
			}
		}
		broken := io.MultiReader(strings.NewReader(entity), iotest.ErrReader(errFull))
		if err := write(io.Discard, broken); !errors.Is(err, errFull) {
			t.Errorf("%s: broken reader: %v", name, err)
		}
	}
}

var errFull = errors.New("no space left")

// A fullDisk takes so many octets.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errFull
	}
	d.room -= len(p)
	return len(p), nil
}

// The stream forms need memory that does not grow with the entity.
func TestMemory(t *testing.T) {
	w := testWorld(t)
	const size = 16 << 20
	line := []byte(strings.Repeat("x", 62) + "\r\n")
	stream := func() io.Reader { return io.LimitReader(&repeat{line: line}, size) }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := WriteSigned(io.Discard, stream(), w.p256, SignOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteSigned(io.Discard, stream(), w.p256, SignOptions{Detached: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		if err := WriteEncrypted(io.Discard, stream(), []*x509.Certificate{w.dca.Certificate}, EncryptOptions{Cipher: c}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d octets allocated for 4 streams of %d", got, size)
	}
}

// A repeat is one line for ever.
type repeat struct {
	line []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.line[r.at]
		r.at = (r.at + 1) % len(r.line)
	}
	return len(p), nil
}

// The encoders, octet by octet and all at once.
func TestEncoders(t *testing.T) {
	for n := range 200 {
		in := bytes.Repeat([]byte{0xa5, 0x0a, 0x0d}, n)[:n]
		var whole, slow bytes.Buffer
		e := newBase64Writer(&whole)
		_, err := e.Write(in)
		if err := errors.Join(err, e.Close()); err != nil {
			t.Fatal(err)
		}
		e = newBase64Writer(&slow)
		_, err = io.Copy(struct{ io.Writer }{e}, iotest.OneByteReader(bytes.NewReader(in)))
		if err := errors.Join(err, e.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole.Bytes(), slow.Bytes()) {
			t.Errorf("%d octets: base64 depends on the pieces", n)
		}
		for line := range bytes.Lines(whole.Bytes()) {
			if len(line) > 66 || !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%d octets: line %q", n, line)
			}
		}
		if got, err := base64.StdEncoding.DecodeString(whole.String()); err != nil || !bytes.Equal(got, in) {
			t.Errorf("%d octets: base64 %q", n, whole.String())
		}
	}
	const text, want = "\na\nb\r\nc\rd\r\r\n\n", "\r\na\r\nb\r\nc\rd\r\r\n\r\n"
	if got := toCRLF([]byte(text)); string(got) != want {
		t.Errorf("line ends %q", got)
	}
	for _, n := range []int64{0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 1 << 24} {
		content := make([]byte, n)
		if want, err := asn1.Marshal(content); err != nil || !slices.Equal(element(4, content), want) {
			t.Errorf("length %d: % x", n, header(4, n))
		}
	}
}
