//go:build race

package main

import (
	"os"
	"time"
)

// init has the programs that the tests start not wait for a second before they end, as the
// race detector has them by default: the tests start hundreds. The rest of it is for a
// report that is being written.
func init() {
	if _, set := os.LookupEnv("GORACE"); !set {
		if err := os.Setenv("GORACE", "atexit_sleep_ms=50"); err != nil {
			panic(err) // of a name without = and NUL
		}
	}
}

// inRig is what a rig file and a profile have before the name of our programs: a driver of
// programs hands no such variable on.
const inRig = "env, GORACE=atexit_sleep_ms=50, "

// safeWithin is what a killed run's rig has to become safe in. With the race detector
// in it a program takes about ten times as long; what it has to do within a second is
// shown without.
const safeWithin = 10 * time.Second

// endsWithin is what a run that is interrupted once has to end in; without the detector
// it is the time to unwind and a second.
const endsWithin = time.Minute

// raceDetector says whether the race detector is in.
const raceDetector = true
