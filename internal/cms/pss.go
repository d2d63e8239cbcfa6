package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// pssParameters are RSASSA-PSS-params of RFC 8017 A.2.3.
type pssParameters struct {
	hash, mask crypto.Hash
	salt       int // octets
}

// readPSS reads the parameters. Absent ones are the defaults, which are all SHA-1: RFC 4056 2.2 asks for explicit ones in
// a signature, and what SHA-1 is worth is the caller's to say.
func readPSS(parameters []byte) (p pssParameters, ok bool) {
	p = pssParameters{hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}
	if parameters == nil {
		return p, true
	}
	s := cryptobyte.String(parameters)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, casn1.SEQUENCE) || !s.Empty() {
		return p, false
	}
	for tag, hash := range []func(AlgorithmIdentifier) crypto.Hash{digestHash, mgf1Hash} {
		a, present, ok := optionalAlgorithm(&seq, uint8(tag))
		if !ok {
			return p, false
		}
		if present {
			*[]*crypto.Hash{&p.hash, &p.mask}[tag] = hash(a)
		}
	}
	trailer := 1
	ok = optionalNumber(&seq, 2, &p.salt) && optionalNumber(&seq, 3, &trailer) && seq.Empty()
	return p, ok && p.hash != 0 && p.mask != 0 && p.salt >= 0 && p.salt <= maxModulus/8 && trailer == 1
}

// optionalNumber reads an INTEGER under an explicit tag into n, if it is there.
func optionalNumber(s *cryptobyte.String, tag uint8, n *int) bool {
	var explicit cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&explicit, &present, casn1.Tag(tag).Constructed().ContextSpecific()) {
		return false
	}
	return !present || explicit.ReadASN1Integer(n) && explicit.Empty()
}

// pssSigner is RFC 4056. The key may be of either type of RFC 4055 1.2: any RSA key, or one for this scheme alone, with
// parameters that bind the signature's.
func pssSigner(c *certificate, si *SignerInfo) (publicKey, error) {
	p, ok := readPSS(si.SignatureAlgorithm.Parameters)
	if !ok {
		return publicKey{}, si.badParameters()
	}
	switch {
	case c.keyAlgorithm.Algorithm.Equal(oidRSAEncryption) && c.keyAlgorithm.plain():
	case c.keyAlgorithm.Algorithm.Equal(oidRSASSAPSS):
		if err := p.allowedBy(c.keyAlgorithm.Parameters); err != nil {
			return publicKey{}, err
		}
	default:
		return publicKey{}, c.unusable()
	}
	key := rsaKey(c.key)
	if key == nil {
		return publicKey{}, c.unusable()
	}
	return publicKey{"rsa-pss", p.hash, func(digest, signature []byte) bool { return p.verify(key, digest, signature) }}, nil
}

// allowedBy holds p against the parameters of a key (RFC 4055 3.3): the same hashes, and at least as much salt.
func (p pssParameters) allowedBy(parameters []byte) error {
	if parameters == nil {
		return nil
	}
	limit, ok := readPSS(parameters)
	if !ok || limit.hash != p.hash || limit.mask != p.mask || limit.salt > p.salt {
		return fmt.Errorf("%w: an RSASSA-PSS key for other parameters", ErrCertificate)
	}
	return nil
}

func (p pssParameters) verify(key *rsa.PublicKey, digest, signature []byte) bool {
	if len(signature) != key.Size() || len(digest) != p.hash.Size() {
		return false
	}
	// crypto/rsa has one hash for both uses, and takes a salt of 0 octets for one of any length.
	if p.hash == p.mask && p.salt > 0 {
		return rsa.VerifyPSS(key, p.hash, digest, signature, &rsa.PSSOptions{SaltLength: p.salt}) == nil
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(key.N) >= 0 {
		return false
	}
	m := s.Exp(s, big.NewInt(int64(key.E)), key.N)
	return p.verifyEncoded(m, key.N.BitLen()-1, digest)
}

// verifyEncoded is EMSA-PSS-VERIFY, RFC 8017 9.1.2, of the encoded message m with room for the given number of bits.
func (p pssParameters) verifyEncoded(m *big.Int, bits int, digest []byte) bool {
	size := (bits + 7) / 8
	blank := size - len(digest) - p.salt - 2 // zero octets before the salt
	if blank < 0 || m.BitLen() > bits {
		return false
	}
	encoded := m.FillBytes(make([]byte, size))
	if encoded[size-1] != 0xbc {
		return false
	}
	db, sum := encoded[:size-len(digest)-1], encoded[size-len(digest)-1:size-1]
	p.unmask(db, sum)
	db[0] &= 0xff >> (8*size - bits)
	if len(bytes.TrimLeft(db[:blank], "\x00")) > 0 || db[blank] != 1 {
		return false
	}
	h := p.hash.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	h.Write(db[blank+1:])
	return bytes.Equal(h.Sum(nil), sum)
}

// unmask takes the output of MGF1 over seed off db, RFC 8017 B.2.1.
func (p pssParameters) unmask(db, seed []byte) {
	for counter := byte(0); len(db) > 0; counter++ { // the modulus is at most 1024 octets
		h := p.mask.New()
		h.Write(seed)
		h.Write([]byte{0, 0, 0, counter})
		for i, c := range h.Sum(nil)[:min(len(db), p.mask.Size())] {
			db[i] ^= c
		}
		db = db[min(len(db), p.mask.Size()):]
	}
}
