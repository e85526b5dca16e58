package profile

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cut says what a piece of the DUT's work (an update, a reset) looks like from outside,
// so that the supply can be cut in each part of it, and as what the DUT may come back.
type Cut struct {
	None `yaml:",inline"`
	// Phases are the parts of the work, in the order in which they begin. One lasts to
	// the beginning of the next, the last to the end of the work.
	Phases []CutPhase `yaml:"phases"`
	Hits   int        `yaml:"hits"` // cuts wanted in each phase; DefaultCutHits where it is 0
	Cuts   int        `yaml:"cuts"` // in all, at most; ten for each hit wanted where it is 0
	// Ends are what the DUT may be after a cut: "old" and "new" of an update, "kept" and
	// "reset" of a reset; both where nothing is said.
	Ends   []string `yaml:"ends"`
	Stores []string `yaml:"stores"` // what the owner has put there is looked for after each cut
	// Within is how long the DUT may take to come up after a cut; as long as a boot may
	// take where it is 0.
	Within time.Duration `yaml:"within"`
}

// CutPhase is one part of the work, with what shows that it begins: what a console
// shows, the edge of a line, or nothing but the time since the part before it.
type CutPhase struct {
	ID      string        `yaml:"id"`
	Console string        `yaml:"console"`
	Seen    Pattern       `yaml:"seen"`
	Line    string        `yaml:"line"`
	Edge    string        `yaml:"edge"` // asserted, released; asserted where it is not said
	After   time.Duration `yaml:"after"`
}

// What the DUT may be after a cut.
const (
	EndOld   = "old"   // the firmware from before the update runs
	EndNew   = "new"   // the new one runs
	EndKept  = "kept"  // nothing is reset
	EndReset = "reset" // all is reset
)

const (
	// DefaultCutHits is how many cuts are wanted in each phase where nothing is said.
	DefaultCutHits = 3
	maxCutHits     = 100
	cutsForEach    = 10
)

// Wanted gives how many cuts are wanted in each phase, and how many there may be in
// all.
func (c *Cut) Wanted() (hits, cuts int) {
	hits, cuts = c.Hits, c.Cuts
	if hits == 0 {
		hits = DefaultCutHits
	}
	if cuts == 0 {
		cuts = cutsForEach * hits * max(len(c.Phases), 1)
	}
	return hits, cuts
}

// Allows says whether the DUT may be so after a cut.
func (c *Cut) Allows(end string) bool { return len(c.Ends) == 0 || slices.Contains(c.Ends, end) }

// Consoles gives the consoles that show the phases.
func (c *Cut) Consoles() (out []string) {
	for _, ph := range c.Phases {
		if ph.Console != "" && !slices.Contains(out, ph.Console) {
			out = append(out, ph.Console)
		}
	}
	return out
}

// Lines gives the lines that show the phases.
func (c *Cut) Lines() (out []string) {
	for _, ph := range c.Phases {
		if ph.Line != "" && !slices.Contains(out, ph.Line) {
			out = append(out, ph.Line)
		}
	}
	return out
}

// cut holds what is said of power cuts against the rest. Ends are what can be said
// of them there.
func (l *linter) cut(at []string, c *Cut, ends ...string) {
	if !l.p.Source.Has(at...) || c.Declared() {
		return
	}
	key := func(keys ...string) []string { return append(slices.Clone(at), keys...) }
	if len(c.Phases) == 0 {
		l.errorf(at, "give it phases: [{id: write, console: main, seen: writing}], each with what shows that it begins", "in which parts of the work the power is cut is not said")
	}
	ids := map[string]bool{}
	for i := range c.Phases {
		ph, at := &c.Phases[i], key("phases", strconv.Itoa(i))
		if ph.ID == "" {
			l.errorf(at, "give it an id", "a phase has no name")
		}
		l.id(append(slices.Clone(at), "id"), ph.ID, ids)
		l.cutPhase(at, ph)
	}
	if c.Hits < 0 || c.Hits > maxCutHits {
		l.errorf(key("hits"), "write a number from 1 to "+strconv.Itoa(maxCutHits), "hits is %d", c.Hits)
	}
	if hits, cuts := c.Wanted(); cuts < hits*len(c.Phases) {
		l.errorf(key("cuts"), "write at least "+strconv.Itoa(hits*len(c.Phases))+", or fewer hits", "%d cuts cannot give %d hits in each of %d phases", c.Cuts, hits, len(c.Phases))
	}
	for i, e := range c.Ends {
		if !slices.Contains(ends, e) {
			l.errorf(key("ends", strconv.Itoa(i)), "write one of "+strings.Join(ends, ", "), "there is no end %q", e)
		}
	}
	for i, s := range c.Stores {
		st, at := l.p.Stores.Items[s], key("stores", strconv.Itoa(i))
		switch {
		case st == nil && (!l.p.Stores.Given || l.p.Stores.Declared()):
		case st == nil:
			l.errorf(at, near(s, l.p.Stores.Order), "no store %q is declared", s)
		case len(st.Plant) == 0 || len(st.Read) == 0:
			l.errorf(at, "give the store plant and read", "what is in store %s cannot be put there and read", s)
		}
	}
	if c.Within < 0 {
		l.errorf(key("within"), "write a time", "within is %v", c.Within)
	}
}

// cutPhase holds a phase to one thing that shows it.
func (l *linter) cutPhase(at []string, ph *CutPhase) {
	shown := 0
	for _, is := range []bool{ph.Console != "" || !ph.Seen.Zero(), ph.Line != "" || ph.Edge != "", ph.After != 0} {
		if is {
			shown++
		}
	}
	switch {
	case shown != 1:
		l.errorf(at, "give it console and seen, or line and edge, or after", "what shows that phase %s begins is not said in one way", ph.ID)
	case (ph.Console == "") != ph.Seen.Zero():
		l.errorf(at, "give it console and seen", "what shows that phase %s begins is said in part", ph.ID)
	case ph.Line == "" && ph.Edge != "":
		l.errorf(at, "give it line too", "what shows that phase %s begins is said in part", ph.ID)
	case ph.After < 0:
		l.errorf(append(slices.Clone(at), "after"), "write a time", "after is %v", ph.After)
	}
	l.oneOf(append(slices.Clone(at), "edge"), ph.Edge, "asserted", "released")
	if c := ph.Console; c != "" && l.p.Consoles.Given && !l.p.Consoles.Declared() {
		switch con := l.p.Consoles.Items[c]; {
		case con == nil:
			l.errorf(append(slices.Clone(at), "console"), near(c, l.p.Consoles.Order), "no console %q is declared", c)
		case con.Declared() || con.Silent:
			l.errorf(append(slices.Clone(at), "console"), "name one that shows something", "console %s is declared to show nothing", c)
		}
	}
	if strings.Contains(ph.Seen.Literal, "\n") || strings.Contains(ph.Seen.Literal, "\r") {
		l.errorf(append(slices.Clone(at), "seen"), "leave the end of the line out", "what shows phase %s goes over a line's end", ph.ID)
	}
}

// BootSays is what a console shows in a boot of the image that is started, the last time
// that it does.
type BootSays struct {
	None    `yaml:",inline"`
	Console string `yaml:"console"`
	// Seen has a group named version, and where the digest is shown one named digest.
	Seen Pattern `yaml:"seen"`
}

// bootSays holds what a boot says against what can be read of it.
func (l *linter) bootSays() {
	b, at := &l.p.Firmware.Boot, []string{"firmware", "boot"}
	if !l.p.Source.Has(at...) || b.Declared() {
		return
	}
	if b.Console == "" || b.Seen.Regexp == nil || b.Seen.Regexp.SubexpIndex("version") < 0 {
		l.errorf(at, "write {console: main, seen: {regexp: 'image (?P<version>[^ ]+)'}}", "what a boot says of its image is no expression with a group named version, on a console")
	}
	if c := b.Console; c != "" && l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[c] == nil {
		l.errorf(append(slices.Clone(at), "console"), near(c, l.p.Consoles.Order), "no console %q is declared", c)
	}
}
