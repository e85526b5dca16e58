// Package abreast lets the tests of a package run beside each other in greater
// number than there are processors: those that wait for a device or a peer most
// of the time.
package abreast

import (
	"flag"
	"sync"
	"testing"
)

// tests is how many of those that call t.Parallel run at a time.
const tests = "12"

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

// All runs subtests all at once, whatever their number: those that wait most of the time,
// and would hold the places of others. The test that calls it has one place for all of them.
func All[T any](t *testing.T, of []T, name func(T) string, test func(*testing.T, T)) {
	t.Helper()
	var all sync.WaitGroup
	for _, x := range of {
		all.Go(func() { t.Run(name(x), func(t *testing.T) { test(t, x) }) })
	}
	all.Wait()
}
