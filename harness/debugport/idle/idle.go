// Package idle reads what pads of a board do while nobody of ours drives them: whether
// each follows our own pull resistors, or is held by something on the board.
package idle

import (
	"context"
	"errors"
	"fmt"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// State is what a pad does while it is an input of ours.
type State string

// The states of a pad. That one is held says nothing of how strongly: a resistor of the
// board that is stronger than ours, and an output, look alike.
const (
	Floats State = "floats"    // it follows our pull, up and down
	High   State = "held-high" // high against our pull to ground
	Low    State = "held-low"  // low against our pull to the supply
	Moves  State = "moves"     // it did not read alike in all readings
	Unread State = "unread"    // our pin has no pulls to switch: it cannot be told
)

// Held says whether something on the board holds the pad.
func (s State) Held() bool { return s == High || s == Low }

// Pad is what one pad did.
type Pad struct {
	Name  string `json:"pad"`
	State State  `json:"state"`
	Level string `json:"level"` // as it was read with the pull that is there when we ask for none
}

// String gives "J3.2 held-high".
func (p Pad) String() string { return p.Name + " " + string(p.State) }

// readings is how often a pad is read with each of our pulls.
const readings = 3

// Read looks at every pad, one after the other, and leaves all as inputs without a pull.
// It drives none. The error is that of a pin, a *wire.Fault where the driver makes it
// one; that a pin has no pulls is none.
func Read(ctx context.Context, pads wire.Pads) ([]Pad, error) {
	var out []Pad
	if _, ok := pads.(dap.Adapter); ok { // an adapter's: nobody can look at them
		for _, pin := range pads.Pins() {
			out = append(out, Pad{Name: pin.Name(), State: Unread})
		}
		return out, nil
	}
	for _, pin := range pads.Pins() {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("read pad %s: %w", pin.Name(), context.Cause(ctx))
		}
		p, err := one(pin)
		if err != nil {
			return out, fmt.Errorf("read pad %s: %w", pin.Name(), err)
		}
		out = append(out, p)
	}
	return out, nil
}

func one(pin gpio.PinIO) (Pad, error) {
	p := Pad{Name: pin.Name()}
	up, steadyUp, err := with(pin, gpio.PullUp)
	down, steadyDown := false, true
	if err == nil {
		down, steadyDown, err = with(pin, gpio.PullDown)
	}
	unread := err != nil && pulls(err)
	if err != nil && !unread {
		return p, err
	}
	if err := pin.In(gpio.Float, gpio.NoEdge); err != nil {
		if !pulls(err) {
			return p, err
		}
		if err := pin.In(gpio.PullNoChange, gpio.NoEdge); err != nil {
			return p, err
		}
	}
	p.Level = pin.Read().String()
	switch {
	case unread:
		p.State = Unread
	case !steadyUp || !steadyDown || !up && down: // against both
		p.State = Moves
	case up && down:
		p.State = High
	case !up && !down:
		p.State = Low
	default:
		p.State = Floats
	}
	return p, nil
}

// pulls says whether an error says that the pin has no such pull: that is no trouble. A
// fault of a part is.
func pulls(err error) bool {
	_, fault := wire.AsFault(err)
	return errors.Is(err, wire.ErrUnsupported) || !fault
}

// with reads a pin several times with a pull of ours.
func with(pin gpio.PinIO, pull gpio.Pull) (high, steady bool, err error) {
	if err := pin.In(pull, gpio.NoEdge); err != nil {
		return false, false, err
	}
	level := pin.Read()
	steady = true
	for range readings - 1 {
		steady = steady && pin.Read() == level
	}
	return bool(level), steady, nil
}
