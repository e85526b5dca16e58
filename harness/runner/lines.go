package runner

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/vcd"
)

// linesName is the evidence of what was done to the DUT's lines and supply.
const linesName = "lines.vcd"

// watchLines begins the evidence of the rig's lines and supply, and gives what
// observes them; nil where the rig has neither.
func (r *record) watchLines(f *rig.File) func(rig.Op) {
	var wires []string
	if f.Power != nil {
		wires = append(wires, string(rig.PowerPart))
	}
	for name := range f.Lines {
		wires = append(wires, string(rig.LinePart(name)))
	}
	if len(wires) == 0 {
		return nil
	}
	slices.Sort(wires)
	file, err := r.cab.Create("", place(r.rig, linesName), journal.OnRig("what was done to the lines and the supply", r.rig), "text/x-vcd")
	if err != nil {
		slog.Error("What is done to the lines is not kept", "error", err)
		return nil
	}
	r.casts = append(r.casts, file)
	r.lines = vcd.New(file, time.Now(), wires)
	return func(op rig.Op) {
		v, ok := lineValues[op.Name]
		switch {
		case !ok:
		case op.Err != nil:
			r.lines.Change(op.Start.Add(op.Took), string(op.Part), vcd.Unknown)
		default:
			r.lines.Change(op.Start.Add(op.Took), string(op.Part), v)
		}
	}
}

// lineValues is what an operation makes of a line, or of the supply.
var lineValues = map[string]vcd.Value{"on": vcd.On, "off": vcd.Off, "assert": vcd.On, "release": vcd.Released}

// leftLines notes what the rig was left as, and ends the evidence of its lines.
func (r *record) leftLines(acts []rig.SafeAct) {
	if r.lines == nil {
		return
	}
	now := time.Now()
	for _, a := range acts {
		v, ok := lineValues[strings.TrimPrefix(a.Do, "power ")]
		if !ok || a.Error != "" {
			v = vcd.Unknown
		}
		r.lines.Change(now, string(a.Part), v)
	}
	if err := r.lines.End(now); err != nil {
		slog.Error("What was done to the lines is not whole", "error", err)
	}
}
