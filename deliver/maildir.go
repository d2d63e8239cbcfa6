package deliver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"paperknife/internal/durable"
	"paperknife/internal/message"
	"paperknife/internal/status"
)

// MaildirSettings says where the Maildirs are and what is written into them.
type MaildirSettings struct {
	// Template is the path of a recipient's Maildir, "mail/{domain}/{local}". {domain} is the domain as lower-case
	// A-label. {local} is the local part without detail, unquoted, A-Z folded to lower case; what is not a letter,
	// digit or one of "-_+=." is escaped as %xx. {detail} is what follows the recipient delimiter; a path component
	// that names it is left out when there is none. {home}, only in front, is the recipient's home directory.
	// What is missing is made, but never a home directory.
	Template string

	// Base is the directory a relative Template starts from.
	Base string

	// RecipientDelimiter is Postfix's recipient_delimiter: a set of characters, the first of which in the local part
	// begins the detail.
	RecipientDelimiter string

	// Hostname is the host in file names; empty means the system's.
	Hostname string

	// ReceivedBy is the name after "by" in the Received field; empty means Hostname.
	ReceivedBy string

	// Home finds the home directory of a recipient, for {home}. An error that holds a failed *Result decides;
	// any other is temporary.
	Home func(ctx context.Context, address string) (string, error)

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Maildir is a Target that writes each recipient's copy as a file of its own, with LF line ends, mode 0600.
type Maildir struct {
	settings MaildirSettings
	template *template
	host     string
	making   sync.Mutex // held while the fixed part of the template is made, so that who finds it there finds it synced
}

// NewMaildir returns a Target with a Maildir for each recipient.
func NewMaildir(s MaildirSettings) (*Maildir, error) {
	t, err := parseTemplate(s.Template, s.Base)
	if err != nil {
		return nil, err
	}
	if t.home && s.Home == nil {
		return nil, fmt.Errorf("maildir %q: nothing known about home directories", s.Template)
	}
	return newMaildir(s, t)
}

// NewMaildirAt returns a Target that writes everything into the Maildir dir. Template, Base, RecipientDelimiter and
// Home of s are not used; a recipient may be anything, also empty.
func NewMaildirAt(dir string, s MaildirSettings) (*Maildir, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return newMaildir(s, &template{fixed: dir})
}

func newMaildir(s MaildirSettings, t *template) (*Maildir, error) {
	if s.Hostname == "" {
		var err error
		if s.Hostname, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	if s.ReceivedBy == "" {
		s.ReceivedBy = s.Hostname
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Maildir{settings: s, template: t, host: escapeHost(s.Hostname)}, nil
}

// Begin starts a transaction.
func (m *Maildir) Begin(ctx context.Context, sender string) Transaction {
	return &maildirTransaction{maildir: m, ctx: ctx, sender: sender, trace: traceFrom(ctx)}
}

type maildirTransaction struct {
	maildir *Maildir
	ctx     context.Context // of Begin, for Rcpt
	sender  string
	trace   Trace
}

// Rcpt refuses an address that has no Maildir, whatever would be delivered.
func (t *maildirTransaction) Rcpt(addr, _ string) Result {
	if _, refusal := t.maildir.place(t.ctx, addr); refusal != nil {
		return *refusal
	}
	return accepted()
}

// Deliver writes one file for each recipient, one after the other; two that share a Maildir get one each.
func (t *maildirTransaction) Deliver(ctx context.Context, view View, recipients []Recipient) []Result {
	results := make([]Result, len(recipients))
	for i, r := range recipients {
		results[i] = t.deliver(ctx, view, r.Address)
	}
	return results
}

// Close has nothing to give back: every file is on disk or gone by then.
func (t *maildirTransaction) Close() error { return nil }

func (t *maildirTransaction) deliver(ctx context.Context, view View, addr string) Result {
	where, refusal := t.maildir.place(ctx, addr)
	if refusal != nil {
		return *refusal
	}
	s := &t.maildir.settings
	fields := traceFields(t.trace, t.sender, addr, s.ReceivedBy, s.Now())
	if err := t.maildir.store(ctx, where, view, fields); err != nil {
		return fault(err)
	}
	return status.Delivered()
}

// A place is where one Maildir is: a directory of the administrator's (or the recipient's home), and a path that
// never leads out of it.
type place struct {
	top    string
	box    string
	isHome bool
}

func (m *Maildir) place(ctx context.Context, addr string) (place, *Result) {
	if m.template.forAll() {
		return place{top: m.template.fixed, box: "."}, nil
	}
	refuse := func(r Result) (place, *Result) { return place{}, &r }
	a, err := parseAddress(addr)
	if err == nil && a.domain == "" && m.template.uses("domain") {
		err = fmt.Errorf("%w: no domain", errAddress)
	}
	if err != nil {
		return refuse(badAddress(fmt.Errorf("recipient %q: %w", addr, err)))
	}
	box, err := m.template.expand(a, m.settings.RecipientDelimiter)
	if err != nil {
		return refuse(badAddress(fmt.Errorf("recipient %q: %w", addr, err)))
	}
	if !m.template.home {
		return place{top: m.template.fixed, box: box}, nil
	}
	home, err := m.settings.Home(ctx, addr)
	if err == nil && !filepath.IsAbs(home) {
		err = fmt.Errorf("home directory %q of %q is not absolute", home, addr)
	}
	if err != nil {
		return refuse(homeFault(err))
	}
	return place{top: home, box: box, isHome: true}, nil
}

// store writes one file. It tries again once when the Maildir has to be made, and once when unnamed files cannot be
// linked; in both cases nothing of the first attempt is there.
func (m *Maildir) store(ctx context.Context, where place, view View, fields []string) error {
	made, again := false, false
	for {
		err := m.storeOnce(ctx, where, view, fields)
		switch {
		case errors.Is(err, durable.ErrAgain) && !again:
			again = true
		case errors.Is(err, fs.ErrNotExist) && !made:
			made = true
			if err := m.makeBox(where); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (m *Maildir) storeOnce(ctx context.Context, where place, view View, fields []string) (err error) {
	box, err := openBox(where)
	if err != nil {
		return err
	}
	defer func() { _ = box.Close() }() // a directory that was only read
	file, err := durable.Create(box, "new", "tmp/"+uniqueName(m.settings.Now(), m.host))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Abort()) }() // for a view that panics, too
	size := &sizer{ctx: ctx, w: file}
	if err := writeView(size, view, fields); err != nil {
		return err
	}
	return m.commit(file, size.suffix())
}

// maxNames is how many taken names in a row are chance. The second one is none already.
const maxNames = 16

func (m *Maildir) commit(file *durable.File, suffix string) error {
	var err error
	for range maxNames {
		err = file.Commit(uniqueName(m.settings.Now(), m.host) + suffix)
		if !errors.Is(err, durable.ErrExists) {
			return err
		}
	}
	return err
}

var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

func writeView(w *sizer, view View, fields []string) error {
	buffer := buffers.Get().(*bufio.Writer)
	buffer.Reset(w)
	defer func() {
		buffer.Reset(nil)
		buffers.Put(buffer)
	}()
	if err := view.Write(buffer, message.LF, fields...); err != nil {
		return err
	}
	return buffer.Flush()
}

// openBox opens a Maildir that is complete. tmp/ is made last, when all else is synced, so its presence says that
// the way to this Maildir survives a power cut even if the one who made it did not live to reply (THREATS C07).
func openBox(where place) (*os.Root, error) {
	top, err := os.OpenRoot(where.top)
	if err != nil {
		return nil, err
	}
	defer func() { _ = top.Close() }() // a directory that was only read
	box, err := top.OpenRoot(where.box)
	if err != nil {
		return nil, err
	}
	if _, err := box.Stat("tmp"); err != nil {
		return nil, errors.Join(err, box.Close())
	}
	return box, nil
}

// makeBox makes a Maildir and the directories above it, see openBox for the order.
func (m *Maildir) makeBox(where place) error {
	if !where.isHome {
		if err := m.makeTop(where.top); err != nil {
			return err
		}
	}
	top, err := os.OpenRoot(where.top)
	if err != nil {
		return err
	}
	defer func() { _ = top.Close() }() // a directory that was only read
	if err := top.MkdirAll(path.Join(where.box, "cur"), 0o700); err != nil {
		return err
	}
	if err := durable.MakeDirs(top, path.Join(where.box, "new"), 0o700); err != nil {
		return err
	}
	return top.MkdirAll(path.Join(where.box, "tmp"), 0o700)
}

func (m *Maildir) makeTop(dir string) error {
	m.making.Lock()
	defer m.making.Unlock()
	return durable.MakePath(dir, 0o700)
}
