package profile

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Debug says which debug ports and ROM loaders the model has, and how far each lets in
// whoever can touch it.
type Debug struct {
	None    `yaml:",inline"`
	Ports   Section[*DebugPort] `yaml:"ports"`
	Loaders Section[*Loader]    `yaml:"loaders"`
}

// Protocols of a debug port.
const (
	SWD  = "swd"
	JTAG = "jtag"
)

// DebugPort is one debug port, on pads of the board.
type DebugPort struct {
	None     `yaml:",inline"`
	Protocol string            `yaml:"protocol"` // swd, jtag
	Pads     map[string]string `yaml:"pads"`     // role: the pad's name on the board
	DP       DebugDP           `yaml:"dp"`
	TAPs     []int64           `yaml:"taps"` // jtag: the IDCODEs, TDO's end first; 0 for a TAP without
	// Level is the most open one that the maker declares, in any phase: "L0" (it never
	// answers) to "L5". What is more open than declared is a failure, whatever the policy.
	Level string `yaml:"level"`
	Lock  string `yaml:"lock"` // what names the lock: a file of harness/debugport/lock, or "none"
	// Reset is the rig's line that holds the DUT in reset, on the port's own connector.
	Reset string `yaml:"reset"`
	// Sweep is how long after the release of the reset the port is looked at in small
	// steps; DefaultSweep where it is 0.
	Sweep time.Duration `yaml:"sweep"`
	// Phases are those that a plain start does not go through.
	Phases Section[*DebugPhase] `yaml:"phases"`
	Memory []DebugMemory        `yaml:"memory"`
}

// DebugDP is the debug port behind the pads.
type DebugDP struct {
	Version int `yaml:"version"` // 1, 2, 3; 0 where it is not said
	// Targets are the TARGETSEL values of a multidrop port, instance included.
	Targets []int64 `yaml:"targets"`
}

// DebugPhase is how a phase of the DUT's life begins and ends that a start does not go
// through.
type DebugPhase struct {
	None  `yaml:",inline"`
	Enter []Step   `yaml:"enter"`
	Leave []Step   `yaml:"leave"` // a power cycle where there is none
	Needs []string `yaml:"needs"` // what the rig must allow besides
}

// DebugMemory is a piece of memory of which it is known what is there.
type DebugMemory struct {
	At     int64  `yaml:"at"`
	Length int    `yaml:"length"` // in bytes
	What   string `yaml:"what"`   // flash, ram, fuse, peripheral
	SHA256 string `yaml:"sha256"` // of what is there, in hex
	// Image is where in the maker's current image (images.current) it begins; nil where
	// it is not of that.
	Image *int64 `yaml:"image"`
}

// Known says whether it is said what is there.
func (m DebugMemory) Known() bool { return m.SHA256 != "" || m.Image != nil }

// Loader is a ROM loader, that straps or a button lead to, on one of the consoles' wires.
type Loader struct {
	None    `yaml:",inline"`
	ROM     string   `yaml:"rom"`     // esp32, stm32, banner
	Console string   `yaml:"console"` // whose wires it speaks on
	Enter   []Step   `yaml:"enter"`
	Leave   []Step   `yaml:"leave"` // a power cycle where there is none
	Banner  Pattern  `yaml:"banner"`
	Permits []string `yaml:"permits"` // what it is declared to let through; nothing where it is empty
}

// What a ROM loader can let through.
const (
	PermitsRead  = "read"  // memory is given out
	PermitsWrite = "write" // memory is taken in: code of one's own, or firmware
	PermitsErase = "erase" // the device can be wiped
	PermitsRun   = "run"   // code of one's own is started
)

// DefaultSweep is how long after the release of its reset a DUT is looked at in small
// steps.
const DefaultSweep = 500 * time.Millisecond

// Phases that a start does not go through.
const (
	PhaseSleep    = "sleep"
	PhaseUpdate   = "update"
	PhaseRecovery = "recovery"
)

// padRoles are the roles of pads by protocol: those that it cannot do without first.
var padRoles = map[string]struct{ must, may []string }{
	SWD:  {[]string{"clk", "io"}, []string{"vref"}},
	JTAG: {[]string{"tck", "tms", "tdi", "tdo"}, []string{"ntrst", "vref"}},
}

// word says whether a number is one of 32 bits.
func word(n int64) bool { return n >= 0 && n < 1<<32 }

// Levels are those of the access ladder, least open first.
var Levels = []string{"L0", "L1", "L2", "L3", "L4", "L5"}

// SweepTime gives how long the DUT is looked at after its release.
func (p *DebugPort) SweepTime() time.Duration {
	if p.Sweep > 0 {
		return p.Sweep
	}
	return DefaultSweep
}

// PadNames gives the pads that any debug port names, each once, sorted.
func (d *Debug) PadNames() []string {
	seen := map[string]bool{}
	for _, p := range d.Ports.Items {
		for _, pad := range p.Pads {
			seen[pad] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// debugLists are the lists of steps of the section.
func (p *Profile) debugLists() (out []StepList) {
	for _, name := range p.Debug.Ports.Order {
		for _, ph := range p.Debug.Ports.Items[name].Phases.Order {
			at := []string{"debug", "ports", name, "phases", ph}
			d := p.Debug.Ports.Items[name].Phases.Items[ph]
			out = append(out, StepList{Path: append(slices.Clone(at), "enter"), Steps: d.Enter},
				StepList{Path: append(slices.Clone(at), "leave"), Steps: d.Leave, GoesOn: true})
		}
	}
	for _, name := range p.Debug.Loaders.Order {
		at := []string{"debug", "loaders", name}
		l := p.Debug.Loaders.Items[name]
		out = append(out, StepList{Path: append(slices.Clone(at), "enter"), Steps: l.Enter},
			StepList{Path: append(slices.Clone(at), "leave"), Steps: l.Leave, GoesOn: true})
	}
	return out
}

// debug holds what is declared of debug ports against itself.
func (l *linter) debug() {
	d := &l.p.Debug
	if l.p.Source.Has("debug") && !d.Declared() && !d.Ports.Given && !d.Loaders.Given {
		l.errorf([]string{"debug"}, `give ports and loaders, or none: "why there is none"`, "debug says nothing")
	}
	taken := map[string]string{}
	for _, name := range d.Ports.Order {
		if p := d.Ports.Items[name]; !p.Declared() {
			l.debugPort([]string{"debug", "ports", name}, name, p, taken)
		}
	}
	for _, name := range d.Loaders.Order {
		if o := d.Loaders.Items[name]; !o.Declared() {
			l.loader([]string{"debug", "loaders", name}, name, o)
		}
	}
}

func (l *linter) debugPort(at []string, name string, p *DebugPort, taken map[string]string) {
	key := func(keys ...string) []string { return append(slices.Clone(at), keys...) }
	roles, ok := padRoles[p.Protocol]
	if !ok {
		l.errorf(key("protocol"), "write protocol: swd, or protocol: jtag", "port %s speaks %q", name, p.Protocol)
		return
	}
	for _, r := range roles.must {
		if p.Pads[r] == "" {
			l.errorf(key("pads"), "write "+r+": PAD, as the pad is called on the board", "port %s does not say which pad is %s", name, r)
		}
	}
	for _, r := range slices.Sorted(maps.Keys(p.Pads)) {
		all := slices.Concat(roles.must, roles.may)
		pad := p.Pads[r]
		switch {
		case !slices.Contains(all, r):
			l.errorf(key("pads", r), near(r, all), "a port of %s has no pad %q", p.Protocol, r)
		case pad == "":
		case taken[pad] != "" && r != "vref":
			l.errorf(key("pads", r), "name another pad, or make one port of them", "pad %s is %s already", pad, taken[pad])
		default:
			taken[pad] = r + " of " + name
		}
	}
	if p.Level == "" {
		l.errorf(at, "write level: L1, or the most open one that the port has in any phase", "how far port %s lets in is not said", name)
	} else {
		l.oneOf(key("level"), p.Level, Levels...)
	}
	if v := p.DP.Version; v < 0 || v > 3 {
		l.errorf(key("dp", "version"), "write 1, 2 or 3", "a debug port has no version %d", v)
	}
	for i, t := range p.DP.Targets {
		if t&1 == 0 || !word(t) {
			l.errorf(key("dp", "targets", strconv.Itoa(i)), "write the value of TARGETSEL, as 0x01002927: bit 0 is set", "0x%08x is no target", t)
		}
	}
	for i, t := range p.TAPs {
		if t != 0 && t&1 == 0 || !word(t) {
			l.errorf(key("taps", strconv.Itoa(i)), "write the IDCODE, as 0x4ba00477: bit 0 is set; or 0 for a TAP that has none", "0x%08x is no IDCODE", t)
		}
	}
	if p.Sweep < 0 || p.Sweep > 10*time.Second {
		l.errorf(key("sweep"), "write a time up to 10s", "sweep is %v", p.Sweep)
	}
	l.debugPhases(key, p)
	for i, m := range p.Memory {
		l.debugMemory(key("memory", strconv.Itoa(i)), m)
	}
}

// debugPhases holds the phases to those that there are.
func (l *linter) debugPhases(key func(keys ...string) []string, p *DebugPort) {
	phases := []string{PhaseSleep, PhaseUpdate, PhaseRecovery}
	for _, ph := range p.Phases.Order {
		d := p.Phases.Items[ph]
		switch {
		case !slices.Contains(phases, ph):
			l.errorf(key("phases", ph), near(ph, phases), "there is no phase %q that would have to be declared", ph)
		case !d.Declared() && len(d.Enter) == 0:
			l.errorf(key("phases", ph), `give enter, or none: "why there is none"`, "how phase %s begins is not said", ph)
		}
		for i, need := range d.Needs {
			if !slices.Contains(Leaves(), need) {
				l.errorf(key("phases", ph, "needs", strconv.Itoa(i)), near(need, Leaves()), "nothing is called %q that a rig could allow", need)
			}
		}
	}
}

func (l *linter) debugMemory(at []string, m DebugMemory) {
	key := func(k string) []string { return append(slices.Clone(at), k) }
	if m.Length < 4 || m.Length > 1<<20 || m.Length%4 != 0 {
		l.errorf(at, "give it at, and length: 4 to 1048576, a multiple of 4", "a piece of memory has %d bytes", m.Length)
	}
	if m.At%4 != 0 || !word(m.At) {
		l.errorf(key("at"), "write an address that is a multiple of 4", "0x%08x is no address of a word", m.At)
	}
	l.oneOf(key("what"), m.What, "flash", "ram", "fuse", "peripheral")
	if b, err := hex.DecodeString(m.SHA256); m.SHA256 != "" && (err != nil || len(b) != 32 || strings.ToLower(m.SHA256) != m.SHA256) {
		l.errorf(key("sha256"), "write it in 64 small hex digits", "sha256 is %q", m.SHA256)
	}
	if m.Image != nil && (*m.Image < 0 || m.SHA256 != "") {
		l.errorf(key("image"), "write where in the current image it begins, and no sha256 beside it", "image is %d", *m.Image)
	}
}

// loaderROMs are the ROM loaders that can be spoken to.
var loaderROMs = []string{"esp32", "stm32", "banner"}

func (l *linter) loader(at []string, name string, o *Loader) {
	key := func(k string) []string { return append(slices.Clone(at), k) }
	if o.ROM == "" {
		l.errorf(at, "write rom: "+strings.Join(loaderROMs, ", or rom: "), "what loader %s speaks is not said", name)
	} else {
		l.oneOf(key("rom"), o.ROM, loaderROMs...)
	}
	switch {
	case o.Console == "":
		l.errorf(at, "write console: NAME, whose wires it speaks on", "on which wires loader %s speaks is not said", name)
	case l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[o.Console] == nil:
		l.errorf(key("console"), near(o.Console, l.p.Consoles.Order), "no console %q is declared", o.Console)
	}
	if len(o.Enter) == 0 {
		l.errorf(at, "give enter: the steps that hold its straps and start the device", "how loader %s is come to is not said", name)
	}
	permits := []string{PermitsRead, PermitsWrite, PermitsErase, PermitsRun}
	for i, p := range o.Permits {
		if !slices.Contains(permits, p) {
			l.errorf(append(key("permits"), strconv.Itoa(i)), near(p, permits), "a loader permits no %q", p)
		}
	}
}
