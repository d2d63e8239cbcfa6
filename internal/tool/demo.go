package tool

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/emersion/go-maildir"
	"github.com/emersion/go-smtp"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/seal"
)

// The parties of the demonstration (RFC 2606).
const (
	demoPartner   = "example.com"
	demoDomain    = "example.net"
	demoSender    = "alice@sales.example.com"
	demoRecipient = "erin@example.net"
)

const demoMessage = "From: Alice Arden <" + demoSender + ">\r\n" +
	"To: Erin <" + demoRecipient + ">\r\n" +
	"Subject: Figures\r\n" +
	"Date: Mon, 05 Jan 2026 09:00:00 +0000\r\n" +
	"Message-ID: <figures.1@sales.example.com>\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=us-ascii\r\n" +
	"\r\n" +
	"Third quarter: 42.\r\n"

const demoArguments = "[DIR]"

func runDemo(ctx context.Context, args []string, s Streams) error {
	flags := newFlags("demo", demoArguments, s)
	if err := parseFlags(flags, args, 0, 1); err != nil {
		return err
	}
	return Demo(ctx, flags.Arg(0), s.Out)
}

// Demo shows the main job with no configuration: it makes a CA, a partner and a domain in dir (empty: a temporary
// directory, removed afterwards), starts the LMTP server in this process, sends a message through it that was signed by
// its author, signed by the partner's domain and encrypted to ours, and shows the layers and the delivered mail.
func Demo(ctx context.Context, dir string, out io.Writer) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "paperknife-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err = os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d := demo{dir: dir, out: &errWriter{w: out}}
	if err := d.run(ctx); err != nil {
		return err
	}
	return d.out.err
}

type demo struct {
	dir    string
	out    *errWriter
	sealed []byte
	config *config.Config
}

func (d *demo) run(ctx context.Context) error {
	if err := d.makeParties(); err != nil {
		return fmt.Errorf("making the parties: %w", err)
	}
	d.out.printf("1. A message as the partner %s seals it for %s\n\n%s\n", demoPartner, demoDomain, excerpt(d.sealed, 18))
	if err := d.send(ctx); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	d.out.printf("\n3. What it was: every layer, from the outside in\n\n")
	if err := Explain(ctx, d.config, ExplainOptions{Recipient: demoRecipient}, bytes.NewReader(d.sealed), d.out.w); err != nil {
		return err
	}
	return d.show()
}

// makeParties writes keys, certificates and the configuration, and seals the message.
func (d *demo) makeParties() error {
	var o seal.CertificateOptions
	domainCA, err := seal.NewCA("Demo Domain CA", o)
	if err != nil {
		return err
	}
	personCA, err := seal.NewCA("Demo Person CA", o)
	if err != nil {
		return err
	}
	signer, err := domainCA.IssueDomainSigner(demoPartner, o)
	if err != nil {
		return err
	}
	author, err := personCA.IssuePerson(demoSender, o)
	if err != nil {
		return err
	}
	dca, err := domainCA.IssueDCA(demoDomain, o)
	if err != nil {
		return err
	}
	if err := d.sealMessage(author, signer, dca); err != nil {
		return err
	}
	key, err := dca.KeyPEM()
	if err != nil {
		return err
	}
	return d.writeFiles(map[string][]byte{
		"partners.pem": domainCA.CertificatePEM(), "people.pem": personCA.CertificatePEM(),
		"dca.pem": dca.CertificatePEM(), "dca.key": key, "paperknife.toml": []byte(demoConfig),
	})
}

func (d *demo) sealMessage(author, signer seal.Signer, dca seal.KeyPair) error {
	header, entity := seal.Split([]byte(demoMessage))
	entity, err := seal.SignAsPerson(entity, author, seal.SignOptions{Detached: true})
	if err != nil {
		return err
	}
	if entity, err = seal.SignAsDomain(entity, signer, seal.SignOptions{}); err != nil {
		return err
	}
	if entity, err = seal.EncryptTo(entity, []*x509.Certificate{dca.Certificate}, seal.EncryptOptions{}); err != nil {
		return err
	}
	d.sealed = seal.Message(header, entity)
	return nil
}

const demoConfig = `# Made by "paperknife demo".
authserv_id = "mx.example.net"

[lmtp]
listen = ["unix:lmtp.sock"]

[[domain]]
name = "example.net"
keys = [{ cert = "dca.pem", key = "dca.key" }]

[trust]
domain_anchors = ["partners.pem"]
person_anchors = ["people.pem"]

[mua]
users = { "erin@example.net" = "incapable" }
`

func (d *demo) writeFiles(files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	c, err := config.Load(filepath.Join(d.dir, "paperknife.toml"))
	d.config = c
	return err
}

// send starts the server, sends the message as an MTA would, and stops the server.
func (d *demo) send(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- agent.Serve(ctx, d.config, slog.New(slog.DiscardHandler), agent.Control{Ready: func() { close(ready) }})
	}()
	defer func() {
		stop()
		if ready != nil {
			err = errors.Join(err, <-done)
		}
	}()
	select {
	case <-ready:
	case err := <-done:
		ready = nil
		return err
	}
	reply, err := d.dialogue()
	if err != nil {
		return err
	}
	d.out.printf("\n2. It goes over LMTP through lmtpd\n\n   %s: %s\n", demoRecipient, reply)
	return nil
}

func (d *demo) dialogue() (string, error) {
	conn, err := net.DialTimeout("unix", filepath.Join(d.dir, "lmtp.sock"), 5*time.Second)
	if err != nil {
		return "", err
	}
	client := smtp.NewClientLMTP(conn)
	defer client.Close()
	if err := client.Mail(demoSender, nil); err != nil {
		return "", err
	}
	if err := client.Rcpt(demoRecipient, nil); err != nil {
		return "", err
	}
	data, err := client.Data()
	if err != nil {
		return "", err
	}
	if _, err := data.Write(d.sealed); err != nil {
		return "", err
	}
	replies, err := data.CloseWithLMTPResponse()
	if err != nil {
		return "", err
	}
	return replies[demoRecipient].StatusText, client.Quit()
}

// show prints the delivered mail from the Maildir.
func (d *demo) show() error {
	box := maildir.Dir(filepath.Join(d.dir, "mail", demoDomain, "erin"))
	list, err := box.Unseen()
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return fmt.Errorf("%d messages in %q, want 1", len(list), box)
	}
	data, err := os.ReadFile(list[0].Filename())
	if err != nil {
		return err
	}
	d.out.printf("\n4. What Erin's mail reader, which knows no S/MIME, finds in her Maildir\n\n%s", excerpt(data, 1000))
	if !bytes.Contains(data, []byte("x-domsec=pass")) || !bytes.Contains(data, []byte("Third quarter: 42.\n")) {
		return errors.New("the delivered mail is not what it should be")
	}
	return nil
}

// excerpt indents the first lines of a text.
func excerpt(text []byte, lines int) string {
	var b bytes.Buffer
	for i, line := range bytes.Split(bytes.TrimRight(text, "\r\n"), []byte("\n")) {
		if i == lines {
			b.WriteString("   ...\n")
			break
		}
		fmt.Fprintf(&b, "   %s\n", bytes.TrimRight(line, "\r"))
	}
	return b.String()
}
