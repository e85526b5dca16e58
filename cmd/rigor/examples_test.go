package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
	"rigor/harness/login/program"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs"
	"rigor/suites"
)

// standinPrograms are the lab's programs that the examples name.
var standinPrograms = map[string]func(){"ble-tool": standinTool, "modbus-tool": standinTool, "rtsp-tool": standinTool, "sms-tool": standinTool,
	"cloud-tool": standinTool, "remote-tool": standinTool, "poe-switch": standinSwitch}

// exampleDevices gives the rig files of the example devices.
func exampleDevices(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("..", "..", "rigs", "profiles", "examples", "*.rig.yaml"))
	require.NoError(t, err)
	require.Len(t, all, 10)
	return all
}

// TestExampleDevicesLint: what the examples declare is enough for every case: each
// has what it needs, is declared to mean nothing there, or is owned up to.
func TestExampleDevicesLint(t *testing.T) {
	for _, path := range exampleDevices(t) {
		f, p, err := rigs.Load(path)
		require.NoError(t, err, path)
		assert.Equal(t, f.Name, p.Name)
		assert.Equal(t, f.Name+".rig.yaml", filepath.Base(path))
		assert.Empty(t, rig.Lacking(f, p), path)
		plan, err := runner.Plan(suites.All(), runner.PlanInput(f, p), f.Lacks)
		require.NoError(t, err)
		runs := 0
		for _, c := range plan {
			if c.Skip == nil {
				runs++
				continue
			}
			assert.Equal(t, verdict.NotApplicable, c.Skip.Verdict, "%s of %s: %s", c.ID, f.Name, c.Skip)
		}
		assert.Greater(t, runs, 5, "%s: too little is looked at", f.Name)
	}
}

// inProcess is a program that tries a login, without the process: of ten devices and
// a hundred published logins each, most are tried so.
func inProcess(_ context.Context, r program.Run) error {
	ask, err := json.Marshal(r.Request)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	toolAnswers(nil, bytes.NewReader(ask), &said)
	return json.Unmarshal(said.Bytes(), r.Answer)
}

// ownersProcess starts the program for the owner's tries, and does the others without.
func ownersProcess(ctx context.Context, r program.Run) error {
	ask, err := json.Marshal(r.Request)
	if err != nil {
		return err
	}
	if bytes.Contains(ask, []byte(standinPassword)) {
		return rigs.Program(ctx, r)
	}
	return inProcess(ctx, r)
}

// TestExampleDevicesRun: each example runs against a stand-in that behaves as it
// declares: programs of the lab's, a person, servers, consoles. Nothing that a case
// asks of the profile is missing, and nothing fails.
func TestExampleDevicesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("every published login is tried")
	}
	t.Parallel()
	name := func(path string) string { return strings.TrimSuffix(filepath.Base(path), ".rig.yaml") }
	abreast.All(t, exampleDevices(t), name, func(t *testing.T, path string) {
		f, p, err := rigs.Load(path)
		require.NoError(t, err)
		d := newStandin(t, f, p)
		if f.Power != nil && f.Power.Driver == "exec" {
			f.Power.Exec = []string{f.Power.Exec[0], d.lines}
		}
		drivers := rigs.Drivers()
		onWire := func(context.Context, *rig.Power, rig.Env) (wire.Power, error) { return standinPower{d}, nil }
		drivers.Power["gpio"], drivers.Power["http"] = onWire, onWire
		drivers.Line["gpio"] = func(context.Context, *rig.Line, rig.Env) (wire.Line, error) { return &standinLine{}, nil }
		f.Power.OffSettle = 0
		secrets := func(name string) (string, bool) {
			if strings.HasSuffix(name, "_LABEL") || strings.HasSuffix(name, "_OTHER") {
				return name + "-7f3a91", true
			}
			return standinPassword, true
		}
		dir := t.TempDir()
		job := &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: drivers, Env: rig.Env{Dir: dir, Getenv: secrets, Ask: d.answer}, Dir: filepath.Join(dir, "run"),
			RunID: f.Name, Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: inProcess, Ask: d.answer}
		if f.Name == "ip-camera" || f.Name == "nrf52-lock" {
			job.Program = ownersProcess
		}
		require.NoError(t, job.Run(t.Context()))
		res, err := runner.Load(job.Dir)
		require.NoError(t, err)
		assert.Empty(t, res.Damage)
		passed := 0
		for _, c := range res.Cases {
			if c.Verdict() != verdict.NotApplicable {
				t.Logf("%-28s %6.1fs %s", c.ID, c.Took.Seconds(), c.Judgement)
			}
			assert.NotEqual(t, verdict.ReasonProfileMissing, c.Judgement.Reason, "%s: %s", c.ID, c.Judgement)
			assert.NotEqual(t, verdict.Fail, c.Verdict(), "%s: %s", c.ID, c.Judgement)
			assert.NotEqual(t, verdict.Error, c.Verdict(), "%s: %s", c.ID, c.Judgement)
			if c.Verdict() == verdict.Pass {
				passed++
			}
		}
		assert.Greater(t, passed, 2, "what stands in for a device that is well passes")
	})
}
