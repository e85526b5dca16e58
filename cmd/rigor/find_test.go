package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

// findRun runs cases on the built-in device whose address nobody declares: it is
// found by its hardware address in each state.
func findRun(t *testing.T, mac string, virtual rig.Virtual, selectors ...string) *journal.Result {
	t.Helper()
	dir := t.TempDir()
	edit := strings.NewReplacer(", address: 127.0.0.1", "", "\n  factory:\n", "\n  factory:\n    address: {find: mac}\n", "\n  onboarded:\n", "\n  onboarded:\n    address: {find: mac}\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "profiles"), 0o700))
	for _, name := range []string{"virtual.yaml", "profiles/virtual.yaml"} {
		text := edit.Replace(builtin(t, name))
		require.NotEqual(t, builtin(t, name), text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	f, p, err := rigs.Load(filepath.Join(dir, "virtual.yaml"))
	require.NoError(t, err)
	f.Virtual = &virtual
	v, err := rigs.NewVirtual(f, 7)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, v.Close()) })
	if mac != "" { // of the rig file, once the device has its own
		f.Unit.MAC = mac
	}
	job := &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: v.Drivers(), Dir: filepath.Join(dir, "run"), RunID: "find",
		Env:  rig.Env{Dir: dir, Given: map[string]func(string) (string, error){"virtual": v.Given}},
		Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program, Selectors: selectors}
	require.NoError(t, job.Run(t.Context()))
	res, err := runner.Load(job.Dir)
	require.NoError(t, err)
	return res
}

// Found by its hardware address in each state and after each boot, the device is
// judged as where its address is declared; one that is not found is not judged.
func TestFoundByHardwareAddress(t *testing.T) {
	t.Parallel()
	cases := []string{"cred-blank[api]", "cred-transport[ssh]", "cred-factory-state[api]", "idn-model-fw"}
	for name, tc := range map[string]struct {
		mac     string
		virtual rig.Virtual
		cases   []string
		want    verdict.Verdict
	}{
		"hardened":            {cases: cases, want: verdict.Pass},
		"weak":                {virtual: rig.Virtual{Weaknesses: []string{"factory-default-login"}}, cases: []string{"cred-factory-state[api]"}, want: verdict.Fail},
		"another unit":        {mac: "02:56:47:00:09:99", cases: cases},
		"our end is down":     {virtual: rig.Virtual{Faults: []string{"net-down"}}, cases: cases, want: verdict.Error},
		"nothing comes there": {virtual: rig.Virtual{Faults: []string{"net-drops"}}, cases: cases},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && tc.want == "" {
				t.Skip("waits for an answer that does not come; left out by -short")
			}
			res := findRun(t, tc.mac, tc.virtual, tc.cases...)
			for _, id := range tc.cases {
				c := caseOf(res, id)
				require.NotNil(t, c, id)
				t.Log(id, c.Judgement)
				if tc.want == "" {
					assert.Contains(t, []verdict.Verdict{verdict.Inconclusive, verdict.Error}, c.Verdict(), "%s: %s", id, c.Judgement)
					continue
				}
				assert.Equal(t, tc.want, c.Verdict(), "%s: %s", id, c.Judgement)
			}
		})
	}
}
