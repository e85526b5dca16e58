package debugport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// Options say how pads are played. Its zero value is good.
type Options struct {
	// Part names the pads in a fault; "pads" where it is empty.
	Part wire.Part
	// Half is the half period of the clock, where the pads are played pin by pin. 0 is as
	// quick as they go. A Player has its own; then it is what the waves are drawn with.
	Half time.Duration
	// Keep is how many steps the trace holds, and Transactions how many transactions: the
	// last ones. 0 is 524288 and 16384, more than a whole look at a part needs; less than 0
	// is none.
	Keep, Transactions int
	// Now gives the time of a transaction; nil is time.Now.
	Now func() time.Time
}

// Wires are the pads of a DUT as an engine plays on them. They count the steps, each
// half a period of a clock, and keep the last ones. A pin's error is a *wire.Fault, and
// what was being done counts as not done. They are not safe for concurrent use.
type Wires struct {
	pads   wire.Pads
	player wire.Player
	pins   []gpio.PinIO
	part   wire.Part
	half   time.Duration
	now    func() time.Time
	timer  *time.Timer

	steps, plays uint64
	held, high   uint32 // pins that are held at a level in each step
	drive, level uint32 // how the pins are, where they are played one by one
	known        bool
	trace        trace
}

// New makes wires of pads. It does nothing to them.
func New(pads wire.Pads, o Options) *Wires {
	w := &Wires{pads: pads, pins: pads.Pins(), part: o.Part, half: max(0, o.Half), now: o.Now, known: true}
	w.player, _ = pads.(wire.Player)
	if w.part == "" {
		w.part = "pads"
	}
	if w.now == nil {
		w.now = time.Now
	}
	w.trace.init(o.Keep, o.Transactions)
	return w
}

// Pins gives the names of the pads, in the wiring's own words.
func (w *Wires) Pins() []string {
	names := make([]string, len(w.pins))
	for i, p := range w.pins {
		names[i] = p.Name()
	}
	return names
}

// Pin gives the index of a pad.
func (w *Wires) Pin(name string) (int, bool) {
	for i, p := range w.pins {
		if p.Name() == name {
			return i, true
		}
	}
	return 0, false
}

// Pads gives the pads themselves, for what is no waveform: pulls.
func (w *Wires) Pads() wire.Pads { return w.pads }

// Part names the pads in a fault.
func (w *Wires) Part() wire.Part { return w.part }

// Steps gives how many half periods went over the wires, and Plays in how many calls.
func (w *Wires) Steps() uint64 { return w.steps }

// Plays gives in how many calls the steps were played.
func (w *Wires) Plays() uint64 { return w.plays }

// Hold keeps a pad at a level in all steps from now on, as nTRST high beside JTAG. It
// takes effect with the next step.
func (w *Wires) Hold(pin int, level gpio.Level) {
	w.held |= 1 << pin
	w.high &^= 1 << pin
	if level {
		w.high |= 1 << pin
	}
}

// LetGo ends a Hold.
func (w *Wires) LetGo(pin int) { w.held &^= 1 << pin }

// Fault makes an error of the pads.
func (w *Wires) Fault(op string, err error) error {
	return &wire.Fault{Part: w.part, Op: op, Err: fmt.Errorf("not done: %w", err)}
}

// errShort says that a player stopped without saying why.
var errShort = errors.New("the player gave fewer readings than were asked for")

// Play does the steps in their order; the readings go to got. After an error nothing is
// known of what the DUT saw. The steps are changed where a pad is held.
func (w *Wires) Play(ctx context.Context, steps []wire.PadStep, got []uint32) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("play on %s: %w", w.part, err)
	}
	want := 0
	for i := range steps {
		if w.held != 0 {
			steps[i].Drive |= w.held
			steps[i].Level = steps[i].Level&^w.held | w.high&w.held
		}
		if steps[i].Read {
			want++
		}
	}
	if want > len(got) {
		return w.Fault("play", fmt.Errorf("%d readings into room for %d", want, len(got)))
	}
	var read int
	var err error
	if w.player != nil {
		read, err = w.player.Play(ctx, steps, got[:want])
	} else {
		read, err = w.byPin(ctx, steps, got[:want])
	}
	w.plays++
	w.steps += uint64(len(steps))
	w.trace.steps(steps, got[:max(0, min(read, want))])
	switch {
	case err == nil && read >= want:
		return nil
	case err == nil:
		err = errShort
	}
	w.known = false
	if _, is := wire.AsFault(err); is {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("play on %s: %w", w.part, errors.Join(ctx.Err(), err))
	}
	return w.Fault("play", err)
}

// byPin plays the steps on one pin after the other: those that are let go first, so that
// nobody drives against another, and each only where it changes.
func (w *Wires) byPin(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	read := 0
	for _, s := range steps {
		if err := w.set(s.Drive, s.Level); err != nil {
			return read, err
		}
		if err := w.wait(ctx); err != nil {
			return read, err
		}
		if !s.Read {
			continue
		}
		got[read] = w.read()
		read++
	}
	return read, nil
}

func (w *Wires) set(drive, level uint32) error {
	for i, p := range w.pins {
		bit := uint32(1) << i
		if drive&bit == 0 && (!w.known || w.drive&bit != 0) {
			if err := p.In(gpio.PullNoChange, gpio.NoEdge); err != nil {
				return fmt.Errorf("let %s go: %w", p.Name(), err)
			}
		}
	}
	for i, p := range w.pins {
		bit := uint32(1) << i
		if drive&bit == 0 || w.known && w.drive&bit != 0 && w.level&bit == level&bit {
			continue
		}
		if err := p.Out(level&bit != 0); err != nil {
			return fmt.Errorf("drive %s: %w", p.Name(), err)
		}
	}
	w.drive, w.level, w.known = drive, level, true
	return nil
}

// read reads what is not ours; what is ours is as it was driven: some drivers turn a pin
// that is read into an input.
func (w *Wires) read() uint32 {
	levels := w.level & w.drive
	for i, p := range w.pins {
		if bit := uint32(1) << i; w.drive&bit == 0 && p.Read() == gpio.High {
			levels |= bit
		}
	}
	return levels
}

func (w *Wires) wait(ctx context.Context) error {
	if w.half == 0 {
		return ctx.Err()
	}
	if w.timer == nil {
		w.timer = time.NewTimer(w.half)
	} else {
		w.timer.Reset(w.half)
	}
	select {
	case <-w.timer.C:
		return nil
	case <-ctx.Done():
		w.timer.Stop()
		return ctx.Err()
	}
}

// Release lets all pads go, the held ones too.
func (w *Wires) Release(ctx context.Context) error {
	w.held, w.high = 0, 0
	return w.Play(ctx, []wire.PadStep{{}}, nil)
}
