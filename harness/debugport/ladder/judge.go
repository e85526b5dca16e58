package ladder

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/debugport/idle"
	"rigor/harness/verdict"
)

// Basis is a ground on which silence may be taken for a lock.
type Basis string

// The bases. Enough is W1, or W2 and W3.
const (
	W1 Basis = "W1" // these pads on this unit answer in this run, before and behind
	W2 Basis = "W2" // another wire of the same connector acts, or the board's pulls are seen
	W3 Basis = "W3" // an open unit of the model on the same fixture, before and behind
)

// Ground is a basis with what was seen of it.
type Ground struct {
	Basis Basis  `json:"basis"`
	Seen  string `json:"seen"`
}

// String gives "W1: it answers held in reset".
func (g Ground) String() string { return string(g.Basis) + ": " + g.Seen }

// Survey is all that a run has seen of a port, in the order in which it was.
type Survey struct {
	Port     string
	Protocol string
	Roles    map[string]string // role → pad
	Declared Level             // the most open one that the maker declares
	Chip     Chip              // which one it is declared to be
	Looks    []Look
	// Off are the pads while the DUT had no supply; nil where nobody could look.
	Off []idle.Pad
	// Wire is what another wire of the same connector showed (W2), and Against what it
	// showed to the contrary.
	Wire, Against string
	// Buffered says that an adapter stands between our pins and the pads: what holds a pad
	// may be that.
	Buffered bool
	// Golden are the looks at an open unit on the same wires, before the looks and behind
	// them; nil where there is none.
	Golden [2]*Look
	// Astray says why the pads may lead to something else than the DUT; "" where nothing does.
	Astray string
	// Contrary is other evidence of the run that something came in by this port.
	Contrary []string
}

// Chip is what is declared of who answers; what is 0 or empty is not said.
type Chip struct {
	Version int    // of the debug port
	ID      uint32 // DPIDR
	Target  uint32 // TARGETID, without its revision
	// Targets are the ports that share the wires, by TARGETSEL.
	Targets []uint32
	TAPs    []uint32
}

// stranger says in what the one that answered is another than is declared; "" where it is in
// nothing. A port that gives nothing but what the TAPs are has no DPIDR.
func (c *Chip) stranger(l *Look) string {
	if l.Reply != Answered {
		return ""
	}
	differs := func(what string, is, want any) string {
		return fmt.Sprintf("%s is %v, and declared is %v: that is another chip, or it is wrongly declared", what, is, want)
	}
	hex := func(v uint32) string { return fmt.Sprintf("0x%08x", v) }
	const part = 0x0fffffff // of TARGETID and TARGETSEL; above are revision and instance
	switch v := int(l.ID >> 12 & 0xf); {
	case c.ID != 0 && l.ID != 0 && l.ID != c.ID:
		return differs("its DPIDR", hex(l.ID), hex(c.ID))
	case c.Version != 0 && l.ID != 0 && v != c.Version:
		return differs("the version of its debug port", v, c.Version)
	case c.Target != 0 && l.Target != 0 && (l.Target^c.Target)&part != 0:
		return differs("its TARGETID", hex(l.Target), hex(c.Target))
	case len(c.Targets) > 0 && l.Target != 0 && !slices.ContainsFunc(c.Targets, func(t uint32) bool { return (t^l.Target)&part == 0 }):
		return differs("its TARGETID", hex(l.Target), fmt.Sprintf("that of %08x", c.Targets))
	case len(c.TAPs) > 0 && len(l.TAPs) > 0 && !slices.Equal(c.TAPs, l.TAPs):
		return differs("its chain", fmt.Sprintf("%08x", l.TAPs), fmt.Sprintf("%08x", c.TAPs))
	}
	return ""
}

// Stranger says of a look in what the one that answered is another chip than is declared,
// or says another name than elsewhere; "" where it is the one.
func (s *Survey) Stranger(l *Look) string { return s.Chip.stranger(l) }

// Verdict is what is said of a port.
type Verdict struct {
	Level  Level
	Open   bool // it is more open than it may be
	Shut   bool // it is shown not to be; where neither is, it cannot be said
	Reason verdict.Reason
	Why    string
	Ground []Ground
	At     *Look // the look that decided; nil where all did
}

// Most is the most open level that may pass, whatever is declared.
const Most = L2

// Judge says of the looks that are picked (all where pick is nil) how far the port lets
// in, and whether it may.
func (s *Survey) Judge(pick func(l *Look) bool) Verdict {
	var looks []int
	for i := range s.Looks {
		if pick == nil || pick(&s.Looks[i]) {
			looks = append(looks, i)
		}
	}
	if len(looks) == 0 {
		return Verdict{Level: Unsaid, Reason: verdict.ReasonCoverageGap, Why: "the port was not looked at there"}
	}
	if s.Astray != "" {
		return Verdict{Level: Unsaid, Reason: verdict.ReasonControlFailed, Why: s.Astray}
	}
	if v, open := s.opens(looks); open {
		return v
	}
	out := Verdict{Level: L0, Shut: true}
	var why string
	for _, i := range looks {
		l := &s.Looks[i]
		lv, w := l.Level()
		if lv == Unsaid {
			return Verdict{Level: Unsaid, Reason: verdict.ReasonAmbiguous, Why: l.When() + " (" + l.Way + "): " + w, At: l}
		}
		if why := s.Stranger(l); why != "" {
			return Verdict{Level: Unsaid, Reason: verdict.ReasonControlFailed, Why: l.When() + " (" + l.Way + "): " + why, At: l}
		}
		if lv > L0 {
			if lv > out.Level {
				out.Level, why = lv, l.When()+" ("+l.Way+"): "+w
			}
			continue
		}
		g, lacking := s.ground(i)
		if g == nil {
			return Verdict{Level: Unsaid, Reason: verdict.ReasonControlFailed, Why: l.When() + " (" + l.Way + "): it is silent, and " + lacking, At: l}
		}
		for _, one := range g {
			if !slices.Contains(out.Ground, one) {
				out.Ground = append(out.Ground, one)
			}
		}
	}
	if v, odd := s.agree(looks); odd {
		return v
	}
	if len(s.Contrary) > 0 {
		return Verdict{Level: Unsaid, Reason: verdict.ReasonAmbiguous, Why: "it looks shut, and " + strings.Join(s.Contrary, "; ")}
	}
	if why == "" {
		why = "it does not answer"
	}
	out.Why = why
	return out
}

// opens gives the most open look, where that is more open than may be.
func (s *Survey) opens(looks []int) (Verdict, bool) {
	best := Verdict{Level: Unsaid}
	for _, i := range looks {
		l := &s.Looks[i]
		lv, why := l.Level()
		if lv == Unsaid {
			lv = l.floor()
		}
		if lv > best.Level {
			best = Verdict{Level: lv, Open: true, Why: l.When() + " (" + l.Way + "): " + why, At: l}
		}
	}
	switch {
	case best.Level > Most:
		best.Reason = verdict.ReasonAccess
		return best, true
	case best.Level > s.Declared && s.Declared != Unsaid:
		best.Reason = verdict.ReasonContradicted
		best.Why += "; declared is " + s.Declared.String()
		return best, true
	}
	return Verdict{}, false
}

// agree holds the answers against each other: a port that says another name each time is
// not one port.
func (s *Survey) agree(looks []int) (Verdict, bool) {
	first := map[string]*Look{}
	for _, i := range looks {
		l := &s.Looks[i]
		if l.Reply != Answered {
			continue
		}
		key := l.Way
		if Class(key) == Woken { // it is the one that answers plainly then
			key = "swd"
		}
		f := first[key]
		if f == nil {
			first[key] = l
			continue
		}
		if f.ID != l.ID || !slices.Equal(f.TAPs, l.TAPs) {
			return Verdict{Level: Unsaid, Reason: verdict.ReasonAmbiguous, At: l,
				Why: fmt.Sprintf("%s it says that it is 0x%08x %x, and %s 0x%08x %x: that is not one port", f.When(), f.ID, f.TAPs, l.When(), l.ID, l.TAPs)}, true
		}
	}
	return Verdict{}, false
}

// ground gives the bases of a silent look, or says what is lacking.
func (s *Survey) ground(i int) ([]Ground, string) {
	l := &s.Looks[i]
	if l.Supplied != Yes {
		return nil, "the DUT is not shown to have its supply then"
	}
	if s.Against != "" {
		return nil, s.Against
	}
	var out []Ground
	before, after, other := s.around(i)
	if before != nil && after != nil {
		out = append(out, Ground{W1, "the same pads answer " + before.When() + ", and " + after.When()})
	}
	if len(out) > 0 {
		return out, ""
	}
	if way := s.unasked(); way != "" {
		return nil, "it was not asked " + way
	}
	golden, no := "", ""
	pulls, noPulls := s.pulls(l)
	level, dead := s.reference(l)
	if dead != "" {
		return nil, dead
	}
	wire := joined(s.Wire, level, pulls)
	if golden, no = s.golden(); wire != "" && golden != "" {
		return []Ground{{W2, wire}, {W3, golden}}, ""
	}
	lacking := "nothing shows that its pads are wired: it answers in no phase before and behind"
	if before != nil || after != nil {
		lacking = "it answers on one side of that only: a wire may have gone"
	}
	if other != "" {
		lacking += "; " + other
	}
	if wire == "" {
		lacking += ", no other wire of the connector is seen to act, and " + noPulls
	}
	if no != "" {
		lacking += "; " + no
	}
	return nil, lacking
}

// unasked says in which way a port was never asked that nobody has heard answer: asleep,
// or waiting for its name, an open one is as silent as a locked one. It is "" where all
// were tried.
func (s *Survey) unasked() string {
	if s.Protocol != "swd" {
		return ""
	}
	asked := map[string]bool{}
	for i := range s.Looks {
		if l := &s.Looks[i]; !l.Quick {
			asked[Class(l.Way)] = true
		}
	}
	for _, c := range []struct{ class, words string }{{Plainly, "plainly"}, {Woken, "with what wakes a port that sleeps"}, {Named, "by the names of ports that share their wires"}} {
		if !asked[c.class] {
			return c.words
		}
	}
	return ""
}

// Classes of ways to a port of serial wire.
const (
	Plainly = "plain"
	Woken   = "dormant"
	Named   = "target"
)

// Class says of which class a way is.
func Class(way string) string {
	switch {
	case strings.Contains(way, "dormant"):
		return Woken
	case strings.Contains(way, "target"):
		return Named
	}
	return Plainly
}

// around gives looks before one and behind it at which the same pads answered to the end:
// both times the declared chip, with the same name. Other says why an answer is no such.
func (s *Survey) around(i int) (before, after *Look, other string) {
	before, other = s.answered(i, -1, nil)
	if after, why := s.answered(i, +1, before); after != nil || why != "" {
		return before, after, joined(other, why)
	}
	return before, nil, other
}

// answered gives the nearest look before (-1) or behind (+1) one at which the same pads
// answered to the end, as the declared chip, and as in another look where one is given.
func (s *Survey) answered(i, dir int, as *Look) (found *Look, other string) {
	for j := i + dir; j >= 0 && j < len(s.Looks); j += dir {
		l := &s.Looks[j]
		switch why := s.Stranger(l); {
		case l.Reply != Answered || l.Broke != "":
		case why != "":
			other = l.When() + " " + why
		case as != nil && (as.ID != l.ID || !slices.Equal(as.TAPs, l.TAPs)):
			other = fmt.Sprintf("%s 0x%08x %08x answers, and %s 0x%08x %08x", as.When(), as.ID, as.TAPs, l.When(), l.ID, l.TAPs)
		default:
			return l, ""
		}
	}
	return nil, other
}

// holds is how a pad of a port is held by the board, where it is: as the protocol has it.
var holds = map[string]idle.State{"clk": idle.Low, "io": idle.High, "tck": idle.Low, "tms": idle.High, "tdi": idle.High}

// pulls says that each pad is held against both of our pulls as a port's is, and not
// without the supply. Alone that shows no port: a clock that lies at ground is as low as
// one that is pulled down, and wires that are exchanged may be pulled alike.
func (s *Survey) pulls(l *Look) (seen, lacking string) {
	if s.Buffered {
		return "", "what holds its pads may be the adapter in between"
	}
	var parts []string
	for _, role := range []string{"clk", "io", "tck", "tms", "tdi"} {
		pad, ok := s.Roles[role]
		if !ok {
			continue
		}
		now := stateOf(l.Idle, pad)
		if now != holds[role] {
			return "", fmt.Sprintf("pad %s (%s) is %s, and not %s", pad, role, or(now, "not looked at"), holds[role])
		}
		switch off := stateOf(s.Off, pad); off {
		case "":
			return "", "whether its pulls are the DUT's own was not seen: they were not looked at without the supply"
		case now:
			if now == idle.High { // what is low without a supply is nothing
				return "", fmt.Sprintf("pad %s is %s without the supply too: that is not the DUT's doing", pad, now)
			}
		}
		parts = append(parts, pad+" is "+string(now))
	}
	return "each pad is held against both of our pulls, and not without the supply: " + strings.Join(parts, ", "), ""
}

// reference says that the reference level of the connector comes and goes with the supply;
// or that it is not there while the DUT is said to have one.
func (s *Survey) reference(l *Look) (seen, dead string) {
	pad, ok := s.Roles["vref"]
	if !ok {
		return "", ""
	}
	switch now := stateOf(l.Idle, pad); {
	case now == idle.Low:
		return "", fmt.Sprintf("the reference level (%s) of its connector is low", pad)
	case now == idle.High && stateOf(s.Off, pad) == idle.Low:
		return fmt.Sprintf("the reference level (%s) of its connector comes and goes with the supply", pad), ""
	}
	return "", ""
}

// joined puts together what is not empty.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

func or[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

func stateOf(pads []idle.Pad, name string) idle.State {
	for _, p := range pads {
		if p.Name == name {
			return p.State
		}
	}
	return ""
}

// golden says that an open unit on the same wires let us in before and behind.
func (s *Survey) golden() (seen, lacking string) {
	for k, when := range []string{"before", "behind"} {
		g := s.Golden[k]
		if g == nil {
			return "", "no open unit was looked at on the same wires " + when
		}
		if lv, why := g.Level(); lv < L3 {
			return "", fmt.Sprintf("the open unit on the same wires did not let us in %s: %s", when, why)
		}
		if why := s.Stranger(g); why != "" {
			return "", fmt.Sprintf("what is in the open unit's place is no unit of the model %s: %s", when, why)
		}
	}
	return fmt.Sprintf("an open unit on the same wires lets us in before and behind (%s)", s.Golden[0].Way), ""
}
