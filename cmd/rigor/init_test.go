package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
	"rigor/harness/survey"
)

// cycler writes the program that power-cycles a bench's device.
func (b *bench) cycler(t *testing.T) string {
	t.Helper()
	path := filepath.Join(b.dir, "cycle.sh")
	text := "#!/bin/sh\nfor d in off on; do echo '{\"op\":\"power\",\"do\":\"'$d'\"}' | rigor virtual --control " + b.socket + " || exit 1; done\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o700)) //nolint:gosec // a program
	return path
}

// initArgs are those of init for a bench.
func (b *bench) initArgs(out string, more ...string) []string {
	p := b.info.Ports
	return append([]string{"init", "--out", out, "--port", filepath.Join(b.dir, "device", "main"), "--address", "127.0.0.1", "--tcp", "22,23,80,443",
		"--forward", fmt.Sprintf("22=%d", p.SSH), "--forward", fmt.Sprintf("23=%d", p.Telnet), "--forward", fmt.Sprintf("80=%d", p.HTTP),
		"--forward", fmt.Sprintf("443=%d", p.HTTPS)}, more...)
}

// fill takes marks of a draft away: each key is how a marked line begins, and its
// value what stands there instead; empty for the line as it is.
func fill(t *testing.T, path string, with [][2]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(string(data), "\n")
	for _, w := range with {
		found := false
		for i, l := range lines {
			rest, ok := strings.CutPrefix(l, survey.Todo)
			if !ok || !strings.HasPrefix(strings.TrimLeft(rest, " "), w[0]) {
				continue
			}
			found = true
			lines[i] = rest
			if w[1] != "" {
				lines[i] = rest[:len(rest)-len(strings.TrimLeft(rest, " "))] + w[1]
			}
		}
		require.True(t, found, "nothing in %s is to be filled in as %q:\n%s", path, w[0], data)
	}
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}

// TestInit: what is seen of a device that runs in its own process is enough that,
// with what its maker declares filled in, checks of it go through.
func TestInit(t *testing.T) {
	if testing.Short() {
		t.Skip("a console is listened to until it is quiet")
	}
	t.Parallel()
	b := newBench(t)
	res := output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "idn-logical"))
	require.Equal(t, 0, res.code, "the device is set up: %s", res)

	res = output(t, b.command(b.initArgs("first", "--power-cycle", b.cycler(t))...))
	require.Equal(t, 0, res.code, res)
	for _, want := range []string{"text at 115200 bit/s", "first line: VG-1 ROM 1.0", "listens for keys: Autoboot in 150 ms", "login prompt: vg login: ",
		"tcp/22  ssh  SSH-2.0-VG1", "tcp/23  telnet", "tcp/443  http over TLS  200", "a form asks for a password"} {
		assert.Contains(t, res.stdout, want)
	}
	rig, prof := filepath.Join(b.dir, "first", "rig.yaml"), filepath.Join(b.dir, "first", "profile.yaml")
	for _, args := range [][]string{{"lint", rig}, {"plan", "--rig", rig}} {
		res = output(t, b.command(args...))
		require.Equal(t, 0, res.code, "%v: %s", args, res)
	}
	assert.Contains(t, res.stdout, "cred-known-list[ssh]", "each login that was seen is planned")
	assert.Contains(t, res.stdout, "con-shell-noauth[main]")
	assert.Contains(t, res.stdout, "\n0 of ", "nothing was declared, and nothing runs")

	// It writes over nothing.
	res = output(t, b.command(b.initArgs("first")...))
	assert.Equal(t, 2, res.code, res)
	assert.Contains(t, res.stderr, "rig.yaml is there already")

	control := "exec: [rigor, virtual, --control, " + b.socket + "]"
	fill(t, rig, [][2]string{{"unit:", "unit: {serial: VG1-000123}"}, {"allow:", ""},
		{"power:", "power: {driver: exec, " + control + ", off-settle: 30ms, rest: off, proof: cold-boot}"},
		{"secrets:", "secrets: {operator: file:" + filepath.Join(b.dir, "device", "operator") + "}"}})
	fill(t, prof, [][2]string{{"maker:", "maker: Vanguard Gateways"}, {"model:", "model: VG-1"},
		{"identity:", "identity: {steps: [{http: GET /api/info, port: 443, tls: true, extract: {serial: $.serial}}], equals: unit.serial}"},
		{"done:", ""}, {"within:", ""}, {"password: {match", "password: {match: 'Password: ', quiet: 1ms}"}, {"shell:", "shell: {match: 'vg> ', quiet: 1ms}"},
		{"incorrect:", ""}, {"owner:", "owner: {user: operator, password: secret:operator}"}, {"proof: {command", "proof: {command: id, match: '@vg'}"},
		{"lockout:", "lockout: {after: 20, window: 750ms, lasts: 250ms, scope: account, answer: refused, success-clears: true, survives-reboot: anew}"},
		{"holds:", "holds: [{http: GET /setup, port: 443, tls: true, expect: {status: 404}}]"},
		// The form was seen, and is the owner's login.
		{"web:", ""}, {"protocol:", ""}, {"port:", ""}, {"tls:", ""}, {"page:", ""}, {"fields:", ""}, {"proof: {get", "proof: {get: /, match: 'Signed in as '}"}})
	res = output(t, b.command("lint", rig))
	require.Equal(t, 0, res.code, res)
	res = output(t, b.command("run", "--rig", rig, "--out", b.folder(), "idn-logical", "con-shell-noauth", "cred-blank[ssh]", "cred-blank[web]"))
	assert.Equal(t, 0, res.code, res)
	assert.Contains(t, res.stdout, "4 passed")
}

// TestInitSeesNothing: what was not found is said, and the files are there all the
// same.
func TestInitSeesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t) // its power is off
	dark := func() result {
		return output(t, b.command(b.initArgs("dark", "--power-cycle", "true", "--await", "300ms", "--format", "json")...))
	}
	res := dark()
	for range 20 { // the name of its pty may be one that a guard of another test is about to give back
		if !strings.Contains(res.stderr, "is in use by the guard of") {
			break
		}
		pause(t, 100*time.Millisecond)
		res = dark()
	}
	require.Equal(t, 0, res.code, res)
	var got struct {
		Missing []string
		Todos   int
		Rig     string
	}
	require.NoError(t, json.Unmarshal([]byte(res.stdout), &got), res.stdout)
	all := strings.Join(got.Missing, "\n")
	assert.Contains(t, all, "not a byte came on ")
	assert.Positive(t, got.Todos)
	res = output(t, b.command("lint", got.Rig))
	assert.Equal(t, 0, res.code, res)

	res = output(t, b.command("init", "--out", "none"))
	assert.Equal(t, 0, res.code, res)
	assert.Contains(t, res.stdout, "no port was listened on; say which with --port DEV")
	assert.Contains(t, res.stdout, "give it with --address")
	res = output(t, b.command("lint", "none/rig.yaml"))
	assert.Equal(t, 0, res.code, res)
}

// TestInitBadWords: a mistake of the user's is said before anything is done.
func TestInitBadWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--tcp", "0"}, 2, "--tcp is"},
		{[]string{"--baud", "7"}, 2, "--baud is 7"},
		{[]string{"--name", "A B"}, 2, "give the rig a name"},
		{[]string{"--address", "192.0.2.7:80"}, 2, "has a port"},
		{[]string{"--forward", "80=99999", "--address", "192.0.2.7"}, 2, "are none"},
		{[]string{"--forward", "80=8080"}, 2, "there is no --address"},
		{[]string{"--power-cycle= "}, 2, "names no program"},
		{[]string{"--interface", "no such/one"}, 2, "no name that an interface can have"},
		{[]string{"--interface", "rg-none"}, 75, "no such network interface"},
		{[]string{"--port", file}, 75, "is no serial device"},
		{[]string{"--port", filepath.Join(dir, "gone")}, 75, "no such file"},
		{[]string{"--out", file}, 75, "make the folder"},
	} {
		cmd := (&bench{dir: dir, env: home(dir)}).command(append([]string{"init", "--out=out"}, tc.args...)...)
		res := output(t, cmd)
		assert.Equal(t, tc.code, res.code, "%v: %s", tc.args, res)
		assert.Contains(t, res.stderr, tc.says, "%v", tc.args)
		assert.NoDirExists(t, filepath.Join(dir, "out"), "%v", tc.args)
	}
}

// TestInitAsks: at a terminal a person is asked for the power cycle; a device that
// talks in escapes does nothing to the terminal.
func TestInitAsks(t *testing.T) {
	if testing.Short() {
		t.Skip("a console is listened to until it is quiet")
	}
	t.Parallel()
	b := newBench(t)
	cmd := b.command(b.initArgs("asked", "--enter")...)
	tty, err := pty.Start(cmd)
	require.NoError(t, err)
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var said bytes.Buffer
	for buf := make([]byte, 1024); ; {
		n, err := tty.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			break // the other end is gone
		}
		if bytes.HasSuffix(bytes.TrimSpace(said.Bytes()), []byte("give it back:")) {
			_, err = b.ask(t.Context(), virtual.Request{Op: "power", Value: "on"})
			require.NoError(t, err)
			_, err = tty.WriteString("\n")
			require.NoError(t, err)
		}
	}
	require.NoError(t, cmd.Wait(), said.String())
	require.NoError(t, tty.Close())
	assert.Contains(t, said.String(), "first line: VG-1 ROM 1.0")
	assert.FileExists(t, filepath.Join(b.dir, "asked", "profile.yaml"))
}
