package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

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

// shGuard stands for the guard: it writes down what it is told after its orders.
func shGuard(j *Job, heard string) {
	j.StartGuard = func(ctx context.Context, spec rig.GuardSpec) (*rig.Guard, error) {
		spec.Argv = []string{"/bin/sh", "-c", `read -r orders <&3; echo "on duty" >&4; exec 4>&-; cat <&3 >"$0.part"; mv "$0.part" "$0"`, heard}
		return rig.StartGuard(ctx, spec)
	}
}

// toldGuard gives what the guard was told last.
func toldGuard(t *testing.T, heard string) string {
	t.Helper()
	var text []byte
	require.Eventually(t, func() (ok bool) {
		var err error
		text, err = os.ReadFile(heard)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond, "the guard does not end")
	return string(text)
}

func TestHowTheRigIsLeft(t *testing.T) {
	noPads := func(context.Context, *rig.Pads, rig.Env) (wire.Pads, error) { return padsless{}, nil }
	for _, c := range []struct {
		name  string
		set   func(*Job, *fakeLine)
		safe  bool
		left  string
		guard string // what it is told
		power string // what the supply was told last
	}{
		{"put safe", func(*Job, *fakeLine) {}, true, "", "done\n", "power off"},
		{"held", func(j *Job, _ *fakeLine) { j.Hold = true }, false, journal.LeftHeld, "done\n", "power on"},
		{"never bound", func(j *Job, _ *fakeLine) {
			j.File.Pads = &rig.Pads{Driver: "fake", At: map[string]string{"J1": "a", "J2": "b"}}
			j.Drivers.Pads = map[string]func(context.Context, *rig.Pads, rig.Env) (wire.Pads, error){"fake": noPads}
		}, false, journal.LeftUnbound, "done\n", ""},
		// The guard has ten seconds to go on trying, and says in the end how it went.
		{"a line that sticks", func(_ *Job, l *fakeLine) { l.err = errors.New("stuck") }, false, "", "", "power off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := &fakeLine{name: "good"}
			j := realJob(t, line, checkOn("idle", "good", func(_ context.Context, ct *check.T) { holds(ct) }))
			heard := filepath.Join(t.TempDir(), "heard")
			shGuard(j, heard)
			c.set(j, line)
			res := carried(t, j)
			require.NotNil(t, res.End)
			assert.Equal(t, c.safe, res.End.Safe)
			assert.Equal(t, c.left, res.End.Left)
			assert.Equal(t, c.guard, toldGuard(t, heard))
			var power string
			for _, l := range line.d.all() {
				if strings.HasPrefix(l, "power ") {
					power = l
				}
			}
			assert.Equal(t, c.power, power)
			unsafe := slices.ContainsFunc(res.Trouble, func(j verdict.Judgement) bool { return strings.Contains(j.Detail, "not shown to be safe") })
			assert.Equal(t, !c.safe && c.left == "", unsafe, "%v", res.Trouble)
		})
	}
}

type padsless struct{}

func (padsless) Pins() []gpio.PinIO { return nil }
func (padsless) Close() error       { return nil }
