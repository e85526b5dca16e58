// Package abreast lets the tests of a package run beside each other in greater
// number than there are processors: those that wait for a device or a peer most
// of the time.
package abreast

import (
	"flag"
	"testing"
)

// tests is how many of those that call t.Parallel run at a time.
const tests = "6"

// Allow is for a TestMain that runs the tests itself. A number on the command
// line (go test -parallel) wins over ours.
func Allow() {
	if err := flag.Set("test.parallel", tests); err != nil {
		panic(err) // the package testing has lost a flag
	}
}

// Main runs the tests of a package for its TestMain, and gives the exit code.
func Main(m *testing.M) int {
	Allow()
	return m.Run()
}

// idle is how many run at a time of those that do next to nothing but wait.
const idle = "24"

// Idle does the same for a package whose tests wait out what a peer is declared to take,
// and keep no processor busy: all of them at once are no load.
func Idle(m *testing.M) int {
	if err := flag.Set("test.parallel", idle); err != nil {
		panic(err) // the package testing has lost a flag
	}
	return m.Run()
}
