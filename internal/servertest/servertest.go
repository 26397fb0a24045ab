// Package servertest tells the tests that start a server from the fast ones. Both
// rules are here alone: `go test -short` leaves servers out, and in the full run
// a test for want of a program is skipped on a developer's machine and fails under
// CI=true, so that nothing passes there without having run.
package servertest

import (
	"os"
	"testing"
)

// Needed skips a test that starts a server where only the fast ones are wanted.
func Needed(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a server: not with -short")
	}
}

// Missing ends a test for want of a program: skipped, and under CI=true failed.
func Missing(t testing.TB, what string) {
	t.Helper()
	message := what + " is not installed: ./xcaddy.sh test installs it or says how"
	if os.Getenv("CI") == "true" && !testing.Short() {
		t.Fatal(message)
	}
	t.Skip(message)
}
