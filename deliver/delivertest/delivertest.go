// Package delivertest is the test every deliver.Target has to pass: all or nothing for each recipient, one Result per
// recipient in order, nothing of the system's in what a sender sees. It is for tests only.
package delivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"paperknife/deliver"
	"paperknife/internal/message"
)

// A View is a message held in a string. It fails after FailAfter octets with Err, or panics, if these are set.
type View struct {
	Text      string
	Err       error
	FailAfter int
	Panic     bool
}

// Write writes the fields and the text with the line ends asked for.
func (v View) Write(w io.Writer, ends message.LineEnds, prepend ...string) error {
	text := strings.Join(prepend, "") + v.Text
	switch ends {
	case message.LF:
		text = strings.ReplaceAll(text, "\r\n", "\n")
	case message.CRLF:
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	}
	if v.Err != nil || v.Panic {
		text = text[:min(v.FailAfter, len(text))]
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if v.Panic {
		panic("view failed")
	}
	return v.Err
}

// A Fixture is one target, fresh, and what a test can see of where it delivers.
type Fixture struct {
	Target deliver.Target

	// Messages returns every message that is there now, complete or not, in no particular order.
	Messages func(t *testing.T) [][]byte

	// Single is set for a target that writes one message for all recipients of a transaction and takes back nothing
	// on failure (standard output).
	Single bool

	// LineEnds is what the target's messages have.
	LineEnds message.LineEnds
}

const text = "From: a@example.com\r\nSubject: test\r\n\r\nline\r\n.\r\nlast without end"

// Run runs the suite. setup makes a fresh target each time; Addresses accepted by it must include
// user@example.net, other@example.net and third@example.net.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	tests := []struct {
		name string
		test func(*testing.T, Fixture)
	}{
		{"one recipient", testOne},
		{"results in order", testOrder},
		{"one recipient twice", testTwice},
		{"second view", testSecondView},
		{"failing view", testFailingView},
		{"panicking view", testPanic},
		{"context ended", testContext},
		{"large view", testLarge},
		{"hostile names", testHostileNames},
		{"no recipients", testNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, setup(t)) })
	}
}

func recipients(addresses ...string) []deliver.Recipient {
	list := make([]deliver.Recipient, len(addresses))
	for i, a := range addresses {
		list[i].Address = a
	}
	return list
}

func (f Fixture) begin(t *testing.T) deliver.Transaction {
	t.Helper()
	tx := f.Target.Begin(t.Context(), "sender@example.com")
	t.Cleanup(func() {
		for range 2 { // closing twice does no harm
			if err := tx.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
	return tx
}

// check fails unless the messages there are as many as copies says, each whole.
func (f Fixture) check(t *testing.T, body string, copies int) {
	t.Helper()
	if f.LineEnds == message.LF {
		body = strings.ReplaceAll(body, "\r\n", "\n")
	}
	messages := f.Messages(t)
	if f.Single && copies > 1 {
		copies = 1
	}
	if len(messages) != copies {
		t.Errorf("%d messages, want %d", len(messages), copies)
	}
	for _, m := range messages {
		if !bytes.HasSuffix(m, []byte(body)) {
			t.Errorf("message ends in %q, want %q", m[max(0, len(m)-len(body)):], body)
		}
	}
}

// discreet fails if a Result shows a sender more than a constant of ours.
func discreet(t *testing.T, r deliver.Result) {
	t.Helper()
	for _, c := range []byte(r.Text) {
		if c != ' ' && c != ',' && (c < 'a' || c > 'z') {
			t.Errorf("text %q", r.Text)
			return
		}
	}
}

func testOne(t *testing.T, f Fixture) {
	tx := f.begin(t)
	if r := tx.Rcpt("user@example.net", ""); !r.Delivered() {
		t.Fatalf("Rcpt: %v", &r)
	}
	f.check(t, text, 0)
	results := tx.Deliver(t.Context(), View{Text: text}, recipients("user@example.net"))
	if len(results) != 1 || !results[0].Delivered() {
		t.Fatalf("results %v", results)
	}
	f.check(t, text, 1)
}

// THREATS C04, C05: n recipients, n results, each about its own recipient.
func testOrder(t *testing.T, f Fixture) {
	tx := f.begin(t)
	list := recipients("user@example.net", "\x00@example.net", "other@example.net", "third@example.net")
	var want []bool
	copies := 0
	for _, r := range list {
		ok := tx.Rcpt(r.Address, "").Delivered()
		want = append(want, ok)
		if ok {
			copies++
		}
	}
	results := tx.Deliver(t.Context(), View{Text: text}, list)
	if len(results) != len(list) {
		t.Fatalf("%d results", len(results))
	}
	for i, r := range results {
		discreet(t, r)
		if r.Delivered() != want[i] {
			t.Errorf("recipient %d: %v", i, &r)
		}
	}
	f.check(t, text, copies)
}

// THREATS C05: a recipient named twice gets a copy for each.
func testTwice(t *testing.T, f Fixture) {
	results := f.begin(t).Deliver(t.Context(), View{Text: text}, recipients("user@example.net", "user@example.net"))
	if len(results) != 2 || !results[0].Delivered() || !results[1].Delivered() {
		t.Errorf("results %v", results)
	}
	f.check(t, text, 2)
}

func testSecondView(t *testing.T, f Fixture) {
	tx := f.begin(t)
	copies := 0
	for i, to := range []string{"user@example.net", "other@example.net"} {
		results := tx.Deliver(t.Context(), View{Text: text}, recipients(to))
		if len(results) != 1 || !f.Single && !results[0].Delivered() {
			t.Errorf("view %d: %v", i, results)
		}
		if results[0].Delivered() {
			copies++
		}
	}
	f.check(t, text, copies)
}

// Half a message is no message, and a fault of ours is temporary (THREATS C09, C28).
func testFailingView(t *testing.T, f Fixture) {
	for _, after := range []int{0, 10, 1 << 30} {
		view := View{Text: text, Err: errors.New("cannot read /secret/spool"), FailAfter: after}
		results := f.begin(t).Deliver(t.Context(), view, recipients("user@example.net", "other@example.net"))
		if len(results) != 2 {
			t.Fatalf("%d results", len(results))
		}
		for _, r := range results {
			discreet(t, r)
			if !r.Temporary() {
				t.Errorf("after %d: %v", after, &r)
			}
			if r.Err == nil {
				t.Errorf("after %d: no detail for the log", after)
			}
		}
	}
	if !f.Single {
		f.check(t, text, 0)
	}
}

func testPanic(t *testing.T, f Fixture) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		view := View{Text: text, Panic: true, FailAfter: 20}
		f.begin(t).Deliver(t.Context(), view, recipients("user@example.net"))
	}()
	if !f.Single {
		f.check(t, text, 0)
	}
}

func testContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range f.begin(t).Deliver(ctx, View{Text: text}, recipients("user@example.net")) {
		if !r.Temporary() {
			t.Errorf("%v", &r)
		}
	}
	f.check(t, text, 0)
}

func testLarge(t *testing.T, f Fixture) {
	body := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20_000)
	results := f.begin(t).Deliver(t.Context(), View{Text: body}, recipients("user@example.net"))
	if len(results) != 1 || !results[0].Delivered() {
		t.Fatalf("results %v", results)
	}
	f.check(t, body, 1)
}

// HostileNames are recipients that a target may refuse or accept, but must survive (THREATS C14, C30).
var HostileNames = []string{
	"a+../../b@example.net", `"../../etc"@example.net`, "a/../..@example.net", ".@example.net", "..@example.net", "@example.net", "",
	`""@example.net`, `"."@example.net`, `".."@example.net`, `"a b"@example.net`, "a%2fb@example.net", "a%2e%2e@example.net", "a\x00b@example.net",
	"a\r\nX: y@example.net", "\xc3@example.net", "&AOk-@example.net", "jos\u00e9@example.net", "a\u2028b@example.net", "a\u202eb@example.net",
	"a\\b@example.net", "-rf@example.net", "~root@example.net", "$(touch x)@example.net", "a@b@example.net", `"a@b"@example.net`, `"a`, `"a"b@c`,
	"a@../../etc", "a@..", "a@.", "a@/etc", "a@", "a@ex\x00ample", "a@[127.0.0.1]", "a@b..c", "a@xn--", "a@" + strings.Repeat("b.", 200) + "c",
	strings.Repeat("a", 300) + "@example.net", strings.Repeat("\u00e9", 200) + "@example.net", "user", "/etc/passwd", strings.Repeat("x", 64<<10),
}

func testHostileNames(t *testing.T, f Fixture) {
	if f.Single {
		t.Skip("a target that does not look at recipients")
	}
	copies := 0
	for _, name := range HostileNames {
		tx := f.begin(t)
		rcpt := tx.Rcpt(name, name)
		discreet(t, rcpt)
		if !rcpt.Delivered() && rcpt.Temporary() {
			t.Errorf("%.40q: %v", name, &rcpt)
		}
		results := tx.Deliver(t.Context(), View{Text: text}, recipients(name))
		if len(results) != 1 {
			t.Fatalf("%.40q: %d results", name, len(results))
		}
		discreet(t, results[0])
		if results[0].Delivered() != rcpt.Delivered() {
			t.Errorf("%.40q: %v at RCPT, %v at the end", name, &rcpt, &results[0])
		}
		if results[0].Delivered() {
			copies++
		}
	}
	f.check(t, text, copies)
	for _, m := range f.Messages(t) {
		header, _, _ := bytes.Cut(m, []byte("\nFrom: a@example.com"))
		if bytes.Contains(header, []byte("\nX:")) || bytes.IndexByte(header, 0) >= 0 {
			t.Errorf("a name broke out of its field: %q", header)
		}
	}
}

func testNone(t *testing.T, f Fixture) {
	if results := f.begin(t).Deliver(t.Context(), View{Text: text}, nil); len(results) != 0 {
		t.Errorf("results %v", results)
	}
	f.check(t, text, 0)
}

// String describes the view in a test's output.
func (v View) String() string { return fmt.Sprintf("view of %d octets", len(v.Text)) }
