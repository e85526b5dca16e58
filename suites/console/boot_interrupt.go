package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// BootInterrupt: no key stops a boot, at no moment of it.
var BootInterrupt = check.Check{
	ID:    "con-boot-interrupt",
	Title: "No key that is sent through a boot interrupts it",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.7-1"), en18031.Code("GEC-5"), en18031.Code("ACM-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Supply},
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 3 * time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSpeech, needsBoot, needsWay, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(recovered)
		keys, held := allowed(sweeps(s.con.Decl().Magic), s.con.Boot().Never)
		check.Refute(ctx, t, keysClaim, check.Negative[sweep]{
			Control: s.owner,
			Anti:    s.plainBoot,
			Probes:  keys,
			Try:     s.sweep,
			Name:    func(w sweep) string { return w.name },
			Refusal: []verdict.Kind{verdict.Refused},
			Same:    identity(t),
		})
		s.claimHeld(held)
	},
}

// keysClaim says which keys are meant; the notes say when each was sent.
const keysClaim = "no key that is sent through a boot reaches a prompt: none that prints, no control key (Ctrl-S with Ctrl-Q right behind it), not DEL, F2, F12, no declared word, not BREAK where the port can send it"

// recovered leaves the console at its login, with the device running.
func recovered(ctx context.Context, t *check.T) {
	t.OK(powered(ctx, t))
	leave(ctx, t)
}

// until gives what ends a sweep: a declared prompt that no key may reach, the declared
// end of the boot, or the login prompt, where a key would be a try.
func (s *seat) until() []expect.Pattern {
	ps := bootPrompts(s.con.Decl())
	if done, ok := dut.Pattern("the end of the boot", s.con.Decl().Boot.Done); ok {
		ps = append(ps, done)
	}
	if s.login.Valid() {
		ps = append(ps, s.login)
	}
	return ps
}

// plainBoot is the anti-control: the same look at a boot without a key. What only
// looks like a prompt is none where the boot goes on to its declared end.
func (s *seat) plainBoot(ctx context.Context) (dut.Answer, error) {
	d := s.t.Device()
	if err := d.PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	from := s.con.Mark()
	if err := d.PowerOn(ctx); err != nil {
		return dut.Answer{}, err
	}
	_, err := s.con.Await(ctx, from, s.con.Boot().Within, s.until()...)
	if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
		return a, err
	}
	if _, err := d.Booted(ctx, s.con, from); err != nil {
		return dut.Answer{}, err
	}
	return s.said(from, verdict.Refused, "without a key the boot reaches its declared end and shows no prompt")
}

// reached judges how a wait for the end of a boot ended; decided is false where
// it ended well.
func (s *seat) reached(ctx context.Context, from hc.Cursor, err error) (a dut.Answer, decided bool, _ error) {
	var prompt *hc.ForbiddenError
	switch {
	case errors.As(err, &prompt):
		if e, err := s.con.Excerpted(max(from, prompt.Match.From-512), prompt.Match.To, visible); err == nil {
			s.t.Excerpt(e)
		}
		a, err := s.said(from, verdict.Accepted, "%s: %q", prompt.Match.Pattern.Name(), prompt.Match.Text)
		return a, true, err
	case late(ctx, err):
		if a, stands, err := s.stopped(ctx, from); stands || err != nil {
			return a, true, err
		}
		a, err := s.said(from, verdict.Garbled, "the boot did not reach its declared end: %v", err)
		return a, true, err
	}
	return dut.Answer{}, false, err
}

// stopped says whether a boot that shows nothing more stands at what looks like a
// prompt, and comes again.
func (s *seat) stopped(ctx context.Context, from hc.Cursor) (a dut.Answer, stands bool, _ error) {
	for _, p := range looks() {
		if !s.at(p) {
			continue
		}
		m, _, err := hc.ComesAgain(ctx, s.con, p, nil)
		if late(ctx, err) {
			continue
		}
		if err != nil {
			return dut.Answer{}, false, err
		}
		a, err := s.said(from, verdict.Accepted, "the boot stands, and %s comes at Enter: %q", p.Name(), m.Text)
		return a, true, err
	}
	return dut.Answer{}, false, nil
}

// sweep makes one boot with keys. It counts as refused when the boot reaches its
// declared end and, in the same boot, the owner gets in over the same wires.
func (s *seat) sweep(ctx context.Context, w sweep) (dut.Answer, error) {
	start := time.Now()
	d := s.t.Device()
	if err := d.PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	spray := hc.Spray{Every: w.every, Until: s.until(), Looks: looks(), For: s.con.Boot().Within}
	for _, k := range w.keys {
		spray.Keys = append(spray.Keys, []byte(k))
	}
	from := s.con.Mark()
	begin := time.Now()
	sent := 0
	for ; time.Since(begin) < w.early; sent++ {
		if _, err := s.con.Send(ctx, spray.Keys[sent%len(spray.Keys)], hc.Blind()); err != nil {
			return dut.Answer{}, err
		}
		if err := d.Wait(ctx, w.every); err != nil {
			return dut.Answer{}, err
		}
	}
	if err := d.PowerOn(ctx); err != nil {
		return dut.Answer{}, err
	}
	on := time.Now()
	got, brk, err := s.spray(ctx, spray, from, w.brk, on)
	if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
		return a, err
	}
	s.t.Note("%s: %d keys from %v before to %v after the power, each at least %d times behind it%s; held back for %v",
		w.name, sent+got.Sent, w.early, got.Last.Sub(on).Round(time.Millisecond), got.Sent/len(spray.Keys), brk, got.Held.Round(time.Millisecond))
	a, err := s.endOfSweep(ctx, from)
	if err == nil && a.Kind == verdict.Refused && got.Sent < len(spray.Keys) {
		a.Kind, a.Detail = verdict.Unproven, unsent(got.Sent, len(spray.Keys))
	}
	a.Took = time.Since(start)
	return a, err
}

// unsent says that a boot was over before each of its keys had gone out: it shows
// nothing of those that had not.
func unsent(sent, keys int) string {
	return fmt.Sprintf("%d of %d keys were sent behind the power until the boot was over", sent, keys)
}

// spray sends the keys of a sweep, with a BREAK at the first sign of the loader,
// or of anything where none is declared. It says what became of the BREAK.
func (s *seat) spray(ctx context.Context, spray hc.Spray, from hc.Cursor, withBreak bool, on time.Time) (hc.Sprayed, string, error) {
	if !withBreak {
		got, err := spray.Run(ctx, s.con, from)
		return got, "", err
	}
	first := spray
	first.Until = append(slices.Clone(spray.Until), loaderSign(s.con.Decl()))
	got, err := first.Run(ctx, s.con, from)
	if err != nil || got.Match.Index < len(spray.Until) {
		return got, ", and no BREAK", err
	}
	said, err := s.breakOnce(ctx, on)
	if err != nil {
		return got, said, err
	}
	rest, err := spray.Run(ctx, s.con, got.Match.To)
	rest.Sent += got.Sent
	rest.Held += got.Held
	return rest, ", " + said, err
}

// breakOnce sends a BREAK where the port can, and says so.
func (s *seat) breakOnce(ctx context.Context, on time.Time) (string, error) {
	at := time.Since(on).Round(time.Millisecond)
	err := s.con.Break(ctx, breakFor)
	if errors.Is(err, dut.ErrNotWired) {
		return "without BREAK, which the port cannot send", nil
	}
	return fmt.Sprintf("with BREAK %v after it", at), err
}

// loaderSign gives the first sign of the boot loader, or of anything.
func loaderSign(con *profile.Console) expect.Pattern {
	if p, ok := dut.Pattern("the boot loader's sign", con.Boot.Loader); ok {
		return p
	}
	return anything
}

var anything = expect.MustRegexp(`(?s).`).Named("anything at all")

// cameToLogin says whether the console asked for a login behind the end of a boot,
// with nothing before it that looks like a prompt of who is in.
func (s *seat) cameToLogin(end hc.Cursor) bool {
	raw, err := s.con.Since(end)
	if err != nil || !s.login.Valid() {
		return false
	}
	set := expect.NewSet(0, 0, s.login.Prompt(0).Wanted())
	asks, ok := set.Feed(raw)
	if !ok {
		return false
	}
	for _, p := range s.inside {
		before := expect.NewSet(0, 0, p.Prompt(0).Wanted())
		if _, ok := before.Feed(raw[:asks.From]); ok {
			return false
		}
		if _, ok := before.End(); ok {
			return false
		}
	}
	return true
}

// endOfSweep shows that the boot under the keys was a whole one.
func (s *seat) endOfSweep(ctx context.Context, from hc.Cursor) (dut.Answer, error) {
	end, err := s.t.Device().Booted(ctx, s.con, from)
	if err != nil {
		return dut.Answer{}, err
	}
	raw, err := s.con.Since(from)
	if err != nil {
		return dut.Answer{}, err
	}
	if shows(s.con.Boot().Prompt, raw) {
		return dut.Answer{Kind: verdict.Unproven, Detail: "the boot loader's declared prompt was seen, and was gone before it answered", Raw: login.Cut(raw)}, nil
	}
	alive, err := s.owner(ctx)
	if err != nil {
		return dut.Answer{}, err
	}
	if alive.Kind == verdict.Unproven && s.cameToLogin(end.To) {
		// What answers stands behind the login, where con-shell-noauth looks. It was
		// opened by a key of ours, in the same boot: the keys arrive. Where that
		// case saw nothing, it does not pass.
		s.t.Observe("console "+s.con.Name(), "a key that was sent as the boot ended opened the console at its login: "+alive.Detail, ShellNoAuth.ID+"["+s.con.Name()+"]")
		if err := s.t.Device().PowerCycle(ctx); err != nil {
			return dut.Answer{}, err
		}
		return dut.Answer{Kind: verdict.Refused, Detail: "the boot reached its declared end and the login; there a key that was on its way was taken: " + alive.Detail, Raw: login.Cut(raw)}, nil
	}
	if alive.Kind != verdict.Accepted {
		alive.Kind, alive.Detail = closed(alive.Kind), fmt.Sprintf("in the same boot the declared way in did not open: %s (%s)", alive.Kind, alive.Detail)
		return alive, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "the boot reached its declared end; in the same boot " + alive.Detail, Raw: login.Cut(raw)}, nil
}
