package rig

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ports looks whether somebody else is on the serial ports: a getty would
// answer the DUT's boot messages and eat its output.
func (v *visit) ports() {
	var users *portUsers
	for _, name := range sortedNames(v.file.Consoles) {
		cfg := v.file.Consoles[name]
		if cfg.Driver != "serial" {
			continue
		}
		part := ConsolePart(name)
		dev := resolveLink(v.Root, cfg.Port)
		if strings.HasPrefix(dev, "/dev/pts/") {
			v.ok("getty", part, "%s is a pseudo-terminal: its other end is a program's", dev)
			continue
		}
		if remedy := v.gettyOn(path.Base(dev)); remedy != "" {
			v.broken("getty", part, "%s: %s", dev, remedy)
			continue
		}
		if users == nil {
			users = scanUsers(v.Root, v.PID)
		}
		if who := users.of[dev]; len(who) > 0 {
			v.broken("getty", part, "%s is open in %s: end it", dev, strings.Join(who, ", "))
			continue
		}
		switch {
		case users.err != nil:
			v.skipped("getty", part, "who has %s open is not known: %v", dev, users.err)
		case users.hidden > 0:
			v.ok("getty", part, "no getty is configured on %s; the open files of %d processes of other users are not visible", dev, users.hidden)
		default:
			v.ok("getty", part, "nobody else has %s open", dev)
		}
	}
}

// resolveLink follows a device's link (by-id, by-path, serial0) within root.
func resolveLink(root fs.FS, name string) string {
	name = path.Clean("/" + name)
	for range 8 {
		to, err := fs.ReadLink(root, strings.TrimPrefix(name, "/"))
		if err != nil {
			return name
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(name), to)
		}
		name = path.Clean(to)
	}
	return name
}

// gettyOn says how to get rid of a getty or a kernel console on a terminal, or
// nothing. Units under "wants" start at each boot (systemd-getty-generator(8)
// puts them there for a console= of the kernel's).
func (v *visit) gettyOn(tty string) string {
	unit := "serial-getty@" + tty + ".service"
	masked := false
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system"} {
		to, err := fs.ReadLink(v.Root, path.Join(dir, unit))
		masked = masked || err == nil && to == "/dev/null"
	}
	if !masked {
		for _, dir := range []string{"etc/systemd/system", "run/systemd/system", "run/systemd/generator"} {
			wanted, err := fs.Glob(v.Root, path.Join(dir, "*.wants"))
			if err != nil {
				continue
			}
			for _, w := range wanted {
				if there(v.Root, path.Join(w, unit)) {
					return fmt.Sprintf("a getty starts there at each boot: systemctl mask --now %s", unit)
				}
			}
		}
	}
	if slices.Contains(kernelConsoles(v.Root), tty) {
		return fmt.Sprintf("the kernel writes its messages there: remove console=%s from the kernel's command line (a Pi's cmdline.txt)", tty)
	}
	return ""
}

// there says whether a name is in its folder, without following it: the links
// of units are absolute, and may lead nowhere for us.
func there(root fs.FS, name string) bool {
	_, err := fs.Lstat(root, name)
	return err == nil
}

func kernelConsoles(root fs.FS) []string {
	line, err := fs.ReadFile(root, "proc/cmdline")
	if err != nil {
		return nil
	}
	var ttys []string
	for _, word := range strings.Fields(string(line)) {
		if tty, ok := strings.CutPrefix(word, "console="); ok {
			tty, _, _ = strings.Cut(tty, ",")
			ttys = append(ttys, tty)
		}
	}
	return ttys
}

// portUsers tells which processes outside our own tree have terminals open.
type portUsers struct {
	of     map[string][]string // device → "agetty (process 412)"
	hidden int                 // processes whose files we may not see
	err    error
}

func scanUsers(root fs.FS, self int) *portUsers {
	u := &portUsers{of: map[string][]string{}}
	procs, err := fs.ReadDir(root, "proc")
	if err != nil {
		u.err = err
		return u
	}
	parent := map[int]int{}
	var pids []int
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		stat, err := fs.ReadFile(root, path.Join("proc", p.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		parent[pid] = parentOf(stat)
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if within(parent, pid, self) {
			continue
		}
		dir := path.Join("proc", strconv.Itoa(pid))
		fds, err := fs.ReadDir(root, path.Join(dir, "fd"))
		if err != nil {
			u.hidden++
			continue
		}
		seen := map[string]bool{}
		for _, fd := range fds {
			to, err := fs.ReadLink(root, path.Join(dir, "fd", fd.Name()))
			if err != nil || !strings.HasPrefix(to, "/dev/") || seen[to] {
				continue
			}
			seen[to] = true
			comm, _ := fs.ReadFile(root, path.Join(dir, "comm"))
			u.of[to] = append(u.of[to], fmt.Sprintf("%q (process %d)", strings.TrimSpace(string(comm)), pid))
		}
	}
	return u
}

// parentOf reads the fourth field of /proc/PID/stat (proc_pid_stat(5)). The
// second is a program's name in parentheses, and may hold anything.
func parentOf(stat []byte) int {
	s := string(stat)
	i := strings.LastIndexByte(s, ')')
	if i < 0 {
		return 0
	}
	fields := strings.Fields(s[i+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}

// within says whether pid is self or descends from it.
func within(parent map[int]int, pid, self int) bool {
	for range 100 { // a table that was read while processes ended may have a loop
		if pid == self {
			return true
		}
		next, ok := parent[pid]
		if !ok || next == 0 || next == pid {
			return false
		}
		pid = next
	}
	return false
}
