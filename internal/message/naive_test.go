package message

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
)

// everything the package does to a message, written a second time without regard to memory or speed.

type naiveField struct {
	name  string
	start int
	raw   []byte
}

type naiveMessage struct {
	envelope, blank, body []byte
	fields                []naiveField
	malformed, crlf       bool
}

var (
	naiveName   = regexp.MustCompile(`^([!-9;-~]{1,998})[ \t\r\n]*:`)
	naiveField1 = regexp.MustCompile(`^[!-9;-~]{1,998}[ \t]*:`)
)

func naiveParse(msg []byte) naiveMessage {
	var n naiveMessage
	i := bytes.IndexByte(msg, '\n')
	n.crlf = i < 0 || i > 0 && msg[i-1] == '\r'
	lines := bytes.SplitAfter(msg, []byte("\n"))
	at := 0 // end of line
	for k, line := range lines {
		at += len(line)
		if s := string(line); s == "\n" || s == "\r\n" {
			n.blank = line
			n.body = bytes.Join(lines[k+1:], nil)
			break
		}
		space := len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		switch {
		case len(line) == 0:
		case k == 0 && bytes.HasPrefix(line, []byte("From ")) && !naiveName.Match(line) && naiveHeads(line, lines[1:]):
			n.envelope = line
		case space && len(n.fields) > 0:
			f := &n.fields[len(n.fields)-1]
			f.raw = msg[f.start:at]
		default:
			n.fields = append(n.fields, naiveField{start: at - len(line), raw: line})
			n.malformed = n.malformed || !naiveField1.Match(line)
		}
	}
	for k := range n.fields {
		if m := naiveName.FindSubmatch(n.fields[k].raw); m != nil {
			n.fields[k].name = strings.ToLower(string(m[1]))
		}
	}
	return n
}

// naiveHeads: a "From " line with nothing on it is an envelope line when the next line begins a field.
func naiveHeads(line []byte, next [][]byte) bool {
	if len(bytes.Trim(line[5:], " \t\r\n")) > 0 {
		return true
	}
	return len(next) > 0 && len(next[0]) > 0 && !strings.Contains(" \t", string(next[0][:1])) &&
		string(next[0]) != "\n" && string(next[0]) != "\r\n"
}

func naiveToLF(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func naiveToCRLF(s string) string { return strings.ReplaceAll(naiveToLF(s), "\n", "\r\n") }

func naiveWrite(msg []byte, edits []Edit, body []byte, newBody bool, ends LineEnds, prepend []string) string {
	n := naiveParse(msg)
	received, ours := func(s string) string { return s }, naiveToCRLF
	switch {
	case ends == LF:
		received, ours = naiveToLF, naiveToLF
	case ends == CRLF:
		received = naiveToCRLF
	case !n.crlf:
		ours = naiveToLF
	}
	var top, rest strings.Builder
	for _, p := range prepend {
		top.WriteString(ours(p))
	}
	for _, e := range edits {
		if e.Op == Prepend {
			top.WriteString(ours(e.Text))
		}
	}
	firstGone := false
	for i, f := range n.fields {
		gone, text := false, ""
		for _, e := range edits {
			if e.Op != Prepend && e.Index == i {
				gone = true
				if e.Op == Replace {
					text += ours(e.Text)
				}
			}
		}
		if !gone {
			text = received(string(f.raw))
		}
		firstGone = firstGone || gone && i == 0
		rest.WriteString(text)
	}
	out := top.String()
	if len(n.fields) > 0 && strings.ContainsAny(string(n.fields[0].raw[:1]), " \t") && out != "" && !firstGone {
		out += ours(fragmentGuard)
	}
	if ends == AsGiven {
		out = string(n.envelope) + out
	}
	out += rest.String()
	if !newBody {
		return out + received(string(n.blank)+string(n.body))
	}
	if n.blank == nil && out != "" && !strings.HasSuffix(out, "\n") {
		out += ours("\r\n")
	}
	if n.blank == nil {
		out += ours("\r\n")
	}
	return out + received(string(n.blank)) + ours(string(body))
}

// randomMessage makes messages out of the pieces that parsers stumble over.
func randomMessage(r *rand.Rand) []byte {
	pieces := []string{
		"From", "from", "From ", "From a@example.org Mon Jan  1", "Subject", ":", " :", " ", "\t", "\r", "\n", "\r\n", "\r\n", "\r\n",
		"\r\n ", "\n\t", "\r\n\r\n", "\n\n", "\x00", "\xff\xfe", "a", "b: c\r\n", "Received: x\r\n\ty\r\n", "D: e\n", "\r\r\n",
		"X-" + strings.Repeat("y", 40), "--b", "--", "é", ".\r\n", "AUTHENTICATION-RESULTS : mx;\r\n",
	}
	var b bytes.Buffer
	for range r.IntN(24) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.Bytes()
}
