// Package exam looks at a debug port once: it asks who is there, which access ports there
// are, what memory they give and what the lock says, and tells it in the words of the
// access ladder. It reads; the one thing that it may do to a core is to halt it, with
// leave.
package exam

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/adi"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/lock"
)

// Piece is a piece of memory to ask for.
type Piece struct {
	At     uint32
	Length int    // in bytes, a multiple of 4
	What   string // flash, ram, fuse, peripheral
	SHA256 string // of what is there, in hex; "" where it is not known
	// Guessed says that nobody declared it: there may be no memory.
	Guessed bool
}

// Plan says how much is asked.
type Plan struct {
	// Quick asks who is there, of the first access ports and of a little memory; the lock
	// is read where one of those names it.
	Quick  bool
	Memory []Piece
	Lock   *lock.Lock  // what names the lock; nil for none
	Halt   dap.Consent // the zero value halts nothing
	TAPs   []TAP       // of a chain, as they are declared, that next to TDO first
	// Both says that the pads of a chain are a serial wire's, too: it is switched to JTAG.
	Both bool
}

// TAP is what is declared of one TAP.
type TAP struct {
	ID       uint32 // 0 for one that has no IDCODE
	Boundary string // where it is written that it scans the boundary and does nothing else; "" where that is not so
}

const (
	quickPorts = 2  // access ports that a quick look asks for
	quickBytes = 16 // of each piece of memory
	usualBytes = 64
	maxTables  = 64 // access ports that are looked into
	asks       = 3  // how often it is asked who is there
)

// usual are pieces of memory that are there in most cores of the M profile: what is not
// declared is asked for too.
var usual = []Piece{
	{At: 0x20000000, Length: usualBytes, What: "ram", Guessed: true},
	{At: 0x00000000, Length: usualBytes, What: "flash", Guessed: true},
	{At: 0x08000000, Length: usualBytes, What: "flash", Guessed: true},
	{At: 0x10000000, Length: usualBytes, What: "flash", Guessed: true},
}

// pieces gives what is asked for: what is declared, and what is usual and not declared.
func (p *Plan) pieces() []Piece {
	out := slices.Clone(p.Memory)
	for _, u := range usual {
		covered := slices.ContainsFunc(p.Memory, func(m Piece) bool { return u.At >= m.At && u.At < m.At+uint32(m.Length) }) //nolint:gosec // the profile's lint bounds it
		if !covered {
			out = append(out, u)
		}
	}
	if p.Quick {
		out = slices.DeleteFunc(out, func(m Piece) bool { return m.At != 0x20000000 && m.What != "flash" })
		if len(out) > 3 {
			out = out[:3]
		}
		for i := range out {
			if out[i].Length > quickBytes {
				out[i].Length, out[i].SHA256 = quickBytes, ""
			}
		}
	}
	return out
}

// reply says in the ladder's words what an answer to "who is there" is.
func reply(a dap.Answer) ladder.Reply {
	switch a {
	case dap.OK:
		return ladder.Answered
	case dap.None:
		return ladder.Silent
	case dap.Low:
		return ladder.HeldLow
	case dap.Wait:
		return ladder.Waits
	case dap.Fault:
		return ladder.Faulted
	}
	return ladder.Garbled
}

// who asks several times who is there, and notes the reply: one that is another each time
// is garbled.
func who(l *ladder.Look, ask func() (id uint32, a dap.Answer, err error)) error {
	var acks []string
	for try := range asks {
		id, a, err := ask()
		if err != nil {
			return err
		}
		r := reply(a)
		if r == ladder.Answered && !adi.ID(id).Plausible() {
			r = ladder.Garbled
		}
		acks = append(acks, fmt.Sprintf("%v 0x%08x", a, id))
		switch {
		case try == 0:
			l.Reply, l.ID = r, id
		case r != l.Reply || id != l.ID:
			l.Reply = ladder.Garbled
		}
	}
	l.Acks = strings.Join(acks, ", ")
	if l.Reply != ladder.Answered {
		l.ID = 0
	}
	return nil
}

// looker is one look behind a debug port.
type looker struct {
	l    *ladder.Look
	plan Plan
	s    *adi.Session
}

// behind looks at all that is behind a port that answers.
func behind(ctx context.Context, t dap.Transport, l *ladder.Look, plan Plan) error {
	s, a, err := adi.Open(ctx, t)
	if err != nil || a != dap.OK {
		return broke(l, "DPIDR", a, err)
	}
	k := &looker{l: l, plan: plan, s: s}
	up, a, err := s.PowerUp(ctx)
	switch {
	case errors.Is(err, dap.ErrForbidden): // the rescue port of an RP2040: it is only asked who it is
		l.All, l.Note = true, "a port for rescue: it has no access port, and is asked who it is alone"
		return nil
	case err != nil:
		return err
	case a != dap.OK: // behind an ABORT these say neither WAIT nor FAULT: that is no port, and no lock
		return broke(l, "debug power", a, nil)
	}
	l.Up = ladder.Is(up)
	if !up {
		return k.still(ctx)
	}
	for _, f := range []func(context.Context) error{k.target, k.ports, k.memories, k.locks, k.still} {
		if err := f(ctx); err != nil || l.Broke != "" {
			return err
		}
	}
	_, err = s.PowerDown(ctx)
	return err
}

// broke notes that the port fell silent; an error is the bench's.
func broke(l *ladder.Look, where string, a dap.Answer, err error) error {
	if err == nil && l.Broke == "" {
		l.Broke = fmt.Sprintf("%s: %v", where, a)
	}
	return err
}

// still asks once more who is there: a port that had answered has to, to the end.
func (k *looker) still(ctx context.Context) error {
	v, a, err := k.s.Transport().ReadDP(ctx, dap.DPIDR)
	if a == dap.Fault { // of what was asked before
		if _, err := k.s.Recover(ctx); err != nil {
			return err
		}
		v, a, err = k.s.Transport().ReadDP(ctx, dap.DPIDR)
	}
	if err != nil {
		return err
	}
	if a != dap.OK || v != k.l.ID {
		return broke(k.l, fmt.Sprintf("at the end, as 0x%08x", v), a, nil)
	}
	return nil
}

// target asks which chip it is: a port from version 2 on says that.
func (k *looker) target(ctx context.Context) error {
	if k.s.ID().Version() < 2 {
		return nil
	}
	v, _, a, err := k.s.Target(ctx)
	if err != nil {
		return err
	}
	if a == dap.OK {
		k.l.Target = v
	} else if a != dap.Fault {
		return broke(k.l, "TARGETID", a, nil)
	}
	return nil
}

// ports asks for every access port that there can be.
func (k *looker) ports(ctx context.Context) error {
	var found []adi.AccessPort
	if k.s.ID().Version() >= 3 {
		var whole bool
		var a dap.Answer
		var err error
		found, whole, a, err = tables(ctx, k.s)
		if err != nil {
			return err
		}
		if a != dap.OK && a != dap.Fault {
			return broke(k.l, "the table of access ports", a, nil)
		}
		k.l.All = whole
	} else {
		last := uint8(255)
		if k.plan.Quick {
			last = quickPorts - 1
		}
		ports, read, a, err := k.s.Ports(ctx, 0, last)
		if err != nil {
			return err
		}
		if a != dap.OK {
			return broke(k.l, fmt.Sprintf("access port %d", read-1), a, nil)
		}
		found, k.l.All = ports, read == 256
	}
	for _, p := range found {
		if p.Answer != dap.OK && k.l.Blind == "" {
			k.l.Blind = fmt.Sprintf("access port 0x%x answers %v when it is asked what it is: it may be one of memory", p.At.At, p.Answer)
		}
		k.l.AP = append(k.l.AP, ladder.AP{Addr: p.At.At, IDR: p.IDR, Kind: kind(p)})
	}
	return nil
}

// kind says what an access port is for, by its IDR.
func kind(p adi.AccessPort) ladder.Kind {
	switch class := p.IDR >> 13 & 0xf; {
	case p.Memory():
		return ladder.Memory
	case p.Answer == dap.OK && class == 0 && p.IDR&0xf == 0 && p.IDR>>17&0x7ff == 0x23b: // Arm's JTAG-AP
		return ladder.Chain
	}
	return ladder.Maker
}

// memories reads what the memory access ports give.
func (k *looker) memories(ctx context.Context) error {
	n := 0
	for i := range k.l.AP {
		ap := &k.l.AP[i]
		if ap.Kind != ladder.Memory {
			continue
		}
		if n++; n > 4 { // more of one kind give the same memory
			ap.Note = "not looked into"
			continue
		}
		if err := k.memory(ctx, ap); err != nil || k.l.Broke != "" {
			return err
		}
	}
	return nil
}

func (k *looker) at(ap *ladder.AP) dap.AP {
	if k.s.ID().Version() >= 3 {
		return dap.PortAt(ap.Addr)
	}
	return dap.Port(uint8(ap.Addr)) //nolint:gosec // it came from one
}

func (k *looker) memory(ctx context.Context, ap *ladder.AP) error {
	at := k.at(ap)
	d, err := k.s.Details(ctx, at)
	if err != nil {
		return err
	}
	if a := d.Answers[0]; a == dap.OK {
		ap.CSW, ap.Base, ap.Enabled = d.CSW, uint64(d.BASE), ladder.Is(d.CSW&adi.DeviceEnabled != 0)
	} else if a != dap.Fault {
		return broke(k.l, fmt.Sprintf("CSW of access port 0x%x", ap.Addr), a, nil)
	}
	m, a, err := k.s.Memory(ctx, at)
	if err != nil {
		return err
	}
	if m == nil {
		ap.Note = fmt.Sprintf("its CSW is refused: %v", a)
		return nil
	}
	if dap.DebugBus(ap.IDR) {
		return k.units(ctx, m, ap)
	}
	for _, p := range k.plan.pieces() {
		r, err := read(ctx, m, p)
		if err != nil {
			return err
		}
		r.AP = ap.Addr
		k.l.Reads = append(k.l.Reads, r)
		if r.Got == ladder.Broke {
			return broke(k.l, fmt.Sprintf("memory at 0x%08x, %s", r.At, r.Detail), dap.None, nil)
		}
	}
	if open, _ := k.l.Level(); k.plan.Quick && open < ladder.L3 {
		return nil
	}
	return k.core(ctx, m, ap)
}

// units looks for the debug units of cores on a bus that has no memory. What is declared of
// memory is not asked for there: a fault would say nothing, and what comes is a table.
func (k *looker) units(ctx context.Context, m *adi.Memory, ap *ladder.AP) error {
	ap.Debug = true
	at, is := adi.TableAt(uint32(ap.Base)) //nolint:gosec // it came from one
	if !is {
		ap.Gap = fmt.Sprintf("its BASE (0x%08x) names no table", ap.Base)
		return nil
	}
	found, gap, a, err := m.Components(ctx, at)
	if err != nil {
		return err
	}
	if ap.Gap = gap; a != dap.OK && a != dap.Fault {
		return broke(k.l, fmt.Sprintf("the table of debug units at 0x%08x", at), a, nil)
	}
	for _, c := range found {
		ap.Units = append(ap.Units, ladder.Unit{At: uint64(c.At), Core: c.Core(), Auth: ladder.Auth(c.Auth)})
	}
	return nil
}

// read asks for one piece.
func read(ctx context.Context, m *adi.Memory, p Piece) (ladder.Read, error) {
	r := ladder.Read{At: uint64(p.At), Length: p.Length, What: p.What, Guessed: p.Guessed}
	words := make([]uint32, p.Length/4)
	done, a, err := m.Read(ctx, p.At, words)
	if err != nil {
		return r, err
	}
	switch {
	case a == dap.OK:
		judge(&r, words, p)
	case a == dap.Fault && done == 0:
		r.Got, r.Detail = ladder.Refused, "fault"
	case a == dap.Fault: // some of it came
		r.Length, r.Detail = 4*done, "then a fault"
		judge(&r, words[:done], Piece{What: p.What})
	default:
		r.Got, r.Detail = ladder.Broke, a.String()
	}
	return r, nil
}

// judge says whether words are data, and whether they are what is known to be there.
func judge(r *ladder.Read, words []uint32, p Piece) {
	b := make([]byte, 0, 4*len(words))
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	sum := sha256.Sum256(b)
	r.Digest, r.Got = hex.EncodeToString(sum[:]), ladder.Data
	blank := func(v byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != v }) }
	if blank(0) || blank(0xff) {
		r.Got = ladder.Blank
		r.Detail = fmt.Sprintf("all bytes are 0x%02x", b[0])
	}
	if r.Got == ladder.Data && len(words) > 1 && !slices.ContainsFunc(words, func(w uint32) bool { return w != words[0] }) {
		r.Got, r.Detail = ladder.Blank, fmt.Sprintf("all words are 0x%08x", words[0]) // what is on a bus that nobody drives
	}
	if p.SHA256 != "" {
		r.Known = ladder.Is(p.SHA256 == r.Digest)
	}
}

// core asks the core what it is, and what it lets be done.
func (k *looker) core(ctx context.Context, m *adi.Memory, ap *ladder.AP) error {
	id, a, err := m.CPUID(ctx)
	if err != nil {
		return err
	}
	r := ladder.Read{AP: ap.Addr, At: 0xe000ed00, Length: 4, What: ladder.System}
	switch {
	case a == dap.OK && id.Cortex():
		r.Got, r.Detail = ladder.Data, fmt.Sprintf("CPUID 0x%08x", uint32(id))
	case a == dap.OK:
		r.Got, r.Detail = ladder.Blank, fmt.Sprintf("0x%08x is no CPUID", uint32(id))
	case a == dap.Fault:
		r.Got = ladder.Refused
	default:
		return broke(k.l, "CPUID", a, nil)
	}
	k.l.Reads = append(k.l.Reads, r)
	if r.Got != ladder.Data {
		if r.Got == ladder.Refused && k.l.Halt == ladder.NotTried && k.plan.Halt != (dap.Consent{}) {
			k.l.Halt = ladder.HaltRefused // its registers are not reached
		}
		return nil
	}
	if v, a, err := m.DAuthStatus(ctx); err != nil {
		return err
	} else if a == dap.OK && v != 0 && k.l.Auth == nil {
		auth := ladder.Auth(v)
		k.l.Auth = &auth
	}
	return k.halt(ctx, m)
}

// halt tries to halt the core and to step it, where there is leave, and lets it go.
func (k *looker) halt(ctx context.Context, m *adi.Memory) error {
	if k.plan.Halt == (dap.Consent{}) || k.l.Halt == ladder.Halted {
		return nil
	}
	c, a, err := m.Core(ctx, k.plan.Halt)
	if err != nil {
		return err
	}
	if c == nil {
		k.l.Halt = refusal(a)
		return nil
	}
	halted, a, err := c.Halt(ctx)
	switch {
	case err != nil:
		return err
	case halted:
		k.l.Halt = ladder.Halted
		if _, _, err := c.Step(ctx); err != nil {
			return err
		}
	case c.WasReset():
		k.l.Halt = ladder.HaltRestarts
	case a == dap.OK:
		k.l.Halt = ladder.HaltRefused
		if v, a, err := m.DHCSR(ctx); err != nil {
			return err
		} else if a == dap.OK && v&adi.DebugEnabled != 0 {
			k.l.Halt = ladder.HaltPends
		}
	default:
		if k.l.Halt = refusal(a); k.l.Halt == ladder.HaltRefused { // it was there right before; is it still?
			if _, still, err := m.CPUID(ctx); err != nil {
				return err
			} else if still != dap.OK {
				k.l.Halt = ladder.HaltBroke
			}
		}
	}
	_, err = c.Detach(ctx)
	return err
}

func refusal(a dap.Answer) ladder.Halt {
	if a == dap.Fault || a == dap.OK {
		return ladder.HaltRefused
	}
	return ladder.HaltBroke
}

// locks reads what names the lock.
func (k *looker) locks(ctx context.Context) error {
	if k.plan.Lock == nil {
		return nil
	}
	for i := range k.plan.Lock.Reads {
		r := &k.plan.Lock.Reads[i]
		raw, a, err := k.register(ctx, r)
		if err != nil {
			return err
		}
		if a != dap.OK {
			continue
		}
		out := ladder.Reading{Name: r.Name, Where: r.Where(), Raw: raw, Erase: r.Erase, Unverified: !r.Verified}
		out.State, out.Words = r.Says(raw)
		k.l.Locks = append(k.l.Locks, out)
	}
	return nil
}

// register reads one register of the lock: the access port has to be the one that is
// meant, by its IDR, before anything of it is read.
func (k *looker) register(ctx context.Context, r *lock.Read) (uint32, dap.Answer, error) {
	for i := range k.l.AP {
		ap := &k.l.AP[i]
		switch {
		case r.AP != nil && r.AP.Is(ap.Addr, ap.IDR):
			return k.s.Read(ctx, k.at(ap), dap.APReg(r.Register)) //nolint:gosec // the lint bounds it
		case r.Memory != nil && ap.Kind == ladder.Memory:
			m, a, err := k.s.Memory(ctx, k.at(ap))
			if err != nil || m == nil {
				return 0, a, err
			}
			return m.Word(ctx, uint32(*r.Memory)) //nolint:gosec // the lint bounds it
		}
	}
	return 0, dap.NotDone, nil
}

// steps notes how many half periods a look took, and lets all pads go.
func steps(ctx context.Context, w *debugport.Wires, from uint64, l *ladder.Look) error {
	err := w.Release(ctx)
	l.Steps = int64(w.Steps() - from) //nolint:gosec // no look takes so many
	return err
}

// Digest gives what a Piece is held against.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
