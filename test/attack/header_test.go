package attack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/seal"
	"paperknife/test/need"
)

const forgedResults = "Authentication-Results: " + authservID + "; smime=pass body.smime-identifier=boss@corp.example"

// THREATS B16, B18, B24: fields of ours inside other fields, for readers that end a line at a bare CR.
func TestB24FieldsBehindCR(t *testing.T) {
	l := theLab(t)
	for _, field := range []string{
		"Subject: x\r" + forgedResults, "X: y\r" + forgedResults + "\rZ: z", "X: y\r\n z\r" + forgedResults, "X: y\r\r" + forgedResults,
		"X: y\rauthentication-results\t : " + authservID + "; smime=pass", "X: y\rX-Unwrapped: x", "X: y\rDOMSEC-Flag: x",
		"X: " + strings.Repeat("y", 70000) + "\r" + forgedResults, "no field\r" + forgedResults, "\r" + forgedResults,
	} {
		d := l.deliver(t, []byte("From: eve@evil.example\r\n"+field+"\r\nTo: a@b\r\n\r\nx\r\n"), "unknown")
		as := strings.ReplaceAll(string(d.raw), "\r", "\n")
		if n := strings.Count(strings.ToLower(as), "\nauthentication-results"); n != 1 || strings.Contains(as, "\nX-Unwrapped") || strings.Contains(as, "\nDOMSEC") {
			t.Errorf("%.80q: delivered with\n%.2000q", field, d.raw)
		}
	}
	// A fold is none, and a CR in the body is nobody's business.
	for _, m := range []string{
		"From: eve@evil.example\r\nX: y\rz\r\n Authentication-Results: x\r\n\r\nx\r\n", "From: eve@evil.example\r\nX: y\r\n\r\nx\r" + forgedResults + "\r\n",
	} {
		if d := l.deliver(t, []byte(m), "unknown"); !bytes.Contains(d.raw, []byte("X: y")) || !strings.HasSuffix(string(d.raw), strings.ReplaceAll(m[30:], "\r\n", "\n")) {
			t.Errorf("%q: delivered with\n%q", m, d.raw)
		}
	}
}

// THREATS B03, B24: a second From that only some readers see keeps a good signature from passing.
func TestB03HiddenFrom(t *testing.T) {
	l := theLab(t)
	signed := must(t)(seal.Sign([]byte(plain), l.eve, seal.SignOptions{}))
	for _, field := range []string{
		"Subject: x\rFrom: " + bossAddress, "From\r: " + bossAddress, "From\x00: " + bossAddress, "From\t: " + bossAddress, "From\r\n : " + bossAddress,
		"fROM: " + bossAddress, " From: " + bossAddress, "From " + bossAddress, "\x0bFrom: " + bossAddress, "\xef\xbb\xbfFrom: " + bossAddress, "\r\r\nFrom: " + bossAddress,
		"From\xa0: " + bossAddress, "X\r\r\n From: " + bossAddress, "From : " + bossAddress,
	} {
		for _, order := range []string{field + "\r\nFrom: " + eveAddress + "\r\n", "From: " + eveAddress + "\r\n" + field + "\r\n"} {
			if strings.HasPrefix(order, "From boss") {
				continue // an mbox line on top is no field for anybody
			}
			l.noPass(t, append([]byte(order), signed...))
		}
	}
}

// THREATS B16: what a reader of another make finds in the delivered header.
func TestB16AsPythonReadsIt(t *testing.T) {
	python := need.Command(t, "python3")
	l := theLab(t)
	dir := t.TempDir()
	for i, header := range []string{
		"Subject: x\r" + forgedResults, "Subject: x\r\n\r\r\n" + forgedResults, "X: y\n\r" + forgedResults, "x\r\n" + forgedResults, "X: y\x0b" + forgedResults,
		"X: y\x0c\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8" + forgedResults, "From x\r\n" + forgedResults, ">From x\r\n" + forgedResults, "\x00\r\n" + forgedResults,
		strings.ReplaceAll(forgedResults, "Results:", "Results :"), strings.ReplaceAll(forgedResults, "Results: ", "Results:\r\n\t"),
		strings.ReplaceAll(forgedResults, "Results:", "Results\r\n :"), " " + forgedResults, "X:\r\n " + forgedResults + "\r\n" + forgedResults,
	} {
		d := l.deliver(t, []byte("To: a@b\r\n"+header+"\r\nTo: c@d\r\n\r\nx\r\n"), "unknown")
		d2 := l.deliver(t, []byte(header+"\r\nTo: c@d\r\n\r\nx\r\n"), "unknown")
		for j, raw := range [][]byte{d.raw, d2.raw} {
			file := filepath.Join(dir, string(rune('a'+i))+string(rune('0'+j)))
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	script := `import email, email.policy, sys, glob
for f in sorted(glob.glob(sys.argv[1] + "/*")):
    for p in (email.policy.default, email.policy.compat32):
        m = email.message_from_bytes(open(f, "rb").read(), policy=p)
        got = [str(v) for v in m.get_all("authentication-results", [])]
        if len(got) != 1 or "pass" in got[0]: print(f, got)`
	out, err := exec.Command(python, "-c", script, dir).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
