package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The oldest QEMU that is taken: before it the chip's inputs float (hw/gpio/pl061).
const (
	minMajor = 6
	minMinor = 2
)

var versionForm = regexp.MustCompile(`version (\d+)\.(\d+)`)

// missing tells how to get a program.
func missing(program string, err error) error {
	pkg := "qemu-system"
	switch filepath.Base(program) {
	case "qemu-system-aarch64", "qemu-system-arm":
		pkg = "qemu-system-arm"
	case "qemu-img":
		pkg = "qemu-utils"
	}
	return fmt.Errorf("%w: apt-get install %s, or what has it here", err, pkg)
}

// findProgram finds QEMU and looks how old it is.
func findProgram(ctx context.Context, conf Config) (string, error) {
	program := conf.Spec.QEMU
	if strings.Contains(program, "/") {
		program = under(conf.Dir, program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", missing(program, err)
	}
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	v := versionForm.FindSubmatch(out)
	if v == nil {
		return "", fmt.Errorf("%s --version: it answered %.80q, which is no QEMU's", path, out)
	}
	major, _ := strconv.Atoi(string(v[1])) // digits; one too long is very new
	minor, _ := strconv.Atoi(string(v[2]))
	if major < minMajor || major == minMajor && minor < minMinor {
		return "", fmt.Errorf("%s is QEMU %d.%d, too old: at least %d.%d is needed", path, major, minor, minMajor, minMinor)
	}
	if len(conf.Spec.Disks) > 0 {
		if _, err := exec.LookPath("qemu-img"); err != nil {
			return "", missing("qemu-img", err)
		}
	}
	return path, nil
}

// ScratchDir gives the folder for one machine of a rig, of this user alone; a later
// process, such as a guard, finds it by the same names.
func ScratchDir(rig, machine string) (string, error) {
	base := filepath.Join(os.TempDir(), "rigor-machines-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make a folder for machines: %w", err)
	}
	info, err := os.Lstat(base)
	if err != nil {
		return "", fmt.Errorf("the folder for machines: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || ok && int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not a folder of ours alone: remove it, or set TMPDIR to another place", base)
	}
	return filepath.Join(base, rig+"."+machine), nil
}

// makeScratch makes the folder anew. What a killed process left is ended first.
func makeScratch(dir string) error {
	if strings.ContainsAny(dir, ",\n") {
		return fmt.Errorf("the folder for machines %q has a comma, which QEMU reads in its own way: set TMPDIR to another place", dir)
	}
	if err := (&Leftover{dir: dir}).End(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for the machine's disks: %w", err)
	}
	return nil
}

// makeOverlays makes a disk for each image, into which the device writes in its
// place. Those that are there are kept.
func (m *Machine) makeOverlays(ctx context.Context) error {
	for _, d := range m.conf.Spec.Disks {
		over := m.overlay(d)
		if _, err := os.Stat(over); err == nil && m.made[d.Role] && !d.Snapshot {
			continue
		}
		file := under(m.conf.Dir, d.File)
		cmd := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", d.Format, "-b", file, over)
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("disk %s: qemu-img: %w: %.300q", d.Role, err, bytes.TrimSpace(out))
		}
		m.made[d.Role] = true
	}
	return nil
}

func (m *Machine) overlay(d Disk) string { return filepath.Join(m.conf.Scratch, d.Role+".qcow2") }

const recordFile = "process.json"

// record is what a later process has to know to end this one's machine.
type record struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the boot, by which a reused PID is told
}

func writeRecord(dir string, pid int) error {
	start, err := startOf(pid)
	if err != nil {
		return nil // it has ended already, which is said elsewhere; or this is no Linux
	}
	b, err := json.Marshal(record{pid, start})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, recordFile), b, 0o600)
}

// startOf reads when a process began (proc(5), stat, field 22).
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	const at = 22 - 3 // the first field behind the name is the third
	if len(fields) <= at || fields[0] == "Z" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(fields[at], 10, 64)
}

// Leftover is what a process that was killed may have left of a machine.
type Leftover struct{ dir string }

// Left gives what may be left in a machine's folder.
func Left(scratch string) *Leftover { return &Leftover{scratch} }

// process gives the PID of a machine that runs still, 0 where none does.
func (l *Leftover) process() (int, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("what is left of a machine: %w", err)
	}
	var r record
	if json.Unmarshal(b, &r) != nil || r.PID <= 1 {
		return 0, nil // cut short: whoever wrote it died, and its machine with it
	}
	if start, err := startOf(r.PID); err != nil || start != r.Start {
		return 0, nil
	}
	return r.PID, nil
}

// End kills it, if it is there, and removes its folder.
func (l *Leftover) End() error {
	pid, err := l.process()
	if err != nil {
		return err
	}
	if pid != 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // gone meanwhile: that is what is wanted
		_ = syscall.Kill(pid, syscall.SIGKILL)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(killWithin); pid != 0 && time.Now().Before(end); <-tick.C {
			if pid, err = l.process(); err != nil {
				return err
			}
		}
		if pid != 0 {
			return fmt.Errorf("the machine of an earlier run, process %d, does not end", pid)
		}
	}
	return os.RemoveAll(l.dir)
}
