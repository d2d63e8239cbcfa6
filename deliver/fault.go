package deliver

import (
	"errors"
	"syscall"

	"paperknife/internal/status"
)

var (
	codeStorage = status.Enhanced{Class: 4, Subject: 3, Detail: 1}
	codeQuota   = status.Enhanced{Class: 4, Subject: 2, Detail: 2}
	codeSystem  = status.Enhanced{Class: 4, Subject: 3, Detail: 0}
	codeAddress = status.Enhanced{Class: 5, Subject: 1, Detail: 3}
	codeLoop    = status.Enhanced{Class: 5, Subject: 4, Detail: 6}
	codeRcptOK  = status.Enhanced{Class: 2, Subject: 1, Detail: 5}
)

// fault returns the Result for an error on the way to the disk. All of them are temporary, a full mailbox too: mail
// that waits costs less than mail that bounces (THREATS C09).
func fault(err error) Result {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return status.Defer(codeStorage, "insufficient system storage", err)
	case errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return status.Defer(codeQuota, "mailbox full", err)
	}
	return status.Defer(codeSystem, "mailbox temporarily unavailable", err)
}

// homeFault returns the Result for a recipient whose home directory was not found.
func homeFault(err error) Result {
	var r *Result
	if errors.As(err, &r) && !r.Delivered() {
		return *r
	}
	return fault(err)
}

// accepted is the Result of Rcpt for a recipient the target takes.
func accepted() Result { return Result{Status: codeRcptOK, Text: "recipient ok"} }
