package corpora_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperknife/deliver"
	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/filter"
	"paperknife/internal/spool"
)

// hang is far more than any of these messages may take.
const hang = 30 * time.Second

// binary builds deliver-filter once.
var binary = sync.OnceValues(func() (string, error) {
	name := filepath.Join(scratch, "deliver-filter")
	out, err := exec.Command("go", "build", "-o", name, "paperknife/cmd/deliver-filter").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

// each runs f for every file, as many at once as there are processors.
func each(t *testing.T, files []file, f func(file) error) {
	t.Helper()
	work := make(chan file)
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for file := range work {
				if err := f(file); err != nil {
					t.Errorf("%s: %v", file.Name, err)
				}
			}
		})
	}
	for _, file := range files {
		work <- file
	}
	close(work)
	wg.Wait()
}

// pipe runs the command as a mail server does.
func pipe(command string, stdin []byte, args ...string) (stdout []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch}
	cmd.Stdin = bytes.NewReader(stdin)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		code, err = exit.ExitCode(), nil
	}
	if err == nil && stderr.Len() > 0 {
		err = fmt.Errorf("standard error is not silent: %q", stderr.Bytes())
	}
	return out.Bytes(), code, err
}

// TestPipe: every file, message or not, goes through deliver-filter to standard output. A recipient who wants his mail
// as received gets every octet of it; an empty input is no message, and is answered 75 (THREATS C19).
func TestPipe(t *testing.T) {
	c, config := load(t), configuration(t)
	command, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	each(t, c.files, func(f file) error {
		out, code, err := pipe(command, f.raw, "-config", config, "-d", recipient(f.Name, "received"), "-f", "sender@example.com")
		if err != nil {
			return err
		}
		if len(f.raw) == 0 {
			return answered75(out, code)
		}
		if code != 0 {
			return fmt.Errorf("exit %d: %q", code, out)
		}
		return unchanged(f, f.raw, out)
	})
}

func answered75(out []byte, code int) error {
	if code != 75 || !bytes.HasPrefix(out, []byte("4.")) {
		return fmt.Errorf("empty input: exit %d, %q", code, out)
	}
	return nil
}

// unchanged demands that nothing but fields on top and forged fields differ.
func unchanged(f file, in, out []byte) error {
	fields, err := expect(in, authservID).check(out)
	if err != nil {
		return err
	}
	if !f.smime() && !nothing(fields) {
		return fmt.Errorf("results for plain mail: %q", fields)
	}
	return nil
}

// TestPipeMaildir: the same into a Maildir, for a reader that shows no S/MIME; all that is S/MIME and a tenth of the
// rest.
func TestPipeMaildir(t *testing.T) {
	c, config := load(t), configuration(t)
	command, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for i, f := range c.files {
		if len(f.raw) > 0 && (f.smime() || i%10 == 0) {
			files = append(files, f)
		}
	}
	each(t, files, func(f file) error {
		dir, err := os.MkdirTemp(scratch, "maildir-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		to := recipient(f.Name, "incapable")
		out, code, err := pipe(command, f.raw, "-config", config, "-d", to, "-f", "sender@example.com", "-maildir", filepath.Join(dir, "m"))
		if err != nil || code != 0 || len(out) > 0 {
			return fmt.Errorf("exit %d: %q: %w", code, out, err)
		}
		return stored(f, f.raw, filepath.Join(dir, "m"), to)
	})
}

// sizes are S= and W= of a Maildir file name.
var sizes = regexp.MustCompile(`,S=(\d+),W=(\d+)$`)

// stored looks at the one message of a Maildir.
func stored(f file, in []byte, dir, to string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(names) != 1 || filepath.Base(filepath.Dir(names[0])) != "new" {
		return fmt.Errorf("not one message in new/, but %q: %w", names, err)
	}
	out, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	if err := named(names[0], out); err != nil {
		return err
	}
	out, err = traced(in, out, to)
	if err != nil {
		return err
	}
	if f.smime() {
		return nil // what layers come off, and what is below, is TestTruth's question
	}
	e := expect(in, authservID)
	e.envelope, e.rest, e.crlf = nil, toLF(e.rest), false
	fields, err := e.check(out)
	if err == nil && !nothing(fields) {
		err = fmt.Errorf("results for plain mail: %q", fields)
	}
	return err
}

// traced takes the fields off that a delivery agent writes.
func traced(in, out []byte, to string) ([]byte, error) {
	for name, want := range map[string]string{"return-path": "Return-Path: <sender@example.com>\n", "delivered-to": "Delivered-To: " + to + "\n"} {
		if at := bytes.Index(out, []byte(want)); !told(in, name) && at >= 0 && at <= 100 {
			out = append(bytes.Clone(out[:at]), out[at+len(want):]...)
		} else if !told(in, name) {
			return nil, fmt.Errorf("no %q on top, but %q", want, firstLine(out))
		}
	}
	fields, body := split(out)
	if len(fields) == 0 || nameOf(fields[0]) != "received" {
		return nil, fmt.Errorf("no Received on top, but %q", firstLine(out))
	}
	return append(bytes.Join(fields[1:], nil), body...), nil
}

func named(name string, content []byte) error {
	m := sizes.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("name without S= and W=: %q", filepath.Base(name))
	}
	lines, pairs := bytes.Count(content, []byte("\n")), bytes.Count(content, []byte("\r\n"))
	if m[1] != strconv.Itoa(len(content)) || m[2] != strconv.Itoa(len(content)+lines-pairs) {
		return fmt.Errorf("%s of %d octets with %d bare LF", m[0], len(content), lines-pairs)
	}
	return nil
}

// A form is a way in which a message can come.
type form struct {
	name string
	make func([]byte) []byte
}

var forms = []form{
	{"as it is", func(p []byte) []byte { return p }},
	{"LF", toLF},
	{"CRLF", toCRLF},
	{"mbox", func(p []byte) []byte {
		return append([]byte("From sender@example.com Sun Nov 22 09:30:00 2026\n"), toLF(p)...)
	}},
	{"mbox with CRLF", func(p []byte) []byte {
		return append([]byte("From sender@example.com Sun Nov 22 09:30:00 2026\r\n"), toCRLF(p)...)
	}},
}

// TestForms: what TestPipe shows holds in process for every form and every class of reader; plain mail is the same to
// all classes.
func TestForms(t *testing.T) {
	c := load(t)
	a := newAgent(t, agent.Options{})
	each(t, c.files, func(f file) error {
		for _, form := range forms {
			in := form.make(f.raw)
			if len(in) == 0 {
				continue
			}
			for _, class := range classes {
				out, err := through(a, in, recipient(f.Name, class))
				if err == nil && (class == "received" || !f.smime()) {
					err = unchanged(f, in, out)
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", form.name, class, err)
				}
			}
		}
		return nil
	})
}

// through gives a message to an agent as the filter does.
func through(a *agent.Agent, in []byte, to string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	var out bytes.Buffer
	if err := hand(ctx, a, in, to, &out); err != nil {
		return nil, err
	}
	if out.Len() == 0 {
		return nil, errors.New("no output")
	}
	return out.Bytes(), nil
}

func hand(ctx context.Context, a *agent.Agent, in []byte, to string, out io.Writer) error {
	env := filter.Envelope{Sender: "sender@example.com", SenderKnown: true, Recipient: to, RecipientKnown: true}
	received := spool.FromBytes(in)
	defer received.Close()
	r := a.Filter(ctx, env, received, out)
	if !r.Delivered() {
		return fmt.Errorf("%s: %w", strings.TrimSpace(r.Line()), r.Err)
	}
	return nil
}

// TestMaildirForms: every file into a Maildir, in process, as an mbox with CRLF, neither of which is to be there.
func TestMaildirForms(t *testing.T) {
	c := load(t)
	dir, err := os.MkdirTemp(scratch, "maildirs-")
	if err != nil {
		t.Fatal(err)
	}
	target, err := deliver.NewMaildir(deliver.MaildirSettings{Template: "{detail}", Base: dir, RecipientDelimiter: "+"})
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, agent.Options{Target: target})
	var number atomic.Int64
	each(t, c.files, func(f file) error {
		in := forms[len(forms)-1].make(f.raw)
		detail := strconv.FormatInt(number.Add(1), 10)
		to := strings.Replace(recipient(f.Name, "incapable"), "@", "+"+detail+"@", 1)
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := hand(ctx, a, in, to, nil); err != nil {
			return err
		}
		return errors.Join(stored(f, in, filepath.Join(dir, detail), to), os.RemoveAll(filepath.Join(dir, detail)))
	})
}

// TestForged: with the authserv-id of a big provider, whose fields many of these messages carry, every one of them goes
// (THREATS B16), whatever else is in the field, and nothing else does.
func TestForged(t *testing.T) {
	c := load(t)
	settings := config.Default()
	settings.AuthservID, settings.Policy.Quarantine, settings.Spool.Dir = provider, "", scratch
	a, err := agent.New(settings, agent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var claims atomic.Int64
	each(t, c.files, func(f file) error {
		if len(f.raw) == 0 {
			return nil
		}
		out, err := through(a, f.raw, "received@keyless.example")
		if err != nil {
			return err
		}
		e := expect(f.raw, provider)
		claims.Add(int64(among(e.removed, causeClaims)))
		if f.smime() {
			return nil // its layers come off; TestPipe has seen it
		}
		_, err = e.check(out)
		return err
	})
	t.Logf("%d fields that name %s removed", claims.Load(), provider)
	if claims.Load() < 20 {
		t.Error("fewer than there are")
	}
}

const provider = "mx.google.com"
