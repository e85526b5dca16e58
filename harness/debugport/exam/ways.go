package exam

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/adi"
	"rigor/harness/debugport/jtag"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/swd"
)

// Way is a way to come to a port of serial wire.
type Way struct {
	wake   int // one of swd.Wakes, from 1 on
	target dap.TargetID
}

// Plain is the usual one: a line reset, the switch from JTAG, and a line reset.
var Plain = Way{}

// Dormant gives the ways that wake a port which sleeps.
func Dormant() (out []Way) {
	for i := range swd.Wakes {
		out = append(out, Way{wake: i + 1})
	}
	return out
}

// Target is the way to one of several ports on the same wires.
func Target(id uint32) Way { return Way{target: dap.TargetID(id)} }

// KnownTargets are the ports of parts that answer only when they are named.
func KnownTargets() []uint32 {
	return []uint32{uint32(dap.RP2040Core0), uint32(dap.RP2040Core1), uint32(dap.RP2040Rescue), 0x00040927 /* RP2350 */}
}

// IsPlain says whether it is the usual one.
func (w Way) IsPlain() bool { return w == Plain }

// String names the way as a look has it.
func (w Way) String() string {
	switch {
	case w.target != 0:
		return fmt.Sprintf("swd target 0x%08x", uint32(w.target))
	case w.wake > 0:
		return "swd " + swd.Wakes[w.wake-1].String()
	}
	return "swd"
}

// begin brings a port to where it waits to be asked who it is.
func (w Way) begin(ctx context.Context, p *swd.Port) error {
	switch {
	case w.target != 0:
		// A port that is shared may sleep until it is woken.
		if err := p.DormantWake(ctx, swd.WakePlain); err != nil {
			return err
		}
		return p.TargetSel(ctx, w.target)
	case w.wake > 0:
		return p.DormantWake(ctx, swd.Wakes[w.wake-1])
	}
	return p.JTAGToSWD(ctx)
}

// SWD looks once at a port of serial wire on two pads. The error is the bench's, or the
// context's: what was seen until then is in the look.
func SWD(ctx context.Context, w *debugport.Wires, clk, io int, way Way, plan Plan) (l ladder.Look, err error) {
	l.Way, l.Quick = way.String(), plan.Quick
	from := w.Steps()
	defer func() { err = errors.Join(err, steps(context.WithoutCancel(ctx), w, from, &l)) }()
	if err := pull(w, io); err != nil {
		return l, err
	}
	p := swd.New(w, clk, io)
	var asked bool
	err = who(&l, func() (uint32, dap.Answer, error) {
		if asked && plan.Quick && l.Reply == ladder.Silent {
			return 0, dap.None, nil // in a sweep the next look is the repetition
		}
		asked = true
		if err := way.begin(ctx, p); err != nil {
			return 0, dap.NotDone, err
		}
		return p.ReadDP(ctx, dap.DPIDR)
	})
	if err != nil || l.Reply != ladder.Answered {
		return l, err
	}
	return l, behind(ctx, p, &l, plan)
}

// pull has our own resistor pull a pad up, so that nobody's driving it reads as one level.
// A pin that has none is left as it is.
func pull(w *debugport.Wires, pin int) error {
	err := w.Pads().Pins()[pin].In(gpio.PullUp, gpio.NoEdge)
	if err == nil || !isFault(err) {
		return nil
	}
	return err
}

// Chain are the pads of a JTAG port; NTRST is less than 0 where there is none.
type Chain struct{ TCK, TMS, TDI, TDO, NTRST int }

// JTAG looks once at the TAPs of a chain, and behind each debug port among them.
func JTAG(ctx context.Context, w *debugport.Wires, c Chain, plan Plan) (l ladder.Look, err error) {
	l.Way, l.Quick = "jtag", plan.Quick
	from := w.Steps()
	defer func() { err = errors.Join(err, steps(context.WithoutCancel(ctx), w, from, &l)) }()
	if err := pull(w, c.TDO); err != nil {
		return l, err
	}
	if c.NTRST >= 0 {
		w.Hold(c.NTRST, gpio.High)
	}
	if plan.Both {
		if err := swd.New(w, c.TCK, c.TMS).SWDToJTAG(ctx); err != nil {
			return l, err
		}
	}
	e := jtag.New(w, c.TCK, c.TMS, c.TDI, c.TDO)
	var taps []jtag.TAP
	var acks string
	for try := range asks {
		got, a, err := e.IDCodes(ctx)
		if err != nil {
			return l, err
		}
		r := reply(a)
		acks += fmt.Sprintf("%v %s ", a, ids(got))
		switch {
		case try == 0:
			l.Reply, taps = r, got
		case r != l.Reply || ids(got) != ids(taps):
			l.Reply = ladder.Garbled
		}
		if plan.Quick && l.Reply == ladder.Silent {
			break
		}
	}
	l.Acks = acks
	if l.Reply != ladder.Answered {
		return l, nil
	}
	for _, t := range taps {
		l.TAPs = append(l.TAPs, t.IDCode)
	}
	l.Delay, l.All = 0, true
	a, err := through(ctx, e, taps, &l)
	if err != nil {
		return l, err
	}
	if a != dap.OK {
		l.Reply = ladder.Garbled
		l.Acks += fmt.Sprintf("then in BYPASS: %v", a)
		return l, nil
	}
	if l.Delay != len(taps) {
		l.Blind = fmt.Sprintf("in BYPASS there are %d TAPs, and %d show themselves: what is behind the others nobody can ask", l.Delay, len(taps))
		return l, nil
	}
	return l, ports(ctx, e, taps, &l, plan)
}

// through finds the lengths of the instruction registers, and how many TAPs a pattern goes
// through in BYPASS, which has to be the same each time.
func through(ctx context.Context, e *jtag.Engine, taps []jtag.TAP, l *ladder.Look) (dap.Answer, error) {
	each, _, a, err := e.IRLengths(ctx, len(taps))
	if err != nil || a != dap.OK {
		return a, err
	}
	for i := range each {
		taps[i].IR = each[i]
	}
	for range asks {
		d, a, err := e.BypassDelay(ctx)
		if err != nil || a != dap.OK {
			return a, err
		}
		if l.Delay != 0 && d != l.Delay {
			return dap.Protocol, nil
		}
		l.Delay = d
	}
	return dap.OK, nil
}

// ports looks behind each debug port of a chain. What is behind a TAP of another kind
// nobody here can ask: where it is not declared to scan the boundary and nothing else,
// the chain is not shown to be shut.
func ports(ctx context.Context, e *jtag.Engine, taps []jtag.TAP, l *ladder.Look, plan Plan) error {
	var blind []string
	first := *l
	asked := 0
	for i := range taps {
		dp, err := jtag.NewDP(e, taps, i)
		if errors.Is(err, jtag.ErrNoDP) {
			if !plan.scans(i, taps[i]) {
				blind = append(blind, fmt.Sprintf("TAP %d (%s)", i, idOf(taps[i])))
			}
			continue
		}
		if err != nil {
			return err
		}
		into := l
		if asked++; asked > 1 {
			l.More = append(l.More, first)
			into = &l.More[len(l.More)-1]
			into.Way = fmt.Sprintf("jtag, TAP %d", i)
		}
		if err := port(ctx, dp, i, into, plan); err != nil {
			return err
		}
		if into.Broke != "" {
			break // it fell silent: so would the next
		}
	}
	if asked == 0 {
		l.Note = "no TAP is that of an Arm debug port"
	}
	if len(blind) > 0 && l.Blind == "" {
		l.Blind = "what is behind " + strings.Join(blind, ", ") + " nobody here can ask, and it is not declared to scan the boundary alone"
	}
	return nil
}

// scans says whether a TAP is declared to scan the boundary, and to do nothing else.
func (p *Plan) scans(i int, t jtag.TAP) bool {
	return i < len(p.TAPs) && p.TAPs[i].ID == t.IDCode && p.TAPs[i].Boundary != "" && !jtag.IsDP(t.IDCode)
}

func idOf(t jtag.TAP) string {
	if !t.HasID() {
		return "without IDCODE"
	}
	return fmt.Sprintf("IDCODE 0x%08x", t.IDCode)
}

// port looks behind the debug port of one TAP.
func port(ctx context.Context, dp *jtag.DP, i int, l *ladder.Look, plan Plan) error {
	l.All = false
	v, a, err := dp.ReadDP(ctx, dap.DPIDR)
	if err != nil {
		return err
	}
	if a == dap.Wait {
		l.Blind = fmt.Sprintf("the debug port of TAP %d says to wait, and nothing else", i)
		return nil
	}
	none := false // DPIDR, which came with version 1
	if a == dap.OK && v == 0 {
		if none, err = keeps(ctx, dp); err != nil {
			return err
		}
	}
	if !none && (a != dap.OK || !adi.ID(v).Plausible()) { // a TAP that lets nobody at its debug port
		l.All, l.Note = true, fmt.Sprintf("the debug port of TAP %d answers %v 0x%08x", i, a, v)
		return nil
	}
	l.ID = v
	return behind(ctx, dp, l, plan)
}

// keeps says whether a debug port keeps in its CTRL/STAT what is asked of it, as one does
// that has no DPIDR (version 0), and one that reads as zero everywhere does not.
func keeps(ctx context.Context, t dap.Transport) (bool, error) {
	s, a, err := adi.Open(ctx, t)
	if err != nil || a != dap.OK {
		return false, err
	}
	if _, a, err = s.PowerUp(ctx); err != nil || a != dap.OK {
		return false, err
	}
	return s.Status()&dap.PowerAsked == dap.PowerAsked, nil
}

func ids(taps []jtag.TAP) (s string) {
	for _, t := range taps {
		s += fmt.Sprintf("%08x ", t.IDCode)
	}
	return s
}

// Named says whether the way is to one of several ports on the same wires.
func (w Way) Named() bool { return w.target != 0 }
