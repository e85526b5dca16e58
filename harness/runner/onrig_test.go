package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// realJob is a job on a rig of one fake line and a fake switch that has a lease, a
// state folder and, where nobody says otherwise, a guard that has nothing to do.
func realJob(t *testing.T, line *fakeLine, checks ...*check.Check) *Job {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if line.d == nil {
		line.d = &diary{}
	}
	file := &rig.File{Name: fmt.Sprintf("job-test-%d", os.Getpid()), Path: filepath.Join(t.TempDir(), "rig.yaml"),
		Power: &rig.Power{Driver: "fake"}, Lines: map[string]*rig.Line{"good": {Driver: "fake"}}}
	j := NewJob(file, &profile.Profile{Name: "dut"})
	j.Dir = filepath.Join(t.TempDir(), "run")
	j.Suites = []check.Suite{{Name: "s", Checks: checks}}
	j.Drivers = rig.Drivers{
		Line: map[string]func(context.Context, *rig.Line, rig.Env) (wire.Line, error){
			"fake": func(context.Context, *rig.Line, rig.Env) (wire.Line, error) { return line, nil },
		},
		Power: map[string]func(context.Context, *rig.Power, rig.Env) (wire.Power, error){
			"fake": func(context.Context, *rig.Power, rig.Env) (wire.Power, error) {
				return &fakePower{d: line.d, state: wire.PowerOff}, nil
			},
		},
	}
	j.StartGuard = func(context.Context, rig.GuardSpec) (*rig.Guard, error) { return &rig.Guard{}, nil }
	return j
}

// stateOf gives the state folder of the job's rig.
func stateOf(t *testing.T, j *Job) *rig.Store {
	t.Helper()
	dir, err := rig.StoreDir(j.File.Name)
	require.NoError(t, err)
	s, err := rig.OpenStore(dir)
	require.NoError(t, err)
	return s
}

// carried carries the job out and gives what its journal says.
func carried(t *testing.T, j *Job) *journal.Result {
	t.Helper()
	require.NoError(t, j.OnRig(t.Context(), j.Run))
	res, err := Load(j.Dir)
	require.NoError(t, err)
	require.Empty(t, res.Damage)
	return res
}

// brokenItem gives what the doctor found broken of an item before the run.
func brokenItem(res *journal.Result, item string) (out []string) {
	for _, d := range res.Doctor {
		if d.Item == item && d.Status == rig.StatusBroken && d.Phase == rig.PhaseBefore {
			out = append(out, d.Detail)
		}
	}
	return out
}

func TestGuardThatFailedIsTold(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"not safe", guardJSON(t, rig.GuardReport{Rig: "r", Ended: time.Unix(1e9, 0), Acts: []rig.SafeAct{{Part: "power", Do: "off", Error: "plug: no route"}}}),
			"power: off: plug: no route"},
		{"unreadable", "{", "guard.json: not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := realJob(t, &fakeLine{name: "good"}, well())
			path := filepath.Join(stateOf(t, j).Dir(), "guard.json")
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o600))
			// Who only presses a button journals nothing: the next run has to.
			require.NoError(t, j.OnRig(t.Context(), func(context.Context) error { return nil }))

			res := carried(t, j)
			found := brokenItem(res, "guard-before")
			require.Len(t, found, 1)
			assert.Contains(t, found[0], c.want)
			assert.Equal(t, verdict.ExitRig, res.Exit)
			assert.Equal(t, verdict.Pass, res.Case("well").Verdict(), "it is no word on the cases")

			j.Dir += "-2"
			res = carried(t, j)
			if c.file == "{" {
				assert.Len(t, brokenItem(res, "guard-before"), 1, "it stays until a person has looked")
				return
			}
			assert.Empty(t, brokenItem(res, "guard-before"), "told once")
			assert.Zero(t, res.Exit, "%v", res.Trouble)
		})
	}
	t.Run("safe", func(t *testing.T) {
		j := realJob(t, &fakeLine{name: "good"}, well())
		path := filepath.Join(stateOf(t, j).Dir(), "guard.json")
		require.NoError(t, os.WriteFile(path, []byte(guardJSON(t, rig.GuardReport{Rig: "r", Ended: time.Unix(1e9, 0), Safe: true})), 0o600))
		assert.Empty(t, brokenItem(carried(t, j), "guard-before"))
	})
	t.Run("doctor", func(t *testing.T) {
		j := realJob(t, &fakeLine{name: "good"}, well())
		path := filepath.Join(stateOf(t, j).Dir(), "guard.json")
		require.NoError(t, os.WriteFile(path, []byte(guardJSON(t, rig.GuardReport{Rig: "r", Ended: time.Unix(1e9, 0)})), 0o600))
		var found []journal.Doctor
		require.NoError(t, j.OnRig(t.Context(), func(ctx context.Context) (err error) {
			found, err = j.Examine(ctx)
			return err
		}))
		assert.Len(t, brokenItem(&journal.Result{Doctor: found}, "guard-before"), 1)
	})
}

func guardJSON(t *testing.T, r rig.GuardReport) string {
	t.Helper()
	b, err := json.Marshal(r)
	require.NoError(t, err)
	return string(b)
}
