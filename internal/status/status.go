// Package status holds the final word on one recipient and the two tables that turn it into an LMTP reply or an
// exit code. It never decides anything: the step that knows the consequence of a fault fills a Result, and the
// last step of the path reads it.
package status

import (
	"errors"
	"fmt"
)

// An Enhanced is a mail system status code, RFC 3463: class, subject, detail.
type Enhanced struct{ Class, Subject, Detail int }

// String returns the code as it stands in a reply, "4.3.0".
func (e Enhanced) String() string { return fmt.Sprintf("%d.%d.%d", e.Class, e.Subject, e.Detail) }

// A Result is the final word on one recipient. The zero Result means "try again later": mail is refused or
// taken for delivered only when a step has said so.
type Result struct {
	Status Enhanced // zero means 4.3.0
	Text   string   // what the sender may see: short, constant, ours; no path, key or octet of the message
	Err    error    // for our own log only
}

// The texts that a sender can see. They are constants so that no path and no secret gets into a bounce.
const (
	textDelivered = "delivered"
	textLater     = "temporary failure, try again later"
)

// Delivered returns the Result for a message that is on disk, or handed on and accepted.
func Delivered() Result { return Result{Status: Enhanced{2, 0, 0}, Text: textDelivered} }

// Defer returns a temporary failure with the given code ("4.3.1") and text. A code of another class becomes 4.3.0.
func Defer(code Enhanced, text string, err error) Result {
	if code.Class != 4 {
		code = Enhanced{4, 3, 0}
	}
	return Result{Status: code, Text: text, Err: err}
}

// Reject returns a permanent failure. Only a decision of policy, or a fault of the sender's own request, may use
// it. A code of another class becomes a temporary failure.
func Reject(code Enhanced, text string, err error) Result {
	if code.Class != 5 {
		return Defer(Enhanced{4, 3, 0}, textLater, err)
	}
	return Result{Status: code, Text: text, Err: err}
}

// From returns the Result inside err (see Result.Error), or else a temporary failure that carries err for the
// log. From(nil) is a temporary failure too: success is said with Delivered, never by the absence of an error.
func From(err error) Result {
	var r *Result
	if errors.As(err, &r) && r != nil {
		return *r
	}
	return Result{Err: err}
}

// Error makes *Result an error, so that a step deep down can carry the status up.
func (r *Result) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("%s %s: %v", r.code(), r.text(), r.Err)
	}
	return fmt.Sprintf("%s %s", r.code(), r.text())
}

// Unwrap returns the cause, for errors.Is.
func (r *Result) Unwrap() error { return r.Err }

// Delivered reports whether the message was taken.
func (r Result) Delivered() bool { return r.code().Class == 2 }

// Temporary reports whether the sender is to try again.
func (r Result) Temporary() bool { return r.code().Class == 4 }

func (r Result) code() Enhanced {
	switch r.Status.Class {
	case 2, 4, 5:
		return r.Status
	}
	return Enhanced{4, 3, 0}
}

func (r Result) text() string {
	if r.Text != "" {
		return r.Text
	}
	if r.Delivered() {
		return textDelivered
	}
	return textLater
}
