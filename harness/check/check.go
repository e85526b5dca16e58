// Package check is what a suite author writes with: the Check record, the T
// that a running case holds, claims, and Refute, the only way to pass a
// negative claim.
//
// A check says what it looks at (Cases, a pure function of what was declared),
// from which state, and how. It never says "pass": it makes claims, shows
// evidence and lets the journal's fold judge.
package check

import (
	"context"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/state"
)

// Effect is what a check does to the DUT, least first. Within a state, cases
// run in this order.
type Effect int

// The effects.
const (
	Reads    Effect = iota // looks only
	Disturbs               // may reboot, lock for a while or fill a log; undoes itself
	Consumes               // leaves the DUT in another state than it found
)

// String gives "reads", "disturbs" or "consumes".
func (e Effect) String() string { return [...]string{"reads", "disturbs", "consumes"}[e] }

// Leave is what the rig file must allow before a check may do more than read.
type Leave string

// The leaves that a rig file can give under "allow".
const (
	LoginTries Leave = "login-tries"
	Configure  Leave = "config"
	Reset      Leave = "reset"
	Update     Leave = "update"
	Supply     Leave = "power" // switching the supply of a DUT at rest
	PowerCut   Leave = "power-cut"

	DebugAttach Leave = "debug-attach" // asking at a debug port
	Halt        Leave = "halt"         // halting a core
	ROMLoader   Leave = "rom-loader"   // starting a ROM loader, and asking it

	StorageWrite Leave = "storage-write" // writing a memory past the DUT
)

// Budget is the time that a case may take, and that its cleanups may take on
// top, in wall time.
type Budget struct {
	Case    time.Duration
	Cleanup time.Duration
}

// Check is one statement about the DUT.
type Check struct {
	ID      string // stable: "cred-known-list"
	Title   string
	Clauses baseline.PerChannel
	From    *state.State // nil: any state
	Leaves  *state.State // where it leaves the DUT, if elsewhere than From
	Effect  Effect
	Allow   []Leave // what the rig must allow
	Budget  Budget
	// Cases plans: one case for each channel that the statement is about. It
	// is a pure function, so that all cases are known before the run.
	Cases Planner
	// Run makes the claims of one case.
	Run func(ctx context.Context, t *T)
}

// Suite is one area of the baseline.
type Suite struct {
	Name   string
	Title  string
	Checks []*Check
}
