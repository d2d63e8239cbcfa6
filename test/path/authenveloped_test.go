package path_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"paperknife/internal/keys"
	messages "paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/test/harness"
	"paperknife/test/need"
	"paperknife/test/testpki"
	"paperknife/unwrap"
)

// secret stands in every line of a body, and nowhere else.
const secret = "SECRET-7f3a"

// bodyOf returns an entity of about so many octets.
func bodyOf(size int) []byte {
	line := secret + " in a line of forty-eight octets, its end\r\n"
	return append([]byte("Content-Type: text/plain\r\n\r\n"), strings.Repeat(line, size/len(line)+1)[:size]...)
}

func gcmOptions(i int) testpki.Options {
	return testpki.Options{Cipher: []string{"aes-256-gcm", "aes-192-gcm", "aes-128-gcm"}[i%3], Stream: i%2 == 1, KeyID: i%5 == 0}
}

// What openssl seals with AES-GCM opens to the octets it sealed, in every size around blocks, lines and buffers.
func TestGCMSizes(t *testing.T) {
	p := testpki.Shared(t)
	ring, err := keys.Load([]keys.Pair{{Cert: p.CertificateFile(testpki.DCANet), Key: p.KeyFile(testpki.DCANet)}})
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 3, 15, 16, 17, 47, 48, 49, 1023, 4095, 4096, 4097, 32<<10 - 29, 32<<10 - 28, 32<<10 - 27, 32 << 10,
		64<<10 - 28, 64 << 10, 64<<10 + 1, 100_000, 100 << 10}
	for size := 61; size < 100<<10; size = size*5/4 + 7 {
		sizes = append(sizes, size)
	}
	for i, size := range sizes {
		o := gcmOptions(i)
		entity := bodyOf(size)
		received := p.Message(p.EncryptEntity(t, entity, o), o)
		src := spool.FromBytes(received)
		header, err := messages.ParseHeader(src)
		if err != nil {
			t.Fatal(err)
		}
		r, err := unwrap.Open(context.Background(), src, header, unwrap.Options{Keys: ring, Spool: spool.Settings{Dir: t.TempDir(), Memory: 50 << 10}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := r.View(1).Write(&out, messages.CRLF); err != nil {
			t.Error(err)
		}
		if want := testpki.Header + "MIME-Version: 1.0\r\n" + string(entity); out.String() != want || r.Layers[0].Type != unwrap.AuthEnveloped {
			t.Errorf("%d octets, %+v: %d octets, %v", size, o, out.Len()-len(want)+size, r.Layers[0].Fault)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// large is how many MiB the tests of large messages have: PAPERKNIFE_LARGE, or few.
func large(t *testing.T, few int) int {
	t.Helper()
	if s := os.Getenv("PAPERKNIFE_LARGE"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n << 20
	}
	return few << 20
}

// filterTo runs deliver-filter into a Maildir. A wrapper may stand before it.
func filterTo(t *testing.T, site *harness.Site, message, maildir string, wrapper ...string) {
	t.Helper()
	in, err := os.Open(message)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	args := append(wrapper, filepath.Join(harness.Programs(t), "deliver-filter"), "-config", site.Config(),
		"-d", "incapable@example.net", "-f", sender, "-maildir", maildir)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdin = site.Dir, in
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// sealedFile writes a message of one large body, sealed by openssl, into the site.
func sealedFile(t *testing.T, p *testpki.PKI, site *harness.Site, name string, entity []byte, o testpki.Options, change func([]byte) []byte) string {
	t.Helper()
	message := p.Message(p.EncryptEntity(t, entity, o), o)
	if change != nil {
		message = change(message)
	}
	site.Write(t, name, message)
	return site.Path(name)
}

func wrongTag(t *testing.T) func([]byte) []byte {
	return func(message []byte) []byte {
		out, err := testpki.Damage(message, testpki.GCMTag)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// A large message, alone and nested, opens; under a wrong tag it is delivered as it came.
func TestGCMLarge(t *testing.T) {
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	body := bodyOf(large(t, 8))
	o := testpki.Options{Cipher: "aes-256-gcm", Stream: true}
	for name, test := range map[string]struct {
		entity []byte
		change func([]byte) []byte
	}{
		"good":       {body, nil},
		"wrong tag":  {body, wrongTag(t)},
		"CBC in GCM": {p.EncryptEntity(t, body, testpki.Options{Cipher: "aes-192-cbc", OAEP: "sha256"}), nil},
		"GCM in GCM": {p.EncryptEntity(t, body, testpki.Options{Cipher: "aes-128-gcm"}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			file, box := sealedFile(t, p, site, "message", test.entity, o, test.change), site.Path("box")
			filterTo(t, site, file, box)
			delivered := harness.TakeMaildir(t, box)
			if len(delivered) != 1 {
				t.Fatalf("%d messages", len(delivered))
			}
			received, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := entityOf(body)
			if test.change != nil {
				want = entityOf(received)
			}
			if got := entityOf(delivered[0]); got != want {
				t.Errorf("%d octets of an entity, want %d", len(got), len(want))
			}
		})
	}
}

var (
	tracedRead  = regexp.MustCompile(`(?:pread64\(\d+,|pread64 resumed>).*, (\d+), (\d+)\)\s*= (\d+)$`)
	tracedWrite = regexp.MustCompile(`^\d+\s+(write|pwrite64|writev|pwritev2?|sendto|sendmsg|sendfile|splice|vmsplice|copy_file_range)\(`)
	tracedMap   = regexp.MustCompile(`PROT_WRITE.*MAP_SHARED`)
)

// THREATS A09: no plaintext leaves the process by any system call when the tag is wrong, and when it is right none does
// before the whole message was read.
func TestA09SystemCalls(t *testing.T) {
	needStrace(t)
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	entity := bodyOf(large(t, 4))
	for i, o := range []testpki.Options{{Cipher: "aes-256-gcm"}, {Cipher: "aes-128-gcm", Stream: true}} {
		for name, change := range map[string]func([]byte) []byte{"right": nil, "wrong": wrongTag(t)} {
			file := sealedFile(t, p, site, "message", entity, o, change)
			trace, box := site.Path("trace"), site.Path("box")
			filterTo(t, site, file, box, "strace", "-f", "-qq", "-s", "256", "-e", "trace=%desc,%network", "-o", trace)
			before, writes, all := readTrace(t, trace, file)
			t.Logf("%d, %s: %d octets of %d read before the first of %d writes of plaintext, %d writes", i, name, before, size(t, file), writes, all)
			switch {
			case all == 0:
				t.Errorf("%d, %s: nothing was traced", i, name)
			case name == "wrong" && writes > 0:
				t.Errorf("%d: plaintext was written under a wrong tag", i)
			case name == "right" && (writes == 0 || before < size(t, file)):
				t.Errorf("%d: %d writes of plaintext, the first after %d octets", i, writes, before)
			}
			delivered := harness.TakeMaildir(t, box)
			if len(delivered) != 1 || bytes.Contains(delivered[0], []byte(secret)) != (name == "right") {
				t.Errorf("%d, %s: %d messages", i, name, len(delivered))
			}
		}
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// readTrace returns how far the message was read before plaintext was first written, and the number of writes.
func readTrace(t *testing.T, trace, file string) (before int64, plaintext, all int) {
	t.Helper()
	raw, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if tracedMap.MatchString(line) {
			t.Errorf("memory shared with a file: %s", line)
		}
		if m := tracedRead.FindStringSubmatch(line); m != nil && plaintext == 0 {
			offset, _ := strconv.ParseInt(m[2], 10, 64)
			n, _ := strconv.ParseInt(m[3], 10, 64)
			before = max(before, offset+n)
		}
		if tracedWrite.MatchString(line) {
			all++
			if strings.Contains(line, secret) {
				plaintext++
			}
		}
	}
	return before, plaintext, all
}

// needStrace skips the test where strace does not work, and fails it where the tests must all run.
func needStrace(t *testing.T) {
	t.Helper()
	if err := exec.Command("strace", "-f", "-o", os.DevNull, "true").Run(); err != nil {
		need.Missing(t, "strace is needed:", err)
	}
}

// The ASN.1 of what openssl writes, for an attacker who takes it apart: RFC 5652 section 6.1, RFC 5083.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	gcmObject struct {
		Version    int
		Recipients asn1.RawValue
		Info       gcmInfo
		MAC        []byte
	}
	gcmInfo struct {
		Type       asn1.ObjectIdentifier
		Algorithm  gcmAlgorithm
		Ciphertext []byte `asn1:"tag:0"`
	}
	gcmAlgorithm struct {
		Algorithm asn1.ObjectIdentifier
		GCM       struct {
			Nonce   []byte
			TagSize int
		}
	}
	cbcObject struct {
		Version    int
		Recipients asn1.RawValue
		Info       cbcInfo
	}
	cbcInfo struct {
		Type       asn1.ObjectIdentifier
		Algorithm  cbcAlgorithm
		Ciphertext []byte `asn1:"tag:0"`
	}
	cbcAlgorithm struct {
		Algorithm asn1.ObjectIdentifier
		IV        []byte
	}
)

// THREATS A06: a key that came with GCM is sent again with CBC, over blocks that stand for guesses of the plaintext:
// E(counter) under CBC decrypts to the counter. Right or wrong, the sender sees what he sees for a good message, and no
// word of the plaintext is opened.
func TestA06Downgrade(t *testing.T) {
	p := testpki.Shared(t)
	site := newSite(t, p, "")
	site.Start(t)
	sealed := message(p.EncryptEntity(t, bodyOf(500), testpki.Options{Cipher: "aes-256-gcm"}), testpki.Options{})
	want := dialogue(t, site, sealed)
	for i := range classes {
		if got := bytes.Contains(site.Take(t, addresses("example.net")[i]), []byte(secret)); got == (classes[i] == "received") {
			t.Errorf("%s: opened %v", classes[i], got)
		}
	}
	padding := "Content-Type:x\x02\x02" // one whole block that would open
	for name, guess := range map[string]string{"right": "Content-Type: te", "wrong": "Content-Type: ap"} {
		for _, plain := range []string{padding, strings.Repeat("\x10", 16), strings.Repeat("\x11", 16)} {
			received := downgrade(t, sealed, []byte(guess), []byte(plain))
			if got := dialogue(t, site, received); got != want {
				t.Errorf("%s guess: LMTP dialogue\n got %q\nwant %q", name, got, want)
			}
			for i, address := range addresses("example.net") {
				if delivered := site.Take(t, address); bytes.Contains(delivered, []byte(secret)) {
					t.Errorf("%s guess, %s: plaintext delivered", name, classes[i])
				}
			}
		}
	}
}

// downgrade makes an EnvelopedData whose one block decrypts to plain if the first block of the sealed plaintext is guess.
func downgrade(t *testing.T, sealed, guess, plain []byte) []byte {
	t.Helper()
	head, body, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
	der, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	var outer contentInfo
	var object gcmObject
	unmarshal(t, der, &outer)
	unmarshal(t, outer.Content.Bytes, &object)
	block := xor(object.Info.Ciphertext[:16], guess)
	counter := append(bytes.Clone(object.Info.Algorithm.GCM.Nonce), 0, 0, 0, 2)
	inner := marshal(t, cbcObject{Version: 0, Recipients: object.Recipients, Info: cbcInfo{
		Type:       object.Info.Type,
		Algorithm:  cbcAlgorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, xor(counter, plain)},
		Ciphertext: block}})
	out := marshal(t, contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3},
		asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner}})
	return fmt.Appendf(bytes.Clone(head), "\r\n\r\n%s\r\n", base64.StdEncoding.EncodeToString(out))
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

func unmarshal(t *testing.T, der []byte, into any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		t.Fatalf("%T: %v, %d octets more", into, err, len(rest))
	}
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The forgery above is what it says: under the key, a right guess gives the padded plaintext.
func TestDowngradeOpens(t *testing.T) {
	key, nonce := []byte("0123456789abcdef"), []byte("twelve octet")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	counter := append(bytes.Clone(nonce), 0, 0, 0, 2)
	ciphertext := make([]byte, 16)
	cipher.NewCTR(block, counter).XORKeyStream(ciphertext, []byte("Content-Type: te"))
	guessed := xor(ciphertext, []byte("Content-Type: te"))
	cipher.NewCBCDecrypter(block, xor(counter, []byte("Content-Type:x\x02\x02"))).CryptBlocks(guessed, guessed)
	if string(guessed) != "Content-Type:x\x02\x02" {
		t.Errorf("%q", guessed)
	}
}
