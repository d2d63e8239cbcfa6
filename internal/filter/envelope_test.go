package filter

import (
	"strings"
	"testing"
)

func TestResolveEnvelope(t *testing.T) {
	path := "Return-Path: <r@example.com>\nSubject: a\n\n"
	tests := []struct {
		name  string
		given Given
		env   map[string]string
		head  string
		want  Envelope
	}{
		{"nothing", Given{}, nil, "Subject: a\n\n", Envelope{}},
		{"no message", Given{}, nil, "", Envelope{}},
		{"flags first", Given{"f@x", "d@x", true, true}, map[string]string{"SENDER": "e@x", "RECIPIENT": "e@x"}, path, Envelope{"f@x", "d@x", true, true}},
		{"environment", Given{}, map[string]string{"SENDER": "e@x", "RECIPIENT": "d@x"}, "", Envelope{"e@x", "d@x", true, true}},
		{"return-path before environment", Given{}, map[string]string{"SENDER": "r_x@example.com"}, path, Envelope{Sender: "r@example.com", SenderKnown: true}},
		{"after an mbox line", Given{}, nil, "From r@example.com Sat Jan  3 01:05:34 1996\n" + path, Envelope{Sender: "r@example.com", SenderKnown: true}},
		{"only as the first field", Given{}, nil, "Subject: a\n" + path, Envelope{}},
		{"CRLF, case, space", Given{}, nil, "RETURN-path : r@example.com \r\nSubject: a\r\n", Envelope{Sender: "r@example.com", SenderKnown: true}},
		{"folded", Given{}, nil, "Return-Path:\r\n\t<r@example.com>\r\n\r\n", Envelope{Sender: "r@example.com", SenderKnown: true}},
		{"null", Given{}, map[string]string{"SENDER": "e@x"}, "Return-Path: <>\n\n", Envelope{SenderKnown: true}},
		{"null on the command line", Given{SenderSet: true}, map[string]string{"SENDER": "e@x"}, path, Envelope{SenderKnown: true}},
		{"null in the environment", Given{}, map[string]string{"SENDER": ""}, "", Envelope{SenderKnown: true}},
		{"brackets", Given{"<>", "<d@x>", true, true}, nil, "", Envelope{"", "d@x", true, true}},
		{"empty recipient", Given{RecipientSet: true}, map[string]string{"RECIPIENT": "e@x"}, "", Envelope{}},
		{"malformed return-path", Given{}, map[string]string{"SENDER": "e@x"}, "Return-Path: <r@x\n\n", Envelope{Sender: "e@x", SenderKnown: true}},
		{"empty return-path", Given{}, nil, "Return-Path:\n\n", Envelope{}},
		{"return-path without an end", Given{}, nil, "Return-Path: <r@x>", Envelope{}},
		{"control character", Given{"a\nb@x", "d\x00@x", true, true}, nil, "", Envelope{Recipient: nobody, RecipientKnown: true}},
		{"too long", Given{Recipient: strings.Repeat("x", 2000), RecipientSet: true}, nil, "Return-Path: <" + strings.Repeat("x", 2000) + ">\n\n",
			Envelope{Recipient: nobody, RecipientKnown: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			getenv := func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }
			got := ResolveEnvelope(tt.given, getenv, []byte(tt.head))
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func FuzzResolveEnvelope(f *testing.F) {
	f.Add([]byte("From a b\nReturn-Path: <r@x>\n\n"), "e@x")
	f.Add([]byte("Return-Path:\r\n <>\r\n\r\n"), "")
	f.Fuzz(func(t *testing.T, head []byte, value string) {
		e := ResolveEnvelope(Given{}, func(string) (string, bool) { return value, true }, head)
		for _, s := range []string{e.Sender, e.Recipient} {
			if strings.ContainsAny(s, "\r\n\x00") || len(s) > maxAddress {
				t.Errorf("%q", s)
			}
		}
	})
}
