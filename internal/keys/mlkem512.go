package keys

import (
	"crypto"
	"errors"

	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
)

// A decapsulationKey512 is a key of ML-KEM-512, which the standard library leaves out.
type decapsulationKey512 struct {
	key    *mlkem512.PrivateKey
	public encapsulationKey512
}

func newDecapsulationKey512(seed []byte) (crypto.Decapsulator, error) {
	if len(seed) != mlkem512.KeySeedSize {
		return nil, errors.New("seed of another length than 64 octets")
	}
	public, private := mlkem512.NewKeyFromSeed(seed)
	return decapsulationKey512{private, encapsulationKey512{public}}, nil
}

// Encapsulator implements crypto.Decapsulator.
func (k decapsulationKey512) Encapsulator() crypto.Encapsulator { return k.public }

// Decapsulate implements crypto.Decapsulator. It rejects implicitly all but a wrong length.
func (k decapsulationKey512) Decapsulate(ciphertext []byte) ([]byte, error) {
	if len(ciphertext) != mlkem512.CiphertextSize {
		return nil, errors.New("ciphertext of another length than 768 octets")
	}
	secret := make([]byte, mlkem512.SharedKeySize)
	k.key.DecapsulateTo(secret, ciphertext)
	return secret, nil
}

type encapsulationKey512 struct{ key *mlkem512.PublicKey }

// Bytes implements crypto.Encapsulator.
func (k encapsulationKey512) Bytes() []byte {
	p := make([]byte, mlkem512.PublicKeySize)
	k.key.Pack(p)
	return p
}

// Encapsulate implements crypto.Encapsulator.
func (k encapsulationKey512) Encapsulate() (secret, ciphertext []byte) {
	secret, ciphertext = make([]byte, mlkem512.SharedKeySize), make([]byte, mlkem512.CiphertextSize)
	k.key.EncapsulateTo(ciphertext, secret, nil)
	return secret, ciphertext
}
