package wire

import (
	"context"
	"io"

	"periph.io/x/conn/v3/gpio"
)

// Pads are pads of the DUT, each on a pin of ours: those of a debug connector, or
// unknown ones among which a debug port is looked for. At most 32.
type Pads interface {
	// Pins gives the pins in the rig file's order; Name is the wiring's own name of the
	// pad. Each is an input of ours until it is driven. In with gpio.PullUp,
	// gpio.PullDown or gpio.Float asks for our own resistor; it gives an error where the
	// pin has none to switch. An error of a pin means that the operation was not done.
	Pins() []gpio.PinIO
	// Close lets all pins go.
	io.Closer
}

// PadStep is one step of a waveform on Pads. Bit 0 is the first pin.
type PadStep struct {
	Drive uint32 // the pins that are ours from this step on; the others are let go
	Level uint32 // the levels of those that are ours
	Read  bool   // read all pins at the end of the step
}

// Player is Pads that take many steps in one call.
type Player interface {
	Pads
	// Play does the steps in their order: it sets the pins, lets the half period of the
	// pads' clock go by, and reads where the step says so. The levels of each reading go
	// to got, in their order; a step that reads beyond its length is an error before the
	// first step. Read says how many readings are there: with an error, what follows
	// them was not done, or is not known.
	Play(ctx context.Context, steps []PadStep, got []uint32) (read int, err error)
}
