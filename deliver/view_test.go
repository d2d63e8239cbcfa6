package deliver_test

import (
	"strings"
	"testing"

	"paperknife/deliver"
	"paperknife/internal/message"
	"paperknife/internal/spool"
)

// The two halves of a delivered file, edits of policy and fields of the target, go through one writer. The envelope
// line of an mbox goes, bare CR and NUL stay.
func TestMessageView(t *testing.T) {
	received := spool.FromBytes([]byte("From x Mon Jan  1 00:00:00 2026\r\nSubject: x\r\nX-Old: y\r\n\r\na\rb\x00\r\nend"))
	header, err := message.ParseHeader(received)
	if err != nil {
		t.Fatal(err)
	}
	var looked deliver.Fields = header
	if r, looped := deliver.Looped(looked, "erin@example.net"); looped {
		t.Error(&r)
	}
	view := &message.View{Received: received, Header: header, Edits: []message.Edit{
		{Op: message.Prepend, Text: "Authentication-Results: mx; none\r\n"}, {Op: message.Remove, Index: header.Find("x-old")[0]},
	}}
	dir := fastDir(t)
	m := newMaildir(t, deliver.MaildirSettings{Template: "{local}", Base: dir})
	for _, r := range send(t, m, view, "erin@example.net", "carol@example.net") {
		if !r.Delivered() {
			t.Error(&r)
		}
	}
	for _, b := range read(t, dir) {
		got := string(b)
		if !strings.HasPrefix(got, "Return-Path: <sender@example.com>\nDelivered-To: ") ||
			!strings.HasSuffix(got, "\nAuthentication-Results: mx; none\nSubject: x\n\na\rb\x00\nend") || strings.Count(got, "From x") != 0 {
			t.Errorf("file %q", got)
		}
	}
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files", n)
	}
}
