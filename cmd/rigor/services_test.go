package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// version3 is the profile of the agent's other version.
var version3 = []string{"version: 2c", `version: "3"`, "owner: {password: secret:community}", "owner: {user: keeper, password: secret:keeper}",
	"refusal: silent # as RFC 1157 has it", "digest: sha256\n    cipher: aes", "transport: {none: 'the community crosses the wire in clear; the agent is for the service bench alone'}", "transport: {clear: []}"}

// servicesRun is a run of a device that rigs/examples/services.yaml describes.
type servicesRun struct {
	serversRun
	edit []string // of the profile, old and new by turns
}

var servicesRuns = []servicesRun{
	{serversRun: serversRun{name: "hardened"}},
	{serversRun: serversRun{name: "weak", weaknesses: []string{servers.MQTTOpen, servers.FTPAnyone, servers.SNMPPublic, servers.RedisOpen},
		selectors: []string{"cred-known-list", "cred-blank", "cred-transport", "net-info"},
		fails: []string{"cred-known-list[mqtt]", "cred-known-list[ftp]", "cred-known-list[snmp]", "cred-known-list[redis]",
			"cred-blank[mqtt]", "cred-blank[ftp]", "cred-blank[redis]", "net-info[mqtt]", "net-info[redis]"}}},
	{serversRun: serversRun{name: "clear", weaknesses: []string{servers.AllClear}, selectors: []string{"cred-transport"},
		fails: []string{"cred-transport[mqtt]", "cred-transport[ftp]", "cred-transport[redis]"}}},
	// An agent of version 3 tells by itself which users there are (RFC 3414, section
	// 3.2): whoever switches it on has that finding.
	{serversRun: serversRun{name: "snmp-3", selectors: []string{"*[snmp]"}, fails: []string{"cred-enum[snmp]"}}, edit: version3},
	// In clear the password is heard, and where silence is not declared to be a no it
	// is none.
	{serversRun: serversRun{name: "snmp-in-clear", selectors: []string{"cred-transport[snmp]", "cred-known-list[snmp]", "idn-model-fw"},
		fails: []string{"cred-transport[snmp]"}, inconclusive: []string{"cred-known-list[snmp]"}},
		edit: []string{"    refusal: silent # as RFC 1157 has it\n", "", version3[6], "transport: {clear: []}"}},
	// An agent that says nothing any more refuses nobody.
	{serversRun: serversRun{name: "frozen", selectors: []string{"cred-known-list[snmp]", "cred-known-list[web]"}, inconclusive: []string{"cred-known-list[snmp]"},
		during: func(_ *testing.T, d *servers.Device, e *journal.Event) {
			if e.Kind == journal.KindControl && e.Case == "cred-known-list[snmp]" && e.Control.Role == journal.RoleAnti {
				d.FreezeServices()
			}
		}}},
	{serversRun: serversRun{name: "dead", selectors: []string{"cred-known-list", "cred-blank[mqtt]", "net-info[snmp]"},
		before: func(_ *testing.T, d *servers.Device) { d.KillServices() },
		inconclusive: []string{"cred-known-list[mqtt]", "cred-known-list[ftp]", "cred-known-list[snmp]", "cred-known-list[redis]",
			"cred-blank[mqtt]", "net-info[snmp]"}}},
}

// Services that nobody here wrote, described by a rig and a profile alone.
func TestServices(t *testing.T) {
	if testing.Short() {
		t.Skip("an agent that says no by silence takes its time")
	}
	t.Parallel()
	results := make([]*journal.Result, len(servicesRuns))
	var all sync.WaitGroup
	for i, r := range servicesRuns {
		d, job := startServices(t, r)
		all.Go(func() { results[i] = r.run(t.Context(), t, d, job) })
	}
	all.Wait()
	for i, r := range servicesRuns {
		t.Run(r.name, func(t *testing.T) {
			require.NotNil(t, results[i])
			passed := r.judge(t, results[i])
			if r.name != "hardened" {
				return
			}
			for _, c := range results[i].Cases { // all that the files give what it needs
				assert.Contains(t, []verdict.Verdict{verdict.Pass, verdict.NotApplicable}, c.Judgement.Verdict, c.ID)
			}
			for _, id := range []string{"cred-known-list", "cred-blank", "cred-enum", "cred-transport", "net-info"} {
				for _, channel := range []string{"mqtt", "ftp", "redis", "web"} {
					assert.Contains(t, passed, id+"["+channel+"]")
				}
			}
			assert.Subset(t, passed, []string{"cred-known-list[snmp]", "cred-blank[snmp]", "net-info[snmp]"})
		})
	}
}

func startServices(t *testing.T, r servicesRun) (*servers.Device, *runner.Job) {
	t.Helper()
	d, dir := startPeers(t, "the services of "+r.name, servers.StartServices, servers.Config{Weaknesses: r.weaknesses})
	if r.before != nil {
		r.before(t, d)
	}
	bench := t.TempDir()
	ends := []string{"/tmp/rigor-services", dir}
	for old, port := range map[string]int{"42221": d.Ports.FTP, "42280": d.Ports.HTTP, "42261": d.Ports.SNMP, "42243": d.Ports.HTTPS, "42288": d.Ports.MQTTClear,
		"42279": d.Ports.RedisClear, "42263": d.Ports.Redis, "42283": d.Ports.MQTT} {
		ends = append(ends, old, strconv.Itoa(port))
	}
	for name, edit := range map[string][]string{"services.yaml": ends, "profiles/services.yaml": r.edit} {
		data, err := os.ReadFile(filepath.Join("..", "..", "rigs", "examples", name))
		require.NoError(t, err)
		for i := 0; i < len(edit); i += 2 {
			require.Contains(t, string(data), edit[i])
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(bench, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(bench, name), []byte(strings.NewReplacer(edit...).Replace(string(data))), 0o644))
	}
	f, p, err := rigs.Load(filepath.Join(bench, "services.yaml"))
	require.NoError(t, err)
	return d, &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: rigs.Drivers(), Env: rig.Env{Dir: bench}, Dir: filepath.Join(t.TempDir(), "run"),
		RunID: r.name, Selectors: slices.Clone(r.selectors), Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program}
}
