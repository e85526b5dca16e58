package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Phases of a doctor's visit.
const (
	PhaseBefore = "before"
	PhaseAfter  = "after"
)

// Statuses of a finding. What could not be looked at is skipped, never ok.
const (
	StatusOK      = "ok"
	StatusBroken  = "broken"
	StatusSkipped = "skipped"
)

// MinFree is how much room a run's folder needs: transcripts and evidence of
// a long night, with some to spare.
const MinFree = 100 << 20

// Probe is what the doctor looks with. The zero value looks at this computer;
// what it has no hook for is skipped.
type Probe struct {
	Root   fs.FS  // the computer's file system; os.DirFS("/") where nil
	RunDir string // the run's folder; empty: there is none, as for the command "doctor"
	Lease  *Lease
	Guard  *Guard

	// Free gives the bytes that are free to us at a path; statfs(2) where nil.
	Free func(path string) (uint64, error)
	// Clock says whether the system clock is synchronised; adjtimex(2) where nil.
	Clock func() (bool, error)
	// Now is the time of day; time.Now where nil.
	Now func() time.Time
	// PID is the process whose descendants may hold the rig's ports; our own
	// where zero.
	PID int

	// ColdBoot cuts the power, gives it back and shows on a console that the
	// DUT started cold. It says what it saw. ErrNotShown is for what may be the
	// switch's, the console's or the DUT's.
	ColdBoot func(ctx context.Context) (string, error)
	// Identity reads the DUT's identity and compares it with the unit that the
	// rig file names. It says what it read. ErrNotShown says that it cannot be
	// read now.
	Identity func(ctx context.Context) (string, error)
}

// ErrNotShown says that a proof did not come to an end, and not why.
var ErrNotShown = errors.New("it is not shown")

const (
	// lookWithin bounds each look at an instrument.
	lookWithin = 3 * time.Second
	// bootWithin bounds the proof that the power can be cut: a cold boot.
	bootWithin = 3 * time.Minute
	// loopWithin is how long a level may take through a loop of wire.
	loopWithin = time.Second
)

// Doctor says whether the rig itself is well, before or after a run. It alters
// nothing of the DUT but what the rig file allows: the proof of power off. A
// finding that is broken names its part, where it is one part's.
func Doctor(ctx context.Context, phase string, b *Bench, f *File, prof *profile.Profile, p Probe) []journal.Doctor {
	if p.Root == nil {
		p.Root = os.DirFS("/")
	}
	if p.Free == nil {
		p.Free = statfsFree
	}
	if p.Clock == nil {
		p.Clock = clockSynced
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.PID == 0 {
		p.PID = os.Getpid()
	}
	v := &visit{ctx: ctx, phase: phase, bench: b, file: f, prof: prof, Probe: p}
	v.computer()
	v.supply()
	v.leave()
	v.opened()
	v.ports()
	v.timed = true
	v.bootPulls()
	v.link()
	if phase == PhaseBefore {
		v.storages()
	}
	// The power first: what a line reads depends on it.
	v.power()
	v.lines()
	v.pads()
	v.loopbacks()
	v.identity()
	if phase == PhaseAfter {
		v.storages()
	}
	return v.found
}

// visit collects what one visit finds.
type visit struct {
	Probe
	ctx   context.Context
	phase string
	bench *Bench
	file  *File
	prof  *profile.Profile
	found []journal.Doctor
	timed bool // what is looked at ends with ctx
}

func (v *visit) note(status, item string, part wire.Part, format string, args ...any) {
	detail := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if status == StatusBroken && v.timed && v.ctx.Err() != nil { // the visit had no time left for it
		status, detail = StatusSkipped, "there was no time to look to its end: "+detail
	}
	v.found = append(v.found, journal.Doctor{Phase: v.phase, Item: item, Part: string(part), Status: status, Detail: detail})
}

func (v *visit) ok(item string, part wire.Part, format string, args ...any) {
	v.note(StatusOK, item, part, format, args...)
}

func (v *visit) broken(item string, part wire.Part, format string, args ...any) {
	v.note(StatusBroken, item, part, format, args...)
}

func (v *visit) skipped(item string, part wire.Part, format string, args ...any) {
	v.note(StatusSkipped, item, part, format, args...)
}

// bounded gives f a deadline, and up when it does not keep it.
func (v *visit) bounded(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(v.ctx, d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(openGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return fmt.Errorf("the driver did not come back: %w", ctx.Err())
	}
}

// computer looks at the folder of the run, the clock and the secrets' files.
func (v *visit) computer() {
	switch {
	case v.RunDir == "":
		v.skipped("disk", "", "no run's folder to look at")
	default:
		v.disk()
	}
	synced, err := v.Clock()
	now := v.Now()
	switch {
	case now.Year() < 2025:
		// Expiry dates, certificates and the order of runs would all be wrong.
		v.broken("clock", "", "the clock says %s: set it (timedatectl set-ntp true, or an RTC)", now.UTC().Format("2006-01-02"))
	case err != nil:
		v.skipped("clock", "", "whether it is synchronised is not known: %v", err)
	case !synced:
		v.ok("clock", "", "not synchronised: times of day are this computer's own")
	default:
		v.ok("clock", "", "synchronised")
	}
	if v.bench != nil && v.bench.Secrets != nil {
		if hints := v.bench.Secrets.Hints(); len(hints) > 0 {
			v.ok("secrets", "", "%s", strings.Join(hints, "; "))
		}
	}
}

func (v *visit) disk() {
	f, err := os.CreateTemp(v.RunDir, ".doctor-*")
	if err != nil {
		v.broken("disk", "", "the run's folder cannot be written: %v", err)
		return
	}
	_, err = f.Write(make([]byte, 4096))
	err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	if err != nil {
		v.broken("disk", "", "the run's folder cannot be written: %v", err)
		return
	}
	free, err := v.Free(v.RunDir)
	switch {
	case err != nil:
		v.skipped("disk", "", "writable; how much is free is not known: %v", err)
	case free < MinFree:
		v.broken("disk", "", "%d MB free in the run's folder, at least %d MB are needed: remove old runs", free>>20, MinFree>>20)
	default:
		v.ok("disk", "", "writable, %d MB free", free>>20)
	}
}

func statfsFree(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// staUnsync is STA_UNSYNC of adjtimex(2): nobody disciplines the clock.
const staUnsync = 0x0040

func clockSynced() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, fmt.Errorf("adjtimex: %w", err)
	}
	return state != unix.TIME_ERROR && t.Status&staUnsync == 0, nil
}

// ClockState says what is known of the system clock, in the journal's words.
func ClockState() string {
	switch synced, err := clockSynced(); {
	case err != nil:
		return "unknown"
	case synced:
		return "synchronised"
	}
	return "not synchronised"
}

// leave looks at what keeps others off the rig and makes it safe after us.
func (v *visit) leave() {
	if v.Lease != nil {
		if err := v.Lease.Err(); err != nil {
			v.broken("lease", "", "%v", err)
		} else {
			v.ok("lease", "", "held")
		}
	}
	if v.Guard != nil {
		select {
		case <-v.Guard.Gone():
			v.broken("guard", "", "the guard process has ended: nothing would make the rig safe after a crash")
		default:
			v.ok("guard", "", "on duty")
		}
	}
}

// opened tells which instruments opened.
func (v *visit) opened() {
	if v.bench == nil {
		return
	}
	for _, part := range v.bench.Parts() {
		if err := v.bench.Missing[part]; err != nil {
			v.broken("open", part, "%v", err)
		} else {
			v.ok("open", part, "")
		}
	}
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
