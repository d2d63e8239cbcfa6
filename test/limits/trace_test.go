package limits

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperknife/seal"
	"paperknife/test/harness"
)

// needStrace skips the test where strace does not work, and fails it where the tests must all run.
func needStrace(t *testing.T) {
	t.Helper()
	harness.Need(t, "strace", exec.Command("strace", "-f", "-o", os.DevNull, "true").Run())
	if os.Getuid() != 0 {
		// lmtpd shields its memory, and with it the names of its descriptors.
		harness.Need(t, "root", errors.New("not root"))
	}
}

// A call is one system call of a trace: which lines it began and ended on, and what strace printed.
type call struct {
	began, ended int
	text         string
}

var traceLine = regexp.MustCompile(`^(\d+) +(.*)$`)

// calls reads a trace of several threads, in which a call may be torn.
func calls(t *testing.T, trace string) (list []call) {
	t.Helper()
	running := map[string]call{}
	n := 0
	for line := range strings.Lines(trace) {
		n++
		m := traceLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			t.Fatalf("unexpected line of strace: %q", line)
		}
		thread, text := m[1], m[2]
		if head, torn := strings.CutSuffix(text, " <unfinished ...>"); torn {
			running[thread] = call{began: n, text: head}
			continue
		}
		if strings.HasPrefix(text, "<... ") {
			_, tail, _ := strings.Cut(text, " resumed>")
			c := running[thread]
			list = append(list, call{c.began, n, c.text + tail})
			continue
		}
		list = append(list, call{n, n, text})
	}
	return list
}

// find returns the first call that matches and began after a line.
func find(t *testing.T, list []call, after int, pattern string) call {
	t.Helper()
	want := regexp.MustCompile(pattern)
	best := call{}
	for _, c := range list {
		if c.began > after && want.MatchString(c.text) && (best.text == "" || c.began < best.began) {
			best = c
		}
	}
	if best.text == "" {
		t.Fatalf("no %s after line %d", pattern, after)
	}
	return best
}

// trace runs lmtpd under strace, sends it a message, and returns its system calls.
func trace(t *testing.T, dir string, message []byte, recipients ...string) []call {
	t.Helper()
	log := filepath.Join(dir, "trace")
	s, err := launch(dir, "strace", "-D", "-f", "-q", "-y", "-s", "64", "-o", log, "-e", "trace=fsync,fdatasync,linkat,write,connect,socket,sendto,sendmsg", binary(t, "lmtpd"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	s.deliver(t, bytes.NewReader(message), recipients...)
	s.terminate(t)
	<-s.exited
	return calls(t, finished(t, log))
}

// ends are the lines of strace that are no calls: signals and exits.
var ends = regexp.MustCompile(`(?m)^\d+ +(\+\+\+|---) .*\n`)

// finished waits for strace to have written all.
func finished(t *testing.T, log string) string {
	t.Helper()
	for range 500 {
		if text := string(readFile(t, log)); strings.HasSuffix(text, " +++ exited with 0 +++\n") {
			return ends.ReplaceAllString(text, "")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("strace has not ended:\n%s", readFile(t, log))
	return ""
}

// DESIGN rule 4: the file is on disk, then it has its name, then the name is on disk, then comes the 250.
func TestOrderOfDelivery(t *testing.T) {
	needStrace(t)
	dir := site(t, "")
	list := trace(t, dir, urlMessage(t, "http://127.0.0.1:1"), incapable)
	fresh := regexp.QuoteMeta(filepath.Join(dir, "mail/example.net/erin/new"))
	ready := find(t, list, 0, `^write\(\d+<.*>, "354 `)
	synced := find(t, list, ready.ended, `^f(data)?sync\(\d+<`+fresh+`/#\d+>.*\) += 0`)
	linked := find(t, list, synced.ended, `^linkat\(.*<`+fresh+`>, "[^"/]+", AT_SYMLINK_FOLLOW\) += 0`)
	shown := find(t, list, linked.ended, `^f(data)?sync\(\d+<`+fresh+`>\) += 0`)
	answered := find(t, list, ready.ended, `^write\(\d+<.*>, "250 `)
	if answered.began < shown.ended {
		t.Errorf("250 on line %d, directory synced on line %d", answered.began, shown.ended)
	}
	t.Logf("lines of the trace: 354 %d, fsync(file) %d, linkat %d, fsync(new) %d, 250 %d",
		ready.ended, synced.ended, linked.ended, shown.ended, answered.began)
}

// THREATS A32: a message full of addresses to ask (issuer, revocation lists, OCSP) opens no connection, by the server or
// by the filter.
func TestA32NoConnections(t *testing.T) {
	needStrace(t)
	bait, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hits := make(chan string, 16)
	go func() {
		for {
			c, err := bait.Accept()
			if err != nil {
				close(hits)
				return
			}
			hits <- c.RemoteAddr().String()
			_ = c.Close()
		}
	}()
	dir := site(t, "")
	message := urlMessage(t, "http://"+bait.Addr().String())
	for _, c := range trace(t, dir, message, incapable) {
		if regexp.MustCompile(`^(connect|sendto|sendmsg)\(|^socket\(AF_INET`).MatchString(c.text) {
			t.Errorf("lmtpd: %s", c.text)
		}
	}
	if header := string(readFile(t, only(t, box(dir, incapable)))); !strings.Contains(header, "smime=") {
		t.Errorf("not looked at:\n%s", header)
	}
	for _, c := range traceFilter(t, dir, message) {
		if regexp.MustCompile(`AF_INET|sin6?_addr`).MatchString(c.text) {
			t.Errorf("deliver-filter: %s", c.text)
		}
	}
	if err := bait.Close(); err != nil {
		t.Fatal(err)
	}
	for from := range hits {
		t.Errorf("a connection from %s", from)
	}
}

func traceFilter(t *testing.T, dir string, message []byte) []call {
	t.Helper()
	log := filepath.Join(dir, "trace-filter")
	cmd := exec.Command("strace", "-f", "-q", "-o", log, "-e", "trace=connect,socket,sendto,sendmsg", binary(t, "deliver-filter"),
		"-config", filepath.Join(dir, "paperknife.toml"), "-d", incapable, "-f", sender)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = bytes.NewReader(message)
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("smime=")) {
		t.Fatalf("deliver-filter: %v\n%s", err, out)
	}
	return calls(t, finished(t, log))
}

// urlMessage is signed with a certificate from an authority that is not in the message but can be had at a URL, as can
// its revocation lists and its status; and it is encrypted to us.
func urlMessage(t *testing.T, url string) []byte {
	t.Helper()
	p := everyone(t)
	intermediate, err := p.personCA.IssueCA("Far away", seal.CertificateOptions{Key: seal.P256})
	if err != nil {
		t.Fatal(err)
	}
	author, err := intermediate.IssuePerson(sender, seal.CertificateOptions{Key: seal.P256, Edit: func(c *x509.Certificate) {
		c.IssuingCertificateURL = []string{url + "/issuer.cer"}
		c.OCSPServer = []string{url + "/ocsp"}
		c.CRLDistributionPoints = []string{url + "/list.crl"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(author.Certificate.OCSPServer) != 1 {
		t.Fatal("no URL in the certificate")
	}
	author.Chain = nil
	entity, err := seal.Sign([]byte(textHeader+textLine), author, seal.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if entity, err = seal.EncryptTo(entity, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}); err != nil {
		t.Fatal(err)
	}
	return plain(fmt.Sprintf("List-Unsubscribe: <%s/>\r\n%s", url, entity))
}
