package dut

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/exam"
	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/lock"
	"rigor/harness/debugport/pinsearch"
	"rigor/harness/profile"
)

// DebugPort is a declared debug port of the DUT, through the session. Each look at it
// attaches, and leaves the DUT dirty: only a power cycle makes it as it was.
type DebugPort struct {
	name  string
	decl  *profile.DebugPort
	d     *Device
	wires *debugport.Wires
	// adapter reaches the port in place of the wires; nil where there is none.
	adapter dap.Adapter
	plan    exam.Plan

	traced map[string]bool // looks whose waves are kept
}

// DebugPort gives a declared debug port on the rig's pads, as it is to one of the protocols
// that it speaks.
func (d *Device) DebugPort(name, protocol string) (*DebugPort, error) {
	whole := d.Profile.Debug.Ports.Items[name]
	if whole == nil || whole.Declared() || !slices.Contains(whole.Speaks(), protocol) {
		return nil, fmt.Errorf("debug port %s (%s): %w", name, protocol, ErrNotDeclared)
	}
	decl := whole.As(protocol)
	pads, err := d.pads()
	if err != nil {
		return nil, err
	}
	p := &DebugPort{name: name, decl: decl, d: d, wires: debugport.New(pads, debugport.Options{Part: PartPads})}
	p.adapter, _ = pads.(dap.Adapter)
	p.plan.Both = whole.Protocol == profile.SWJ
	for role, pad := range decl.Pads {
		if _, ok := p.wires.Pin(pad); !ok {
			return nil, fmt.Errorf("pad %s (%s of debug port %s): %w", pad, role, name, ErrNotWired)
		}
	}
	if decl.Lock != "" && decl.Lock != lock.None {
		if p.plan.Lock, err = lock.Named(decl.Lock); err != nil {
			return nil, fmt.Errorf("debug port %s: %w: %w", name, ErrNotDeclared, err)
		}
	}
	for _, t := range decl.TAPs {
		p.plan.TAPs = append(p.plan.TAPs, exam.TAP{ID: uint32(t.ID), Boundary: t.Boundary}) //nolint:gosec // the profile's lint bounds it
	}
	if p.plan.Memory, err = d.pieces(decl); err != nil {
		return nil, err
	}
	return p, nil
}

// pieces gives the declared memory, with what is known to be there.
func (d *Device) pieces(decl *profile.DebugPort) (out []exam.Piece, err error) {
	for _, m := range decl.Memory {
		p := exam.Piece{At: uint32(m.At), Length: m.Length, What: m.What, SHA256: m.SHA256} //nolint:gosec // the profile's lint bounds it
		if p.What == "" {
			p.What = "flash"
		}
		if m.Image != nil {
			shelf, err := d.Images()
			if err != nil {
				return nil, fmt.Errorf("what is at 0x%08x: %w", m.At, err)
			}
			b := shelf.Ladder[0].Bytes
			if end := *m.Image + int64(m.Length); end > int64(len(b)) {
				return nil, fmt.Errorf("what is at 0x%08x: the current image has %d bytes, and it would have to have %d: %w", m.At, len(b), end, ErrNotDeclared)
			}
			p.SHA256 = exam.Digest(b[*m.Image : *m.Image+int64(m.Length)])
		}
		out = append(out, p)
	}
	return out, nil
}

// Name gives the port's name, and Decl what is declared of it.
func (p *DebugPort) Name() string { return p.name }

// Decl gives what the profile says of the port, as it is to its protocol.
func (p *DebugPort) Decl() *profile.DebugPort { return p.decl }

// Wires gives what the port is played on, for its trace.
func (p *DebugPort) Wires() *debugport.Wires { return p.wires }

// Ways are the ways to ask at the port: plainly, as one that sleeps, and by the names of
// ports that share their wires, those that are declared first.
func (p *DebugPort) Ways() []exam.Way {
	if p.decl.Protocol != profile.SWD || p.adapter != nil { // an adapter has its own way
		return []exam.Way{exam.Plain}
	}
	out := append([]exam.Way{exam.Plain}, exam.Dormant()...)
	seen := map[uint32]bool{}
	add := func(id uint32) {
		if !seen[id] {
			seen[id] = true
			out = append(out, exam.Target(id))
		}
	}
	for _, id := range p.decl.DP.Targets {
		add(uint32(id)) //nolint:gosec // the profile's lint bounds it
	}
	for _, id := range exam.KnownTargets() {
		add(id)
	}
	return out
}

// ReadBy gives the storages of the rig that were read by the port in this run.
func (p *DebugPort) ReadBy() []string {
	if p.d.bench.ReadThrough == nil {
		return nil
	}
	return p.d.bench.ReadThrough(p.name)
}

// Idle reads what the port's pads do while nobody of ours drives them.
func (p *DebugPort) Idle(ctx context.Context) ([]idle.Pad, error) {
	var names []string
	for _, pad := range p.decl.Pads {
		names = append(names, pad)
	}
	return p.d.Idle(ctx, names...)
}

// Quick looks who is there, at the first access ports and at a little memory.
func (p *DebugPort) Quick(ctx context.Context, way exam.Way) (ladder.Look, error) {
	plan := p.plan
	plan.Quick, plan.Lock = true, nil
	return p.look(ctx, way, plan)
}

// Look looks at all of it. The core is halted where the rig allows that.
func (p *DebugPort) Look(ctx context.Context, way exam.Way, halt bool) (ladder.Look, error) {
	plan := p.plan
	if halt {
		plan.Halt = dap.HaltAllowed()
	}
	pads, err := p.Idle(ctx)
	if err != nil {
		return ladder.Look{}, err
	}
	boots := p.d.bootsShown()
	l, err := p.look(ctx, way, plan)
	l.Idle = pads
	if again := p.d.bootsShown(); boots >= 0 && again > boots {
		l.Restarted = true
		l.NotRefused()
	}
	return l, err
}

// look attaches once.
func (p *DebugPort) look(ctx context.Context, way exam.Way, plan exam.Plan) (l ladder.Look, err error) {
	p.d.booted.forget()
	from := p.wires.Mark()
	defer func() { p.keep(from, &l, err) }()
	pin := func(role string) int {
		if i, ok := p.wires.Pin(p.decl.Pads[role]); ok && p.decl.Pads[role] != "" {
			return i
		}
		return -1
	}
	err = p.d.s.Do(ctx, PartPads, func(ctx context.Context) error {
		if p.adapter != nil {
			l, err = exam.Adapter(ctx, p.adapter.DebugPort(), plan)
			if p.decl.Protocol == profile.JTAG && l.Reply == ladder.Answered && l.Blind == "" {
				l.Blind = "an adapter shows one debug port: which other TAPs are in its chain is not seen"
			}
			return err
		}
		if p.decl.Protocol == profile.JTAG {
			c := exam.Chain{TCK: pin("tck"), TMS: pin("tms"), TDI: pin("tdi"), TDO: pin("tdo"), NTRST: pin("ntrst")}
			l, err = exam.JTAG(ctx, p.wires, c, plan)
			return err
		}
		l, err = exam.SWD(ctx, p.wires, pin("clk"), pin("io"), way, plan)
		return err
	})
	return l, err
}

// bootsShown gives how many boots a console has shown; less than 0 where none does.
func (d *Device) bootsShown() int {
	con, err := d.BootConsole()
	if err != nil {
		return -1
	}
	n, ok, err := d.bootsSeen(con.name)
	if err != nil || !ok {
		return -1
	}
	return n
}

// Golden puts an open unit of the model in the DUT's place on the pads, has f look, and
// puts the DUT back.
func (d *Device) Golden(ctx context.Context, f func(context.Context) error) (err error) {
	if d.bench.Golden == "" {
		return fmt.Errorf("an open unit in the DUT's place: %w", ErrNotWired)
	}
	line, err := d.Line(d.bench.Golden)
	if err != nil {
		return err
	}
	if err := line.Assert(ctx); err != nil {
		return fmt.Errorf("put the open unit in the DUT's place: %w", err)
	}
	defer func() {
		if rerr := letGo(ctx, line); err == nil && rerr != nil {
			err = fmt.Errorf("put the DUT back in its place: %w", rerr)
		}
	}()
	return f(ctx)
}

// SearchPads looks for debug ports on all pads that the rig is wired to, declared or
// not. Those that the rig file says are never driven are only read. It attaches to what it
// finds, and leaves the DUT dirty.
func (d *Device) SearchPads(ctx context.Context) (res *pinsearch.Result, err error) {
	pads, err := d.pads()
	if err != nil {
		return nil, err
	}
	if _, ok := pads.(dap.Adapter); ok {
		return nil, fmt.Errorf("a search on pads that are an adapter's: %w", ErrNotWired)
	}
	o := pinsearch.Options{Part: PartPads, Dormant: true, Targets: pinsearch.Known(), Never: slices.Clone(d.bench.Never)}
	for _, p := range d.Profile.Debug.Ports.Items {
		for _, t := range p.DP.Targets {
			if id := uint32(t); id>>28 != 0xf && !slices.Contains(o.Targets, id) { //nolint:gosec // the profile's lint bounds it
				o.Targets = append(o.Targets, id)
			}
		}
		if pad := p.Pads["vref"]; pad != "" && !slices.Contains(o.Never, pad) {
			o.Never = append(o.Never, pad)
		}
	}
	d.booted.forget()
	err = d.s.Do(ctx, PartPads, func(ctx context.Context) error {
		defer d.waiting("a search for debug ports")()
		res, err = pinsearch.Search(ctx, pads, o)
		return err
	})
	return res, err
}
