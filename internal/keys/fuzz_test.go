package keys

import (
	"math/big"
	"testing"
)

// FuzzChoose: whatever a RecipientInfo looks like, at most one is chosen, and a chosen one gives a key for one
// operation or says which algorithm it lacks.
func FuzzChoose(f *testing.F) {
	ring := load(f, newOwner(f, rsaKey(0), 1))
	issuer := ring.entries[0].cert.RawIssuer
	f.Add(recipient(issuerAndSerial(issuer, big.NewInt(1)), oidRSA, make([]byte, 256)))
	f.Add(recipient(subjectKeyID([]byte{1, 2, 3}), oidRSA, []byte("x")))
	f.Add([]byte{0x30, 0x80})
	f.Add([]byte{0xa1, 0x02, 0x05, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		index, ours := ring.Choose([][]byte{der})
		if ours != (index == 0) {
			t.Fatalf("%d, %v", index, ours)
		}
		if index, ours := ring.Choose([][]byte{der, der}); index != -1 {
			t.Fatalf("twice: %d, %v", index, ours)
		}
		before := ring.Operations()
		_, err := ring.ContentKey(der, 32)
		if used := ring.Operations() - before; ours && err == nil && used != 1 || used > 1 || !ours && (used != 0 || err == nil) {
			t.Errorf("%d operations, %v", used, err)
		}
	})
}
