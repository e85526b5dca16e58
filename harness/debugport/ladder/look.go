// Package ladder says how far a debug port lets in: from what was seen of it, when and
// how, to a level of the access ladder L0 to L5, and to the ground on which that stands.
// It is a pure function. It takes silence for a lock only where the wiring is shown.
package ladder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/debugport/idle"
)

// Level is a rung of the access ladder.
type Level int

// The levels, least open first.
const (
	Unsaid Level = iota // what was seen can mean either
	L0                  // it does not answer, with its wiring shown
	L1                  // it says what it is, or there is only the maker's recovery port
	L2                  // an access port shows, and is shut
	L3                  // memory other than the program is open, or the core can be halted
	L4                  // all but the secure side
	L5                  // all
)

// String gives "L3".
func (l Level) String() string {
	if l < L0 || l > L5 {
		return "no level"
	}
	return fmt.Sprintf("L%d", int(l-L0))
}

// Parse reads "L3"; Unsaid for anything else.
func Parse(s string) Level {
	if len(s) == 2 && s[0] == 'L' && s[1] >= '0' && s[1] <= '5' {
		return L0 + Level(s[1]-'0')
	}
	return Unsaid
}

// Words says in a few words what a level is.
func (l Level) Words() string {
	switch l {
	case L0:
		return "it does not answer"
	case L1:
		return "it says what it is, and lets nobody in"
	case L2:
		return "an access port shows, and is shut"
	case L3:
		return "memory other than the program is open, or the core can be halted"
	case L4:
		return "all but the secure side is open"
	case L5:
		return "all is open"
	}
	return "it cannot be said"
}

// Tri is a yes, a no, or not known.
type Tri int

// What can be said of something.
const (
	Unknown Tri = iota
	Yes
	No
)

// Is gives Yes or No.
func Is(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// String gives "yes", "no" or "not known".
func (t Tri) String() string { return [...]string{"not known", "yes", "no"}[t] }

// Reply is what came when a port was asked who it is.
type Reply string

// The replies.
const (
	Answered Reply = "answered" // the same well-formed answer each time
	Silent   Reply = "silent"   // nobody drove the line
	HeldLow  Reply = "held-low" // somebody held the line low
	Garbled  Reply = "garbled"  // an answer that the protocol does not know, a wrong parity, or another one each time
	Waits    Reply = "waits"    // it says to wait, for as long as it is asked
	Faulted  Reply = "faulted"  // it says no to being asked who it is
)

// Kind is what an access port is for.
type Kind string

// The kinds of access port.
const (
	Memory Kind = "memory" // of the bus
	Chain  Kind = "jtag"   // of a chain behind it
	Maker  Kind = "maker"  // the chip maker's own: recovery, or the state of a lock
)

// AP is an access port that is there.
type AP struct {
	Addr uint64 `json:"addr"` // its number, or with ADIv6 where it is
	IDR  uint32 `json:"idr"`
	Kind Kind   `json:"kind"`
	// Enabled says whether it says of itself that it can reach memory (CSW.DeviceEn).
	Enabled Tri    `json:"enabled"`
	CSW     uint32 `json:"csw,omitempty"`
	Base    uint64 `json:"base,omitempty"`
	Note    string `json:"note,omitempty"`
	// Debug says that behind it is a bus of debug units, and no memory. Units are those
	// that were found there, and Gap says why these may not be all.
	Debug bool   `json:"debug,omitempty"`
	Units []Unit `json:"units,omitempty"`
	Gap   string `json:"gap,omitempty"`
}

// Unit is a debug unit on a bus.
type Unit struct {
	At   uint64 `json:"at"`
	Core bool   `json:"core"` // of a core of the A or R profile
	Auth Auth   `json:"auth"` // its AUTHSTATUS
}

// Open says whether the unit gives the right to debug what it belongs to.
func (u Unit) Open() bool { return u.Auth.Has(NonSecure) == Yes || u.Auth.Has(Secure) == Yes }

// shut says whether it says no to that.
func (u Unit) shut() bool {
	return !u.Open() && (u.Auth.Has(NonSecure) == No || u.Auth.Has(Secure) == No)
}

// Got is what came of reading memory.
type Got string

// What came.
const (
	Data    Got = "data"    // bytes that are not all alike
	Blank   Got = "blank"   // all zeros, all ones, or all words alike
	Refused Got = "refused" // a fault, each time, with the error cleared before
	Broke   Got = "broke"   // no answer, or one that the protocol does not know
)

// System is what a read is of that is the core's own: it says that the access port works,
// and gives nothing away.
const System = "system"

// Read is one piece of memory that was asked for.
type Read struct {
	AP     uint64 `json:"ap"`
	At     uint64 `json:"at"`
	Length int    `json:"length"`
	What   string `json:"what"` // flash, ram, fuse, peripheral, system
	Got    Got    `json:"got"`
	Digest string `json:"digest,omitempty"` // SHA-256 of what came
	// Known says whether it is what is known to be there; Unknown where that is not known.
	Known Tri `json:"known"`
	// Guessed says that nobody declared memory there: a fault may say that there is none.
	Guessed bool   `json:"guessed,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Auth is DAUTHSTATUS or DBGAUTHSTATUS: two bits for each of four rights.
type Auth uint32

// Right is one of the four.
type Right int

// The rights, by where their bits are.
const (
	NonSecure         Right = 0 // invasive debug
	NonSecurePassive  Right = 2 // non-invasive
	Secure            Right = 4
	SecurePassive     Right = 6
	authNotThere            = 0
	authImplementedNo       = 2
	authEnabled             = 3
)

// Has says whether a right is there and given; Unknown where it is not implemented.
func (a Auth) Has(r Right) Tri {
	switch a >> r & 3 {
	case authEnabled:
		return Yes
	case authImplementedNo:
		return No
	}
	return Unknown
}

// String gives "NSID enabled, SID disabled".
func (a Auth) String() string {
	var out []string
	for r, name := range map[Right]string{NonSecure: "NSID", NonSecurePassive: "NSNID", Secure: "SID", SecurePassive: "SNID"} {
		word := map[uint32]string{authNotThere: "not there", 1: "reserved", authImplementedNo: "disabled", authEnabled: "enabled"}[uint32(a>>r&3)]
		out = append(out, name+" "+word)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Halt is what came of an attempt to halt the core.
type Halt string

// What came of it.
const (
	NotTried     Halt = ""
	Halted       Halt = "halted"
	HaltRefused  Halt = "refused"  // it went on, and says so
	HaltPends    Halt = "pends"    // it takes the wish, as of who may debug it, and does not halt: it may be held, or asleep
	HaltRestarts Halt = "restarts" // the DUT began a boot: nobody refused
	HaltBroke    Halt = "broke"    // no answer to it
)

// NotRefused notes of a halt that was not done that the DUT began a boot: nobody refused.
func (l *Look) NotRefused() {
	if l.Halt == HaltRefused || l.Halt == HaltPends || l.Halt == HaltBroke {
		l.Halt = HaltRestarts
	}
	for i := range l.More {
		l.More[i].NotRefused()
	}
}

// Reading is what a register of the lock said.
type Reading struct {
	Name  string `json:"name"`
	Where string `json:"where"`
	Raw   uint32 `json:"raw"`
	State string `json:"state"`           // locked, partly, open, recovering, unknown
	Erase bool   `json:"erase,omitempty"` // it is about erasing, and not about the port
	Words string `json:"words,omitempty"`
	// Unverified says that what it means was not held against its source.
	Unverified bool `json:"unverified,omitempty"`
}

// Look is what one look at a port showed: at one moment, by one way of attaching.
type Look struct {
	Phase string        `json:"phase"`
	After time.Duration `json:"after_ns,omitempty"` // since the phase began
	Way   string        `json:"way"`                // "swd", "swd dormant", "swd target 0x01002927", "jtag"
	Idle  []idle.Pad    `json:"idle,omitempty"`     // the port's pads, before it
	// Supplied says whether the DUT is shown to have its supply then.
	Supplied Tri `json:"supplied"`
	// Restarted says that the DUT began a boot in the midst of it.
	Restarted bool     `json:"restarted,omitempty"`
	Reply     Reply    `json:"reply"`
	Acks      string   `json:"acks,omitempty"`   // the answers as they came
	ID        uint32   `json:"id,omitempty"`     // DPIDR
	Target    uint32   `json:"target,omitempty"` // TARGETID, of a port from version 2 on
	TAPs      []uint32 `json:"taps,omitempty"`
	Delay     int      `json:"delay,omitempty"` // bits through all TAPs in BYPASS
	Note      string   `json:"note,omitempty"`
	// Up says whether debug power was granted; Unknown where it was not asked for.
	Up Tri  `json:"up"`
	AP []AP `json:"aps,omitempty"`
	// All says that every access port that there can be was asked for, and each time
	// somebody answered.
	All bool `json:"all"`
	// Blind says what answers that could not be asked for what is behind it; "" where
	// there is no such thing.
	Blind string    `json:"blind,omitempty"`
	Reads []Read    `json:"reads,omitempty"`
	Auth  *Auth     `json:"auth,omitempty"`
	Halt  Halt      `json:"halt,omitempty"`
	Locks []Reading `json:"locks,omitempty"`
	// Quick says that it was asked who it is, and of its first access ports and a little
	// memory alone.
	Quick bool `json:"quick,omitempty"`
	// Broke says where a port that had answered did not any more; "" where it did to the
	// end.
	Broke string `json:"broke,omitempty"`
	// More are the looks at further debug ports of the same chain.
	More  []Look `json:"more,omitempty"`
	Steps int64  `json:"steps,omitempty"` // half periods that it took
}

// When gives "held in reset, 3ms after".
func (l *Look) When() string {
	if l.After == 0 {
		return l.Phase
	}
	return fmt.Sprintf("%s, %v after", l.Phase, l.After.Round(time.Microsecond))
}

// Each gives the look, and those at further debug ports of the same chain, as looks of
// the same moment.
func (l Look) Each() []Look {
	more := l.More
	l.More = nil
	out := []Look{l}
	for _, m := range more {
		m.Phase, m.After, m.Idle, m.Supplied, m.Restarted, m.More = l.Phase, l.After, l.Idle, l.Supplied, l.Restarted, nil
		out = append(out, m)
	}
	return out
}

// Level gives the level that the look shows, and in words why. Unsaid says that what was
// seen can mean either. Of several ports in a chain the most open one counts, and then one
// of which it cannot be said.
func (l *Look) Level() (Level, string) {
	level, why := l.level()
	for i := range l.More {
		lv, w := l.More[i].level()
		if max(lv, level) > Most && lv > level || max(lv, level) <= Most && level != Unsaid && (lv == Unsaid || lv > level) {
			level, why = lv, l.More[i].Way+": "+w
		}
	}
	return level, why
}

// level is that of the look's own port.
func (l *Look) level() (Level, string) {
	switch l.Reply {
	case Answered:
	case Silent:
		if l.Restarted {
			return Unsaid, "the DUT began a boot when the pads were driven: one of them may be its reset"
		}
		return L0, "it does not answer"
	case HeldLow:
		return Unsaid, "somebody holds its line low: that is no answer, and no silence"
	case Garbled:
		return Unsaid, "what answers is not well-formed (" + l.Acks + "): two drive the line, or something stands between"
	case Waits:
		return Unsaid, "it says to wait, and nothing else"
	case Faulted:
		return Unsaid, "it faults when it is asked who it is"
	default:
		return Unsaid, "it was not asked"
	}
	if open, why := l.open(); open > L2 {
		return open, why
	}
	if l.Broke != "" {
		return Unsaid, "it answered, and fell silent in the midst (" + l.Broke + "): a wire may have gone"
	}
	return l.shut()
}

// open gives what is shown to be open: L3 and above.
func (l *Look) open() (Level, string) {
	best, why := L2, ""
	take := func(lv Level, format string, args ...any) {
		if lv > best {
			best, why = lv, fmt.Sprintf(format, args...)
		}
	}
	if l.Halt == Halted {
		take(L3, "the core was halted")
	}
	for _, ap := range l.AP {
		for _, u := range ap.Units {
			if u.Core && u.Open() {
				take(L3, "the debug unit of a core at 0x%08x, behind access port 0x%x, is read and says that the core may be debugged: %v", u.At, ap.Addr, u.Auth)
			}
		}
	}
	for _, r := range l.Reads {
		if !r.Gives() || r.What == System {
			continue // what the core says of itself is no memory
		}
		switch r.What {
		case "flash", "fuse":
			take(l.whole(), "%d bytes of %s at 0x%08x were read", r.Length, r.What, r.At)
		default:
			take(L3, "%d bytes of %s at 0x%08x were read", r.Length, r.What, r.At)
		}
	}
	return best, why
}

// whole is the level of a port by which the program can be read: of a core with a secure
// side that is shut, all but that.
func (l *Look) whole() Level {
	if l.Auth != nil && l.Auth.Has(Secure) == No && l.Auth.Has(NonSecure) == Yes {
		return L4
	}
	return L5
}

// Gives says whether what came is what is there: bytes that are not all alike. Where
// they are, and are known to be so, a port that is shut and gives zeros looks as an open one.
func (r Read) Gives() bool {
	return r.Got == Data && r.Known != No
}

// floor is the level that a look shows at least, where it does not show which: L2 of a
// port behind which a memory access port is.
func (l *Look) floor() Level {
	if l.Reply == Answered && slices.ContainsFunc(l.AP, func(ap AP) bool { return ap.Kind == Memory }) {
		return L2
	}
	return Unsaid
}

// shut gives the level of a port of which nothing is shown to be open.
func (l *Look) shut() (Level, string) {
	if l.Blind != "" {
		return Unsaid, l.Blind
	}
	var mem []AP
	for _, ap := range l.AP {
		if ap.Kind == Memory {
			mem = append(mem, ap)
		}
	}
	if len(mem) == 0 {
		switch {
		case l.Up == No: // it may sleep, or be held in reset, and grant it in the next moment
			return Unsaid, "it says what it is, and did not grant debug power as long as it was asked: what is behind it was not seen"
		case !l.All && !l.Quick:
			return Unsaid, "not every access port that there can be was asked for"
		case len(l.AP) > 0:
			return L1, "it has only the maker's own access port"
		}
		return L1, "it has no access port"
	}
	asked, refused, guessed := map[uint64]bool{}, false, map[uint64]bool{}
	for _, r := range l.Reads {
		switch {
		case r.What == System:
		case r.Got == Refused && r.Guessed:
			guessed[r.AP] = true
		case r.Got == Refused, r.Got == Blank && r.Known == No: // what is there is not given
			asked[r.AP], refused = true, true
		case r.Got == Data:
			return Unsaid, fmt.Sprintf("%d bytes at 0x%08x are not those that are known to be there", r.Length, r.At)
		case r.Got == Blank:
			return Unsaid, fmt.Sprintf("%d bytes at 0x%08x are all alike: that is neither read nor refused", r.Length, r.At)
		default:
			return Unsaid, fmt.Sprintf("%d bytes at 0x%08x: no answer that says yes or no", r.Length, r.At)
		}
	}
	debug := false
	for _, ap := range mem {
		switch {
		case ap.Enabled == No, asked[ap.Addr]:
		case ap.Debug:
			if why := ap.unclear(); why != "" {
				return Unsaid, fmt.Sprintf("access port 0x%x leads to debug units of cores: %s", ap.Addr, why)
			}
			debug = true
		case guessed[ap.Addr]:
			return Unsaid, fmt.Sprintf("the memory access port 0x%x faults where nobody says that there is memory: that is no refusal", ap.Addr)
		case ap.Enabled == Yes:
			return Unsaid, fmt.Sprintf("the memory access port 0x%x says that it is enabled, and nothing was read by it", ap.Addr)
		default:
			return Unsaid, fmt.Sprintf("the memory access port 0x%x does not say whether it is enabled, and nothing was read by it", ap.Addr)
		}
	}
	if !l.All && !l.Quick {
		return Unsaid, "not every access port that there can be was asked for"
	}
	if debug {
		return L2, "an access port shows, and the debug units of the cores behind it say that nobody may debug them"
	}
	if refused {
		return L2, "a memory access port shows, and gives nothing"
	}
	return L2, "a memory access port shows, and says that it is not enabled"
}

// unclear says why debug units are not shown to be shut; "" where each says so.
func (ap AP) unclear() string {
	cores := 0
	for _, u := range ap.Units {
		switch {
		case u.Open():
			return fmt.Sprintf("the unit at 0x%08x says that it may be used: %v", u.At, u.Auth)
		case u.Core && !u.shut():
			return fmt.Sprintf("the core's unit at 0x%08x does not say whether the core may be debugged (%v)", u.At, u.Auth)
		case u.Core:
			cores++
		}
	}
	switch {
	case ap.Gap != "":
		return ap.Gap
	case cores == 0:
		return "none of a core was found"
	}
	return ""
}
