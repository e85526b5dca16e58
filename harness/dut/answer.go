package dut

import (
	"time"

	"rigor/harness/verdict"
)

// Answer is what the DUT gave to one attempt to get in.
type Answer struct {
	Kind   verdict.Kind
	Detail string        // one sentence for a reader
	Raw    []byte        // what the DUT said, cut; foreign bytes
	Took   time.Duration // from the first byte sent to the decision
	// Unsent says that no credential reached the DUT, as where nobody takes a
	// connection: it can have counted nothing.
	Unsent bool
}
