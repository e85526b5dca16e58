package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// twoBenches gives two benches with a device each, the first of which names the other
// beside it. Runs are of the first, which keeps the state of both.
func twoBenches(t *testing.T, args ...string) (a, b *bench) {
	t.Helper()
	a, b = newBench(t), newBench(t, append([]string{"--serial", "VG1-000777", "--mac", "02:56:47:00:07:77"}, args...)...)
	a.plain(t)
	b.plain(t)
	b.env = a.env
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	own := strings.NewReplacer("VG1-000123", "VG1-000777", "02:56:47:00:01:23", "02:56:47:00:07:77").Replace(string(text))
	require.NoError(t, os.WriteFile(b.rig, []byte(own), 0o600))
	text, err = os.ReadFile(a.rig)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.rig, []byte(string(text)+"\nbeside: ["+b.rig+"]\n"), 0o600))
	return a, b
}

// left lists what the next start has to undo on a bench whose state another one keeps.
func left(t *testing.T, keeper, of *bench) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(keeper.dir, "state", "rigor", of.name, "intents", "*.json"))
	require.NoError(t, err)
	return paths
}

var besides = []string{"cred-blank[api]", "cred-change[api]", "cred-policy", "idn-logical", "net-info[web]", "cred-transport[api]"}

// Two real benches share the cases of a run: each has its lease, its guard and its unit,
// and the reports say which case was about which.
func TestTwoBenchesShareARun(t *testing.T) {
	if testing.Short() {
		t.Skip("two devices in processes of their own")
	}
	t.Parallel()
	a, b := twoBenches(t)
	dir := a.folder()
	r := output(t, a.command(append([]string{"run", "--rig", a.rig, "--out", dir}, besides...)...))
	require.Equal(t, 0, r.code, r)
	assert.Contains(t, r.stdout, "units VG1-000123 and VG1-000777 on rigs "+a.name+" and "+b.name)
	res, err := runner.Load(dir)
	require.NoError(t, err)
	on := map[string]int{}
	for i := range res.Cases {
		on[res.Unit(&res.Cases[i])]++
	}
	assert.Len(t, on, 2, "%v", on)
	var said []string
	for _, u := range res.Units {
		require.True(t, u.OK)
		said = append(said, u.Rig+" "+u.Got)
	}
	assert.Contains(t, said, " VG1-000123")
	assert.Contains(t, said, b.name+" VG1-000777")
	for _, name := range []string{"private/console-main.raw", "private/" + b.name + "-console-main.raw", "evidence/console-main.cast", "evidence/" + b.name + "-console-main.cast"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if assert.NoError(t, err) {
			assert.Positive(t, info.Size(), name)
		}
	}
	i := slices.IndexFunc(res.Cases, func(c journal.Case) bool { return c.Rig == b.name })
	require.GreaterOrEqual(t, i, 0)
	again := res.Rerun(res.Cases[i].ID)
	assert.Contains(t, again, " --rig "+b.rig+" ")
	assert.Contains(t, again, fmt.Sprintf(" --seed %d ", res.Start.Seed), "with the same chosen at random")
	for _, one := range []*bench{a, b} {
		assert.Empty(t, one.unsafe(t), one.name)
		assert.Empty(t, left(t, a, one))
	}

	// Who has one of them has it alone.
	r = output(t, a.command("run", "--rig", a.rig, "--alone", "--out", a.folder(), "idn-logical"))
	require.Equal(t, 0, r.code, r)
	assert.NotContains(t, r.stdout, b.name)
	holder := a.command("run", "--rig", b.rig, "--out", a.folder(), "cred-forced-set", "cred-factory-state[api]")
	holder.Stdout, holder.Stderr = io.Discard, io.Discard
	require.NoError(t, holder.Start())
	t.Cleanup(func() { _ = holder.Wait() })
	awaitPower(t, b)
	dir = a.folder()
	r = output(t, a.command(append([]string{"run", "--rig", a.rig, "--out", dir}, besides...)...))
	assert.Equal(t, verdict.ExitRig, r.code, r)
	assert.Contains(t, r.stderr, b.name)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is half done")
	assert.Empty(t, a.unsafe(t))
	require.NoError(t, holder.Process.Signal(syscall.SIGINT))

	r = output(t, a.command("safe", a.rig))
	assert.Zero(t, r.code, r)
	assert.Contains(t, r.stdout, b.rig+" is a rig of its own beside it, and was not touched")
}

func awaitPower(t *testing.T, b *bench) {
	t.Helper()
	require.Eventually(t, func() bool { return slices.Contains(b.unsafe(t), "the power is on") }, 20*time.Second, 5*time.Millisecond, "the run does not begin")
}

// A run that is killed leaves both benches safe, and the next one undoes what is left on
// either.
func TestKilledSharedRun(t *testing.T) {
	if testing.Short() {
		t.Skip("two devices in processes of their own")
	}
	t.Parallel()
	heavy(t)
	a, b := twoBenches(t)
	for i, wait := range []time.Duration{0, 300 * time.Millisecond, 900 * time.Millisecond} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir := a.folder()
			cmd := a.command("run", "--rig", a.rig, "--out", dir, "cred-change[*", "cred-forced-set", "cred-factory-state[api]")
			cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
			require.NoError(t, cmd.Start())
			awaitPower(t, a)
			awaitPower(t, b)
			pause(t, wait)
			_ = cmd.Process.Signal(syscall.SIGKILL) // it may be over
			killed := time.Now()
			_ = cmd.Wait() // the state says it
			awaitSafe(t, a, killed)
			awaitSafe(t, b, killed)
			unfinished(t, a, dir)
			r := output(t, a.command("run", "--rig", a.rig, "--out", a.folder(), "cred-blank[api]", "cred-policy"))
			require.Equal(t, 0, r.code, r)
			for _, one := range []*bench{a, b} {
				assert.Empty(t, left(t, a, one), one.name)
				assert.Empty(t, one.unsafe(t), one.name)
				assert.True(t, one.opens(t), "the owner's password opens the device on %s", one.name)
			}
		})
	}
}

// A bench whose console is dead does not make cases of it: the other has them, and the
// run says what is wrong.
func TestOneOfTwoBenchesIsBroken(t *testing.T) {
	if testing.Short() {
		t.Skip("two devices in processes of their own")
	}
	t.Parallel()
	a, b := twoBenches(t)
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	// The consoles are those of nobody.
	gone := strings.NewReplacer("/device/main", "/device/gone").Replace(string(text))
	require.NotEqual(t, string(text), gone)
	require.NoError(t, os.WriteFile(b.rig, []byte(gone), 0o600))
	dir := a.folder()
	r := output(t, a.command(append([]string{"run", "--rig", a.rig, "--out", dir}, besides...)...))
	assert.Equal(t, verdict.ExitRig, r.code, r)
	res, err := runner.Load(dir)
	require.NoError(t, err)
	for i := range res.Cases {
		c := &res.Cases[i]
		assert.NotEqual(t, verdict.Fail, c.Verdict(), c.ID)
		if c.Rig == "" {
			assert.Equal(t, verdict.Pass, c.Verdict(), "%s: %s", c.ID, c.Judgement)
		}
	}
	assert.Contains(t, r.String(), b.name)
}
