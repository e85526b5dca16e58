//go:build !race

package main

import "time"

// safeWithin is what a killed run's rig has to become safe in.
const safeWithin = time.Second

// endsWithin is what a run that is interrupted once has to end in: the time to unwind,
// and a second.
const endsWithin = 11 * time.Second

// inRig is what a rig file and a profile have before the name of our programs.
const inRig = ""

// raceDetector says whether the race detector is in.
const raceDetector = false
