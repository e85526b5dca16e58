package reset

import (
	"context"
	"slices"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/credential"
)

// Press: each declared way to hold a button does what it is said to do, held a tenth
// longer than it takes; held a fifth shorter, or longer than it may be, it does nothing.
var Press = check.Check{
	ID:    "rst-press",
	Title: "Buttons do what is declared, and only when held as declared",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.CFG3, nist8259a.DP2, en303645.V3("5.11-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  check.Planner(local).With(needsPresses, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		done := t.Intent(credential.IntentSetup, "buttons are pressed in "+t.ID(), map[string]string{"way": ""})
		var lines []string
		for _, p := range t.Profile().Presses.Items {
			if !slices.Contains(lines, p.Line) {
				lines = append(lines, p.Line)
			}
		}
		for _, line := range lines {
			pressLine(ctx, t, all, line)
		}
		done()
	},
}

// needsPresses: it is said how buttons are held, and the rig can hold them and see what
// they do.
func needsPresses(in check.Input, c *check.Case) *verdict.Judgement {
	p := in.Profile.Presses
	switch {
	case p.Declared():
		return check.DeclaredNone(p.None.None)
	case len(p.Items) == 0:
		return check.NotDeclared("the profile does not say what the device's buttons do (presses)")
	}
	for _, press := range p.Items {
		if !slices.Contains(in.Lines, press.Line) {
			return check.RigLacks("the rig has no line %s", press.Line)
		}
		c.Lean(dut.PartLine(press.Line))
		if press.PowerOn() {
			if !slices.Contains(in.Allow, check.Supply) {
				return check.RigLacks("press %s begins before the supply comes, and the rig file does not allow %s", press.ID, check.Supply)
			}
			if j := check.NeedsPower(in, c); j != nil {
				return j
			}
		}
		for _, s := range press.Sign {
			switch {
			case s.Line != "" && !slices.Contains(in.Lines, s.Line):
				return check.RigLacks("the rig has no line %s, on which press %s shows itself", s.Line, press.ID)
			case s.Console != "" && !slices.Contains(in.Consoles, s.Console):
				return check.RigLacks("the rig has no console %s, on which press %s shows itself", s.Console, press.ID)
			case s.Console != "":
				c.Lean(dut.PartConsole(s.Console))
			}
		}
	}
	return nil
}

func pressLine(ctx context.Context, t *check.T, all *tours, line string) {
	f := fingerOn(t, line)
	f.works = slices.ContainsFunc(all.list, func(tr *tour) bool {
		p := t.Profile().Press(tr.way.Press)
		return p != nil && p.Line == line && tr.happened()
	})
	for _, powerOn := range []bool{false, true} {
		var control *profile.Press // a press that costs no reset
		for i, p := range f.all {
			if p.PowerOn() == powerOn && p.Effect != profile.EffectReset && control == nil {
				control = &f.all[i]
			}
		}
		first := map[string]dut.Answer{}
		probes := wrongPresses(f.all, powerOn)
		if control != nil && len(probes) > 0 {
			check.Refute(ctx, t, "held otherwise than declared, "+line+" does nothing"+when(powerOn), check.Negative[wrongPress]{
				Control: func(ctx context.Context) (dut.Answer, error) {
					a, err := f.does(ctx, *control)
					if first[control.ID].Kind == "" {
						first[control.ID] = a
					}
					return a, err
				},
				Anti: f.untouched, Probes: probes, Try: f.idle, Name: func(w wrongPress) string { return w.name },
				Refusal: []verdict.Kind{verdict.Refused}, Opened: verdict.ReasonExpectation, Same: sameUnit(t, powerOn),
			})
		} else if len(probes) > 0 {
			t.Claim("held otherwise than declared, "+line+" does nothing"+when(powerOn), func(c *check.Claim) {
				c.Unknown(verdict.ReasonCoverageGap, "no press is declared that works without a reset: nothing shows, before and behind a press that does nothing, that the line reaches the button")
			})
		}
		for _, p := range f.all {
			if p.PowerOn() == powerOn {
				f.claimDoes(ctx, all, p, first[p.ID])
			}
		}
	}
}

func when(powerOn bool) string {
	if powerOn {
		return " when the supply comes"
	}
	return ""
}

// sameUnit says who the device is: with its boots, where presses are none.
func sameUnit(t *check.T, boots bool) func(ctx context.Context) (string, error) {
	if !boots {
		return nil
	}
	return t.Device().ReadIdentity
}

// claimDoes claims that a press has its effect. What a reset showed is looked at where
// that is the effect.
func (f *finger) claimDoes(ctx context.Context, all *tours, p profile.Press, a dut.Answer) {
	t := f.t
	text := "press " + p.ID + ", held for " + over(p.Hold).Round(time.Millisecond).String() + ", has its effect: " + p.Effect
	if p.Effect == profile.EffectReset {
		i := slices.IndexFunc(all.list, func(tr *tour) bool { return tr.way.Press == p.ID })
		if i < 0 {
			t.Claim(text, func(c *check.Claim) {
				c.Unknown(verdict.ReasonProfileMissing, "no way of reset.ways is made by press %s", p.ID)
			})
			return
		}
		tr := all.list[i]
		if !tr.happened() {
			tr.stirred(ctx, t)
			if tr.stimulus != "" {
				f.works = true
			}
		}
		tr.seeAgain(ctx, t)
		a = ofSigns(p, dut.Held{}, tr.signs[min(len(tr.signs), len(tr.way.Sign)):])
		a.Detail = "in the reset by way " + tr.way.ID + ": " + a.Detail
		if len(tr.signs) == 0 {
			a = dut.Answer{Kind: verdict.Unproven, Detail: tr.over}
		}
	} else if a.Kind == "" {
		var err error
		a, err = f.does(ctx, p)
		t.OK(err)
	}
	ref := t.Keep("press-"+p.ID+".txt", "what was seen when the button was held", []byte(a.Detail+"\n"))
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		c.Expect("each sign of it is seen", a.Detail)
		switch {
		case a.Kind == verdict.Accepted:
		case a.Kind == verdict.Unproven:
			c.Unknown(verdict.ReasonPrecondition, "%s", a.Detail)
		case a.Kind == verdict.Garbled:
			c.Fail(verdict.ReasonExpectation, "%s", a.Detail)
		case f.works:
			c.Fail(verdict.ReasonAbsent, "the line reaches the button, and %s", a.Detail)
		default:
			c.Unknown(verdict.ReasonAmbiguous, "nothing shows that the line reaches the button: %s", a.Detail)
		}
	})
}
