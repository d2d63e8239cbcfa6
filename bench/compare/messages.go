package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

//go:embed glue-filter.sh
var glueFilter string

const (
	manyKeys    = 20
	manyAnchors = 10
)

// The kinds of message. All but plain are made by openssl alone. Each file is named KIND-SIZE.eml; SIZE is that of the
// entity inside, the file is larger.
const (
	plain     = "plain"     // not sealed
	detached  = "detached"  // enveloped(multipart/signed), RSA-2048
	opaque    = "opaque"    // enveloped(signed-data), RSA-2048
	p256      = "p256"      // enveloped(multipart/signed), signed with P-256
	agreement = "agreement" // the same, and encrypted with P-256 key agreement
	gcm       = "gcm"       // auth-enveloped(multipart/signed), RSA-2048
	nested    = "nested"    // enveloped(signed-data(enveloped(multipart/signed)))
)

// openssl runs one openssl command in the directory of the keys.
func (s *site) openssl(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Dir = s.path("keys")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("openssl %s: %w: %s", strings.Join(args, " "), err, firstLine(out))
	}
	return nil
}

// A certificate is what openssl is to issue.
type certificate struct {
	name, issuer, subject, extensions string
	key                               []string // arguments that make or name the key
}

var (
	rsaKey  = []string{"-newkey", "rsa:2048"}
	p256Key = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
)

const (
	authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
	leaf      = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=emailProtection\n"
	person    = leaf + "keyUsage=critical,digitalSignature\nsubjectAltName=email:alice@example.com\n"
	domain    = leaf + "subjectAltName=DNS:example.net,URI:smtp://example.net\nkeyUsage=critical,"
)

func certificates() []certificate {
	list := []certificate{
		{"ca", "", "CA", authority, rsaKey},
		{"issuing", "ca", "Issuing CA", authority, rsaKey},
		{"alice-rsa", "issuing", "Alice", person, rsaKey},
		{"alice-p256", "issuing", "Alice", person, p256Key},
		{"dca-rsa", "issuing", "DCA", domain + "keyEncipherment\n", rsaKey},
		{"dca-p256", "issuing", "DCA", domain + "keyAgreement\n", p256Key},
	}
	old := []string{"-key", "dca-rsa.key"}
	for i := range manyKeys {
		list = append(list, certificate{fmt.Sprintf("many-%d", i), "issuing", "DCA", domain + "keyEncipherment\n", old})
	}
	for i := range manyAnchors {
		list = append(list, certificate{fmt.Sprintf("anchor-%d", i), "", fmt.Sprintf("Anchor %d", i), authority, old})
	}
	return list
}

func (s *site) makeKeys(ctx context.Context) error {
	if _, err := os.Stat(s.path("keys", "done")); err == nil {
		return nil
	}
	for i, c := range certificates() {
		text := "[req]\ndistinguished_name=none\nx509_extensions=here\n[none]\n[here]\n" + c.extensions + "subjectKeyIdentifier=hash\n"
		if err := os.WriteFile(s.path("keys", "openssl.cnf"), []byte(text), 0o600); err != nil {
			return err
		}
		args := append([]string{"req", "-config", "openssl.cnf", "-new", "-x509", "-noenc", "-days", "3650", "-set_serial", strconv.Itoa(1000 + i),
			"-subj", "/O=Benchmark/CN=" + c.subject, "-out", c.name + ".pem"}, c.key...)
		if c.key[0] != "-key" {
			args = append(args, "-keyout", c.name+".key")
		}
		if c.issuer != "" {
			args = append(args, "-CA", c.issuer+".pem", "-CAkey", c.issuer+".key")
		}
		if err := s.openssl(ctx, args...); err != nil {
			return err
		}
	}
	// The user who delivers reads the keys of the domain; the glue script does too.
	for _, name := range []string{"dca-rsa.key", "dca-p256.key"} {
		if err := s.chown(s.path("keys", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(s.path("keys", "done"), nil, 0o600)
}

const outerHeader = "Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n" +
	"\tby mx.example.net (Postfix) with ESMTPS id 4ZbQ1x0Lk3z9s\r\n" +
	"\tfor <user0@example.net>; Mon, 20 Jan 2014 09:00:01 +0000 (UTC)\r\n" +
	"From: Alice <alice@example.com>\r\nTo: Erin <erin@example.net>\r\nSubject: Figures of the third quarter\r\n" +
	"Date: Mon, 20 Jan 2014 09:00:00 +0000\r\nMessage-ID: <figures.3@example.com>\r\nMIME-Version: 1.0\r\n"

// entity returns a text, or from 8 KB on a text with an attachment. It is the same each time.
func entity(octets int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(octets)))
	words := strings.Fields("the figures of this quarter are better than those of the one before it, as the table shows in detail")
	text := func(b *bytes.Buffer, octets int) {
		for line := ""; octets > 0; octets -= len(line) {
			line = ""
			for len(line) < 64 {
				line += words[random.IntN(len(words))] + " "
			}
			line = strings.TrimRight(line, " ") + "\r\n"
			if random.IntN(40) == 0 {
				line = "." + line
			}
			b.WriteString(line)
		}
	}
	var b bytes.Buffer
	if octets < 8<<10 {
		b.WriteString("Content-Type: text/plain; charset=us-ascii\r\n\r\n")
		text(&b, octets-b.Len())
		return b.Bytes()
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=\"attached\"\r\n\r\n--attached\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
	text(&b, 2<<10)
	b.WriteString("\r\n--attached\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	raw := make([]byte, 57)
	for octets -= b.Len() + 20; octets > 0; octets -= 78 {
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(raw) + "\r\n")
	}
	b.WriteString("\r\n--attached--\r\n")
	return b.Bytes()
}

func octets(size string) (int, error) {
	n, err := strconv.Atoi(size[:len(size)-1])
	if size[len(size)-1] == 'm' {
		n <<= 10
	}
	return n << 10, err
}

// A recipe is the layers of one kind, from the inside out.
type recipe struct {
	kind, largest string // no larger sizes than this are made
	layers        [][]string
}

func recipes() []recipe {
	sign := func(who string, more ...string) []string {
		return append([]string{"-sign", "-md", "sha256", "-signer", who + ".pem", "-inkey", who + ".key", "-certfile", "issuing.pem"}, more...)
	}
	encrypt := func(cipher, recipient string, more ...string) []string {
		return append([]string{"-encrypt", "-" + cipher, "-recip", recipient + ".pem"}, more...)
	}
	toRSA := encrypt("aes-256-cbc", "dca-rsa")
	return []recipe{
		{plain, "100m", nil},
		{detached, "100m", [][]string{sign("alice-rsa"), toRSA}},
		{opaque, "100m", [][]string{sign("alice-rsa", "-nodetach"), toRSA}},
		{gcm, "100m", [][]string{sign("alice-rsa"), encrypt("aes-256-gcm", "dca-rsa")}},
		{nested, "100m", [][]string{sign("alice-rsa"), toRSA, sign("alice-rsa", "-nodetach"), toRSA}},
		{p256, "1m", [][]string{sign("alice-p256"), toRSA}},
		{agreement, "1m", [][]string{sign("alice-p256"), encrypt("aes-256-cbc", "dca-p256", "-keyopt", "ecdh_kdf_md:sha256", "-aes256-wrap")}},
	}
}

// makeMessages makes the messages of these sizes that are not there yet.
func (s *site) makeMessages(ctx context.Context, sizes []string) error {
	for _, size := range sizes {
		n, err := octets(size)
		if err != nil {
			return err
		}
		var text []byte
		for _, r := range recipes() {
			largest, err := octets(r.largest)
			if err != nil {
				return err
			}
			file := s.message(r.kind + "-" + size)
			if _, err := os.Stat(file); err == nil || n > largest {
				continue
			}
			if text == nil {
				text = entity(n)
			}
			if err := s.seal(ctx, file, text, r.layers); err != nil {
				return err
			}
		}
	}
	return nil
}

// seal has openssl put the layers around an entity.
func (s *site) seal(ctx context.Context, file string, text []byte, layers [][]string) error {
	in, out := s.path("messages", "in"), s.path("messages", "out")
	defer func() { _ = errors.Join(os.Remove(in), os.Remove(out)) }() // they go with the directory
	if err := os.WriteFile(in, text, 0o600); err != nil {
		return err
	}
	for _, layer := range layers {
		args := append([]string{"cms", "-binary", "-crlfeol", "-in", in, "-out", out}, layer...)
		if err := s.openssl(ctx, args...); err != nil {
			return err
		}
		if err := os.Rename(out, in); err != nil {
			return err
		}
	}
	sealed, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	// openssl says it too.
	sealed = bytes.TrimPrefix(sealed, []byte("MIME-Version: 1.0\r\n"))
	return os.WriteFile(file, append([]byte(outerHeader), sealed...), 0o644)
}
