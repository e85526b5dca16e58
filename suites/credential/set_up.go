package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// request is one set-up that the device must not carry out.
type request struct {
	why      string
	steps    []profile.Step
	password string            // that it would give the owner
	vars     map[string]string // that stand in for the unit's own
	// stranger says that it does not have what stands on the unit's label.
	stranger bool
}

// takesOnlyGood claims that the set-up takes no weak password, and no label but the
// unit's own where it asks for one. Both end with one set-up: the same request, with
// the owner's own password and the unit's label, is taken, and opens.
func takesOnlyGood(ctx context.Context, t *check.T, door *dut.Door, alive check.Attempt) {
	s := t.Profile().Setup
	if len(s.Choose) == 0 {
		t.Claim("the set-up takes no weak password", func(c *check.Claim) {
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say how a password is chosen in the set-up (setup.choose, with ${new})")
		})
	}
	asks := profile.Refers(s.Choose, profile.LabelPassword)
	claimLabel(t, s, asks)
	if len(s.Choose) == 0 {
		return
	}
	own := owner(t, door)
	text := "the set-up takes no weak password"
	var probes []request
	for _, w := range weakPasswords(t, own) {
		probes = append(probes, request{why: w.why, steps: s.Choose, password: w.password})
	}
	if asks {
		text += ", and no label but the unit's own"
		probes = append(probes, otherLabels(t, s, own.Password)...)
	}
	r := &setUp{t: t, door: door, alive: alive, left: len(probes)}
	check.Refute(ctx, t, text, check.Negative[request]{
		Control: func(ctx context.Context) (dut.Answer, error) { return r.control(ctx, s.Choose, own) },
		Anti:    door.With(stranger(t)),
		Probes:  probes,
		Name:    func(q request) string { return q.why },
		Try:     func(ctx context.Context, q request) (dut.Answer, error) { return r.try(ctx, q, own.User) },
		Refusal: []verdict.Kind{verdict.Refused},
		Denies:  factoryRefusals(t, door),
	})
}

// claimLabel says what the profile leaves open about the label.
func claimLabel(t *check.T, s profile.Setup, asks bool) {
	unknown := func(reason verdict.Reason, why string) {
		t.Claim("the set-up takes no label but the unit's own", func(c *check.Claim) { c.Unknown(reason, "%s", why) })
	}
	switch {
	case s.Label.Declared():
		t.Note("the set-up is declared to need no label: %s", s.Label.None.None)
		if slices.ContainsFunc(t.Profile().Ways, func(w profile.Way) bool {
			return w.From == states.Factory.Name && w.To == states.Onboarded.Name && profile.Refers(w.Steps, profile.LabelPassword)
		}) {
			unknown(verdict.ReasonPrecondition, "the profile says that the set-up needs no label (setup.label), and its way to the state "+states.Onboarded.Name+" offers it")
		}
	case !asks:
		unknown(verdict.ReasonProfileMissing, "the profile does not say how the set-up asks for the label's password (setup.choose, with ${unit.label-password}), nor why it needs none (setup.label: {none: …})")
	case !s.Label.Given: // what can be tried is tried, and fails where it is taken
		unknown(verdict.ReasonProfileMissing, "the profile does not say which labels look right and are no unit's (setup.label: {wrong: […]}; [] where every text of the form could be one)")
	}
}

// otherLabels gives the set-ups of who has not read the unit's label: the very
// request that its owner makes, but for the label. The likeliest come first, before
// a lock that nobody declared could begin.
func otherLabels(t *check.T, s profile.Setup, password string) []request {
	u := t.Device().Unit()
	if u.Label == "" {
		return nil // then the owner's own request cannot be made either, and says so
	}
	var out []request
	with := func(why, label string) {
		out = append(out, request{why: why, steps: s.Choose, password: password, stranger: true, vars: map[string]string{profile.LabelPassword: label}})
	}
	with("another label of the same shape", sameShape(u.Label, t.Secret("label", len(u.Label))))
	for _, o := range u.Others {
		if o.Label != "" && o.Label != u.Label { // that two are the same is for cred-unique
			with("the label of unit "+o.Serial, o.Label)
			break
		}
	}
	for _, w := range s.Label.Wrong {
		if w == u.Label {
			t.Inconclusive(verdict.ReasonPrecondition, "the label that the rig gives for its unit is one that no unit has, by the profile (setup.label.wrong)")
		}
		with(fmt.Sprintf("the label %q, which no unit has", w), w)
	}
	if !opensWithLabel(s.Choose) {
		with("an empty label", "")
	}
	if steps, ok := profile.Without(s.Choose, profile.LabelPassword); ok {
		out = append(out, request{why: "no label at all", steps: steps, password: password, stranger: true})
	}
	return out
}

// opensWithLabel says whether steps log in with the label as the password: an empty
// one would have them take the owner's.
func opensWithLabel(ss []profile.Step) bool {
	return slices.ContainsFunc(ss, func(s profile.Step) bool {
		return opensWithLabel(s.Steps) || strings.Contains(s.Password, "${"+profile.LabelPassword+"}")
	})
}

// sameShape gives another label of the same shape: as long, with a digit for each
// digit and a letter for each letter, another one at each place, and of those that
// the label has itself where it can be: a device may refuse what no label has without
// looking further. noise is as long as the label, and chooses.
func sameShape(label, noise string) string {
	out := []byte(label)
	for i, c := range out {
		for _, class := range []string{"0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
			if strings.IndexByte(class, c) < 0 {
				continue
			}
			of := only(class, func(b byte) bool { return b != c && strings.IndexByte(label, b) >= 0 })
			if of == "" && strings.IndexByte(class[:6], c) >= 0 { // it may be a hex number
				class = class[:6]
			}
			if of == "" {
				of = only(class, func(b byte) bool { return b != c })
			}
			out[i] = of[int(noise[i])%len(of)]
		}
	}
	if string(out) == label { // of nothing but other characters
		return noise
	}
	return string(out)
}

// only gives the bytes of a text that keep says.
func only(text string, keep func(b byte) bool) string {
	return string(slices.DeleteFunc([]byte(text), func(b byte) bool { return !keep(b) }))
}

// setUp carries set-ups out, and looks what became of them.
type setUp struct {
	t     *check.T
	door  *dut.Door
	alive check.Attempt

	left   int        // requests that are not refused yet
	wrong  int        // labels that were wrong since the last lock was waited out
	silent int        // requests in a row that were not answered
	last   dut.Answer // to the last of them
}

// control shows that the device still wants to be set up, and once all other
// requests are refused, that it takes its owner's.
func (r *setUp) control(ctx context.Context, choose []profile.Step, own login.Credential) (dut.Answer, error) {
	if r.silent == mostSilent { // a path that broke is not walked to its end
		return r.last, nil
	}
	still, err := r.alive(ctx)
	if err != nil || r.left > 0 || still.Kind != verdict.Accepted {
		return still, err
	}
	if err := r.calm(ctx, 0); err != nil {
		return dut.Answer{}, err
	}
	// The owner's account may be locked by what was tried on it before.
	if err := r.t.Spare(ctx, check.PaceOf(r.door.Decl()), own.User, 1); err != nil {
		return dut.Answer{}, err
	}
	var no *steps.StepError
	switch _, err := r.t.Device().Steps(ctx, choose, map[string]string{"new": own.Password}); {
	case errors.As(err, &no) && no.Unanswered:
		return unasked(no), nil
	case errors.As(err, &no):
		return dut.Answer{Kind: verdict.Refused, Detail: "the set-up does not take what its owner asks either: " + no.Error()}, nil
	case err != nil:
		return dut.Answer{}, err
	}
	return r.t.Try(ctx, r.door, own)
}

// mostSilent is how many requests in a row go unanswered before the set-up counts as
// one that does not answer: as often as Refute sends a probe.
const mostSilent = 3

// calm waits a lock out that so many more wrong labels could begin, where the login
// of the set-up is declared to lock: a request that is refused by a lock shows
// nothing.
func (r *setUp) calm(ctx context.Context, more int) error {
	l := r.door.Decl()
	if l == nil || l.Lockout.After == 0 || r.wrong == 0 || r.wrong+more < l.Lockout.After {
		return nil
	}
	r.wrong = 0
	return r.t.Device().Wait(ctx, max(l.Lockout.Window, l.Lockout.Lasts)+lockMargin)
}

// try asks for a set-up that must be refused.
func (r *setUp) try(ctx context.Context, q request, user string) (dut.Answer, error) {
	start := time.Now()
	if q.stranger {
		if err := r.calm(ctx, 1); err != nil {
			return dut.Answer{}, err
		}
		start = time.Now()
		r.wrong++
	}
	vars := map[string]string{"new": q.password}
	maps.Copy(vars, q.vars)
	_, err := r.t.Device().Steps(ctx, q.steps, vars)
	var no *steps.StepError
	if err != nil && !errors.As(err, &no) {
		return dut.Answer{}, err
	}
	a, err := r.became(ctx, q, no, login.Credential{User: user, Password: q.password})
	if err != nil {
		return dut.Answer{}, err
	}
	a.Took = time.Since(start)
	switch {
	case a.Kind == verdict.Refused:
		r.left--
		r.silent = 0
	case a.Kind == verdict.Silent:
		r.silent, r.last = r.silent+1, a
	case a.Kind.Opens() && q.vars[profile.LabelPassword] != "":
		r.t.Disprove(check.LabelTaken, "a set-up takes any label: it took "+q.why)
	}
	return a, nil
}

// became looks what became of a set-up: what the device said of it, nil where it said
// yes, decides nothing by itself. It was taken if it gave the owner a password that
// opens, or if the device said yes and is set up now.
func (r *setUp) became(ctx context.Context, q request, no *steps.StepError, gives login.Credential) (dut.Answer, error) {
	still, err := r.alive(ctx)
	if err == nil && still.Kind != verdict.Accepted {
		// It may restart with what it took.
		if err = r.t.Device().Reachable(ctx); err == nil {
			still, err = r.alive(ctx)
		}
	}
	if err != nil {
		return dut.Answer{}, err
	}
	if still.Kind == verdict.Accepted {
		return notTaken(no), nil
	}
	in, err := r.t.Try(ctx, r.door, gives)
	if err != nil {
		return dut.Answer{}, err
	}
	if in.Kind.Opens() {
		return dut.Answer{Kind: verdict.Accepted, Detail: "the set-up took " + q.why + ", and the password that it was given opens: " + in.Detail}, nil
	}
	if s := r.t.Profile().States.Items[states.Onboarded.Name]; no == nil && s != nil && len(s.Holds) > 0 {
		home, err := Holds(r.t, states.Onboarded.Name)(ctx)
		if err != nil || home.Kind == verdict.Accepted {
			return dut.Answer{Kind: verdict.Accepted, Detail: "the set-up took " + q.why + ", and the device is set up"}, err
		}
	}
	return dut.Answer{Kind: verdict.Garbled, Detail: "the factory state is gone, and that the set-up took " + q.why + " is not shown: " + still.Detail}, nil
}

// notTaken is the answer of a device that still wants to be set up.
func notTaken(no *steps.StepError) dut.Answer {
	switch {
	case no == nil:
		return dut.Answer{Kind: verdict.Refused, Detail: "the set-up said yes and did nothing"}
	case no.Unanswered:
		return unasked(no)
	case no.NotNow():
		return dut.Answer{Kind: verdict.Throttled, Detail: "the set-up said not now: " + no.Got}
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "the set-up said no: " + no.Got}
}

// unasked is the answer of a set-up whose request was not answered.
func unasked(e *steps.StepError) dut.Answer {
	return dut.Answer{Kind: verdict.Silent, Detail: "the set-up was not answered: " + e.Error()}
}
