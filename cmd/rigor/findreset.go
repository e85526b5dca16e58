package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/debugport/pinsearch"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// How a pad is tried as the reset: for how long it is held, how often it has to act, how
// long a console is waited for behind it, and for how long one has to be quiet before.
const (
	resetHeld  = 50 * time.Millisecond
	resetTries = 2
	resetWait  = 2 * time.Second
	resetQuiet = time.Second
	resetLook  = 5 * time.Millisecond
)

// resetFinder finds the reset among pads by what it does: the DUT says nothing while it is
// held low, and begins anew when it is let go.
type resetFinder struct {
	ears []*ear
}

// ear listens on a console.
type ear struct {
	name   string
	banner profile.Pattern

	mu      sync.Mutex
	heard   []byte // the last of it
	dropped int    // bytes before that
}

// earKeeps is how much of what was heard last is kept at least: many times what a console
// says while one pad is tried.
const earKeeps = 256 << 10

// listen begins to read a console. It ends when that is closed, and closes over.
func (e *ear) listen(port wire.Port) (over <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var buf [512]byte
		for {
			n, err := port.Read(buf[:])
			e.hear(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return done
}

func (e *ear) hear(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, b...)
	if len(e.heard) > 2*earKeeps {
		cut := len(e.heard) - earKeeps
		e.heard, e.dropped = slices.Delete(e.heard, 0, cut), e.dropped+cut
	}
}

// mark gives the place behind what came so far.
func (e *ear) mark() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropped + len(e.heard)
}

// since gives what came from a place on, as far as it is kept.
func (e *ear) since(from int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard[max(from-e.dropped, 0):])
}

// begins says whether bytes show that the DUT begins: the declared banner, or anything
// where none is declared.
func (e *ear) begins(b []byte) bool {
	switch {
	case e.banner.Regexp != nil:
		return e.banner.Regexp.Match(b)
	case e.banner.Literal != "":
		return bytes.Contains(b, []byte(e.banner.Literal))
	}
	return len(b) > 0
}

// newResetFinder listens on the consoles that are quiet, or whose banner is declared.
func newResetFinder(ctx context.Context, b *rig.Bench, p *profile.Profile) (*resetFinder, error) {
	f := &resetFinder{}
	for name, port := range b.Consoles {
		e := &ear{name: name}
		if con := p.Consoles.Items[name]; con != nil {
			e.banner = con.Boot.Banner
		}
		e.listen(port)
		f.ears = append(f.ears, e)
	}
	if err := f.settle(ctx); err != nil { // it may have got its supply just now
		return nil, err
	}
	from := make(map[*ear]int, len(f.ears))
	for _, e := range f.ears {
		from[e] = e.mark()
	}
	if err := letPass(ctx, resetQuiet); err != nil {
		return nil, err
	}
	f.ears = slices.DeleteFunc(f.ears, func(e *ear) bool { return e.banner.Zero() && e.mark() > from[e] })
	if len(f.ears) == 0 {
		return nil, errors.New("no console is quiet or has a declared banner (boot.banner): which pad is the reset is told by what the device says when that is let go")
	}
	return f, nil
}

// find tries each pad that something holds high, that is no pad of a port that was found,
// and that is not spared. It gives those that are the reset, with what showed it.
func (f *resetFinder) find(ctx context.Context, pins []gpio.PinIO, r *pinsearch.Result) (out []pinsearch.Reset, err error) {
	for i, pad := range r.Pads {
		if pad.State != pinsearch.HeldHigh || pad.Spared != "" || slices.ContainsFunc(r.Hits, func(h pinsearch.Hit) bool {
			return slices.ContainsFunc(h.Roles, func(role pinsearch.Role) bool { return role.Pad == pad.Name && role.Role != "ntrst" })
		}) {
			continue
		}
		shown := ""
		for range resetTries {
			if shown, err = f.try(ctx, pins[i]); err != nil {
				return out, fmt.Errorf("pull pad %s low: %w", pad.Name, err)
			}
			if shown == "" {
				break
			}
		}
		if shown != "" {
			out = append(out, pinsearch.Reset{Pad: pad.Name, Shown: shown})
		}
	}
	return out, nil
}

// try holds a pad low and lets it go. It gives the console on which the DUT began behind
// that, and not before; "" for none.
func (f *resetFinder) try(ctx context.Context, pin gpio.PinIO) (string, error) {
	marks := make([]int, len(f.ears))
	for i, e := range f.ears {
		marks[i] = e.mark()
	}
	if err := pin.Out(gpio.Low); err != nil {
		return "", err
	}
	held := letPass(ctx, resetHeld)
	early := make([]bool, len(f.ears))
	for i, e := range f.ears {
		early[i] = e.begins(e.since(marks[i]))
	}
	if err := errors.Join(held, pin.In(gpio.PullNoChange, gpio.NoEdge)); err != nil {
		return "", err
	}
	for end := time.Now().Add(resetWait); time.Now().Before(end); {
		for i, e := range f.ears {
			if !early[i] && e.begins(e.since(marks[i])) {
				return e.name, f.settle(ctx)
			}
		}
		if err := letPass(ctx, resetLook); err != nil {
			return "", err
		}
	}
	return "", nil
}

// settle waits until the consoles are quiet again, or long enough.
func (f *resetFinder) settle(ctx context.Context) error {
	for end := time.Now().Add(10 * resetWait); time.Now().Before(end); {
		before := 0
		for _, e := range f.ears {
			before += e.mark()
		}
		if err := letPass(ctx, resetQuiet); err != nil {
			return err
		}
		after := 0
		for _, e := range f.ears {
			after += e.mark()
		}
		if after == before {
			return nil
		}
	}
	return nil
}
