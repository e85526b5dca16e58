// Package lock knows by which registers a chip says that its debug port is locked, as
// data. The data can name reads, and nothing else: what unlocks or erases a chip cannot
// be said in it.
package lock

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"rigor/harness/strictyaml"
)

//go:embed data/*.yaml
var files embed.FS

// None is the name for a chip that is declared to have no lock at all.
const None = "none"

// States of a lock.
const (
	Locked     = "locked"
	Partly     = "partly" // one side of it, or what the other registers do not say
	Open       = "open"
	Recovering = "recovering" // it is being wiped
	Unknown    = "unknown"
)

var states = []string{Locked, Partly, Open, Recovering, Unknown}

// Lock is the lock of a family of chips.
type Lock struct {
	Name  string `yaml:"lock"`
	Title string `yaml:"title"`
	// Lockless says why the chip has no lock; then it has no reads.
	Lockless string `yaml:"lockless"`
	// Shut says how the lock shows itself when no read gets through; empty where that
	// is no sign of it.
	Shut   string `yaml:"shut"`
	Wipes  bool   `yaml:"wipes"` // whoever has the wires can wipe a locked chip, and use it again
	Source string `yaml:"source"`
	Reads  []Read `yaml:"reads"`
}

// Read is one register that says something of the lock.
type Read struct {
	Name string `yaml:"name"`
	// AP is the access port of which Register is read; Memory is an address, read by a
	// memory access port. One of the two.
	AP       *Port  `yaml:"ap"`
	Register int64  `yaml:"register"` // offset in the access port, of the data sheet
	Memory   *int64 `yaml:"memory"`
	Mask     int64  `yaml:"mask"`
	Erase    bool   `yaml:"erase"` // it is about erasing, and not about the port
	Means    []Mean `yaml:"means"`
	Else     *Mean  `yaml:"else"`
	Source   string `yaml:"source"`
	// Verified says that it was held against the source itself, or against a program
	// that works with such chips.
	Verified bool `yaml:"verified"`
}

// Port says which access port it is: by its number, and by what its IDR says.
type Port struct {
	Index int64 `yaml:"index"`
	IDR   int64 `yaml:"idr"`
	Mask  int64 `yaml:"mask"` // of the IDR's bits that count
}

// Mean is what a value under the mask means.
type Mean struct {
	Is    int64  `yaml:"is"`
	State string `yaml:"state"`
	Words string `yaml:"words"`
}

// Is says whether an access port is the one that is meant.
func (p *Port) Is(addr uint64, idr uint32) bool {
	return addr == uint64(p.Index) && idr&uint32(p.Mask) == uint32(p.IDR)&uint32(p.Mask) //nolint:gosec // the lint bounds them
}

// Where says in words what is read.
func (r *Read) Where() string {
	if r.Memory != nil {
		return fmt.Sprintf("memory 0x%08x", *r.Memory)
	}
	return fmt.Sprintf("access port %d, register 0x%02x", r.AP.Index, r.Register)
}

// Says gives what a value that was read means.
func (r *Read) Says(raw uint32) (state, words string) {
	v := int64(raw) & r.Mask
	for _, m := range r.Means {
		if m.Is == v {
			return m.State, m.Words
		}
	}
	if r.Else != nil {
		return r.Else.State, r.Else.Words
	}
	return Unknown, fmt.Sprintf("0x%x is not explained", v)
}

var load = sync.OnceValues(func() (map[string]*Lock, error) {
	out := map[string]*Lock{}
	names, err := fs.Glob(files, "data/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the locks: %w", err)
	}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the lock: %w", err)
		}
		l, err := Parse(name, data)
		if err != nil {
			return nil, err
		}
		if want := strings.TrimSuffix(path.Base(name), ".yaml"); l.Name != want {
			return nil, fmt.Errorf("%s: the lock is called %q", name, l.Name)
		}
		out[l.Name] = l
	}
	return out, nil
})

// Named gives a lock by its name. The error names those that there are.
func Named(name string) (*Lock, error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	l := all[name]
	if l == nil {
		names := Names()
		return nil, fmt.Errorf("no lock is called %q; there are %s", name, strings.Join(names, ", "))
	}
	return l, nil
}

// Names lists the locks that are known, by the names of their files: load holds each to
// its own. Nothing is read for that, since every start of the program asks it.
func Names() []string {
	entries, err := files.ReadDir("data")
	if err != nil {
		return nil
	}
	names := make([]string, len(entries)) // which are in order
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// forbidden are registers whose reading is no mere look, or that stand beside those
// that erase: nobody has a reason to name them. By the IDR of the access port.
var forbidden = map[int64][]int64{
	0x02880000: {0x00, 0x04},                               // nRF52: RESET, ERASEALL
	0x12880000: {0x00, 0x04, 0x10, 0x14, 0x1c, 0x20, 0x28}, // nRF53, nRF91: RESET, ERASEALL, the keys, the mailbox
	0x001c0000: {0x04},                                     // Kinetis: CONTROL
	0x16e60001: {0x00},                                     // EFM32: CMD
	0x26e60011: {0x00},
}

// Parse reads a lock, and holds it against what may be said.
func Parse(name string, data []byte) (*Lock, error) {
	l := &Lock{}
	src, err := strictyaml.Decode(name, data, l)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	var errs strictyaml.Errors
	wrong := func(at []string, remedy, format string, args ...any) {
		errs = append(errs, src.Errorf(at, remedy, format, args...))
	}
	if l.Name == "" || l.Title == "" || l.Source == "" {
		wrong(nil, "give lock, title and source", "the lock does not say what it is")
	}
	if (l.Lockless == "") == (len(l.Reads) == 0) {
		wrong(nil, "give reads, or lockless: why there is none", "it names no reads, or says that there is no lock and names some")
	}
	state := func(at []string, s string) {
		if !slices.Contains(states, s) {
			wrong(at, "write one of "+strings.Join(states, ", "), "the state is %q", s)
		}
	}
	if l.Shut != "" {
		state([]string{"shut"}, l.Shut)
	}
	for i := range l.Reads {
		r, at := &l.Reads[i], []string{"reads", fmt.Sprint(i)}
		for _, w := range r.wrong() {
			wrong(at, w[1], "%s", w[0])
		}
		for _, m := range r.Means {
			state(at, m.State)
			if m.Is&^r.Mask != 0 {
				wrong(at, "take it out", "0x%x is never read under the mask 0x%x", m.Is, r.Mask)
			}
		}
		if r.Else != nil {
			state(at, r.Else.State)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("read the lock: %w", errs.Arrange())
	}
	return l, nil
}

// wrong gives what is wrong with a read, with remedies.
func (r *Read) wrong() (out [][2]string) {
	add := func(what, remedy string) { out = append(out, [2]string{what, remedy}) }
	word := func(n int64) bool { return n >= 0 && n < 1<<32 }
	if r.Name == "" || r.Source == "" || len(r.Means) == 0 {
		add("a read has no name, no source, or no meaning", "give name, means and source")
	}
	if (r.AP == nil) == (r.Memory == nil) {
		add("a read is of an access port, or of memory", "keep one of the two")
	}
	if r.Mask <= 0 || !word(r.Mask) {
		add("no bit of it counts", "give mask")
	}
	if r.Memory != nil && (!word(*r.Memory) || *r.Memory%4 != 0 || r.Register != 0) {
		add("memory is no address of a word", "write a multiple of 4")
	}
	if r.AP == nil {
		return out
	}
	if r.AP.Mask <= 0 || !word(r.AP.Mask) || !word(r.AP.IDR) || r.AP.Index < 0 || r.AP.Index > 255 {
		add("which access port it is, is not said", "give index, idr and mask")
	}
	if r.Register < 0 || r.Register > 0xf8 || r.Register%4 != 0 {
		add("an access port has no such register", "write a multiple of 4 up to 0xf8")
	}
	for idr, regs := range forbidden {
		if idr&r.AP.Mask == r.AP.IDR&r.AP.Mask && slices.Contains(regs, r.Register) {
			add(fmt.Sprintf("register 0x%02x of that access port is not for looking", r.Register), "take it out")
		}
	}
	return out
}
