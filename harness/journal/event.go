// Package journal is the append-only record of a run, its writer and reader,
// and the fold: the one pure function that turns what was recorded into
// verdicts. Terminal, reports and exit code all come from the fold, so they
// cannot disagree, and a run that a crash cut short still has a true report.
package journal

import (
	"strings"
	"time"

	"rigor/harness/verdict"
)

// Format is the version of the journal's lines. A reader reads all versions
// up to its own; an old journal renders alike in every later version. Version 2
// has the rig of an event.
const Format = 2

// Kind names what an event records. Each kind has one payload field in Event.
type Kind string

// The kinds of event.
const (
	KindStart     Kind = "start"
	KindPlan      Kind = "plan"
	KindDoctor    Kind = "doctor"
	KindUnit      Kind = "unit"
	KindState     Kind = "state"
	KindIntent    Kind = "intent"
	KindCase      Kind = "case"
	KindCaseEnd   Kind = "case-end"
	KindControl   Kind = "control"
	KindProbes    Kind = "probes"
	KindClaim     Kind = "claim"
	KindNote      Kind = "note"
	KindExcerpt   Kind = "excerpt"
	KindEvidence  Kind = "evidence"
	KindFault     Kind = "fault"
	KindLost      Kind = "lost"
	KindBracket   Kind = "bracket"
	KindObserve   Kind = "observe"
	KindEnd       Kind = "end"
	KindInterrupt Kind = "interrupt"
)

// kinds lists every kind of event.
var kinds = []Kind{KindStart, KindPlan, KindDoctor, KindUnit, KindState, KindIntent, KindCase, KindCaseEnd, KindControl, KindProbes, KindClaim,
	KindNote, KindExcerpt, KindEvidence, KindFault, KindLost, KindBracket, KindObserve, KindEnd, KindInterrupt}

// Event is one line of the journal. Exactly the payload that Kind names is
// set; start and end have no other.
type Event struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`  // UTC, by the rig's clock
	Off  int64     `json:"off"` // microseconds since the start, monotonic
	Prev string    `json:"prev"`
	Kind Kind      `json:"kind"`
	// Case is the id of the case that the event belongs to; empty for the run.
	Case string `json:"case,omitempty"`
	// Rig is where it happened, in a run that several rigs share; empty for the rig
	// that the run is named after.
	Rig string `json:"rig,omitempty"`

	Start     *Start     `json:"start,omitempty"`
	Plan      *Plan      `json:"plan,omitempty"`
	Doctor    *Doctor    `json:"doctor,omitempty"`
	Unit      *Unit      `json:"unit,omitempty"`
	State     *State     `json:"state,omitempty"`
	Intent    *Intent    `json:"intent,omitempty"`
	Begin     *Begin     `json:"begin,omitempty"`
	CaseEnd   *CaseEnd   `json:"case_end,omitempty"`
	Control   *Control   `json:"control,omitempty"`
	Probes    *Probes    `json:"probes,omitempty"`
	Claim     *Claim     `json:"claim,omitempty"`
	Note      *Note      `json:"note,omitempty"`
	Excerpt   *Excerpt   `json:"excerpt,omitempty"`
	Evidence  *Evidence  `json:"evidence,omitempty"`
	Fault     *Fault     `json:"fault,omitempty"`
	Lost      *Lost      `json:"lost,omitempty"`
	Bracket   *Bracket   `json:"bracket,omitempty"`
	Observe   *Observe   `json:"observe,omitempty"`
	End       *End       `json:"end,omitempty"`
	Interrupt *Interrupt `json:"interrupt,omitempty"`
}

// Start opens a journal and says what ran, where, on what.
type Start struct {
	Format    int               `json:"format"`
	Writer    string            `json:"writer"` // program and version
	Run       string            `json:"run"`    // the run's id, unique for the rig
	Rig       string            `json:"rig"`
	RigFile   string            `json:"rig_file,omitempty"` // as given on the command line
	Device    string            `json:"device"`             // the profile's name
	Maker     string            `json:"maker,omitempty"`
	Model     string            `json:"model,omitempty"`
	Hardware  string            `json:"hardware,omitempty"`
	Firmware  string            `json:"firmware,omitempty"` // as declared
	Serial    string            `json:"serial,omitempty"`   // of the unit that the rig file names
	Seed      uint64            `json:"seed"`
	Selectors []string          `json:"selectors,omitempty"` // empty: all
	Rerun     []string          `json:"rerun"`               // the command, without selectors or with CasePattern, that runs this again
	Digests   map[string]string `json:"digests"`             // sha256 of rig, profile, credentials …
	Host      string            `json:"host,omitempty"`
	Clock     string            `json:"clock,omitempty"` // what is known of the clock: "synchronised", "not synchronised", "unknown"
	Planted   []string          `json:"planted,omitempty"`
	Beside    []Place           `json:"beside,omitempty"` // further rigs that share the run's cases
	Waivers   []Waiver          `json:"waivers,omitempty"`
	// WaiversNow is the day against which expiry is judged, so that the fold
	// needs no clock.
	WaiversNow string `json:"waivers_now,omitempty"`
}

// Place is a further rig of a run, with a unit of its own.
type Place struct {
	Rig    string `json:"rig"`
	File   string `json:"file,omitempty"` // where a rig file of its own describes it
	Serial string `json:"serial,omitempty"`
	Digest string `json:"digest,omitempty"` // sha256 of that file
	// Planted is what is planted there besides what is planted into all.
	Planted []string `json:"planted,omitempty"`
}

// Waiver turns a failure into a skip that still shows the raw verdict. One
// that is expired or no longer needed is an error.
type Waiver struct {
	Case    string `json:"case"` // a case's id
	Unit    string `json:"unit,omitempty"`
	Model   string `json:"model,omitempty"`
	Version string `json:"version,omitempty"`
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"` // YYYY-MM-DD, the last day on which it holds
}

// Plan is one planned case. All are written before the first runs: coverage
// does not shrink in silence.
type Plan struct {
	Check   string   `json:"check"`
	Channel string   `json:"channel,omitempty"`
	Suite   string   `json:"suite"`
	Title   string   `json:"title"`
	Clauses []string `json:"clauses,omitempty"` // "NISTIR 8259A LA-1", with " (unverified)" where the mapping is
	From    string   `json:"from,omitempty"`    // state
	Effect  string   `json:"effect,omitempty"`
	Parts   []string `json:"parts,omitempty"` // of the rig, that the case leans on
	Bracket string   `json:"bracket,omitempty"`
	// Skip is set for a case that will not run, with the verdict that this has.
	Skip *verdict.Judgement `json:"skip,omitempty"`
	// Unselected is set for a case that the selectors left out; it is in no
	// count but that of planned cases.
	Unselected bool `json:"unselected,omitempty"`
}

// Doctor is one finding about the rig itself.
type Doctor struct {
	Phase  string `json:"phase"` // "before" or "after"
	Item   string `json:"item"`
	Part   string `json:"part,omitempty"`
	Status string `json:"status"` // "ok", "broken" or "skipped"
	Detail string `json:"detail,omitempty"`
	Rig    string `json:"rig,omitempty"` // as Event has it; the fold's
}

// Where names what was looked at, with its part where there is one.
func (d *Doctor) Where() string {
	if d.Part == "" || strings.Contains(d.Item, d.Part) {
		return OnRig(d.Item, d.Rig)
	}
	return OnRig(d.Item+" of "+d.Part, d.Rig)
}

// OnRig says on which rig something is, where that is not the run's own.
func OnRig(what, rig string) string {
	if rig == "" {
		return what
	}
	return what + " on rig " + rig
}

// Unit is the identity that was read from the DUT.
type Unit struct {
	Want string `json:"want,omitempty"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
	Rig  string `json:"rig,omitempty"` // as Event has it; the fold's
}

// State is a move of the DUT between states.
type State struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Way    string `json:"way,omitempty"`
	OK     bool   `json:"ok"`
	TookUS int64  `json:"took_us,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Intent is something that the next start may have to undo, written down
// before the act; Done marks that it was undone.
type Intent struct {
	ID   string `json:"id"`
	What string `json:"what"`
	Done bool   `json:"done,omitempty"`
	Rig  string `json:"rig,omitempty"` // as Event has it; the fold's
}

// Begin marks the start of a case.
type Begin struct {
	Try   int    `json:"try,omitempty"` // 2 when rig trouble was retried
	State string `json:"state,omitempty"`
	// Parts are those of this rig that the case leans on, where several share the run and
	// they are not as planned.
	Parts []string `json:"parts,omitempty"`
}

// CaseEnd marks the end of a case and how its code ended, which is not yet a
// verdict. Judgement is set when the end itself says something: a
// precondition that did not hold, a fault, a panic, a spent budget.
type CaseEnd struct {
	Judgement *verdict.Judgement `json:"judgement,omitempty"`
	Detail    string             `json:"detail,omitempty"`
	TookUS    int64              `json:"took_us,omitempty"`
	// Retry says that this try ended in rig trouble and is run again; what it
	// recorded counts only where something failed.
	Retry bool `json:"retry,omitempty"`
}

// Roles of a control.
const (
	RoleBefore  = "control before"
	RoleBetween = "control between"
	RoleAfter   = "control after"
	RoleAnti    = "anti-control"
)

// Control is one run of a claim's control or anti-control.
type Control struct {
	Claim    int          `json:"claim"`
	Role     string       `json:"role"`
	OK       bool         `json:"ok"` // it answered as it must
	Kind     verdict.Kind `json:"kind,omitempty"`
	Text     string       `json:"text,omitempty"`
	Detail   string       `json:"detail,omitempty"`
	Evidence []Ref        `json:"evidence,omitempty"`
	Bracket  string       `json:"bracket,omitempty"`
}

// Probes sums up the probes of a negative claim. Single tries are in the
// evidence file.
type Probes struct {
	Claim     int                  `json:"claim"`
	Planned   int                  `json:"planned"`
	Tried     int                  `json:"tried"`
	Effective int                  `json:"effective"` // those whose answer could have shown access
	Kinds     map[verdict.Kind]int `json:"kinds,omitempty"`
	Digest    string               `json:"digest,omitempty"` // sha256 of the list of probes
	Evidence  []Ref                `json:"evidence,omitempty"`
}

// Holds says what is known of a claim.
type Holds string

// A claim holds, does not, or it cannot be said.
const (
	Yes     Holds = "yes"
	No      Holds = "no"
	Unknown Holds = "unknown"
)

// Claim is what a case says, and what was found.
type Claim struct {
	Claim    int            `json:"claim"` // 1, 2 … within the case
	Text     string         `json:"text"`
	Negative bool           `json:"negative,omitempty"` // passes only by Refute, with controls
	Holds    Holds          `json:"holds"`
	Reason   verdict.Reason `json:"reason,omitempty"`
	Expected string         `json:"expected,omitempty"`
	Got      string         `json:"got,omitempty"`
	Evidence []Ref          `json:"evidence,omitempty"`
	// Refusal lists, for a negative claim, the kinds of answer that were
	// declared to be a refusal.
	Refusal []verdict.Kind `json:"refusal,omitempty"`
	// Unchanged says whether the DUT was shown to be the same, unrebooted,
	// before and after the probes.
	Unchanged Holds  `json:"unchanged,omitempty"`
	Bracket   string `json:"bracket,omitempty"` // whose controls stand for the claim's own
}

// Ref points at evidence.
type Ref struct {
	Path   string `json:"path"` // relative to the run's folder
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length,omitempty"` // 0: to the end
}

// Note is a line of a case's timeline.
type Note struct {
	Text string `json:"text"`
}

// Excerpt is a piece of a transcript around something that matters, made
// visible by the escaper, so that reports need no other file.
type Excerpt struct {
	Source string `json:"source"` // "console.main"
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Text   string `json:"text"`
}

// Evidence is a file of evidence with its hash, when it is complete.
type Evidence struct {
	Path   string `json:"path"`
	What   string `json:"what"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	MIME   string `json:"mime,omitempty"`
}

// Fault is trouble of a part of the rig. Broken says that the part is not to
// be used any more in this run.
type Fault struct {
	Part   string `json:"part"`
	Op     string `json:"op,omitempty"`
	Error  string `json:"error"`
	Broken bool   `json:"broken,omitempty"`
}

// Lost is the diagnosis of a DUT that went away.
type Lost struct {
	Diagnosis string `json:"diagnosis"` // "off", "rebooted", "console silent", "network gone", "hung"
	Detail    string `json:"detail,omitempty"`
	Returned  bool   `json:"returned,omitempty"` // it came back by its declared recovery
	// Disabled says that it did not, on a rig that is well: our own probes of
	// the case before put it out of service.
	Disabled bool `json:"disabled,omitempty"`
}

// Bracket is one control around several cases.
type Bracket struct {
	ID     string `json:"id"`
	Phase  string `json:"phase"` // "open" or "close"
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Observe is something seen that may contradict a declared "none", or what another
// case found nothing of.
type Observe struct {
	Topic       string   `json:"topic"`
	Text        string   `json:"text"`
	Contradicts []string `json:"contradicts,omitempty"` // ids of cases or checks
}

// How a run ended.
const (
	EndFinished    = "finished"
	EndInterrupted = "interrupted"
	EndAborted     = "aborted"
)

// End closes the journal. Without it the run was cut short.
type End struct {
	How    string `json:"how"` // one of the constants above
	Detail string `json:"detail,omitempty"`
	// DriverUS is the time spent inside drivers and declared waits, for the
	// benchmark of the harness's own share.
	DriverUS int64 `json:"driver_us,omitempty"`
	Safe     bool  `json:"safe"` // the rig was put safe
	// Left says why a rig was left as it was instead; one of LeftHeld and LeftUnbound.
	// With Safe it is about another rig of the run.
	Left string `json:"left,omitempty"`
}

// Why a rig was left as it was.
const (
	LeftHeld    = "held"        // it was asked for: the DUT stays as a case left it
	LeftUnbound = "never bound" // its instruments could not be had
)

// AsMeant says whether the rig was put safe, or left as it was for a reason that is known.
func (e *End) AsMeant() bool { return e.Safe || e.Left == LeftHeld || e.Left == LeftUnbound }

// Interrupt records a signal.
type Interrupt struct {
	Signal string `json:"signal"`
}
