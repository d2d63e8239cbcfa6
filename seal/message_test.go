package seal

import "testing"

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct{ message, outer, entity string }{
		"plain": {"From: a@example.com\nSubject: x\n\nhello\n",
			"From: a@example.com\r\nSubject: x\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\n"},
		"MIME": {"From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/html;\r\n charset=utf-8\r\nSubject: x\r\n y\r\nCONTENT-transfer-encoding : 8bit\r\n\r\nb",
			"From: a@example.com\r\nSubject: x\r\n y\r\n", "Content-Type: text/html;\r\n charset=utf-8\r\nCONTENT-transfer-encoding : 8bit\r\n\r\nb"},
		"mbox":      {"From a@example.com Mon Jan 20\nTo: b\n\n", "To: b\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\n"},
		"no body":   {"To: b", "To: b\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\n"},
		"no header": {"\nTo: b\n", "", "Content-Type: text/plain; charset=us-ascii\r\n\r\nTo: b\r\n"},
		"empty":     {"", "", "Content-Type: text/plain; charset=us-ascii\r\n\r\n"},
	} {
		outer, entity := Split([]byte(c.message))
		if string(outer) != c.outer || string(entity) != c.entity {
			t.Errorf("%s: %q and %q", name, outer, entity)
		}
	}
}

func TestMessage(t *testing.T) {
	const entity = "Content-Type: application/pkcs7-mime\r\n\r\nMIAG\r\n"
	for name, c := range map[string]struct{ outer, want string }{
		"plain":        {"From: a\nTo: b\n", "From: a\r\nTo: b\r\nMIME-Version: 1.0\r\n" + entity},
		"a whole one":  {"From: a\r\nMime-Version: 1.0\r\nContent-Type: text/plain;\r\n format=flowed\r\nTo: b\r\n\r\nbody\r\n", "From: a\r\nTo: b\r\nMIME-Version: 1.0\r\n" + entity},
		"nothing":      {"", "MIME-Version: 1.0\r\n" + entity},
		"no line end":  {"From: a", "From: a\r\nMIME-Version: 1.0\r\n" + entity},
		"continuation": {"Subject: a\n content-type: b\n", "Subject: a\r\n content-type: b\r\nMIME-Version: 1.0\r\n" + entity},
	} {
		if got := Message([]byte(c.outer), []byte(entity)); string(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("From: a\nContent-Type: text/plain\n\nbody\n"))
	f.Add([]byte("Content-Type: application/pkcs7-mime\r\n\r\nMIAGCSqGSIb3DQEHAqCA\r\n"))
	f.Add([]byte(" x\n\t\n:\n\r\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		outer, entity := Split(message)
		isSigned(entity)
		whole := Message(outer, entity)
		outer2, entity2 := Split(whole)
		if string(outer) != string(outer2) || string(entity) != string(entity2) {
			t.Errorf("%q is taken apart into %q and %q, put together and apart again into %q and %q", message, outer, entity, outer2, entity2)
		}
	})
}
