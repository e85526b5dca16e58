package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

// What is told of a camera.
const (
	cameraRig = `rig: camera
profile: profile.yaml
unit: {serial: CAM-7}
allow: [login-tries]
network: {address: 127.0.0.1, ports: {554: %d}}
secrets: {owner: file:owner}
`
	cameraProfile = `profile: camera
identity: {steps: [{file: serial, extract: {serial: '/(CAM-\d+)/'}}], equals: unit.serial} # a note on the bench
consoles: {none: 'there is none'}
logins:
  stream:
    protocol: rtsp
    port: 554
    owner: {user: keeper, password: secret:owner}
    proof: {get: /live, match: m=audio}
    lockout: {none: 'the server counts no tries'}
    transport: {clear: []}
states: {onboarded: {logins: [stream], services: [tcp/554], holds: [{file: serial}]}}
discloses: {allow: []}
`
)

// A stream of GStreamer's server: by a digest it passes, by a password in clear and
// without one it fails.
func TestStream(t *testing.T) {
	if testing.Short() {
		t.Skip("a server of somebody else, whose start takes seconds; left out by -short")
	}
	const python = "/usr/bin/python3" // the one that has Debian's modules
	if err := exec.Command(python, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')").Run(); err != nil {
		t.Skip("needs GStreamer's RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good")
	}
	t.Parallel()
	for _, r := range []serversRun{
		{name: "digest"},
		{name: "basic", fails: []string{"cred-transport[stream]"}},
		{name: "none"},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.selectors = []string{"cred-known-list", "cred-blank", "cred-enum", "cred-transport", "net-info"}
			bench := t.TempDir()
			port := startStream(t, python, r.name)
			for name, text := range map[string]string{"owner": "Keeper of 7 boxes\n", "serial": "CAM-7\n", "rig.yaml": fmt.Sprintf(cameraRig, port),
				"profile.yaml": strings.ReplaceAll(cameraProfile, "file: serial", "file: "+filepath.Join(bench, "serial"))} {
				require.NoError(t, os.WriteFile(filepath.Join(bench, name), []byte(text), 0o600))
			}
			f, p, err := rigs.Load(filepath.Join(bench, "rig.yaml"))
			require.NoError(t, err)
			res := r.run(t.Context(), t, nil, &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: rigs.Drivers(), Env: rig.Env{Dir: bench}, Dir: filepath.Join(t.TempDir(), "run"),
				RunID: r.name, Selectors: r.selectors, Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program})
			require.NotNil(t, res)
			if r.name == "none" { // nothing else can be said of it
				for _, c := range res.Cases {
					if c.Ran {
						assert.Equal(t, c.ID == "cred-known-list[stream]", c.Judgement.Verdict == verdict.Fail, "%s: %s", c.ID, c.Judgement)
						assert.NotEqual(t, verdict.Pass, c.Judgement.Verdict, c.ID)
					}
				}
				return
			}
			passed := r.judge(t, res)
			if r.name == "digest" {
				assert.Len(t, passed, len(r.selectors))
			}
		})
	}
}

// startStream starts the server until the test ends, and gives its port.
func startStream(t *testing.T, python, scheme string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, python, filepath.Join("..", "..", "harness", "login", "rtsp", "testdata", "server.py"), fmt.Sprint(port), scheme, "keeper", "Keeper of 7 boxes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	return port
}
