package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
)

// leftJob is a job on a rig whose last run was killed: these kinds of intents are open.
// The diary has what was undone; the DUT says who it is.
func leftJob(t *testing.T, says func() string, kinds ...string) (*Job, *diary) {
	t.Helper()
	altering := checkOn("alters", "good", func(_ context.Context, ct *check.T) { holds(ct) })
	altering.Effect = check.Disturbs
	line := &fakeLine{name: "good"}
	j := realJob(t, line, well(), altering)
	j.File.Unit.Serial = "A1"
	j.File.Power = nil // a start from off waits for the DUT to say who it is
	j.Profile.Identity = profile.Identity{Equals: "unit.serial", Steps: []profile.Step{{Verb: "exec", Exec: []string{"id"}, Extract: map[string]string{"serial": "text"}}}}
	j.Exec = func(context.Context, []string, map[string]string) (string, map[string]string, error) {
		if s := says(); s != "" {
			return s, nil, nil
		}
		return "", nil, errors.New("no answer")
	}
	j.Undo = map[string]Undo{}
	store := stateOf(t, j)
	for _, kind := range kinds {
		_, err := store.Begin(rig.Intent{Kind: kind, What: "the " + kind})
		require.NoError(t, err)
		j.Undo[kind] = func(context.Context, *dut.Device, map[string]string, func(string, int) string) error {
			line.d.note("undo %s", kind)
			return nil
		}
	}
	return j, line.d
}

// undone gives what was undone, in order.
func undone(d *diary) (out []string) {
	for _, l := range d.all() {
		if len(l) > 5 && l[:5] == "undo " {
			out = append(out, l[5:])
		}
	}
	return out
}

func stillOpen(res *journal.Result) (out []string) {
	for _, in := range res.Open {
		out = append(out, in.What)
	}
	return out
}

func isA1() string { return "A1" }

func TestUndo(t *testing.T) {
	j, d := leftJob(t, isA1, rig.IntentPassword, rig.IntentPower, rig.IntentUpdate)
	delete(j.Undo, rig.IntentPower)
	res := carried(t, j)
	assert.Equal(t, []string{"update", "password"}, undone(d), "the last of it first")
	assert.Zero(t, res.Exit, "%v", res.Trouble)
	assert.Empty(t, res.Open)
	left, err := stateOf(t, j).Pending()
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestWhatCannotBeUndoneIsTrouble(t *testing.T) {
	j, d := leftJob(t, isA1, rig.IntentPassword, rig.IntentUpdate)
	j.Undo[rig.IntentUpdate] = func(context.Context, *dut.Device, map[string]string, func(string, int) string) error {
		return errors.New("no image is taken")
	}
	res := carried(t, j)
	assert.Equal(t, []string{"password"}, undone(d), "the others are undone all the same")
	found := brokenItem(res, "undo")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "the update")
	assert.Contains(t, found[0], "no image is taken")
	assert.NotEmpty(t, res.Trouble)
	assert.Equal(t, verdict.ExitRig, res.Exit)
	assert.Equal(t, []string{"the update"}, stillOpen(res))
	left, err := stateOf(t, j).Pending()
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestDamagedIntent(t *testing.T) {
	j, d := leftJob(t, isA1, rig.IntentPassword)
	require.NoError(t, os.WriteFile(filepath.Join(stateOf(t, j).Dir(), "intents", "20260101T000000.000000000-update.json"), []byte("{"), 0o600))
	res := carried(t, j)
	assert.Equal(t, []string{"password"}, undone(d), "what is sound is undone")
	found := brokenItem(res, "undo")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "-update.json")
	assert.Equal(t, verdict.ExitRig, res.Exit)
	assert.Equal(t, "pass", words(res.Case("well").Judgement))
	assert.Equal(t, "inconclusive.precondition", words(res.Case("alters").Judgement), "nobody knows what the DUT has in it")

	var told []journal.Doctor
	require.NoError(t, j.OnRig(t.Context(), func(ctx context.Context) (err error) {
		told, err = j.Examine(ctx)
		return err
	}))
	assert.Len(t, brokenItem(&journal.Result{Doctor: told}, "undo"), 1, "the command doctor tells of it, too")
}

// What alters the DUT is not undone on one that nobody knows, but for what shows by
// itself that it is the one, or is needed before it can say who it is.
func TestUndoOfADUTThatNobodyKnows(t *testing.T) {
	kinds := []string{rig.IntentUpdate, rig.IntentPassword, rig.IntentSetup, rig.IntentRoute, rig.IntentSlots, rig.IntentBootFail, rig.IntentPower}
	t.Run("for good", func(t *testing.T) {
		j, d := leftJob(t, func() string { return "" }, kinds...)
		delete(j.Undo, rig.IntentPower)
		res := carried(t, j)
		assert.Equal(t, []string{"boot-fail", "slots", "password"}, undone(d))
		assert.Len(t, brokenItem(res, "undo"), 3)
		assert.Equal(t, []string{"the update", "the setup", "the route"}, stillOpen(res))
		assert.Equal(t, verdict.ExitRig, res.Exit)
	})
	t.Run("until the password is back", func(t *testing.T) {
		back := false
		j, d := leftJob(t, func() string { return map[bool]string{true: "A1"}[back] }, kinds...)
		delete(j.Undo, rig.IntentPower)
		j.Undo[rig.IntentPassword] = func(context.Context, *dut.Device, map[string]string, func(string, int) string) error {
			back = true
			d.note("undo password")
			return nil
		}
		res := carried(t, j)
		assert.Equal(t, []string{"boot-fail", "slots", "password", "route", "setup", "update"}, undone(d))
		assert.Empty(t, res.Open)
		assert.Empty(t, brokenItem(res, "undo"))
		assert.Zero(t, res.Exit, "%v", res.Trouble)
	})
	t.Run("another unit", func(t *testing.T) {
		j, d := leftJob(t, func() string { return "B2" }, kinds...)
		res := carried(t, j)
		assert.Empty(t, undone(d))
		assert.Len(t, res.Open, len(kinds), "it waits for its own unit")
	})
	t.Run("another unit, seen late", func(t *testing.T) {
		back := false
		j, d := leftJob(t, func() string { return map[bool]string{true: "B2"}[back] }, rig.IntentUpdate, rig.IntentPassword)
		j.Undo[rig.IntentPassword] = func(context.Context, *dut.Device, map[string]string, func(string, int) string) error {
			back = true
			return errors.New("neither password opens")
		}
		res := carried(t, j)
		assert.Empty(t, undone(d))
		assert.Equal(t, []string{"the update", "the password"}, stillOpen(res))
	})
}
