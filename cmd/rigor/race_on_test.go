//go:build race

package main

import "time"

// safeWithin is what a killed run's rig has to become safe in. With the race detector
// in it a program takes about ten times as long; what it has to do within a second is
// shown without.
const safeWithin = 10 * time.Second

// endsWithin is what a run that is interrupted once has to end in; without the detector
// it is the time to unwind and a second.
const endsWithin = time.Minute
