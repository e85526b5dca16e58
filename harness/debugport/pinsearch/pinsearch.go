// Package pinsearch finds debug ports on pads of which nobody says what they are, with
// wires alone: which pads are TCK, TMS, TDI, TDO, nTRST, SWCLK and SWDIO.
//
// What it drives: at first nothing, only our own pull resistors, to see what holds each
// pad; then, for each hypothesis, the pads of that hypothesis and no others; never a pad
// that moves by itself, nor one that the caller excepts. A pad that stands still against
// both of our pulls may be an output as well as a resistor: no reading tells them apart,
// so each wire is taken to have 100 to 330 Ω in series, which the result says.
//
// JTAG takes one pass over the ordered pairs (TCK, TMS): all other pads are read as TDO
// at once, and eight bits of a data register tell whether any of them lives. Each hit is
// confirmed before it is one.
//
// Sources: IEEE 1149.1-2013; IHI 0031 (ADIv5), IHI 0074 (ADIv6); published searches are
// in compare.go.
package pinsearch

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/debugport"
	"rigor/harness/debugport/jep106"
	"rigor/harness/wire"
)

// Options say how far a search goes. The zero value is one pass for JTAG and one for SWD.
type Options struct {
	// Part names the pads in a fault; "pads" where it is empty.
	Part wire.Part
	// NoJTAG and NoSWD leave one out.
	NoJTAG, NoSWD bool
	// Dormant is an extra pass over the pairs that wakes a dormant port of the serial wire.
	Dormant bool
	// Targets are extra passes, one for each TARGETSEL value of a port that several
	// share; Known gives those of known chips.
	Targets []uint32
	// TRST is extra passes for JTAG where nothing was found: one for each pad that is
	// held low, which is driven high meanwhile, as nTRST has to be.
	TRST bool
	// Never are pads that are not driven, whatever they read.
	Never []string
	// Hold are pads that are held at a level through the search: the reset low, nTRST high.
	Hold map[string]gpio.Level
	// Floating drives only pads that nothing holds. It misses ports whose pads have
	// resistors, as most have.
	Floating bool
	// Listen is how long the pads are watched for one that moves; 0 is 64 half periods.
	// Stir is called right before, and may make the DUT do something: let its reset go.
	Listen time.Duration
	Stir   func(context.Context) error
}

// Known are the TARGETSEL values of known chips: the cores of an RP2040, and an RP2350.
// The third port of an RP2040, instance 15, resets the chip when it is powered up, and is
// not asked.
func Known() []uint32 { return []uint32{0x01002927, 0x11002927, 0x00040927} }

// State is what a pad does while nobody of ours drives it.
type State string

// The states.
const (
	Floats   State = "floats"    // it follows our pull both ways
	HeldHigh State = "held-high" // high against our pull to ground: a resistor, or an output that stands still
	HeldLow  State = "held-low"
	Moves    State = "moves"  // it moved by itself: an output, and never driven
	Unread   State = "unread" // our pins have no pulls to switch: nothing was told
)

// Pad is one pad and what became of it.
type Pad struct {
	Name  string `json:"pad"`
	State State  `json:"state"`
	// Spared says why the pad was not driven, "" where it was.
	Spared string `json:"spared,omitempty"`
	// Same is the pad that this one is joined to.
	Same string `json:"same_as,omitempty"`
}

// Role is what a pad is to a port.
type Role struct {
	Role string `json:"role"` // tck, tms, tdi, tdo, ntrst, swclk, swdio
	Pad  string `json:"pad"`
}

// ID is an IDCODE or a DPIDR.
type ID struct {
	Value uint32 `json:"value"`
	Maker string `json:"maker,omitempty"`
}

// String gives "0x4ba00477 (ARM Ltd.)".
func (i ID) String() string { return fmt.Sprintf("%#08x (%s)", i.Value, jep106.Of(i.Value)) }

// Proof is one thing that was tried on a hit.
type Proof struct {
	What   string `json:"what"`
	Holds  bool   `json:"holds"`
	Detail string `json:"detail,omitempty"`
}

// Hit is a port, or what looked like one.
type Hit struct {
	Protocol string `json:"protocol"` // jtag, swd
	// Via is how it was reached: "", "dormant", "target 0x01002927", "after 0xe73c",
	// "with J3.7 high".
	Via   string `json:"via,omitempty"`
	Roles []Role `json:"roles"`
	// IDs are the IDCODEs of the chain, that next to TDO first, 0 for a TAP that has none;
	// or the DPIDR.
	IDs       []ID    `json:"ids"`
	Confirmed bool    `json:"confirmed"`
	Proofs    []Proof `json:"proofs"`
}

// Reset is a pad behind whose release the DUT begins anew.
type Reset struct {
	Pad   string `json:"pad"`
	Shown string `json:"shown"` // the console that showed it
}

// Pass is one look at all pairs.
type Pass struct {
	What  string `json:"what"`
	Pairs int    `json:"pairs"`
	Steps uint64 `json:"steps"` // half periods of the clock, confirmations included
}

// Result is what a search found.
type Result struct {
	// Done says that the search came to its end. Where it did not, nothing found is
	// nothing said.
	Done bool  `json:"done"`
	Pads []Pad `json:"pads"`
	Hits []Hit `json:"hits"`
	// Doubtful are those that looked like a port and were not confirmed.
	Doubtful []Hit `json:"doubtful,omitempty"`
	// Resets are pads that are the DUT's reset by what they do. Search looks for none: who
	// hears the DUT does.
	Resets  []Reset  `json:"resets,omitempty"`
	Passes  []Pass   `json:"passes"`
	Steps   uint64   `json:"steps"`   // half periods on the wires
	Watched uint64   `json:"watched"` // of those, how many went by watching
	Pulls   uint64   `json:"pulls"`   // resistors of ours that were switched
	Notes   []string `json:"notes,omitempty"`
}

// Assumed is what a search takes for granted, and cannot see.
const Assumed = "each wire has 100 to 330 Ω in series, and the DUT is powered at the level of our pins"

type searcher struct {
	o     Options
	w     *debugport.Wires
	pins  []gpio.PinIO
	names []string
	res   *Result

	all, never, held, high uint32 // never: not driven; held at a level, and which
	moves                  uint32
	lately                 uint32     // the pads of the last pair: they may be on their way back
	same                   [32]uint32 // the pads that each one is joined to
	lowHeld, highHeld      uint32
	unread                 bool
	via                    string // of a hit of the pass under way
	pull                   [32]gpio.Pull
	steps                  []wire.PadStep
	got                    []uint32
}

// Search looks for ports. The Result holds what was found up to an error, which is one of
// the pads (a *wire.Fault), of ctx, or of an option. All pads are let go of at the end,
// our resistors off. A port that was found, or stirred on the way, is no longer in the
// state that its supply gave it: switch the DUT off and on.
func Search(ctx context.Context, pads wire.Pads, o Options) (*Result, error) {
	s := &searcher{o: o, pins: pads.Pins(), res: &Result{Hits: []Hit{}}}
	s.w = debugport.New(pads, debugport.Options{Part: o.Part, Keep: -1, Transactions: -1})
	if n := len(s.pins); n < 2 || n > 32 {
		return s.res, fmt.Errorf("pin search: %d pads: want 2 to 32", n)
	}
	s.all = uint32(1<<len(s.pins) - 1)
	for _, p := range s.pins {
		s.names = append(s.names, p.Name())
	}
	if err := s.options(); err != nil {
		return s.res, fmt.Errorf("pin search: %w", err)
	}
	err := s.run(ctx)
	if end := s.end(ctx); err == nil {
		err = end
	}
	s.res.Steps = s.w.Steps()
	if err != nil {
		return s.res, fmt.Errorf("pin search: %w", err)
	}
	s.res.Done = true
	return s.res, nil
}

func (s *searcher) options() error {
	for _, name := range s.o.Never {
		i := slices.Index(s.names, name)
		if i < 0 {
			return fmt.Errorf("no pad is called %q; there are %v", name, s.names)
		}
		s.never |= 1 << i
	}
	for name, level := range s.o.Hold {
		i := slices.Index(s.names, name)
		if i < 0 {
			return fmt.Errorf("no pad is called %q; there are %v", name, s.names)
		}
		s.held |= 1 << i
		if level {
			s.high |= 1 << i
		}
	}
	if s.held&s.never != 0 {
		return fmt.Errorf("a pad cannot be held and never driven")
	}
	return nil
}

func (s *searcher) run(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if err := s.shorts(ctx); err != nil {
		return err
	}
	s.report()
	if !s.o.NoJTAG {
		if err := s.pass(ctx, "jtag", "", s.jtagPair); err != nil {
			return err
		}
	}
	if !s.o.NoSWD {
		if err := s.pass(ctx, "swd", "", func(ctx context.Context, clk, io int) error { return s.swdPair(ctx, clk, io, "", 0) }); err != nil {
			return err
		}
		if s.o.Dormant {
			if err := s.pass(ctx, "swd", "dormant", func(ctx context.Context, clk, io int) error { return s.swdPair(ctx, clk, io, "dormant", 0) }); err != nil {
				return err
			}
		}
		for _, t := range s.o.Targets {
			via := fmt.Sprintf("target %#08x", t)
			if err := s.pass(ctx, "swd", via, func(ctx context.Context, clk, io int) error { return s.swdPair(ctx, clk, io, via, t) }); err != nil {
				return err
			}
		}
	}
	return s.withTRST(ctx)
}

// withTRST looks for JTAG behind an nTRST that the board holds low.
func (s *searcher) withTRST(ctx context.Context) error {
	if !s.o.TRST || s.o.NoJTAG || s.found("jtag") {
		return nil
	}
	for i, name := range s.names {
		bit := uint32(1) << i
		if s.lowHeld&bit == 0 || (s.never|s.held)&bit != 0 {
			continue
		}
		s.held, s.high, s.via = s.held|bit, s.high|bit, "with "+name+" high"
		before := len(s.res.Hits)
		err := s.pass(ctx, "jtag", s.via, s.jtagPair)
		s.held, s.high, s.via = s.held&^bit, s.high&^bit, ""
		for k := before; k < len(s.res.Hits); k++ {
			s.res.Hits[k].Roles = append(s.res.Hits[k].Roles, Role{"ntrst", name})
		}
		if err != nil || s.found("jtag") {
			return err
		}
	}
	return nil
}

func (s *searcher) found(protocol string) bool {
	return slices.ContainsFunc(s.res.Hits, func(h Hit) bool { return h.Protocol == protocol })
}

// answers says whether a port of the serial wire was found on a pair that needs no name:
// it answers to every other way, too.
func (s *searcher) answers(clk, io int) bool {
	return slices.ContainsFunc(s.res.Hits, func(h Hit) bool {
		return h.Protocol == "swd" && (h.Via == "" || h.Via == "dormant") && h.Pad("swclk") == s.names[clk] && h.Pad("swdio") == s.names[io]
	})
}

// pass gives every ordered pair of pads to try: the first is a clock, the second is the
// target's to hear and, of SWD, to say, which nothing should hold low.
func (s *searcher) pass(ctx context.Context, protocol, via string, try func(ctx context.Context, clk, io int) error) error {
	before := s.w.Steps()
	p := Pass{What: protocol}
	if via != "" {
		p.What += " " + via
	}
	if err := s.pullAll(ctx, gpio.PullUp); err != nil {
		return err
	}
	var err error
	for clk := 0; clk < len(s.pins) && err == nil; clk++ {
		for io := 0; io < len(s.pins) && err == nil; io++ {
			pair := uint32(1)<<clk | uint32(1)<<io
			if protocol == "swd" && s.answers(clk, io) || clk == io || (s.never|s.held)&pair != 0 || s.lowHeld&(1<<io) != 0 || s.same[clk]&(1<<io) != 0 {
				continue
			}
			// Of pads that are joined the first stands for all.
			if s.same[clk]&(1<<clk-1) != 0 || s.same[io]&(1<<io-1) != 0 {
				continue
			}
			p.Pairs++
			err = try(ctx, clk, io)
			s.lately = pair
		}
	}
	p.Steps = s.w.Steps() - before
	s.res.Passes = append(s.res.Passes, p)
	return err
}

// end lets everything go.
func (s *searcher) end(ctx context.Context) error {
	// It has to be done also where ctx is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.w.Release(ctx); err != nil {
		return err
	}
	return s.pullAll(ctx, gpio.Float)
}

// play plays s.steps, and gives the readings.
func (s *searcher) play(ctx context.Context) ([]uint32, error) {
	n := 0
	for i := range s.steps {
		if s.steps[i].Read {
			n++
		}
	}
	if cap(s.got) < n {
		s.got = make([]uint32, n+256)
	}
	got := s.got[:n]
	err := s.w.Play(ctx, s.steps, got)
	s.steps = s.steps[:0]
	return got, err
}

// step adds one half period, with what is held through the search.
func (s *searcher) step(drive, level uint32, read bool) {
	s.steps = append(s.steps, wire.PadStep{Drive: drive | s.held, Level: level&drive&^s.held | s.high, Read: read})
}

// clock adds a clock: low with the levels of the other pads, read at its end, then high.
func (s *searcher) clock(clk, drive, level uint32, read bool) {
	s.step(drive, level&^clk, read)
	s.step(drive, level|clk, false)
}

func (s *searcher) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.res.Notes, text) && len(s.res.Notes) < 50 {
		s.res.Notes = append(s.res.Notes, text)
	}
}

// list gives the names of pads.
func (s *searcher) list(mask uint32) []string {
	var out []string
	for m := mask; m != 0; m &= m - 1 {
		out = append(out, s.names[bits.TrailingZeros32(m)])
	}
	return out
}

// keep files a hit.
func (s *searcher) keep(h Hit) {
	h.Confirmed = true
	for _, p := range h.Proofs {
		h.Confirmed = h.Confirmed && p.Holds
	}
	if h.Confirmed {
		s.res.Hits = append(s.res.Hits, h)
	} else {
		s.res.Doubtful = append(s.res.Doubtful, h)
	}
}

func proof(what string, holds bool, format string, args ...any) Proof {
	return Proof{what, holds, fmt.Sprintf(format, args...)}
}
