// Package gotest runs Rigor's checks, and a team's own, under go test: on the
// same rig, by the same runner, with the same verdicts as the command.
//
//	func TestMain(m *testing.M) { os.Exit(gotest.Main(m, rigs.Drivers())) }
//
//	func TestGateway(t *testing.T) {
//		gotest.Run(t, gotest.Bench{Rig: "bench-a.yaml", Suites: suites.All(), Drivers: rigs.Drivers(), Undo: suites.Undo()}, "credential", "con-silent")
//	}
//
// # Which cases run
//
// Those of the selectors, as on the command line of rigor run; none is all. Each
// is a subtest with the case's id, and go test's own -run and -skip choose among
// them:
//
//	go test -v -run 'TestGateway/cred-known-list'
//
// All subtests are entered before the rig is taken: what go test leaves out is
// never run on it, and stands as not selected in the reports. Where it leaves
// out everything, the test is skipped and nothing is touched.
//
// # When a case is judged
//
// No verdict is the last word until the run is folded: a part that breaks later
// takes its passes back. So each subtest is paused (go test says PAUSE), tells
// with -v how its case goes while that runs, and is continued with its verdict
// when the test function has returned. The time that go test shows of a subtest
// is therefore not the case's: that is in its text, in its attribute
// rigor.seconds (go test -json) and in the reports. Run is to be the last thing
// that a test function does; what has to come after the verdicts belongs into
// t.Cleanup.
//
// # What a verdict is to go test
//
//   - pass: passes.
//   - not-applicable: skipped, with the reason. A failure that is waived is one.
//   - fail: fails, with reason, expected, got, evidence and the command that runs
//     the case again.
//   - inconclusive: fails, and says so: what cannot be said must not be green. Who
//     wants it skipped sets AllowInconclusive; a wire that a rig lacks for good is
//     better owned up to in the rig file.
//   - error of the rig: fails, and says so.
//
// Trouble of the run as a whole (a rig that cannot be bound, or is not shown to
// be safe) fails the test itself, above its subtests.
//
// # How a run ends
//
// The rig ends safe before go test's -timeout ends the process: the run is told
// to end some time ahead, about a minute, but never more than half of what is
// left; cases that were not reached are errors. It is told to end by the first
// SIGINT, SIGTERM or SIGHUP too; the second ends the process. Whatever ends that,
// a guard makes real wires safe: a process of the test binary itself, which is why
// TestMain has to call Main. A rig in this process needs neither.
//
// A rig has one run at a time. Tests of several packages on one rig want
// go test -p 1, and tests of one package no t.Parallel.
package gotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/login"
	"rigor/harness/login/program"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/runner"
)

// Bench says on what to run, and what there is to run. Rig, Suites and Drivers
// are needed.
type Bench struct {
	// Rig is a rig file; a relative path starts at the test's package.
	Rig string
	// Load reads it and its profile; nil: rig.Load. rigs.Load knows the built-in
	// rigs by name.
	Load func(name string) (*rig.File, *profile.Profile, error)
	// Suites are all that the rig file may speak of in lacks, and the selectors
	// choose from: append a team's own to suites.All().
	Suites  []check.Suite
	Drivers rig.Drivers
	// Undo undoes what a run that was killed left, by the kind of the intent.
	Undo map[string]runner.Undo
	// Exec and Ask stand in for steps that a program or a person does; without
	// Ask a case that needs a person is inconclusive.
	Exec func(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error)
	Ask  func(ctx context.Context, question string) (string, error)
	// Program runs a program that tries a login (protocol exec).
	Program program.Runner
	// Credentials are tried besides the published ones.
	Credentials []login.Credential
	// Waivers is a file of waivers; "": waivers.yaml beside the rig file, if
	// there is one.
	Waivers string
	Seed    uint64 // 0: a new one; the reports say which

	// FailFast stops at the first failure, as go test -failfast does.
	FailFast bool
	// AllowInconclusive skips an inconclusive case instead of failing it. That
	// makes a test green which may have shown nothing.
	AllowInconclusive bool

	// Dir gets the folder of each run, with journal and evidence. With go test
	// -artifacts that is in the artifacts' folder instead; with neither it is a
	// temporary one, which stays where the test failed.
	Dir string
	// Report, where set, makes reports in the run's folder once it is judged.
	// Its error fails the test. rigor report DIR makes them later, too.
	Report func(dir string, res *journal.Result) error
}

// Run runs the selected cases on the bench, each as a subtest of t. It returns
// when the rig is safe again; the subtests are judged once t's function has
// returned.
func Run(t *testing.T, b Bench, selectors ...string) {
	t.Helper()
	job, err := b.job(t, selectors)
	if err != nil {
		t.Fatalf("nothing was run: %s", clean(err.Error()))
	}
	plan, err := job.Plan()
	if err != nil {
		t.Fatal(clean(err.Error()))
	}
	r := &run{t: t, b: b, job: job, live: journal.NewLive(), subs: map[string]*testing.T{}, temp: b.Dir == "" && !flagged(artifacts)}
	r.enter(plan)
	if len(r.subs) == 0 {
		t.Skip("nothing was run: of the planned cases go test's -run and -skip select none")
	}
	job.Keep = func(id string) bool { return r.subs[id] != nil }
	if r.left > 0 {
		job.KeepWhy = filters()
	}
	ctx, stop := r.until(plan)
	defer stop()
	r.finish(job.OnRig(ctx, job.Run))
}

// job makes the run's job.
func (b *Bench) job(t *testing.T, selectors []string) (*runner.Job, error) {
	if b.Rig == "" || len(b.Suites) == 0 {
		return nil, errors.New("the bench names no rig or no suites")
	}
	load := b.Load
	if load == nil {
		load = rig.Load
	}
	file, prof, err := load(b.Rig)
	if err != nil {
		return nil, err
	}
	j := runner.NewJob(file, prof)
	plan, err := runner.Plan(b.Suites, runner.PlanInput(file, prof), file.Lacks)
	if err != nil {
		return nil, err
	}
	if j.Waivers, err = runner.LoadWaivers(b.Waivers, file, plan); err != nil {
		return nil, err
	}
	j.Suites, j.Drivers, j.Undo, j.Exec, j.Ask, j.Program = b.Suites, b.Drivers, b.Undo, b.Exec, b.Ask, b.Program
	j.Selectors, j.Credentials, j.Seed, j.FailFast = selectors, b.Credentials, b.Seed, b.FailFast || flagged("test.failfast")
	j.Writer, j.Rerun, j.StartGuard = writer(), rerun(t.Name()), startGuard
	j.Dir, err = b.folder(t, j.RunID)
	return j, err
}

// guardVar tells a process of the test binary that it is a guard.
const guardVar = "RIGOR_GOTEST_GUARD"

// mainCalled says that a process of this binary can be a guard.
var mainCalled bool

// Main runs a package's tests and gives the exit code, for TestMain. In the
// process of a guard it is the guard instead, which opens instruments with
// these drivers. Tests on real wires do not run without it.
func Main(m *testing.M, d rig.Drivers) int {
	if os.Getenv(guardVar) == "" {
		mainCalled = true
		return m.Run()
	}
	// Nothing that a driver starts is a guard too.
	err := os.Unsetenv(guardVar)
	if err == nil {
		err = rig.RunGuard(context.Background(), d, rig.Env{}) //nolint:forbidigo // this process begins here
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err) // the guard's log
		return 1
	}
	return 0
}

// startGuard starts this binary as the guard.
func startGuard(ctx context.Context, spec rig.GuardSpec) (*rig.Guard, error) {
	if !mainCalled {
		return nil, errors.New("the package has no TestMain that calls gotest.Main, without which nobody makes real wires safe when the tests are killed; add func TestMain(m *testing.M) { os.Exit(gotest.Main(m, rigs.Drivers())) }")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec.Argv, spec.Environ = []string{self}, append(spec.Environ, guardVar+"=1")
	return rig.StartGuard(ctx, spec)
}
