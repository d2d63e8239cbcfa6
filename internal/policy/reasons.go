package policy

import "paperknife/internal/trust"

// A Reason is a constant that stands verbatim in header fields, the log and the documents.
type Reason string

// The reasons, by where they stand.
const (
	// smime and x-domsec
	ReasonDigest          Reason = "message digest mismatch"
	ReasonSignature       Reason = "signature value wrong"
	ReasonNoCertificate   Reason = "no signer certificate"
	ReasonAlgorithm       Reason = "unsupported algorithm"
	ReasonAttributes      Reason = "malformed signed attributes or certificate"
	ReasonRevoked         Reason = trust.ReasonRevoked
	ReasonNoAttributes    Reason = "no signed attributes"
	ReasonSHA1            Reason = "sha1"
	ReasonWeakKey         Reason = "weak key"
	ReasonLineEnds        Reason = "signed with other line ends"
	ReasonUntrusted       Reason = trust.ReasonUntrusted
	ReasonBeside          Reason = "unsigned text beside the signed part"
	ReasonMailingList     Reason = "signed by a mailing list"
	ReasonOtherSigner     Reason = "another signature of the originator fails"
	ReasonNotBound        Reason = "from address not in certificate"
	ReasonForeign         Reason = "signer domain does not cover originator domain"
	ReasonUnreadable      Reason = "unreadable S/MIME object"
	ReasonUnsupported     Reason = "unsupported S/MIME content"
	ReasonPartial         Reason = "partial content"
	ReasonNothingInside   Reason = "domain signature encapsulates nothing"
	ReasonNoAgentName     Reason = "no usable agent name"
	ReasonWeakCipher      Reason = "weak content cipher"
	ReasonNotDomainSigned Reason = "encrypted but not domain-signed"
	ReasonLimit           Reason = "too many layers"
	ReasonSignatures      Reason = "too many signatures"

	// the originator
	ReasonNoFrom        Reason = "missing from"
	ReasonDuplicateFrom Reason = "duplicate from"
	ReasonFromSyntax    Reason = "unreadable from"
	ReasonMalformed     Reason = "malformed header"

	// views and actions
	ReasonCannotDecrypt   Reason = "cannot decrypt"
	ReasonUnauthenticated Reason = "unauthenticated plaintext"
	ReasonDomsec          Reason = "domain signature refused"
)

// The result codes of RFC 8601 section 2.7.1.
const (
	resultNone      = "none"
	resultPass      = "pass"
	resultFail      = "fail"
	resultPolicy    = "policy"
	resultNeutral   = "neutral"
	resultPermerror = "permerror"
)

// remarkHeader is the comment of every result that header protection does not extend to Subject and Date.
const remarkHeader = "header unsigned"
