package rigs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rigor/fixtures/virtual"
	"rigor/harness/rig"
	"rigor/harness/strictyaml"
)

// Wires of the built-in device, as a rig file names them.
var (
	virtualPorts = []string{"aux", "main"}
	virtualLines = []string{virtual.PinBoot, virtual.PinButton, flashLine, virtual.PinLED, virtual.PinReset}
)

// checkVirtual holds what a rig file says of the built-in device against what
// that has. The error is a strictyaml.Errors.
func checkVirtual(f *rig.File) error {
	var errs strictyaml.Errors
	wrong := func(err error, at ...string) {
		if err != nil {
			errs = append(errs, &strictyaml.Error{Pos: f.Source.Pos(at...), What: err.Error()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Lines)) {
		if l := f.Lines[name]; l.Driver == "virtual" {
			wrong(Known("line of the built-in device", l.Line, virtualLines), "lines", name, "line")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Consoles)) {
		if c := f.Consoles[name]; c.Driver == "virtual" {
			wrong(Known("port of the built-in device", c.Port, virtualPorts), "consoles", name, "port")
		}
	}
	if p := f.Pads; p != nil && p.Driver == "virtual" {
		for _, pad := range p.Names() {
			wrong(Known("pad of the built-in device", p.At[pad], virtual.PadNames()), "pads", "at", pad)
		}
	}
	if v := f.Virtual; v != nil {
		for i, name := range v.Weaknesses {
			wrong(Weakness(name), "virtual", "weaknesses", strconv.Itoa(i))
		}
		for i, name := range v.Faults {
			wrong(Fault(name), "virtual", "faults", strconv.Itoa(i))
		}
	}
	if len(errs) > 0 {
		return errs.Arrange()
	}
	return nil
}

// Weakness says what could have been meant by a name of no weakness.
func Weakness(name string) error {
	var names []string
	for _, w := range virtual.Weaknesses() {
		names = append(names, w.Name)
	}
	return Known("weakness", name, names)
}

// Fault says what could have been meant by a name of no bench fault. One that
// begins at an operation may have its number, as NAME:N.
func Fault(full string) error {
	var names []string
	counts := map[string]bool{}
	for _, f := range virtual.Faults() {
		names = append(names, f.Name)
		counts[f.Name] = f.Counts
	}
	name, num, given := strings.Cut(full, ":")
	if err := Known("bench fault", name, names); err != nil || !given {
		return err
	}
	if n, err := strconv.Atoi(num); err != nil || n < 1 || !counts[name] {
		return fmt.Errorf("bench fault %q has no such number; write %s:N with N from 1, and only for one that begins at an operation", full, name)
	}
	return nil
}

// Known says what could have been meant by a name that is none of those that
// there are.
func Known(what, name string, names []string) error {
	if slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("no %s is called %q; %s", what, name, Meant(name, names, "rigor validate --list"))
}

// Meant is the remedy for a name that is none of those that there are: the nearest one,
// those that have it in them, or all. Where these would fill a screen, it is the command
// that shows them.
func Meant(name string, names []string, list string) string {
	const few = 20
	if best := strictyaml.Nearest(name, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(names) <= few {
		return "there are " + strings.Join(names, ", ")
	}
	have := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.Contains(n, strings.ToLower(name)) })
	switch n := len(have); {
	case n == 0 || name == "":
		return fmt.Sprintf("there are %d; see %s", len(names), list)
	case n > few:
		return fmt.Sprintf("%d have that in them; see %s", n, list)
	}
	return "did you mean one of " + strings.Join(have, ", ") + "?"
}
