package tool

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// The addresses under which RFC 3183 (sections 2.2 and 4.1) knows a domain's agents.
const (
	signingAuthority         = "domain-signing-authority"
	confidentialityAuthority = "domain-confidentiality-authority"
)

// zone returns the DNS records to publish, for a zone file (RFC 1035 section 5).
func zone(domain string, dca, signer *x509.Certificate) string {
	var b strings.Builder
	fmt.Fprintf(&b, `; DNS records for %s. Made by "paperknife init".
;
; SMIMEA (RFC 8162) publishes the two certificates of the domain under the addresses that RFC 3183 gives its agents.
; They help only partners who look for certificates in DNS, and only in a zone that is signed with DNSSEC: all others
; get %s from you by hand. Replace the records when you replace the certificates.
;
; Paperknife verifies nothing else by DNS records of yours, so there are no others here.
`, domain, fileDCA)
	record(&b, confidentialityAuthority, domain, "to encrypt to: "+fileDCA, dca)
	record(&b, signingAuthority, domain, "to verify with: "+fileSigner, signer)
	return b.String()
}

// record writes one SMIMEA record of the whole certificate: DANE-EE, Cert, Full (RFC 7671 section 5.1), since whoever
// encrypts needs the certificate itself.
func record(b *strings.Builder, local, domain, comment string, c *x509.Certificate) {
	fmt.Fprintf(b, "\n; %s@%s, %s, valid to %s\n", local, domain, comment, c.NotAfter.UTC().Format("2006-01-02"))
	fmt.Fprintf(b, "%s 3600 IN SMIMEA 3 0 0 (\n", smimeaName(local, domain))
	text := hex.EncodeToString(c.Raw)
	for len(text) > 0 {
		n := min(len(text), 64)
		fmt.Fprintf(b, "    %s\n", text[:n])
		text = text[n:]
	}
	b.WriteString("    )\n")
}

// smimeaName is the owner name of RFC 8162 section 3.
func smimeaName(local, domain string) string {
	sum := sha256.Sum256([]byte(local))
	return hex.EncodeToString(sum[:28]) + "._smimecert." + domain + "."
}
