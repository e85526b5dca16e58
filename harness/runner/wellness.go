package runner

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// Looks gives the doctor what it needs of the DUT itself: a cold boot, as the
// proof that the power can be cut, and its identity. The boot is the one that a
// run begins with, and so costs none of its own. The device is used through
// sessions that are taken back when the doctor is done with them.
func Looks(device *dut.Device, file *rig.File, p *rig.Probe) {
	if _, err := device.BootConsole(); err == nil && file.Power != nil {
		p.ColdBoot = func(ctx context.Context) (string, error) {
			return looked(ctx, device, func(d *dut.Device) (string, error) {
				con, err := d.BootConsole()
				if err != nil {
					return "", err
				}
				if err := d.PowerUp(ctx); err != nil {
					return "", unshown(err)
				}
				return "its banner on console " + con.Name(), nil
			})
		}
	}
	if len(device.Profile.Identity.Steps) > 0 {
		p.Identity = func(ctx context.Context) (string, error) {
			return looked(ctx, device, func(d *dut.Device) (string, error) {
				id, err := d.Identify(ctx)
				switch {
				case errors.Is(err, dut.ErrOtherUnit):
					return "", err
				case err != nil:
					return "", fmt.Errorf("%w: %w", rig.ErrNotShown, err)
				case id.ByMAC:
					return fmt.Sprintf("it says %q and not %q; the hardware address that it tells is the unit's", id.Got, id.Want), nil
				}
				return fmt.Sprintf("it says %q", id.Got), nil
			})
		}
	}
}

func looked(ctx context.Context, device *dut.Device, f func(*dut.Device) (string, error)) (string, error) {
	s := dut.NewSession(ctx, nil)
	defer s.Revoke()
	return f(device.With(s))
}

// unshown leaves a fault of the switch as it is: what else kept a boot from
// being seen may be the console's or the DUT's.
func unshown(err error) error {
	if f, ok := wire.AsFault(err); ok && f.Part == dut.PartPower {
		return err
	}
	return fmt.Errorf("%w: %w", rig.ErrNotShown, err)
}

// doctorOf gives the doctor of a run. In mid-run it does not touch the DUT.
func (j *Job) doctorOf(bench *rig.Bench, device *dut.Device) func(context.Context, string) []journal.Doctor {
	return func(ctx context.Context, phase string) []journal.Doctor {
		p := rig.Probe{RunDir: j.Dir, Lease: j.Lease, Guard: j.Guard}
		if phase == rig.PhaseBefore || phase == rig.PhaseAfter {
			Looks(device, j.File, &p)
		}
		if phase == rig.PhaseAfter {
			p.ColdBoot = func(context.Context) (string, error) {
				return "", fmt.Errorf("%w again: the run has booted it %d times", rig.ErrNotShown, device.PowerOns())
			}
		}
		found := rig.Doctor(ctx, phase, bench, j.File, j.Profile, p)
		if phase == rig.PhaseBefore {
			found = append(j.leftBefore(), found...)
		}
		return found
	}
}

// leftBefore gives what earlier runs left wrong on the rig, as its state folder has it.
func (j *Job) leftBefore() (found []journal.Doctor) {
	if j.unsafe != nil {
		j.told = true
		found = append(found, *j.unsafe)
	}
	if j.unknown != nil {
		found = append(found, *j.unknown)
	}
	return found
}

// Examine is the doctor without a run: it binds the rig, looks at all of it, boots
// the DUT and reads its identity where the rig file allows that, and leaves the rig
// safe. Secrets of the rig are told to the job's redactor. The error is that the
// rig cannot be bound or not be made safe; what is broken stands in the findings.
func (j *Job) Examine(ctx context.Context) (found []journal.Doctor, err error) {
	env := j.Env
	env.Ask = j.Ask
	bench, err := rig.Bind(ctx, j.File, j.Profile, j.Drivers, env)
	if err != nil {
		return nil, err
	}
	if j.Opened != nil {
		j.Opened(j.beside, bench)
	}
	defer func() {
		_, serr := rig.Safe(context.WithoutCancel(ctx), bench)
		j.forGuard = serr != nil
		err = errors.Join(err, serr, bench.Close())
	}()
	cons := map[string]*console.Console{}
	for name, port := range bench.Consoles {
		con := console.Open(ctx, port, j.consoleOptions(name))
		defer func() { _ = con.Close() }() // the bench closes the port
		cons[name] = con
	}
	measuring, measured := context.WithCancel(ctx)
	defer measured()
	device, err := j.device(bench, cons, late.Start(measuring))
	if err != nil {
		return nil, err
	}
	if j.Store != nil {
		_, err := j.Store.Pending()
		j.unknown = unknownLeft(err)
	}
	p := rig.Probe{Lease: j.Lease, Guard: j.Guard}
	Looks(device, j.File, &p)
	return append(j.leftBefore(), rig.Doctor(ctx, rig.PhaseBefore, bench, j.File, j.Profile, p)...), nil
}
