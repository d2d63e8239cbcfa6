package cms

import (
	"encoding/asn1"
	"hash"
	"io"
)

// SignedData is RFC 5652 section 5, read up to its content. Read gives the content; Finish reads what follows it.
type SignedData struct {
	Version          int
	DigestAlgorithms []AlgorithmIdentifier
	EContentType     asn1.ObjectIdentifier
	Detached         bool // there is no eContent: the content is elsewhere

	Certificates [][]byte      // as received, the first 32; valid after Finish
	SignerInfos  []*SignerInfo // valid after Finish

	b        *ber
	content  octets
	hashes   []hashing
	reading  bool
	readErr  error // sticky; io.EOF at the end of the content
	finished bool
	err      error // of Finish

	// For DetachedObject: version and digestAlgorithms in DER, the rest as received.
	rawVersion, rawDigests            []byte
	rawCerts, rawRevocation, rawInfos []byte
}

type hashing struct {
	id    Hash
	state hash.Hash
}

// SignedData reads a SignedData up to its content.
func (r *Reader) SignedData() (*SignedData, error) {
	b, err := r.content(OIDSignedData)
	if err != nil {
		return nil, err
	}
	s := &SignedData{b: b}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *SignedData) begin() (err error) {
	if s.Version, s.rawVersion, err = s.b.version(); err != nil {
		return err
	}
	if err = s.digestAlgorithms(); err != nil {
		return err
	}
	if err = s.b.open(tagSequence); err != nil {
		return err
	}
	if s.EContentType, err = s.b.oid(); err != nil {
		return err
	}
	e, ok, err := s.b.nextIf(tagContextConstructed)
	if err != nil {
		return err
	}
	if !ok {
		s.Detached, s.readErr = true, io.EOF
		return nil
	}
	if err = s.b.enter(e); err != nil {
		return err
	}
	return s.eContent()
}

// eContent begins the OCTET STRING. Other types, which PKCS #7 allowed here, are refused: their digest is taken in
// another way, and mail has none.
func (s *SignedData) eContent() error {
	more, err := s.b.more()
	if err != nil {
		return err
	}
	if !more {
		return syntax("empty eContent")
	}
	e, err := s.b.next()
	if err != nil {
		return err
	}
	if !e.is(tagOctetString) {
		return syntax("tag %#02x as eContent", e.tag)
	}
	s.content, err = newOctets(s.b, e)
	return err
}

func (s *SignedData) digestAlgorithms() error {
	if err := s.b.open(tagSet); err != nil {
		return err
	}
	for {
		more, err := s.b.more()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if len(s.DigestAlgorithms) == maxDigestAlgorithms {
			return syntax("more than %d digestAlgorithms", maxDigestAlgorithms)
		}
		a, der, err := s.b.algorithm()
		if err != nil {
			return err
		}
		s.rawDigests = append(s.rawDigests, der...)
		s.DigestAlgorithms = append(s.DigestAlgorithms, a)
		if h := contentHash(a); h != nil {
			s.AddHash(h)
		}
	}
	// A set that names nothing known does not keep a signature from being verified (THREATS A23).
	if len(s.hashes) == 0 {
		for _, d := range digests {
			s.AddHash(d.hash)
		}
	}
	return s.b.leave()
}

// AddHash asks for one more digest of the content, for a second reading of an object whose digestAlgorithms leave
// out the digest of a signer. It has no effect after the first Read; nil is no hash.
func (s *SignedData) AddHash(h Hash) {
	if h == nil || s.reading || s.hashing(h) != nil {
		return
	}
	s.hashes = append(s.hashes, hashing{h, h.New()})
}

func (s *SignedData) hashing(h Hash) hash.Hash {
	for _, have := range s.hashes {
		if have.id == h {
			return have.state
		}
	}
	return nil
}

// Read gives the octets of the content and hashes them on the way, with every known algorithm of digestAlgorithms
// (all of the package when it names none). It returns io.EOF at the end of the content, at once when it is detached.
// It fills p as far as there is content.
func (s *SignedData) Read(p []byte) (int, error) {
	s.reading = true
	if s.readErr != nil {
		return 0, s.readErr
	}
	n, err := s.content.fill(p)
	s.readErr = err
	for _, h := range s.hashes {
		h.state.Write(p[:n])
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// drain hashes the rest of the content straight out of the buffer.
func (s *SignedData) drain() error {
	s.reading = true
	for s.readErr == nil {
		p, err := s.content.peek()
		if err != nil {
			s.readErr = err
			break
		}
		for _, h := range s.hashes {
			h.state.Write(p)
		}
		s.content.use(len(p))
	}
	if s.readErr == io.EOF {
		return nil
	}
	return s.readErr
}

// Digest returns the digest of the content that Read has hashed, nil when that hash was not computed or the content
// is detached. It is that of all the content once Read has given io.EOF, or after Finish.
func (s *SignedData) Digest(h Hash) []byte {
	state := s.hashing(h)
	if state == nil || s.Detached {
		return nil
	}
	return state.Sum(nil)
}

// Finish reads the rest of the content, then certificates, crls and signerInfos, to the end of the ContentInfo.
// Blank octets may follow it, anything else is ErrSyntax.
func (s *SignedData) Finish() error {
	if !s.finished {
		s.finished = true
		s.err = s.finish()
	}
	return s.err
}

func (s *SignedData) finish() error {
	if err := s.drain(); err != nil {
		return err
	}
	if !s.Detached {
		if err := s.b.leave(); err != nil { // [0]
			return err
		}
	}
	if err := s.b.leave(); err != nil { // encapContentInfo
		return err
	}
	certs, err := s.certificates()
	if err != nil {
		return err
	}
	if err := s.revocation(); err != nil {
		return err
	}
	infos, err := s.signerInfos()
	if err != nil {
		return err
	}
	if err := s.b.finish(); err != nil {
		return err
	}
	s.Certificates, s.SignerInfos = certs, infos
	return nil
}

// certificates reads certificates [0] IMPLICIT SET OF CertificateChoices. Forms other than a certificate keep their
// place in the object and are otherwise ignored, as is what is too large or too late.
func (s *SignedData) certificates() ([][]byte, error) {
	e, ok, err := s.b.nextIf(tagContextConstructed)
	if err != nil || !ok {
		return nil, err
	}
	if err := s.b.enter(e); err != nil {
		return nil, err
	}
	var ends []int
	var isCertificate []bool
	for n := 0; ; n++ {
		more, err := s.b.more()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if n == maxCertificates {
			return nil, syntax("more than %d certificates", maxCertificates)
		}
		e, err := s.b.next()
		if err != nil {
			return nil, err
		}
		if len(ends) == keptCertificates || e.length > maxCertificate-16 {
			err = s.b.discard(e)
		} else {
			isCertificate = append(isCertificate, e.tag == tagSequence)
			s.rawCerts, err = s.b.collect(s.rawCerts, e, maxCertificate)
			ends = append(ends, len(s.rawCerts))
		}
		if err != nil {
			return nil, err
		}
	}
	var certs [][]byte
	for i, raw := range split(s.rawCerts, ends) {
		if isCertificate[i] {
			certs = append(certs, raw)
		}
	}
	return certs, s.b.leave()
}

// split cuts p at the given ends.
func split(p []byte, ends []int) [][]byte {
	parts := make([][]byte, len(ends))
	start := 0
	for i, end := range ends {
		parts[i] = p[start:end:end]
		start = end
	}
	return parts
}

// revocation reads crls [1] IMPLICIT. They are kept for DetachedObject alone: nothing a message brings along revokes.
func (s *SignedData) revocation() error {
	e, ok, err := s.b.nextIf(tagContextConstructed | 1)
	if err != nil || !ok {
		return err
	}
	if err := s.b.enter(e); err != nil {
		return err
	}
	for {
		more, err := s.b.more()
		if err != nil {
			return err
		}
		if !more {
			return s.b.leave()
		}
		e, err := s.b.next()
		if err != nil {
			return err
		}
		room := maxRevocation - len(s.rawRevocation)
		if e.length > int64(room-16) {
			err = s.b.discard(e)
		} else {
			s.rawRevocation, err = s.b.collect(s.rawRevocation, e, room)
		}
		if err != nil {
			return err
		}
	}
}

func (s *SignedData) signerInfos() ([]*SignerInfo, error) {
	if err := s.b.open(tagSet); err != nil {
		return nil, err
	}
	var ends []int
	for {
		more, err := s.b.more()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if len(ends) == maxSignerInfos {
			return nil, syntax("more than %d signerInfos", maxSignerInfos)
		}
		e, err := s.b.expect(tagSequence)
		if err != nil {
			return nil, err
		}
		if s.rawInfos, err = s.b.collect(s.rawInfos, e, maxSigners-len(s.rawInfos)); err != nil {
			return nil, err
		}
		ends = append(ends, len(s.rawInfos))
	}
	infos := make([]*SignerInfo, len(ends))
	for i, raw := range split(s.rawInfos, ends) {
		var err error
		if infos[i], err = parseSignerInfo(raw); err != nil {
			return nil, err
		}
	}
	return infos, s.b.leave()
}

// DetachedObject returns the ContentInfo without its content, for a multipart/signed made of an opaque signature.
// Certificates, CRLs and signerInfos keep their octets. It is valid after Finish, nil before and when that failed.
func (s *SignedData) DetachedObject() []byte {
	if !s.finished || s.err != nil {
		return nil
	}
	parts := [][]byte{
		s.rawVersion,
		appendElement(nil, tagSet, s.rawDigests),
		appendElement(nil, tagSequence, marshalOID(s.EContentType)),
	}
	if len(s.rawCerts) > 0 {
		parts = append(parts, appendElement(nil, tagContextConstructed, s.rawCerts))
	}
	if len(s.rawRevocation) > 0 {
		parts = append(parts, appendElement(nil, tagContextConstructed|1, s.rawRevocation))
	}
	parts = append(parts, appendElement(nil, tagSet, s.rawInfos))
	signed := appendElement(nil, tagSequence, parts...)
	return appendElement(nil, tagSequence, marshalOID(OIDSignedData), appendElement(nil, tagContextConstructed, signed))
}
