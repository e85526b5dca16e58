// Package rigtest runs a suite against the built-in device in a test, with
// weaknesses in the device, faults on its bench and another profile.
package rigtest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/rigs"
)

// Planted is what is wrong with the built-in device, its bench and what is said of
// them.
type Planted struct {
	Weaknesses, Faults []string
	Profile            func(*profile.Profile)
	File               func(*rig.File)
	Drivers            func(rig.Drivers)
	Dir                string // of the run; one of the test's own where it is empty
	// AskSecret is somebody who tries logins by hand.
	AskSecret func(ctx context.Context, question string) (string, error)
}

// Hurried is a Profile for a bench that is broken: what does not come there, whatever it is
// waited for, is waited for less long. The device shows it in half a second.
func Hurried(p *profile.Profile) {
	for _, c := range p.Consoles.Items {
		if c.Boot.Within > 0 {
			c.Boot.Within = 1500 * time.Millisecond
		}
	}
	if l := p.Logins.Items["console"]; l != nil {
		l.Within = 2 * time.Second
	}
}

// Run runs the selected cases of a suite and gives the folded result.
func Run(t *testing.T, suite check.Suite, p Planted, selectors ...string) *journal.Result {
	t.Helper()
	file, prof, err := rigs.Load("virtual")
	require.NoError(t, err)
	if p.Profile != nil {
		p.Profile(prof)
	}
	if p.File != nil {
		p.File(file)
	}
	file.Virtual = &rig.Virtual{Weaknesses: p.Weaknesses, Faults: p.Faults}
	v, err := rigs.NewVirtual(file, 7)
	require.NoError(t, err)
	defer func() { assert.NoError(t, v.Close()) }()
	drivers := v.Drivers()
	if p.Drivers != nil {
		p.Drivers(drivers)
	}
	dir := p.Dir
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "run")
	}
	job := &runner.Job{File: file, Profile: prof, Suites: []check.Suite{suite}, Drivers: drivers, Env: rig.Env{Given: map[string]func(string) (string, error){"virtual": v.Given}},
		Selectors: selectors, Dir: dir, RunID: "test", Seed: 7, Exec: rigs.Exec, AskSecret: p.AskSecret}
	require.NoError(t, job.Run(t.Context()))
	res, err := runner.Load(job.Dir)
	require.NoError(t, err)
	for i := range res.Cases {
		if c := &res.Cases[i]; !c.Unselected {
			t.Logf("%-28s %6d ms  %s", c.ID, c.Took.Milliseconds(), c.Judgement)
		}
	}
	t.Logf("all of it took %v", res.Took)
	return res
}

// Judged gives a case's verdict with its reason: "pass", "fail.access".
func Judged(c *journal.Case) string {
	if c.Judgement.Reason == "" {
		return string(c.Judgement.Verdict)
	}
	return string(c.Judgement.Verdict) + "." + string(c.Judgement.Reason)
}
