package policy

import (
	"strings"
	"testing"

	"paperknife/internal/message"
)

// The flag to the user: what a sender writes into a Subject is never taken for our warning, however it is written.
func TestForgedSubject(t *testing.T) {
	for value, want := range map[string]bool{
		"[Warning: sealed by example.com, not by the sender's domain] Hello":                                  true,
		"[warning:  SEALED by\r\n example.com, not by the sender's domain] Hello":                             true,
		"\t [Warning: sealed by example.com":                                                                  true,
		"=?utf-8?q?=5BWarning=3A_sealed_by_example.com,_not_by_the_sender's_domain=5D?=":                      true,
		"=?UTF-8?B?W1dhcm5pbmc6IHNlYWxlZCBieSBleGFtcGxlLmNvbV0=?=":                                            true,
		"=?utf-8?q?=5BWarning=3A?=\r\n =?utf-8?q?_sealed_by_example.com?=":                                    true,
		"=?windows-1252?Q?=5BWarning=3A_sealed_by_example.com?=":                                              true,
		"=?koi8-r?Q?=5BWarning=3A_sealed_by_example.com?=":                                                    true,
		"=?utf-8*en?Q?=5BWarning=3A_sealed_by_example.com?=":                                                  true,
		"=?utf-16be?Q?=00[=00W=00a=00r=00n=00i=00n=00g=00:=00_=00s=00e=00a=00l=00e=00d=00_=00b=00y=00_=00x?=": true,
		"=?utf-8?q?=E2=80=8B[Warning:_sealed_by_example.com?=":                                                true, // ZERO WIDTH SPACE
		"[War\u00adning: sealed by example.com":                                                               true, // SOFT HYPHEN
		"Hello [Warning: sealed by example.com":                                                               false,
		"?Warning: sealed by example.com":                                                                     false,
		"Warning: sealed by example.com":                                                                      false,
		"[Warning: sealed]":                                                                                   false,
		"":                                                                                                    false,
	} {
		f := facts(from("a@example.com"), nil)
		f.Fields = []Field{{Index: 4, Name: "subject", Raw: []byte("Subject: " + value + "\r\n")}}
		var replaced []message.Edit
		for _, e := range Decide(f, settings, ClassReceived).Edits {
			if e.Op == message.Replace {
				replaced = append(replaced, e)
			}
		}
		if !want {
			if len(replaced) > 0 {
				t.Errorf("%q: %v", value, replaced)
			}
			continue
		}
		if len(replaced) != 1 || replaced[0].Index != 4 || message.CheckText(replaced[0].Text) != nil {
			t.Errorf("%q: %v", value, replaced)
			continue
		}
		_, now, _ := strings.Cut(replaced[0].Text, ":")
		if looksLikeFlag(strings.TrimSuffix(now, "\r\n")) || !strings.Contains(now, "?") {
			t.Errorf("%q: became %q", value, now)
		}
	}
}
