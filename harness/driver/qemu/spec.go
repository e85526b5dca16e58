// Package qemu gives an emulated device as the instruments of a rig: its process is
// the supply, its monitor the reset, its GPIO chip the lines, its UARTs the
// consoles, and its network card hangs on a cable.
//
// All sockets between us and QEMU are pairs that it inherits: none has a name
// that somebody else could have taken, or that would be left behind. What QEMU
// writes to its disks goes into overlays, which last as long as the rig is bound:
// a device keeps its flash from one boot to the next, and each run begins with the
// images as they are.
package qemu

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rigor/harness/strictyaml"
)

// Spec describes a machine, in a rig file or in a file of its own, which whoever
// builds an image writes beside it.
type Spec struct {
	// QEMU is the program: qemu-system-aarch64.
	QEMU string `yaml:"qemu"`
	// Args is its command line, but for serial lines, the network card on the cable,
	// and the monitor, which are added. ${dir} stands for the folder of the file.
	Args []string `yaml:"args"`
	// Disks are all images that it may write to. A -drive of Args that names the file
	// of one gets its overlay in place; any other disk is added.
	Disks []Disk `yaml:"disks"`
	// NIC is the network card on the cable as -device names it; virtio-net-pci where
	// empty. MAC is its hardware address; without one there is no card.
	NIC   string `yaml:"nic"`
	MAC   string `yaml:"mac"`
	PL061 *Chip  `yaml:"pl061"`
	// Address is the device's own, for the reader.
	Address string `yaml:"address"`
}

// Disk is an image.
type Disk struct {
	File   string `yaml:"file"`   // relative to the folder of the file that names it
	Format string `yaml:"format"` // raw, qcow2
	// Role is its name among the machine's: a device of args may ask for it as
	// drive=ROLE. One that begins with "pflash" is flash memory; any other that no
	// argument names gets a virtio-blk-pci device.
	Role string `yaml:"role"`
	// Snapshot says that what is written is lost with the supply, as a disk in
	// memory does. Any other keeps it until the rig is closed.
	Snapshot bool `yaml:"snapshot"`
}

// Chip is the machine's GPIO chip.
type Chip struct {
	// Path is its place in QEMU's tree of objects; where empty, it is the first
	// pl061.
	Path  string         `yaml:"path"`
	Lines map[string]int `yaml:"lines"` // name → number
}

// ResetLine is the line that every machine has: its own reset input.
const ResetLine = "reset"

const (
	maxDisks = 16
	maxLine  = 255
)

var (
	roleForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	refForm  = regexp.MustCompile(`\$\{[^}]*\}?`)
	pathForm = regexp.MustCompile(`^/[A-Za-z0-9/\[\]_.-]+$`)
)

// Load reads a machine's file, JSON or YAML. Paths in it start at its folder. The
// error is a strictyaml.Errors where its text is wrong.
func Load(path string) (Spec, error) {
	var s Spec
	data, err := strictyaml.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read the machine's file: %w", err)
	}
	src, err := strictyaml.Decode(path, data, &s)
	if err != nil {
		return s, err
	}
	var errs strictyaml.Errors
	for _, m := range s.Mistakes() {
		errs = append(errs, src.Errorf(m.At, m.Remedy, "%s", m.What))
	}
	if len(errs) > 0 {
		return s, errs.Arrange()
	}
	return s, nil
}

// Mistake is one thing that is wrong with a Spec.
type Mistake struct {
	At           []string // keys that lead to it
	What, Remedy string
}

// never are arguments that would take away what the driver stands on.
var never = map[string]string{
	"-daemonize": "the machine has to end with its rig",
	"-serial":    "name the serial lines as consoles of the rig",
	"-S":         "the rig starts the machine",
	"-qmp":       "the rig has the monitor",
	"-qtest":     "the rig has it",
	"-snapshot":  "it loses at each boot what the device wrote; leave it out: overlays are made for each run",
	"-no-reboot": "a device that restarts itself would be off",
	"-hda":       asDisk, "-hdb": asDisk, "-hdc": asDisk, "-hdd": asDisk, "-sd": asDisk, "-pflash": asDisk, "-mtdblock": asDisk, "-fda": asDisk, "-blockdev": asDisk,
}

const asDisk = "name the image under disks, so that it stays as it is"

// Mistakes lists what is wrong, by place.
func (s Spec) Mistakes() []Mistake {
	var out []Mistake
	add := func(what, remedy string, at ...string) {
		out = append(out, Mistake{At: at, What: what, Remedy: remedy})
	}
	if s.QEMU == "" {
		add("the machine has no qemu", "write qemu: qemu-system-aarch64, or which one it is")
	}
	for i, a := range s.Args {
		at := []string{"args", fmt.Sprint(i)}
		if why, no := never[strings.Replace(a, "--", "-", 1)]; no {
			add(fmt.Sprintf("%s cannot be among the arguments", a), why, at...)
		}
		if strings.Contains(a, "hostfwd") || strings.Contains(a, "guestfwd") {
			add("a forwarder of QEMU's user network takes connections for a port on which the device does not listen", "write network: {driver: qemu, …} in the rig file", at...)
		}
		for _, ref := range refForm.FindAllString(a, -1) {
			if ref != "${dir}" {
				add(fmt.Sprintf("%s stands for nothing", ref), "there is ${dir}, the folder of this file", at...)
			}
		}
		if i > 0 && strings.HasSuffix(s.Args[i-1], "-drive") {
			if file, ok := option(a, "file"); ok && s.disk(file) < 0 {
				add(fmt.Sprintf("the drive's file %s is not among the disks", file), asDisk, at...)
			}
		}
	}
	out = append(out, s.disks()...)
	if mac, err := net.ParseMAC(s.MAC); s.MAC != "" && (err != nil || len(mac) != 6 || mac[0]&1 != 0) {
		add(fmt.Sprintf("mac is %q", s.MAC), `write it in quotes, as "52:54:00:12:34:56"`, "mac")
	}
	if s.PL061 != nil {
		out = append(out, s.PL061.mistakes()...)
	}
	return out
}

// option gives one of the options that commas part.
func option(arg, name string) (value string, ok bool) {
	for o := range strings.SplitSeq(arg, ",") {
		if v, ok := strings.CutPrefix(o, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// disk gives which disk has a file, as an argument names it; -1 where none has.
func (s Spec) disk(file string) int {
	file = filepath.Clean(strings.TrimPrefix(file, "${dir}/"))
	return slices.IndexFunc(s.Disks, func(d Disk) bool { return filepath.Clean(d.File) == file })
}

func (s Spec) disks() (out []Mistake) {
	if len(s.Disks) > maxDisks {
		out = append(out, Mistake{[]string{"disks"}, fmt.Sprintf("there are %d disks", len(s.Disks)), fmt.Sprintf("at most %d", maxDisks)})
	}
	seen := map[string]bool{}
	for i, d := range s.Disks {
		add := func(key, what, remedy string) {
			out = append(out, Mistake{[]string{"disks", fmt.Sprint(i), key}, what, remedy})
		}
		if d.File == "" {
			add("file", "the disk has no file", "write file: disk.qcow2")
		}
		if d.Format != "raw" && d.Format != "qcow2" {
			add("format", fmt.Sprintf("format is %q", d.Format), "write raw or qcow2; a guess could be the device's to make")
		}
		if !roleForm.MatchString(d.Role) {
			add("role", fmt.Sprintf("role is %q", d.Role), "name it with small letters, digits and dashes: role: system")
		}
		if seen[d.Role] {
			add("role", fmt.Sprintf("two disks are called %q", d.Role), "one disk has one role")
		}
		if s.disk(d.File) != i {
			add("file", "two disks have the file "+d.File, "one image is one disk")
		}
		seen[d.Role] = true
		if strings.ContainsAny(d.File, ",\x00") {
			add("file", "the path has a comma", "QEMU reads it in its own way: take another name")
		}
	}
	return out
}

func (c *Chip) mistakes() (out []Mistake) {
	if c.Path != "" && !pathForm.MatchString(c.Path) {
		out = append(out, Mistake{[]string{"pl061", "path"}, fmt.Sprintf("path is %q", c.Path), "write it as qom-list has it, or leave it out"})
	}
	seen := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Lines)) {
		n, at := c.Lines[name], []string{"pl061", "lines", name}
		switch other, twice := seen[n]; {
		case name == ResetLine:
			out = append(out, Mistake{at, "the machine has a line reset already: that of the whole", "give the chip's line another name"})
		case n < 0 || n > maxLine:
			out = append(out, Mistake{at, fmt.Sprintf("line %s has the number %d", name, n), "write the line's number on the chip, from 0"})
		case twice:
			out = append(out, Mistake{at, fmt.Sprintf("line %d is claimed twice; %s has it already", n, other), "one wire has one name"})
		}
		seen[n] = name
	}
	return out
}

// Validate gives all mistakes as one error.
func (s Spec) Validate() error {
	var errs []error
	for _, m := range s.Mistakes() {
		errs = append(errs, fmt.Errorf("%s: %s; %s", strings.Join(m.At, "."), m.What, m.Remedy))
	}
	return errors.Join(errs...)
}

// LineNames lists what a line of a rig can be.
func (s Spec) LineNames() []string {
	names := []string{ResetLine}
	if s.PL061 != nil {
		names = append(names, slices.Sorted(maps.Keys(s.PL061.Lines))...)
	}
	return names
}

// mentions says whether an argument has a word of its options, such as drive=ROLE.
func (s Spec) mentions(word string) bool {
	return slices.ContainsFunc(s.Args, func(a string) bool { return slices.Contains(strings.Split(a, ","), word) })
}

// under gives a path that starts at a folder.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
