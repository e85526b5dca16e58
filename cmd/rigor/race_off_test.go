//go:build !race

package main

import "time"

// safeWithin is what a killed run's rig has to become safe in.
const safeWithin = time.Second
