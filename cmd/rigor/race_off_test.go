//go:build !race

package main

import "time"

// safeWithin is what a killed run's rig has to become safe in.
const safeWithin = time.Second

// endsWithin is what a run that is interrupted once has to end in: the time to unwind,
// and a second.
const endsWithin = 11 * time.Second

// rigorInRig is how a rig file starts ours.
const rigorInRig = "rigor"

// raceDetector says whether the race detector is in.
const raceDetector = false
