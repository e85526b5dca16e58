package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/exam"
	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/jep106"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/lock"
	"rigor/harness/escape"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/rigs"
)

type debugCmd struct {
	Rig    string            `required:"" help:"A rig file, or the name of a built-in rig."`
	Port   string            `arg:"" optional:"" help:"A debug port of the profile; without it, the only one there is."`
	Pads   map[string]string `help:"The pads, in place of a port of the profile: clk=J3.2;io=J3.4, or tck=…;tms=…;tdi=…;tdo=…;ntrst=…" placeholder:"ROLE=PAD;…"`
	Lock   string            `help:"What names the lock: ${locks}; the profile's where it is not said." placeholder:"NAME"`
	Target string            `help:"The TARGETSEL value of a port that several share." placeholder:"0x01002927"`
	Quick  bool              `help:"Ask who is there, of the first two access ports, of the lock where one of them names it, and of a little memory: for wires that are slow."`
	Format string            `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Help says what it does to the DUT.
func (*debugCmd) Help() string {
	return "Looks once at a debug port, and reads: who answers and in which way of attaching, which access ports there are, what memory they give, what the lock's registers say, and the access level that this shows. It halts nothing and writes nothing but what reading needs. " +
		"It needs debug-attach in the rig's allow, and switches the supply as rigor pins does. A port that does not answer is not shown to be locked by that: rigor run looks for the grounds."
}

// target is a port as it is asked for.
type target struct {
	protocol string
	pads     map[string]string
	plan     exam.Plan
	ways     []exam.Way
	chain    map[string]string // pads of the chain of a port that speaks both; nil for none
}

// Run looks at a port.
func (c *debugCmd) Run(ctx context.Context, a *app) error {
	var t target
	return onPads(ctx, a, c.Rig, func(f *rig.File, p *profile.Profile) (err error) {
		t, err = c.target(f, p)
		return err
	}, func(ctx context.Context, b *rig.Bench) error {
		r := portReport{Protocol: t.protocol, Pads: t.pads}
		err := r.look(ctx, b, &t)
		return errors.Join(err, r.show(a.out, c.Format))
	})
}

// target puts together what is asked for.
func (c *debugCmd) target(f *rig.File, p *profile.Profile) (t target, err error) {
	name := c.Lock
	t.plan.Quick = c.Quick
	var decl *profile.DebugPort
	switch {
	case len(c.Pads) > 0 && c.Port != "":
		return t, errors.New("a port of the profile, or --pads: not both")
	case len(c.Pads) > 0:
		t.pads = c.Pads
	default:
		if decl, err = declared(p, c.Port); err != nil {
			return t, err
		}
		if t.pads = decl.As(profile.SWD).Pads; decl.Protocol == profile.SWJ {
			t.chain, t.plan.Both = decl.As(profile.JTAG).Pads, true
		}
		for _, tap := range decl.TAPs {
			t.plan.TAPs = append(t.plan.TAPs, exam.TAP{ID: uint32(tap.ID), Boundary: tap.Boundary}) //nolint:gosec // the profile's lint bounds it
		}
		if name == "" && decl.Lock != lock.None {
			name = decl.Lock
		}
		for _, id := range decl.DP.Targets {
			t.ways = append(t.ways, exam.Target(uint32(id))) //nolint:gosec // the profile's lint bounds it
		}
	}
	if name != "" && name != lock.None {
		if t.plan.Lock, err = lock.Named(name); err != nil {
			return t, err
		}
	}
	if t.protocol, err = protocol(t.pads); err != nil {
		return t, err
	}
	for _, pads := range []map[string]string{t.pads, t.chain} {
		for _, role := range slices.Sorted(maps.Keys(pads)) {
			if err := rigs.Known(fmt.Sprintf("pad (%s) of rig %s", role, f.Name), pads[role], f.Pads.Names()); err != nil {
				return t, err
			}
		}
	}
	if c.Target != "" {
		id, err := strconv.ParseUint(c.Target, 0, 32)
		if err != nil {
			return t, fmt.Errorf("--target %q: want a number of 32 bits, as 0x01002927", c.Target)
		}
		t.ways = []exam.Way{exam.Target(uint32(id))}
	}
	if len(t.ways) == 0 {
		t.ways = append([]exam.Way{exam.Plain}, exam.Dormant()...)
		for _, id := range exam.KnownTargets() {
			t.ways = append(t.ways, exam.Target(id))
		}
	}
	return t, nil
}

// declared gives a port of the profile: the one that is named, or the only one.
func declared(p *profile.Profile, name string) (*profile.DebugPort, error) {
	var names []string
	for n, d := range p.Debug.Ports.Items {
		if !d.Declared() {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	switch {
	case name != "":
		if err := rigs.Known("debug port of the profile", name, names); err != nil {
			return nil, err
		}
	case len(names) == 1:
		name = names[0]
	case len(names) == 0:
		return nil, errors.New("the profile declares no debug port; say which pads: --pads 'clk=J3.2;io=J3.4', or look for them with rigor pins")
	default:
		return nil, fmt.Errorf("the profile has several debug ports, say which: %s", words(names))
	}
	return p.Debug.Ports.Items[name], nil
}

// protocol tells by the roles which one it is.
func protocol(pads map[string]string) (string, error) {
	has := func(roles ...string) bool {
		for _, r := range roles {
			if pads[r] == "" {
				return false
			}
		}
		return true
	}
	switch {
	case has("clk", "io"):
		return profile.SWD, nil
	case has("tck", "tms", "tdi", "tdo"):
		return profile.JTAG, nil
	}
	return "", errors.New("--pads: want clk and io, or tck, tms, tdi and tdo")
}

// portReport is what a look showed.
type portReport struct {
	Protocol string            `json:"protocol"`
	Pads     map[string]string `json:"pads"`
	Idle     []idle.Pad        `json:"idle"`
	Looks    []ladder.Look     `json:"looks"`
	Level    string            `json:"level"`
	Why      string            `json:"why"`
}

// look attaches in one way after the other, until somebody answers.
func (r *portReport) look(ctx context.Context, b *rig.Bench, t *target) error {
	all, err := idle.Read(ctx, b.Pads)
	if err != nil {
		return err
	}
	for _, p := range all {
		if slices.Contains(slices.Collect(maps.Values(t.pads)), p.Name) {
			r.Idle = append(r.Idle, p)
		}
	}
	if a, ok := b.Pads.(dap.Adapter); ok { // it attaches in its own way
		l, err := exam.Adapter(ctx, a.DebugPort(), t.plan)
		r.add(l)
		return err
	}
	w := debugport.New(b.Pads, debugport.Options{Part: rig.PadsPart})
	pin := func(pads map[string]string, role string) int {
		if i, ok := w.Pin(pads[role]); ok && pads[role] != "" {
			return i
		}
		return -1
	}
	chain := func(p map[string]string) error {
		l, err := exam.JTAG(ctx, w, exam.Chain{TCK: pin(p, "tck"), TMS: pin(p, "tms"), TDI: pin(p, "tdi"), TDO: pin(p, "tdo"), NTRST: pin(p, "ntrst")}, t.plan)
		r.add(l)
		return err
	}
	if t.protocol == profile.JTAG {
		return chain(t.pads)
	}
	for _, way := range t.ways {
		l, err := exam.SWD(ctx, w, pin(t.pads, "clk"), pin(t.pads, "io"), way, t.plan)
		r.add(l)
		if err != nil {
			return err
		}
		if l.Reply != ladder.Silent {
			break
		}
	}
	if t.chain == nil {
		return nil
	}
	both := r.Looks[len(r.Looks)-1]
	if err := chain(t.chain); err != nil {
		return err
	}
	both.More = append(both.More, r.Looks[len(r.Looks)-1].Each()...)
	level, why := both.Level()
	r.Level, r.Why = level.String(), why
	return nil
}

// add files a look; the last one that was answered says the level.
func (r *portReport) add(l ladder.Look) {
	l.Phase, l.Idle = "as it was found", r.Idle
	r.Looks = append(r.Looks, l)
	level, why := l.Level()
	r.Level, r.Why = level.String(), why
}

func (r *portReport) show(out io.Writer, format string) error {
	if format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var err error
	say := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprint(out, escape.Terminal(fmt.Sprintf(format, args...)))
		}
	}
	for _, role := range slices.Sorted(maps.Keys(r.Pads)) {
		state := "not read"
		for _, p := range r.Idle {
			if p.Name == r.Pads[role] {
				state = string(p.State)
			}
		}
		say("%-6s %-8s %s\n", role, r.Pads[role], state)
	}
	silent := 0
	for i := range r.Looks {
		l := &r.Looks[i]
		if l.Reply == ladder.Silent {
			silent++
			continue
		}
		sayLook(say, l)
	}
	if silent > 0 {
		say("%d ways of attaching without an answer\n", silent)
	}
	if r.Level == "" {
		return err
	}
	say("access level: %s (%s)\n", r.Level, r.Why)
	if silent == len(r.Looks) {
		say("no answer is no lock: the port may be unpowered, miswired or asleep; rigor run looks for the grounds\n")
	}
	return err
}

// sayLook writes what one look showed.
func sayLook(say func(string, ...any), l *ladder.Look) {
	say("%s: %s", l.Way, l.Reply)
	switch {
	case len(l.TAPs) > 0:
		for _, id := range l.TAPs {
			say(", TAP 0x%08x (%s)", id, jep106.Of(id))
		}
		if l.ID != 0 {
			say(", DPIDR 0x%08x", l.ID)
		}
	case l.ID != 0:
		say(", DPIDR 0x%08x (%s)", l.ID, jep106.Of(l.ID))
	}
	say("\n")
	if l.Note != "" {
		say("  %s\n", l.Note)
	}
	if l.Up != ladder.Unknown {
		say("  debug power granted: %v\n", l.Up)
	}
	for _, ap := range l.AP {
		say("  AP 0x%x: IDR 0x%08x, %s, enabled: %v", ap.Addr, ap.IDR, ap.Kind, ap.Enabled)
		if ap.Note != "" {
			say(", %s", ap.Note)
		}
		say("\n")
		for _, u := range ap.Units {
			if u.Core {
				say("    debug unit of a core at 0x%08x: %v\n", u.At, u.Auth)
			}
		}
		if ap.Gap != "" {
			say("    not all that is behind it was seen: %s\n", ap.Gap)
		}
	}
	for _, m := range l.Reads {
		say("  %d bytes of %s at 0x%08x: %s", m.Length, m.What, m.At, m.Got)
		if m.Detail != "" {
			say(", %s", m.Detail)
		}
		say("\n")
	}
	if l.Auth != nil {
		say("  rights: %v\n", *l.Auth)
	}
	for _, k := range l.Locks {
		say("  lock: %s at %s is 0x%08x: %s", k.Name, k.Where, k.Raw, k.State)
		if k.Words != "" {
			say(", %s", k.Words)
		}
		say("\n")
	}
	if l.Broke != "" {
		say("  it fell silent: %s\n", l.Broke)
	}
	if l.Steps > 0 { // an adapter does not tell
		say("  %d half periods\n", l.Steps)
	}
	for i := range l.More {
		sayLook(say, &l.More[i])
	}
}
