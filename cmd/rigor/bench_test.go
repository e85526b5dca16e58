package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
)

// bench is the built-in device in a process of its own, with a rig file that
// drives it over a serial port, programs and the network, as a real bench.
type bench struct {
	dir    string // of everything
	rig    string // the rig file
	name   string
	socket string
	info   virtual.Description
	env    []string
	runs   int
}

var benches atomic.Int64

// newBench starts a device; it ends with the test.
func newBench(t testing.TB, args ...string) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "rigor-bench-") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bench{dir: dir, name: fmt.Sprintf("bench-%d-%d", os.Getpid(), benches.Add(1)), env: home(dir)}
	wires := filepath.Join(dir, "device")
	cmd := exec.Command("rigor", append([]string{"virtual", "--dir", wires, "--ports", "0,0,0,0"}, args...)...)
	cmd.Env = b.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		b.guardless(t, cmd.Process.Pid)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the device's process: %v\n%s", err, stderr.String())
		}
	})
	require.NoError(t, json.NewDecoder(out).Decode(&b.info), "what the device says of itself; stderr: %s", &stderr)
	b.socket = b.info.Socket
	b.rig = filepath.Join(dir, b.name+".yaml")
	p := b.info.Ports
	text := strings.NewReplacer("rig: virtual-bench", "rig: "+b.name, "/tmp/rigor-virtual", wires, "[rigor, ", "["+inRig+"rigor, ",
		"22022", fmt.Sprint(p.SSH), "22023", fmt.Sprint(p.Telnet), "22080", fmt.Sprint(p.HTTP), "22443", fmt.Sprint(p.HTTPS)).
		Replace(builtin(t, "virtual-bench.yaml"))
	require.NoError(t, os.WriteFile(b.rig, []byte(text), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "profiles"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profiles", "virtual.yaml"), []byte(builtin(t, "profiles/virtual.yaml")), 0o600))
	return b
}

// guardless waits until no process of the bench is left but its device: the guard of a run
// that was killed holds the lease of a pseudo terminal, whose name the next test may get.
func (b *bench) guardless(t testing.TB, device int) {
	t.Helper()
	others := func() (out []string) {
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range all {
			env, err := os.ReadFile(file)
			if err != nil || !bytes.Contains(env, []byte(b.dir)) || file == fmt.Sprintf("/proc/%d/environ", device) {
				continue // it has ended
			}
			out = append(out, file)
		}
		return out
	}
	for end := time.Now().Add(10 * time.Second); len(others()) > 0; {
		if time.Now().After(end) {
			t.Errorf("processes of bench %s are left: %v", b.name, others())
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// command makes a command of the program, in the bench's folder.
func (b *bench) command(args ...string) *exec.Cmd {
	cmd := exec.Command("rigor", args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	return cmd
}

// folder names the folder of a further run.
func (b *bench) folder() string {
	b.runs++
	return filepath.Join(b.dir, fmt.Sprintf("run-%d", b.runs))
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
}

// output runs a command to its end.
func output(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() }) // a machine that hangs is waited for, a minute of it on an idle computer
	defer timer.Stop()
	_ = cmd.Wait() // the code says it
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ask asks the device's control socket, past the rig.
func (b *bench) ask(ctx context.Context, req virtual.Request) (virtual.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return virtual.Control(ctx, b.socket, req)
}

// lines are those that the rig drives.
var lines = []string{"reset", "button", "flash"}

// asserted says whether a line of the device is asserted.
func (b *bench) asserted(t testing.TB, line string) bool {
	t.Helper()
	res, err := b.ask(t.Context(), virtual.Request{Op: "line", Line: line, Value: "read"})
	require.NoError(t, err)
	return *res.Asserted
}

// unsafe says what of the bench is not at rest.
func (b *bench) unsafe(t testing.TB) (what []string) {
	t.Helper()
	for _, line := range lines {
		if b.asserted(t, line) {
			what = append(what, "line "+line+" is asserted")
		}
	}
	res, err := b.ask(t.Context(), virtual.Request{Op: "power", Value: "state"})
	require.NoError(t, err)
	if res.State != "off" {
		what = append(what, "the power is "+res.State)
	}
	return what
}

// intents lists what the next start has to undo.
func (b *bench) intents(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, "state", "rigor", b.name, "intents", "*.json"))
	require.NoError(t, err)
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

// owner gives the owner's password.
func (b *bench) owner(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, "device", "operator"))
	require.NoError(t, err)
	return strings.TrimSpace(string(data))
}

// opens says whether the owner's password opens the device, which is given
// power for that and loses it again. It answers no where the device is not
// set up.
func (b *bench) opens(t testing.TB) bool {
	t.Helper()
	_, err := b.ask(t.Context(), virtual.Request{Op: "power", Value: "on"})
	require.NoError(t, err)
	defer func() {
		_, err := b.ask(t.Context(), virtual.Request{Op: "power", Value: "off"})
		require.NoError(t, err)
	}()
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the device of this test, on loopback
	body, err := json.Marshal(map[string]string{"user": "operator", "password": b.owner(t)})
	require.NoError(t, err)
	var code int
	require.Eventually(t, func() bool {
		resp, err := client.Post(fmt.Sprintf("https://127.0.0.1:%d/api/login", b.info.Ports.HTTPS), "application/json", bytes.NewReader(body))
		if err != nil {
			return false
		}
		code = resp.StatusCode
		return resp.Body.Close() == nil
	}, 10*time.Second, 50*time.Millisecond, "the device does not come up")
	return code == http.StatusOK
}
