package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Revocation lists come from the administrator's directory; a certificate's own distribution points are never
// followed (DESIGN rule 7). A path without a list is good: failure is soft.

// LoadCRLs reads every regular file of a directory as revocation lists, PEM or DER; names that begin with a dot are
// left out. Lists that can be read are returned even when the error names files that cannot.
func LoadCRLs(dir string) ([]*x509.RevocationList, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var lists []*x509.RevocationList
	var errs []error
	seen := make(map[[sha256.Size]byte]bool) // the hash links of c_rehash name every list twice
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		if entry.Name()[0] == '.' || err == nil && !info.Mode().IsRegular() {
			continue
		}
		found, err := loadCRLFile(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, list := range found {
			if sum := sha256.Sum256(list.Raw); !seen[sum] {
				seen[sum] = true
				lists = append(lists, list)
			}
		}
	}
	return lists, errors.Join(errs...)
}

func loadCRLFile(path string) ([]*x509.RevocationList, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	lists, err := parseCRLs(data)
	if err != nil {
		return lists, fmt.Errorf("%s: %w", path, err)
	}
	return lists, nil
}

func parseCRLs(data []byte) ([]*x509.RevocationList, error) {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		list, err := x509.ParseRevocationList(data)
		if err != nil {
			return nil, err
		}
		return []*x509.RevocationList{list}, nil
	}
	var lists []*x509.RevocationList
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return lists, err
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, errors.New("no revocation list in it")
	}
	return lists, nil
}

// revocation is the set of lists, by issuer.
type revocation struct {
	byIssuer map[string][]*crl
	signers  map[string][]*x509.Certificate // anchors by subject: one may sign the list after a change of keys
}

// crl is one list, ready for look-ups.
type crl struct {
	list    *x509.RevocationList
	revoked map[string]bool // by serial number, big-endian octets

	mu       sync.Mutex
	verified map[[sha256.Size]byte]bool // by hash of the issuer's certificate
}

// maxVerified bounds what a crl remembers. Only issuers on a good path get there, so it is hardly ever reached.
const maxVerified = 256

// newRevocation indexes the lists and names those it cannot use.
func newRevocation(lists []*x509.RevocationList, sets ...anchors) (*revocation, []string) {
	r := &revocation{byIssuer: make(map[string][]*crl), signers: make(map[string][]*x509.Certificate)}
	var skipped []string
	for _, list := range lists {
		if list == nil {
			continue
		}
		if indirect(list) {
			skipped = append(skipped, fmt.Sprintf("revocation list of %q: indirect lists are not supported: it is not used", nameText(list.RawIssuer)))
			continue
		}
		revoked := make(map[string]bool, len(list.RevokedCertificateEntries))
		for _, entry := range list.RevokedCertificateEntries {
			if entry.ReasonCode != reasonRemoveFromCRL {
				revoked[serialKey(entry.SerialNumber)] = true
			}
		}
		issuer := string(list.RawIssuer)
		r.byIssuer[issuer] = append(r.byIssuer[issuer], &crl{list: list, revoked: revoked, verified: make(map[[sha256.Size]byte]bool)})
	}
	for _, set := range sets {
		for _, cert := range set.certs {
			r.signers[string(cert.RawSubject)] = append(r.signers[string(cert.RawSubject)], cert)
		}
	}
	return r, skipped
}

// reasonRemoveFromCRL ends a hold, RFC 5280 section 5.3.1.
const reasonRemoveFromCRL = 8

// serialKey returns a serial number for a map. Go refuses negative ones when it parses.
func serialKey(serial *big.Int) string { return string(serial.Bytes()) }

// pathStatus is what the lists say about a path.
type pathStatus struct {
	revoked, stale bool
	err            error
}

// check looks every certificate of a path but the anchor up. A certificate on a list is revoked whatever date the
// list gives, and even when the list is out of date.
func (r *revocation) check(chain []*x509.Certificate, at time.Time) pathStatus {
	var status pathStatus
	for i, cert := range chain[:len(chain)-1] {
		covered, fresh := false, false
		for _, c := range r.byIssuer[string(cert.RawIssuer)] {
			if !c.signedBy(chain[i+1]) && !c.signedByAny(r.signers[string(cert.RawIssuer)]) {
				continue
			}
			if c.revoked[serialKey(cert.SerialNumber)] {
				return pathStatus{revoked: true, err: fmt.Errorf("certificate %s of %q is on a revocation list", serialText(cert.SerialNumber), nameText(cert.RawIssuer))}
			}
			covered = true
			fresh = fresh || c.fresh(at)
		}
		if covered && !fresh {
			status.stale = true
		}
	}
	return status
}

func (c *crl) fresh(at time.Time) bool {
	return !at.Before(c.list.ThisUpdate) && (c.list.NextUpdate.IsZero() || !at.After(c.list.NextUpdate))
}

func (c *crl) signedByAny(certs []*x509.Certificate) bool {
	for _, cert := range certs {
		if c.signedBy(cert) {
			return true
		}
	}
	return false
}

// signedBy verifies the list once for every issuer: hashing a list of many megabytes for each message would be dear.
func (c *crl) signedBy(issuer *x509.Certificate) bool {
	key := sha256.Sum256(issuer.Raw)
	c.mu.Lock()
	good, known := c.verified[key]
	c.mu.Unlock()
	if known {
		return good
	}
	good = c.list.CheckSignatureFrom(issuer) == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verified) >= maxVerified {
		clear(c.verified)
	}
	c.verified[key] = good
	return good
}

var oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// indirect reports whether entries of a list may be about certificates of other issuers, or about attribute
// certificates (RFC 5280 section 5.2.5, fields 4 and 5).
func indirect(list *x509.RevocationList) bool {
	for _, e := range list.Extensions {
		if !e.Id.Equal(oidIssuingDistributionPoint) {
			continue
		}
		value := cryptobyte.String(e.Value)
		var content cryptobyte.String
		plain := value.ReadASN1(&content, cbasn1.SEQUENCE) && walk(content, func(tag cbasn1.Tag, value cryptobyte.String) bool {
			switch tag {
			case cbasn1.Tag(4).ContextSpecific(), cbasn1.Tag(5).ContextSpecific():
				return len(value) == 1 && value[0] == 0
			}
			return true
		})
		return !plain
	}
	return false
}
