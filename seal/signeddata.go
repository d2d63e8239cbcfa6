package seal

import (
	"bufio"
	"encoding/asn1"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"paperknife/internal/message"
)

// A signing is one SignedData in the making.
type signing struct {
	signers []*signerInfo
}

func newSigning(signer Signer, o SignOptions) (*signing, error) {
	if err := checkBoundary(o.Boundary); err != nil {
		return nil, err
	}
	s := &signing{}
	for _, c := range append([]CoSigner{{signer, o}}, o.CoSigners...) {
		si, err := newSignerInfo(c.Signer, c.Options)
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, si)
	}
	return s, nil
}

// Write feeds the content to the digests.
func (s *signing) Write(p []byte) (int, error) {
	for _, si := range s.signers {
		si.digest.Write(p)
	}
	return len(p), nil
}

// writeOpaque writes the pkcs7-mime entity around the object that der or ber makes.
func (s *signing) writeOpaque(w io.Writer, object func(io.Writer) error) error {
	out := bufio.NewWriterSize(w, chunk)
	if _, err := out.WriteString(pkcs7MIMEHeader("signed-data")); err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	if err := object(encoder); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// der makes the object of an entity in memory.
func (s *signing) der(entity []byte) func(io.Writer) error {
	return func(w io.Writer) error { return s.writeDER(w, toCRLF(entity)) }
}

// ber makes the object of an entity of any size.
func (s *signing) ber(entity io.Reader) func(io.Writer) error {
	return func(w io.Writer) error { return s.writeBER(w, entity) }
}

func (s *signing) writeDER(w io.Writer, content []byte) error {
	if _, err := s.Write(content); err != nil {
		return err
	}
	infos, err := s.sign()
	if err != nil {
		return err
	}
	f, err := s.frame(infos, int64(len(content)))
	if err != nil {
		return err
	}
	return writeAll(w, f.open, content, f.close)
}

// writeBER knows the SignerInfos only when the content is through; what stands before it does not depend on them.
func (s *signing) writeBER(w io.Writer, entity io.Reader) error {
	f, err := s.frame(nil, indefinite)
	if err != nil {
		return err
	}
	if err := writeAll(w, f.open); err != nil {
		return err
	}
	pieces := newChunkWriter(w)
	if _, err := io.Copy(io.MultiWriter(s, pieces), message.Canonical(entity)); err != nil {
		return err
	}
	if err := pieces.flush(); err != nil {
		return err
	}
	infos, err := s.sign()
	if err != nil {
		return err
	}
	if f, err = s.frame(infos, indefinite); err != nil {
		return err
	}
	return writeAll(w, f.close)
}

// writeDetached writes the multipart/signed entity (RFC 8551 section 3.5.3).
func (s *signing) writeDetached(w io.Writer, entity io.Reader, boundary string) error {
	if boundary == "" {
		boundary = newBoundary()
	}
	out := bufio.NewWriterSize(w, chunk)
	fmt.Fprintf(out, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"+
		" micalg=%s; boundary=\"%s\"\r\n\r\n--%s\r\n", s.micalg(), boundary, boundary)
	if _, err := io.Copy(io.MultiWriter(s, out), message.Canonical(entity)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\r\n--%s\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n", boundary)
	infos, err := s.sign()
	if err != nil {
		return err
	}
	object, err := s.detached(infos)
	if err != nil {
		return err
	}
	encoder := newBase64Writer(out)
	if err := writeAll(encoder, object); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	fmt.Fprintf(out, "--%s--\r\n", boundary)
	return out.Flush() // a bufio.Writer keeps its first error
}

// micalg names the digests of all signers, each once (RFC 8551 section 3.5.3.2).
func (s *signing) micalg() string {
	var names []string
	for _, si := range s.signers {
		names = append(names, si.hash.micalg)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 1 {
		return names[0]
	}
	list := `"` + names[0]
	for _, n := range names[1:] {
		list += "," + n
	}
	return list + `"`
}

// sign returns the SignerInfos for the content that was written.
func (s *signing) sign() ([][]byte, error) {
	var infos [][]byte
	for _, si := range s.signers {
		der, err := si.sign()
		if err != nil {
			return nil, err
		}
		infos = append(infos, der)
	}
	return infos, nil
}

// frame returns ContentInfo, SignedData and encapContentInfo around n octets of content.
func (s *signing) frame(infos [][]byte, n int64) (frame, error) {
	before, after, err := s.around(infos)
	if err != nil {
		return frame{}, err
	}
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return frame{}, err
	}
	idSignedData, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return frame{}, err
	}
	octetString := byte(0x04)
	if n == indefinite {
		octetString = 0x24
	}
	return frame{}.wrap(octetString, n, nil, nil).
		wrap(0xa0, n, nil, nil).
		wrap(0x30, n, idData, nil).
		wrap(0x30, n, before, after).
		wrap(0xa0, n, nil, nil).
		wrap(0x30, n, idSignedData, nil), nil
}

// detached returns a ContentInfo of a SignedData without content.
func (s *signing) detached(infos [][]byte) ([]byte, error) {
	before, after, err := s.around(infos)
	if err != nil {
		return nil, err
	}
	idData, err := asn1.Marshal(oidData)
	if err != nil {
		return nil, err
	}
	idSignedData, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return nil, err
	}
	return element(0x30, idSignedData, element(0xa0, element(0x30, before, element(0x30, idData), after))), nil
}

// around returns what stands before and after the encapContentInfo of a SignedData.
func (s *signing) around(infos [][]byte) (before, after []byte, err error) {
	version := byte(1)
	var digests, certificates [][]byte
	for _, si := range s.signers {
		if si.options.SubjectKeyID {
			version = 3 // RFC 5652 section 5.1: a SignerInfo of version 3
		}
		digest, err := build(func(b *cryptobyte.Builder) { addAlgorithm(b, si.hash.digest, nil) })
		if err != nil {
			return nil, nil, err
		}
		digests = append(digests, digest)
		if !si.options.OmitCertificates {
			certificates = append(certificates, si.signer.Certificate.Raw)
			for _, c := range si.signer.Chain {
				certificates = append(certificates, c.Raw)
			}
		}
	}
	before = slices.Concat([]byte{2, 1, version}, setOf(0x31, distinct(digests)))
	if len(certificates) > 0 {
		after = setOf(0xa0, distinct(certificates))
	}
	return before, append(after, setOf(0x31, infos)...), nil
}
