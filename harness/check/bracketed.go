package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Bracketed is what a negative claim about updates is tried with. Its controls are
// those of the case's bracket: a genuine image that is taken before the first claim in
// it, and one behind the last. A control that costs a version is not made for each
// claim.
type Bracketed[P any] struct {
	// Open shows that a genuine image is taken. It is called where no claim of the run
	// has shown that yet.
	Open Attempt
	// Anti delivers what nobody may take for an image: it shows that the channel can
	// say no.
	Anti func(ctx context.Context) (dut.Delivery, error)
	// Probes are what the DUT must not take. None at all cannot pass.
	Probes []P
	Name   func(p P) string
	// Brief names a probe in a list; nil for Name. Differs says in what it differs from what is
	// genuine; nil for nothing.
	Brief   func(p P) string
	Differs func(p P) string
	Deliver func(ctx context.Context, p P) (dut.Delivery, error)
	// Shows says whether the DUT runs the probe, or waits to, by what it says of itself.
	Shows func(p P, now dut.Running) bool
	// Genuine says whether what the DUT says that it runs is an image of the maker's.
	Genuine func(now dut.Running) bool
	// Restart has what was delivered run. It says so where the start shows a refusal.
	Restart func(ctx context.Context) (refused string, err error)
	// Look reads what runs, of the unit that is on the rig and of no other.
	Look func(ctx context.Context) (dut.Running, error)
	// Recover brings back a DUT that does not start any more behind the probes. Repaired
	// says that its declared recovery did not do, and that it was given a genuine image by
	// another way. Nil: it cannot be, and the case ends there.
	Recover func(ctx context.Context) (repaired string, err error)
	// Back brings a DUT that runs what it must not back to a genuine image.
	Back func(ctx context.Context) error
	// Later gives, of a probe, what says whether the DUT runs it. It is kept for the run:
	// what is refused may run all the same at a start behind the case. Nil: nothing is.
	Later func(p P) func(now dut.Running) bool
	// Told gives what the last restart told of the image that it started, by another way
	// than Look; false where it told nothing. Nil: it tells nothing.
	Told func() (dut.Running, bool)
	// Held restarts the DUT by its supply, and says on the way which of these probes lies where
	// a start may run it, or that something else lies there that is none of the maker's
	// images; "" for neither. What is refused may have been written all the same, and the
	// next probe over it: one restart shows the last of them alone. Nil: nobody looks there.
	Held func(ctx context.Context, ps []P) (held string, err error)
	// Leaves says why what is refused leaves nothing that a start could run, as the maker
	// declares; where it is empty and nobody looks, each probe is followed by a restart of
	// its own.
	Leaves string
	// One says that all probes bring one image: what shows one of them shows all.
	One bool
	// Restarts says that each delivery restarts the DUT.
	Restarts bool
	// Early says that the DUT may say no before all of a probe went over.
	Early bool
	// Detail is what the evidence says of a probe; nil for its name alone.
	Detail func(p P) any
	Opened verdict.Reason // of a probe that is taken; access where it is empty
}

// Opened says whether a bracket was opened in this run: by what case, and where that
// failed, why.
func (l *Ledger) Opened(bracket string) (by string, ok bool, failed error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.brackets[bracket]
	return o.by, ok, o.err
}

// Open notes that a bracket was opened, or was to be and could not.
func (l *Ledger) Open(bracket, by string, failed error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.brackets == nil {
		l.brackets = map[string]openedBy{}
	}
	l.brackets[bracket] = openedBy{by, failed}
}

type openedBy struct {
	by  string
	err error
}

// Opens notes that this case has made the first control of a bracket, or has shown once
// for the run what goes by this name.
func (t *T) Opens(bracket string) { t.cfg.Ledger.Open(bracket, t.ID(), nil) }

// OpensNot notes that it was to be shown, and why it was not.
func (t *T) OpensNot(bracket string, why error) { t.cfg.Ledger.Open(bracket, t.ID(), why) }

// Opened says whether a case of the run has shown it: which, and where it could not, why.
func (t *T) Opened(bracket string) (by string, ok bool, failed error) {
	return t.cfg.Ledger.Opened(bracket)
}

// Shows says whether a case of the run has shown it.
func (t *T) Shows(bracket string) bool {
	_, ok, failed := t.cfg.Ledger.Opened(bracket)
	return ok && failed == nil
}

// RefuteBracketed claims that the DUT takes none of the probes, in the case's bracket.
// It gives whether the claim was recorded as holding; the verdict is the fold's.
func RefuteBracketed[P any](ctx context.Context, t *T, text string, n Bracketed[P]) bool {
	r := &bracketed[P]{tally: newTally(t, text, len(n.Probes)), n: n}
	if n.Name == nil {
		r.n.Name = func(p P) string { return fmt.Sprint(p) }
	}
	r.rec = &journal.Claim{Claim: r.c.n, Text: text, Negative: true, Holds: journal.Unknown, Refusal: []verdict.Kind{verdict.Refused}, Bracket: t.cfg.Case.Bracket,
		Expected: "every probe is refused as declared, and behind a restart the same firmware runs and nothing waits"}
	defer r.record() // once: where t.OK, a panic or the budget ends it, it stays unknown
	r.run(ctx)
	r.record()
	return r.rec.Holds == journal.Yes
}

// bracketed is one negative claim while it is tried.
type bracketed[P any] struct {
	tally
	n Bracketed[P]

	before    dut.Running // before the first probe
	batch     []int       // probes that were refused since the last restart
	sent      []int       // probes that were delivered
	unseen    []int       // probes that may have been written over before a start could show them
	gone      error       // the DUT did not start, and was brought back
	saidNo    bool        // the anti-control was refused, and had arrived
	lastTaken bool        // the DUT said that it has taken the last of the batch
	inRow     int         // deliveries that were refused since the last restart
}

func (r *bracketed[P]) unknown(reason verdict.Reason, format string, args ...any) {
	if r.rec.Holds != journal.No && r.rec.Reason == "" {
		r.rec.Holds, r.rec.Reason, r.rec.Got = journal.Unknown, reason, fmt.Sprintf(format, args...)
	}
}

func (r *bracketed[P]) run(ctx context.Context) {
	switch {
	case r.rec.Bracket == "" || r.n.Open == nil || r.n.Anti == nil:
		r.unknown(verdict.ReasonNoControl, "the claim was made without a bracket and an anti-control")
		return
	case len(r.n.Probes) == 0:
		r.unknown(verdict.ReasonNoProbes, "there is nothing to try")
		return
	}
	r.file = r.t.File("tries.jsonl", "every control and probe of the claim, with its answer, and what ran", "application/jsonl")
	if !r.open(ctx) {
		return
	}
	now, err := r.n.Look(ctx)
	r.t.OK(err)
	r.before = now
	r.looked("before", now)
	r.t.Ran(now)
	if now.Pending != "" || !r.n.Genuine(now) {
		r.unknown(verdict.ReasonPrecondition, "before the first probe the DUT runs %s: that is no genuine image alone", now)
		return
	}
	if !r.anti(ctx) {
		if r.rec.Holds != journal.No { // it may be left in a mode of its own
			r.restart(ctx)
		}
		return
	}
	if !r.probes(ctx) || !r.settle(ctx) {
		return
	}
	r.rec.Unchanged = journal.Yes
	if r.effective < len(r.n.Probes) || !r.saidNo {
		return // why is in the record
	}
	r.rec.Holds, r.rec.Reason = journal.Yes, ""
	r.rec.Got = fmt.Sprintf("%d probes, all refused (%s); %s %s runs, as before", r.tried, r.list(), r.behind(), r.before)
}

// eachAlone says whether each probe is followed by a restart of its own.
func (r *bracketed[P]) eachAlone() bool { return r.n.Held == nil && r.n.Leaves == "" && !r.n.One }

// listed is how many probes a list names.
const listed = 12

// list names the probes, the first ones of many.
func (r *bracketed[P]) list() string {
	var names []string
	for i, p := range r.n.Probes {
		switch {
		case i == listed && len(r.n.Probes) > listed+1:
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(r.n.Probes)-listed)
		case r.n.Brief != nil:
			names = append(names, r.n.Brief(p))
		default:
			names = append(names, r.names[i])
		}
	}
	return strings.Join(names, ", ")
}

// differs says in what a probe differs from what is genuine.
func (r *bracketed[P]) differs(i int) string {
	if r.n.Differs == nil {
		return ""
	}
	if how := r.n.Differs(r.n.Probes[i]); how != "" {
		return "; it is genuine but for: " + how
	}
	return ""
}

// behind says which restarts have shown what runs.
func (r *bracketed[P]) behind() string {
	switch {
	case len(r.n.Probes) == 1 || r.n.One:
		return "behind a restart"
	case r.n.Held != nil:
		return "none of them lies where a start may run it, and behind a restart"
	case r.n.Leaves != "":
		return "what is refused leaves nothing, as declared (" + r.n.Leaves + "), and behind one restart for all"
	}
	return "behind a restart for each of them"
}

// open shows that a genuine image is taken, where nothing has shown it in this run.
func (r *bracketed[P]) open(ctx context.Context) bool {
	id := r.rec.Bracket
	if by, ok, failed := r.t.cfg.Ledger.Opened(id); ok && failed != nil {
		r.unknown(verdict.ReasonControlFailed, "in %s no genuine image was taken: %v", by, failed)
		return false
	} else if ok {
		r.t.Note("that a genuine image is taken was shown in %s", by)
		return true
	}
	a, err := r.n.Open(ctx)
	r.t.OK(err)
	ok := a.Kind == verdict.Accepted
	r.keep(journal.RoleBefore, "a genuine image", dut.Delivery{Answer: a, Carried: -1}, nil)
	r.t.record(&journal.Event{Kind: journal.KindControl, Control: &journal.Control{Claim: r.c.n, Role: journal.RoleBefore, OK: ok, Kind: a.Kind, Bracket: id,
		Text: "a genuine image is taken and runs", Detail: a.Detail, Evidence: []journal.Ref{r.file.Ref()}}})
	if !ok {
		r.t.cfg.Ledger.Open(id, r.t.ID(), errors.New(a.Detail))
		r.unknown(verdict.ReasonControlFailed, "a genuine image was not taken: %s (%s); what else was refused says nothing", a.Kind, a.Detail)
		return false
	}
	r.t.cfg.Ledger.Open(id, r.t.ID(), nil)
	return true
}

// anti delivers what is no image; false ends the claim. A DUT that says that it has taken
// that says so of everything.
func (r *bracketed[P]) anti(ctx context.Context) bool {
	d, err := r.patient(ctx, "no image at all", func(ctx context.Context) (dut.Delivery, error) { return r.n.Anti(ctx) }, nil)
	r.t.OK(err)
	if d.Taken {
		if d = r.atBoot(ctx, d); r.rec.Holds == journal.No {
			return false
		}
	}
	ok := d.Refuses()
	r.saidNo = ok
	r.refusedOne()
	r.t.record(&journal.Event{Kind: journal.KindControl, Control: &journal.Control{Claim: r.c.n, Role: journal.RoleAnti, OK: ok, Kind: d.Kind,
		Text: "what is no image is not taken", Detail: d.Detail, Evidence: []journal.Ref{r.file.Ref()}}})
	switch {
	case !ok && d.Kind == verdict.Refused:
		// It cannot pass any more; what is taken all the same is a finding.
		r.unknown(verdict.ReasonIneffective, "what is no image was refused when %s: the channel is not shown to say no to what it gets", d.Reach())
		return true
	case !ok:
		r.unknown(verdict.ReasonAntiControl, "what is no image was answered with %s (%s): the channel is not shown to say no", d.Kind, d.Detail)
	}
	return ok
}

// atBoot restarts a DUT that has taken something, and says with Refused where the start
// shows that it was refused then.
func (r *bracketed[P]) atBoot(ctx context.Context, d dut.Delivery) dut.Delivery {
	if why := r.restart(ctx); why != "" {
		d.Kind, d.Detail = verdict.Refused, "taken, and "+why
	}
	return d
}

// restart restarts the DUT. One that does not start any more is brought back, so that
// it can be seen whether it runs what it must not.
func (r *bracketed[P]) restart(ctx context.Context) (refused string) {
	return r.restartBy(ctx, r.n.Restart)
}

// restartBy is restart by another way, that may give something else than a refusal.
func (r *bracketed[P]) restartBy(ctx context.Context, by func(context.Context) (string, error)) (told string) {
	r.inRow = 0
	why, err := by(ctx)
	if !errors.Is(err, dut.ErrLost) || r.n.Recover == nil {
		r.t.OK(err)
		return why
	}
	repaired, rerr := r.n.Recover(ctx)
	if rerr != nil {
		r.t.Note("the way back: %v", rerr)
		r.t.OK(err)
	}
	r.t.Note("the DUT did not start behind %s, and was brought back %s", r.delivered(), repaired)
	if r.gone = err; repaired != "" {
		r.rec.Holds, r.rec.Reason, r.rec.Unchanged = journal.No, verdict.ReasonDUTDisabled, journal.No
		r.rec.Got = fmt.Sprintf("behind %s the DUT does not start any more (%v), and its declared recovery does not bring it back; it came back %s", r.delivered(), err, repaired)
		r.record()
	}
	return ""
}

// probes delivers every probe; false ends the claim.
func (r *bracketed[P]) probes(ctx context.Context) bool {
	for _, p := range r.n.Probes {
		r.names = append(r.names, r.n.Name(p))
	}
	broken := 0
	for i, p := range r.n.Probes {
		if r.n.Shows(p, r.before) {
			r.unknown(verdict.ReasonIneffective, "%s shows itself as what runs already: that it was taken could not be seen", r.names[i])
			continue
		}
		d, err := r.patient(ctx, r.names[i], func(ctx context.Context) (dut.Delivery, error) { return r.n.Deliver(ctx, p) }, r.detail(p))
		r.t.OK(err)
		r.sent = append(r.sent, i)
		if d.Taken {
			var ok bool
			if d, ok = r.taken(ctx, i, d); !ok {
				return false
			}
		}
		r.tried++
		r.kinds[d.Kind]++
		switch {
		case d.Kind != verdict.Refused:
			r.unknown(verdict.ReasonIneffective, "%s was answered with %s (%s), which is no declared refusal", r.names[i], d.Kind, d.Detail)
			if broken += btoi(d.Kind == verdict.Unreachable); broken == tries { // a path that broke is not walked to its end
				return true
			}
		case !d.Refuses() && !r.n.Early:
			r.unknown(verdict.ReasonIneffective, "%s was refused when %s", r.names[i], d.Reach())
			r.batch = append(r.batch, i) // it may run all the same
		default:
			r.effective++
			r.batch = append(r.batch, i)
			r.refusedOne()
			if r.n.Later != nil {
				r.t.cfg.Ledger.refused(r.t.ID(), r.names[i], r.n.Later(p))
			}
		}
		if len(r.batch) > 0 && r.eachAlone() && i < len(r.n.Probes)-1 {
			if r.restart(ctx); r.rec.Holds == journal.No || !r.see(ctx) {
				return false
			}
		}
	}
	return true
}

// refusedOne counts what was refused without a restart.
func (r *bracketed[P]) refusedOne() {
	if r.inRow++; r.n.Restarts {
		r.inRow = 1
	}
	r.t.cfg.Ledger.row(r.rec.Bracket, r.inRow)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// taken has a probe run that the DUT says it has taken, and looks.
func (r *bracketed[P]) taken(ctx context.Context, i int, d dut.Delivery) (_ dut.Delivery, ok bool) {
	if r.n.Leaves == "" && !r.n.One {
		r.unseen = append(r.unseen, r.batch...)
	}
	r.batch = append(r.batch, i)
	r.lastTaken = true
	defer func() { r.lastTaken = false }()
	d = r.atBoot(ctx, d)
	if r.rec.Holds != journal.No && r.see(ctx) {
		return d, true
	}
	r.tried++
	if r.rec.Holds == journal.No && r.gone == nil {
		d.Kind = verdict.Accepted
		r.effective++
	}
	r.kinds[d.Kind]++
	return d, false
}

// fail says for good that a probe was taken, and walks the way back.
func (r *bracketed[P]) fail(ctx context.Context, format string, args ...any) {
	r.rec.Holds, r.rec.Reason, r.rec.Got = journal.No, verdict.ReasonAccess, fmt.Sprintf(format, args...)
	if r.n.Opened != "" {
		r.rec.Reason = r.n.Opened
	}
	r.record() // it stands, whatever becomes of the way back
	if r.n.Back == nil {
		return
	}
	if err := r.n.Back(ctx); err != nil {
		r.t.Note("the way back to a genuine image: %v", err)
		r.t.OK(err)
	}
}

// patient delivers, and delivers again what broke on the way. What the DUT has taken or
// refused is never tried again.
func (r *bracketed[P]) patient(ctx context.Context, name string, deliver func(context.Context) (dut.Delivery, error), detail any) (d dut.Delivery, err error) {
	role := "probe"
	if detail == nil && name == "no image at all" {
		role = journal.RoleAnti
	}
	for try := 1; ; try++ {
		if d, err = deliver(ctx); err != nil {
			return d, err
		}
		r.keep(role, name, d, detail)
		if d.Taken || d.Kind == verdict.Refused && (d.Refuses() || r.n.Early && role != journal.RoleAnti || !d.Told()) || try == tries {
			return d, nil
		}
	}
}

func (r *bracketed[P]) detail(p P) any {
	if r.n.Detail == nil {
		return nil
	}
	return r.n.Detail(p)
}

// keep writes one try to the evidence.
func (r *bracketed[P]) keep(role, name string, d dut.Delivery, detail any) {
	r.line(struct {
		Role    string       `json:"role"`
		Probe   string       `json:"probe,omitempty"`
		Kind    verdict.Kind `json:"kind"`
		Taken   bool         `json:"taken,omitempty"`
		Detail  string       `json:"detail,omitempty"`
		Raw     string       `json:"raw,omitempty"`
		Carried int          `json:"carried"`
		Of      int          `json:"of"`
		Fetches []dut.Fetch  `json:"fetches,omitempty"`
		TookUS  int64        `json:"took_us"`
		Is      any          `json:"is,omitempty"`
	}{role, name, d.Kind, d.Taken, d.Detail, escape.Visible(string(d.Raw)), d.Carried, d.Of, d.Fetches, d.Took.Microseconds(), detail})
}

// looked writes to the evidence what runs.
func (r *bracketed[P]) looked(when string, now dut.Running) {
	r.line(struct {
		Role string      `json:"role"`
		Runs dut.Running `json:"runs"`
	}{"what runs " + when, now})
}
