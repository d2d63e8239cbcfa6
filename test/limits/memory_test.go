package limits

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperknife/seal"
)

// What is large, and what it may take (DESIGN, R7): resident memory at 100 MB above that after a small message, and in
// all for a message without S/MIME.
const (
	large      = 100 << 20
	aboveIdle  = 64 << 20
	plainInAll = 30 << 20
)

// A text is a plain entity of any size.
type text struct {
	header string
	line   func(n int) string
}

var lines = text{"Content-Type: text/plain; charset=us-ascii\r\n\r\n", func(n int) string {
	return fmt.Sprintf("%09d The quick brown fox jumps over the lazy dog, and then over another.\r\n", n)
}}

var umlauts = text{"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", func(n int) string {
	return fmt.Sprintf("%09d Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\r\n", n)
}}

var longLines = text{"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: binary\r\n\r\n", func(n int) string {
	return strings.Repeat(fmt.Sprintf("%09d, ", n), 1<<20/11) + "\r\n"
}}

// A body is what must come out: the digest of the body with LF line ends, as a Maildir has it, and as it went in.
type body struct {
	size     int64
	lf, crlf string
}

// write makes a file of an entity.
func (x text) write(t testing.TB, name string, size int64) body {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	lf, crlf := sha256.New(), sha256.New()
	out := bufio.NewWriterSize(f, 1<<20)
	if _, err := out.WriteString(x.header); err != nil {
		t.Fatal(err)
	}
	var b body
	for n := 0; b.size < size; n++ {
		line := x.line(n)
		_, _ = crlf.Write([]byte(line)) // a hash does not fail
		_, _ = lf.Write([]byte(strings.TrimSuffix(line, "\r\n") + "\n"))
		b.size += int64(len(line))
		if _, err := out.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{out.Flush(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b.lf, b.crlf = hex.EncodeToString(lf.Sum(nil)), hex.EncodeToString(crlf.Sum(nil))
	return b
}

// A layer puts S/MIME around an entity in constant memory.
type layer func(p *parties, w io.Writer, entity io.Reader) error

func signedBy(options seal.SignOptions) layer {
	return func(p *parties, w io.Writer, entity io.Reader) error {
		return seal.WriteSigned(w, entity, p.alice, options)
	}
}

func byDomain(options seal.SignOptions) layer {
	return func(p *parties, w io.Writer, entity io.Reader) error {
		return seal.WriteSignedAsDomain(w, entity, p.domain, options)
	}
}

func empty(_ *parties, w io.Writer, entity io.Reader) error {
	return seal.WriteEmptySignature(w, entity)
}

func enveloped(p *parties, w io.Writer, entity io.Reader) error {
	return seal.WriteEncrypted(w, entity, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{})
}

func authEnveloped(p *parties, w io.Writer, entity io.Reader) error {
	return seal.WriteEncrypted(w, entity, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM})
}

var (
	opaque   = signedBy(seal.SignOptions{})
	detached = signedBy(seal.SignOptions{Detached: true})
)

const outerHeader = "From: Alice Arden <" + sender + ">\r\n" +
	"To: erin@example.net\r\n" +
	"Subject: Large\r\n" +
	"Date: Mon, 05 Jan 2026 09:00:00 +0000\r\n" +
	"Message-ID: <large.1@sales.example.com>\r\n" +
	"MIME-Version: 1.0\r\n"

// wrap makes a file of a message: the layers, the innermost first, around the entity in a file. The layers run side by
// side over pipes.
func wrap(t testing.TB, entity, name string, layers ...layer) {
	t.Helper()
	p := everyone(t)
	in := io.Reader(openFile(t, entity))
	for _, l := range layers {
		r, w := io.Pipe()
		inner := bufio.NewReaderSize(in, 1<<20)
		go func() { w.CloseWithError(l(p, w, inner)) }()
		in = r
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, io.MultiReader(strings.NewReader(outerHeader), in)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// largeKinds are the messages. Those without a signature inside the ciphertext and with octets that the gate refuses
// (DESIGN rule 5) are delivered as they came. Every kind goes through the server; the filter takes the time it takes.
var largeKinds = []struct {
	name            string
	text            *text
	layers          []layer
	held            bool
	want            string // in the results
	stdout, maildir bool   // through the filter
}{
	{name: "plain", text: &lines, stdout: true, maildir: true},
	{name: "detached", text: &lines, layers: []layer{detached}, want: "smime=pass", stdout: true, maildir: true},
	{name: "opaque", text: &lines, layers: []layer{opaque}, want: "smime=pass", stdout: true},
	{name: "enveloped", text: &lines, layers: []layer{enveloped}, want: "x-domsec=", maildir: true},
	{name: "enveloped(detached)", text: &lines, layers: []layer{detached, enveloped}, want: "smime=pass", maildir: true},
	{name: "enveloped(opaque)", text: &lines, layers: []layer{opaque, enveloped}, want: "smime=pass", stdout: true},
	{name: "enveloped(domain(empty))", text: &lines,
		layers: []layer{empty, byDomain(seal.SignOptions{Detached: true}), enveloped}, want: "x-domsec=pass"},
	{name: "enveloped(domain(detached)) of 8-bit text", text: &umlauts,
		layers: []layer{detached, byDomain(seal.SignOptions{Detached: true}), enveloped}, want: "x-domsec=pass"},
	{name: "enveloped 8-bit text", text: &umlauts, layers: []layer{enveloped}, held: true, want: "x-domsec="},
	{name: "enveloped(opaque) of long lines", text: &longLines, layers: []layer{opaque, enveloped}, want: "smime=pass"},
	{name: "authenveloped 8-bit text", text: &umlauts, layers: []layer{authEnveloped}, want: "x-domsec=", maildir: true},
	{name: "enveloped(authenveloped)", text: &lines, layers: []layer{authEnveloped, enveloped}, want: "x-domsec="},
	{name: "plain long lines", text: &longLines},
}

// THREATS: memory does not grow with the message, whatever it is wrapped in; and what comes out is what went in.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("messages of 100 MB")
	}
	scratch := t.TempDir()
	entities := map[*text]string{}
	bodies := map[*text]body{}
	for i, x := range []*text{&lines, &umlauts, &longLines} {
		entities[x] = filepath.Join(scratch, fmt.Sprintf("entity%d", i))
		bodies[x] = x.write(t, entities[x], large)
	}
	for _, kind := range largeKinds {
		t.Run(kind.name, func(t *testing.T) {
			file := filepath.Join(scratch, "message")
			begun := time.Now()
			wrap(t, entities[kind.text], file, kind.layers...)
			t.Logf("made in %v", time.Since(begun).Round(time.Millisecond))
			c := largeCase{message: file, body: bodies[kind.text], plain: len(kind.layers) == 0, held: kind.held, want: kind.want}
			c.throughServer(t)
			if kind.stdout || kind.maildir {
				c.throughFilter(t, kind.stdout, kind.maildir)
			}
		})
	}
}

// A largeCase is one message and what must come of it.
type largeCase struct {
	message string
	body    body
	plain   bool
	held    bool
	want    string
}

const small = "From: a@example.com\r\nSubject: small\r\n\r\nbody\r\n"

func (c largeCase) throughServer(t *testing.T) {
	s := start(t, site(t, ""))
	s.deliver(t, strings.NewReader(small), untouched)
	idle := s.memory(t, "VmRSS")
	used, begun := s.cpu(t), time.Now()
	s.deliver(t, openFile(t, c.message), incapable)
	wall, used := time.Since(begun), s.cpu(t)-used
	peak := s.memory(t, "VmHWM")
	t.Logf("lmtpd: idle %s, peak %s, %v, cpu %v", mib(idle), mib(peak), wall.Round(time.Millisecond), used)
	c.checkMemory(t, idle, peak)
	f := openFile(t, only(t, s.box(incapable)))
	c.checkDelivered(t, f, c.body.lf)
	if left := names(t, filepath.Join(s.dir, "spool")); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
}

func (c largeCase) throughFilter(t *testing.T, stdout, maildir bool) {
	dir := site(t, "")
	in := openFile(t, writeFile(t, filepath.Join(dir, "small"), []byte(small)))
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	idle := filter(t, dir, in, out)
	if idle.code != 0 {
		t.Fatalf("exit %d on a small message", idle.code)
	}
	if stdout {
		rewind(t, out)
		c.check(t, "filter to stdout", idle, filter(t, dir, openFile(t, c.message), out))
		rewind(t, out)
		c.checkDelivered(t, out, c.body.crlf)
	}
	if maildir {
		box := filepath.Join(dir, "Maildir")
		c.check(t, "filter -maildir", idle, filter(t, dir, openFile(t, c.message), nil, "-maildir", box))
		c.checkDelivered(t, openFile(t, only(t, box)), c.body.lf)
	}
}

func (c largeCase) check(t *testing.T, name string, idle, r run) {
	t.Helper()
	t.Logf("%s: small %s, peak %s, %v, cpu %v", name, mib(idle.peak), mib(r.peak), r.wall.Round(time.Millisecond), r.cpu.Round(time.Millisecond))
	if r.code != 0 || r.stderr != "" {
		t.Errorf("%s: exit %d, %q", name, r.code, r.stderr)
	}
	c.checkMemory(t, idle.peak, r.peak)
}

func (c largeCase) checkMemory(t *testing.T, idle, peak int64) {
	t.Helper()
	if peak > idle+aboveIdle {
		t.Errorf("peak %s is more than %s above %s", mib(peak), mib(aboveIdle), mib(idle))
	}
	if c.plain && peak > plainInAll {
		t.Errorf("peak %s, more than %s", mib(peak), mib(plainInAll))
	}
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// checkDelivered compares the body of what was delivered with the plain one; a message that is held has its ciphertext.
func (c largeCase) checkDelivered(t *testing.T, f io.ReadSeeker, want string) {
	t.Helper()
	in := bufio.NewReaderSize(f, 1<<20)
	var header bytes.Buffer
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			t.Fatalf("no end of the header: %v", err)
		}
		header.Write(line)
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	if c.want != "" && !strings.Contains(header.String(), c.want) {
		t.Errorf("no %s in:\n%s", c.want, header.String())
	}
	if c.held {
		c.checkHeld(t, header.String(), in)
		return
	}
	if strings.Contains(header.String(), "pkcs7") {
		t.Errorf("not opened:\n%s", header.String())
	}
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the body differs: %d octets, want %d with CRLF", n, c.body.size)
	}
}

// checkHeld compares with the message as it was sent.
func (c largeCase) checkHeld(t *testing.T, header string, body io.Reader) {
	t.Helper()
	if !strings.Contains(header, "smime-type=enveloped-data") {
		t.Errorf("opened:\n%s", header)
	}
	sent := bufio.NewReader(openFile(t, c.message))
	for {
		line, err := sent.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	want, got := sha256.New(), sha256.New()
	if _, err := io.Copy(want, base64.NewDecoder(base64.StdEncoding, sent)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(got, base64.NewDecoder(base64.StdEncoding, body)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want.Sum(nil), got.Sum(nil)) {
		t.Error("the ciphertext differs")
	}
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
