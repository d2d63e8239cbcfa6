package deliver

import (
	"fmt"

	"paperknife/internal/status"
)

// Fields is what Looped reads of the header of the received message; *message.Header is one.
type Fields interface {
	Find(name string) []int
	Value(i int) (string, error)
}

// maxReceived is the number of Received fields past which a message goes round in circles (RFC 5321 section 6.3
// asks for a limit of at least 100).
const maxReceived = 100

// Looped reports whether a message has been delivered to this recipient before, or has passed too many hosts, and if
// so the Result that says it (THREATS C22). It looks at the top-level header as received, never at what was inside a
// ciphertext.
//
// A Delivered-To above the first Received field was put there by the MTA that hands us the message now (local(8),
// pipe(8) and lmtp(8) with flags=D do so) and is no sign of a loop: on every way back to us some MTA adds a Received
// field on top.
func Looped(header Fields, recipient string) (Result, bool) {
	received := header.Find("received")
	if len(received) > maxReceived {
		return loop(fmt.Errorf("%d Received fields", len(received)))
	}
	own := Mailbox(recipient, "")
	for _, i := range header.Find("delivered-to") {
		if len(received) > 0 && i < received[0] {
			continue
		}
		// A field that cannot be read is none of ours.
		if value, err := header.Value(i); err == nil && Mailbox(value, "") == own {
			return loop(fmt.Errorf("delivered to %q before", recipient))
		}
	}
	return Result{}, false
}

func loop(err error) (Result, bool) {
	return status.Reject(codeLoop, "mail forwarding loop", err), true
}
