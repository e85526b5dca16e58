package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	hc "rigor/harness/console"
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
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 5 * time.Minute},
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
		keys, held := allowed([]sweep{failKeys(s.con.Decl().Magic)}, s.con.Boot().Never)
		check.Refute(ctx, t, "a boot that fails reaches no prompt, with keys sent all along", check.Negative[sweep]{
			Control: s.owner,
			Anti:    s.plainBoot,
			Probes:  keys,
			Try: func(ctx context.Context, w sweep) (a dut.Answer, err error) {
				restored = false
				a, err = s.failedBoot(ctx, w)
				restored = err == nil && a.Kind == verdict.Refused
				return a, err
			},
			Name:    func(w sweep) string { return w.name },
			Refusal: []verdict.Kind{verdict.Refused},
			Same:    identity(t),
		})
		s.claimHeld(held)
	},
}

// failKeys are the keys of a failed boot, all in one, since each costs the device
// a failure: those that loaders stop at, and the declared words.
func failKeys(magic []string) sweep {
	var keys []string
	for _, k := range hotKeys {
		keys = append(keys, k.bytes)
	}
	name := "a failed boot with CR, space, Ctrl-C, ESC and the keys " + strings.Join(loaderKeys, " ")
	if len(magic) > 0 {
		name += " and the declared words"
	}
	return together(name, slices.Concat(keys, loaderKeys, wordKeys(magic)), 0)
}

// failedBoot makes a boot fail under keys, watches it for as long as is declared,
// and brings the device back. That the keys arrive in a boot that never comes to a
// login can only be shown before and after.
func (s *seat) failedBoot(ctx context.Context, w sweep) (dut.Answer, error) {
	start := time.Now()
	from, err := s.t.Device().FailBoot(ctx, s.con)
	if err != nil {
		return dut.Answer{}, err
	}
	spray := hc.Spray{Every: w.every, Looks: looks(), Until: s.until()}
	for _, k := range w.keys {
		spray.Keys = append(spray.Keys, []byte(k))
	}
	a, sent, at, err := s.failing(ctx, spray, from)
	if err != nil || a.Kind != verdict.Refused {
		return a, err
	}
	if a, err = s.watched(ctx, spray, sent, from, at); err != nil || a.Kind != verdict.Refused {
		return a, err
	}
	if err := s.t.Device().MendBoot(ctx, s.con); err != nil {
		return dut.Answer{}, err
	}
	a, err = s.said(from, verdict.Refused, "the boot failed as declared, %s, and it boots again", a.Detail)
	a.Took = time.Since(start)
	return a, err
}

// failing sprays until the sign of the failure comes: Refused then, Accepted for a
// prompt, Garbled where neither came, or the boot did not fail.
func (s *seat) failing(ctx context.Context, spray hc.Spray, from hc.Cursor) (a dut.Answer, sent int, at hc.Cursor, _ error) {
	begin := from
	if banner, ok := dut.Pattern("the banner of a cold boot", s.con.Boot().Banner); ok {
		// What the device said last before its supply was cut may come behind the
		// cursor: a login prompt of then is none of this boot.
		start := spray
		start.Until, start.For = append(bootPrompts(s.con.Decl()), banner), s.con.Boot().Within
		got, err := start.Run(ctx, s.con, from)
		if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
			return a, got.Sent, from, err
		}
		begin, sent = got.Match.To, got.Sent
	}
	sign, _ := dut.Pattern("the sign of a failed boot", s.con.Boot().Fail.Sign)
	spray.Until, spray.For = append(slices.Clone(spray.Until), sign), s.con.Boot().Within
	got, err := spray.Run(ctx, s.con, begin)
	sent += got.Sent
	if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
		return a, sent, from, err
	}
	if got.Match.Index < len(spray.Until)-1 {
		a, err := s.said(from, verdict.Garbled, "the boot did not fail as declared: %s came", got.Match.Pattern.Name())
		return a, sent, from, err
	}
	return dut.Answer{Kind: verdict.Refused}, sent, got.Match.To, nil
}

// watched goes on with the keys behind the sign of the failure. A loader may try
// again and give up later, so that no further sign ends it: only a prompt does, the
// declared time, and a device that comes up.
func (s *seat) watched(ctx context.Context, spray hc.Spray, sent int, from, at hc.Cursor) (dut.Answer, error) {
	boot := s.con.Boot()
	watch := cmp.Or(boot.Fail.Watch, boot.Within)
	spray.For = watch
	got, err := spray.Run(ctx, s.con, at)
	s.t.Note("behind the sign of the failure %d keys were sent in %v, held back for %v", got.Sent, watch, got.Held.Round(time.Millisecond))
	switch {
	case late(ctx, err):
		a, stands, err := s.stopped(ctx, from)
		if stands || err != nil {
			return a, err
		}
		// A prompt of a form that nobody knows is one, too.
		k, why, err := standing(ctx, s.con)
		if err != nil {
			return dut.Answer{}, err
		}
		if k != verdict.Refused {
			return s.said(from, k, "the boot failed and stands: %s", why)
		}
		if sent+got.Sent < len(spray.Keys) {
			return dut.Answer{Kind: verdict.Unproven, Detail: unsent(sent+got.Sent, len(spray.Keys))}, nil
		}
		return dut.Answer{Kind: verdict.Refused, Detail: fmt.Sprintf("no prompt came in %v behind its sign, and %s", watch, why)}, nil
	case err != nil:
		a, _, err := s.reached(ctx, from, err)
		return a, err
	}
	if sent+got.Sent < len(spray.Keys) {
		return dut.Answer{Kind: verdict.Unproven, Detail: unsent(sent+got.Sent, len(spray.Keys))}, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "no prompt came until it came up by itself"}, nil
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
