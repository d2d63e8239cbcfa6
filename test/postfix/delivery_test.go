package postfix

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"paperknife/seal"
	"paperknife/test/testpki"
)

var daemons atomic.Int64

// both are the keys of both domains, so that a message can be opened behind every door.
var both = []string{testpki.DCANet, testpki.DCAOrg}

// server starts the one lmtpd that the recipe of the README has.
func (l *lab) server(t *testing.T) *daemon {
	t.Helper()
	log := fmt.Sprintf("lmtpd.%d", daemons.Add(1))
	d := l.startLMTPD(t, log, l.path("bin", "lmtpd"), l.path("pk", "paperknife.toml"))
	d.listening(t)
	return d
}

// doors are the addresses behind each door of the recipes.
func (l *lab) doors() map[string]string {
	return map[string]string{
		doorLMTP:     "bob@example.net",
		doorLocal:    l.name + "@example.org",
		doorPipe:     "carol@example.net",
		doorProcmail: l.name + "+procmail@example.org",
		doorMaildrop: l.name + "+maildrop@example.org",
	}
}

const plainText = testpki.Header + "MIME-Version: 1.0\r\n" + testpki.Entity

// domainSealed is signed by Alice and by her domain, and encrypted: openssl signs as Alice and encrypts; only the mark
// of a domain signature it cannot make.
func domainSealed(t *testing.T, p *testpki.PKI) []byte {
	t.Helper()
	signer, err := seal.ParseKeyPair(p.Certificate(t, testpki.DomainSigner), p.Key(t, testpki.DomainSigner))
	if err != nil {
		t.Fatal(err)
	}
	o := testpki.Options{Recipients: both}
	entity, err := seal.SignAsDomain(p.SignEntity(t, []byte(testpki.Entity), true, o), signer, seal.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Message(p.EncryptEntity(t, entity, o), o)
}

// What is signed and sealed arrives opened through every door, with the same results.
func TestDelivery(t *testing.T) {
	l := open(t)
	l.server(t)
	p := l.pki
	detached, _ := p.SignDetached(t, testpki.Options{})
	opaque, _ := p.SignOpaque(t, testpki.Options{})
	encrypted, _ := p.Encrypt(t, testpki.Options{Recipients: both})
	sealed, _ := p.SignThenEncrypt(t, true, testpki.Options{Recipients: both})
	sealedOpaque, _ := p.SignThenEncrypt(t, false, testpki.Options{Recipients: both, Stream: true, OAEP: "sha256"})
	forged := append([]byte("Authentication-Results: mx.example.net; x-domsec=pass header.from=sales.example.com\r\n"), plainText...)
	tests := []struct {
		name    string
		message []byte
		results []string // one for each Authentication-Results, a regular expression
	}{
		{"plain", []byte(plainText), []string{`^none$`}},
		{"forged result", forged, []string{`^none$`}},
		{"signed detached", detached, []string{`^smime=pass .*body\.smime-identifier=alice@sales\.example\.com`, `^x-domsec=none`}},
		{"signed opaque", opaque, []string{`^smime=pass .*body\.smime-identifier=alice@sales\.example\.com`, `^x-domsec=none`}},
		{"encrypted", encrypted, []string{`^none$`, `^x-domsec=policy`}},
		{"signed then encrypted", sealed, []string{`^smime=pass .*body\.smime-identifier=alice@sales\.example\.com`, `^x-domsec=policy`}},
		{"signed opaque then encrypted", sealedOpaque, []string{`^smime=pass .*body\.smime-identifier=alice@sales\.example\.com`, `^x-domsec=policy`}},
		{"signed by the domain", domainSealed(t, p), []string{`^smime=pass .*smime=pass `, `^x-domsec=pass`}},
	}
	var letters []*letter
	type sent struct {
		door string
		test int
	}
	var of []sent
	for i, tt := range tests {
		for door, to := range l.doors() {
			m := newLetter(tt.message, to)
			l.submit(t, sender, m)
			letters, of = append(letters, m), append(of, sent{door, i})
		}
	}
	l.await(t, "sent", letters...)
	for i, m := range letters {
		tt := tests[of[i].test]
		file := l.one(t, m)
		body := file.body()
		if of[i].door == doorProcmail {
			body = strings.TrimRight(body, "\n") + "\n" // it ends every message with an empty line
		}
		if body != "Third quarter: 42.\n" || !strings.HasPrefix(file.field("Content-Type"), "text/plain") {
			t.Errorf("%s, %s: not opened: %s", of[i].door, tt.name, file.text)
		}
		checkResults(t, of[i].door+", "+tt.name, file, tt.results)
		if got := file.fields("Return-Path"); !slices.Equal(got, []string{"<" + sender + ">"}) {
			t.Errorf("%s, %s: Return-Path %q", of[i].door, tt.name, got)
		}
	}
}

func checkResults(t *testing.T, name string, file delivered, want []string) {
	t.Helper()
	got := file.fields("Authentication-Results")
	if len(got) != len(want) {
		t.Errorf("%s: results %q, want %q", name, got, want)
		return
	}
	for i := range want {
		result, ours := strings.CutPrefix(got[i], "mx.example.net; ")
		if !ours || !regexp.MustCompile(want[i]).MatchString(result) {
			t.Errorf("%s: result %q, want %q", name, got[i], want[i])
		}
	}
}

// One transaction, four recipients: each gets the view of his class, and a key opens mail of its own domain only.
func TestRecipientsOfOneMessage(t *testing.T) {
	l := open(t)
	d := l.server(t)
	sealed, _ := l.pki.SignThenEncrypt(t, true, testpki.Options{Recipients: []string{testpki.DCANet}})
	m := newLetter(sealed, "bob@example.net", "dave@example.net", "erin@example.net", "frank@example.org")
	l.submit(t, sender, m)
	l.await(t, "sent", m)
	want := map[string]string{
		"bob":   "text/plain",
		"dave":  "application/pkcs7-mime", // received
		"erin":  "multipart/signed",       // unknown: the signature of a person stays
		"frank": "application/pkcs7-mime", // of the other domain
	}
	files := l.arrived(t, m)
	if len(files) != len(want) {
		t.Fatalf("arrived %d times", len(files))
	}
	for _, file := range files {
		user, _, _ := strings.Cut(file.field("Delivered-To"), "@")
		if got := file.field("Content-Type"); !strings.HasPrefix(got, want[user]) {
			t.Errorf("%s has %s, want %s", user, got, want[user])
		}
	}
	log, err := os.ReadFile(d.logFile)
	if err != nil {
		t.Fatal(err)
	}
	// The name under which Postfix logs the message, from XFORWARD.
	for _, to := range m.to {
		line := regexp.MustCompile(`(?m)^.* msg=delivered queue_id=` + m.queueID + ` client=127\.0\.0\.1 .*to=` + regexp.QuoteMeta(to) + ` .*$`)
		if !line.Match(log) {
			t.Errorf("no line for %s and %s in the log of lmtpd:\n%s", m.queueID, to, log)
		}
	}
	if strings.Count(string(log), "queue_id="+m.queueID) != len(m.to) {
		t.Errorf("not one line for each recipient:\n%s", log)
	}
}

// The null reverse-path stays one through every door.
func TestNullSender(t *testing.T) {
	l := open(t)
	l.server(t)
	var letters []*letter
	for _, to := range l.doors() {
		m := newLetter([]byte(plainText), to)
		l.submit(t, "", m)
		letters = append(letters, m)
	}
	l.await(t, "sent", letters...)
	for _, m := range letters {
		if got := l.one(t, m).fields("Return-Path"); !slices.Equal(got, []string{"<>"}) {
			t.Errorf("%s: Return-Path %q", m.to, got)
		}
	}
}

// load gives messages for lmtpd until it is stopped.
func (l *lab) load(stop <-chan struct{}, text []byte) (given []*letter, err error) {
	for range 100 {
		select {
		case <-stop:
			return given, nil
		default:
		}
		m := newLetter(text, "bob@example.net")
		if err := l.give(sender, m); err != nil {
			return given, err
		}
		given = append(given, m)
	}
	return given, nil
}

// A server that is stopped loses nothing and delivers nothing twice; one that is killed loses nothing.
func TestRestartUnderLoad(t *testing.T) {
	l := open(t)
	sealed, _ := l.pki.SignThenEncrypt(t, true, testpki.Options{})
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		most   int // deliveries of one message
	}{{"stopped", syscall.SIGTERM, 1}, {"killed", syscall.SIGKILL, 4}} {
		t.Run(tt.name, func(t *testing.T) {
			d := l.server(t)
			stop := make(chan struct{})
			errs := make([]error, 4)
			batches := make([][]*letter, len(errs))
			var group sync.WaitGroup
			for i := range batches {
				group.Go(func() { batches[i], errs[i] = l.load(stop, sealed) })
			}
			for range 3 {
				time.Sleep(150 * time.Millisecond)
				d.end(t, tt.signal)
				if err := l.flush(); err != nil {
					t.Error(err)
				}
				d = l.server(t)
			}
			close(stop)
			group.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			all := slices.Concat(batches...)
			l.await(t, "sent", all...)
			twice := 0
			for _, m := range all {
				files := l.arrived(t, m)
				if len(files) == 0 || len(files) > tt.most {
					t.Errorf("%s arrived %d times", m.queueID, len(files))
				}
				if len(files) > 1 {
					twice++
				}
				for _, file := range files {
					if file.body() != "Third quarter: 42.\n" {
						t.Errorf("%s: %s", m.queueID, file.text)
					}
				}
			}
			t.Logf("%d messages, 3 restarts, %d arrived more than once", len(all), twice)
		})
	}
}
