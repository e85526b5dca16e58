package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	"rigor/harness/verdict"
)

// BootInterrupt: no key stops a boot, at no moment of it.
var BootInterrupt = check.Check{
	ID:    "con-boot-interrupt",
	Title: "No key interrupts a boot",
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
		check.Refute(ctx, t, "no key that is sent through a boot reaches a prompt", check.Negative[sweep]{
			Control: s.owner,
			Anti:    s.plainBoot,
			Probes:  sweeps(s.con.Decl().Magic),
			Try:     s.sweep,
			Name:    func(w sweep) string { return w.name },
			Refusal: []verdict.Kind{verdict.Refused},
			Same:    identity(t),
		})
	},
}

// recovered leaves the console at its login, with the device running.
func recovered(ctx context.Context, t *check.T) {
	t.OK(powered(ctx, t))
	leave(ctx, t)
}

// sweep is one boot with keys from before its start to its declared end.
type sweep struct {
	name  string
	keys  []string
	every time.Duration // from one key to the next
	early time.Duration // how long before the power is switched on
}

// sweeps gives the boots: one for each of the keys that loaders stop at, each so
// close that a window of a few times ten milliseconds gets it, and the rarer
// ones together. They begin at different moments, so that no two meet the
// device's own rhythm alike.
func sweeps(magic []string) []sweep {
	const early = 60 * time.Millisecond
	out := []sweep{
		{"CR", []string{"\r"}, 10 * time.Millisecond, early},
		{"space", []string{" "}, 10 * time.Millisecond, early + 3*time.Millisecond},
		{"Ctrl-C", []string{ctrlC}, 10 * time.Millisecond, early + 6*time.Millisecond},
		{"ESC", []string{"\x1b"}, 10 * time.Millisecond, early + 9*time.Millisecond},
		{"letters that stop loaders", strings.Split("q s m t 4 c e f", " "), 5 * time.Millisecond, early + 2*time.Millisecond},
		{"Ctrl-D, Ctrl-Z, Ctrl-B, Ctrl-P, DEL, F2, F12, |", []string{"\x04", "\x1a", "\x02", "\x10", "\x7f", "\x1bOQ", "\x1b[24~", "|"}, 7 * time.Millisecond, early + 5*time.Millisecond},
	}
	var words []string
	for _, w := range magic {
		words = append(words, w+"\r")
	}
	if len(words) > 0 {
		out = append(out, sweep{"the declared words", words, 15 * time.Millisecond, early})
	}
	return out
}

// until gives what ends a sweep: a prompt that no key may reach, the declared
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

// plainBoot is the anti-control: the same look at a boot without a key.
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
		a, err := s.said(from, verdict.Garbled, "the boot did not reach its declared end: %v", err)
		return a, true, err
	}
	return dut.Answer{}, false, err
}

// sweep makes one boot with keys. It counts as refused when the boot reaches its
// declared end and, in the same boot, the owner gets in over the same wires.
func (s *seat) sweep(ctx context.Context, w sweep) (dut.Answer, error) {
	start := time.Now()
	d := s.t.Device()
	if err := d.PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	keys := make([][]byte, len(w.keys))
	for i, k := range w.keys {
		keys[i] = []byte(k)
	}
	from := s.con.Mark()
	for i, begin := 0, time.Now(); time.Since(begin) < w.early; i++ {
		if _, err := s.con.Send(ctx, keys[i%len(keys)]); err != nil {
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
	boot, cancel := context.WithTimeout(ctx, s.con.Boot().Within)
	got, err := hc.Spray{Keys: keys, Every: w.every, Until: s.until()}.Run(boot, s.con, from)
	cancel()
	if a, decided, err := s.reached(ctx, from, err); decided || err != nil {
		return a, err
	}
	s.t.Note("%s: %d keys from %v before to %v after the power; held back for %v", w.name, got.Sent, w.early, got.Last.Sub(on).Round(time.Millisecond), got.Held.Round(time.Millisecond))
	a, err := s.endOfSweep(ctx, from)
	a.Took = time.Since(start)
	return a, err
}

// endOfSweep shows that the boot under the keys was a whole one.
func (s *seat) endOfSweep(ctx context.Context, from hc.Cursor) (dut.Answer, error) {
	if _, err := s.t.Device().Booted(ctx, s.con, from); err != nil {
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
	if alive.Kind != verdict.Accepted {
		alive.Kind, alive.Detail = closed(alive.Kind), fmt.Sprintf("in the same boot the declared way in did not open: %s (%s)", alive.Kind, alive.Detail)
		return alive, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "the boot reached its declared end; in the same boot " + alive.Detail, Raw: login.Cut(raw)}, nil
}
