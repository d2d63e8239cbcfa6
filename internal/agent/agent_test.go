package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/filter"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/status"
	"paperknife/internal/trust"
	"paperknife/seal"
	"paperknife/verifyhdr"
)

func TestGroups(t *testing.T) {
	target := &fakeTarget{}
	a, _ := newAgent(t, target, `
[mua]
default = "incapable"
users = { "carol@example.net" = "capable", "dora@example.net" = "received" }
`)
	recipients := []string{"erin@example.net", "bob@example.org", "carol@example.net", "ERIN@EXAMPLE.NET", "frank@elsewhere.example",
		"gina@sub.example.net", "dora@example.net", "erin+list@example.net"}
	equal(t, "status", send(t, a, figures(t), recipients...), "[2.0.0 2.0.0 2.0.0 2.0.0 2.0.0 2.0.0 2.0.0 2.0.0]")
	var got []string
	for _, d := range target.deliveries {
		view := "received"
		switch {
		case strings.Contains(d.text, "multipart/signed"):
			view = "opened"
		case strings.Contains(d.text, "\n\nThird quarter: 42.\n"):
			view = "plain"
		}
		got = append(got, view+": "+strings.Join(d.recipients, " "))
		equal(t, "sender", d.sender, "bounces@example.com")
	}
	// One call for each pair of keys and class; a domain without keys opens nothing, nor does one with other keys.
	equal(t, "deliveries", strings.Join(got, "; "), strings.Join([]string{
		"plain: erin@example.net ERIN@EXAMPLE.NET erin+list@example.net",
		"received: bob@example.org",
		"opened: carol@example.net",
		"received: frank@elsewhere.example gina@sub.example.net",
		"received: dora@example.net",
	}, "; "))
	if target.open != 0 {
		t.Errorf("%d transactions of the target are still open", target.open)
	}
}

// DESIGN rule 11: a key opens mail for its own domain and for no other, whoever else is named in the transaction.
func TestKeyServesItsDomain(t *testing.T) {
	p := newParties(t)
	cases := []struct {
		name     string
		to       seal.KeyPair
		rcpt     string
		opened   bool
		net, org uint64 // private-key operations
	}{
		{"ours", p.net, "erin@example.net", true, 1, 0},
		{"A-label in capitals", p.net, "erin@EXAMPLE.NET", true, 1, 0},
		{"the other domain's recipient", p.net, "bob@example.org", false, 0, 0},
		{"the other domain", p.org, "bob@example.org", true, 0, 1},
		{"sub-domain", p.net, "erin@sub.example.net", false, 0, 0},
		{"parent", p.net, "erin@net", false, 0, 0},
		{"domain in a quoted local part", p.net, `"erin@example.net"@elsewhere.example`, false, 0, 0},
		{"no domain that can be", p.net, "erin@example..net", false, 0, 0},
		{"encrypted to nobody here", p.encrypted, "erin@example.net", false, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			target := &fakeTarget{}
			a, _ := newAgent(t, target, "")
			msg := sealed(t, aliceHeader, signedBy(p.author), encryptedTo(c.to))
			equal(t, "status", send(t, a, msg, c.rcpt), "[2.0.0]")
			text := target.deliveries[0].text
			equal(t, "opened", strings.Contains(text, "Third quarter"), c.opened)
			equal(t, "operations of example.net", a.rings["example.net"].Operations(), c.net)
			equal(t, "operations of example.org", a.rings["example.org"].Operations(), c.org)
		})
	}
}

// A recipient whom the filter does not know by domain counts as one of the first domain.
func TestFilterRing(t *testing.T) {
	for _, c := range []struct {
		recipient string
		opened    bool
	}{{"", true}, {"erin", true}, {"erin@example.net", true}, {"bob@example.org", false}, {"frank@elsewhere.example", false}} {
		a, _ := newAgent(t, nil, "[mua]\ndefault = \"incapable\"\n")
		var out bytes.Buffer
		env := filter.Envelope{Recipient: c.recipient, RecipientKnown: c.recipient != ""}
		msg := spool.FromBytes(figures(t))
		r := a.Filter(context.Background(), env, msg, &out)
		equal(t, "result for "+c.recipient, r.Exit(), status.ExitDelivered)
		equal(t, "opened for "+c.recipient, strings.Contains(out.String(), "Third quarter"), c.opened)
	}
}

// DESIGN rule 3: a fault of ours in one message is "try again later" for every recipient that has no answer yet, and
// for no other.
func TestPanic(t *testing.T) {
	msg := append([]byte("Received: from a.example by b.example; Mon, 05 Jan 2026 09:00:00 +0000\r\nDelivered-To: erin@example.net\r\n"), figures(t)...)
	cases := []struct {
		name string
		on   string // panics when the group of this recipient is delivered
		want string // erin is looped, bob is of another domain, carol is capable
	}{
		{"no panic", "", "[5.4.6 2.0.0 2.0.0 2.0.0]"},
		{"last group", "carol@example.net", "[5.4.6 2.0.0 4.3.0 2.0.0]"},
		{"first group", "dora@example.net", "[5.4.6 2.0.0 2.0.0 4.3.0]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			target := &fakeTarget{}
			target.before = func(addresses []string) {
				if slices.Contains(addresses, c.on) {
					panic("target broke")
				}
			}
			a, _ := newAgent(t, target, "[mua]\nusers = { \"carol@example.net\" = \"capable\" }\n")
			var log bytes.Buffer
			a.log = slog.New(slog.NewTextHandler(&log, nil))
			equal(t, "status", send(t, a, msg, "erin@example.net", "bob@example.org", "carol@example.net", "dora@example.net"), c.want)
			if strings.Contains(log.String(), "target broke") != (c.on != "") {
				t.Errorf("log:\n%s", &log)
			}
		})
	}
}

// A target that forgets an answer has not delivered.
func TestTargetAnswersTooFew(t *testing.T) {
	for n, want := range []string{"[4.3.0 4.3.0]", "[2.0.0 4.3.0]", "[2.0.0 2.0.0]", "[2.0.0 2.0.0]"} {
		target := &fakeTarget{answer: func([]string) []status.Result {
			return slices.Repeat([]status.Result{status.Delivered()}, n)
		}}
		a, _ := newAgent(t, target, "")
		equal(t, "status", send(t, a, figures(t), "erin@example.net", "dora@example.net"), want)
	}
}

// THREATS C09: while a key cannot be used, mail that needs it waits, and all other mail is delivered.
func TestKeyStoreFailure(t *testing.T) {
	p := newParties(t)
	faults := map[string]func(path string) error{
		"missing":   os.Remove,
		"garbage":   func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o600) },
		"directory": func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
		"of another": func(path string) error {
			key, err := p.org.KeyPEM()
			if err != nil {
				return err
			}
			return os.WriteFile(path, key, 0o600)
		},
	}
	for name, breakIt := range faults {
		t.Run(name, func(t *testing.T) {
			target := &fakeTarget{}
			a, dir := newAgent(t, target, "")
			path := filepath.Join(dir, "net.key")
			good, err := os.ReadFile(path)
			check(t, err)
			check(t, breakIt(path))
			plain := []byte(aliceHeader + "\r\nplain\r\n")
			equal(t, "plain mail", send(t, a, plain, "erin@example.net"), "[2.0.0]")
			signed := sealed(t, aliceHeader, signedBy(p.author), domainSignedBy(p.domain))
			equal(t, "signed mail", send(t, a, signed, "erin@example.net"), "[2.0.0]")
			equal(t, "mail encrypted to another", send(t, a, sealed(t, aliceHeader, encryptedTo(p.encrypted)), "erin@example.net"), "[2.0.0]")
			equal(t, "encrypted mail", send(t, a, figures(t), "erin@example.net", "bob@example.org"), "[4.3.0 2.0.0]")
			check(t, os.RemoveAll(path))
			check(t, os.WriteFile(path, good, 0o600))
			equal(t, "encrypted mail, key put right", send(t, a, figures(t), "erin@example.net"), "[2.0.0]")
		})
	}
}

// What the sender may see of a fault of ours is constant: no path, no key, no word of Go.
func TestFaultTextIsConstant(t *testing.T) {
	a, dir := newAgent(t, &fakeTarget{}, "")
	check(t, os.Remove(filepath.Join(dir, "net.key")))
	msg := spool.FromBytes(figures(t))
	r := a.Filter(context.Background(), filter.Envelope{}, msg, &bytes.Buffer{})
	equal(t, "line", r.Line(), "4.3.0 temporary failure, try again later")
	equal(t, "exit code", r.Exit(), status.ExitTempFail)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "net.key") {
		t.Errorf("the log does not learn which key: %v", r.Err)
	}
}

// DESIGN rule 12: the received message is on disk before the altered one is handed on.
func TestKeepOriginal(t *testing.T) {
	target := &fakeTarget{}
	a, dir := newAgent(t, target, "[policy]\nkeep_original = \"originals\"\n[mua]\nusers = { \"dora@example.net\" = \"received\" }\n")
	originals := filepath.Join(dir, "originals")
	before := -1
	target.before = func([]string) { before = len(stored(t, originals)) }
	msg := figures(t)

	equal(t, "status", send(t, a, msg, "dora@example.net"), "[2.0.0]")
	equal(t, "kept for a view that is not altered", before, 0)
	equal(t, "status", send(t, a, msg, "erin@example.net"), "[2.0.0]")
	equal(t, "kept before the delivery", before, 1)
	want := strings.ReplaceAll(string(msg), "\r\n", "\n")
	if list := stored(t, originals); len(list) != 1 || !strings.HasSuffix(list[0], want) {
		t.Errorf("kept: %q\nwant the end: %q", list, want)
	}

	// One that cannot be kept is not delivered.
	check(t, os.RemoveAll(originals))
	check(t, os.WriteFile(originals, nil, 0o600))
	target.deliveries, target.before = nil, nil
	equal(t, "status without a place for originals", send(t, a, msg, "erin@example.net", "dora@example.net"), "[4.3.0 2.0.0]")
	equal(t, "deliveries without a place for originals", len(target.deliveries), 1)
}

func TestEnforce(t *testing.T) {
	p := newParties(t)
	cases := []struct {
		enforce     string
		sealed      bool // a key of ours was used on it
		status      string
		delivered   int
		quarantined int
	}{
		{"report", false, "[2.0.0]", 1, 0},
		{"mark", false, "[2.0.0]", 1, 0},
		{"quarantine", false, "[2.0.0]", 0, 1},
		{"reject", false, "[5.7.1]", 0, 0},
		{"quarantine", true, "[2.0.0]", 0, 1},
		{"reject", true, "[2.0.0]", 0, 1}, // DESIGN rule 2
	}
	for _, c := range cases {
		target := &fakeTarget{}
		a, dir := newAgent(t, target, "[policy]\nenforce = \""+c.enforce+"\"\n")
		msg := forged(t)
		if c.sealed {
			msg = sealed(t, aliceHeader, signedBy(p.author), domainSignedBy(p.foreign), encryptedTo(p.net))
		}
		equal(t, c.enforce, send(t, a, msg, "erin@example.net"), c.status)
		equal(t, c.enforce+": delivered", len(target.deliveries), c.delivered)
		list := stored(t, filepath.Join(dir, "quarantine"))
		equal(t, c.enforce+": quarantined", len(list), c.quarantined)
		for _, text := range append(list, deliveredTexts(target)...) {
			if !strings.Contains(text, "\nDOMSEC-Flag: naming; signer=evil.example;") && !strings.HasPrefix(text, "DOMSEC-Flag: ") ||
				!strings.Contains(text, "Subject: [Warning: sealed by evil.example, not by the sender's domain]") {
				t.Errorf("%s: the user is not warned:\n%s", c.enforce, text)
			}
		}
	}
}

func deliveredTexts(f *fakeTarget) []string {
	var list []string
	for _, d := range f.deliveries {
		list = append(list, d.text)
	}
	return list
}

// A quarantine that cannot be written to is a fault of ours.
func TestQuarantineFull(t *testing.T) {
	target := &fakeTarget{}
	a, dir := newAgent(t, target, "[policy]\nenforce = \"quarantine\"\n")
	check(t, os.WriteFile(filepath.Join(dir, "quarantine"), nil, 0o600))
	equal(t, "status", send(t, a, forged(t), "erin@example.net"), "[4.3.0]")
	equal(t, "deliveries", len(target.deliveries), 0)
}

// DESIGN rule 2: whether the quarantine can be written must not show what was inside a ciphertext.
func TestQuarantineFullSealed(t *testing.T) {
	p := newParties(t)
	target := &fakeTarget{}
	a, dir := newAgent(t, target, "[policy]\nenforce = \"quarantine\"\n")
	check(t, os.WriteFile(filepath.Join(dir, "quarantine"), nil, 0o600))
	msg := sealed(t, aliceHeader, signedBy(p.author), domainSignedBy(p.foreign), encryptedTo(p.net))
	equal(t, "status", send(t, a, msg, "erin@example.net"), "[2.0.0]")
	equal(t, "deliveries", len(target.deliveries), 1)
	if text := target.deliveries[0].text; !strings.Contains(text, "X-Quarantine: x-domsec; result=policy") {
		t.Errorf("no mark:\n%s", text)
	}
}

// A filter has no mailbox of its own: what would go into the quarantine is marked for those behind it, since an exit
// code 0 without a message would lose it, and any other would keep it waiting for ever.
func TestQuarantineOnStandardOutput(t *testing.T) {
	a, dir := newAgent(t, nil, "[policy]\nenforce = \"quarantine\"\n")
	var out bytes.Buffer
	r := a.Filter(context.Background(), filter.Envelope{}, spool.FromBytes(forged(t)), &out)
	equal(t, "exit code", r.Exit(), status.ExitDelivered)
	if !strings.Contains(out.String(), "X-Quarantine: x-domsec; result=policy\r\n") {
		t.Errorf("output:\n%s", &out)
	}
	equal(t, "quarantined", len(stored(t, filepath.Join(dir, "quarantine"))), 0)
}

func TestClassOf(t *testing.T) {
	a, _ := newAgent(t, &fakeTarget{}, `
[mua]
default = "received"
users = { "erin@example.net" = "capable", "Erin+Lists@example.net" = "incapable", "+odd@example.net" = "unknown" }
`)
	for address, want := range map[string]policy.Class{
		"erin@example.net":         policy.ClassCapable,
		"ERIN@Example.NET":         policy.ClassCapable,
		"erin+news@example.net":    policy.ClassCapable,
		"erin+@example.net":        policy.ClassCapable,
		"erin+lists@example.net":   policy.ClassIncapable, // the address as it is comes first
		"erin+lists+a@example.net": policy.ClassCapable,
		"erin-news@example.net":    policy.ClassReceived, // another delimiter
		`"erin"@example.net`:       policy.ClassCapable,  // another spelling of the mailbox
		"erin@example.org":         policy.ClassReceived,
		"erin":                     policy.ClassReceived,
		"+odd@example.net":         policy.ClassUnknown, // a delimiter in front sets nothing off
		"@example.net":             policy.ClassReceived,
	} {
		r := recipient{known: true}
		r.Address = address
		equal(t, address, a.classOf(r), want)
	}
	unknown := recipient{}
	unknown.Address = "erin@example.net"
	equal(t, "a recipient that is not known", a.classOf(unknown), policy.ClassReceived)
}

func TestExplain(t *testing.T) {
	target := &fakeTarget{}
	a, _ := newAgent(t, target, "")
	msg := spool.FromBytes(figures(t))
	at := time.Now()
	e, done, err := a.Explain(context.Background(), msg, "erin@example.net", at)
	check(t, err)
	defer done()
	var layers []string
	for _, l := range e.Layers {
		layers = append(layers, string(l.Type)+"/"+string(l.Role))
	}
	equal(t, "layers", layers, "[enveloped/dca signed/domain signed/originator]")
	equal(t, "authserv-id", e.AuthservID, "mx.example.net")
	equal(t, "subject", e.Subject, "Figures")
	equal(t, "action", e.Decision.Action, policy.ActionDeliver)
	equal(t, "view", e.Decision.View, policy.ViewPlain)
	equal(t, "depth", e.Decision.Depth, 2) // an originator's good signature stays for a reader that is unknown
	equal(t, "results", summary(e.Decision.Results), "smime=pass smime=pass x-domsec=pass")
	equal(t, "deliveries", len(target.deliveries), 0)
	var b bytes.Buffer
	check(t, e.View.Write(&b, 0))
	if !strings.Contains(b.String(), "Third quarter") {
		t.Errorf("view:\n%s", &b)
	}

	// Judged as of a time when the certificates were not valid yet.
	early, done2, err := a.Explain(context.Background(), msg, "erin@example.net", at.AddDate(-1, 0, 0))
	check(t, err)
	defer done2()
	equal(t, "results a year ago", summary(early.Decision.Results), "smime=policy smime=policy x-domsec=policy")
	if got := early.Decision.Results[0]; got.Reason != string(policy.ReasonUntrusted) ||
		!slices.Contains(got.Properties, verifyhdr.Property{Type: "policy", Name: "refused", Value: trust.ReasonNotYetValid}) {
		t.Errorf("a year ago: %+v", got)
	}

	// For a recipient of another domain nothing is opened.
	other, done3, err := a.Explain(context.Background(), msg, "bob@example.org", at)
	check(t, err)
	defer done3()
	equal(t, "layers for another domain", len(other.Layers), 1)
	equal(t, "role for another domain", other.Layers[0].Role, "other")
}

// One line of the log per recipient, and nothing of the message in it.
func TestLog(t *testing.T) {
	target := &fakeTarget{answer: func(addresses []string) []status.Result {
		results := slices.Repeat([]status.Result{status.Delivered()}, len(addresses))
		for i, address := range addresses {
			if address == "full@example.net" {
				results[i] = status.Defer(status.Enhanced{Class: 4, Subject: 3, Detail: 1}, "insufficient system storage", os.ErrClosed)
			}
		}
		return results
	}}
	a, _ := newAgent(t, target, "")
	var log bytes.Buffer
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	send(t, a, figures(t), "erin@example.net", "full@example.net")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("log:\n%s", &log)
	}
	for i, want := range [][]string{
		{"level=INFO", "msg=delivered", "queue_id=4F1", "from=bounces@example.com", "to=erin@example.net", "dsn=2.0.0", "size=",
			"action=deliver", "view=plain", `results="smime=pass smime=pass x-domsec=pass"`},
		{"level=ERROR", "msg=deferred", "to=full@example.net", "dsn=4.3.1", `text="insufficient system storage"`, "err="},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i+1, part, lines[i])
			}
		}
	}
	if strings.Contains(log.String(), "Figures") || strings.Contains(log.String(), "Third quarter") {
		t.Errorf("the log tells what is in the message:\n%s", &log)
	}
}

// The naming profiles that the configuration lets through are those that trust knows.
func TestNamingProfilesAgree(t *testing.T) {
	field, ok := reflect.TypeFor[config.Trust]().FieldByName("Naming")
	if !ok {
		t.Fatal("config.Trust has no Naming")
	}
	equal(t, "profiles of the configuration", strings.Fields(field.Tag.Get("enum")), trust.Profiles())
}

// A setting for a partner who has no domain would be lost without a word.
func TestPartnerWithoutDomain(t *testing.T) {
	c := config.Default()
	c.Partners = []config.Partner{{Domain: "192.0.2.1", Unauthenticated: "keep"}}
	if _, err := New(c, Options{}); err == nil || !strings.Contains(err.Error(), "partner") {
		t.Errorf("error %v", err)
	}
}

// compat = "lenient" reads what known senders write, and the log says so; "strict" delivers it as it came.
func TestCompat(t *testing.T) {
	for setting, want := range map[string]string{"lenient": `compat="smime-type of another object"`, "strict": "results=\"smime=neutral x-domsec=permerror\""} {
		c := config.Default()
		c.Compat = setting
		probe, err := New(c, Options{Target: &fakeTarget{}})
		check(t, err)
		a, _ := newAgent(t, &fakeTarget{}, "")
		a.strict = probe.strict
		var log bytes.Buffer
		a.log = slog.New(slog.NewTextHandler(&log, nil))
		msg := bytes.Replace(figures(t), []byte("smime-type=enveloped-data"), []byte("smime-type=signed-data"), 1)
		send(t, a, msg, "erin@example.net")
		if !strings.Contains(log.String(), want) || strings.Contains(log.String(), "x-domsec=pass") != (setting == "lenient") {
			t.Errorf("%s: log:\n%s", setting, &log)
		}
	}
}
