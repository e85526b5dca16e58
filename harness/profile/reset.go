package profile

import (
	"slices"
	"strconv"
	"time"

	"rigor/harness/strictyaml"
)

// Presses are the ways to hold the DUT's buttons that do something. Every other does
// nothing. Given is false where the section is not in the file.
type Presses struct {
	None
	Given bool
	Items []Press
}

// When a press begins.
const (
	AtRunning = "running"  // while the DUT is in use
	AtPowerOn = "power-on" // before the supply comes, and held from then on
)

// EffectReset is the effect of a press that brings the DUT back to its factory state.
const EffectReset = "reset"

// Press is one of them.
type Press struct {
	ID    string `yaml:"id"`
	Line  string `yaml:"line"`  // of the rig
	At    string `yaml:"at"`    // running (also where it is empty) or power-on
	State string `yaml:"state"` // in which it works; onboarded where it is empty
	// Hold is from when on it has its effect, Until from when on it has not any more: 0
	// for never.
	Hold   time.Duration `yaml:"hold"`
	Until  time.Duration `yaml:"until"`
	Effect string        `yaml:"effect"` // reset, or a word of the maker's
	Sign   []Sign        `yaml:"sign"`   // that it has its effect; each of them
	Within time.Duration `yaml:"within"` // how long the sign may take, from the release on
	// Leave ends an effect that does not end by itself.
	Leave []Step `yaml:"leave"`
}

// PowerOn says whether the press begins before the supply comes.
func (p Press) PowerOn() bool { return p.At == AtPowerOn }

// Sign is what is seen, when something happens, on a console or on a line: a text, or a
// light that blinks.
type Sign struct {
	Console string        `yaml:"console"`
	Seen    Pattern       `yaml:"seen"`
	Line    string        `yaml:"line"`
	On      time.Duration `yaml:"on"` // how long the line is asserted in one blink
	Off     time.Duration `yaml:"off"`
	Times   int           `yaml:"times"` // in a row; 3 where it is 0
}

// Reset says how the DUT is brought back to its factory state, and what becomes then of
// what it keeps.
type Reset struct {
	None     `yaml:",inline"`
	Ways     []ResetWay `yaml:"ways"`
	Defaults []Step     `yaml:"defaults"` // of the owner behind the next set-up: what they show is the maker's
	Confirm  Confirm    `yaml:"confirm"`
	Log      ResetLog   `yaml:"log"`
	Crypto   Crypto     `yaml:"crypto-erase"`
	// Credentials are what opens a login beside its password, sessions and tokens.
	Credentials []Given `yaml:"credentials"`
}

// Given is a credential that the DUT gives its owner, as a key of an API.
type Given struct {
	ID    string `yaml:"id"`
	Login string `yaml:"login"` // that it opens
	Make  []Step `yaml:"make"`  // steps of the owner's that extract "credential"
	Use   []Step `yaml:"use"`   // what only who has ${credential} can do
	Drop  []Step `yaml:"drop"`  // of the owner's, that take it back; with what make extracts
}

// Who may reset a DUT.
const (
	ByOwner    = "owner"    // who is logged in
	ByPresence = "presence" // who can touch it
)

// ResetWay is one of the ways to reset the DUT.
type ResetWay struct {
	ID    string   `yaml:"id"`
	By    string   `yaml:"by"`
	Needs []string `yaml:"needs"` // what the rig must allow besides reset
	Press string   `yaml:"press"` // by that press; or else by
	Steps []Step   `yaml:"steps"`
	Done  []Step   `yaml:"done"` // what shows that the DUT is through with it
	// Sign is what shows that it happens, each in a way of its own: that one of them is
	// seen is proof where the others are looked at.
	Sign   []Sign        `yaml:"sign"`
	Within time.Duration `yaml:"within"`
	Cut    Cut           `yaml:"cut"` // where the power may go in it
}

// Confirm says how who resets the DUT is told that it is done.
type Confirm struct {
	None `yaml:",inline"`
	Sign []Sign `yaml:"sign"`
}

// What becomes of the log.
const (
	LogKept    = "kept"
	LogCleared = "cleared"
)

// ResetLog says what a factory reset makes of the log.
type ResetLog struct {
	None  `yaml:",inline"`
	Old   string  `yaml:"old"`   // kept, cleared: the entries from before
	Entry Pattern `yaml:"entry"` // of the reset itself
}

// Crypto says that a reset destroys a key, and leaves what was encrypted with it.
type Crypto struct {
	None   `yaml:",inline"`
	Key    KeySlot  `yaml:"key"`
	Stores []string `yaml:"stores"` // that are encrypted with it
}

// KeySlot is where the key is kept.
type KeySlot struct {
	Storage string `yaml:"storage"` // of the rig
	Offset  int64  `yaml:"offset"`
	Length  int64  `yaml:"length"`
}

// View is where what is kept in a store can be seen.
type View struct {
	None  `yaml:",inline"`
	Part  string `yaml:"part"`  // storage or console
	Steps []Step `yaml:"steps"` // that have it shown; of network: what they extract is looked through
}

// Given says whether it is said how it is seen.
func (v View) Given() bool { return v.Part != "" || len(v.Steps) > 0 }

// IsSecret says whether what the store keeps must not be told to others.
func (s *Store) IsSecret() bool { return s.Secret == nil || *s.Secret }

// UnmarshalStrict reads a list of presses, or {none: reason}.
func (p *Presses) UnmarshalStrict(n *strictyaml.Node) {
	p.Given = true
	if n.IsMap() {
		var plain struct {
			None string `yaml:"none"`
		}
		if n.Decode(&plain, "presses") {
			p.None.None = plain.None
			if plain.None == "" {
				n.Errorf("say why there is none", "presses says nothing")
			}
		}
		return
	}
	if n.Decode(&p.Items, "presses") && len(p.Items) == 0 {
		n.Errorf(`list them, write {none: "why there is none"}, or take the section out`, "the list is empty")
	}
}

// Press gives the press of that name that resets the DUT; nil where there is none.
func (p *Profile) Press(id string) *Press {
	for i := range p.Presses.Items {
		if s := &p.Presses.Items[i]; s.ID == id && s.Effect == EffectReset {
			return s
		}
	}
	return nil
}

// resetLists are the lists of steps of the sections about the reset.
func (p *Profile) resetLists() (out []StepList) {
	for i, s := range p.Presses.Items {
		out = append(out, StepList{Path: []string{"presses", strconv.Itoa(i), "leave"}, Steps: s.Leave})
	}
	for i, w := range p.Reset.Ways {
		at := []string{"reset", "ways", strconv.Itoa(i)}
		out = append(out, StepList{Path: append(slices.Clone(at), "steps"), Steps: w.Steps},
			StepList{Path: append(slices.Clone(at), "done"), Steps: w.Done, GoesOn: true})
	}
	for i, c := range p.Reset.Credentials {
		at := []string{"reset", "credentials", strconv.Itoa(i)}
		out = append(out, StepList{Path: append(slices.Clone(at), "make"), Must: []string{"credential"}, Steps: c.Make},
			StepList{Path: append(slices.Clone(at), "drop"), Steps: c.Drop, GoesOn: true},
			StepList{Path: append(slices.Clone(at), "use"), Given: []string{"credential"}, Steps: c.Use})
	}
	return append(out, StepList{Path: []string{"reset", "defaults"}, Steps: p.Reset.Defaults})
}

// presses holds what is declared of the buttons against itself.
func (l *linter) presses() {
	ids := map[string]bool{}
	for i, p := range l.p.Presses.Items {
		at := []string{"presses", strconv.Itoa(i)}
		if p.ID == "" {
			l.errorf(at, "give it an id", "a press has no name")
		}
		l.id(append(slices.Clone(at), "id"), p.ID, ids)
		l.oneOf(append(slices.Clone(at), "at"), p.At, AtRunning, AtPowerOn)
		if p.State != "" {
			l.state(append(slices.Clone(at), "state"), p.State)
		}
		switch {
		case p.Line == "" || p.Effect == "":
			l.errorf(at, "give line and effect", "press %s does not say what is held, or what that does", p.ID)
		case p.Hold <= 0 || p.Hold > time.Minute:
			l.errorf(append(slices.Clone(at), "hold"), "write a time up to 1m", "press %s is held for %v", p.ID, p.Hold)
		case p.Until != 0 && p.Until < p.Hold+p.Hold/5:
			l.errorf(append(slices.Clone(at), "until"), "write at least 1.2 times hold: it is held for 1.1 times that", "press %s has no effect from %v on, and is held for %v", p.ID, p.Until, p.Hold)
		case len(p.Sign) == 0:
			l.errorf(at, "give sign: what is seen then", "nothing shows that press %s has its effect", p.ID)
		}
		l.signs(append(slices.Clone(at), "sign"), p.Sign)
	}
}

// signs holds each against what a console or a line can show.
func (l *linter) signs(at []string, ss []Sign) {
	for i, s := range ss {
		at := append(slices.Clone(at), strconv.Itoa(i))
		blinks := s.On != 0 || s.Off != 0 || s.Times != 0
		switch {
		case (s.Console == "") == (s.Line == ""):
			l.errorf(at, "write {console: NAME, seen: TEXT}, or {line: NAME, on: 25ms, off: 25ms}", "a sign is on one console, or on one line")
		case s.Console != "" && (s.Seen.Zero() || blinks):
			l.errorf(at, "write {console: NAME, seen: TEXT}", "a sign on a console is a text")
		case s.Line != "" && (!s.Seen.Zero() || s.On <= 0 || s.Off <= 0 || s.Times < 0 || s.Times > 1000):
			l.errorf(at, "write {line: NAME, on: 25ms, off: 25ms, times: 3}", "a sign on a line is a light that blinks")
		case s.Console != "" && l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[s.Console] == nil:
			l.errorf(append(at, "console"), near(s.Console, l.p.Consoles.Order), "no console %q is declared", s.Console)
		}
	}
}

func (l *linter) state(at []string, name string) {
	if l.p.States.Given && !l.p.States.Declared() && l.p.States.Items[name] == nil {
		l.errorf(at, near(name, l.p.States.Order), "no state %q is declared", name)
	}
}

// reset holds what is declared of the factory reset against itself.
func (l *linter) reset() {
	r := l.p.Reset
	if l.p.Source.Has("reset") && !r.Declared() && len(r.Ways) == 0 {
		l.errorf([]string{"reset"}, `list ways, or write {none: "why there is none"}`, "reset does not say how the device is reset")
	}
	ids := map[string]bool{}
	for i, w := range r.Ways {
		at := []string{"reset", "ways", strconv.Itoa(i)}
		if w.ID == "" || len(w.Done) == 0 || (len(w.Steps) == 0) == (w.Press == "") {
			l.errorf(at, "give it id, done, and steps or press", "a way to reset says too little, or too much")
		}
		if w.Press != "" && l.p.Presses.Given && l.p.Press(w.Press) == nil {
			l.errorf(append(slices.Clone(at), "press"), "name one of presses, whose effect is reset", "no press %q resets the device", w.Press)
		}
		l.id(append(slices.Clone(at), "id"), w.ID, ids)
		if w.By == "" {
			l.errorf(at, "write by: owner, or by: presence", "who may reset the device by way %s is not said", w.ID)
		}
		l.oneOf(append(slices.Clone(at), "by"), w.By, ByOwner, ByPresence)
		for j, need := range w.Needs {
			if !slices.Contains(Leaves(), need) {
				l.errorf(append(slices.Clone(at), "needs", strconv.Itoa(j)), near(need, Leaves()), "nothing is called %q that a rig could allow", need)
			}
		}
		l.signs(append(slices.Clone(at), "sign"), w.Sign)
		l.cut(append(slices.Clone(at), "cut"), &r.Ways[i].Cut, EndKept, EndReset)
	}
	l.signs([]string{"reset", "confirm", "sign"}, r.Confirm.Sign)
	if l.p.Source.Has("reset", "confirm") && !r.Confirm.Declared() && len(r.Confirm.Sign) == 0 {
		l.errorf([]string{"reset", "confirm"}, `give sign, or none: "why nobody is told"`, "reset.confirm says nothing")
	}
	l.oneOf([]string{"reset", "log", "old"}, r.Log.Old, LogKept, LogCleared)
	if l.p.Source.Has("reset", "log") && !r.Log.Declared() && r.Log.Old == "" {
		l.errorf([]string{"reset", "log"}, "write old: kept, or old: cleared", "reset.log does not say what becomes of the entries from before")
	}
	for i, c := range r.Credentials {
		at := []string{"reset", "credentials", strconv.Itoa(i)}
		if c.ID == "" || c.Login == "" || len(c.Make) == 0 || len(c.Use) == 0 {
			l.errorf(at, "give it id, login, make and use", "a credential says too little")
		}
		l.id(append(slices.Clone(at), "id"), c.ID, ids)
		l.login(append(slices.Clone(at), "login"), c.Login)
	}
	l.crypto(r.Crypto)
	for name, s := range l.p.Stores.Items {
		l.views([]string{"stores", name}, s)
	}
}

func (l *linter) crypto(c Crypto) {
	at := []string{"reset", "crypto-erase"}
	if !l.p.Source.Has(at...) || c.Declared() {
		return
	}
	if c.Key.Storage == "" || c.Key.Length < 8 || c.Key.Length > 4096 || c.Key.Offset < 0 {
		l.errorf(at, "give key: {storage: NAME, offset: N, length: 8 to 4096}", "where the key is that a reset destroys is not said")
	}
	if len(c.Stores) == 0 {
		l.errorf(at, "give stores", "which stores are encrypted with the key is not said")
	}
	for i, name := range c.Stores {
		if l.p.Stores.Given && !l.p.Stores.Declared() && l.p.Stores.Items[name] == nil {
			l.errorf(append(slices.Clone(at), "stores", strconv.Itoa(i)), near(name, l.p.Stores.Order), "no store %q is declared", name)
		}
	}
}

// views are those of one store.
func (l *linter) views(at []string, s *Store) {
	if s.Unread != "" && len(s.Read) > 0 {
		l.errorf(append(slices.Clone(at), "unread"), "keep one of read and unread", "the store is read, and says why it cannot be")
	}
	for key, v := range map[string]View{"storage": s.Storage, "console": s.Console, "network": s.Network} {
		at := append(slices.Clone(at), key)
		switch {
		case !l.p.Source.Has(at...) || v.Declared():
		case key == "network" && (v.Part != "" || len(v.Steps) == 0):
			l.errorf(at, "give steps that extract what the network shows", "where the store is seen on the network is not said")
		case key == "storage" && (v.Part == "" || len(v.Steps) > 0):
			l.errorf(at, "write {part: NAME}, the name of the rig's storage", "in which storage the store is, is not said")
		case key == "console" && v.Part == "":
			l.errorf(at, "write {part: NAME, steps: [...]}", "on which console the store is seen is not said")
		case key == "console" && l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[v.Part] == nil:
			l.errorf(append(at, "part"), near(v.Part, l.p.Consoles.Order), "no console %q is declared", v.Part)
		}
	}
}
