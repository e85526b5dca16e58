package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"rigor/harness/journal"
	"rigor/harness/rig"
)

// ErrDevice says that the device which lives in this process cannot be made as
// the rig file asks; nothing was touched.
var ErrDevice = errors.New("nothing was run")

// OnRig gets a job what it needs of its rig (the device itself, where that
// lives in this process; lease, state folder and guard for real wires), does
// something with it, which is Run as a rule, and gives everything back. Its
// Drivers are those that the rig file is read with. It has the rigs beside the job's as
// well, all or none. The error is do's own, or says what could not be had or given
// back: rig.ErrLeased, ErrDevice.
func (j *Job) OnRig(ctx context.Context, do func(context.Context) error) error {
	if err := j.muster(); err != nil {
		return err
	}
	for _, b := range slices.Backward(j.crew) {
		then := do
		do = func(ctx context.Context) error { return b.onRig(ctx, then) }
	}
	return j.onRig(ctx, do)
}

// onRig is OnRig for one rig.
func (j *Job) onRig(ctx context.Context, do func(context.Context) error) error {
	return j.Held(ctx, func(ctx context.Context) (err error) {
		if j.Lease == nil {
			return do(ctx)
		}
		if j.Store, err = j.openStore(ctx); err != nil {
			return err
		}
		start := j.StartGuard
		if start == nil {
			start = rig.StartGuard
		}
		j.Guard, err = start(ctx, rig.GuardSpec{File: j.File, Dir: filepath.Dir(j.File.Path), Store: j.Store, Lease: j.Lease})
		if err != nil {
			return fmt.Errorf("start the guard: %w", err)
		}
		defer func() {
			if j.forGuard {
				err = errors.Join(err, j.Guard.StandIn())
				return
			}
			quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, j.Guard.Dismiss(quiet))
		}()
		// Before the guard goes: one that has to stand in for this run reports anew.
		return errors.Join(do(ctx), j.noticed())
	})
}

// Held gets a job its instruments alone: the device that lives in this process,
// or the lease on real ones. A person's command needs no more.
func (j *Job) Held(ctx context.Context, do func(context.Context) error) (err error) {
	j.unattended(ctx)
	var local *rig.Local
	if j.Drivers.Local != nil {
		if local, err = j.Drivers.Local(j.File, j.Seed+j.salt); err != nil {
			return fmt.Errorf("%w: %w", ErrDevice, err)
		}
	}
	if local != nil {
		defer func() { err = errors.Join(err, local.Close()) }()
		j.Drivers, j.Env.Given, j.Disk, j.Lost = local.Drivers, local.Given, local.Disk, local.Lost
		j.sources(ctx)
		if err := rig.CheckSecrets(j.File, j.Env); err != nil {
			return err
		}
		return do(ctx)
	}
	j.sources(ctx)
	if err := rig.CheckSecrets(j.File, j.Env); err != nil {
		return err
	}
	if j.Lease, err = Acquire(ctx, j.File); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Lease.Release()) }()
	return do(ctx)
}

// sources lets programs and a person give secrets.
func (j *Job) sources(ctx context.Context) {
	j.Env.AskHidden = j.AskHidden
	j.Env = j.Env.Sources(ctx, j.Drivers)
}

// unattended leaves out what a person would have to do, where there is none to
// ask. What needs it is inconclusive, as with any instrument that a rig lacks.
func (j *Job) unattended(ctx context.Context) {
	if j.Ask != nil {
		return
	}
	alone, left := j.File.Unattended()
	if len(left) == 0 {
		return
	}
	j.byHand = slices.Contains(left, rig.PowerPart)
	j.File = alone
	slog.InfoContext(ctx, "Nobody can be asked at this terminal: what a person would have to do is left out", "parts", left)
}

// openStore opens the rig's state folder and takes notice of what a guard did
// since the last run.
func (j *Job) openStore(ctx context.Context) (*rig.Store, error) {
	dir, err := rig.StoreDir(j.File.Name)
	if err != nil {
		return nil, err
	}
	store, err := rig.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	j.unsafe, j.told, j.forGuard = nil, false, false
	rep, err := store.GuardReport()
	switch {
	case err != nil:
		j.unsafe = broken("guard-before", fmt.Sprintf("what a guard did after an earlier run is not known: %v; look whether lines and supply are at rest, then remove the file", err))
	case rep == nil:
		return store, nil
	case rep.Safe:
		slog.InfoContext(ctx, "The guard of an earlier run put the rig safe", "ended", rep.Ended)
		return store, store.Noticed()
	default:
		text := fmt.Sprintf("an earlier run ended at %s without making the rig safe, and its guard could not either in %v", rep.Ended.Format(time.RFC3339), time.Duration(rep.Took)*time.Millisecond)
		for _, a := range rep.Acts {
			if a.Error != "" {
				text += fmt.Sprintf("; %s: %s: %s", a.Part, a.Do, a.Error)
			}
		}
		j.unsafe = broken("guard-before", text)
	}
	slog.ErrorContext(ctx, "The rig was not left safe", "rig", j.File.Name, "why", j.unsafe.Detail)
	return store, nil
}

// broken is a finding of before the run that is no part's.
func broken(item, detail string) *journal.Doctor {
	return &journal.Doctor{Phase: rig.PhaseBefore, Item: item, Status: rig.StatusBroken, Detail: detail}
}

// noticed marks the report of an earlier run's guard as seen once a doctor has told
// of it: whoever only presses a button shows it to nobody who reads a report. One that
// cannot be read stays until a person has looked.
func (j *Job) noticed() error {
	if j.unsafe == nil || !j.told {
		return nil
	}
	if _, err := j.Store.GuardReport(); err != nil {
		return nil //nolint:nilerr // it was told, with the remedy
	}
	return j.Store.Noticed()
}

// guardsTime is how long a start waits for the guard of a run that was killed.
const guardsTime = 20 * time.Second

// Acquire takes the lease on a rig. A guard that still makes it safe is waited
// for; a run that goes on is not: rig.ErrLeased.
func Acquire(ctx context.Context, f *rig.File) (*rig.Lease, error) {
	wait, cancel := context.WithTimeout(ctx, guardsTime)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		lease, err := rig.Acquire(f.Name, rig.Resources(f), rig.LeaseConfig{})
		var held *rig.LeasedError
		if err == nil || !errors.As(err, &held) || !held.Passing() {
			return lease, err
		}
		select {
		case <-wait.Done():
			return nil, err
		case <-again.C:
		}
	}
}

// Unwind is how long a run may take to end safe once its context has ended,
// when all that it waits for is slow: the case under way with its cleanups,
// the drivers, the making safe.
func (j *Job) Unwind(plan []Planned) time.Duration {
	var cleanup time.Duration
	for _, p := range plan {
		if p.Skip == nil && !p.Unselected {
			cleanup = max(cleanup, p.Check.Budget.Cleanup)
		}
	}
	safe := 20 * time.Second
	if p := j.File.Power; p != nil {
		safe += 2 * p.OffSettle
	}
	return graceSignal + graceLeak + 2*graceDriver + max(cleanup, defaultBudget.Cleanup) + safe
}
