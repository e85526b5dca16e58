package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/steps"
	"rigor/harness/strictyaml"
	"rigor/rigs"
)

// onRig gets a job what it needs of its rig (the device itself, for the
// built-in one; lease, state folder and guard for real wires), runs it, and
// gives everything back.
func onRig(ctx context.Context, job *runner.Job, do func(context.Context) error) (err error) {
	if rigs.UsesVirtual(job.File) {
		return onVirtual(ctx, job, do)
	}
	lease, err := acquire(ctx, job.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	dir, err := rig.StoreDir(job.File.Name)
	if err != nil {
		return err
	}
	store, err := rig.OpenStore(dir)
	if err != nil {
		return err
	}
	if rep, rerr := store.GuardReport(); rerr == nil && rep != nil {
		slog.InfoContext(ctx, "The guard of an earlier run put the rig safe", "ended", rep.Ended, "safe", rep.Safe)
		if err := store.Noticed(); err != nil {
			return err
		}
	}
	guard, err := rig.StartGuard(ctx, rig.GuardSpec{File: job.File, Dir: filepath.Dir(job.File.Path), Store: store, Lease: lease})
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer func() {
		quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, guard.Dismiss(quiet))
	}()
	job.Drivers, job.Store, job.Lease, job.Guard = rigs.Drivers(), store, lease, guard
	job.Opened = hurrySafe
	defer onHurry(nil)
	return do(ctx)
}

// guardsTime is how long a start waits for the guard of a run that was killed.
const guardsTime = 20 * time.Second

// acquire takes the lease on a rig. A guard that still makes it safe is waited
// for.
func acquire(ctx context.Context, f *rig.File) (*rig.Lease, error) {
	wait, cancel := timeout(ctx, guardsTime)
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

// hurrySafe makes the second signal put this bench safe.
func hurrySafe(b *rig.Bench) {
	onHurry(func() {
		// The program ends right after: nothing else may hold it up. The run's own
		// context has ended with the first signal, so that this is a root.
		ended := make(chan error, 1)
		go func() {
			_, err := rig.Safe(context.Background(), b)
			ended <- err
		}()
		late := time.NewTimer(2 * time.Second)
		defer late.Stop()
		select {
		case err := <-ended:
			if err != nil {
				slog.Error("The rig is not shown to be safe", "error", err)
			}
		case <-late.C: // the guard goes on with it
		}
	})
}

func onVirtual(ctx context.Context, job *runner.Job, do func(context.Context) error) (err error) {
	v, err := rigs.NewVirtual(job.File, job.Seed)
	if err != nil {
		return usage(err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	job.Drivers = v.Drivers()
	job.Env.Given = map[string]func(string) (string, error){"virtual": v.Given}
	job.Opened = hurrySafe
	defer onHurry(nil)
	return do(ctx)
}

// asker asks the person at the terminal; without one, a person is needed and
// none is there.
func asker(a *app) func(context.Context, string) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return func(ctx context.Context, question string) (string, error) {
		if _, err := fmt.Fprintf(a.err, "\n%s ", question); err != nil {
			return "", fmt.Errorf("%w: %w", steps.ErrNeedsHuman, err)
		}
		type line struct {
			text string
			err  error
		}
		ch := make(chan line, 1)
		go func() {
			text, err := bufio.NewReader(os.Stdin).ReadString('\n')
			ch <- line{strings.TrimSpace(text), err}
		}()
		select {
		case l := <-ch:
			return l.text, l.err
		case <-ctx.Done():
			return "", fmt.Errorf("%w: nobody answered %q", steps.ErrNeedsHuman, question)
		}
	}
}

// maxWaiver is how long a waiver may hold.
const maxWaiver = 90 * 24 * time.Hour

// loadWaivers reads a file of waivers. Without a name it looks beside the rig
// file, where there need be none.
func loadWaivers(name string, f *rig.File) ([]journal.Waiver, error) {
	optional := name == ""
	if optional {
		name = filepath.Join(filepath.Dir(f.Path), "waivers.yaml")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		if optional && errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the waivers: %w", err)
	}
	var file struct {
		Waivers []waiver `yaml:"waivers"`
	}
	src, err := strictyaml.Decode(name, data, &file)
	if err != nil {
		return nil, err
	}
	var out []journal.Waiver
	var errs strictyaml.Errors
	for i, w := range file.Waivers {
		at := []string{"waivers", fmt.Sprint(i)}
		expires, perr := time.Parse(time.DateOnly, w.Expires)
		switch {
		case w.Case == "" || w.Reason == "" || w.Owner == "" || w.Unit == "" && w.Model == "":
			errs = append(errs, src.Errorf(at, "give case, unit or model, reason, owner and expires", "the waiver is not complete"))
		case perr != nil:
			errs = append(errs, src.Errorf(append(at, "expires"), "write it as 2026-12-31", "expires is %q", w.Expires))
		case time.Until(expires) > maxWaiver:
			errs = append(errs, src.Errorf(append(at, "expires"), "at most 90 days from today", "the waiver would hold until %s", w.Expires))
		}
		out = append(out, journal.Waiver{Case: w.Case, Unit: w.Unit, Model: w.Model, Version: w.Version, Reason: w.Reason, Owner: w.Owner, Expires: w.Expires})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return out, nil
}

type waiver struct {
	Case    string `yaml:"case"`
	Unit    string `yaml:"unit"`
	Model   string `yaml:"model"`
	Version string `yaml:"version"`
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Expires string `yaml:"expires"`
}
