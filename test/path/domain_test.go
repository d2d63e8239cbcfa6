package path_test

import (
	"crypto/x509"
	"testing"

	"paperknife/seal"
	"paperknife/test/testpki"
)

// A sealing is how a domain seals a message; certificates are openssl's.
type sealing struct {
	signer    string // the domain's; empty: DomainSigner
	author    string // a person's signature inside; empty: the empty signature
	detached  bool   // of the domain signature
	encrypted bool   // to the DCA of example.net
	bare      bool   // the domain signature stands on the text itself
	entity    string
}

func domainEntity(t *testing.T, p *testpki.PKI, s sealing) []byte {
	t.Helper()
	if s.signer == "" {
		s.signer = testpki.DomainSigner
	}
	if s.entity == "" {
		s.entity = text
	}
	entity := []byte(s.entity)
	switch {
	case s.bare:
	case s.author == "":
		entity = seal.EmptySignature(entity)
	default:
		entity = p.SignEntity(t, entity, true, testpki.Options{Signer: s.author})
	}
	o := seal.SignOptions{Detached: s.detached, SignatureTypes: nil}
	var err error
	if s.bare {
		o.SignatureTypes = append(o.SignatureTypes, seal.OIDDomainSignature)
		entity, err = seal.Sign(entity, pair(t, p, s.signer), o)
	} else {
		entity, err = seal.SignAsDomain(entity, pair(t, p, s.signer), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return entity
}

// domainSealed returns a whole message.
func domainSealed(t *testing.T, p *testpki.PKI, s sealing) []byte {
	t.Helper()
	entity := domainEntity(t, p, s)
	if s.encrypted {
		var err error
		entity, err = seal.EncryptTo(entity, []*x509.Certificate{pair(t, p, testpki.DCANet).Certificate}, seal.EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	return message(entity, testpki.Options{})
}

func pair(t *testing.T, p *testpki.PKI, name string) seal.KeyPair {
	t.Helper()
	out, err := seal.ParseKeyPair(p.Certificate(t, name), p.Key(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
