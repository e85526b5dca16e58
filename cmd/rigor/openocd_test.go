package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual/chip"
	"rigor/fixtures/virtual/chip/bitbang"
	"rigor/harness/runner"
)

// TestDebugByOpenOCD: a rig file names an adapter that an OpenOCD has, and a port is looked
// at through it: what is open is read, what is locked is not; and one that is not there is
// the rig's trouble.
func TestDebugByOpenOCD(t *testing.T) {
	if _, err := exec.LookPath("openocd"); err != nil {
		t.Skip("needs openocd: apt-get install openocd")
	}
	t.Parallel()
	for state, want := range map[chip.State]string{chip.Open: "access level: L5 (64 bytes of flash", chip.RDP1: "access level: L3 (64 bytes of ram"} {
		t.Run(string(state), func(t *testing.T) {
			c, err := chip.Part("stm32f4", state)
			require.NoError(t, err)
			n := chip.OnPads(c)
			n.SetPower(true)
			tcl := servedByOpenOCD(t, n)
			dir := t.TempDir()
			write := func(name, text string) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			write("acme.yaml", "profile: acme\nmodel: A1\n")
			write("rig.yaml", "rig: adapter\nprofile: acme.yaml\nunit: {serial: A1}\nallow: [debug-attach]\npads: {driver: openocd, address: \""+tcl+"\", dap: chip.dap, at: {J1: TCK, J2: TMS, J3: TDI, J4: TDO}}\n")
			cmd := exec.Command("rigor", "debug", "--rig", "rig.yaml", "--pads", "tck=J1;tms=J2;tdi=J3;tdo=J4")
			cmd.Dir, cmd.Env = dir, home(dir)
			res := output(t, cmd)
			assert.Zero(t, res.code, res)
			assert.Contains(t, res.stdout, want, res)
			assert.Empty(t, c.Violations())

			write("acme.yaml", `profile: acme
model: A1
alive: {steps: [{exec: [./lives]}]}
states: {onboarded: {holds: [{exec: [echo, '{"ok": true}']}]}}
debug:
  ports:
    swd: {none: no pad of it is led out}
    jtag: {protocol: jtag, pads: {tck: J1, tms: J2, tdi: J3, tdo: J4}, taps: [0x4ba00477, {id: 0x06413041, boundary: "reference manual, 38.6"}], level: L1, lock: stm32f4}
`)
			// It lives while it has its supply, which the plug switches.
			lives := filepath.Join(dir, "supply")
			require.NoError(t, os.WriteFile(lives, nil, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lives"), []byte("#!/bin/sh\nif [ -e "+lives+" ]; then echo '{\"ok\": true}'; else echo '{\"ok\": false, \"text\": \"no answer\"}'; fi\n"), 0o700)) //nolint:gosec // a program
			var on atomic.Bool
			on.Store(true)
			plug := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if word := strings.Fields(r.URL.Query().Get("cmnd")); len(word) == 2 {
					on.Store(word[1] == "On")
					n.SetPower(on.Load())
					var err error
					if on.Load() {
						err = os.WriteFile(lives, nil, 0o600)
					} else if err = os.Remove(lives); os.IsNotExist(err) {
						err = nil
					}
					assert.NoError(t, err)
				}
				_ = json.NewEncoder(w).Encode(map[string]string{"POWER": map[bool]string{true: "ON", false: "OFF"}[on.Load()]})
			}))
			t.Cleanup(plug.Close)
			write("rig.yaml", "rig: adapter\nprofile: acme.yaml\nunit: {serial: A1}\nallow: [debug-attach, power]\npower: {driver: http, url: \""+plug.URL+"\", style: tasmota, off-settle: 20ms, rest: on, proof: switch}\npads: {driver: openocd, address: \""+tcl+"\", dap: chip.dap, at: {J1: TCK, J2: TMS, J3: TDI, J4: TDO}}\n")
			cmd = exec.Command("rigor", "run", "--rig", "rig.yaml", "--out", "out", "dbg-*")
			cmd.Dir, cmd.Env = dir, home(dir)
			res = output(t, cmd)
			assert.Equal(t, 1, res.code, res)
			loaded, err := runner.Load(filepath.Join(dir, "out"))
			require.NoError(t, err)
			lock := "dbg-vendor-lock pass"
			if state == chip.Open {
				lock = "dbg-vendor-lock fail access"
			}
			got := map[string]bool{}
			for i := range loaded.Cases {
				j := loaded.Cases[i].Judgement
				got[strings.TrimSpace(fmt.Sprintf("%s %v %v", loaded.Cases[i].ID, j.Verdict, j.Reason))] = true
			}
			for _, want := range []string{
				lock, "dbg-ap-enum fail access", "dbg-mem-read fail access", "dbg-jtag-locked fail access", "dbg-lock-persist[reboot] fail access",
				"dbg-jtag-idcode inconclusive rig-lacks", "dbg-jtag-bypass inconclusive ambiguous", "dbg-undeclared inconclusive rig-lacks",
			} {
				assert.True(t, got[want], "%s: %v", want, res)
			}
			assert.NotContains(t, res.stderr, "not safe")
			assert.Empty(t, c.Violations())

			cmd = exec.Command("rigor", "pins", "--rig", "rig.yaml")
			cmd.Dir, cmd.Env = dir, home(dir)
			res = output(t, cmd)
			assert.Equal(t, 2, res.code, res)
			assert.Contains(t, res.stderr, "no pad can be driven alone")
		})
	}
}

// servedByOpenOCD gives the TCL port of an OpenOCD that drives a net by remote bitbang.
func servedByOpenOCD(t *testing.T, n *chip.Net) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tcl := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = bitbang.New(n, bitbang.Of(n)).Serve(ctx, l) })
	var args []string
	for _, c := range []string{"adapter driver remote_bitbang", "remote_bitbang host 127.0.0.1", fmt.Sprintf("remote_bitbang port %d", l.Addr().(*net.TCPAddr).Port),
		"adapter speed 1000", "transport select jtag", fmt.Sprintf("tcl_port %d", tcl), "gdb_port disabled", "telnet_port disabled",
		"jtag newtap chip cpu -irlen 4 -expected-id 0x4ba00477", "jtag newtap chip bs -irlen 5 -expected-id 0x06413041", "dap create chip.dap -chain-position chip.cpu", "init"} {
		args = append(args, "-c", c)
	}
	cmd := exec.CommandContext(ctx, "openocd", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		wg.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(tcl))
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 15*time.Second, 20*time.Millisecond)
	return address
}
