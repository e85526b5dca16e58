// Package rig is one bench: its file, the binding of its instruments, their
// lease, the doctor that says whether the rig itself is well, and its safe
// state.
package rig

import (
	"time"

	"rigor/harness/driver/qemu"
	"rigor/harness/strictyaml"
	"rigor/harness/wire"
)

// File is a rig file as read: which wires there are and what is allowed.
type File struct {
	Name    string `yaml:"rig"`
	Profile string `yaml:"profile"` // path, relative to the rig file
	// Images is the folder of the files that the profile names among its images; the
	// profile's own where it is not said.
	Images string `yaml:"images"`
	Unit   Unit   `yaml:"unit"`
	// Units are further units of the same model, by their labels, for what
	// only two units can show.
	Units []Unit `yaml:"units"`
	// Beside are the files of rigs with further units of the model, relative to this
	// file: a run shares its cases among them.
	Beside []string `yaml:"beside"`
	// Allow lists what may be done to this unit beyond reading.
	Allow  []string `yaml:"allow"` // login-tries, config, reset, update, power-cut, power, debug-attach, halt, rom-loader, storage-write
	Limits Limits   `yaml:"limits"`
	// Machines are emulated devices, of which power, lines, consoles and network
	// with driver qemu are parts.
	Machines map[string]*Machine `yaml:"machines"`
	Power    *Power              `yaml:"power"`
	Lines    map[string]*Line    `yaml:"lines"`
	Consoles map[string]*Port    `yaml:"consoles"`
	Network  *Network            `yaml:"network"`
	Storages map[string]*Storage `yaml:"storages"` // memories that are read past the DUT
	Pads     *Pads               `yaml:"pads"`     // pads of the DUT's board, on pins of ours
	Secrets  map[string]string   `yaml:"secrets"`  // NAME: env:VAR, file:PATH, or virtual:NAME
	Lacks    map[string]string   `yaml:"lacks"`    // check id: reason
	Loopback []Loopback          `yaml:"loopback"`
	// Expect is what a golden unit's run must give: case id → verdict or
	// verdict.reason. For validate.
	Expect map[string]string `yaml:"expect"`
	// Virtual configures the built-in device, for rigs that drive it.
	Virtual *Virtual `yaml:"virtual"`

	Path   string             `yaml:"-"`
	Digest string             `yaml:"-"`
	Source *strictyaml.Source `yaml:"-"` // positions, for errors that are found later
}

// Unit is one device with what is printed on its label.
type Unit struct {
	Serial        string            `yaml:"serial"`
	MAC           string            `yaml:"mac"`
	LabelPassword string            `yaml:"label-password"` // secret:NAME
	Values        map[string]string `yaml:"values"`         // further ${unit.NAME}
	// Keys are the unit's public keys, of which some are those of its SSH host keys
	// and certificates: SHA256:… or TYPE BASE64 as OpenSSH writes them, or
	// secret:NAME for several, with commas between.
	Keys []string `yaml:"keys"`
}

// Limits bounds what wears. Zero means no limit is declared.
type Limits struct {
	PowerCycles int `yaml:"power-cycles"`
	FlashWrites int `yaml:"flash-writes"`
}

// Power is the switch of the DUT's supply.
type Power struct {
	Driver    string        `yaml:"driver"` // gpio, exec, http, ask, qemu, virtual
	Line      string        `yaml:"line"`
	Chip      string        `yaml:"chip"`
	Active    string        `yaml:"active"` // high, low
	URL       string        `yaml:"url"`
	Style     string        `yaml:"style"`   // tasmota, shelly-gen1, shelly-gen2
	Channel   int           `yaml:"channel"` // which relay of the switch, as it numbers them
	Auth      string        `yaml:"auth"`    // none, basic, digest
	User      string        `yaml:"user"`
	Password  string        `yaml:"password"` // secret:NAME
	Exec      []string      `yaml:"exec"`
	Ask       string        `yaml:"ask"` // which supply a person switches
	Machine   string        `yaml:"machine"`
	OffSettle time.Duration `yaml:"off-settle"`
	Rest      string        `yaml:"rest"`  // off, on: how the rig is left
	Proof     string        `yaml:"proof"` // cold-boot, switch, none: how off is proven
}

// Line is one GPIO wire.
type Line struct {
	Driver  string   `yaml:"driver"` // gpio, exec, ask, qemu, virtual
	Line    string   `yaml:"line"`   // its name, or its offset with chip
	Chip    string   `yaml:"chip"`
	Active  string   `yaml:"active"` // high, low
	Drive   string   `yaml:"drive"`  // push-pull, open-drain, open-source, input
	Pull    string   `yaml:"pull"`   // none, up, down
	Exec    []string `yaml:"exec"`
	Ask     string   `yaml:"ask"` // which line a person asserts
	Machine string   `yaml:"machine"`
}

// ByHand says whether a person is the switch or the line, or reads the memory.
func ByHand(driver string) bool { return driver == "ask" }

// Unattended gives the rig as it is where nobody can be asked: without what a
// person would have to switch or press. Left lists that.
func (f *File) Unattended() (alone *File, left []wire.Part) {
	out := *f
	if f.Power != nil && ByHand(f.Power.Driver) {
		out.Power, left = nil, append(left, PowerPart)
	}
	out.Lines = map[string]*Line{}
	for _, name := range sortedKeys(f.Lines) {
		if l := f.Lines[name]; l != nil && ByHand(l.Driver) {
			left = append(left, LinePart(name))
			continue
		}
		out.Lines[name] = f.Lines[name]
	}
	out.Storages = map[string]*Storage{}
	for _, name := range sortedKeys(f.Storages) {
		if s := f.Storages[name]; s != nil && ByHand(s.Driver) {
			left = append(left, StoragePart(name))
			continue
		}
		out.Storages[name] = f.Storages[name]
	}
	return &out, left
}

// DefaultBaud is what nearly every console of a device speaks, in bit/s.
const DefaultBaud = 115200

// Port is one console's port.
type Port struct {
	Driver  string        `yaml:"driver"` // serial, tcp, exec, qemu, virtual
	Port    string        `yaml:"port"`   // device path, by a stable name; qemu: 0, 1 …; virtual: main, aux
	Address string        `yaml:"address"`
	RFC2217 bool          `yaml:"rfc2217"`
	Baud    int           `yaml:"baud"`
	Frame   string        `yaml:"frame"`
	NoBreak bool          `yaml:"no-break"` // it sends none, and does not say so
	Exec    []string      `yaml:"exec"`     // its input and output are the console's bytes
	Machine string        `yaml:"machine"`
	Newline string        `yaml:"newline"`
	Pace    time.Duration `yaml:"pace"` // between bytes
	Echo    time.Duration `yaml:"echo"` // each byte's echo is waited for, so long at most
}

// Network is the link to the DUT.
type Network struct {
	Driver    string      `yaml:"driver"` // link (default), qemu, virtual
	Interface string      `yaml:"interface"`
	Machine   string      `yaml:"machine"`
	Own       string      `yaml:"own"`     // address of our end of the machine's cable, with the length of its prefix
	Address   string      `yaml:"address"` // of the DUT, where the profile's states give none
	Ports     map[int]int `yaml:"ports"`   // DUT's port → port at address, behind a forwarder
}

// Machine is an emulated device: either its own file describes it, or the keys of
// that stand here.
type Machine struct {
	Driver    string `yaml:"driver"` // qemu
	File      string `yaml:"file"`
	Tap       string `yaml:"tap"` // its network card hangs on this interface, not on the rig's cable
	qemu.Spec `yaml:",inline"`
}

// Loopback is a pair of lines that the wiring joins, to prove both.
type Loopback struct {
	Out string `yaml:"out"`
	In  string `yaml:"in"`
}

// Virtual configures the built-in device.
type Virtual struct {
	Weaknesses []string `yaml:"weaknesses"`
	Faults     []string `yaml:"faults"`
	Persist    string   `yaml:"persist"` // folder for its flash; empty: a temporary one
	// Beside are further ones in this process, on benches like this rig's, among which a
	// run shares its cases.
	Beside []Unit `yaml:"beside"`
}
