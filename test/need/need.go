// Package need names what a test lacks on the machine it runs on. A test that lacks something skips; where CI=true nothing
// may be missing, since a test that skips there would seem to show what it has not looked at.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Missing skips the test, or fails it where CI=true.
func Missing(tb testing.TB, what ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal(what...)
	}
	tb.Skip(what...)
}

// Command returns the path of a program that the test cannot do without.
func Command(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(tb, name+" is not installed")
	}
	return path
}
