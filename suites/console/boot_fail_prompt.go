package console

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// needsFailedBoot: the profile says how a boot is made to fail.
var needsFailedBoot = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
	switch f := con.Boot.Fail; {
	case f.Declared():
		return check.DeclaredNone(f.None.None)
	case !f.Given():
		return check.NotDeclared("the profile does not say how a boot is made to fail and what is then seen (boot.fail)")
	}
	return nil
})

// BootFailPrompt: a boot that fails does not end at a prompt.
var BootFailPrompt = check.Check{
	ID:    "con-boot-fail-prompt",
	Title: "A failed boot gives no prompt",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.7-1"), en18031.Code("GEC-5")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure, check.Supply},
	Budget: check.Budget{Case: 10 * time.Minute, Cleanup: 5 * time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSpeech, needsBoot, needsFailedBoot, needsWay, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		restored := false
		done := t.Intent(dut.IntentBootFail, "a boot was made to fail for "+t.ID(), map[string]string{"console": s.con.Name()})
		t.Cleanup(func(ctx context.Context, t *check.T) {
			if !restored {
				con, err := t.Device().Console(t.Case().Channel)
				t.OK(err)
				t.OK(t.Device().MendBoot(ctx, con))
			}
			done()
			leave(ctx, t)
		})
		check.Refute(ctx, t, "a boot that fails reaches no prompt, with keys sent all along", check.Negative[[]string]{
			Control: s.owner,
			Anti:    s.plainBoot,
			Probes:  [][]string{{"\r", " ", ctrlC, "\x1b"}},
			Try: func(ctx context.Context, keys []string) (a dut.Answer, err error) {
				restored = false
				a, err = s.failedBoot(ctx, keys)
				restored = err == nil && a.Kind == verdict.Refused
				return a, err
			},
			Name:    func([]string) string { return "a failed boot with CR, space, Ctrl-C and ESC" },
			Refusal: []verdict.Kind{verdict.Refused},
			Same:    identity(t),
		})
	},
}

// lingerFor is how long keys go on after the sign of a failed boot, where
// nothing else ends it.
const lingerFor = time.Second

// failKeyEvery lets each of four keys come often enough for a window of 60 ms.
const failKeyEvery = 12 * time.Millisecond

// failedBoot makes a boot fail under keys, looks for a prompt, and brings the
// device back. That the keys arrive in a boot that never comes to a login can
// only be shown before and after.
func (s *seat) failedBoot(ctx context.Context, keys []string) (dut.Answer, error) {
	start := time.Now()
	from, err := s.t.Device().FailBoot(ctx, s.con)
	if err != nil {
		return dut.Answer{}, err
	}
	spray := hc.Spray{Every: failKeyEvery}
	for _, k := range keys {
		spray.Keys = append(spray.Keys, []byte(k))
	}
	sign, _ := dut.Pattern("the sign of a failed boot", s.con.Boot().Fail.Sign)
	a, at, err := s.under(ctx, spray, from, s.con.Boot().Within, sign)
	if err != nil || a.Kind != verdict.Refused {
		return a, err
	}
	a, _, err = s.under(ctx, spray, at, lingerFor, sign)
	if err != nil || a.Kind.Opens() {
		return a, err
	}
	if err := s.t.Device().MendBoot(ctx, s.con); err != nil {
		return dut.Answer{}, err
	}
	a, err = s.said(from, verdict.Refused, "the boot failed as declared, no prompt came, and it boots again")
	a.Took = time.Since(start)
	return a, err
}

// under sprays until a sign comes: Refused then, Accepted for a prompt, Garbled
// where neither came in time.
func (s *seat) under(ctx context.Context, spray hc.Spray, from hc.Cursor, within time.Duration, sign expect.Pattern) (dut.Answer, hc.Cursor, error) {
	spray.Until = append(bootPrompts(s.con.Decl()), sign)
	boot, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	got, err := spray.Run(boot, s.con, from)
	if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
		return a, from, err
	}
	return dut.Answer{Kind: verdict.Refused}, got.Match.To, nil
}

// Undo brings back a device whose boots a killed run left failing; data is that
// of the intent.
func Undo(ctx context.Context, d *dut.Device, data map[string]string, _ func(label string, length int) string) error {
	con, err := d.Console(data["console"])
	if err != nil {
		return err
	}
	return d.MendBoot(ctx, con)
}
