package postfix

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const textHeader = "From: Alice Arden <alice@sales.example.com>\r\n" +
	"To: bob@example.net\r\n" +
	"Subject: Octets\r\n" +
	"Date: Mon, 20 Jan 2014 09:00:00 +0000\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"\r\n"

// THREATS C19, C21: what SMTP can carry arrives octet by octet behind the doors that are ours to the end.
func TestOctets(t *testing.T) {
	l := open(t)
	l.server(t)
	long := func(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }
	bodies := map[string]string{
		"dots":       ".\r\n..\r\n.x\r\n...\r\nend\r\n",
		"dot first":  ".first\r\n",
		"dot last":   "text\r\n.\r\n",
		"empty":      "",
		"blank":      "\r\n\r\n\r\n",
		"from":       "From here on\r\nFrom alice Mon Jan 20 09:00:00 2014\r\n>From\r\n\r\nFrom x\r\n",
		"8 bit":      "Grüße aus Köln\r\n\xff\xfe raw\r\n",
		"white":      " \t \r\ntrailing \t\r\n\t\r\n",
		"3 KB lines": strings.Repeat(long(3000)+"\r\n", 40),
		"lengths":    long(997) + "\r\n" + long(998) + "\r\n" + long(999) + "\r\n" + long(2047) + "\r\n" + long(2048) + "\r\n" + long(2049) + "\r\n" + long(70000) + "\r\n",
		"long dots":  strings.Repeat(strings.Repeat(".", 3000)+"\r\n", 5),
		"commands":   "RSET\r\nQUIT\r\nMAIL FROM:<x@example.com>\r\n",
		"field-like": "Subject: not this\r\nAuthentication-Results: mx.example.net; none\r\n",
	}
	doors := l.doors()
	delete(doors, doorProcmail) // what those write is theirs
	delete(doors, doorMaildrop)
	wanted := map[*letter]string{}
	for name, body := range bodies {
		for door, to := range doors {
			m := newLetter([]byte(textHeader+body), to)
			l.submit(t, sender, m)
			wanted[m] = fmt.Sprintf("%s, %s\x00%s", door, name, strings.ReplaceAll(string(m.text), "\r\n", "\n"))
		}
	}
	for m := range wanted {
		l.await(t, "sent", m)
	}
	for m, expected := range wanted {
		name, text, _ := strings.Cut(expected, "\x00")
		if file := l.one(t, m); !strings.HasSuffix(file.text, "\n"+text) {
			t.Errorf("%s:\ngot  %.1500q\nwant %.1500q", name, file.text, text)
		}
	}
}

// A line that ends in CR, which sendmail(1) lets in, is on LMTP the CR CR LF of THREATS B01. It ends no message.
func TestStrayCR(t *testing.T) {
	l := open(t)
	l.server(t)
	header := strings.ReplaceAll(textHeader, "\r\n", "\n")
	bodies := map[string]string{
		"CR CR LF dot":         "before\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nsmuggled\n",
		"CR CR LF dot CR LF":   "before\r\n.\nafter\n",
		"LF dot CR CR LF":      "before\n.\r\nafter\n",
		"bare CR":              "a\rb\r.\rc\n",
		"no line end":          "the last line",
		"no line end, a dot":   "the last line\n.",
		"no line end, after":   "text\r",
		"nothing but a header": "",
	}
	wanted := map[*letter]string{}
	for name, body := range bodies {
		for _, door := range []string{doorLMTP, doorPipe} {
			m := newLetter([]byte(header+body), l.doors()[door])
			m.text = bytes.ReplaceAll(m.text, []byte("sales.example.com>\r\n"), []byte("sales.example.com>\n"))
			l.sendmail(t, sender, m)
			// Postfix ends the last line. On LMTP it puts CR LF after the CR, on a pipe LF, and there it reads as CR LF.
			text := string(m.text)
			if !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			if door == doorPipe {
				text = strings.ReplaceAll(text, "\r\n", "\n")
			}
			wanted[m] = fmt.Sprintf("%s, %s\x00%s", door, name, text)
		}
	}
	for m := range wanted {
		l.await(t, "sent", m)
	}
	for m, expected := range wanted {
		name, text, _ := strings.Cut(expected, "\x00")
		if file := l.one(t, m); !strings.HasSuffix(file.text, "\n"+text) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, file.text, text)
		}
	}
}
