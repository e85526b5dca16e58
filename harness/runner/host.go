package runner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/state"
	"rigor/harness/wire"
)

// Append writes an event; the run remembers what a case was found to be.
func (r *run) Append(e *journal.Event) error {
	if c := e.Claim; c != nil && c.Holds != journal.Yes {
		r.mu.Lock()
		r.judged[e.Case] = r.judged[e.Case] || c.Holds == journal.No
		r.open[e.Case] = r.open[e.Case] || c.Holds == journal.Unknown
		r.mu.Unlock()
	}
	if b := e.Bracket; b != nil {
		r.mu.Lock()
		s := r.brackets[b.ID]
		s.opened = s.opened || b.Phase == "open"
		s.closed = s.closed || b.Phase == "close"
		r.brackets[b.ID] = s
		r.mu.Unlock()
	}
	return r.cfg.Journal.Append(e)
}

// append is Append where nobody can act on the error: the writer stays broken
// and the run ends by its Err.
func (r *run) append(e *journal.Event) { _ = r.Append(e) }

// Sync makes the journal durable.
func (r *run) Sync() error { return r.cfg.Journal.Sync() }

// Intent writes down what the next start may have to undo.
func (r *run) Intent(kind, what string, data map[string]string) (string, func() error, error) {
	id, done, err := r.cfg.Intents.Open(kind, what, data)
	if err != nil {
		return "", nil, &wire.Fault{Part: "disk", Op: "write an intent", Err: err}
	}
	if err := r.Append(&journal.Event{Kind: journal.KindIntent, Intent: &journal.Intent{ID: id, What: what}}); err != nil {
		return "", nil, err
	}
	if err := r.Sync(); err != nil {
		return "", nil, err
	}
	return id, func() error {
		if err := done(); err != nil {
			return err
		}
		return r.Append(&journal.Event{Kind: journal.KindIntent, Intent: &journal.Intent{ID: id, What: what, Done: true}})
	}, nil
}

// Secret derives a temporary secret.
func (r *run) Secret(label string, length int) string { return r.cfg.Intents.Secret(label, length) }

// Draw derives one of an alphabet.
func (r *run) Draw(label, alphabet string, length int) string {
	return r.cfg.Intents.Draw(label, alphabet, length)
}

func (r *run) note(caseID, format string, args ...any) {
	r.append(&journal.Event{Kind: journal.KindNote, Case: caseID, Note: &journal.Note{Text: fmt.Sprintf(format, args...)}})
}

func (r *run) waiting(what string) {
	if r.cfg.Waiting != nil {
		r.cfg.Waiting(what)
	}
}

func (r *run) moved(m state.Move) {
	e := &journal.State{From: m.From, To: m.To, Way: m.Way, OK: m.Err == nil, TookUS: m.Took.Microseconds()}
	if m.Err != nil {
		e.Detail = m.Err.Error()
	}
	r.append(&journal.Event{Kind: journal.KindState, State: e})
	if m.Err == nil && slices.ContainsFunc(r.cfg.Profile.Ways, func(w profile.Way) bool {
		return w.From == m.From && w.To == m.To && (m.Way == "" || w.ID == m.Way) && profile.Refers(w.Steps, profile.LabelPassword)
	}) {
		r.append(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: check.LabelTaken, Phase: "close", OK: true}})
	}
}

// errUnidentified says that nothing that alters may be done, since it is not
// known to which unit.
var errUnidentified = errors.New("the DUT's identity could not be read, so that nothing is done that alters it")

func (r *run) wayIntent(w profile.Way) (func() error, error) {
	if !r.identified() {
		return nil, errUnidentified
	}
	if r.cfg.Unknown {
		return nil, errUnknownLeft
	}
	_, done, err := r.Intent("state", "the way from "+w.From+" to "+w.To, map[string]string{"from": w.From, "to": w.To})
	return done, err
}

// heardFault is told of each fault that an instrument reports.
func (r *run) heardFault(f *wire.Fault) {
	r.mu.Lock()
	r.faults = append(r.faults, f)
	r.mu.Unlock()
}

// hearGaps hears of each console that a case leans on and whose port was away while it
// ran: the silence of a DUT that nobody heard shows nothing.
func (r *run) hearGaps(p *Planned, before map[string]int) {
	after, last := r.device.Gaps()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		f, ok := wire.AsFault(last[name])
		if ok && after[name] > before[name] && slices.Contains(p.Case.Parts, check.PartConsole(name)) {
			r.heardFault(f)
		}
	}
}

// takeFaults gives the faults heard since it was last called.
func (r *run) takeFaults() []*wire.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	fs := r.faults
	r.faults = nil
	return fs
}

// hearFaults journals what instruments reported during a case, each once, and
// gives the first.
func (r *run) hearFaults(caseID string) (faults []*wire.Fault) {
	said := map[string]bool{}
	for _, f := range r.takeFaults() {
		if text := f.Error(); !said[text] && len(said) < 10 {
			said[text] = true
			faults = append(faults, f)
			r.append(&journal.Event{Kind: journal.KindFault, Case: caseID, Fault: &journal.Fault{Part: string(f.Part), Op: f.Op, Error: f.Err.Error()}})
		}
	}
	return faults
}

// Parts that every case leans on.
const (
	partLease wire.Part = "lease"
	partDisk            = check.PartDisk
)

// brokenFor gives why a case cannot run: a part that it leans on is broken.
func (r *run) brokenFor(p *Planned) (string, wire.Part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, part := range append([]wire.Part{partLease, partDisk}, p.Case.Parts...) {
		if why := r.broken[part]; why != "" {
			return why, part
		}
	}
	return "", ""
}

func (r *run) leaseLost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken[partLease] != ""
}

// who is what is known of the DUT's identity.
type who int

const (
	whoUnread who = iota // declared, and not read yet or not any more
	whoRight
	whoWrong
)

func (r *run) setWho(w who, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.who, r.wrongUnit = w, why
}

// identified says whether the DUT may be altered: its identity was read, or
// the profile does not say how.
func (r *run) identified() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.who == whoRight || r.who == whoUnread && len(r.cfg.Profile.Identity.Steps) == 0
}

// isRight says whether the DUT has said that it is the rig file's.
func (r *run) isRight() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.who == whoRight
}

// ran notes which case was at the DUT last, and whether that had shown itself before.
func (r *run) ran(id string, shown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.lastShown = id, shown
}

func (r *run) ranLast() (id string, shown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.lastShown
}

func (r *run) isWrongUnit() (why string, wrong bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrongUnit, r.who == whoWrong
}

func (r *run) isGone() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone
}

func (r *run) setGone(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = why
}

func (r *run) anyBroken(p *Planned) bool {
	why, _ := r.brokenFor(p)
	return why != ""
}

// undecided says whether a case could not say something that it claims.
func (r *run) undecided(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[id] && !r.judged[id]
}

func (r *run) failed(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judged[id]
}

// grace is how long a check has to unwind: longer after a signal, so that a
// person's Ctrl-C leaves a whole record.
func (r *run) grace() time.Duration {
	if r.leaseLost() {
		return 0 // somebody else may be using the rig
	}
	if r.signalled() {
		return graceSignal
	}
	return graceBudget
}
