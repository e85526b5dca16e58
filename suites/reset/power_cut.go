package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// PowerCut: a reset that loses its power ends as if it had not begun, or as if it had
// come to its end. One that is half done opens the new owner's device to who had it
// before, or leaves nobody with it.
var PowerCut = check.Check{
	ID:    "rst-power-cut",
	Title: "A factory reset that loses its power is done wholly or not at all",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP2, nist8259a.CFG3, en303645.V3("5.9-1"), en303645.V3("5.11-1"), en18031.Code("RLM-1"), en18031.Code("DLM-1")},
		baseline.Local:   {nist8259a.DP2, nist8259a.CFG3, en303645.V3("5.9-1"), en303645.V3("5.11-1"), en18031.Code("RLM-1"), en18031.Code("DLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.LoginTries, check.Configure, check.Reset, check.PowerCut},
	Budget: check.Budget{Case: 2 * time.Hour, Cleanup: 10 * time.Minute},
	Cases:  check.Planner(check.Device).With(resets, check.NeedsNetwork, needsCut, check.NeedsState(states.Factory.Name), check.NeedsState(states.Onboarded.Name), check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		for _, w := range cutWays(t.Profile()) {
			r := &cutReset{t: t, way: w}
			if r.doors(); len(r.owners) == 0 {
				t.Inconclusive(verdict.ReasonProfileMissing, "no login of the state onboarded has an owner who could be asked over the network")
			}
			t.Cleanup(func(context.Context, *check.T) { r.forget() })
			if !r.cut(ctx) {
				return
			}
		}
	},
}

// cutWays gives the ways whose parts are declared, so that the power can be cut in each.
func cutWays(p *profile.Profile) (out []*profile.ResetWay) {
	for i := range p.Reset.Ways {
		if w := &p.Reset.Ways[i]; !w.Cut.Declared() && len(w.Cut.Phases) > 0 {
			out = append(out, w)
		}
	}
	return out
}

// needsCut: of each way to reset the device it is declared what it looks like, or why its
// power is not cut; and the rig sees it.
func needsCut(in check.Input, c *check.Case) *verdict.Judgement {
	r := &in.Profile.Reset
	switch {
	case r.Declared():
		return check.DeclaredNone(r.None.None)
	case len(r.Ways) == 0:
		return check.NotDeclared("the profile does not say how the device is reset (reset.ways)")
	}
	none := ""
	for i := range r.Ways {
		w := &r.Ways[i]
		if w.Cut.Declared() {
			none = w.Cut.None.None
			continue
		}
		if len(w.Cut.Phases) == 0 {
			return check.NotDeclared("what a reset by %s looks like from outside is not said (cut, with its phases)", w.ID)
		}
		if j := cutWired(in, c, w); j != nil {
			return j
		}
	}
	if len(cutWays(in.Profile)) == 0 {
		return check.DeclaredNone(none)
	}
	return nil
}

// cutWired: the rig has, and may use, what cutting a way's power takes.
func cutWired(in check.Input, c *check.Case, w *profile.ResetWay) *verdict.Judgement {
	for _, need := range w.Needs {
		if !slices.Contains(in.Allow, check.Leave(need)) {
			return check.RigLacks("the rig file does not allow %s, which way %s needs", need, w.ID)
		}
	}
	for _, name := range w.Cut.Consoles() {
		if !slices.Contains(in.Consoles, name) {
			return check.RigLacks("the rig has no console %s, which shows the phases", name)
		}
		c.Lean(check.PartConsole(name))
	}
	for _, name := range w.Cut.Lines() {
		if !slices.Contains(in.Lines, name) {
			return check.RigLacks("the rig has no line %s, which shows the phases", name)
		}
		c.Lean(dut.PartLine(name))
	}
	for _, name := range w.Cut.Stores {
		st := in.Profile.Stores.Items[name]
		if st == nil {
			return check.NotDeclared("what is in store %s is not declared", name)
		}
		if slices.Contains(in.Storages, st.Storage.Part) {
			c.Lean(dut.PartStorage(st.Storage.Part))
		}
	}
	return wired(in, c, in.Profile, *w)
}

// cut cuts the power of a reset in each of its phases; false where the device is not to
// be cut any more.
func (r *cutReset) cut(ctx context.Context) bool {
	cuts := r.t.CutPower(ctx, check.Work{
		ID: r.way.ID, Name: "a factory reset by " + r.way.ID, Cut: &r.way.Cut, Lines: cutLines(r.t.Profile(), r.way),
		Ready: r.ready, Act: r.act, End: r.end, Kept: 2 * time.Minute,
	})
	if cuts.Bad != nil {
		return false
	}
	r.claimImages(cuts)
	r.t.Claim("behind all power cuts a factory reset by "+r.way.ID+" still comes to its end", func(c *check.Claim) {
		c.Show(cuts.Ref)
		c.Expect("the device is reset", "it is")
		switch {
		case cuts.Stuck != nil && r.ignored(cuts):
			c.Fail(verdict.ReasonExpectation, "the device says yes to it, and is as it was: %v", cuts.Stuck)
		case cuts.Stuck != nil:
			c.Unknown(verdict.ReasonAmbiguous, "its end was not seen any more: %v", cuts.Stuck)
		case !cuts.StillGoes():
			c.Unknown(verdict.ReasonCoverageGap, "it was not made without a cut any more: %s", cuts.Stop)
		}
	})
	return cuts.Stuck == nil
}

// ignored says whether the device has taken a request for the last reset, and was not
// reset: that nothing was seen of one that was made is the bench's as well.
func (r *cutReset) ignored(cuts *check.Cuts) bool {
	asks := slices.ContainsFunc(r.way.Steps, func(s profile.Step) bool { return s.Verb == "http" || s.Verb == "run" })
	return asks && r.told && cuts.Runs[len(cuts.Runs)-1].End.Name == profile.EndKept
}

// cutLines gives the lines that a way asserts.
func cutLines(p *profile.Profile, w *profile.ResetWay) (out []string) {
	if press := p.Press(w.Press); press != nil {
		out = append(out, press.Line)
	}
	lines, _ := profile.Wires(slices.Concat(w.Steps, w.Done))
	for _, l := range lines {
		if !slices.Contains(w.Cut.Lines(), l) { // an output of the device's
			out = append(out, l)
		}
	}
	return out
}

// cutReset is a factory reset whose power is cut.
type cutReset struct {
	t      *check.T
	way    *profile.ResetWay
	owners []cutOwner

	n       int               // runs begun
	markers map[string]string // store → what was planted last
	given   map[string]string // credential → what the owner before was given
	logged  []string          // entries of the log, where a reset clears it
	images  []string          // memories in whose image each store is seen before it
	blind   []string          // memories in whose image a store is not seen before it
	frail   []string          // what a loss of power takes by itself
	told    bool              // the steps that begin it worked
	over    bool              // the reset has told that it is done
}

// cutOwner is the owner at one login, with a session from before the reset.
type cutOwner struct {
	door    *dut.Door
	cred    login.Credential
	session login.Access // nil: none
}

// doors gives the logins at which an owner is known and who is asked over the network.
func (r *cutReset) doors() {
	p := r.t.Profile()
	s := p.States.Items[states.Onboarded.Name]
	for _, name := range s.Logins {
		l := p.Logins.Items[name]
		if l == nil || l.Declared() || l.Protocol == "console" || l.Protocol == "ask" {
			continue
		}
		door := r.t.Device().Login(name)
		if own, err := door.Owner(); err == nil {
			r.owners = append(r.owners, cutOwner{door: door, cred: own})
		}
	}
}

// forget ends the sessions.
func (r *cutReset) forget() {
	for i := range r.owners {
		if a := r.owners[i].session; a != nil {
			_ = a.Close() // the device may be another one by now
			r.owners[i].session = nil
		}
	}
}

// ready has an owner use the device, with something in each store: all that a reset
// has to take away, shown to be there.
func (r *cutReset) ready(ctx context.Context) error {
	r.forget()
	r.n, r.over = r.n+1, false
	state, said, err := r.state(ctx)
	switch {
	case err != nil:
		return err
	case state == states.Factory.Name:
		if err := r.setUp(ctx); err != nil {
			return err
		}
	case state != states.Onboarded.Name:
		return fmt.Errorf("the device is in no declared state: %w: %s", dut.ErrLost, said.Detail)
	}
	if r.n == 1 { // which starts the device: sessions are opened behind it
		if err := r.outlives(ctx); err != nil {
			return err
		}
	}
	for i := range r.owners {
		o := &r.owners[i]
		a, ans, err := o.door.Open(ctx, o.cred)
		switch {
		case err != nil:
			return err
		case a == nil:
			return &dut.NoEntryError{Login: o.door.Name(), Answer: ans}
		case isPassword(o.door.Protocol()): // the next owner has the same one
			_ = a.Close() // it has nothing to close
			continue
		}
		o.session = a
	}
	return r.give(ctx)
}

// give has the owner use the device: something of his is in each store, and in the log, and
// he is given what else opens it.
func (r *cutReset) give(ctx context.Context) (err error) {
	d := r.t.Device()
	r.markers = map[string]string{}
	for _, name := range r.way.Cut.Stores {
		st := r.t.Profile().Stores.Items[name]
		f, err := canary.FormOf(st.Alphabet, st.Length)
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		r.markers[name] = r.t.Draw(fmt.Sprintf("%s/%s/%d", r.way.ID, name, r.n), f.Alphabet, f.Length)
		if _, err := d.Steps(ctx, st.Plant, map[string]string{"marker": r.markers[name]}); err != nil {
			return fmt.Errorf("put something into store %s: %w", name, err)
		}
		if there, err := r.holds(ctx, name); err != nil || !there {
			return errors.Join(err, fmt.Errorf("what was put into store %s is not seen there", name))
		}
	}
	r.given = map[string]string{}
	for _, c := range r.t.Profile().Reset.Credentials {
		vars, err := d.Steps(ctx, c.Make, nil)
		if err == nil {
			_, err = d.Steps(ctx, c.Use, map[string]string{"credential": vars["credential"]})
		}
		if err != nil {
			return fmt.Errorf("give the owner %s: %w", c.ID, err)
		}
		r.given[c.ID] = vars["credential"]
	}
	r.logged, err = r.entries(ctx)
	return err
}

// entries reads the log, where a reset clears it.
func (r *cutReset) entries(ctx context.Context) ([]string, error) {
	p := r.t.Profile()
	if p.Reset.Log.Old != profile.LogCleared || len(p.Log.Read) == 0 {
		return nil, nil
	}
	vars, err := r.t.Device().Steps(ctx, p.Log.Read, nil)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return entries(r.t, vars["log"]), nil
}

// holds says whether a store still shows what was planted last.
func (r *cutReset) holds(ctx context.Context, store string) (bool, error) {
	vars, err := r.t.Device().Steps(ctx, r.t.Profile().Stores.Items[store].Read, nil)
	if err != nil {
		return false, fmt.Errorf("read store %s: %w", store, err)
	}
	for _, v := range vars {
		if strings.Contains(v, r.markers[store]) {
			return true, nil
		}
	}
	return false, nil
}

// act resets the device.
func (r *cutReset) act(ctx context.Context) error {
	d := r.t.Device()
	var vars map[string]string
	var err error
	if p := d.Profile.Press(r.way.Press); p != nil {
		_, err = d.Press(ctx, *p, over(p.Hold))
	} else {
		vars, err = d.Steps(ctx, r.way.Steps, nil)
	}
	if r.told = err == nil; r.told {
		_, err = d.Steps(ctx, r.way.Done, vars)
	}
	r.over = err == nil
	return err
}

// setUp walks the declared way from the factory state into use.
func (r *cutReset) setUp(ctx context.Context) error {
	d := r.t.Device()
	for _, w := range r.t.Profile().Ways {
		if w.From != states.Factory.Name || w.To != states.Onboarded.Name {
			continue
		}
		if err := d.Walk(ctx, &w, func() { d.In(states.Onboarded.Name) }); err != nil {
			return fmt.Errorf("set the device up: %w", err)
		}
		return nil
	}
	return fmt.Errorf("the way from the factory state into use: %w", dut.ErrNotDeclared)
}

// state says which of the two states the device shows itself in; "" for neither, with what
// it says.
func (r *cutReset) state(ctx context.Context) (string, dut.Answer, error) {
	p := r.t.Profile()
	return whichState(ctx, r.t, max(r.way.Cut.Within, bootTime(p)), states.Onboarded.Name, states.Factory.Name)
}

// Ends that are none of the allowed ones.
const (
	endHalf   = "half reset"
	endNobody = "in no declared state"
)

// end says whether the device is reset wholly, or not at all.
func (r *cutReset) end(ctx context.Context) (powercut.End, error) {
	state, said, err := r.state(ctx)
	switch {
	case err != nil:
		return powercut.End{}, err
	case state == "":
		return powercut.End{Name: endNobody, Detail: "it shows itself neither in use nor as it leaves its maker: " + said.Detail}, nil
	case state == states.Onboarded.Name && r.over:
		return powercut.End{}, errors.New("the reset has told that it is done, and the device is in use as before")
	case state == states.Onboarded.Name:
		return r.kept(ctx)
	}
	return r.reset(ctx)
}

// kept looks whether all is there that was.
func (r *cutReset) kept(ctx context.Context) (powercut.End, error) {
	for _, o := range r.owners {
		a, err := r.t.Try(ctx, o.door, o.cred)
		switch {
		case err != nil:
			return powercut.End{}, err
		case a.Kind == verdict.Refused:
			return powercut.End{Name: endHalf, Detail: fmt.Sprintf("it is in use, and refuses its owner by %s: %s", o.door.Name(), a.Detail)}, nil
		case a.Kind != verdict.Accepted:
			return powercut.End{}, &dut.NoEntryError{Login: o.door.Name(), Answer: a}
		}
	}
	for _, name := range r.way.Cut.Stores {
		there, err := r.holds(ctx, name)
		if err != nil {
			return powercut.End{}, err
		}
		if !there && r.keeps("store "+name) {
			return powercut.End{Name: endHalf, Detail: "it is in use and knows its owner, and store " + name + " has lost what was in it"}, nil
		}
	}
	for _, c := range r.t.Profile().Reset.Credentials {
		_, err := r.t.Device().Steps(ctx, c.Use, map[string]string{"credential": r.given[c.ID]})
		switch {
		case ours(err) != nil, unanswered(err):
			return powercut.End{}, err
		case err != nil && r.keeps(c.ID):
			return powercut.End{Name: endHalf, Detail: fmt.Sprintf("it is in use and knows its owner, and takes %s no more: %v", c.ID, err)}, nil
		}
	}
	now, err := r.entries(ctx)
	switch {
	case err != nil:
		return powercut.End{}, err
	case len(now) < len(r.logged) && r.keeps(theLog): // a log that is full forgets no more than it takes
		return powercut.End{Name: endHalf, Detail: fmt.Sprintf("it is in use and knows its owner, and its log has %d entries of %d", len(now), len(r.logged))}, nil
	}
	detail := "its owner gets in, and finds what was there"
	if len(r.frail) > 0 {
		detail += ", but for what any loss of power takes: " + strings.Join(r.frail, ", ")
	}
	return powercut.End{Name: profile.EndKept, OK: true, Detail: detail}, nil
}

// reset looks whether anything is there that was: before the next owner sets the device
// up, and behind that.
func (r *cutReset) reset(ctx context.Context) (powercut.End, error) {
	d := r.t.Device()
	d.WasReset()
	for _, o := range r.owners {
		a, err := r.t.Try(ctx, o.door, o.cred)
		switch {
		case err != nil:
			return powercut.End{}, err
		case a.Kind.Opens():
			return powercut.End{Name: endHalf, Detail: fmt.Sprintf("it wants to be set up, and the owner from before gets in by %s: %s", o.door.Name(), a.Detail)}, nil
		}
	}
	if half, err := r.sessions(ctx, "it wants to be set up"); half.Name != "" || err != nil {
		return half, err
	}
	if r.n > 1 { // a set-up may write over it; and it was off, so that a start ends no session
		if half, err := r.residue(ctx, "it wants to be set up"); half.Name != "" || err != nil {
			return half, err
		}
	}
	if err := r.setUp(ctx); err != nil {
		return powercut.End{}, err
	}
	if half, err := r.sessions(ctx, "somebody has set it up anew"); half.Name != "" || err != nil {
		return half, err
	}
	for _, name := range r.way.Cut.Stores {
		there, err := r.holds(ctx, name)
		if err != nil {
			return powercut.End{}, err
		}
		if there {
			return powercut.End{Name: endHalf, Detail: "somebody has set it up anew, and store " + name + " has what the owner before had put there"}, nil
		}
	}
	now, err := r.entries(ctx)
	if err != nil {
		return powercut.End{}, err
	}
	for _, e := range now {
		if slices.Contains(r.logged, e) {
			return powercut.End{Name: endHalf, Detail: "somebody has set it up anew, and its log has an entry from before: " + e}, nil
		}
	}
	if r.n == 1 { // the sessions of a device that was not off have been tried
		half, err := r.residue(ctx, "somebody has set it up anew")
		if half.Name == "" && err == nil && len(r.images) > 0 {
			half, err = r.sessions(ctx, "it has been set up and started anew")
		}
		if half.Name != "" || err != nil {
			return half, err
		}
	}
	detail := "it wants to be set up; nothing of the owner from before opens it or is seen in it"
	if len(r.images) > 0 {
		detail += ", nor is it in the image of " + strings.Join(r.images, ", ")
	}
	return powercut.End{Name: profile.EndReset, OK: true, Detail: detail}, nil
}

// sessions looks whether a session, or what else the owner was given, from before the reset
// still opens something.
func (r *cutReset) sessions(ctx context.Context, when string) (powercut.End, error) {
	for _, o := range r.owners {
		if o.session == nil {
			continue
		}
		out, err := o.session.Proof(ctx)
		switch {
		case dut.IsFault(err), errors.Is(err, dut.ErrRevoked), ctx.Err() != nil:
			return powercut.End{}, err
		case err == nil && out.Kind.Opens():
			return powercut.End{Name: endHalf, Detail: fmt.Sprintf("%s, and a session by %s from before still opens it: %s", when, o.door.Name(), out.Detail)}, nil
		}
	}
	for _, c := range r.t.Profile().Reset.Credentials {
		_, err := r.t.Device().Steps(ctx, c.Use, map[string]string{"credential": r.given[c.ID]})
		switch {
		case err == nil:
			return powercut.End{Name: endHalf, Detail: fmt.Sprintf("%s, and %s from before still opens it", when, c.ID)}, nil
		case ours(err) != nil, unanswered(err): // what says nothing has not refused it
			return powercut.End{}, err
		}
	}
	return powercut.End{}, nil
}
