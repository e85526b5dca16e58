package dap

import "context"

// Adapter is pads behind an instrument that speaks to the debug port itself: nothing can be
// played on them.
type Adapter interface {
	// DebugPort gives the port. It belongs to the adapter.
	DebugPort() Transport
}

// Gated is a Transport that knows which access ports were shown to be memory ports.
type Gated interface {
	Transport
	// Proofs is how often an IDR has to be read alike: see NewGate.
	Proofs() int
	// Shown says whether an access port was shown to be a memory port.
	Shown(ap AP) bool
}

// Attacher is a Transport whose instrument has to be told that a look begins.
type Attacher interface {
	Transport
	// Attach brings the wires to where a look begins. The error is the instrument's; that
	// nobody answers is none.
	Attach(ctx context.Context) error
}
