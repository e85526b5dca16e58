package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	bootLoader = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
	boardRig   = `rig: board
profile: board.yaml
allow: [login-tries, power, power-cut]
machines:
  dut:
    driver: qemu
    qemu: qemu-system-aarch64
    args: [-M, 'virt,acpi=off', -cpu, cortex-a53, -m, 128M, -bios, BIOS]
    disks: [{file: disk.img, format: raw, role: disk}]
    mac: "52:54:00:12:34:56"
    pl061: {lines: {button: 0, led: 7}}
power: {driver: qemu, machine: dut, off-settle: 20ms, rest: off, proof: cold-boot}
lines:
  reset: {driver: qemu, machine: dut, line: reset}
  button: {driver: qemu, machine: dut, line: button}
  led: {driver: qemu, machine: dut, line: led, drive: input}
consoles:
  main: {driver: qemu, machine: dut}
network: {driver: qemu, machine: dut, address: 10.0.7.1, own: 10.0.7.2/24}
`
	boardProfile = `profile: board
maker: Debian
model: QEMU
identity: {none: a board of this program alone}
consoles:
  main:
    boot: {banner: 'U-Boot 20', loader: 'U-Boot 20', prompt: '=> ', window: 2s, done: 'autoboot:', within: 30s}
    answer: {send: version, expect: aarch64-linux-gnu-gcc}
states:
  onboarded: {holds: [{console: main, send: version, expect: {seen: aarch64-linux-gnu-gcc}}]}
`
)

// board is a rig of an emulated board that ends in U-Boot's prompt, which nobody
// here wrote.
func board(t *testing.T) (dir string, command func(args ...string) *exec.Cmd) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots an emulated device")
	}
	for program, pkg := range map[string]string{"qemu-system-aarch64": "qemu-system-arm", "qemu-img": "qemu-utils", bootLoader: "u-boot-qemu"} {
		_, err := exec.LookPath(program)
		if filepath.IsAbs(program) {
			_, err = os.Stat(program)
		}
		if err != nil {
			t.Skipf("needs %s: apt-get install %s", program, pkg)
		}
	}
	dir = t.TempDir()
	for name, text := range map[string]string{"rig.yaml": boardFile(dir), "board.yaml": boardProfile, "disk.img": strings.Repeat("x", 1<<20)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Cleanup(func() { gone(t, dir) })
	return dir, func(args ...string) *exec.Cmd {
		cmd := exec.Command("rigor", args...)
		cmd.Dir, cmd.Env = dir, home(dir)
		return cmd
	}
}

// boardFile is the rig file, with a name of its own: a lease is by name.
func boardFile(dir string) string {
	return strings.NewReplacer("BIOS", bootLoader, "rig: board", fmt.Sprintf("rig: board-%08x", crc32.ChecksumIEEE([]byte(dir)))).Replace(boardRig)
}

// gone waits until no process of a machine is left, nor its disks.
func gone(t *testing.T, dir string) {
	t.Helper()
	assert.Eventually(t, func() bool { return len(machinesIn(dir)) == 0 }, 10*time.Second, 10*time.Millisecond, "a machine is left")
	assert.Eventually(t, func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, "rigor-machines-*", "*"))
		return len(left) == 0
	}, 10*time.Second, 10*time.Millisecond, "disks are left")
	// A guard that a run could leave nothing safe tries on for ten seconds.
	assert.Eventually(t, func() bool { return len(livingIn(dir)) == 0 }, 20*time.Second, 50*time.Millisecond, "a guard is left")
}

// livingIn gives the processes whose home a folder is.
func livingIn(dir string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range all {
		env, err := os.ReadFile(name)
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), "HOME="+dir) {
			pids = append(pids, filepath.Base(filepath.Dir(name)))
		}
	}
	return pids
}

// machinesIn gives the processes that work in a folder for machines below dir.
func machinesIn(dir string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, filepath.Join(dir, "rigor-machines-")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitMachine waits until a machine runs, and then some.
func awaitMachine(t *testing.T, dir string, more time.Duration) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, pid = range machinesIn(dir) {
			return true
		}
		return false
	}, 20*time.Second, time.Millisecond)
	pause(t, more)
	return pid
}

// The doctor finds every instrument of a machine well, and a cold boot; the image
// is as it was.
func TestMachineIsWell(t *testing.T) {
	t.Parallel()
	dir, command := board(t)
	r := output(t, command("doctor", "--rig", "rig.yaml"))
	assert.Equal(t, 0, r.code, "%v", r)
	for _, says := range []string{"open of link", "open of power", "open of line.led", "cold boot seen: its banner on console main", "our end is up", "guard                    on duty"} {
		assert.Contains(t, r.stdout, says)
	}
	assert.NotContains(t, r.stdout, "broken")
	data, err := os.ReadFile(filepath.Join(dir, "disk.img"))
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("x", 1<<20), string(data))
}

// A run that is killed takes its machine with it at once; the guard removes what
// it wrote.
func TestKilledRunLeavesNoMachine(t *testing.T) {
	t.Parallel()
	dir, command := board(t)
	for i := range 4 {
		cmd := command("run", "--rig", "rig.yaml", "--out", fmt.Sprint("out", i), "con-boot-interrupt")
		require.NoError(t, cmd.Start())
		awaitMachine(t, dir, time.Duration(i)*150*time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		assert.Eventually(t, func() bool { return len(machinesIn(dir)) == 0 }, time.Second, time.Millisecond, "the machine outlives its run")
		gone(t, dir)
	}
}

// What happens to the machine's process is the bench's trouble, and no verdict
// about the device.
func TestMachineBreaks(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"dies": syscall.SIGSEGV, "hangs": syscall.SIGSTOP, "its image goes": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, command := board(t)
			hurt := func(pid int) error {
				if sig == 0 { // the process has it open; the next one has not
					return os.Remove(filepath.Join(dir, "disk.img"))
				}
				return syscall.Kill(pid, sig)
			}
			killed := make(chan error, 1)
			go func() {
				look := time.NewTicker(5 * time.Millisecond)
				defer look.Stop()
				late := time.After(time.Minute)
				for pid := 0; ; {
					select {
					case <-look.C:
					case <-late:
						killed <- errors.New("no machine was switched on within a minute")
						return
					}
					if pid != 0 { // it has begun to start
						killed <- hurt(pid)
						return
					}
					for _, pid = range machinesIn(dir) {
						look.Reset(100 * time.Millisecond)
						break
					}
				}
			}()
			r := output(t, command("run", "--rig", "rig.yaml", "--out", "out", "con-boot-interrupt"))
			require.NoError(t, <-killed)
			if sig == syscall.SIGSTOP && r.code == 3 {
				return // it hung between two looks: a silence, which says nothing
			}
			assert.Equal(t, 75, r.code, "%v", r)
			assert.Contains(t, r.stdout, "ERROR")
			assert.NotContains(t, r.stdout, " passed")
			if says := map[string]string{"dies": "signal: segmentation fault", "its image goes": "disk disk: stat "}[name]; says != "" {
				assert.Contains(t, r.stdout, says)
			}
		})
	}
}

// What a machine needs and has not is said, and nothing passes.
func TestMachineIsMissing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, taken.Close()) })
	for _, tt := range []struct {
		name, old, new, says string
		code                 int
	}{
		{"no QEMU", "qemu: qemu-system-aarch64", "qemu: /nowhere/qemu-system-aarch64", "apt-get install qemu-system-arm", 75},
		{"no image", "file: disk.img", "file: gone.img", "disk disk: open ", 75},
		{"QEMU refuses", "cortex-a53", "cortex-x99", "does not start: exit status 1", 75},
		{"QEMU is too old", "qemu: qemu-system-aarch64", "qemu: ./old", "is QEMU 5.2, too old: at least 6.2 is needed", 75},
		{"it is no QEMU", "qemu: qemu-system-aarch64", "qemu: /bin/echo", "which is no QEMU's", 75},
		{"a port is taken", "-bios, BIOS", "-bios, BIOS, -gdb, 'tcp:" + taken.Addr().String() + "'", "Address already in use", 75},
		{"no machine's file", boardRig[strings.Index(boardRig, "    qemu: "):strings.Index(boardRig, "power: ")], "    file: gone/machine.json\n", "nothing was run: machine dut: stat ", 2},
		{"a line that it has not", "line: led", "line: lde", `machine dut has no line "lde"; did you mean "led"?`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, command := board(t)
			text := boardFile(dir)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), []byte("#!/bin/sh\necho QEMU emulator version 5.2.0\n"), 0o700))
			tt.old, tt.new = strings.ReplaceAll(tt.old, "BIOS", bootLoader), strings.ReplaceAll(tt.new, "BIOS", bootLoader)
			require.Contains(t, text, tt.old)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "rig.yaml"), []byte(strings.Replace(text, tt.old, tt.new, 1)), 0o600))
			r := output(t, command("run", "--rig", "rig.yaml", "--out", "out", "con-boot-interrupt"))
			assert.Equal(t, tt.code, r.code, "%v", r)
			assert.Contains(t, r.stdout+r.stderr, tt.says)
			assert.NotContains(t, r.stdout, " passed")
		})
	}
}

// A person who looks at the console of an emulated device sees it start: nothing
// else could have switched it on.
func TestMachineConsole(t *testing.T) {
	t.Parallel()
	_, command := board(t)
	cmd := command("console", "--rig", "rig.yaml")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said strings.Builder
	buf := make([]byte, 512)
	for !strings.Contains(said.String(), "U-Boot 20") {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			break
		}
	}
	assert.Contains(t, said.String(), "U-Boot 20")
	_, err = in.Write([]byte{0x1d})
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, out)
	require.NoError(t, cmd.Wait())
}
