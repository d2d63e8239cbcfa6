//go:build !faults

package agent

// faultPoint is where a binary built with the tag "faults" breaks on purpose. This one does nothing.
func faultPoint() {}
