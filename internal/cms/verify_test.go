package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
)

var content = []byte("Content-Type: text/plain\r\n\r\nhello\r\n")

func good(t testing.TB) (contentType, messageDigest []byte) {
	return attribute(OIDAttrContentType, marshalOID(OIDData)), attribute(OIDAttrMessageDigest, octetString(sum(crypto.SHA256, content)))
}

// RFC 5652 5.3, 5.4, 11; THREATS A17, A18, A22, A23, A24.
func TestSignatures(t *testing.T) {
	contentType, messageDigest := good(t)
	own, another := cert(t, "rsa"), cert(t, "other")
	other := attribute(OIDAttrContentType, marshalOID(OIDSignedData))
	otherDigest := attribute(OIDAttrMessageDigest, octetString(sum(crypto.SHA256, []byte("else"))))
	time1 := attribute(OIDAttrSigningTime, []byte("\x17\x0d260101000000Z"))
	sha256 := algorithm(digestOID(crypto.SHA256), null)
	sorted := [][]byte{contentType, time1, messageDigest}
	unsorted := [][]byte{messageDigest, time1, contentType}
	protection := func(digest, signature []byte) []byte {
		tagged := bytes.Clone(signature)
		tagged[0] = tagContextConstructed | 1
		return attribute(OIDAttrAlgorithmProtection, seq(digest, tagged))
	}
	for name, test := range map[string]struct {
		s   signing
		err error
	}{
		"good":                       {signing{}, nil},
		"sorted, signed so":          {signing{attrs: sorted}, nil},
		"unsorted, signed as sent":   {signing{attrs: unsorted}, nil},
		"unsorted, signed sorted":    {signing{attrs: unsorted, signOver: set(sortSet(unsorted))}, nil},
		"sorted, signed unsorted":    {signing{attrs: sorted, signOver: set(unsorted...)}, ErrSignature},
		"signed as [0]":              {signing{attrs: sorted, signOver: tagged(0, sorted...)}, ErrSignature},
		"signed the content":         {signing{attrs: sorted, signOver: content}, ErrSignature},
		"A18 no contentType":         {signing{attrs: [][]byte{messageDigest}}, ErrAttributes},
		"A18 no messageDigest":       {signing{attrs: [][]byte{contentType}}, ErrAttributes},
		"A18 empty":                  {signing{attrs: [][]byte{}}, ErrAttributes},
		"A18 wrong contentType":      {signing{attrs: [][]byte{other, messageDigest}}, ErrAttributes},
		"A18 contentType twice":      {signing{attrs: [][]byte{contentType, contentType, messageDigest}}, ErrAttributes},
		"A18 contentType, another":   {signing{attrs: [][]byte{contentType, other, messageDigest}}, ErrAttributes},
		"A18 messageDigest twice":    {signing{attrs: [][]byte{contentType, messageDigest, otherDigest}}, ErrAttributes},
		"A18 messageDigest, wrong":   {signing{attrs: [][]byte{contentType, otherDigest}}, ErrDigest},
		"A18 two values":             {signing{attrs: [][]byte{contentType, attribute(OIDAttrMessageDigest, octetString(sum(crypto.SHA256, content)), octetString(nil))}}, ErrAttributes},
		"A18 no value":               {signing{attrs: [][]byte{attribute(OIDAttrContentType), messageDigest}}, ErrAttributes},
		"A18 digest no string":       {signing{attrs: [][]byte{contentType, attribute(OIDAttrMessageDigest, number(1))}}, ErrAttributes},
		"signingTime twice":          {signing{attrs: [][]byte{contentType, time1, time1, messageDigest}}, ErrAttributes},
		"A18 other type, attrs":      {signing{oid: OIDSignedData, attrs: [][]byte{other, messageDigest}}, nil},
		"A18 other type, no attrs":   {signing{oid: OIDSignedData, noAttrs: true}, ErrAttributes},
		"no attrs":                   {signing{noAttrs: true}, nil},
		"A22 unsigned junk":          {signing{unsigned: tagged(1, bytes.Repeat([]byte{4, 0}, 100))}, nil},
		"A22 countersignature":       {signing{unsigned: tagged(1, attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}, seq(number(1), seq(), seq(), seq(), octetString(nil))))}, nil},
		"A22 many countersignatures": {signing{unsigned: tagged(1, attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}, bytes.Repeat(seq(number(1), seq(), seq(), seq(), octetString(nil)), 100_000)))}, nil},
		"A22 5 MB unsigned":          {signing{unsigned: tagged(1, attribute(OIDData, octetString(make([]byte, 5<<20))))}, nil},
		"A23 empty set":              {signing{digests: []byte{}}, nil},
		"A23 another in the set":     {signing{digests: algorithm(digestOID(crypto.SHA512), null)}, nil},
		"A23 unknown in the set":     {signing{digests: algorithm(OIDData)}, nil},
		"A23 parameters absent":      {signing{digestAlg: algorithm(digestOID(crypto.SHA256))}, nil},
		"A23 other parameters":       {signing{digestAlg: algorithm(digestOID(crypto.SHA256), number(1))}, ErrAlgorithm},
		"hash of the signature":      {signing{signature: algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, null)}, nil},
		"another hash":               {signing{signature: algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, null)}, ErrAlgorithm},
		"unknown signature":          {signing{signature: algorithm(OIDData)}, ErrAlgorithm},
		"ECDSA by an RSA key":        {signing{signature: algorithm(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})}, ErrCertificate},
		"SHA-1":                      {signing{hash: crypto.SHA1}, nil},
		"SHA-224":                    {signing{hash: crypto.SHA224}, nil},
		"SHA-512":                    {signing{hash: crypto.SHA512}, nil},
		"RFC 6211 good":              {signing{attrs: [][]byte{contentType, messageDigest, protection(sha256, algorithm(oidRSAEncryption))}}, nil},
		"RFC 6211 other digest":      {signing{attrs: [][]byte{contentType, messageDigest, protection(algorithm(digestOID(crypto.SHA1)), algorithm(oidRSAEncryption))}}, ErrAttributes},
		"RFC 6211 other signature":   {signing{attrs: [][]byte{contentType, messageDigest, protection(sha256, algorithm(OIDData))}}, ErrAttributes},
		"RFC 6211 junk":              {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrAlgorithmProtection, null)}}, ErrAttributes},
		"RFC 2634 this certificate":  {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificate, seq(seq(seq(octetString(sum(crypto.SHA1, own))))))}}, nil},
		"RFC 2634 another":           {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificate, seq(seq(seq(octetString(sum(crypto.SHA1, another))))))}}, ErrAttributes},
		"RFC 5035 this certificate":  {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificateV2, seq(seq(seq(octetString(sum(crypto.SHA256, own))))))}}, nil},
		"RFC 5035 by SHA-512":        {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificateV2, seq(seq(seq(algorithm(digestOID(crypto.SHA512)), octetString(sum(crypto.SHA512, own))))))}}, nil},
		"RFC 5035 another":           {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificateV2, seq(seq(seq(octetString(sum(crypto.SHA256, another))))))}}, ErrAttributes},
		"RFC 5035 unknown hash":      {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificateV2, seq(seq(seq(algorithm(OIDData), octetString(nil)))))}}, nil},
		"RFC 5035 empty":             {signing{attrs: [][]byte{contentType, messageDigest, attribute(OIDAttrSigningCertificateV2, seq(seq()))}}, ErrAttributes},
		"content in indefinite BER":  {signing{eContent: endless(0x24, octetString(content[:5]), octetString(content[5:]))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.s.content = content
			v, err := verify(bytes.NewReader(test.s.der(t)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.errs) != 1 || !errors.Is(v.errs[0], test.err) {
				t.Errorf("%v, want %v", v.errs, test.err)
			}
		})
	}
}

// A SignerInfo in BER is verified over its DER: definite lengths, one piece per string.
func TestSignerInfoInBER(t *testing.T) {
	contentType, messageDigest := good(t)
	object := signing{content: content, attrs: [][]byte{contentType, messageDigest}}.der(t)
	ber := bytes.Replace(object, tagged(0, contentType, messageDigest), endless(0xa0, contentType, messageDigest), 1)
	i := bytes.LastIndex(ber, []byte{tagOctetString, 0x82, 1, 0}) // the signature
	signature := ber[i+4 : i+4+256]
	info := bytes.LastIndex(ber[:i], identifier(t, cert(t, "rsa"))) - 3
	ber = join(object[:0:0], endless(tagSet, endless(tagSequence, ber[info:i], endless(0x24, octetString(signature[:100]), octetString(signature[100:])))))
	signed := seq(number(1), set(algorithm(digestOID(crypto.SHA256))), seq(marshalOID(OIDData), tagged(0, octetString(content))), tagged(0, cert(t, "rsa")), ber)
	v, err := verify(bytes.NewReader(seq(marshalOID(OIDSignedData), tagged(0, signed))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.errs[0] != nil {
		t.Error(v.errs)
	}
	again, err := verify(bytes.NewReader(v.signed.DetachedObject()), content)
	if err != nil || again.errs[0] != nil {
		t.Error(err, again)
	}
}

// THREATS A17: attributes that were signed, presented as content. The signature value is good, so the content gives
// it away, and mail does not.
func TestA17AttributesAsContent(t *testing.T) {
	for _, file := range []string{"signed-rsa", "signed-p256", "signed-stream"} {
		v, err := verify(bytes.NewReader(testdata(t, file+".der")), nil)
		if err != nil {
			t.Fatal(err)
		}
		si := v.signed.SignerInfos[0]
		forged := set(si.rawAttrs)
		bare := *si
		bare.HasSignedAttrs, bare.SignedAttrs = false, nil
		if err := bare.Verify(si.Certificate(v.signed.Certificates), sum(si.Hash, forged), OIDData); err != nil {
			t.Errorf("%s: %v: the test proves nothing", file, err)
		}
		for n := range len(forged) {
			if got := LooksLikeSignedAttrs(forged[:n]); got != (n >= 8) && n != 7 && n != 6 {
				t.Errorf("%s: %d octets of signed attributes: %v", file, n, got)
			}
		}
	}
	for _, text := range []string{"", "1", "Content-Type: text/plain\r\n\r\n", "10:00 at the station", "1\x02", "\x30\x03\x06\x01\x00"} {
		if LooksLikeSignedAttrs([]byte(text)) {
			t.Errorf("%q looks like signed attributes", text)
		}
	}
}

// keyed returns a certificate with the given subjectPublicKeyInfo, which nobody signed.
func keyed(spki []byte) []byte {
	name := seq(set(seq(marshalOID(asn1.ObjectIdentifier{2, 5, 4, 3}), []byte("\x0c\x01x"))))
	return seq(seq(tagged(0, number(2)), number(7), algorithm(OIDData), name, seq(), name, spki), algorithm(OIDData), []byte{3, 1, 0})
}

func rsaSPKI(modulus, exponent []byte) []byte {
	key := seq(appendElement(nil, tagInteger, modulus), appendElement(nil, tagInteger, exponent))
	return seq(algorithm(oidRSAEncryption, null), appendElement(nil, tagBitString, []byte{0}, key))
}

func bits(n int) []byte { return append([]byte{0}, bytes.Repeat([]byte{0xff}, n/8)...) }

// THREATS A24, A33: keys that are not used, found out without work on their numbers.
func TestA33Keys(t *testing.T) {
	key := signerKey(t, "rsa").Public().(*rsa.PublicKey)
	n := append([]byte{0}, key.N.Bytes()...)
	e3, e65537 := []byte{3}, []byte{1, 0, 1}
	v, err := verify(bytes.NewReader(testdata(t, "signed-rsa.der")), nil)
	if err != nil {
		t.Fatal(err)
	}
	p256 := signerKey(t, "p256").Public().(*ecdsa.PublicKey)
	point, err := p256.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ec := func(curve asn1.ObjectIdentifier, point []byte) []byte {
		return seq(algorithm(oidECPublicKey, marshalOID(curve)), appendElement(nil, tagBitString, []byte{0}, point))
	}
	ecdsaSigner, err := verify(bytes.NewReader(testdata(t, "signed-p256.der")), nil)
	if err != nil {
		t.Fatal(err)
	}
	offCurve := bytes.Clone(point)
	offCurve[40] ^= 1
	compressed := append([]byte{2 | point[64]&1}, point[1:33]...)
	for name, test := range map[string]struct {
		spki []byte
		si   *verified
		want error
	}{
		"the key":               {rsaSPKI(n, e65537), v, nil},
		"another exponent":      {rsaSPKI(n, e3), v, ErrSignature},
		"e = 1":                 {rsaSPKI(n, []byte{1}), v, ErrCertificate},
		"e = 0":                 {rsaSPKI(n, []byte{0}), v, ErrCertificate},
		"e = -1":                {rsaSPKI(n, []byte{0xff}), v, ErrCertificate},
		"e even":                {rsaSPKI(n, []byte{4}), v, ErrCertificate},
		"e of 33 bits":          {rsaSPKI(n, []byte{1, 0, 0, 0, 1}), v, ErrCertificate},
		"e of 4096 octets":      {rsaSPKI(n, bits(4096*8)), v, ErrCertificate},
		"modulus of 512 bits":   {rsaSPKI(bits(512), e65537), v, ErrCertificate},
		"modulus of 1016 bits":  {rsaSPKI(bits(1016), e65537), v, ErrCertificate},
		"modulus of 1024 bits":  {rsaSPKI(bits(1024), e65537), v, ErrSignature},
		"modulus of 8192 bits":  {rsaSPKI(bits(8192), e65537), v, ErrSignature},
		"modulus of 8200 bits":  {rsaSPKI(bits(8200), e65537), v, ErrCertificate},
		"modulus of 2^18 bits":  {rsaSPKI(bits(1<<18), e65537), v, ErrCertificate},
		"modulus even":          {rsaSPKI(append(bytes.Clone(n[:256]), 0), e65537), v, ErrCertificate},
		"modulus zero":          {rsaSPKI([]byte{0}, e65537), v, ErrCertificate},
		"modulus negative":      {rsaSPKI(n[1:], e65537), v, ErrCertificate},
		"no key":                {seq(algorithm(oidRSAEncryption, null), []byte{3, 1, 0}), v, ErrCertificate},
		"no SPKI":               {seq(), v, ErrCertificate},
		"P-256":                 {ec(oidP256, point), ecdsaSigner, nil},
		"P-256 for RSA":         {ec(oidP256, point), v, ErrCertificate},
		"P-256, not on it":      {ec(oidP256, offCurve), ecdsaSigner, ErrCertificate},
		"P-256, compressed":     {ec(oidP256, compressed), ecdsaSigner, ErrCertificate},
		"P-256, infinity":       {ec(oidP256, []byte{0}), ecdsaSigner, ErrCertificate},
		"unknown curve":         {ec(OIDData, point), ecdsaSigner, ErrCertificate},
		"P-256 point for P-384": {ec(oidP384, point), ecdsaSigner, ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			cheap(t, func() {
				s := test.si.signed
				err := s.SignerInfos[0].Verify(keyed(test.spki), s.Digest(crypto.SHA256), OIDData)
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
			})
		})
	}
	for _, der := range [][]byte{nil, {}, {0x30}, seq(), make([]byte, 1000)} {
		s := v.signed
		if err := s.SignerInfos[0].Verify(der, s.Digest(crypto.SHA256), OIDData); !errors.Is(err, ErrCertificate) {
			t.Errorf("%x: %v", der, err)
		}
		if s.SignerInfos[0].KeyBits(der) != 0 {
			t.Errorf("%x has a key size", der)
		}
	}
}

// THREATS A24: Bleichenbacher's forgery of 2006 needs room behind the digest and an exponent of 3; the cube root of
// a number that begins like a signature is no signature.
func TestA24CubeRoot(t *testing.T) {
	digest := sum(crypto.SHA256, content)
	info := join(unhex(t, "3031300d060960864801650304020105000420"), digest)
	em := join([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, info, make([]byte, 256-11-len(info)))
	root := cubeRoot(new(big.Int).SetBytes(em))
	cube := new(big.Int).Exp(root, big.NewInt(3), nil).FillBytes(make([]byte, 256))
	if !bytes.Equal(cube[:11+len(info)], em[:11+len(info)]) {
		t.Fatal("no forgery")
	}
	modulus := append([]byte{0}, signerKey(t, "rsa").Public().(*rsa.PublicKey).N.Bytes()...)
	c, _ := parseCertificate(keyed(rsaSPKI(modulus, []byte{3})))
	key, err := rsaSigner(c, &SignerInfo{Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	if key.verify(digest, root.FillBytes(make([]byte, 256))) {
		t.Error("forged")
	}
}

// cubeRoot is the smallest integer whose cube is not below n.
func cubeRoot(n *big.Int) *big.Int {
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), uint(n.BitLen()/3+1))
	for low.Cmp(high) < 0 {
		mid := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Exp(mid, big.NewInt(3), nil).Cmp(n) < 0 {
			low = mid.Add(mid, big.NewInt(1))
		} else {
			high = mid
		}
	}
	return low
}

// A signature verifies what its signer signed, or nothing, whichever octet is changed in whatever way.
func TestMutatedSignedData(t *testing.T) {
	for _, file := range []string{"signed-p256.der", "signed-stream.der", "signed-noattr.der", "ed25519.der"} {
		object := testdata(t, file)
		want := testdata(t, "content.txt")
		flips := []byte{0x01, 0x80, 0x20, 0xff}
		if file == "signed-p256.der" {
			flips = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff}
		}
		passed := 0
		for i := range object {
			for _, flip := range flips {
				mutant := bytes.Clone(object)
				mutant[i] ^= flip
				v, err := verify(bytes.NewReader(mutant), nil)
				if err != nil {
					continue
				}
				for _, err := range v.errs {
					if err != nil {
						continue
					}
					passed++
					if !bytes.Equal(v.content, want) || !v.signed.EContentType.Equal(OIDData) {
						t.Errorf("%s: octet %d ^ %#02x verifies %q", file, i, flip, v.content)
					}
				}
			}
		}
		t.Logf("%s: %d mutants verify, all with the content signed", file, passed)
	}
}

// Octets put in, taken out and cut off do no more than flips do.
func TestSplicedSignedData(t *testing.T) {
	object := testdata(t, "signed-p256.der")
	want := testdata(t, "content.txt")
	for i := range object {
		for _, mutant := range [][]byte{
			object[:i],
			join(object[:i], object[i+1:]),
			join(object[:i], []byte{0}, object[i:]),
			join(object[:i], []byte{0, 0}, object[i:]),
			join(object[:i], []byte{4, 0}, object[i:]),
			join(object[:i], object[:i]),
		} {
			v, err := verify(bytes.NewReader(mutant), nil)
			if err != nil {
				continue
			}
			for _, err := range v.errs {
				if err == nil && !bytes.Equal(v.content, want) {
					t.Errorf("spliced at %d verifies %q", i, v.content)
				}
			}
		}
	}
}

// Limits of the object: certificates past the 32nd are read over, past the 256th the object is refused.
func TestCertificateLimits(t *testing.T) {
	rsaCert := cert(t, "rsa")
	big := seq(octetString(make([]byte, maxCertificate)))
	for name, test := range map[string]struct {
		certs []byte
		kept  int
		err   error
	}{
		"three":         {bytes.Repeat(rsaCert, 3), 3, nil},
		"forty":         {bytes.Repeat(rsaCert, 40), 32, nil},
		"257":           {bytes.Repeat(rsaCert, 257), 0, ErrSyntax},
		"one too large": {join(big, rsaCert), 1, nil},
		"other form":    {join(tagged(3, number(1)), rsaCert), 1, nil},
		"unreadable":    {join(seq(number(1)), rsaCert), 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := verify(bytes.NewReader(signing{content: content, certs: test.certs}.der(t)), nil)
			if !errors.Is(err, test.err) {
				t.Fatal(err)
			}
			if err == nil && (len(v.signed.Certificates) != test.kept || v.errs[0] != nil) {
				t.Errorf("%d certificates, %v", len(v.signed.Certificates), v.errs)
			}
		})
	}
}

func TestReaderOrder(t *testing.T) {
	r := NewReader(bytes.NewReader(testdata(t, "signed-rsa.der")))
	if _, err := r.EnvelopedData(); !errors.Is(err, ErrSyntax) {
		t.Errorf("SignedData as EnvelopedData: %v", err)
	}
	if _, err := r.SignedData(); err == nil {
		t.Error("content given twice")
	}
	s, err := NewReader(bytes.NewReader(testdata(t, "signed-rsa.der"))).SignedData()
	if err != nil {
		t.Fatal(err)
	}
	if s.DetachedObject() != nil || s.SignerInfos != nil {
		t.Error("before Finish")
	}
	s.AddHash(crypto.SHA512)
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Fatal(err)
	}
	want := testdata(t, "content.txt")
	if got := s.Digest(crypto.SHA512); !bytes.Equal(got, sum(crypto.SHA512, want)) {
		t.Errorf("SHA-512 %x", got)
	}
	s.AddHash(crypto.SHA384) // too late
	if s.Digest(crypto.SHA384) != nil || s.Digest(nil) != nil {
		t.Error("a digest that was not asked for")
	}
}

// Authorities write the same name in several ways; names that differ stay different.
func TestSameName(t *testing.T) {
	name := func(tag byte, value string) []byte {
		return seq(set(seq(marshalOID(asn1.ObjectIdentifier{2, 5, 4, 3}), appendElement(nil, tag, []byte(value)))))
	}
	const utf8, printable, bmp = 12, 19, 30
	a := name(utf8, "Example  CA")
	for _, test := range []struct {
		b    []byte
		same bool
	}{
		{a, true},
		{name(printable, "example ca "), true},
		{name(bmp, "\x00E\x00x\x00a\x00m\x00p\x00l\x00e\x00 \x00C\x00A"), true},
		{name(utf8, "Example CA 2"), false},
		{name(utf8, "ExampleCA"), false},
		{name(4, "Example  CA"), false},
		{join(a, a), false},
		{seq(), false},
		{nil, false},
		{name(utf8, "\xff"), false},
		{name(utf8, strings.Repeat("x", 10000)), false},
	} {
		if got := SameName(a, test.b); got != test.same {
			t.Errorf("%x: %v", test.b, got)
		}
	}
}

// A certificate without a key identifier is found by the hash of its key, RFC 5280 4.2.1.2 (1).
func TestCertificateByKeyID(t *testing.T) {
	key := signerKey(t, "p256").Public().(*ecdsa.PublicKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(-5), Subject: pkix.Name{CommonName: "x"}}
	template.SerialNumber = big.NewInt(5)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, signerKey(t, "p256"))
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := sum(crypto.SHA1, point)
	if si := (&SignerInfo{SubjectKeyID: id}); si.Certificate([][]byte{nil, cert(t, "rsa"), der}) == nil {
		t.Error("not found")
	}
	if si := (&SignerInfo{SubjectKeyID: []byte{}}); si.Certificate([][]byte{der, cert(t, "rsa")}) != nil {
		t.Error("found by an empty identifier")
	}
}

// THREATS A33: as many signers as are read, each with the most costly key that is used.
func TestA33ManySigners(t *testing.T) {
	der := keyed(rsaSPKI(bits(8192), []byte{0x7f, 0xff, 0xff, 0xff}))
	contentType, messageDigest := good(t)
	v, err := verify(bytes.NewReader(signing{content: content, attrs: [][]byte{messageDigest, contentType}}.der(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	si := *v.signed.SignerInfos[0]
	si.Signature = append([]byte{1}, make([]byte, 1023)...)
	cheap(t, func() {
		for range maxSignerInfos {
			if err := si.Verify(der, v.signed.Digest(crypto.SHA256), OIDData); err != ErrSignature {
				t.Error(err)
			}
		}
	})
}

// Certificates made to be slow to search do not cost more the more signers ask for them.
func TestManyCertificates(t *testing.T) {
	extension := seq(marshalOID(asn1.ObjectIdentifier{2, 5}), octetString(nil))
	c := keyed(seq(algorithm(OIDData), []byte{3, 1, 0}))
	var tbs []byte
	b := memory(c)
	for range 2 {
		if _, err := b.next(); err != nil {
			t.Fatal(err)
		}
	}
	tbs = c[b.r : len(c)-len(algorithm(OIDData))-3]
	c = seq(seq(tbs, tagged(3, seq(bytes.Repeat(extension, 6000)))), algorithm(OIDData), []byte{3, 1, 0})
	certs := make([][]byte, keptCertificates)
	for i := range certs {
		certs[i] = c
	}
	cheap(t, func() {
		for range maxSignerInfos {
			for _, si := range []*SignerInfo{{SubjectKeyID: []byte{1}}, {Issuer: []byte{1}, Serial: big.NewInt(7)}} {
				if si.Certificate(certs) != nil {
					t.Fatal("found")
				}
			}
		}
	})
}
