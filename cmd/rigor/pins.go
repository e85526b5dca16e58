package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/check"
	"rigor/harness/dap"
	"rigor/harness/debugport/pinsearch"
	"rigor/harness/escape"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/wire"
	"rigor/rigs"
)

type pinsCmd struct {
	Rig       string        `required:"" help:"A rig file, or the name of a built-in rig."`
	Never     []string      `help:"Pads that are not driven, besides those that the rig file excepts (pads.never): outputs that stand still, and what must not be touched." placeholder:"PAD"`
	Floating  bool          `help:"Drive only pads that nothing holds."`
	Low       []string      `help:"Pads that are held low meanwhile." placeholder:"PAD"`
	High      []string      `help:"Pads that are held high meanwhile, as nTRST." placeholder:"PAD"`
	Quick     bool          `help:"One pass for JTAG and one for SWD: no port that sleeps, none that answers only when it is named, no nTRST that is held low."`
	Listen    time.Duration `default:"200ms" help:"How long the pads are watched for one that moves by itself, up to 10m."`
	Reset     string        `help:"A line of the rig that is asserted for 50 ms before the pads are watched, so that outputs show themselves." placeholder:"LINE"`
	FindReset bool          `help:"Pull each pad low that something holds high and that is no pad of a port that was found, and hear on the rig's consoles whether the device begins anew when it is let go."`
	Format    string        `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Help says what it does to the DUT.
func (*pinsCmd) Help() string {
	return "Looks for debug ports on the rig's pads (pads in the rig file), in the wiring's own names. It needs debug-attach in the rig's allow. The supply is switched on where it is off, and off and on again afterwards, where the rig allows power: a port that was asked is no longer in the state that its supply gave it. " +
		"Each wire is taken to have 100 to 330 Ω in series: a pad that stands still may be an output."
}

// Run looks for ports.
func (c *pinsCmd) Run(ctx context.Context, a *app) error {
	if c.Listen < 0 || c.Listen > 10*time.Minute {
		return usage(fmt.Errorf("--listen %v: want up to 10m", c.Listen))
	}
	o := pinsearch.Options{Part: rig.PadsPart, Never: c.Never, Floating: c.Floating, Listen: c.Listen, Hold: map[string]gpio.Level{}}
	for _, pad := range c.Low {
		o.Hold[pad] = gpio.Low
	}
	for _, pad := range c.High {
		o.Hold[pad] = gpio.High
	}
	if !c.Quick {
		o.Dormant, o.Targets, o.TRST = true, pinsearch.Known(), true
	}
	var prof *profile.Profile
	return onPads(ctx, a, c.Rig, func(f *rig.File, p *profile.Profile) error {
		prof = p
		return c.fits(f)
	}, func(ctx context.Context, b *rig.Bench) error {
		if c.Reset != "" {
			o.Stir = func(ctx context.Context) error { return stir(ctx, b.Lines[c.Reset]) }
		}
		for _, pad := range b.File.Pads.Never {
			if _, held := o.Hold[pad]; !held && !slices.Contains(o.Never, pad) {
				o.Never = append(o.Never, pad)
			}
		}
		if err := searchable(b); err != nil {
			return err
		}
		r, err := pinsearch.Search(ctx, b.Pads, o)
		if err == nil && c.FindReset {
			var f *resetFinder
			if f, err = newResetFinder(ctx, b, prof); err == nil {
				r.Resets, err = f.find(ctx, b.Pads.Pins(), r)
			}
		}
		return errors.Join(err, c.show(a, r))
	})
}

// fits holds what is asked for against the rig.
func (c *pinsCmd) fits(f *rig.File) error {
	if c.FindReset && len(f.Consoles) == 0 {
		return fmt.Errorf("rig %s has no console: which pad is the reset is told by what the device says when that is let go", f.Name)
	}
	for _, pad := range slices.Concat(c.Never, c.Low, c.High) {
		if err := rigs.Known("pad of rig "+f.Name, pad, f.Pads.Names()); err != nil {
			return err
		}
	}
	if c.Reset != "" {
		return pressable(f, c.Reset)
	}
	return nil
}

// searchable refuses pads of which none can be driven alone.
func searchable(b *rig.Bench) error {
	if _, ok := b.Pads.(dap.Adapter); ok {
		return usage(fmt.Errorf("rig %s has its pads by driver %s: that is an adapter's port, of which no pad can be driven alone; rigor debug looks at the port", b.File.Name, b.File.Pads.Driver))
	}
	return nil
}

func (c *pinsCmd) show(a *app, r *pinsearch.Result) error {
	if c.Format == "json" {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	_, err := fmt.Fprint(a.out, escape.Terminal(r.String()))
	return err
}

// stir asserts a line for a moment.
func stir(ctx context.Context, l wire.Line) (err error) {
	if l == nil {
		return usage(errors.New("a person asserts this line, and nobody can be asked here; start rigor at a terminal"))
	}
	defer func() { err = errors.Join(err, letGo(ctx, l)) }()
	if err := l.Assert(ctx); err != nil {
		return err
	}
	return letPass(ctx, 50*time.Millisecond)
}

// letGo releases a line, whatever has ended its caller, within 10 s.
func letGo(ctx context.Context, l wire.Line) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return l.Release(ctx)
}

func letPass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// onPads opens a rig that has pads, with leave to attach to what is on them, under its
// guard; gives the DUT its supply, and leaves the rig safe, whatever ends it.
func onPads(ctx context.Context, a *app, name string, fits func(*rig.File, *profile.Profile) error, do func(context.Context, *rig.Bench) error) error {
	file, prof, err := rigs.Load(name)
	if err != nil {
		return usage(err)
	}
	switch {
	case file.Pads == nil:
		return usage(fmt.Errorf("rig %s has no pads; write pads: {driver: gpio, at: {J3.2: GPIO24, J3.4: GPIO25}} into it", file.Name))
	case !slices.Contains(file.Allow, string(check.DebugAttach)):
		return usage(fmt.Errorf("rig %s does not allow %s; write it into allow if this unit may be asked at its debug port", file.Name, check.DebugAttach))
	}
	if err := fits(file, prof); err != nil {
		return usage(err)
	}
	return boundBy(ctx, a, file, prof, (*runner.Job).OnRig, func(ctx context.Context, b *rig.Bench, f *rig.File, _ *profile.Profile) (err error) {
		hurrySafe(b)
		defer onHurry(nil)
		defer func() {
			_, end := rig.Safe(ctx, b) // past the end of ctx, too
			err = errors.Join(err, end)
		}()
		if err := supplied(ctx, b, f); err != nil {
			return err
		}
		if err := do(ctx, b); err != nil {
			return err
		}
		return anew(ctx, a, b, f)
	})
}

// supplied switches the DUT on where it is off.
func supplied(ctx context.Context, b *rig.Bench, f *rig.File) error {
	if b.Power == nil {
		return nil // whoever is at the bench has
	}
	s, err := b.Power.State(ctx)
	if err != nil || s == wire.PowerOn {
		return err
	}
	if !mayPower(f) {
		if s == wire.PowerUnknown {
			return nil
		}
		return usage(fmt.Errorf("the device is off, and rig %s does not allow power", f.Name))
	}
	return b.Power.On(ctx)
}

func mayPower(f *rig.File) bool {
	return slices.Contains(f.Allow, "power") || slices.Contains(f.Allow, "power-cut")
}

// anew switches the DUT off and on: an attach leaves it in another state than its supply
// does. Where the rig cannot, it says so.
func anew(ctx context.Context, a *app, b *rig.Bench, f *rig.File) error {
	if b.Power == nil || !mayPower(f) {
		_, err := fmt.Fprintln(a.err, "switch the device off and on now: a debug port that was asked stays in the state that it was left in")
		return err
	}
	if err := b.Power.Off(ctx); err != nil {
		return err
	}
	if f.Power.Rest == "off" || f.Power.Rest == "" {
		return nil
	}
	if err := letPass(ctx, f.Power.OffSettle); err != nil {
		return err
	}
	return b.Power.On(ctx)
}

// words puts a list into a sentence.
func words(list []string) string { return strings.Join(list, ", ") }
