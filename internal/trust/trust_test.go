package trust

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"paperknife/test/need"
)

// A verdict is one row of the big table: a certificate, what else came along, and what must be said of it.
// openssl is the answer of "openssl verify -purpose smimesign" where it is asked: "ok", "no", or "" not to ask.
type verdict struct {
	name    string
	leaf    *entity
	others  []*entity
	reason  string
	openssl string
}

func verdicts(t *testing.T, root *entity) []verdict {
	mid := root.ca("mid")
	stranger := newCA(t, "stranger")
	self := newCA(t, "self", func(c *x509.Certificate) { *c = *leafTemplate(email("boss@corp.test")) })
	noCA := root.leaf()
	underLeaf := noCA.leaf()
	servers := root.ca("servers", extended(x509.ExtKeyUsageServerAuth))
	short := root.ca("short", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	tooDeep := short.ca("too deep")
	oldCA := root.ca("old", valid(-60*day, -day))
	noSign := root.ca("no sign", usage(x509.KeyUsageCRLSign))
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	}
	return []verdict{
		{"straight", root.leaf(), nil, "", "ok"},
		{"over an intermediate", mid.leaf(), []*entity{mid}, "", "ok"},
		{"the root came along too", mid.leaf(), []*entity{root, mid, mid}, "", "ok"},
		{"intermediate missing", mid.leaf(), nil, ReasonUntrusted, "no"},
		{"A25 stranger's CA", stranger.leaf(), []*entity{stranger}, ReasonUntrusted, "no"},
		{"A25 self-signed", self, nil, ReasonUntrusted, "no"},
		{"A25 stranger with the root's name", newCA(t, "root").leaf(), nil, ReasonUntrusted, "no"},
		{"issued by a signer", underLeaf, []*entity{noCA}, ReasonUntrusted, "no"},
		{"issued by a CA that may not sign certificates", noSign.leaf(), []*entity{noSign}, ReasonUntrusted, "no"},
		{"A30 no key usage at all", root.leaf(usage(0)), nil, "", "ok"},
		{"A30 nonRepudiation", root.leaf(usage(x509.KeyUsageContentCommitment)), nil, "", "ok"},
		{"A30 keyEncipherment only", root.leaf(usage(x509.KeyUsageKeyEncipherment)), nil, ReasonKeyUsage, "no"},
		{"A30 keyAgreement only", root.leaf(usage(x509.KeyUsageKeyAgreement)), nil, ReasonKeyUsage, "no"},
		{"A30 no extended key usage", root.leaf(extended()), nil, "", "ok"},
		// Here openssl knows emailProtection alone.
		{"A30 any extended key usage", root.leaf(extended(x509.ExtKeyUsageAny)), nil, "", ""},
		{"A30 server", root.leaf(extended(x509.ExtKeyUsageServerAuth)), nil, ReasonExtendedKeyUsage, "no"},
		{"A30 server and mail", root.leaf(extended(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection)), nil, "", "ok"},
		{"A30 unknown usage only", root.leaf(extended(), func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }), nil, ReasonExtendedKeyUsage, "no"},
		{"A30 CA for servers", servers.leaf(), []*entity{servers}, ReasonExtendedKeyUsage, "no"},
		// openssl lets a CA sign mail.
		{"A30 CA as signer", root.ca("signing ca", usage(x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature)), nil, ReasonCA, ""},
		{"A30 the anchor as signer", root, nil, ReasonCA, ""},
		{"A31 expired", root.leaf(valid(-60*day, -time.Second)), nil, ReasonExpired, "no"},
		{"A31 valid to the second", root.leaf(valid(-60*day, 0)), nil, "", ""},
		{"A31 not yet valid", root.leaf(valid(time.Second, 60*day)), nil, ReasonNotYetValid, "no"},
		{"A31 CA expired", oldCA.leaf(), []*entity{oldCA}, ReasonUntrusted, "no"},
		{"path length", tooDeep.leaf(), []*entity{short, tooDeep}, ReasonUntrusted, "no"},
		{"unknown critical extension", root.leaf(critical), nil, ReasonUntrusted, "no"},
	}
}

func TestJudge(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	for _, v := range verdicts(t, root) {
		t.Run(v.name, func(t *testing.T) {
			for _, kind := range []Kind{Person, Domain} {
				j := store.Judge(v.leaf.cert.Raw, ders(v.others...), kind, receipt)
				if j.Reason != v.reason || j.Trusted != (v.reason == "") || j.Revoked {
					t.Errorf("%v: trusted %v, reason %q (%v), want %q", kind, j.Trusted, j.Reason, j.Err, v.reason)
				}
				if (j.Err == nil) != j.Trusted {
					t.Errorf("%v: detail %v", kind, j.Err)
				}
			}
			if v.openssl != "" {
				checkOpenSSL(t, root, v.leaf, v.others, v.openssl)
			}
		})
	}
}

// checkOpenSSL asks the command line tool for its verdict.
func checkOpenSSL(t *testing.T, root, leaf *entity, others []*entity, want string) {
	t.Helper()
	tool := need.Command(t, "openssl")
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"verify", "-purpose", "smimesign", "-attime", strconv.FormatInt(receipt.Unix(), 10), "-no-CApath", "-no-CAstore",
		"-CAfile", file("root.pem", pemOf(root))}
	if len(others) > 0 {
		args = append(args, "-untrusted", file("others.pem", pemOf(others...)))
	}
	out, err := exec.Command(tool, append(args, file("leaf.pem", pemOf(leaf)))...).CombinedOutput()
	got := "ok"
	if err != nil {
		got = "no"
	}
	if got != want {
		t.Errorf("openssl says %q, want %q: %s", got, want, out)
	}
}

// TestBackdated shows that the time of receipt alone counts (A26).
func TestBackdated(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	leaf := root.leaf(valid(-10*day, -day))
	if j := store.Judge(leaf.cert.Raw, nil, Person, receipt.Add(-5*day)); !j.Trusted {
		t.Errorf("while valid: %q", j.Reason)
	}
	if j := store.Judge(leaf.cert.Raw, nil, Person, receipt); j.Reason != ReasonExpired {
		t.Errorf("after: %q", j.Reason)
	}
	if j := store.Judge(leaf.cert.Raw, nil, Person, time.Time{}); j.Trusted {
		t.Error("trusted at no time at all")
	}
}

// TestKindsHaveTheirOwnAnchors: who may issue for persons may not issue for domains, and the other way round.
func TestKindsHaveTheirOwnAnchors(t *testing.T) {
	people, partners := newCA(t, "people"), newCA(t, "partners")
	store := newStore(t, func(s *Settings) {
		s.PersonAnchors = []*x509.Certificate{people.cert}
		s.DomainAnchors = []*x509.Certificate{partners.cert}
	})
	for _, test := range []struct {
		ca    *entity
		kind  Kind
		trust bool
	}{{people, Person, true}, {people, Domain, false}, {partners, Person, false}, {partners, Domain, true}} {
		j := store.Judge(test.ca.leaf(hosts("example.com")).cert.Raw, nil, test.kind, receipt)
		if j.Trusted != test.trust {
			t.Errorf("%v below %s: trusted %v", test.kind, test.ca.cert.Subject.CommonName, j.Trusted)
		}
		if got := len(j.Agents) == 1; got != (test.kind == Domain) {
			t.Errorf("%v: agents %v", test.kind, j.Agents)
		}
	}
}

// TestNoAnchors: without anchors nobody is trusted, the system's roots least of all.
func TestNoAnchors(t *testing.T) {
	store := newStore(t, nil)
	if j := store.Judge(newCA(t, "root").leaf().cert.Raw, nil, Person, receipt); j.Reason != ReasonUntrusted {
		t.Errorf("reason %q", j.Reason)
	}
}

// TestLeafAsAnchor: the administrator may trust one certificate, which then issues nothing.
func TestLeafAsAnchor(t *testing.T) {
	friend := newCA(t, "friend", func(c *x509.Certificate) { *c = *leafTemplate(email("friend@example.com")) })
	store := newStore(t, nil, friend)
	if j := store.Judge(friend.cert.Raw, nil, Person, receipt); !j.Trusted {
		t.Errorf("reason %q: %v", j.Reason, j.Err)
	}
	if j := store.Judge(friend.leaf().cert.Raw, nil, Person, receipt); j.Reason != ReasonUntrusted {
		t.Errorf("issued by it: %q", j.Reason)
	}
}

func TestRequireEKU(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, func(s *Settings) { s.RequireEKU = true }, root)
	if j := store.Judge(root.leaf(extended()).cert.Raw, nil, Person, receipt); j.Reason != ReasonExtendedKeyUsage {
		t.Errorf("absent: %q", j.Reason)
	}
	if j := store.Judge(root.leaf().cert.Raw, nil, Person, receipt); !j.Trusted {
		t.Errorf("present: %q", j.Reason)
	}
}

// TestNewNaming: profiles are known by name, those without work too.
func TestNewNaming(t *testing.T) {
	if _, err := New(Settings{Naming: append(Profiles(), "direct")}); err != nil {
		t.Error(err)
	}
	if _, err := New(Settings{Naming: []string{"Melnikov"}}); err == nil {
		t.Error("an unknown profile was taken")
	}
}

// TestReport: the facts for header fields and log.
func TestReport(t *testing.T) {
	root := newCA(t, "root", subject(pkix.Name{CommonName: "Example CA"}))
	leaf := root.leaf(email("Alice@EXAMPLE.com", "not an address"), func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1001) })
	j := newStore(t, nil, root).Judge(leaf.cert.Raw, nil, Person, receipt)
	if j.Serial != "1001" || j.Issuer != "CN=Example CA" || !j.NotAfter.Equal(leaf.cert.NotAfter) {
		t.Errorf("%+v", j)
	}
	if !slices.Equal(j.Emails, []string{"Alice@example.com"}) {
		t.Errorf("emails %q", j.Emails)
	}
}

// TestSubjectNamesNobody: an address or a domain in the subject is never used (A27, DOM-R21).
func TestSubjectNamesNobody(t *testing.T) {
	root := newCA(t, "root", permitEmail("good.test"))
	evil := pkix.Name{CommonName: "bad.test", ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "evil@bad.test"}}}
	store := newStore(t, nil, root)
	leaf := root.leaf(subject(evil))
	for _, kind := range []Kind{Person, Domain} {
		if j := store.Judge(leaf.cert.Raw, nil, kind, receipt); len(j.Emails) != 0 || len(j.Agents) != 0 {
			t.Errorf("%v: %+v", kind, j)
		}
	}
}

// TestUnreadable: what cannot be parsed has one reason, and no octet of it gets into a name.
func TestUnreadable(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	good := root.leaf(email("alice@example.com")).cert.Raw
	huge := root.leaf(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, maxCertificate)}}
	}).cert.Raw
	names := make([]string, maxNames+1)
	for i := range names {
		names[i] = "a" + strconv.Itoa(i) + ".example.com"
	}
	for _, test := range []struct {
		name   string
		der    []byte
		reason string
	}{
		{"nothing", nil, ReasonUnreadable},
		{"text", []byte("certificate"), ReasonUnreadable},
		{"cut", good[:len(good)-1], ReasonUnreadable},
		{"trailing octet", append(slices.Clone(good), 0), ReasonUnreadable},
		{"only a sequence", []byte{0x30, 0}, ReasonUnreadable},
		{"A34 over 64 KiB", huge, ReasonCertificateTooLong},
		{"A34 over 256 names", root.leaf(hosts(names...)).cert.Raw, ReasonTooManyNames},
		{"A34 256 names", root.leaf(hosts(names[1:]...)).cert.Raw, ""},
	} {
		if j := store.Judge(test.der, nil, Person, receipt); j.Reason != test.reason || j.Trusted != (test.reason == "") {
			t.Errorf("%s: %q %v", test.name, j.Reason, j.Err)
		}
	}
}

// cpuTime is what this process has used so far. Limits are on that, since other processes may keep a test waiting.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fakeRSA is a public key of any size: nobody has to know its factors to put it into a certificate.
func fakeRSA(modulusBits uint, exponent int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), modulusBits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(12345)), E: exponent}
}

// TestKeySizes: A33 and rule 6. A key out of bounds is refused before anything is computed with it.
func TestKeySizes(t *testing.T) {
	root := newCA(t, "root")
	store := newStore(t, nil, root)
	for _, test := range []struct {
		name   string
		key    crypto.PublicKey
		reason string
	}{
		{"RSA 1024", fakeRSA(1024, 65537), ReasonWeakKey},
		{"RSA 2047", fakeRSA(2047, 65537), ReasonWeakKey},
		{"RSA 2048", fakeRSA(2048, 65537), ""},
		{"RSA 8192", fakeRSA(8192, 65537), ""},
		{"RSA 8193", fakeRSA(8193, 65537), ReasonKeyTooLarge},
		{"RSA 262144", fakeRSA(262144, 1<<31-1), ReasonKeyTooLarge},
		{"even exponent", fakeRSA(2048, 65536), ReasonUnsupportedKey},
		{"exponent 1", fakeRSA(2048, 1), ReasonUnsupportedKey},
		{"P-224", newKey(t, elliptic.P224()).Public(), ReasonWeakKey},
		{"P-384", newKey(t, elliptic.P384()).Public(), ""},
	} {
		der, err := x509.CreateCertificate(rand.Reader, leafTemplate(), root.cert, test.key, root.key)
		if err != nil {
			t.Fatal(err)
		}
		start := cpuTime(t)
		j := store.Judge(der, nil, Person, receipt)
		if d := cpuTime(t) - start; d > 50*time.Millisecond {
			t.Errorf("%s: took %v", test.name, d)
		}
		if j.Reason != test.reason {
			t.Errorf("%s: %q %v, want %q", test.name, j.Reason, j.Err, test.reason)
		}
	}
}

// TestGiantKeyOfCA: A33 again, where the giant would have to verify.
func TestGiantKeyOfCA(t *testing.T) {
	root := newCA(t, "root")
	giant, err := x509.CreateCertificate(rand.Reader, caTemplate("giant"), root.cert, fakeRSA(262144, 1<<31-1), root.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := newCA(t, "giant").leaf()
	start := cpuTime(t)
	j := newStore(t, nil, root).Judge(leaf.cert.Raw, [][]byte{giant}, Person, receipt)
	if d := cpuTime(t) - start; j.Trusted || d > 50*time.Millisecond {
		t.Errorf("trusted %v after %v", j.Trusted, d)
	}
}

// TestWeakKeyOfCA: a path is as strong as its weakest key.
func TestWeakKeyOfCA(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	root := newCA(t, "root")
	mid := &entity{t, create(t, caTemplate("weak"), root.cert, weak.Public(), root.key), weak}
	if j := newStore(t, nil, root).Judge(mid.leaf().cert.Raw, ders(mid), Person, receipt); j.Trusted {
		t.Error("trusted below a weak intermediate")
	}
	anchor := &entity{t, create(t, caTemplate("weak root"), caTemplate("weak root"), weak.Public(), weak), weak}
	store := newStore(t, nil, anchor)
	if j := store.Judge(anchor.leaf().cert.Raw, nil, Person, receipt); j.Trusted {
		t.Error("trusted below a weak anchor")
	}
	if w := store.Warnings(); len(w) != 2 || !strings.Contains(w[0], "weak root") {
		t.Errorf("warnings %q", w)
	}
}

// TestSHA1 : a path with a SHA-1 signature is none. Go does not make such a certificate, so openssl does.
func TestSHA1(t *testing.T) {
	tool := need.Command(t, "openssl")
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "30", "-sha256")
	run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf")
	for hash, reason := range map[string]string{"sha1": ReasonWeakSignature, "sha256": ""} {
		run("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", hash+".pem", "-days", "20", "-"+hash)
		cas, err := LoadAnchors(filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := LoadAnchors(filepath.Join(dir, hash+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		store := newStore(t, func(s *Settings) { s.PersonAnchors = cas })
		if j := store.Judge(leaf[0].Raw, nil, Person, leaf[0].NotBefore.Add(day)); j.Reason != reason {
			t.Errorf("%s: %q %v", hash, j.Reason, j.Err)
		}
	}
}

// TestCrossSignedBomb: A34. Thirty-two CAs that all signed each other make more paths than there is time.
func TestCrossSignedBomb(t *testing.T) {
	const names, keys = 4, 8
	root := newCA(t, "root")
	var all []*entity
	var cas []*entity
	for i := range names {
		for range keys {
			key := newKey(t, elliptic.P384())
			cas = append(cas, &entity{t, caTemplate("bomb " + strconv.Itoa(i)), key})
		}
	}
	for i, ca := range cas { // signed by a CA of the next name, whose eight keys must all be tried
		issuer := cas[((i/keys+1)%names)*keys+i%keys]
		ca.cert.SerialNumber = big.NewInt(int64(i) + 1)
		all = append(all, &entity{t, create(t, ca.cert, issuer.cert, ca.key.Public(), issuer.key), ca.key})
	}
	leaf := all[0].leaf()
	start := cpuTime(t)
	j := newStore(t, nil, root).Judge(leaf.cert.Raw, ders(all...), Person, receipt)
	d := cpuTime(t) - start
	if j.Trusted || d > time.Second {
		t.Errorf("trusted %v after %v", j.Trusted, d)
	}
	t.Logf("%q after %v: %v", j.Reason, d, j.Err)
}

// TestGoodPathBomb: A34 again, below a sub-CA of a real anchor, with names that only our own rules refuse, so that
// every path there is gets built and looked at.
func TestGoodPathBomb(t *testing.T) {
	const levels, copies = 4, 8
	root := newCA(t, "root")
	issuer := root
	var all []*entity
	for level := range levels {
		key := newKey(t, elliptic.P256())
		for range copies {
			c := caTemplate("level "+strconv.Itoa(level), permitEmail("good.test"), permitHosts("good.test"))
			for n := range 10 {
				c.PermittedEmailAddresses = append(c.PermittedEmailAddresses, strconv.Itoa(n)+".test")
			}
			all = append(all, &entity{t, create(t, c, issuer.cert, key.Public(), issuer.key), key})
		}
		issuer = all[len(all)-1]
	}
	var addresses []string
	for n := range maxNames {
		addresses = append(addresses, "a"+strconv.Itoa(n)+"@good.test")
	}
	addresses[maxNames-1] = "a@sub.good.test"
	leaf := issuer.leaf(email(addresses...))
	slices.Reverse(all)
	start := cpuTime(t)
	j := newStore(t, nil, root).Judge(leaf.cert.Raw, ders(all...), Domain, receipt)
	d := cpuTime(t) - start
	if j.Reason != ReasonNameConstraints || d > time.Second {
		t.Errorf("%q after %v: %v", j.Reason, d, j.Err)
	}
	t.Logf("after %v", d)
}

// TestDearKeys: A33. Thirty-two CAs of one name with the dearest keys there may be, made by a stranger, and signed by
// an anchor.
func TestDearKeys(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root := newCA(t, "root")
	dear := &entity{t, create(t, caTemplate("dear"), caTemplate("dear"), key.Public(), key), key}
	leaf := dear.leaf().cert
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(leaf.RawTBSCertificate)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11})
			b.AddASN1NULL()
		})
		b.AddASN1BitString(make([]byte, maxRSA/8))
	})
	for name, limit := range map[string]time.Duration{"root": time.Second, "stranger": time.Second / 10} {
		issuer := root
		if name != "root" {
			issuer = newCA(t, name)
		}
		var all [][]byte
		for i := range maxIntermediates {
			public := fakeRSA(maxRSA, 1<<31-1)
			public.N.Add(public.N, big.NewInt(int64(2*i)))
			der, err := x509.CreateCertificate(rand.Reader, caTemplate("dear"), issuer.cert, public, issuer.key)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, der)
		}
		start := cpuTime(t)
		j := newStore(t, nil, root).Judge(b.BytesOrPanic(), all, Person, receipt)
		d := cpuTime(t) - start
		if j.Reason != ReasonUntrusted || d > limit {
			t.Errorf("signed by %s: %q after %v: %v", name, j.Reason, d, j.Err)
		}
		t.Logf("signed by %s: %v", name, d)
	}
}

// TestLongChainOfNames: A34. The most names that intermediates of a good path can have.
func TestLongChainOfNames(t *testing.T) {
	root := newCA(t, "root")
	ca := root
	var all []*entity
	for i := range maxIntermediates {
		ca = ca.ca("ca "+strconv.Itoa(i), func(c *x509.Certificate) {
			for n := range 200 {
				c.PermittedDNSDomains = append(c.PermittedDNSDomains, strconv.Itoa(n)+".example.com")
			}
		})
		all = append(all, ca)
	}
	var names []string
	for n := range maxNames {
		names = append(names, "x."+strconv.Itoa(n%200)+".example.com")
	}
	leaf := ca.leaf(hosts(names...))
	slices.Reverse(all)
	start := cpuTime(t)
	j := newStore(t, nil, root).Judge(leaf.cert.Raw, ders(all...), Domain, receipt)
	if d := cpuTime(t) - start; d > time.Second || j.Trusted {
		t.Errorf("trusted %v after %v", j.Trusted, d)
	}
}

// TestTooManyIntermediates: the thirty-third certificate is not looked at.
func TestTooManyIntermediates(t *testing.T) {
	root := newCA(t, "root")
	mid := root.ca("mid")
	leaf := mid.leaf()
	store := newStore(t, nil, root)
	for n, want := range map[int]bool{maxIntermediates - 1: true, maxIntermediates: false} {
		others := make([][]byte, n)
		if j := store.Judge(leaf.cert.Raw, append(others, mid.cert.Raw), Person, receipt); j.Trusted != want {
			t.Errorf("behind %d others: trusted %v", n, j.Trusted)
		}
	}
}

// TestConcurrent: one Store serves many goroutines.
func TestConcurrent(t *testing.T) {
	root := newCA(t, "root")
	mid := root.ca("mid")
	leaf := mid.leaf()
	list := mid.revoke(receipt)
	store := newStore(t, func(s *Settings) { s.CRLs = []*x509.RevocationList{list} }, root)
	done := make(chan bool)
	for range 8 {
		go func() { done <- store.Judge(leaf.cert.Raw, ders(mid), Person, receipt).Trusted }()
	}
	for range 8 {
		if !<-done {
			t.Error("not trusted")
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	root := newCA(b, "root")
	mid := root.ca("mid")
	leaf := mid.leaf(hosts("example.com"))
	store := newStore(b, nil, root)
	for b.Loop() {
		if !store.Judge(leaf.cert.Raw, ders(mid, root), Domain, receipt).Trusted {
			b.Fatal("not trusted")
		}
	}
}
