package pinsearch

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

const (
	readings   = 16 // with each of our pulls
	settling   = 4  // half periods that a pull is given
	listenMost = 10 * time.Minute
)

// pullAll switches our resistors at all pads that are not ours.
func (s *searcher) pullAll(ctx context.Context, pull gpio.Pull) error {
	for i := range s.pins {
		if err := s.setPull(ctx, i, pull); err != nil {
			return err
		}
	}
	return nil
}

// setPull switches one, where our pins have any. The pad becomes an input.
func (s *searcher) setPull(ctx context.Context, i int, pull gpio.Pull) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.pull[i] == pull || (s.unread && pull != gpio.Float) {
		return nil
	}
	if s.held&(1<<i) != 0 && pull != gpio.Float {
		return nil
	}
	s.res.Pulls++
	err := s.pins[i].In(pull, gpio.NoEdge)
	if err == nil {
		s.pull[i] = pull
		return nil
	}
	if _, fault := wire.AsFault(err); !fault || errors.Is(err, wire.ErrUnsupported) {
		s.unread = true
		return nil
	}
	return err
}

// look reads all pads with each of our pulls, and watches them for a while.
func (s *searcher) look(ctx context.Context) error {
	if s.o.Listen < 0 || s.o.Listen > listenMost {
		return fmt.Errorf("listen for %v: want 0 to %v", s.o.Listen, listenMost)
	}
	up, upMoved, err := s.sample(ctx, gpio.PullUp)
	if err != nil {
		return err
	}
	s.moves |= upMoved
	if s.o.Stir != nil {
		if err := s.o.Stir(ctx); err != nil {
			return err
		}
	}
	if err := s.listen(ctx, up); err != nil {
		return err
	}
	down, downMoved, err := s.sample(ctx, gpio.PullDown)
	if err != nil {
		return err
	}
	s.moves |= downMoved | down&^up // high against the one, low against the other
	s.moves &^= s.held
	if s.unread {
		// Without pulls a pad that floats may read as it likes: that is no move.
		s.moves = 0
		return nil
	}
	s.highHeld = up & down &^ s.moves
	s.lowHeld = ^up & ^down & s.all &^ s.moves
	if s.highHeld|s.lowHeld|s.moves|s.held == s.all {
		s.note("no pad follows our pulls: either all of them are held, or our pins' pulls do nothing")
	}
	return nil
}

// sample reads all pads several times with one of our pulls.
func (s *searcher) sample(ctx context.Context, pull gpio.Pull) (level, moved uint32, err error) {
	if err := s.pullAll(ctx, pull); err != nil {
		return 0, 0, err
	}
	for range settling {
		s.step(0, 0, false)
	}
	for range readings {
		s.step(0, 0, true)
	}
	got, err := s.play(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, g := range got {
		moved |= g ^ got[0]
	}
	return got[0] & s.all, moved, nil
}

// watch looks whether the pads beside a pair are as they were: one that is not has moved by
// itself, and is not driven from here on. A DUT that was reset on the way shows its
// outputs so.
func (s *searcher) watch(levels, pair uint32) {
	if s.unread {
		return
	}
	moved := (levels ^ ^s.lowHeld) & s.all &^ (pair | s.lately | s.moves | s.never | s.held)
	for m := pair; m != 0; m &= m - 1 {
		moved &^= s.same[bits.TrailingZeros32(m)]
	}
	if moved == 0 {
		return
	}
	s.moves, s.never = s.moves|moved, s.never|moved
	for i := range s.res.Pads {
		if moved&(1<<i) != 0 {
			s.res.Pads[i].State, s.res.Pads[i].Spared = Moves, "it moved by itself while the others were looked at: an output; not driven from then on"
		}
	}
}

// listen watches for pads that move by themselves.
func (s *searcher) listen(ctx context.Context, level uint32) error {
	for start := time.Now(); ; {
		s.res.Watched += 4 * readings
		for range 4 * readings {
			s.step(0, 0, true)
		}
		got, err := s.play(ctx)
		if err != nil {
			return err
		}
		for _, g := range got {
			s.moves |= g ^ level
		}
		s.moves &= s.all
		if time.Since(start) >= s.o.Listen {
			return nil
		}
	}
}

// shorts finds pads that are joined, among those that float: one is driven, and what
// follows it against our pulls, both ways, is joined to it.
func (s *searcher) shorts(ctx context.Context) error {
	free := s.all &^ (s.moves | s.highHeld | s.lowHeld | s.never | s.held)
	if s.unread || free&(free-1) == 0 {
		return nil
	}
	var follow [2][32]uint32
	for k, pull := range []gpio.Pull{gpio.PullDown, gpio.PullUp} {
		if err := s.pullAll(ctx, pull); err != nil {
			return err
		}
		var driven []int
		for i := range s.pins {
			if free&(1<<i) == 0 {
				continue
			}
			level := uint32(0)
			if pull == gpio.PullDown {
				level = 1 << i
			}
			s.step(1<<i, level, true)
			s.step(0, 0, false)
			driven = append(driven, i)
		}
		got, err := s.play(ctx)
		if err != nil {
			return err
		}
		for j, i := range driven {
			if follow[k][i] = got[j]; pull == gpio.PullUp {
				follow[k][i] = ^got[j]
			}
		}
	}
	for i := range s.pins {
		if free&(1<<i) != 0 {
			s.same[i] = follow[0][i] & follow[1][i] & free &^ (1 << i)
		}
	}
	return nil
}

// report says of each pad what it does, and why it is spared.
func (s *searcher) report() {
	for i, name := range s.names {
		bit := uint32(1) << i
		p := Pad{Name: name, State: Floats}
		switch {
		case s.held&bit != 0:
			p.State, p.Spared = HeldLow, "we hold it low"
			if s.high&bit != 0 {
				p.State, p.Spared = HeldHigh, "we hold it high"
			}
		case s.unread:
			p.State = Unread
		case s.moves&bit != 0:
			p.State, p.Spared = Moves, "it moves by itself: an output"
			s.never |= bit
		case s.highHeld&bit != 0:
			p.State = HeldHigh
		case s.lowHeld&bit != 0:
			p.State = HeldLow
		}
		if s.o.Floating && (p.State == HeldHigh || p.State == HeldLow) && s.held&bit == 0 {
			p.Spared = "something holds it"
			s.never |= bit
		}
		if p.Spared == "" && s.never&bit != 0 {
			p.Spared = "it was excepted"
		}
		if first := s.same[i] & (bit - 1); first != 0 {
			p.Same = s.list(first)[0]
			p.Spared = "it is joined to " + p.Same
		}
		s.res.Pads = append(s.res.Pads, p)
	}
	if s.unread {
		s.note("our pins have no pulls to switch: nothing could be told of the pads, and none is spared")
	}
	if h := s.highHeld | s.lowHeld; h&^s.never != 0 && !s.o.Floating {
		s.note("held, by a resistor or by an output that stands still, and driven all the same: %s", strings.Join(s.list(h&^(s.never|s.held)), ", "))
	}
}
