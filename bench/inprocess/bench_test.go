// Package inprocess holds the benchmarks that need no server: the public-key operations that a sealed message costs at
// the least, and the whole path of such a message with a target that throws it away.
package inprocess

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/deliver"
	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/lmtp"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/seal"
)

var digest = sha256.Sum256([]byte("what is signed"))

// each runs one operation on every processor. Beside the time it reports that of the processors, which the load that
// others put on the machine changes less.
func each(b *testing.B, operation func() error) {
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	defer func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := operation(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	check(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkOperationRSADecrypt(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(b, err)
	//lint:ignore SA1019 it is what most S/MIME mail uses
	ciphertext, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, make([]byte, 32))
	check(b, err)
	each(b, func() error {
		//lint:ignore SA1019 it is what most S/MIME mail uses
		return rsa.DecryptPKCS1v15SessionKey(nil, key, ciphertext, make([]byte, 32))
	})
}

func BenchmarkOperationRSAVerify(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(b, err)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	check(b, err)
	each(b, func() error { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature) })
}

func BenchmarkOperationECDSAVerify(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(b, err)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	check(b, err)
	each(b, func() error {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return rsa.ErrVerification
		}
		return nil
	})
}

func BenchmarkOperationECDH(b *testing.B) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	check(b, err)
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	check(b, err)
	each(b, func() error {
		_, err := key.ECDH(other.PublicKey())
		return err
	})
}

// The path of a message signed with one kind of key and encrypted for an RSA-2048 key of ours.
func BenchmarkSealed(b *testing.B) {
	for _, signer := range []struct {
		name string
		key  seal.KeyType
	}{{"RSA", seal.RSA2048}, {"P256", seal.P256}} {
		p := newParties(b, signer.key)
		for _, size := range []struct {
			name   string
			octets int
		}{{"4k", 4 << 10}, {"50k", 50 << 10}} {
			b.Run(signer.name+"/"+size.name, func(b *testing.B) { p.bench(b, p.sealed(b, size.octets)) })
		}
	}
}

// The same path for a message that nobody has sealed.
func BenchmarkPlain(b *testing.B) {
	p := newParties(b, seal.P256)
	p.bench(b, seal.Message([]byte(header), entity(4<<10)))
}

const header = "From: Alice <alice@example.com>\r\nTo: erin@example.net\r\nSubject: Figures\r\n"

func entity(octets int) []byte {
	line := strings.Repeat("some words ", 6) + "\r\n"
	return []byte("Content-Type: text/plain; charset=us-ascii\r\n\r\n" + strings.Repeat(line, octets/len(line)))
}

type parties struct {
	person, domain seal.KeyPair
	agent          *agent.Agent
}

func newParties(b *testing.B, signer seal.KeyType) *parties {
	ca, err := seal.NewCA("CA", seal.CertificateOptions{})
	check(b, err)
	issuing, err := ca.IssueCA("Issuing CA", seal.CertificateOptions{})
	check(b, err)
	p := &parties{}
	p.person, err = issuing.IssuePerson("alice@example.com", seal.CertificateOptions{Key: signer})
	check(b, err)
	p.domain, err = issuing.IssueDCA("example.net", seal.CertificateOptions{})
	check(b, err)
	key, err := p.domain.KeyPEM()
	check(b, err)
	dir := b.TempDir()
	for name, content := range map[string][]byte{"ca.pem": ca.CertificatePEM(), "dca.pem": p.domain.CertificatePEM(), "dca.key": key,
		"paperknife.toml": []byte(configuration)} {
		check(b, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	c, err := config.Load(filepath.Join(dir, "paperknife.toml"))
	check(b, err)
	p.agent, err = agent.New(c, agent.Options{Target: target{}})
	check(b, err)
	return p
}

const configuration = `authserv_id = "mx.example.net"
[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]
[trust]
person_anchors = ["ca.pem"]
[mua]
default = "incapable"
`

func (p *parties) sealed(b *testing.B, octets int) []byte {
	signed, err := seal.SignAsPerson(entity(octets), p.person, seal.SignOptions{Detached: true})
	check(b, err)
	encrypted, err := seal.EncryptTo(signed, []*x509.Certificate{p.domain.Certificate}, seal.EncryptOptions{})
	check(b, err)
	text := seal.Message([]byte(header), encrypted)
	if out := p.send(b, text); !bytes.Contains(out, []byte("smime=pass")) || !bytes.Contains(out, []byte("some words some words")) {
		b.Fatalf("not opened:\n%s", out)
	}
	return text
}

// send returns what was delivered.
func (p *parties) send(b *testing.B, text []byte) []byte {
	var out bytes.Buffer
	ctx := context.WithValue(b.Context(), outKey{}, io.Writer(&out))
	check(b, p.transaction(ctx, text))
	return out.Bytes()
}

func (p *parties) transaction(ctx context.Context, text []byte) error {
	t := p.agent.Begin(ctx, lmtp.Peer{HELO: "mta.example.net", QueueID: "4F1"}, "bounces@example.com")
	defer t.Close()
	if r := t.Rcpt(ctx, "erin@example.net", ""); !r.Delivered() {
		return &r
	}
	received := spool.FromBytes(text)
	for _, r := range t.Data(ctx, received) {
		if !r.Delivered() {
			return &r
		}
	}
	return received.Close()
}

func (p *parties) bench(b *testing.B, text []byte) {
	b.SetBytes(int64(len(text)))
	each(b, func() error { return p.transaction(b.Context(), text) })
}

// A target writes what it gets to the writer in its context, if there is one.
type target struct{}

type outKey struct{}

func (target) Begin(ctx context.Context, _ string) deliver.Transaction {
	out, ok := ctx.Value(outKey{}).(io.Writer)
	if !ok {
		out = io.Discard
	}
	return transaction{out}
}

type transaction struct{ out io.Writer }

func (transaction) Rcpt(string, string) status.Result { return status.Delivered() }

func (t transaction) Deliver(_ context.Context, view deliver.View, recipients []deliver.Recipient) []status.Result {
	results := make([]status.Result, len(recipients))
	for i := range results {
		results[i] = status.Delivered()
		if err := view.Write(t.out, message.LF); err != nil {
			results[i] = status.From(err)
		}
	}
	return results
}

func (transaction) Close() error { return nil }

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
