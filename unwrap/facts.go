package unwrap

import (
	"math/big"
	"time"

	"paperknife/internal/cms"
	"paperknife/internal/message"
)

// A Type names what a layer is, by its CMS content type.
type Type string

// The types of layers.
const (
	Signed        Type = "signed"
	Enveloped     Type = "enveloped"
	AuthEnveloped Type = "auth-enveloped"
	Compressed    Type = "compressed"
	Digested      Type = "digested"      // recognised, never verified: a digest without a key proves nothing
	Encrypted     Type = "encrypted"     // recognised, never opened: the key is not in the message
	Authenticated Type = "authenticated" // recognised, never verified
	Unreadable    Type = "unreadable"    // an S/MIME entity whose CMS object could not be read
)

// A Role says what part a layer plays (SEEDS D(b), the walk).
type Role string

// The roles of layers.
const (
	RoleDomain     Role = "domain"     // a SignerInfo carries SignatureType domainSig
	RoleOriginator Role = "originator" // no SignatureType, and what it signs is the original content
	RoleInner      Role = "inner"      // no SignatureType, and what it signs is another layer
	RoleMLA        Role = "mla"        // a SignerInfo carries mlExpansionHistory
	RoleEmpty      Role = "empty"      // no SignerInfo, content present (requirement D1)
	RoleDCA        Role = "dca"        // an envelope with a RecipientInfo for a key of ours
	RoleCompressed Role = "compressed" // no S/MIME protection, only a smaller form of what it holds
	RoleOther      Role = "other"      // all else: an envelope for others, certs-only, other SignatureTypes
)

// An Outcome is what the cryptography of one SignerInfo says. Only Good proves anything, and it proves only that
// the key of that certificate signed these octets.
type Outcome int

// The outcomes. The zero value is "not verified".
const (
	NotVerified   Outcome = iota
	Good                  // the signature value is right and covers the content
	BadDigest             // messageDigest differs from the content
	BadSignature          // the signature value is wrong
	NoCertificate         // the signer's certificate is not in the message
	Unsupported           // an algorithm that is not known, or refused
	Malformed             // signed attributes missing, doubled or contradicting, or a certificate that cannot be used
)

// A Signer is one SignerInfo.
type Signer struct {
	Outcome     Outcome
	Detail      error  // what the cryptography said, for explain and the log; nil when Good
	Certificate []byte // DER; nil when the message does not carry it
	Issuer      []byte // DER Name, as the SignerInfo names it; nil when it names a subjectKeyIdentifier
	Serial      *big.Int
	Digest      string   // "sha256"
	Algorithm   string   // "rsa", "rsa-pss", "ecdsa-p256", "ed25519"
	Masked      []string // of rsa-pss: the digest of what is signed, and that of MGF1
	KeyBits     int
	SignedAttrs bool      // signed attributes are present
	SigningTime time.Time // as claimed; zero when absent
	Types       []string  // SignatureType values, dotted OIDs
	Attributes  Attributes
	LineEnds    bool // the content was signed with line ends of LF, which nobody asks for (CompatSignedLF)
	mlExpansion bool
}

// Claims reports whether the SignerInfo claims the given SignatureType.
func (s Signer) Claims(oid string) bool {
	for _, t := range s.Types {
		if t == oid {
			return true
		}
	}
	return false
}

// A Layer is one S/MIME layer of the message.
type Layer struct {
	Type       Type
	Role       Role
	Part       string   // IMAP section of the part that holds the CMS object: "1", "1/1/2" (RFC 7281 section 3.2.1)
	Detached   bool     // multipart/signed
	Sealed     bool     // found behind a private key of ours: what rests on it must not show outside (DESIGN rule 2)
	Algorithms []string // content cipher and key management of an envelope; digest and signature of each signer
	Compat     []string // deviations from the standards that known senders write, and that were let through
	Fault      error    // why the layer could not be processed; nil otherwise

	// Of a signed layer:
	Signers            []Signer
	Certificates       [][]byte // DER, as the object carries them, for path building
	SignatureTypeFault string   // violation of D11, D14 to D16; "" when there is none
	AttributeFaults    []string // signers whose attributes contradict each other, or stand in the wrong layer (RFC 2634)
	WholeBody          bool     // nothing readable stands before, between or after the signed part

	// Of an envelope:
	ForUs  bool // a RecipientInfo names a key of ours
	Opened bool // decrypted; key length, padding or tag, and structure were right
	// Authenticated reports that a tag covers the plaintext, which is so in an AuthEnvelopedData, and in the deviation from
	// it that is let through.
	Authenticated bool
	WeakCipher    bool // the content cipher should no longer be used (3DES)
	GateGood      bool // of an Enveloped: the plaintext passed the gate of DESIGN rule 5, and is no part of another (orphans)
	Covered       bool // a good signature with signed attributes inside this ciphertext covers all of it

	// Bare reports that the content is another CMS object without MIME between (DOM-R10). Content and the views that take
	// this layer off write that object as application/pkcs7-mime.
	Bare bool
	// Strippable reports whether the content is a MIME entity that can take the layer's place.
	Strippable bool
	// Repackable reports whether an opaque signature can become multipart/signed and stay valid.
	Repackable bool

	certsOnly bool
	stats     cms.Stats // of the decryption
	content   *entity   // what stands inside the layer, when it is Strippable
	signature []byte    // of an opaque signed layer: the CMS object without its content
}

// Good reports whether the layer is signed and a signer verified.
func (l Layer) Good() bool { return l.anySigner(func(s Signer) bool { return s.Outcome == Good }) }

// GoodWithAttributes reports whether a signer with signed attributes verified, the only kind that counts as covering
// a ciphertext (DESIGN rule 5; THREATS A17).
func (l Layer) GoodWithAttributes() bool {
	return l.anySigner(func(s Signer) bool { return s.Outcome == Good && s.SignedAttrs })
}

// Claims reports whether a signer of the layer claims the given SignatureType.
func (l Layer) Claims(oid string) bool {
	return l.anySigner(func(s Signer) bool { return s.Claims(oid) })
}

func (l Layer) anySigner(test func(Signer) bool) bool {
	for _, s := range l.Signers {
		if test(s) {
			return true
		}
	}
	return false
}

// Content returns the octets inside the layer, a MIME entity with its header; nil when there is no such entity. What
// stands in a multipart/signed has the line ends it came with. It can be read as long as the Result is open.
func (l Layer) Content() message.Content {
	if l.content == nil {
		return nil
	}
	return l.content.octets
}

// CertsOnly reports a SignedData without signers and without content (RFC 8551 section 3.8).
func (l Layer) CertsOnly() bool { return l.certsOnly }

// A Result is what Open found.
type Result struct {
	Layers         []Layer // outermost first
	PartialContent bool    // a direct child of the top-level multipart is an S/MIME entity (DESIGN rule 1)
	LimitReached   bool    // the walk ended at a limit of DESIGN rule 9
	PrivateKeyUses int     // private-key operations spent

	received message.Source
	header   *message.Header
	closers  []func() error
}

// Close gives back the temporary files of opened ciphertexts.
func (r *Result) Close() error {
	var first error
	for _, c := range r.closers {
		if err := c(); err != nil && first == nil {
			first = err
		}
	}
	r.closers = nil
	return first
}
