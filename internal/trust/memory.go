package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// A memory keeps good judgements, so that the partner who seals every message with the same certificate costs a hash
// and not a path. What was trusted once is trusted again as long as every certificate of that path is valid and none
// is revoked; both are asked anew. Anything else is judged from the start.
type memory struct {
	mu   sync.Mutex
	good map[memoryKey]remembered
}

type memoryKey [sha256.Size]byte

type remembered struct {
	judgement Judgement
	chain     []*x509.Certificate
}

const (
	maxRemembered  = 256
	maxMemoryChain = 16 << 10 // octets; a longer path is judged each time
)

// keyOf hashes everything a judgement depends on but the time.
func keyOf(cert []byte, intermediates [][]byte, kind Kind) memoryKey {
	h := sha256.New()
	add := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	add([]byte{byte(kind)})
	add(cert)
	for _, der := range intermediates {
		add(der)
	}
	return memoryKey(h.Sum(nil))
}

// recall returns a judgement that still holds.
func (s *Store) recall(key memoryKey, at time.Time) (Judgement, bool) {
	s.memory.mu.Lock()
	r, ok := s.memory.good[key]
	s.memory.mu.Unlock()
	if !ok {
		return Judgement{}, false
	}
	for _, cert := range r.chain {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
			return Judgement{}, false
		}
	}
	status := s.lists.check(r.chain, at)
	if status.revoked {
		return Judgement{}, false
	}
	j := r.judgement
	j.StaleCRL = status.stale
	j.Emails, j.Agents = slices.Clone(j.Emails), slices.Clone(j.Agents)
	return j, true
}

// remember keeps a judgement that trusts. The path is copied: a parsed certificate would hold on to the message it
// came from.
func (s *Store) remember(key memoryKey, j Judgement, chain []*x509.Certificate) {
	size := 0
	own := make([]*x509.Certificate, len(chain))
	for i, cert := range chain {
		if size += len(cert.Raw); size > maxMemoryChain {
			return
		}
		c, err := x509.ParseCertificate(bytes.Clone(cert.Raw))
		if err != nil {
			return
		}
		own[i] = c
	}
	j.Emails, j.Agents = slices.Clone(j.Emails), slices.Clone(j.Agents)
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.good == nil || len(s.memory.good) >= maxRemembered {
		s.memory.good = make(map[memoryKey]remembered)
	}
	s.memory.good[key] = remembered{j, own}
}
