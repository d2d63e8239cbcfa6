package tool

import (
	"errors"
	"fmt"
	"strings"

	"paperknife/internal/policy"
	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// outcomes say what the cryptography of a SignerInfo found.
var outcomes = map[unwrap.Outcome]string{
	unwrap.NotVerified:   "not verified",
	unwrap.Good:          "the key of this certificate signed these octets",
	unwrap.BadDigest:     "the content is not the one that was signed",
	unwrap.BadSignature:  "the signature value is wrong",
	unwrap.NoCertificate: "the signer's certificate is not in the message",
	unwrap.Unsupported:   "an algorithm is not supported",
	unwrap.Malformed:     "the signed attributes or the certificate cannot be used",
}

func outcomeText(o unwrap.Outcome) string { return outcomes[o] }

// reasons say in a sentence why a signature is no pass. %s is filled in by signerWhy.
var reasons = map[policy.Reason]string{
	policy.ReasonDigest:        "The content was changed after it was signed.",
	policy.ReasonSignature:     "The signature value does not fit the key of the certificate.",
	policy.ReasonNoCertificate: "Without the signer's certificate nothing can be verified: the sender must put it into the message.",
	policy.ReasonAlgorithm:     "The signature uses an algorithm that is not supported.",
	policy.ReasonAttributes:    "The signed attributes contradict themselves, or the certificate cannot be used.",
	policy.ReasonRevoked:       "The CA has revoked the certificate.",
	policy.ReasonNoAttributes:  "The signature has no signed attributes, so it could have been made for something else.",
	policy.ReasonSHA1:          "The signature uses SHA-1, with which two messages can be made to have the same signature.",
	policy.ReasonWeakKey:       "The key is too short to prove anything today.",
	policy.ReasonBeside:        "There is text beside the signed part, which a reader could take for signed.",
	policy.ReasonMailingList:   "A mailing list signed, which speaks for itself and not for the sender.",
	policy.ReasonOtherSigner:   "Another signature that claims to be the sender's is not good.",
	policy.ReasonNoFrom:        "The message has no From field to hold the certificate against.",
	policy.ReasonDuplicateFrom: "The message has more than one From field.",
	policy.ReasonFromSyntax:    "The From field cannot be read.",
	policy.ReasonMalformed:     "The header of the message is malformed, so nobody can tell which From a reader shows.",
}

// refusals say why a certificate is not trusted.
var refusals = map[string]string{
	trust.ReasonUnreadable:           "The certificate cannot be read.",
	trust.ReasonExpired:              "The certificate, or one above it, had expired.",
	trust.ReasonNotYetValid:          "The certificate, or one above it, was not yet valid: is the clock right?",
	trust.ReasonKeyUsage:             "The certificate is not for signing (keyUsage).",
	trust.ReasonExtendedKeyUsage:     "The certificate is not for mail (extendedKeyUsage).",
	trust.ReasonCA:                   "The signer's certificate is that of a CA.",
	trust.ReasonWeakKey:              "A key on the way to the anchor is too short.",
	trust.ReasonKeyTooLarge:          "The certificate's key is too large.",
	trust.ReasonUnsupportedKey:       "The certificate's key is of a kind that is not supported.",
	trust.ReasonWeakSignature:        "The certificate, or one above it, is signed with SHA-1 or worse.",
	trust.ReasonUnsupportedSignature: "The certificate, or one above it, is signed in a way that is not supported, as with ML-DSA.",
	trust.ReasonNameConstraints:      "The CA may not issue certificates for these names.",
	trust.ReasonTooManyNames:         "The certificate has too many names.",
	trust.ReasonCertificateTooLong:   "The certificate is too large.",
}

// signerWhy says in one sentence why a signer's result is not pass; "" for one that passes.
func signerWhy(layer unwrap.Layer, signer unwrap.Signer, j trust.Judgement, reason policy.Reason, from policy.Originator) string {
	switch reason {
	case "":
		return ""
	case policy.ReasonUntrusted:
		if text, ok := refusals[j.Reason]; ok {
			return text
		}
		key := "person_anchors"
		if layer.Role == unwrap.RoleDomain {
			key = "domain_anchors"
		}
		return fmt.Sprintf("No path leads from the certificate to one of trust.%s: add its CA there if it may vouch for others.", key)
	case policy.ReasonNotBound:
		return fmt.Sprintf("The certificate names %s and not the sender %s.", nobody(j.Emails), nobody(from.Addresses))
	case policy.ReasonForeign:
		var names []string
		for _, agent := range j.Agents {
			names = append(names, agent.Domain)
		}
		return fmt.Sprintf("The certificate names %s, which is neither the sender's domain %s nor above it.", nobody(names), nobody(from.Domains))
	}
	if text, ok := reasons[reason]; ok {
		return text
	}
	if reason == "" {
		return ""
	}
	return fmt.Sprintf("%s (%s).", outcomeText(signer.Outcome), reason)
}

func nobody(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return printable(strings.Join(names, ", "))
}

// layerWhy says what became of a layer that no signer stands for.
func layerWhy(layer unwrap.Layer, result policy.LayerResult) string {
	switch {
	case layer.Type == unwrap.Signed && len(layer.Signers) > 0:
		if layer.SignatureTypeFault != "" {
			return fmt.Sprintf("The SignatureType attribute is at fault: %s.", layer.SignatureTypeFault)
		}
		return ""
	case layer.Role == unwrap.RoleEmpty:
		return "Nobody signed this layer; it is only there for a domain signature to wrap."
	case layer.CertsOnly():
		return "It carries certificates only."
	case layer.Type == unwrap.Compressed && layer.Fault == nil:
		return "It makes what it holds smaller, and proves nothing."
	case result.Reason == policy.ReasonUnsupported:
		return "It is recognised and no more: nothing of ours opens or verifies such an object."
	case errors.Is(layer.Fault, unwrap.ErrCompat):
		return "It is not as the standards say; compat = \"lenient\" would read it."
	case result.Reason == policy.ReasonUnauthenticated:
		return "It stands in a ciphertext that may have been changed: no signature covers all of it, and it is not plain text."
	case layer.ForUs && result.Result != "opened":
		return "It is for a key of ours and is delivered as it came."
	case encrypted(layer) && !layer.ForUs:
		return "None of our keys opens it: it is for somebody else, or for a key that is not configured for the recipient's domain."
	}
	return ""
}
