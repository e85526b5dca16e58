package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/servers"
	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

// serversRun is a run of a device that rigs/examples/servers.yaml describes.
type serversRun struct {
	name       string
	weaknesses []string
	slow       bool // busybox's login, which holds refusals back
	program    bool // the console is behind a program, socat, in place of the serial driver
	selectors  []string
	// before is called with the running device, during with each event.
	before func(t *testing.T, d *servers.Device)
	during func(t *testing.T, d *servers.Device, e *journal.Event)

	// What must come out. Every other case that runs has to pass.
	fails, inconclusive, errors []string
}

const slowLogins = "RIGOR_SLOW_LOGINS"

// fast are the cases that a weak device is shown with, beside those that its
// weakness is about: of them none takes longer than some seconds.
var fast = []string{"con-shell-noauth", "cred-blank", "cred-transport", "net-info", "net-unauth-map", "idn-model-fw"}

var serversRuns = []serversRun{
	// Hardened, each channel on a device of its own: together it is everything.
	{name: "hardened-ssh", selectors: []string{"*[ssh]", "*[web]", "idn-*", "net-unauth-map", "dat-*"}},
	{name: "hardened-telnet-list", selectors: []string{"cred-known-list[telnet]"}},
	{name: "hardened-telnet", selectors: []string{"cred-blank[telnet]", "cred-enum[telnet]", "net-info[telnet]"}},
	{name: "hardened-console", selectors: []string{"*[console]", "*[main]"}},
	{name: "hardened-busybox-login", slow: true, selectors: []string{"con-shell-noauth", "cred-enum[console]", "net-info[telnet]"}},
	{name: "hardened-busybox-blank", slow: true, selectors: []string{"cred-blank[console]"}},
	{name: "hardened-busybox-telnet", slow: true, selectors: []string{"cred-blank[telnet]"}},

	{name: "weak-published", weaknesses: []string{servers.RootKnown, servers.WebKnown, servers.WebPlain, servers.TelnetTells, servers.SSHTells},
		selectors: append([]string{"cred-known-list"}, fast...),
		fails:     []string{"cred-known-list[console]", "cred-known-list[ssh]", "cred-known-list[telnet]", "cred-known-list[web]", "cred-transport[web]", "net-info[ssh]", "net-info[telnet]"}},
	// An account that asks for no password is a published login, too, and its
	// name is a word that opens the console.
	{name: "weak-blank", weaknesses: []string{servers.AdminBlank},
		selectors: append([]string{"cred-known-list[ssh]", "cred-known-list[console]", "cred-known-list[web]"}, fast...),
		fails:     []string{"con-shell-noauth[main]", "cred-blank[console]", "cred-blank[ssh]", "cred-blank[telnet]", "cred-known-list[console]", "cred-known-list[ssh]"}},
	// With a page that is open to all, nothing can be said of its logins; what
	// is read over them, neither.
	{name: "weak-open", weaknesses: []string{servers.TelnetFree, servers.WebOpen},
		selectors:    append([]string{"cred-known-list[telnet]", "cred-known-list[web]", "cred-enum[web]"}, fast...),
		fails:        []string{"cred-blank[telnet]", "cred-known-list[telnet]", "cred-known-list[web]", "net-unauth-map"},
		inconclusive: []string{"cred-blank[web]", "cred-enum[web]", "cred-transport[web]", "idn-model-fw", "net-info[web]"}},
	{name: "weak-console", weaknesses: []string{servers.ConsoleFree},
		selectors: append([]string{"cred-known-list[console]"}, fast...),
		fails:     []string{"con-shell-noauth[main]", "cred-blank[console]", "cred-known-list[console]"}},

	{name: "ssh-dead", before: func(_ *testing.T, d *servers.Device) { d.KillSSH() },
		selectors:    append([]string{"cred-known-list[ssh]", "cred-enum[ssh]", "cred-known-list[web]"}, fast...),
		inconclusive: []string{"cred-blank[ssh]", "cred-enum[ssh]", "cred-known-list[ssh]", "cred-transport[ssh]", "net-info[ssh]"}},
	{name: "ssh-dies", during: func(_ *testing.T, d *servers.Device, e *journal.Event) {
		if e.Kind == journal.KindControl && e.Case == "cred-known-list[ssh]" && e.Control.Role == journal.RoleAnti {
			d.KillSSH()
		}
	},
		selectors:    []string{"cred-known-list[ssh]", "cred-known-list[web]", "cred-blank[ssh]", "cred-blank[web]"},
		inconclusive: []string{"cred-known-list[ssh]"}}, // cred-blank was before
	{name: "console-away", before: func(t *testing.T, d *servers.Device) { assert.NoError(t, d.Unplug()) },
		selectors: []string{"con-shell-noauth", "cred-blank", "cred-known-list[console]", "cred-enum[console]"},
		errors:    []string{"con-shell-noauth[main]", "cred-blank[console]", "cred-enum[console]", "cred-known-list[console]"}},
	{name: "console-unplugged", during: func(t *testing.T, d *servers.Device, e *journal.Event) {
		if e.Kind == journal.KindControl && e.Case == "con-shell-noauth[main]" && e.Control.Role == journal.RoleAnti {
			assert.NoError(t, d.Unplug())
		}
	},
		selectors: []string{"con-shell-noauth", "cred-blank", "cred-known-list[console]", "cred-enum[console]"},
		errors:    []string{"con-shell-noauth[main]", "cred-blank[console]", "cred-enum[console]", "cred-known-list[console]"}},
}

// A device of programs that nobody here wrote, described by a rig and a profile
// alone: hardened it passes, each weakness fails its cases, and a server or a
// wire that is dead is no verdict about the device.
func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("real logins take their time to refuse")
	}
	t.Parallel()
	runs := slices.Clone(serversRuns)
	if os.Getenv(slowLogins) != "" { // three seconds for each refusal: ten minutes
		runs = append(runs, serversRun{name: "hardened-slow-telnet", slow: true, selectors: []string{"*[telnet]"}},
			serversRun{name: "hardened-slow-console", slow: true, selectors: []string{"*[console]", "*[main]"}})
	}
	// All at once, whatever the processors: they wait for refusals.
	results := make([]*journal.Result, len(runs))
	var all sync.WaitGroup
	for i, r := range runs {
		d, job := startServers(t, r)
		all.Go(func() { results[i] = r.run(t.Context(), t, d, job) })
	}
	all.Wait()
	passed := map[string]bool{}
	for i, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			require.NotNil(t, results[i])
			pass := r.judge(t, results[i])
			if strings.HasPrefix(r.name, "hardened") {
				for _, id := range pass {
					passed[id] = true
				}
			}
		})
	}
	for _, id := range serversCan(t) {
		assert.True(t, passed[id], "the hardened device can prove %s", id)
	}
}

// serversCan lists the cases that the example's files give what they need. It
// holds the files against each other where nothing can be started.
func serversCan(t *testing.T) []string {
	t.Helper()
	f, p, err := rigs.Load(filepath.Join("..", "..", "rigs", "examples", "servers.yaml"))
	require.NoError(t, err)
	plan, err := runner.Plan(suites.All(), runner.PlanInput(f, p), f.Lacks)
	require.NoError(t, err)
	var ids []string
	for _, c := range plan {
		if c.Skip == nil {
			ids = append(ids, c.ID)
			continue
		}
		assert.Equal(t, verdict.NotApplicable, c.Skip.Verdict, "%s: %s", c.ID, c.Skip)
	}
	return ids
}

func TestServersFilesSayEverything(t *testing.T) {
	can := serversCan(t)
	for _, channel := range []string{"ssh", "telnet", "web", "console"} {
		assert.Contains(t, can, "cred-known-list["+channel+"]")
		assert.Contains(t, can, "cred-blank["+channel+"]")
	}
	assert.Contains(t, can, "con-shell-noauth[main]")
}

// startServers starts the device of a run.
func startServers(t *testing.T, r serversRun) (*servers.Device, *runner.Job) {
	t.Helper()
	d, dir := startPeers(t, "the servers of "+r.name, servers.Start, servers.Config{Weaknesses: r.weaknesses, SlowLogin: r.slow})
	if r.before != nil {
		r.before(t, d)
	}
	return d, serversJob(t, d, dir, r)
}

// startPeers starts a device of others' servers in a folder of its own, which ends with
// the test. What they said is shown where it failed.
func startPeers(t *testing.T, what string, start func(context.Context, servers.Config) (*servers.Device, error), cfg servers.Config) (d *servers.Device, dir string) {
	t.Helper()
	var err error
	for range 3 {
		dir, err = os.MkdirTemp("", "rigor-servers-") // a socket's path must be short
		require.NoError(t, err)
		made := dir
		t.Cleanup(func() { _ = os.RemoveAll(made) })
		require.NoError(t, os.Chmod(dir, 0o755)) // the servers change to users that must get through
		cfg.Dir, cfg.Password = dir, "Keeper of 7 boxes"
		// A server is told a port that was free, and another test may have it by then.
		if d, err = start(t.Context(), cfg); err == nil || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			break
		}
		t.Log(err)
	}
	var missing *servers.MissingError
	if errors.As(err, &missing) || errors.Is(err, servers.ErrNotAllowed) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, d.Close())
		if t.Failed() {
			t.Logf("%s said:\n%s", what, d.Log())
		}
	})
	return d, dir
}

// serversJob is a run by the two files alone. Only where the bench ends is put
// in: folder and ports are others for each device.
func serversJob(t *testing.T, d *servers.Device, dir string, r serversRun) *runner.Job {
	t.Helper()
	bench := t.TempDir()
	serial := "driver: serial, port: /tmp/rigor-servers/console, baud: 115200, frame: 8N1"
	console := "driver: serial, port: " + filepath.Join(dir, "console") + ", baud: 115200, frame: 8N1"
	if r.program {
		console = "driver: exec, exec: [socat, '-', '" + filepath.Join(dir, "console") + ",rawer']"
	}
	ends := strings.NewReplacer(serial, console, "/tmp/rigor-servers", dir, "22122", strconv.Itoa(d.Ports.SSH), "22123", strconv.Itoa(d.Ports.Telnet),
		"22180", strconv.Itoa(d.Ports.HTTP), "22543", strconv.Itoa(d.Ports.HTTPS))
	for _, name := range []string{"servers.yaml", "profiles/servers.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "rigs", "examples", name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(bench, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(bench, name), []byte(ends.Replace(string(data))), 0o644))
	}
	f, p, err := rigs.Load(filepath.Join(bench, "servers.yaml"))
	require.NoError(t, err)
	return &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: rigs.Drivers(), Env: rig.Env{Dir: bench}, Dir: filepath.Join(t.TempDir(), "run"),
		RunID: r.name, Selectors: r.selectors, Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program}
}

// run carries the job out; nil where it was no run at all.
func (r *serversRun) run(ctx context.Context, t *testing.T, d *servers.Device, job *runner.Job) *journal.Result {
	if r.during != nil {
		job.Observe = func(e *journal.Event) { r.during(t, d, e) }
	}
	if !assert.NoError(t, job.Run(ctx), r.name) {
		return nil
	}
	res, err := runner.Load(job.Dir)
	assert.NoError(t, err, r.name)
	return res
}

// judge holds the result against what must come out, and gives what passed.
func (r *serversRun) judge(t *testing.T, res *journal.Result) []string {
	got := map[verdict.Verdict][]string{}
	for _, c := range res.Cases {
		if c.Judgement.Verdict == verdict.NotApplicable {
			assert.False(t, c.Ran, "%s is not applicable", c.ID)
			continue
		}
		got[c.Judgement.Verdict] = append(got[c.Judgement.Verdict], c.ID)
		t.Logf("%-26s %5.1fs %s", c.ID, c.Took.Seconds(), c.Judgement.String())
	}
	for _, want := range []struct {
		v     verdict.Verdict
		cases []string
	}{{verdict.Fail, r.fails}, {verdict.Inconclusive, r.inconclusive}, {verdict.Error, r.errors}} {
		slices.Sort(got[want.v])
		assert.ElementsMatch(t, want.cases, got[want.v], "cases that are %s", want.v)
	}
	assert.NotEmpty(t, got[verdict.Pass], "what is well passes")
	assert.Empty(t, res.Damage)
	return got[verdict.Pass]
}

// A console behind a program is judged as one on a serial port: it passes on a
// getty with a login, it fails where everybody gets a shell, and where the program
// is killed in the middle it is an error of the rig.
func TestConsoleByProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("real logins take their time to refuse")
	}
	if _, err := exec.LookPath("socat"); err != nil {
		t.Skip("needs socat: apt-get install socat")
	}
	t.Parallel()
	cases := []string{"con-shell-noauth[main]", "cred-blank[console]"}
	for _, r := range []serversRun{
		{name: "hardened", program: true, selectors: cases},
		{name: "weak", program: true, weaknesses: []string{servers.ConsoleFree}, selectors: []string{cases[0], "cred-blank[ssh]"}, fails: cases[:1]},
		{name: "killed", program: true, selectors: append([]string{"cred-blank[ssh]"}, cases...), errors: cases, during: func(t *testing.T, d *servers.Device, e *journal.Event) {
			if e.Kind == journal.KindControl && e.Case == cases[0] && e.Control.Role == journal.RoleAnti {
				assert.NoError(t, killProgram("socat", d.Dir()))
			}
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			d, job := startServers(t, r)
			res := r.run(t.Context(), t, d, job)
			require.NotNil(t, res)
			r.judge(t, res)
		})
	}
}

// killProgram kills the program of this name that has a text among its
// arguments.
func killProgram(name, arg string) error {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(b), name+"\x00") || !strings.Contains(string(b), arg) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Errorf("no %s with %s runs", name, arg)
}
