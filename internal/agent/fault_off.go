//go:build !faults

package agent

import "paperknife/internal/spool"

// faultPoint is where a binary built with the tag "faults" breaks on purpose. This one does nothing.
func faultPoint(*spool.Spool) error { return nil }
