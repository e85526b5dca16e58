package rig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

const goodRig = `rig: bench-a
profile: profiles/acme.yaml
unit: {serial: AG-000123, mac: "02:00:00:00:00:01", label-password: secret:label, values: {ssid: acme-1}}
allow: [login-tries, config, reset, power]
limits: {power-cycles: 200}
power: {driver: gpio, line: GPIO6, active: low, off-settle: 2s, rest: off, proof: cold-boot}
lines:
  button: {driver: gpio, chip: gpiochip0, line: 5, active: low, drive: open-drain, pull: up}
  led: {driver: gpio, line: GPIO9, active: high, drive: input}
consoles:
  main: {driver: serial, port: ~/ports/acme, baud: 115200, frame: 8N1, newline: cr, pace: 1ms}
  aux: {driver: tcp, address: "[::1]:2001", rfc2217: true, baud: 9600}
network: {interface: eth1, address: 192.0.2.7, ports: {22: 2222}}
secrets: {operator: env:ACME_OPERATOR, label: file:~/acme/label}
lacks: {dbg-swd-present: no pads on this board}
loopback: [{out: button, in: led}]
`

const goodProfile = `profile: acme
identity: {steps: [{http: GET /i, login: web, extract: {serial: $.sn}}], equals: unit.serial}
consoles: {main: {}, aux: {silent: true}}
logins:
  web: {protocol: http-basic, port: 80, proof: {get: /}, owner: {user: a, password: secret:operator}}
  console: {protocol: console, console: main}
recovery: {steps: [{power: cycle}, {assert: button}, {http: POST /w, login: web, json: {ssid: '${unit.ssid}', key: '${secret.label}'}}]}
`

// Each file of testdata/bad is refused with exactly the errors beside it, and
// no error shows what may be a secret.
func TestBadRigFilesAreRefusedWithPlaceAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			f, err := Parse(filepath.Base(file), data)
			require.Error(t, err)
			assert.Nil(t, f)
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func golden(t *testing.T, path string, err error) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(err.Error()+"\n"), 0o600))
	}
	want, rerr := os.ReadFile(path)
	require.NoError(t, rerr)
	assert.Equal(t, string(want), err.Error()+"\n")
}

func TestParseReadsWhatStandsThere(t *testing.T) {
	f, err := Parse("benches/a.yaml", []byte(goodRig))
	require.NoError(t, err)
	assert.Equal(t, "bench-a", f.Name)
	assert.Equal(t, "5", f.Lines["button"].Line)
	assert.Equal(t, "off", f.Power.Rest)
	assert.Equal(t, map[int]int{22: 2222}, f.Network.Ports)
	assert.Equal(t, filepath.Join("benches", "profiles", "acme.yaml"), f.ProfilePath())
	assert.Regexp(t, "^[0-9a-f]{64}$", f.Digest)
	assert.Equal(t, "~/ports/acme", f.Consoles["main"].Port, "Parse asks nothing of its surroundings")
	f.Profile = "/abs/p.yaml"
	assert.Equal(t, "/abs/p.yaml", f.ProfilePath())
}

func TestHomeFolderIsPutIn(t *testing.T) {
	f, err := Parse("a.yaml", []byte(strings.ReplaceAll(goodRig, "driver: gpio, line: GPIO6, active: low", "driver: exec, exec: [~/bin/switch, a~/b]")))
	require.NoError(t, err)
	f.Virtual = &Virtual{Persist: "~/flash"}
	require.NoError(t, f.expandHome(func() (string, error) { return "/home/lab", nil }))
	assert.Equal(t, "/home/lab/ports/acme", f.Consoles["main"].Port)
	assert.Equal(t, []string{"/home/lab/bin/switch", "a~/b"}, f.Power.Exec)
	assert.Equal(t, "file:/home/lab/acme/label", f.Secrets["label"])
	assert.Equal(t, "env:ACME_OPERATOR", f.Secrets["operator"])
	assert.Equal(t, "/home/lab/flash", f.Virtual.Persist)

	f, err = Parse("a.yaml", []byte(goodRig))
	require.NoError(t, err)
	none := errors.New("no home")
	require.ErrorIs(t, f.expandHome(func() (string, error) { return "", none }), none)
}

func TestLoadFindsTheProfileBesideTheRigFile(t *testing.T) {
	t.Setenv("HOME", "/home/lab")
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "profiles"), 0o700))
	rigFile := filepath.Join(dir, "a.yaml")
	require.NoError(t, os.WriteFile(rigFile, []byte(goodRig), 0o600))
	_, _, err := Load(rigFile)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, rigFile+":2:1: ")
	require.ErrorContains(t, err, "relative to the rig file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profiles", "acme.yaml"), []byte(goodProfile), 0o600))
	f, p, err := Load(rigFile)
	require.NoError(t, err)
	assert.Equal(t, "acme", p.Name)
	assert.Equal(t, "/home/lab/ports/acme", f.Consoles["main"].Port)
	_, _, err = Load(filepath.Join(dir, "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)

	fsys := fstest.MapFS{"a.yaml": {Data: []byte(goodRig)}, "profiles/acme.yaml": {Data: []byte(goodProfile)}}
	_, p, err = LoadFS(fsys, "a.yaml")
	require.NoError(t, err)
	assert.Equal(t, "profiles/acme.yaml", p.File)
	fsys["profiles/acme.yaml"] = &fstest.MapFile{Data: []byte("profile: acme\nx: 1\n")}
	_, _, err = LoadFS(fsys, "a.yaml")
	require.ErrorContains(t, err, "profiles/acme.yaml:2:1: ")
	delete(fsys, "profiles/acme.yaml")
	_, _, err = LoadFS(fsys, "a.yaml")
	require.ErrorContains(t, err, "a.yaml:2:1: ")
}

// pair parses a rig file and a profile after changing both.
func pair(t *testing.T, rigEdit, profileEdit []string) (*File, *profile.Profile) {
	t.Helper()
	f, err := Parse("a.yaml", []byte(strings.NewReplacer(rigEdit...).Replace(goodRig)))
	require.NoError(t, err)
	p, err := profile.Parse("p.yaml", []byte(strings.NewReplacer(profileEdit...).Replace(goodProfile)))
	require.NoError(t, err)
	return f, p
}

func TestCheckHoldsRigAndProfileTogether(t *testing.T) {
	find := []string{"consoles: {main: {}, aux", "states: {onboarded: {address: {find: mac}}}\nconsoles: {main: {}, aux"}
	for name, c := range map[string]struct {
		rig, profile []string
		want         string
	}{
		"whole": {},
		"no serial": {rig: []string{"serial: AG-000123, ", ""},
			want: "a.yaml:3:1: the identity of profile acme needs unit.serial, which the rig does not give; write serial: as it stands on the unit's label"},
		"no value of the unit": {rig: []string{", values: {ssid: acme-1}", ""},
			want: "a.yaml:3:1: the step at p.yaml:7:54 of profile acme needs unit.ssid, which the rig does not give; write values: {ssid: …}"},
		"no owner's secret": {rig: []string{"operator: env:ACME_OPERATOR, ", ""},
			want: `a.yaml:14:1: login web of profile acme needs the secret "operator"; write operator: env:VARIABLE, or file:PATH, under secrets`},
		"a console nobody declared": {profile: []string{"aux: {silent: true}", "axu: {silent: true}"},
			want: `a.yaml:12:3: profile acme declares no console aux; did you mean "axu"?`},
		"an input is driven": {profile: []string{"assert: button", "assert: led"},
			want: "a.yaml:9:50: the line is an input, and the step at p.yaml:7:36 drives it; write how it is driven: push-pull, open-drain or open-source"},
		"consoles not declared at all": {profile: []string{"consoles: {main: {}, aux: {silent: true}}\n", ""}},
		"identity by mac": {rig: []string{`mac: "02:00:00:00:00:01", `, ""}, profile: []string{"equals: unit.serial", "equals: unit.mac"},
			want: "a.yaml:3:1: the identity of profile acme needs unit.mac, which the rig does not give; write mac: as it stands on the unit's label"},
		"rates that can be set": {profile: []string{"main: {}", "main: {rates: [{baud: 74880, for: 200ms}]}"}},
		"rates that cannot be set": {rig: []string{"rfc2217: true, baud: 9600", "newline: lf"}, profile: []string{"aux: {silent: true}", "aux: {rates: [{baud: 74880, for: 200ms}]}"},
			want: "a.yaml:12:3: profile acme declares rates for the start on console aux, and the rate of this port cannot be set; use driver serial, or tcp with rfc2217: true"},
		"no rate behind the others": {rig: []string{", baud: 9600", ""}, profile: []string{"aux: {silent: true}", "aux: {rates: [{baud: 74880, until: go}]}"},
			want: "a.yaml:12:3: profile acme declares rates for the start on console aux, and nothing says which one holds behind them; write baud: 115200, or what it is"},
		"found by its hardware address": {profile: find},
		"found, and no hardware address": {rig: []string{`mac: "02:00:00:00:00:01", `, ""}, profile: find,
			want: "a.yaml:3:1: state onboarded of profile acme needs unit.mac, which the rig does not give; write mac: as it stands on the unit's label"},
		"found, and on no interface": {rig: []string{"interface: eth1, ", ""}, profile: find,
			want: "a.yaml:13:1: state onboarded of profile acme finds the DUT by its hardware address (find: mac), and the rig does not say on which interface; write interface: eth1, the one that the DUT hangs on"},
	} {
		t.Run(name, func(t *testing.T) {
			f, p := pair(t, c.rig, c.profile)
			err := Check(f, p)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
			var errs strictyaml.Errors
			require.ErrorAs(t, err, &errs)
		})
	}
}

func TestLackingIsNoErrorAndIsListedOnce(t *testing.T) {
	f, p := pair(t, nil, nil)
	assert.Empty(t, Lacking(f, p))
	f, p = pair(t, []string{
		"power: {driver: gpio, line: GPIO6, active: low, off-settle: 2s, rest: off, proof: cold-boot}\n", "",
		"  main: {driver: serial, port: ~/ports/acme, baud: 115200, frame: 8N1, newline: cr, pace: 1ms}\n", "",
		"network: {interface: eth1, address: 192.0.2.7, ports: {22: 2222}}\n", "",
		"loopback: [{out: button, in: led}]\n", "",
		"button:", "knob:",
	}, nil)
	require.NoError(t, Check(f, p))
	var lines []string
	for _, k := range Lacking(f, p) {
		lines = append(lines, k.String())
	}
	assert.Equal(t, []string{
		"p.yaml:3:12: console main needs console main, which the rig has not (rig-lacks)",
		"p.yaml:5:3: login web needs network, which the rig has not (rig-lacks)",
		"p.yaml:7:12: a step (power) of recovery.steps needs power, which the rig has not (rig-lacks)",
		"p.yaml:7:12: a step (assert) of recovery.steps needs line button, which the rig has not (rig-lacks)",
	}, lines)
}

// FuzzParseRig: no bytes make it panic, and what it takes is well-formed.
func FuzzParseRig(f *testing.F) {
	f.Add([]byte(goodRig))
	for _, pattern := range []string{"testdata/bad/*.yaml", "../../rigs/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	p, err := profile.Parse("p.yaml", []byte(goodProfile))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("a.yaml", data)
		if err != nil {
			var errs strictyaml.Errors
			require.ErrorAs(t, err, &errs)
			require.NotEmpty(t, errs)
			for _, e := range errs {
				require.Positive(t, e.Pos.Line, "%v", e)
			}
			return
		}
		for _, c := range file.Consoles {
			require.NotNil(t, c)
		}
		_ = Check(file, p) // any answer will do
		Lacking(file, p)
	})
}
