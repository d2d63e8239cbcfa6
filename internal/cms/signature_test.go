package cms

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha3"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/mldsa"

	"paperknife/test/cputime"
)

// Every object of testdata/signatures.sh, made by OpenSSL and GnuTLS.
func TestSignatureAlgorithms(t *testing.T) {
	content := testdata(t, "content.txt")
	for _, test := range []struct {
		file              string
		digest, signature string
		masked            []string
		bits              int
	}{
		{"pss-sha256", "sha256", "rsa-pss", []string{"sha256", "sha256"}, 2048},
		{"pss-sha384", "sha384", "rsa-pss", []string{"sha384", "sha384"}, 2048},
		{"pss-sha512", "sha512", "rsa-pss", []string{"sha512", "sha512"}, 2048},
		{"pss-sha1", "sha1", "rsa-pss", []string{"sha1", "sha1"}, 2048},
		{"pss-nosalt", "sha256", "rsa-pss", []string{"sha256", "sha256"}, 2048},
		{"pss-mgf1sha1", "sha256", "rsa-pss", []string{"sha256", "sha1"}, 2048},
		{"pss-mgf1sha512", "sha256", "rsa-pss", []string{"sha256", "sha512"}, 2048},
		{"pss-noattr", "sha256", "rsa-pss", []string{"sha256", "sha256"}, 2048},
		{"pss-3072", "sha256", "rsa-pss", []string{"sha256", "sha384"}, 3072},
		{"pss-key", "sha256", "rsa-pss", []string{"sha256", "sha256"}, 2048},
		{"pss-bound", "sha256", "rsa-pss", []string{"sha256", "sha256"}, 2048},
		{"pss-gnutls", "sha384", "rsa-pss", []string{"sha384", "sha384"}, 2048},
		{"ed25519", "sha512", "ed25519", nil, 256},
		{"brainpoolP256r1", "sha256", "ecdsa-brainpoolP256r1", nil, 256},
		{"brainpoolP384r1", "sha384", "ecdsa-brainpoolP384r1", nil, 384},
		{"brainpoolP512r1", "sha512", "ecdsa-brainpoolP512r1", nil, 512},
	} {
		t.Run(test.file, func(t *testing.T) {
			v, err := verify(bytes.NewReader(testdata(t, test.file+".der")), nil)
			if err != nil || len(v.errs) != 1 || v.errs[0] != nil || !bytes.Equal(v.content, content) {
				t.Fatal(err, v)
			}
			si := v.signed.SignerInfos[0]
			digest, signature := si.Names()
			bits := si.KeyBits(si.Certificate(v.signed.Certificates))
			if digest != test.digest || signature != test.signature || bits != test.bits {
				t.Errorf("%s %s %d", digest, signature, bits)
			}
			if got := si.MaskedDigests(); !slices.Equal(got, test.masked) {
				t.Errorf("digests of the signature: %q", got)
			}
			si.Signature[len(si.Signature)-1] ^= 1
			digestOfContent := v.signed.Digest(si.Hash)
			if err := si.Verify(si.Certificate(v.signed.Certificates), digestOfContent, OIDData); !errors.Is(err, ErrSignature) {
				t.Errorf("one bit flipped: %v", err)
			}
		})
	}
}

// signerInfo returns the only signer of an object, its certificate and the digest of the content.
func signerInfo(t *testing.T, file string) (si *SignerInfo, cert, digest []byte) {
	t.Helper()
	v, err := verify(bytes.NewReader(testdata(t, file+".der")), nil)
	if err != nil {
		t.Fatal(err)
	}
	si = v.signed.SignerInfos[0]
	return si, si.Certificate(v.signed.Certificates), v.signed.Digest(si.Hash)
}

func mgf1(h crypto.Hash) []byte { return algorithm(oidMGF1, algorithm(digestOID(h), null)) }

func pssParams(hash, mask crypto.Hash, salt byte, more ...[]byte) []byte {
	return seq(tagged(0, algorithm(digestOID(hash), null)), tagged(1, mgf1(mask)), tagged(2, number(salt)), bytes.Join(more, nil))
}

// RFC 4056, RFC 8017 A.2.3; THREATS A24: parameters are what was signed with, or there is no signature.
func TestA24PSSParameters(t *testing.T) {
	si, cert, digest := signerInfo(t, "pss-sha256")
	sha256 := algorithm(digestOID(crypto.SHA256), null)
	for name, test := range map[string]struct {
		params []byte
		want   error
	}{
		"as signed":              {pssParams(crypto.SHA256, crypto.SHA256, 32), nil},
		"trailer 1":              {pssParams(crypto.SHA256, crypto.SHA256, 32, tagged(3, number(1))), nil},
		"trailer 2":              {pssParams(crypto.SHA256, crypto.SHA256, 32, tagged(3, number(2))), ErrAlgorithm},
		"absent, which is SHA-1": {nil, ErrSignature},
		"empty, which is SHA-1":  {seq(), ErrSignature},
		"NULL":                   {null, ErrAlgorithm},
		"another hash":           {pssParams(crypto.SHA512, crypto.SHA256, 32), ErrSignature},
		"another mask":           {pssParams(crypto.SHA256, crypto.SHA1, 32), ErrSignature},
		"less salt":              {pssParams(crypto.SHA256, crypto.SHA256, 31), ErrSignature},
		"no salt":                {pssParams(crypto.SHA256, crypto.SHA256, 0), ErrSignature},
		"negative salt":          {pssParams(crypto.SHA256, crypto.SHA256, 0xff), ErrAlgorithm},
		"salt of 2^31":           {seq(tagged(0, sha256), tagged(1, mgf1(crypto.SHA256)), tagged(2, []byte{2, 5, 0, 0x80, 0, 0, 0})), ErrAlgorithm},
		"salt of 1024":           {seq(tagged(0, sha256), tagged(1, mgf1(crypto.SHA256)), tagged(2, []byte{2, 2, 4, 0})), ErrSignature},
		"salt of 1025":           {seq(tagged(0, sha256), tagged(1, mgf1(crypto.SHA256)), tagged(2, []byte{2, 2, 4, 1})), ErrAlgorithm},
		"MD5":                    {seq(tagged(0, algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, null)), tagged(2, number(32))), ErrAlgorithm},
		"mask of no MGF1":        {seq(tagged(0, sha256), tagged(1, sha256)), ErrAlgorithm},
		"another order":          {seq(tagged(2, number(32)), tagged(0, sha256)), ErrAlgorithm},
		"octets behind":          {join(pssParams(crypto.SHA256, crypto.SHA256, 32), null), ErrAlgorithm},
		"octets inside":          {pssParams(crypto.SHA256, crypto.SHA256, 32, null), ErrAlgorithm},
		"no parameters at all":   {octetString(nil), ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			bad := *si
			bad.SignatureAlgorithm.Parameters = test.params
			if err := bad.Verify(cert, digest, OIDData); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// RFC 4055 3.3: a key of type id-RSASSA-PSS signs by its own parameters, and by no other scheme.
func TestPSSKeys(t *testing.T) {
	si, cert, digest := signerInfo(t, "pss-bound")
	c, _ := parseCertificate(cert)
	for name, test := range map[string]struct {
		algorithm []byte
		want      error
	}{
		"any RSA key":     {algorithm(oidRSAEncryption, null), nil},
		"not bound":       {algorithm(oidRSASSAPSS), nil},
		"bound":           {algorithm(oidRSASSAPSS, pssParams(crypto.SHA256, crypto.SHA256, 32)), nil},
		"to less salt":    {algorithm(oidRSASSAPSS, pssParams(crypto.SHA256, crypto.SHA256, 20)), nil},
		"to another hash": {algorithm(oidRSASSAPSS, pssParams(crypto.SHA512, crypto.SHA256, 32)), ErrCertificate},
		"to another mask": {algorithm(oidRSASSAPSS, pssParams(crypto.SHA256, crypto.SHA1, 32)), ErrCertificate},
		"by NULL":         {algorithm(oidRSASSAPSS, null), ErrCertificate},
		"for OAEP":        {algorithm(oidRSAESOAEP), ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			der := keyed(seq(test.algorithm, appendElement(nil, tagBitString, []byte{0}, c.key)))
			again := *si
			if err := again.Verify(der, digest, OIDData); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	plain := *si
	plain.SignatureAlgorithm = AlgorithmIdentifier{Algorithm: oidRSAEncryption}
	if err := plain.Verify(cert, digest, OIDData); !errors.Is(err, ErrCertificate) {
		t.Errorf("PKCS #1 v1.5 by an RSASSA-PSS key: %v", err)
	}
}

// Our EMSA-PSS and that of crypto/rsa are of one mind, on moduli of every remainder.
func TestPSSLikeCryptoRSA(t *testing.T) {
	for _, bits := range []int{1024, 1025, 1031, 1032} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
			digest := sum(hash, content)
			for _, salt := range []int{1, 20, (bits+6)/8 - hash.Size() - 2} {
				signature, err := rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: salt})
				if err != nil {
					t.Fatal(err)
				}
				p := pssParameters{hash, hash, salt}
				m := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(key.E)), key.N)
				if !p.verifyEncoded(m, bits-1, digest) {
					t.Errorf("%d bits, %v, %d octets of salt: refused", bits, hash, salt)
				}
				for bit := range bits {
					bad := new(big.Int).SetBit(m, bit, m.Bit(bit)^1)
					if p.verifyEncoded(bad, bits-1, digest) {
						t.Fatalf("%d bits, %v, %d octets of salt: bit %d flipped", bits, hash, salt, bit)
					}
				}
				for _, other := range []pssParameters{{hash, hash, salt - 1}, {hash, hash, salt + 1}, {hash, crypto.SHA224, salt}} {
					if other.verifyEncoded(m, bits-1, digest) {
						t.Errorf("%d bits, %v: verified as %+v", bits, p, other)
					}
				}
			}
		}
	}
}

// RFC 8419: SHA-512, no parameters, and the attributes themselves are signed.
func TestEd25519(t *testing.T) {
	si, cert, digest := signerInfo(t, "ed25519")
	c, _ := parseCertificate(cert)
	key := signerKey(t, "ed25519").(ed25519.PrivateKey)
	spki := func(algorithm []byte, key ...[]byte) []byte {
		return keyed(seq(algorithm, appendElement(nil, tagBitString, append([][]byte{{0}}, key...)...)))
	}
	for name, test := range map[string]struct {
		change func(*SignerInfo)
		cert   []byte
		want   error
	}{
		"as it is":             {func(*SignerInfo) {}, cert, nil},
		"parameters":           {func(s *SignerInfo) { s.SignatureAlgorithm.Parameters = null }, cert, ErrAlgorithm},
		"another digest":       {func(s *SignerInfo) { s.Hash = crypto.SHA256 }, cert, ErrAlgorithm},
		"no attributes":        {func(s *SignerInfo) { s.HasSignedAttrs = false }, cert, ErrAlgorithm},
		"the digest is signed": {func(s *SignerInfo) { s.Signature = ed25519.Sign(key, sum(crypto.SHA512, set(s.rawAttrs))) }, cert, ErrSignature},
		"short signature":      {func(s *SignerInfo) { s.Signature = s.Signature[1:] }, cert, ErrSignature},
		"long signature":       {func(s *SignerInfo) { s.Signature = append(bytes.Clone(s.Signature), 0) }, cert, ErrSignature},
		"no signature":         {func(s *SignerInfo) { s.Signature = nil }, cert, ErrSignature},
		"key of 31 octets":     {func(*SignerInfo) {}, spki(algorithm(oidEd25519), c.key[1:]), ErrCertificate},
		"key of 33 octets":     {func(*SignerInfo) {}, spki(algorithm(oidEd25519), c.key, []byte{0}), ErrCertificate},
		"key with parameters":  {func(*SignerInfo) {}, spki(algorithm(oidEd25519, null), c.key), ErrCertificate},
		"RSA key":              {func(*SignerInfo) {}, spki(algorithm(oidRSAEncryption, null), c.key), ErrCertificate},
		"all-zero key":         {func(*SignerInfo) {}, spki(algorithm(oidEd25519), make([]byte, 32)), ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			again := *si
			test.change(&again)
			if err := again.Verify(test.cert, digest[:again.Hash.Size()], OIDData); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// RFC 8419 with Ed448, signed by OpenSSL, whose cms command cannot.
func TestEd448(t *testing.T) {
	needOpenSSL(t)
	sign := func(message []byte) []byte {
		file := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(file, message, 0o600); err != nil {
			t.Fatal(err)
		}
		return openssl(t, nil, "pkeyutl", "-sign", "-rawin", "-inkey", "ed448.key", "-in", file)
	}
	sized := func(bits ...byte) []byte { return algorithm(oidSHAKE256Len, appendElement(nil, tagInteger, bits)) }
	attrs := [][]byte{attribute(OIDAttrContentType, marshalOID(OIDData)), attribute(OIDAttrMessageDigest, octetString(sum(SHAKE256, content)))}
	sha512 := [][]byte{attrs[0], attribute(OIDAttrMessageDigest, octetString(sum(crypto.SHA512, content)))}
	good := signing{content: content, signer: cert(t, "ed448"), sign: sign, attrs: attrs, digestAlg: sized(2, 0), signature: algorithm(oidEd448)}
	for name, test := range map[string]struct {
		change func(*signing)
		want   error
	}{
		"as RFC 8419 says":     {func(*signing) {}, nil},
		"id-shake256":          {func(s *signing) { s.digestAlg = algorithm(oidSHAKE256) }, nil},
		"named late":           {func(s *signing) { s.digests = algorithm(digestOID(crypto.SHA256)) }, nil},
		"parameters":           {func(s *signing) { s.signature = algorithm(oidEd448, null) }, ErrAlgorithm},
		"id-shake256, NULL":    {func(s *signing) { s.digestAlg = algorithm(oidSHAKE256, null) }, ErrAlgorithm},
		"256 bits":             {func(s *signing) { s.digestAlg = sized(1, 0) }, ErrAlgorithm},
		"length of no number":  {func(s *signing) { s.digestAlg = algorithm(oidSHAKE256Len, null) }, ErrAlgorithm},
		"SHA-512":              {func(s *signing) { s.digestAlg, s.attrs = algorithm(digestOID(crypto.SHA512)), sha512 }, ErrAlgorithm},
		"no attributes":        {func(s *signing) { s.noAttrs = true }, ErrAlgorithm},
		"key of Ed25519":       {func(s *signing) { s.signer = cert(t, "ed25519") }, ErrCertificate},
		"signature of 113":     {func(s *signing) { s.sign = func(m []byte) []byte { return sign(m)[1:] } }, ErrSignature},
		"signature of 115":     {func(s *signing) { s.sign = func(m []byte) []byte { return append(sign(m), 0) } }, ErrSignature},
		"over something else":  {func(s *signing) { s.sign = func(m []byte) []byte { return sign(append(m, 0)) } }, ErrSignature},
		"content changed":      {func(s *signing) { s.eContent = octetString([]byte("else")) }, ErrDigest},
		"RSA with this digest": {func(s *signing) { s.signature, s.signer = algorithm(oidRSAEncryption, null), cert(t, "rsa") }, ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			test.change(&s)
			v, err := verify(bytes.NewReader(s.der(t)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.errs) != 1 || !errors.Is(v.errs[0], test.want) {
				t.Fatalf("%v, want %v", v.errs, test.want)
			}
			if digest, name := v.signed.SignerInfos[0].Names(); test.want == nil && (digest != "shake256" || name != "ed448") {
				t.Errorf("%s, %s", digest, name)
			}
		})
	}
}

// RFC 9882: digests as strong as the signature, nothing in the parameters. That the signatures are those of other
// people's software is for TestCorpora to show.
func TestMLDSA(t *testing.T) {
	hash := map[int]Hash{20: crypto.SHA1, 28: crypto.SHA224, 32: crypto.SHA256, 48: crypto.SHA384, 64: crypto.SHA512}
	for _, set := range []struct {
		name   string
		params mldsa.Parameters
		oid    asn1.ObjectIdentifier
		least  int // octets of the digest
	}{
		{"ml-dsa-44", mldsa.MLDSA44(), oidMLDSA44, 32},
		{"ml-dsa-65", mldsa.MLDSA65(), oidMLDSA65, 48},
		{"ml-dsa-87", mldsa.MLDSA87(), oidMLDSA87, 64},
	} {
		key, err := mldsa.GenerateKey(set.params)
		if err != nil {
			t.Fatal(err)
		}
		public := key.PublicKey().Bytes()
		certificate := func(algorithm []byte, key []byte) []byte {
			return keyed(seq(algorithm, appendElement(nil, tagBitString, []byte{0}, key)))
		}
		own := certificate(algorithm(set.oid), public)
		check := func(name string, h Hash, digestAlg, cert, signatureAlg []byte, context string, want error) {
			t.Helper()
			s := signing{content: content, digestAlg: digestAlg, digests: digestAlg, signature: signatureAlg, signer: cert, attrs: [][]byte{
				attribute(OIDAttrContentType, marshalOID(OIDData)), attribute(OIDAttrMessageDigest, octetString(sum(h, content)))}}
			s.sign = func(message []byte) []byte {
				signature, err := key.Sign(rand.Reader, message, &mldsa.Options{Context: context})
				if err != nil {
					t.Fatal(err)
				}
				return signature
			}
			v, err := verify(bytes.NewReader(s.der(t)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.errs) != 1 || !errors.Is(v.errs[0], want) {
				t.Errorf("%s, %s: %v, want %v", set.name, name, v.errs, want)
			}
			if _, name := v.signed.SignerInfos[0].Names(); want == nil && name != set.name {
				t.Errorf("%s: named %s", set.name, name)
			}
		}
		for size, h := range hash {
			var want error
			if size < set.least {
				want = ErrAlgorithm
			}
			check(fmt.Sprint(8*size, " bits"), h, algorithm(digestOID(h.(crypto.Hash))), own, algorithm(set.oid), "", want)
		}
		sha512 := algorithm(digestOID(crypto.SHA512))
		check("SHAKE256", SHAKE256, algorithm(oidSHAKE256), own, algorithm(set.oid), "", nil)
		check("parameters", crypto.SHA512, sha512, own, algorithm(set.oid, null), "", ErrAlgorithm)
		check("parameters of the key", crypto.SHA512, sha512, certificate(algorithm(set.oid, null), public), algorithm(set.oid), "", ErrCertificate)
		check("short key", crypto.SHA512, sha512, certificate(algorithm(set.oid), public[1:]), algorithm(set.oid), "", ErrCertificate)
		check("no key", crypto.SHA512, sha512, certificate(algorithm(set.oid), nil), algorithm(set.oid), "", ErrCertificate)
		check("a key of another kind", crypto.SHA512, sha512, certificate(algorithm(oidEd25519), public), algorithm(set.oid), "", ErrCertificate)
		check("context", crypto.SHA512, sha512, own, algorithm(set.oid), "x", ErrSignature)
	}
}

func TestSHAKE256(t *testing.T) {
	if got := sum(SHAKE256, content); !bytes.Equal(got, sha3.SumSHAKE256(content, 64)) || len(got) != SHAKE256.Size() {
		t.Errorf("%x", got)
	}
}

// Points that are not on a Brainpool curve are no keys.
func TestBrainpoolPoints(t *testing.T) {
	si, cert, digest := signerInfo(t, "brainpoolP256r1")
	c, _ := parseCertificate(cert)
	p := brainpoolCurves[0].curve.Params().P.Bytes()
	for name, point := range map[string][]byte{
		"not on it":    append(bytes.Clone(c.key[:64]), c.key[64]^1),
		"compressed":   append([]byte{2}, c.key[1:33]...),
		"infinity":     {0},
		"none":         {},
		"zero":         append([]byte{4}, make([]byte, 64)...),
		"x past p":     join([]byte{4}, p, c.key[33:]),
		"of 384 bits":  append([]byte{4}, make([]byte, 96)...),
		"one too long": append(bytes.Clone(c.key), 0),
	} {
		der := keyed(seq(algorithm(oidECPublicKey, c.keyAlgorithm.Parameters), appendElement(nil, tagBitString, []byte{0}, point)))
		if err := si.Verify(der, digest, OIDData); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// THREATS A33: as many signers as are read, by the slowest curve.
func TestA33ManyBrainpoolSigners(t *testing.T) {
	si, cert, digest := signerInfo(t, "brainpoolP512r1")
	start := cputime.Used(t)
	for range maxSignerInfos {
		if err := si.Verify(cert, digest, OIDData); err != nil {
			t.Error(err)
		}
	}
	cputime.Limit(t, start, 3*time.Second)
}
