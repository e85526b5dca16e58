package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// TestBoardCommand: what is missing or wrong is said, with what to do, before any
// machine is started.
func TestBoardCommand(t *testing.T) {
	text, empty := filepath.Join(t.TempDir(), "text"), t.TempDir()
	require.NoError(t, os.WriteFile(text, []byte("no program\n"), 0o600))
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"board run --at soon -- doctor", verdict.ExitUsage, `--at "soon": write a time and a command`},
		{"board run --at 1s -- doctor", verdict.ExitUsage, "--at: no command"},
		{"board run --board EMPTY --gateway EMPTY -- doctor", verdict.ExitRig, "rigor gateway build makes it"},
		{"board run --board EMPTY --chip z80 -- doctor", verdict.ExitUsage, `no chip is called "z80"`},
		{"board run --board EMPTY --chip nrf52:wiped -- doctor", verdict.ExitUsage, `has no state "wiped": there are [open locked`},
		{"board run --board EMPTY --chip nrf52 --gateway EMPTY -- doctor", verdict.ExitUsage, "--chip or --gateway"},
		{"board run --board EMPTY --chip nrf52 --disk EMPTY/chip.img -- doctor", verdict.ExitRig, "rigor board build makes the board"},
		{"board build --out EMPTY --rigor TEXT", verdict.ExitRig, "no program for linux/arm64"},
		{"board build --out EMPTY --rigor EMPTY/none", verdict.ExitRig, "no such file"},
		{"board results --disk EMPTY/none.img EMPTY", verdict.ExitRig, "no such file"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(strings.NewReplacer("EMPTY", empty, "TEXT", text).Replace(tt.args))
			var out, errs bytes.Buffer
			assert.Equal(t, tt.code, run(args, &out, &errs), errs.String())
			assert.Contains(t, errs.String(), tt.want)
		})
	}
	var out, errs bytes.Buffer
	assert.Equal(t, verdict.ExitUsage, run([]string{"board", "run", "--at", "1s burn led", "--", "doctor"}, &out, &errs))
	assert.Contains(t, errs.String(), "can be done to no wire; there are: bounce WIRE COUNT DURATION; cont device; cross WIRE WIRE")
}

// TestBoardEndsWithItsCommand: a board whose command is killed, by kill -9, is gone
// with the gateway that it drives, and the next one begins.
func TestBoardEndsWithItsCommand(t *testing.T) {
	parts := os.Getenv("RIGOR_BENCH_PARTS")
	if os.Getenv("RIGOR_GATEWAY") == "" || parts == "" || testing.Short() {
		t.Skip("two emulated machines for a minute: set RIGOR_GATEWAY=1, and RIGOR_BENCH_PARTS to a folder with gateway and board")
	}
	program, dir := filepath.Join(t.TempDir(), "rigor"), t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	disk, log := filepath.Join(dir, "results.img"), filepath.Join(dir, "wires.jsonl")
	cmd := exec.CommandContext(t.Context(), program, "board", "run", "--board", filepath.Join(parts, "board"), "--gateway", filepath.Join(parts, "gateway"),
		"--disk", disk, "--out", filepath.Join(dir, "runs"), "--log", log, "--", "run", "--rig", "board", "con-shell-noauth")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(data), `"event":"on","end":"device"`)
	}, 3*time.Minute, 100*time.Millisecond, "the device was never switched on")
	machines := childrenOf(t, cmd.Process.Pid)
	require.Len(t, machines, 2)
	code := exec.CommandContext(t.Context(), program, "board", "results", "--disk", disk, filepath.Join(dir, "other"))
	out, err = code.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "another board uses this disk")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	assert.Eventually(t, func() bool {
		for _, pid := range machines {
			if syscall.Kill(pid, 0) == nil && !zombie(pid) {
				return false
			}
		}
		return true
	}, 5*time.Second, 20*time.Millisecond, "a machine outlived its broker")
	var first, errs bytes.Buffer
	assert.Zero(t, run([]string{"board", "run", "--board", filepath.Join(parts, "board"), "--gateway", filepath.Join(parts, "gateway"), "--disk", disk, "--out", filepath.Join(dir, "runs"), "--", "version"}, &first, &errs), errs.String())
	assert.Contains(t, first.String(), "rigor")
	assert.NoDirExists(t, disk+".work")
}

// childrenOf lists the processes whose parent a process is.
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // gone meanwhile
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(strings.Split(name, "/")[2])
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

func zombie(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.HasPrefix(strings.TrimSpace(string(data[bytes.LastIndexByte(data, ')')+1:])), "Z")
}
