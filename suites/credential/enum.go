package credential

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Limits of what counts as telling known from unknown accounts by time: the
// medians lie this far apart, and nearly every answer of the one kind is slower
// than nearly every answer of the other (Cliff's delta, Cliff 1993).
//
// One that holds refusals back for a random time makes them overlap. Chance gives a
// delta with a standard deviation of sqrt((n+m+1)/(3nm)), since delta is 2U/nm-1 and U
// has the variance nm(n+m+1)/12 (Mann and Whitney 1947): 0.15 of 30 and 30, 0.13 of 40
// and 40. What is beyond 2.3 of them is looked at again by samples of their own: that
// these are beyond 3.8 of theirs in the same direction, chance brings about once in
// half a million cases. Drift of a busy rig is shared by both kinds, and lessens delta.
const (
	enumSamples = 30
	enumMore    = 40
	enumWaits   = 2 * time.Minute // at most, until wrong tries do not count any more
	enumGap     = 20 * time.Millisecond
	enumDelta   = 0.8  // of the first samples alone
	enumHint    = 0.35 // worth more samples, and of these too near to pass
	enumClear   = 0.5  // of the samples that were made more
)

// Enum: the answer to a wrong password does not tell whether the account
// exists.
var Enum = check.Check{
	ID:    "cred-enum",
	Title: "A refusal does not tell which accounts exist",
	Clauses: baseline.PerChannel{
		baseline.Network: {en303645.V3("5.6-2")},
		baseline.Local:   {en303645.V3("5.6-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	// Sixty refusals, or a hundred and forty, each held back for seconds on many devices.
	Budget: check.Budget{Case: 10 * time.Minute, Cleanup: restBudget},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, accountsDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own := owner(t, door)
		n, rng := enumSamples, t.Rand()
		s := &sampling{pace: check.PaceOf(door.Decl()), own: own, rng: rng,
			try:  func(c login.Credential) dut.Answer { return opens(ctx, t, door, c) },
			wait: func(d time.Duration) { t.OK(t.Device().Wait(ctx, d)) }}
		long := s.takes(n) > enumWaits
		if !s.pace.Known || long || untimed(door) {
			n = 2 // by the answer alone: time would need more tries than anybody declared
		}
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		t.Cleanup(func(ctx context.Context, t *check.T) { // no lock of ours is left to the next case
			if s.wrong > 0 && s.pace.After > 0 {
				t.OK(t.Device().Wait(ctx, max(s.pace.Window, s.pace.Lasts)+lockMargin))
			}
		})
		known, unknown, names, in := s.take(n)
		if in.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in after %d samples: %s", len(known), in.Detail)
		}
		if hints(known, unknown) && s.takes(n)+s.takes(enumMore) <= enumWaits {
			s.rest()
			k, u, others, in := s.take(enumMore)
			if in.Kind != verdict.Accepted {
				t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in after %d samples: %s", len(known)+len(k), in.Detail)
			}
			known, unknown, names = append(known, k...), append(unknown, u...), append(names, others...)
		}
		s.wrong = 0
		now, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		f := t.File("answers.jsonl", "answers to wrong passwords, of the owner's and of unknown accounts", "application/jsonl")
		ks, us := faces(names, known, unknown)
		for i := range known {
			line, err := json.Marshal(map[string]any{"known": ks[i], "known_us": known[i].Took.Microseconds(), "unknown": us[i], "unknown_us": unknown[i].Took.Microseconds()})
			t.OK(err)
			_, err = f.Write(append(line, '\n'))
			t.OK(err)
		}
		timed := n >= enumSamples
		claim := "known and unknown accounts are refused alike, in words and in time"
		if !timed {
			claim = "known and unknown accounts are refused in the same words"
		}
		t.Claim(claim, func(c *check.Claim) {
			c.Show(f.Ref())
			judgeSamples(c, names, known, unknown, was, now)
		})
		if !timed && !untimed(door) {
			t.Claim("known and unknown accounts are refused in the same time", func(c *check.Claim) {
				if long {
					c.Unknown(verdict.ReasonCoverageGap, "it takes %d wrong tries on one account, and %v of waiting until they do not lock: more than the %v that a case has for it", enumSamples, s.takes(enumSamples).Round(time.Second), enumWaits)
					return
				}
				c.Unknown(verdict.ReasonProfileMissing, "it takes %d wrong tries on one account, and nobody declared what they lock (lockout)", enumSamples)
			})
		}
		if lock := door.Decl().Lockout; lock.After > 0 && lock.Scope != "source" {
			compareLocked(ctx, t, door, own, rng, names, known, unknown, was)
		}
	},
}

// accountsDeclared is the need of the check: without names none can be told.
var accountsDeclared = check.OfLogin(func(l *profile.Login) *verdict.Judgement {
	if !l.Accounts() || l.Protocol == "redis" && l.Owner.User == "" {
		return check.DeclaredNone("its owner logs in by a password alone; there are no names of accounts to be told")
	}
	return nil
})

// judgeSamples compares answers of a device that was the same all the while. A restart
// forgets the wrong tries, and says things of its own amid an answer: what is different
// then tells no accounts apart. That a wrong password opened it stays.
func judgeSamples(c *check.Claim, names []string, known, unknown []dut.Answer, was, now string) {
	if was == now || slices.ContainsFunc(slices.Concat(known, unknown), func(a dut.Answer) bool { return a.Kind.Opens() }) {
		judgeEnum(c, names, known, unknown)
		return
	}
	c.Unknown(verdict.ReasonDUTChanged, "before the samples the DUT was %s, afterwards %s", was, now)
}

// judgeEnum compares kinds and texts first: time needs many samples and means
// less.
func judgeEnum(c *check.Claim, names []string, known, unknown []dut.Answer) {
	for i := range known {
		if known[i].Kind.Opens() || unknown[i].Kind.Opens() {
			c.Fail(verdict.ReasonAccess, "a wrong password opened it: %s", opened(known[i], unknown[i]))
			return
		}
	}
	ks, us := faces(names, known, unknown)
	ks, us = different(ks), different(us)
	c.Expect("the same answer for both", fmt.Sprintf("%d answers of each; %d texts to known accounts, %d to unknown ones", len(known), len(ks), len(us)))
	if reason, why := incomparable(names, known, unknown); why != "" {
		c.Unknown(reason, "%s", why)
		return
	}
	if len(ks) == 1 && len(us) == 1 && ks[0] != us[0] {
		k, u := apart(ks[0], us[0])
		c.Fail(verdict.ReasonExpectation, "a known account is answered with %s, an unknown one with %s", k, u)
		return
	}
	if len(known) >= enumSamples {
		judgeTimes(c, known, unknown)
	}
}

// incomparable says why nothing can be learnt from a difference between the answers; "" where
// it can: each is a refusal, and equal tries are answered alike, or both kinds of them with
// the same several texts.
func incomparable(names []string, known, unknown []dut.Answer) (reason verdict.Reason, why string) {
	for i := range known {
		for _, a := range []dut.Answer{known[i], unknown[i]} {
			if a.Kind == verdict.Unreachable || a.Kind == verdict.Silent || a.Kind == verdict.Incompatible {
				return verdict.ReasonIneffective, fmt.Sprintf("no refusal to compare: %s: %s", a.Kind, a.Detail)
			}
		}
	}
	ks, us := faces(names, known, unknown)
	ks, us = different(ks), different(us)
	if len(ks) == 1 && len(us) == 1 || slices.Equal(ks, us) {
		return "", ""
	}
	more := ks // a wire that garbles makes differences of its own
	if len(ks) == 1 {
		more = us
	}
	a, b := apart(more[0], more[len(more)-1])
	return verdict.ReasonAmbiguous, fmt.Sprintf("equal tries are not answered alike, so that a difference says nothing: %s and %s", a, b)
}

// judgeTimes compares the times of the first samples, and those of the samples that were
// made more because the first gave a hint.
func judgeTimes(c *check.Claim, known, unknown []dut.Answer) {
	d, say := slower(known[:enumSamples], unknown[:enumSamples])
	more, again := slower(known[enumSamples:], unknown[enumSamples:])
	switch {
	case math.Abs(d) > enumDelta:
		c.Fail(verdict.ReasonExpectation, "known accounts are refused after %s", say)
	case math.Abs(d) <= enumHint, len(known) > enumSamples && more*d <= 0: // as chance has it
	case math.Abs(more) > enumClear:
		c.Fail(verdict.ReasonExpectation, "known accounts are refused after %s, and again after %s", say, again)
	case math.Abs(more) > enumHint:
		c.Unknown(verdict.ReasonAmbiguous, "known accounts are refused after %s, and again after %s: more than chance gives as a rule, and too little to be sure", say, again)
	case len(known) == enumSamples && math.Abs(d) > enumClear:
		c.Unknown(verdict.ReasonAmbiguous, "known accounts are refused after %s: chance hardly gives that, and more samples would lock the account, or take longer than the case has", say)
	}
}

// hints says whether the times of samples are so far apart that more are worth their
// while. Where an answer opens, or is none, there is no time to be compared.
func hints(known, unknown []dut.Answer) bool {
	if len(known) < enumSamples || slices.ContainsFunc(slices.Concat(known, unknown), func(a dut.Answer) bool {
		return a.Kind.Opens() || a.Kind == verdict.Unreachable || a.Kind == verdict.Silent || a.Kind == verdict.Incompatible
	}) {
		return false
	}
	d, _ := slower(known, unknown)
	return math.Abs(d) > enumHint && math.Abs(d) <= enumDelta
}

// slower gives by how much known accounts are refused later than unknown ones, as Cliff's
// delta, and in words; 0 where the medians lie no gap apart, or there are none.
func slower(known, unknown []dut.Answer) (delta float64, say string) {
	if len(known) == 0 {
		return 0, ""
	}
	mk, mu := median(known), median(unknown)
	if gap := mk - mu; gap <= enumGap && gap >= -enumGap {
		return 0, ""
	}
	d := cliff(known, unknown)
	return d, fmt.Sprintf("%v, unknown ones after %v (medians of %d, effect size %.2f)", mk.Round(time.Millisecond), mu.Round(time.Millisecond), len(known), d)
}

// untimed says whether the time of an answer says nothing: a console's is the wire's, a
// person's their own.
func untimed(door *dut.Door) bool {
	return door.Protocol() == "console" || door.Protocol() == "ask"
}

// opened gives what the answer that opens says.
func opened(as ...dut.Answer) string {
	for _, a := range as {
		if a.Kind.Opens() {
			return a.Detail
		}
	}
	return ""
}

// sampling is what the samples are taken with.
type sampling struct {
	pace check.Pace
	own  login.Credential
	rng  *rand.Rand
	try  func(login.Credential) dut.Answer
	wait func(time.Duration)

	wrong int // tries that may count against the owner now
}

// turns is how many wrong tries, of a known and of an unknown name, may lie between
// two times at which none counts any more: so many that none of them locks. Where
// the source is locked, both count. 0: not even two do.
func (s *sampling) turns() int {
	switch p := s.pace; {
	case p.After == 0:
		return math.MaxInt
	case p.Source:
		return (p.After - 1) / 2
	default:
		return max(1, p.After-1)
	}
}

// rests says whether tries have to be waited out, as no login of the owner's clears
// them.
func (s *sampling) rests() bool {
	p := s.pace
	return p.After > 0 && (p.Source || !p.SuccessClears || p.After == 1)
}

// takes gives how long n samples are waited for.
func (s *sampling) takes(n int) time.Duration {
	if !s.rests() {
		return 0
	}
	each := max(s.pace.Window, s.pace.Lasts) + lockMargin
	if s.turns() == 0 {
		return time.Duration(2*n) * each
	}
	return time.Duration(n/s.turns()) * each
}

// rest has none of the wrong tries count any more.
func (s *sampling) rest() {
	if s.rests() && s.wrong > 0 {
		s.wait(max(s.pace.Window, s.pace.Lasts) + lockMargin)
	}
	s.wrong = 0
}

// guess makes a wrong try, which does not go into a lock and leaves none behind that
// is not waited out.
func (s *sampling) guess(user, password string) dut.Answer {
	if s.turns() == 0 {
		s.rest()
	}
	s.wrong++
	return s.try(login.Credential{User: user, Password: password})
}

// take asks in turns, so that a busy rig slows both alike. The owner's right
// password clears the count of wrong ones before it locks. In between, one unknown
// name is tried as often as the owner's: a device may answer each further wrong
// try of a name later, whether there is such an account or not. It gives the names
// too, and what the owner was answered at last: otherwise than with a yes the
// samples are not whole.
func (s *sampling) take(n int) (known, unknown []dut.Answer, names []string, owner dut.Answer) {
	names = []string{s.own.User, nobodys(s.rng, s.own.User)}
	for i := range n {
		if turns := s.turns(); i > 0 && turns > 0 && i%turns == 0 {
			s.rest()
			if owner = s.try(s.own); owner.Kind != verdict.Accepted {
				return known, unknown, names, owner
			}
			names = append(names, nobodys(s.rng, s.own.User))
		}
		wrong := fmt.Sprintf("wrong-%08x", s.rng.Uint32())
		// By lot which comes first: what one try leaves to do slows the one behind it.
		if first := s.rng.IntN(2) == 0; first {
			known = append(known, s.guess(s.own.User, wrong))
			unknown = append(unknown, s.guess(names[len(names)-1], wrong))
		} else {
			unknown = append(unknown, s.guess(names[len(names)-1], wrong))
			known = append(known, s.guess(s.own.User, wrong))
		}
	}
	if s.turns() == 0 || s.pace.After == 1 {
		s.rest()
	}
	return known, unknown, names, s.try(s.own)
}

// nobodys gives a name that nobody has, as long as the owner's: length is to be no
// difference of ours. It is drawn, since wrong tries on it in another case may
// still count.
func nobodys(rng *rand.Rand, owner string) string {
	const letters = "bcdfghjkmnpqrstvwxz0123456789"
	name := []byte{'q'}
	for range max(3, len(owner)-1) {
		name = append(name, letters[rng.IntN(len(letters))])
	}
	return string(name)
}

// different gives the different answers, sorted.
func different(faces []string) []string {
	out := slices.Clone(faces)
	slices.Sort(out)
	return slices.Compact(out)
}

func median(as []dut.Answer) time.Duration {
	ds := make([]time.Duration, len(as))
	for i, a := range as {
		ds[i] = a.Took
	}
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// cliff gives Cliff's delta: how much more often a is slower than b than
// faster, from -1 to 1.
func cliff(a, b []dut.Answer) float64 {
	n := 0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x.Took > y.Took:
				n++
			case x.Took < y.Took:
				n--
			}
		}
	}
	return float64(n) / float64(len(a)*len(b))
}
