// Package unwrap opens the S/MIME layers of one message, from the outside in, and reports what each layer proved.
//
// It proves that a key signed these octets; it never says whose key that is, and it decides nothing: trust is
// internal/trust's work, and what to deliver is internal/policy's. It never opens an S/MIME part that is not the
// whole message (DESIGN rule 1), never tries more than one RecipientInfo of an envelope, and never changes an octet
// of what it reads.
package unwrap

import (
	"context"
	"errors"
	"fmt"

	"paperknife/internal/message"
	"paperknife/internal/spool"
)

// Limits of one message (DESIGN rule 9).
const (
	maxLayers         = 10
	maxPrivateKeyUses = 4
	maxSignatures     = 40 // verified; the dearest key takes 10 ms for each of two orders of its attributes
	maxEntityHeader   = 64 << 10
	maxPartsProbed    = 100 // direct children of a multipart looked at for "partial content"
	readBuffer        = 64 << 10
	leastBuffer       = 4 << 10
)

// Keys opens content-encryption keys for one recipient domain. RecipientInfos are DER (RFC 5652 section 6.2).
type Keys interface {
	// Choose returns the index of the one RecipientInfo that is to be tried, -1 for none. ours is true when at
	// least one names a key of ours: with index -1 the envelope is for us and must not be opened.
	Choose(recipientInfos [][]byte) (index int, ours bool)
	// ContentKey returns size octets. When the encrypted key cannot be opened they are random and the error is
	// nil (implicit rejection, RFC 3218 section 2.3.2); an error is a fault of our own key store.
	ContentKey(recipientInfo []byte, size int) ([]byte, error)
}

// ErrKeyStore says that a key of ours could not be used for a reason of ours: try again later.
var ErrKeyStore = errors.New("key store failed")

// Faults of a layer.
var (
	ErrMultipart = errors.New("multipart/signed does not have exactly two parts")
	ErrSignature = errors.New("the second part is no detached signature")
	ErrContent   = errors.New("content type is not supported")
	ErrCipher    = errors.New("content cipher or key management is not supported")
	ErrOpen      = errors.New("cannot decrypt")
	ErrAmbiguous = errors.New("several RecipientInfos name one certificate")
	ErrKeyBudget = errors.New("too many private-key operations")

	ErrSignatureBudget = errors.New("too many signatures")
)

// Options are the settings of one Open.
type Options struct {
	Keys  Keys           // nil: no envelope is opened
	Spool spool.Settings // where opened ciphertexts go

	// Strict refuses what known senders write and no standard allows (see Deviation); else it is read, and named in
	// Layer.Compat.
	Strict bool
}

// Open walks the layers of a message. An error is a fault of ours (key store, spool, reading the message, ctx): the
// message is to be tried again later. Everything the message itself does wrong is a fact in the Result. The Result
// reads from received as long as it is used and ctx has not ended, and must be closed.
func Open(ctx context.Context, received message.Source, header *message.Header, options Options) (*Result, error) {
	result := &Result{received: received, header: header}
	w := &walk{ctx: ctx, options: options, result: result}
	if err := w.run(); err != nil {
		return nil, errors.Join(fmt.Errorf("unwrap: %w", err), result.Close())
	}
	assignRoles(result.Layers)
	checkReceiptRequests(result.Layers)
	return result, nil
}
