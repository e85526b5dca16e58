package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Attempt is one way in, tried once. Its error is the rig's own trouble only;
// what the DUT did is in the answer.
type Attempt func(ctx context.Context) (dut.Answer, error)

// Negative is what a negative claim is tried with.
type Negative[P any] struct {
	// Control must open: before the probes, in between and after, on the path
	// that the probes take.
	Control Attempt
	// Anti must not open: it shows that the oracle can say no.
	Anti Attempt
	// Probes are what must not open. None at all cannot pass.
	Probes []P
	// Try sends one probe.
	Try func(ctx context.Context, p P) (dut.Answer, error)
	// Name describes a probe in the record.
	Name func(p P) string
	// Account gives the account that a probe counts against. Nil: none.
	Account func(p P) string
	// Doubtful says of a probe that the DUT may not count it as a wrong try:
	// most do not look a blank password up. Nil: all count.
	Doubtful func(p P) bool
	// Owner is the account of the control.
	Owner string
	// Channel is the login that is tried, where the case is about several.
	Channel string
	// Wrong is a try on the owner's account that must be refused. With it the
	// declared lock-out is shown to be the real one, before it decides which
	// probes count.
	Wrong Attempt
	// Whole has the declared lock-out shown from its beginning to its end, however
	// few probes an account gets: what earlier cases tried may still count, and how
	// much of it is a question of time.
	Whole bool
	// Refusal lists the kinds of answer that are declared to be a refusal.
	Refusal []verdict.Kind
	// Denies lists the kinds by which the anti-control says no, where they are
	// others: a lock that answers in its own words locks nobody's account.
	// Refusal where it is empty.
	Denies []verdict.Kind
	Pace   Pace
	// Every is how many probes may lie between two controls; 0 for 25.
	Every int
	// Mute says that the DUT refuses by silence, as who is not there does: each
	// probe, and the anti-control, lies between two controls.
	Mute bool
	// Opened is the reason of a probe that opens; access where it is empty.
	Opened verdict.Reason
	// Same says what the DUT is, to be equal before and after. Nil: its
	// identity and the number of its boots.
	Same func(ctx context.Context) (string, error)
}

// tries is how often a probe is sent whose answer says nothing: the second and
// third time after a control. An answer that opens is never tried again.
const tries = 3

// Refute claims that no probe opens, and is the only way to pass such a claim.
// It gives whether the claim was recorded as holding; the verdict is the
// fold's.
func Refute[P any](ctx context.Context, t *T, text string, n Negative[P]) bool {
	r := &refutation[P]{tally: newTally(t, text, len(n.Probes)), n: n, pace: newPacer(n.Pace, n.Owner, t)}
	if n.Every == 0 {
		r.n.Every = 25
	}
	if n.Mute {
		r.n.Every = 1
	}
	if n.Channel == "" {
		r.n.Channel = t.cfg.Case.Channel
	}
	if n.Name == nil {
		r.n.Name = func(p P) string { return fmt.Sprint(p) }
	}
	if n.Same == nil {
		r.n.Same = t.Device().Fingerprint
	}
	r.rec = &journal.Claim{Claim: r.c.n, Text: text, Negative: true, Holds: journal.Unknown, Refusal: n.Refusal,
		Expected: "every probe is answered with: " + kinds(n.Refusal)}
	decided := false
	defer func() {
		if !decided { // ended by t.OK, a panic or the budget: it stays unknown
			r.record()
		}
	}()
	r.run(ctx)
	r.record()
	decided = true
	return r.rec.Holds == journal.Yes
}

// refutation is one negative claim while it is tried.
type refutation[P any] struct {
	tally
	n    Negative[P]
	pace *pacer

	sinceControl int
	controlled   time.Time     // when the last control ended
	slowest      time.Duration // of the probes
	paced        bool          // the lock-out is shown to be the declared one
	scoped       bool          // and to lock accounts one by one
	shownOpen    bool          // the channel's bracket is closed
}

func (r *refutation[P]) unknown(reason verdict.Reason, format string, args ...any) {
	if r.rec.Holds == journal.No {
		return
	}
	r.rec.Holds, r.rec.Reason, r.rec.Got = journal.Unknown, reason, fmt.Sprintf(format, args...)
}

func (r *refutation[P]) run(ctx context.Context) {
	if r.n.Control == nil || r.n.Anti == nil {
		r.unknown(verdict.ReasonNoControl, "the claim was made without a control and an anti-control")
		return
	}
	if len(r.n.Probes) == 0 {
		r.unknown(verdict.ReasonNoProbes, "there is nothing to try")
		return
	}
	r.file = r.t.File("tries.jsonl", "every control and probe of the claim, with its answer", "application/jsonl")
	before, err := r.n.Same(ctx)
	r.t.OK(err)
	// The anti-control is run also where the control does not open: that
	// everything opens is a finding, and hides what the control shows.
	opened := r.control(ctx, journal.RoleBefore)
	if said := r.anti(ctx); !opened || !said || !r.provePace(ctx) {
		return
	}
	if !r.probes(ctx) {
		return
	}
	if !r.control(ctx, journal.RoleAfter) {
		return
	}
	after, err := r.n.Same(ctx)
	r.t.OK(err)
	r.rec.Unchanged = journal.Yes
	if before != after {
		r.rec.Unchanged = journal.No
		r.unknown(verdict.ReasonDUTChanged, "before the probes the DUT was %s, afterwards %s", before, after)
		return
	}
	if r.effective < len(r.n.Probes) {
		return // why is in the record
	}
	r.rec.Holds, r.rec.Reason = journal.Yes, ""
	r.rec.Got = fmt.Sprintf("%d probes, all %s", r.tried, kindCounts(r.kinds))
}

// control runs the control, which must open.
func (r *refutation[P]) control(ctx context.Context, role string) bool {
	a, err := r.n.Control(ctx)
	r.t.OK(err)
	ok := a.Kind == verdict.Accepted
	if ok {
		r.scopeShown()
	}
	r.sinceControl, r.controlled = 0, time.Now()
	if r.n.Account != nil { // else it is no login, or one that its own check counts
		r.pace.after(r.n.Owner, a.Kind, false)
	}
	r.keep(role, "", a)
	r.t.record(&journal.Event{Kind: journal.KindControl, Control: &journal.Control{Claim: r.c.n, Role: role, OK: ok, Kind: a.Kind,
		Text: "the declared way in opens", Detail: a.Detail, Evidence: []journal.Ref{r.file.Ref()}}})
	if ch := r.n.Channel; ok && r.t.cfg.Case.Bracket == "" && ch != "" && !r.shownOpen {
		r.shownOpen = true
		r.t.record(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: Answers(ch), Phase: "close", OK: true}})
	}
	if !ok {
		r.unknown(verdict.ReasonControlFailed, "the %s did not open: %s (%s); what else was refused says nothing", role, a.Kind, a.Detail)
	}
	return ok
}

// anti runs the anti-control, which must be refused. If it opens, that is a
// claim of its own, and it fails.
func (r *refutation[P]) anti(ctx context.Context) bool {
	a, err := r.n.Anti(ctx)
	r.t.OK(err)
	denies := r.n.Denies
	if len(denies) == 0 {
		denies = r.n.Refusal
	}
	ok := contains(denies, a.Kind)
	if r.n.Pace.Source { // it was a wrong try like the others
		r.pace.after("", a.Kind, false)
	}
	r.keep(journal.RoleAnti, "", a)
	r.t.record(&journal.Event{Kind: journal.KindControl, Control: &journal.Control{Claim: r.c.n, Role: journal.RoleAnti, OK: ok, Kind: a.Kind,
		Text: "what nobody was given does not open", Detail: a.Detail, Evidence: []journal.Ref{r.file.Ref()}}})
	if ok {
		return !r.n.Mute || r.control(ctx, journal.RoleBetween)
	}
	r.unknown(verdict.ReasonAntiControl, "the anti-control was %s (%s): the oracle cannot say no", a.Kind, a.Detail)
	if a.Kind.Opens() {
		r.t.Claim("what nobody was given does not open", func(c *Claim) {
			c.Show(r.file.Ref())
			c.Fail(verdict.ReasonOpenToAll, "it opens for everybody: %s", a.Detail)
		})
	}
	return false
}

// provePace shows on the owner's account that the lock-out does not begin
// before it is declared to, ends when it is declared to and begins to count
// anew then. Where an account gets more than one probe, those behind the first
// count only if that is so: a locked account may answer as a wrong password
// does.
func (r *refutation[P]) provePace(ctx context.Context) bool {
	p := r.n.Pace
	if r.n.Account == nil || !p.Known {
		return true
	}
	most := r.mostTries()
	if most < 2 {
		return true
	}
	if r.n.Whole {
		most = max(most, p.After)
	}
	if old, ok := r.t.cfg.Ledger.shown(r.n.Channel, p, most); ok {
		r.pace.hold, r.pace.late, r.paced, r.scoped = old.hold, old.late, true, old.scoped
		r.t.Note("that the lock-out is the declared one was shown in %s", old.in)
		return true
	}
	if r.n.Wrong == nil {
		r.unknown(verdict.ReasonIneffective, "an account gets %d tries, and nothing shows that the declared lock-out is the real one", most)
		return false
	}
	if !r.lockIsDeclared(ctx, most) {
		return false
	}
	r.paced = true
	r.show(most)
	return true
}

// show notes for the run's further cases what is shown of the lock-out.
func (r *refutation[P]) show(most int) {
	r.t.cfg.Ledger.show(r.n.Channel, r.n.Pace, shown{tries: most, hold: r.pace.hold, late: r.pace.late, scoped: r.scoped, in: r.t.ID()})
}

// lockIsDeclared carries the proof out.
func (r *refutation[P]) lockIsDeclared(ctx context.Context, most int) bool {
	p := r.n.Pace
	if p.After == 0 { // declared never to lock
		return r.wrong(ctx, min(most, maxProof)) && r.control(ctx, journal.RoleBetween)
	}
	if r.pace.counted(r.n.Owner) > 0 { // of an earlier case, or of this source
		r.t.OK(r.pace.wait(ctx, max(p.Window, p.Lasts)+paceMargin))
		r.pace.forget(r.n.Owner)
		// A lock of theirs that lasts longer must not be taken for one of ours.
		if !r.control(ctx, journal.RoleBetween) {
			return false
		}
	}
	if !r.notEarlier(ctx, min(p.After, most)-1) {
		return false
	}
	if most < p.After {
		return true
	}
	locks, ok := r.locks(ctx)
	if !ok {
		return false
	}
	// A lock that comes later than declared may come at any time.
	r.pace.late = !locks
	locked, lasts := time.Now(), p.Lasts
	if !locks { // and the tries of now still count
		lasts = max(p.Window, p.Lasts)
	}
	r.t.OK(r.pace.wait(ctx, lasts+paceMargin))
	r.pace.forget(r.n.Owner)
	// A lock that ends and does not forget is back after one more wrong try.
	if p.After > 1 && !r.wrong(ctx, 1) || !r.control(ctx, journal.RoleBetween) {
		return false
	}
	r.pace.hold = max(r.pace.hold, time.Since(locked))
	return true
}

// locks makes wrong tries until the owner's account is locked by what is
// declared, and says whether it is. Those of before may be too long ago to
// count: then once more, all in a row.
func (r *refutation[P]) locks(ctx context.Context) (locked, ok bool) {
	for try := 1; ; try++ {
		if !r.wrong(ctx, r.n.Pace.After-r.pace.counted(r.n.Owner)) {
			return false, false
		}
		a, err := r.n.Control(ctx)
		r.t.OK(err)
		r.keep("the declared way in, while it must be locked", "", a)
		if !a.Kind.Opens() || try == 2 {
			return !a.Kind.Opens(), true
		}
		r.t.OK(r.pace.wait(ctx, max(r.n.Pace.Window, r.n.Pace.Lasts)+paceMargin))
		r.pace.forget(r.n.Owner)
	}
}

// notEarlier shows that n wrong tries do not lock, made as fast as probes are. A
// control shows it of the last ones only, those whose lock would still last; the
// first ones are then the last of a shorter round, which begins with none counted.
func (r *refutation[P]) notEarlier(ctx context.Context, n int) bool {
	for left := n; left > 0; {
		begin := time.Now()
		if !r.wrong(ctx, left) || !r.control(ctx, journal.RoleBetween) {
			return false
		}
		seen := left
		if each := time.Since(begin) / time.Duration(left+1); each > 0 {
			seen = max(1, int(r.n.Pace.Lasts/each)-1)
		}
		left -= seen
		if left > 0 && !r.n.Pace.SuccessClears {
			r.t.OK(r.pace.wait(ctx, max(r.n.Pace.Window, r.n.Pace.Lasts)+paceMargin))
			r.pace.forget(r.n.Owner)
		}
	}
	return true
}

// maxProof bounds the wrong tries on an account that is declared never to lock.
const maxProof = 25

// mostTries gives the most tries that any account gets by this claim, or has
// got before in the run and still has against it.
func (r *refutation[P]) mostTries() int {
	per, most := map[string]int{}, 0
	for _, probe := range r.n.Probes {
		account := r.n.Account(probe)
		k := r.pace.group(account)
		if per[k] == 0 && !r.pace.owns(account) { // the owner's is shown not to be locked
			per[k] = r.pace.counted(account)
		}
		per[k]++
		most = max(most, per[k])
	}
	return most
}

// wrong makes wrong tries on the owner's account. One that opens it is a
// finding.
func (r *refutation[P]) wrong(ctx context.Context, n int) bool {
	for range n {
		a, err := r.n.Wrong(ctx)
		r.t.OK(err)
		r.keep("wrong on purpose", r.n.Owner, a)
		r.pace.after(r.n.Owner, a.Kind, false)
		switch {
		case a.Kind.Opens():
			r.rec.Holds, r.rec.Reason = journal.No, cmp.Or(r.n.Opened, verdict.ReasonAccess)
			r.rec.Got = "a wrong try on the owner's account opened it: " + a.Detail
			return false
		case !contains(r.n.Refusal, a.Kind) && a.Kind != verdict.LockedOut:
			r.unknown(verdict.ReasonIneffective, "a wrong try on the owner's account was answered with %s (%s)", a.Kind, a.Detail)
			return false
		}
	}
	return true
}

// probes sends every probe; false ends the claim.
func (r *refutation[P]) probes(ctx context.Context) bool {
	for _, p := range r.n.Probes {
		r.names = append(r.names, r.n.Name(p))
	}
	untried := 0
	pending := make([]int, len(r.n.Probes))
	for i := range pending {
		pending[i] = i
		if r.n.Account != nil {
			r.pace.plan(r.n.Account(r.n.Probes[i]), 1)
		}
	}
	for len(pending) > 0 {
		i := r.next(pending)
		p := r.n.Probes[i]
		pending = without(pending, i)
		if r.controlDue(p) && !r.control(ctx, journal.RoleBetween) {
			return false
		}
		a, skip, ok := r.probe(ctx, p, r.names[i])
		switch {
		case !ok:
			return false
		case skip:
			untried++
			continue
		}
		if r.n.Account != nil {
			r.pace.plan(r.n.Account(p), -1)
		}
		r.tried++
		r.sinceControl++
		r.kinds[a.Kind]++
		if a.Kind.Opens() {
			r.effective++
			r.rec.Holds, r.rec.Reason = journal.No, cmp.Or(r.n.Opened, verdict.ReasonAccess)
			r.rec.Got = fmt.Sprintf("%s opened it: %s", r.names[i], a.Detail)
			return false
		}
		if contains(r.n.Refusal, a.Kind) {
			r.effective++
			continue
		}
		r.unknown(verdict.ReasonIneffective, "%s was answered with %s (%s), which is no declared refusal", r.names[i], a.Kind, a.Detail)
		// A path that broke is not walked to its end, timeout by timeout.
		if !r.control(ctx, journal.RoleBetween) {
			return false
		}
	}
	if untried > 0 {
		r.unknown(verdict.ReasonCoverageGap, "%d of %d probes were not sent: nobody declared the lock-out, so each account gets %d tries", untried, len(r.n.Probes), unknownTries)
	}
	return true
}

// next chooses the probe to send: the first whose account has room now, so that
// the lock of one account is waited out while others are tried; where all have
// to wait, the one that waits least.
func (r *refutation[P]) next(pending []int) int {
	if r.n.Account == nil {
		return pending[0]
	}
	best, least := pending[0], time.Duration(-1)
	now := time.Now()
	for _, i := range pending {
		wait, _ := r.pace.room(r.n.Account(r.n.Probes[i]), now)
		if wait <= 0 {
			return i
		}
		if least < 0 || wait < least {
			best, least = i, wait
		}
	}
	return best
}

// without gives the list without one of its values.
func without(list []int, v int) []int {
	if list[0] == v {
		return list[1:]
	}
	return slices.DeleteFunc(list, func(x int) bool { return x == v })
}

// controlDue says that a control has to come before the next probe: after many
// probes, and while it is not shown that accounts are locked one by one, before
// a lock of all of them could have come and gone unseen.
func (r *refutation[P]) controlDue(next P) bool {
	p := r.n.Pace
	switch {
	case r.sinceControl == 0:
		return false
	case r.sinceControl >= r.n.Every:
		return true
	case r.n.Account == nil || !p.Known || p.After == 0 || p.Source || r.scoped:
		return false
	case r.sinceControl >= p.After:
		return true
	}
	wait, _ := r.pace.room(r.n.Account(next), time.Now())
	slow := !r.paced || !p.SuccessClears // a lock may come before After
	return wait > 0 || slow && time.Since(r.controlled)+2*r.slowest >= p.Lasts
}

// scopeShown notes that accounts are locked one by one: as many wrong tries on
// others as lock, and the owner's way in still opens.
func (r *refutation[P]) scopeShown() {
	p := r.n.Pace
	if r.scoped || !r.paced || p.After == 0 || r.sinceControl < p.After || time.Since(r.controlled) > p.Window {
		return
	}
	r.scoped = true
	r.t.cfg.Ledger.scoped(r.n.Channel, p)
}

// probe sends one probe when it counts. An answer that says nothing is asked
// for again after a control.
func (r *refutation[P]) probe(ctx context.Context, p P, name string) (a dut.Answer, skip, ok bool) {
	account := ""
	if r.n.Account != nil {
		account = r.n.Account(p)
	}
	for try := 1; ; try++ {
		if r.n.Account != nil {
			if d, _ := r.pace.room(account, time.Now()); d > 0 && r.pace.p.SuccessClears && (r.pace.owns(account) || r.pace.sourceRoom(time.Now()) > 0) {
				if !r.control(ctx, journal.RoleBetween) { // it clears the count, sooner than waiting would
					return a, false, false
				}
			}
			never, err := r.pace.before(ctx, account)
			r.t.OK(err)
			if never {
				return a, true, true
			}
		}
		var err error
		sent := time.Now()
		a, err = r.n.Try(ctx, p)
		r.t.OK(err)
		r.slowest = max(r.slowest, time.Since(sent))
		r.keep("probe", name, a)
		if r.n.Account != nil {
			r.pace.after(account, a.Kind, r.n.Doubtful != nil && r.n.Doubtful(p))
		}
		if a.Kind.Opens() || contains(r.n.Refusal, a.Kind) || try == tries {
			return a, false, true
		}
		if !r.control(ctx, journal.RoleBetween) {
			return a, false, false
		}
	}
}

// keep writes one try to the evidence.
func (r *refutation[P]) keep(role, name string, a dut.Answer) {
	r.line(struct {
		Role   string       `json:"role"`
		Probe  string       `json:"probe,omitempty"`
		Kind   verdict.Kind `json:"kind"`
		Detail string       `json:"detail,omitempty"`
		Raw    string       `json:"raw,omitempty"`
		TookUS int64        `json:"took_us"`
	}{role, name, a.Kind, a.Detail, escape.Visible(string(a.Raw)), a.Took.Microseconds()})
}

func contains(ks []verdict.Kind, k verdict.Kind) bool {
	for _, o := range ks {
		if o == k {
			return true
		}
	}
	return false
}

func kinds(ks []verdict.Kind) string {
	parts := make([]string, len(ks))
	for i, k := range ks {
		parts[i] = string(k)
	}
	return strings.Join(parts, " or ")
}

func kindCounts(m map[verdict.Kind]int) string {
	var parts []string
	for _, k := range verdict.Kinds {
		if m[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s (%d)", k, m[k]))
		}
	}
	return strings.Join(parts, ", ")
}
