package survey

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rigor/harness/driver/gpio"
	"rigor/harness/driver/link"
	"rigor/harness/driver/serial"
	"rigor/harness/escape"
	"rigor/harness/strictyaml"
)

// Findings are all that was seen of a device and of the computer that it hangs on.
type Findings struct {
	Name string    `json:"name"` // that the files are to have
	At   time.Time `json:"at"`

	Ports []serial.Found `json:"ports,omitempty"`
	Chips []gpio.Chip    `json:"chips,omitempty"`
	// Pull gives the pull that a line of this computer has at its boot, "" where none
	// is known.
	Pull func(chip string, l gpio.ChipLine) string `json:"-"`

	Port    string   `json:"port,omitempty"` // that was listened on
	Heard   *Heard   `json:"heard,omitempty"`
	Console *Console `json:"console,omitempty"`
	Entered *Console `json:"entered,omitempty"` // what came after a newline

	Interface  string           `json:"interface,omitempty"`
	Address    string           `json:"address,omitempty"`
	Neighbours []link.Neighbour `json:"neighbours,omitempty"`
	Through    map[int]int      `json:"through,omitempty"` // DUT's port → port at Address
	Knocked    *Knocked         `json:"knocked,omitempty"`
	Looked     []int            `json:"-"` // ports that were knocked at

	Missing []string `json:"missing,omitempty"` // what was not found, and why
}

// Names of the two files.
const (
	RigFile     = "rig.yaml"
	ProfileFile = "profile.yaml"
)

// page is a draft. A line that begins with Todo is one to fill in: without that
// mark it is YAML, at its place.
type page struct{ strings.Builder }

// Todo begins a line that is to be filled in.
const Todo = "# TODO "

// Fill stands in a draft where only a person knows what to write.
const Fill = strictyaml.FillIn

// say writes a line of YAML.
func (p *page) say(format string, args ...any) { p.WriteString(fmt.Sprintf(format, args...) + "\n") }

// todo writes a line of YAML that is not so until somebody takes its mark away.
func (p *page) todo(format string, args ...any) { p.say(Todo+format, args...) }

// note writes a remark. It begins with words of ours, so that no text of the device
// makes a mark of it.
func (p *page) note(format string, args ...any) {
	p.WriteString("# " + Line(fmt.Sprintf(format, args...)) + "\n")
}

// Line gives a text of the device on one line, for a remark or a terminal.
func Line(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`, "\u0085", `\u{85}`).Replace(escape.Visible(s))
}

// Quote gives a text as a scalar of YAML on one line: in single quotes where all of
// it can be seen, else in double quotes with everything else written out. A byte
// that is no text reads back as U+FFFD.
func Quote(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	if escape.Tame(s) && !strings.ContainsAny(s, "\r\n\t") {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Todos counts the lines of a draft that are to be filled in.
func Todos(draft []byte) int {
	n := 0
	for l := range strings.SplitSeq(string(draft), "\n") {
		if strings.HasPrefix(l, Todo) {
			n++
		}
	}
	return n
}

// DraftRig writes a first rig file.
func DraftRig(f *Findings) []byte {
	p := &page{}
	p.note("A first rig file, by rigor init on %s: what was seen of this bench. Each line behind \"TODO\" is to be", f.At.UTC().Format(time.DateOnly))
	p.note("filled in: put it right, take the mark away with its blank, and ask rigor lint. A reference is in rigs/README.md.")
	p.say("rig: %s", f.Name)
	p.say("profile: %s", ProfileFile)
	p.note("What stands on the unit's label. The serial number is read from the DUT before anything is altered.")
	if mac := f.mac(); mac != "" {
		p.todo("unit: {serial: %s, mac: %q}", Fill, mac)
	} else {
		p.todo("unit: {serial: %s}", Fill)
	}
	p.note("What may be done to this unit beyond reading: also config, reset, power-cut.")
	p.todo("allow: [login-tries, power]")
	f.wires(p)
	f.rigConsole(p)
	f.rigNetwork(p)
	p.note("Where the owner's password is read from: it never stands in a file of Rigor's.")
	p.todo("secrets: {operator: env:OPERATOR_PASSWORD}")
	f.missing(p)
	return []byte(p.String())
}

// missing lists what was not found.
func (f *Findings) missing(p *page) {
	if len(f.Missing) == 0 {
		return
	}
	p.note("What was not found:")
	for _, m := range f.Missing {
		p.note("- %s", m)
	}
}

// mac is the hardware address of the DUT, where it is known which neighbour that is.
func (f *Findings) mac() string {
	for _, n := range f.Neighbours {
		if f.Address != "" && n.Addr.String() == f.Address {
			return n.MAC
		}
	}
	return ""
}

// wires are the supply and the lines: which of them goes where nobody can see.
func (f *Findings) wires(p *page) {
	up, down := f.free()
	p.note("The supply. Which wire switches it cannot be seen from here; others are driver: http (a network switch) and exec.")
	switch {
	case len(down) > 0:
		p.todo("power: {driver: gpio, %s, active: high, off-settle: 2s, rest: off, proof: cold-boot}", down[0])
		down = down[1:]
	case len(up) > 0:
		p.todo("power: {driver: gpio, %s, active: low, off-settle: 2s, rest: off, proof: cold-boot}", up[0])
		up = up[1:]
	default:
		p.todo("power: {driver: ask, ask: %s, off-settle: 2s, rest: off, proof: cold-boot}", Quote("which supply a person switches, "+Fill))
	}
	if free := slices.Concat(up, down); len(free) > 1 {
		p.todo("lines:")
		p.todo("  reset: {driver: gpio, %s, active: low, drive: open-drain}", free[0])
		p.todo("  button: {driver: gpio, %s, active: low, drive: open-drain}", free[1])
	}
	for _, c := range f.Chips {
		var lines []string
		for i, l := range c.Lines {
			if i == 64 {
				lines = append(lines, fmt.Sprintf("and %d more", len(c.Lines)-i))
				break
			}
			lines = append(lines, f.line(c.Name, l))
		}
		p.note("GPIO lines of %s (%s): %s", c.Name, c.Label, strings.Join(lines, ", "))
	}
}

// line names a line for a reader.
func (f *Findings) line(chip string, l gpio.ChipLine) string {
	s := l.Name
	if s == "" || l.Shared {
		s = fmt.Sprintf("line: %d with chip: %s", l.Offset, chip)
	}
	var is []string
	if f.Pull != nil {
		if pull := f.Pull(chip, l); pull != "" {
			is = append(is, "pulled "+pull+" at boot")
		}
	}
	if l.Holder != "" {
		is = append(is, "in use by "+l.Holder)
	}
	if len(is) > 0 {
		s += " (" + strings.Join(is, ", ") + ")"
	}
	return s
}

// busyOnAPi are lines of a Pi's header that have other work, by all names that kernels
// give them: a HAT's EEPROM is looked for on the first two at each boot, and the others
// have strong pull-ups on the board.
var busyOnAPi = []string{"ID_SDA", "ID_SCL", "GPIO0", "GPIO1", "SDA1", "SCL1", "GPIO2", "GPIO3"}

// free names lines that nobody has, as a rig file does: those that are pulled up at
// boot, which an active-low wire wants, the best ones first, and the others.
func (f *Findings) free() (up, other []string) {
	var busy []string
	for _, c := range f.Chips {
		for _, l := range c.Lines {
			if l.Holder != "" {
				continue
			}
			name := "line: " + Quote(l.Name)
			if l.Name == "" || l.Shared {
				name = fmt.Sprintf("chip: %s, line: %d", Quote(c.Name), l.Offset)
			}
			switch pulled := f.Pull != nil && f.Pull(c.Name, l) == "up"; {
			case pulled && slices.Contains(busyOnAPi, l.Name):
				busy = append(busy, name)
			case pulled:
				up = append(up, name)
			default:
				other = append(other, name)
			}
		}
	}
	return append(up, busy...), other
}

func (f *Findings) rigConsole(p *page) {
	for _, s := range f.Ports {
		p.note("Serial port %s: %s", s.Path, strings.Join(strings.Fields(s.Device+" "+s.USB+" "+s.Note), " "))
	}
	if f.Port == "" {
		p.todo("consoles: {main: {driver: serial, port: /dev/serial/by-id/%s, baud: 115200, frame: 8N1, newline: cr}}", Fill)
		return
	}
	p.say("consoles:")
	p.say("  main:")
	p.say("    driver: serial")
	p.say("    port: %s", Quote(f.Port))
	switch {
	case f.Heard != nil && f.Heard.Baud != 0:
		p.note("At this rate what came is text, with 8 data bits, no parity and 1 stop bit.")
		p.say("    baud: %d", f.Heard.Baud)
		p.say("    frame: 8N1")
	default:
		p.note("%s", f.unheard())
		p.todo("    baud: 115200")
		p.todo("    frame: 8N1")
	}
	p.todo("    newline: cr")
}

// unheard says why the rate is not known.
func (f *Findings) unheard() string {
	if f.Heard == nil || len(f.Heard.Tried) == 0 {
		return "Not a byte came: the rate is not known."
	}
	var at []string
	for _, s := range f.Heard.Tried {
		shown, _ := Text(s.Bytes)
		at = append(at, fmt.Sprintf("%d (%d bytes, %.0f %% text)", s.Baud, len(s.Bytes), 100*shown))
	}
	return "What came was text at none of these rates: " + strings.Join(at, ", ")
}

func (f *Findings) rigNetwork(p *page) {
	for _, n := range f.Neighbours {
		p.note("Seen on %s: %s at %s %s", f.Interface, n.MAC, n.Addr, strings.Join(n.Names, ", "))
	}
	if f.Address == "" {
		iface := f.Interface
		if iface == "" {
			iface = "eth1"
		}
		p.todo("network: {interface: %s, address: 192.0.2.7}", Quote(iface))
		return
	}
	p.say("network:")
	if f.Interface != "" {
		p.say("  interface: %s", Quote(f.Interface))
	}
	p.say("  address: %s", Quote(f.Address))
	if len(f.Through) > 0 {
		var to []string
		for _, port := range sortedPorts(f.Through) {
			to = append(to, fmt.Sprintf("%d: %d", port, f.Through[port]))
		}
		p.say("  ports: {%s}", strings.Join(to, ", "))
	}
}

func sortedPorts(m map[int]int) []int {
	var out []int
	for p := range m {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}
