package debugport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/debugport/exam"
	"rigor/harness/debugport/ladder"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Phases of a start, and what is behind it.
const (
	inReset  = "held in reset"
	released = "behind the release"
	inROM    = "ROM"
	inLoader = "boot loader"
	inSystem = "system"
	again    = ", once more"
	before   = ", before all else"
)

// IntentDebug is the kind of intent of a device that somebody attaches to: a run begins
// with a power cycle, which is all that it takes.
const IntentDebug = "debug"

// sweepStep is how often a port is looked at behind the release of the reset, where one
// look takes less.
const sweepStep = time.Millisecond

// behindPort is how much later than the port a console may tell of a phase.
const behindPort = 30 * time.Millisecond

// survey is what a run has seen of one port.
type survey struct {
	ladder.Survey
	name  string // in the profile
	port  *dut.DebugPort
	decl  *profile.DebugPort
	log   strings.Builder
	swept int               // quick looks
	gap   time.Duration     // the longest time without one, from the release on
	last  time.Duration     // behind the release: the last one
	best  exam.Way          // by which it answered first
	where string            // and in which phase; "" where it never did
	lacks map[string]string // phases that were not looked at, with why
	why   verdict.Reason    // of those that a start does not go through: the first; "" for none
	holds string            // what shows that its line holds the device in reset; "" where nothing does
}

// surveys are those of a run, all ports in the same boots.
type surveys struct {
	list []*survey
	in   string // the case that made them
}

// of gives those of a protocol; all where it is empty.
func (all *surveys) of(protocol string) (out []*survey) {
	for _, s := range all.list {
		if protocol == "" || s.decl.Protocol == protocol {
			out = append(out, s)
		}
	}
	return out
}

// made gives the surveys of the run. The first case that comes so far makes them.
func made(ctx context.Context, t *check.T) *surveys {
	all, in := check.Shared(t, func() *surveys { return survey1(ctx, t) })
	if in != t.ID() {
		t.Note("the debug ports were looked at in %s: what they showed is judged here", in)
	}
	all.in = in
	return all
}

// surveyor walks the device through its phases, and looks.
type surveyor struct {
	*check.T
	d     *dut.Device
	all   *surveys
	halt  bool
	reset string // the line that holds the device in reset; "" for none

	still time.Duration // how long it was held so, with no sign of a boot; 0 where there was one
}

func survey1(ctx context.Context, t *check.T) *surveys {
	v := newSurveyor(t)
	end := v.clean(ctx)
	v.golden(ctx, 0)
	v.discover(ctx)
	v.held(ctx)
	v.longer(ctx, v.sweep(ctx))
	if slices.ContainsFunc(v.all.list, func(s *survey) bool { return !s.best.IsPlain() }) {
		v.OK(v.d.PowerCycle(ctx)) // what the sweep woke is to be asleep again
	}
	v.system(ctx, inSystem)
	v.special(ctx)
	v.once(ctx)
	v.golden(ctx, 1)
	end()
	return v.all
}

func newSurveyor(t *check.T) *surveyor {
	v := &surveyor{T: t, d: t.Device(), all: &surveys{}, halt: slices.Contains(t.Input().Allow, check.Halt)}
	for _, name := range ofProtocol(t.Profile(), "") {
		speaks := t.Profile().Debug.Ports.Items[name].Speaks()
		for _, protocol := range speaks {
			p, err := v.d.DebugPort(name, protocol)
			t.OK(err)
			s := &survey{name: name, port: p, decl: p.Decl(), lacks: map[string]string{}}
			s.Port, s.Protocol, s.Roles, s.Declared = name, protocol, p.Decl().Pads, ladder.Parse(p.Decl().Level)
			s.Buffered = t.Input().Buffered
			s.Chip = chipOf(p.Decl(), len(speaks) > 1)
			if len(speaks) > 1 {
				s.Port += "-" + protocol
			}
			v.all.list = append(v.all.list, s)
			if line := p.Decl().Reset; slices.Contains(t.Input().Lines, line) {
				v.reset = line
			}
		}
	}
	return v
}

// chipOf gives which chip a port is declared to be. Of one of both kinds the names are
// those that it says over serial wire: over JTAG its TAPs are.
func chipOf(d *profile.DebugPort, both bool) (c ladder.Chip) {
	for _, t := range d.TAPs {
		c.TAPs = append(c.TAPs, uint32(t.ID)) //nolint:gosec // the profile's lint bounds it
	}
	if both && d.Protocol == profile.JTAG {
		return c
	}
	c.Version, c.ID, c.Target = d.DP.Version, uint32(d.DP.ID), uint32(d.DP.Target) //nolint:gosec // likewise
	for _, t := range d.DP.Targets {
		c.Targets = append(c.Targets, uint32(t)) //nolint:gosec // likewise
	}
	return c
}

// clean writes down that somebody attaches, and gives what makes the device clean again:
// a power cycle, and the question which unit it is.
func (v *surveyor) clean(ctx context.Context) func() {
	done := v.Intent(IntentDebug, "a debug port is asked, by "+v.ID(), nil)
	clean := false
	v.Cleanup(func(ctx context.Context, t *check.T) {
		if !clean {
			v.letGo(ctx, t)
			t.OK(t.Device().PowerCycle(ctx))
		}
		done()
	})
	return func() {
		v.letGo(ctx, v.T)
		v.OK(v.d.PowerCycle(ctx))
		if len(v.Profile().Identity.Steps) > 0 {
			_, err := v.d.Identify(ctx)
			v.OK(err)
		}
		clean = true
	}
}

// letGo releases the reset.
func (v *surveyor) letGo(ctx context.Context, t *check.T) {
	if v.reset == "" {
		return
	}
	l, err := t.Device().Line(v.reset)
	t.OK(err)
	t.OK(l.Release(ctx))
}

func (s *survey) say(format string, args ...any) { fmt.Fprintf(&s.log, format+"\n", args...) }

// take notes a look.
func (s *survey) take(l ladder.Look) {
	lv, why := l.Level()
	s.say("%s, %s: %s: %s [%s]", l.When(), l.Way, lv, why, l.Acks)
	s.Looks = append(s.Looks, l.Each()...)
}

// full looks at a port in every way. What was answered in one way with the same name is
// only looked at quickly in the others, but where several share the wires.
func (v *surveyor) full(ctx context.Context, s *survey, phase string, supplied ladder.Tri) {
	var first *ladder.Look
	for _, way := range s.port.Ways() { // plainly first: a port that was woken stays awake
		var l ladder.Look
		var err error
		if first != nil && !(way.Named() && len(s.decl.DP.Targets) > 0) {
			l, err = s.port.Quick(ctx, way)
		} else {
			l, err = s.port.Look(ctx, way, v.halt)
		}
		v.OK(err)
		l.Phase, l.Supplied = phase, supplied
		s.take(l)
		if l.Reply == ladder.Answered && first == nil {
			first = &s.Looks[len(s.Looks)-1]
		}
	}
}

// discover finds the way by which each port answers, and where, before all else: an answer
// that precedes a silence is what shows the wires.
func (v *surveyor) discover(ctx context.Context) {
	for _, where := range []string{inReset, inSystem} {
		if where == inReset && v.reset == "" || !slices.ContainsFunc(v.all.list, func(s *survey) bool { return s.where == "" }) {
			continue
		}
		v.start(ctx, where)
		for _, s := range v.all.list {
			for _, way := range s.port.Ways() {
				if s.where != "" {
					break
				}
				l, err := s.port.Quick(ctx, way)
				v.OK(err)
				if l.Reply == ladder.Answered {
					l.Phase, l.Supplied, s.best, s.where = where+before, ladder.Yes, way, where
					s.take(l)
				}
			}
		}
		v.stop(ctx)
	}
}

// start switches the device on, held in reset or up to its use.
func (v *surveyor) start(ctx context.Context, where string) {
	if where == inSystem {
		v.OK(v.d.PowerCycle(ctx))
		return
	}
	v.OK(v.d.PowerOff(ctx))
	line, err := v.d.Line(v.reset)
	v.OK(err)
	v.OK(line.Assert(ctx))
	v.OK(v.d.PowerOn(ctx))
}

// stop ends a start.
func (v *surveyor) stop(ctx context.Context) {
	v.OK(v.d.PowerOff(ctx))
	v.letGo(ctx, v.T)
}

// supplies notes of the looks from one on that the device had its supply.
func (s *survey) supplies(from int) {
	for i := from; i < len(s.Looks); i++ {
		s.Looks[i].Supplied = ladder.Yes
	}
}

func (v *surveyor) marks() (out []int) {
	for _, s := range v.all.list {
		out = append(out, len(s.Looks))
	}
	return out
}

// held looks while the device is held in reset, and sees whether the line holds it: no
// boot shows until it is let go, and one does then.
func (v *surveyor) held(ctx context.Context) {
	v.OK(v.d.PowerOff(ctx))
	v.idleOff(ctx)
	if v.reset == "" {
		v.lack(inReset, "no line of the rig's holds the device in reset")
		return
	}
	con, conErr := v.d.BootConsole()
	line, err := v.d.Line(v.reset)
	v.OK(err)
	v.OK(line.Assert(ctx))
	from := mark(con, conErr)
	v.OK(v.d.PowerOn(ctx))
	on := time.Now()
	at := v.marks()
	for _, s := range v.all.list {
		v.full(ctx, s, inReset, ladder.Unknown)
	}
	if conErr != nil {
		v.OK(v.d.PowerOff(ctx))
		v.OK(line.Release(ctx))
		return
	}
	banner, ok := dut.Pattern("the banner of a boot", con.Boot().Banner)
	quiet := !shown(con, from, con.Boot().Banner)
	held := time.Since(on)
	v.OK(line.Release(ctx))
	if ok && quiet {
		v.still = held
	}
	if ok {
		_, err := con.Expect(ctx, from, banner)
		v.OK(err)
		for i, s := range v.all.list {
			s.supplies(at[i])
			switch {
			case !quiet:
				s.Against = fmt.Sprintf("the device boots while line %s is held", v.reset)
			case s.decl.Reset == v.reset: // another connector's shows nothing of this one
				s.holds = fmt.Sprintf("line %s of its connector holds the device: it boots when that is let go, and not before", v.reset)
				s.Wire = s.holds
			}
		}
	}
	v.OK(v.d.PowerOff(ctx))
}

// idleOff reads what the pads do without a supply, and asks whether somebody answers: the
// device does not.
func (v *surveyor) idleOff(ctx context.Context) {
	for _, s := range v.all.list {
		pads, err := s.port.Idle(ctx)
		v.OK(err)
		s.Off = pads
		s.say("without a supply: %v", pads)
		l, err := s.port.Quick(ctx, s.best)
		v.OK(err)
		if l.Reply == ladder.Answered {
			s.Astray = "it answers while the device has no supply: the pads lead to something else, or it is fed by another wire"
			s.say("%s", s.Astray)
		}
	}
}

// mark gives where a console is now; 0 where there is none.
func mark(con *dut.Console, err error) console.Cursor {
	if err != nil {
		return 0
	}
	return con.Mark()
}

// shown says whether a console has shown something since.
func shown(con *dut.Console, from console.Cursor, p profile.Pattern) bool {
	b, err := con.Since(from)
	switch {
	case err != nil || p.Zero():
		return false
	case p.Regexp != nil:
		return p.Regexp.Match(b)
	}
	return bytes.Contains(b, []byte(p.Literal))
}

// bootTime is how long a boot may take on a console.
func (v *surveyor) bootTime(con *dut.Console) time.Duration {
	if w := con.Boot().Within; w > 0 {
		return w
	}
	return 2 * time.Minute
}

// phaseOf says how far a boot is, by what its console has shown.
func phaseOf(con *dut.Console, from console.Cursor) string {
	boot := con.Boot()
	for _, p := range []struct {
		seen profile.Pattern
		name string
	}{{boot.Done, inSystem}, {boot.Loader, inLoader}, {boot.Banner, inROM}} {
		if shown(con, from, p.seen) {
			return p.name
		}
	}
	return released
}

// sameness is equal for looks that show the same.
func sameness(l *ladder.Look) string {
	lv, why := l.Level()
	return fmt.Sprint(l.Phase, l.Reply, l.ID, l.TAPs, lv, why)
}

// system looks while the device is in use.
func (v *surveyor) system(ctx context.Context, phase string) {
	for _, s := range v.all.list {
		v.full(ctx, s, phase, ladder.Yes)
	}
}

// special looks in the phases that a start does not go through.
func (v *surveyor) special(ctx context.Context) {
	for _, s := range v.all.list {
		for _, name := range []string{profile.PhaseSleep, profile.PhaseUpdate, profile.PhaseRecovery} {
			ph := s.decl.Phases.Items[name]
			switch {
			case ph == nil:
				s.lack(name, verdict.ReasonProfileMissing, "the profile does not say how it begins (debug.ports."+s.name+".phases)")
				continue
			case ph.Declared():
				s.say("%s: there is none: %s", name, ph.None.None)
				continue
			}
			if missing := slices.IndexFunc(ph.Needs, func(n string) bool { return !slices.Contains(v.Input().Allow, check.Leave(n)) }); missing >= 0 {
				s.lack(name, verdict.ReasonRigLacks, "the rig file does not allow "+ph.Needs[missing])
				continue
			}
			_, err := v.d.Steps(ctx, ph.Enter, nil)
			v.OK(err)
			v.full(ctx, s, name, ladder.Yes)
			if len(ph.Leave) > 0 {
				_, err = v.d.Steps(ctx, ph.Leave, nil)
				v.OK(err)
			} else {
				v.OK(v.d.PowerCycle(ctx))
			}
		}
	}
}

// lack notes a phase that could not be looked at.
func (s *survey) lack(phase string, r verdict.Reason, why string) {
	if s.lacks[phase] = why; s.why == "" {
		s.why = r
	}
}

// once looks once more as in the beginning: a port that is silent in between is shown by
// answers before and behind.
func (v *surveyor) once(ctx context.Context) {
	for _, where := range []string{inReset, inSystem} {
		doubtful := func(s *survey) bool {
			return s.where == where && slices.ContainsFunc(s.Looks, func(l ladder.Look) bool { return l.Reply == ladder.Silent })
		}
		if !slices.ContainsFunc(v.all.list, doubtful) {
			continue
		}
		v.start(ctx, where)
		for _, s := range v.all.list {
			if !doubtful(s) {
				continue
			}
			l, err := s.port.Quick(ctx, s.best)
			v.OK(err)
			l.Phase = where + again
			if l.Reply == ladder.Answered {
				l.Supplied = ladder.Yes
			}
			s.take(l)
		}
		v.stop(ctx)
	}
}

// golden looks at an open unit on the same wires, where the rig has one.
func (v *surveyor) golden(ctx context.Context, k int) {
	if !v.Input().Golden {
		return
	}
	v.OK(v.d.Golden(ctx, func(ctx context.Context) error {
		for _, s := range v.all.list {
			for _, way := range s.port.Ways() {
				l, err := s.port.Look(ctx, way, false)
				if err != nil {
					return err
				}
				l.Phase = "an open unit in its place"
				if lv, _ := l.Level(); s.Golden[k] == nil || lv > ladder.L2 {
					s.Golden[k] = &l
				}
				if lv, _ := s.Golden[k].Level(); lv > ladder.L2 {
					break
				}
			}
		}
		return nil
	}))
}

// back sees that the device is on the pads again where an open unit was in its place: a
// relay may stick. What answers while the device has no supply is not the device.
func (v *surveyor) back(ctx context.Context) {
	if !v.Input().Golden {
		return
	}
	v.OK(v.d.PowerOff(ctx))
	for _, s := range v.all.list {
		for _, way := range s.port.Ways() {
			l, err := s.port.Quick(ctx, way)
			v.OK(err)
			if l.Reply == ladder.Answered {
				s.Astray = fmt.Sprintf("somebody answers on the pads while the device has no supply (%s): the open unit is still in its place, or they lead to something else", l.Way)
				s.say("%s", s.Astray)
				break
			}
		}
	}
}

func (v *surveyor) lack(phase, why string) {
	for _, s := range v.all.list {
		s.lacks[phase] = why
	}
}

// contrary notes what else in the run came in by the port.
func (s *survey) contrary() {
	s.Contrary = nil
	for _, name := range s.port.ReadBy() {
		s.Contrary = append(s.Contrary, "storage "+name+" was read by it")
	}
}

// evidence keeps what was seen with the case that judges it.
func (s *survey) evidence(t *check.T, pick func(l *ladder.Look) bool) journal.Ref {
	s.contrary()
	var looks []ladder.Look
	for i := range s.Looks {
		if pick == nil || pick(&s.Looks[i]) {
			looks = append(looks, s.Looks[i])
		}
	}
	data, err := json.MarshalIndent(struct {
		Port  string            `json:"port"`
		Pads  map[string]string `json:"pads"`
		Off   any               `json:"without_a_supply,omitempty"`
		Wire  string            `json:"other_wire,omitempty"`
		Lacks map[string]string `json:"not_looked_at,omitempty"`
		Looks []ladder.Look     `json:"looks"`
	}{s.Port, s.Roles, s.Off, s.Wire, s.lacks, looks}, "", " ")
	t.OK(err)
	return t.Keep("port-"+s.Port+".json", "each look at debug port "+s.Port+" that the case judges", data)
}

// told keeps the course of the survey with the case that made it.
func (all *surveys) told(t *check.T) {
	if all.in != t.ID() {
		return
	}
	for _, s := range all.list {
		t.Keep("port-"+s.Port+".txt", "the course of the survey of debug port "+s.Port, []byte(s.log.String()))
		var waves, log bytes.Buffer
		t.OK(s.port.Waves(&waves))
		t.OK(s.port.Log(&log))
		t.Keep("port-"+s.Port+".vcd", "what went over the pads of debug port "+s.Port+", of looks that saw the same the first", waves.Bytes())
		t.Keep("port-"+s.Port+".log", "the transactions of port-"+s.Port+".vcd", log.Bytes())
	}
}
