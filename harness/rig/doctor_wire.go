package rig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rigor/harness/wire"
)

// link looks at our end of the network.
func (v *visit) link() {
	if v.bench == nil || v.bench.Link == nil || v.bench.Missing[LinkPart] != nil {
		return
	}
	if err := v.bounded(lookWithin, v.bench.Link.Check); err != nil {
		v.broken("link", LinkPart, "%v", err)
		return
	}
	v.ok("link", LinkPart, "our end is up")
}

// supplyState asks the power switch. A rig without one has a DUT that is
// always on.
func (v *visit) supplyState() wire.PowerState {
	if v.bench.Power == nil {
		return wire.PowerOn
	}
	var s wire.PowerState
	err := v.bounded(lookWithin, func(ctx context.Context) (err error) { s, err = v.bench.Power.State(ctx); return err })
	if err != nil {
		return wire.PowerUnknown
	}
	return s
}

// power proves that off is off: a relay that clicks is no proof, and every
// check that cuts the power leans on it.
func (v *visit) power() {
	if v.bench == nil || v.bench.Power == nil || v.bench.Missing[PowerPart] != nil {
		return
	}
	const item = "power-off"
	if cut := slices.Contains(v.file.Allow, "power") || slices.Contains(v.file.Allow, "power-cut"); !cut {
		v.skipped(item, PowerPart, "the rig file does not allow to cut the power (allow: [power])")
		return
	}
	switch proof := v.file.Power.Proof; proof {
	case "cold-boot":
		if v.ColdBoot == nil {
			v.skipped(item, PowerPart, "proof is cold-boot, and nothing boots the DUT here")
			return
		}
		var saw string
		err := v.bounded(bootWithin, func(ctx context.Context) (err error) {
			saw, err = v.ColdBoot(ctx)
			return err
		})
		if errors.Is(err, ErrNotShown) {
			v.skipped(item, PowerPart, "%v", err)
			return
		}
		if err != nil {
			v.broken(item, PowerPart, "cut and given back, but no cold boot was seen: %v", err)
			return
		}
		v.ok(item, PowerPart, "cold boot seen: %s", saw)
	case "switch":
		if err := v.provenBySwitch(); err != nil {
			v.broken(item, PowerPart, "%v", err)
			return
		}
		v.ok(item, PowerPart, "the switch reads back off")
	case "", "none":
		v.skipped(item, PowerPart, "the rig file declares no proof (power.proof)")
	default:
		v.broken(item, PowerPart, "power.proof %q is not known", proof)
	}
}

// provenBySwitch believes a switch that reads back its relay. A DUT that is on
// is cut, and gets its supply back.
func (v *visit) provenBySwitch() error {
	read := func(want wire.PowerState) error {
		return v.bounded(lookWithin, func(ctx context.Context) error {
			switch s, err := v.bench.Power.State(ctx); {
			case err != nil:
				return err
			case s == wire.PowerUnknown:
				return fmt.Errorf("the switch cannot tell its state; prove by cold-boot instead (power.proof)")
			case s != want:
				return fmt.Errorf("told to be %v, the switch says %v", want, s)
			}
			return nil
		})
	}
	was := v.supplyState()
	if was == wire.PowerOff {
		return nil
	}
	if err := v.bounded(lookWithin+settling(v.file), v.bench.Power.Off); err != nil {
		return err
	}
	if err := read(wire.PowerOff); err != nil {
		return err
	}
	if was != wire.PowerOn {
		return nil
	}
	if err := pause(v.ctx, v.file.Power.OffSettle); err != nil {
		return err
	}
	if err := v.bounded(lookWithin, v.bench.Power.On); err != nil {
		return err
	}
	return read(wire.PowerOn)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lines reads every line back: released, it has to be at its declared idle.
func (v *visit) lines() {
	if v.bench == nil {
		return
	}
	state := v.supplyState()
	for _, name := range sortedNames(v.bench.Lines) {
		part := LinePart(name)
		if v.bench.Missing[part] != nil {
			continue
		}
		asserted, err := v.readLine(name)
		switch {
		case err != nil:
			v.broken("idle", part, "%v", err)
		case v.file.Lines[name].Drive == "input":
			v.ok("idle", part, "reads %s", level(asserted))
		case !asserted:
			v.ok("idle", part, "released, and reads so")
		case state == wire.PowerOn:
			v.broken("idle", part, "released, but reads asserted: it is stuck, held by the device, or its polarity (active) is the other one")
		case state == wire.PowerOff:
			v.skipped("idle", part, "reads asserted while the device is off, which may pull it: look again with the power on")
		default:
			v.skipped("idle", part, "reads asserted, and whether the device has power is not known")
		}
	}
}

func level(asserted bool) string {
	if asserted {
		return "asserted"
	}
	return "released"
}

func (v *visit) readLine(name string) (asserted bool, err error) {
	err = v.bounded(lookWithin, func(ctx context.Context) (err error) {
		asserted, err = v.bench.Lines[name].Asserted(ctx)
		return err
	})
	return asserted, err
}

// loopbacks drives each declared loop both ways.
func (v *visit) loopbacks() {
	if v.bench == nil {
		return
	}
	for _, loop := range v.file.Loopback {
		item := "loopback " + loop.Out + "-" + loop.In
		out, in := v.bench.Lines[loop.Out], v.bench.Lines[loop.In]
		switch {
		case out == nil || in == nil:
			v.broken(item, "", "the rig file has no such lines")
		case v.bench.Missing[LinePart(loop.Out)] != nil || v.bench.Missing[LinePart(loop.In)] != nil:
			v.skipped(item, LinePart(loop.Out), "a line of it did not open")
		default:
			if err := v.loop(out, in); err != nil {
				v.broken(item, LinePart(loop.Out), "%v", err)
				continue
			}
			v.ok(item, LinePart(loop.Out), "follows both ways")
		}
	}
}

func (v *visit) loop(out, in wire.Line) (err error) {
	follow := func(do func(context.Context) error, want bool) error {
		if err := v.bounded(lookWithin, do); err != nil {
			return err
		}
		err := v.bounded(loopWithin, func(ctx context.Context) error { _, err := in.Wait(ctx, want); return err })
		if err != nil {
			return fmt.Errorf("the far end is not seen %s: %w", level(want), err)
		}
		return nil
	}
	// A line that is stuck asserted would otherwise pass the first half.
	if err := follow(out.Release, false); err != nil {
		return err
	}
	if err := follow(out.Assert, true); err != nil {
		_ = v.bounded(lookWithin, out.Release)
		return err
	}
	return follow(out.Release, false)
}

// identity reads which unit is on the rig.
func (v *visit) identity() {
	if v.Identity == nil {
		reason := "nothing reads it here"
		if v.prof != nil && v.prof.Identity.Declared() {
			reason = "the profile declares that it cannot be read: " + v.prof.Identity.None.None
		}
		v.skipped("identity", "", "%s", reason)
		return
	}
	var read string
	err := v.bounded(bootWithin, func(ctx context.Context) (err error) {
		read, err = v.Identity(ctx)
		return err
	})
	switch {
	case errors.Is(err, ErrNotShown):
		v.skipped("identity", "", "%v", err)
		return
	case err != nil:
		v.broken("identity", "", "%v", err)
		return
	}
	v.ok("identity", "", "%s", read)
}
