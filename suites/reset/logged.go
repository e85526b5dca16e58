package reset

import (
	"context"
	"maps"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/identity"
)

// Logged: a factory reset is in the log, and what the log had before is there or gone as
// the maker says.
var Logged = check.Check{
	ID:    "rst-log",
	Title: "The log says that the device was reset, and no more than declared",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CSA1, nist8259a.DP2, en303645.V3("5.11-1"), en18031.Code("LGM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases: perDevice.With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Reset.Log.Declared():
			return check.DeclaredNone(p.Reset.Log.None.None)
		case p.Log.Declared():
			return check.DeclaredNone(p.Log.None.None)
		case len(p.Log.Read) == 0:
			return check.NotDeclared("the profile does not say how the log is read (log.read)")
		case p.Reset.Log.Old == "":
			return check.NotDeclared("the profile does not say what a reset makes of the log (reset.log)")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		for _, tr := range all.list {
			tr.claimLog(ctx, t, all.marked)
		}
	},
}

func (tr *tour) claimLog(ctx context.Context, t *check.T, m *marked) {
	text := tr.by() + " the log says that the device was reset"
	if !tr.whole(t, text) || !tr.proven(t, text, nil) {
		return
	}
	before, after := entries(t, tr.logs[0]), entries(t, tr.logs[1])
	ref := t.Keep("log-"+tr.way.ID+".txt", "the log before the reset and behind it", []byte("before:\n"+strings.Join(before, "\n")+"\nbehind:\n"+strings.Join(after, "\n")+"\n"))
	policy := t.Profile().Reset.Log
	isNew := slices.DeleteFunc(slices.Clone(after), func(e string) bool { return slices.Contains(before, e) })
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		switch {
		case policy.Entry.Zero():
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say what the entry of a reset looks like (reset.log.entry)")
		case len(after) == 0:
			c.Fail(verdict.ReasonExpectation, "the log is empty behind the reset")
		case !slices.ContainsFunc(isNew, func(e string) bool { return matches(policy.Entry, e) }):
			c.Fail(verdict.ReasonExpectation, "none of %d new entries is like it", len(isNew))
		}
	})
	for _, store := range storeNames(t.Profile()) {
		for _, h := range m.set.Find([]byte(tr.logs[1])).Of(nameOf(store, tr.old)) {
			t.Claim(tr.by()+" the log has nothing of store "+store, func(c *check.Claim) {
				c.Show(ref)
				c.Fail(verdict.ReasonResidue, "%s", h)
			})
			break
		}
	}
	if policy.Old == profile.LogKept {
		t.Claim(tr.by()+" the log has what it had before", func(c *check.Claim) {
			c.Show(ref)
			for _, e := range before {
				if !slices.Contains(after, e) {
					c.Fail(verdict.ReasonExpectation, "an entry from before is gone: %s", e)
				}
			}
			if len(before) == 0 {
				c.Unknown(verdict.ReasonPrecondition, "the log was empty before the reset")
			}
		})
		return
	}
	tr.claimNoName(t, m, ref)
	has := func(log []string, e string) dut.Answer {
		if slices.Contains(log, e) {
			return dut.Answer{Kind: verdict.Accepted, Detail: "it is there: " + e}
		}
		return dut.Answer{Kind: verdict.Refused, Detail: "it is in none of the log's entries"}
	}
	if len(before) == 0 || len(isNew) == 0 {
		t.Claim(tr.by()+" nothing is left of the log from before", func(c *check.Claim) {
			c.Show(ref)
			c.Unknown(verdict.ReasonPrecondition, "the log had %d entries before the reset, and has %d new ones behind it", len(before), len(isNew))
		})
		return
	}
	check.Refute(ctx, t, tr.by()+" nothing is left of the log from before", check.Negative[string]{
		Control: replay(has(before, before[0]), has(after, isNew[0])), Anti: replay(has(after, "an entry that nobody made")), Probes: before,
		Try:    func(_ context.Context, e string) (dut.Answer, error) { return has(after, e), nil },
		Every:  len(before) + 1, // one log is looked at: nothing can change between
		Opened: verdict.ReasonResidue, Refusal: []verdict.Kind{verdict.Refused}, Same: tr.same,
	})
}

// claimNoName claims that a name that failed to log in before the reset is in no entry
// behind it, however it is written there, and in none of the memories.
func (tr *tour) claimNoName(t *check.T, m *marked, ref journal.Ref) {
	name := loggedName(tr.n)
	if len(m.set.Find([]byte(tr.logs[0])).Of(name)) == 0 {
		t.Note("the log does not tell who fails to log in: what it had before is known by whole entries alone")
		return
	}
	t.Claim(tr.by()+" "+name+" is not in the log, nor in a memory", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("it was in the log before, and is nowhere behind", "it was in the log before, and is nowhere behind")
		for _, h := range m.set.Find([]byte(tr.logs[1])).Of(name) {
			c.Fail(verdict.ReasonResidue, "the log behind the reset: %s", h)
			return
		}
		for _, l := range []*look{tr.between, tr.after} {
			for _, k := range slices.Sorted(maps.Keys(l.found)) {
				if !strings.HasPrefix(k, "storage ") {
					continue
				}
				for _, h := range l.found[k].Of(name) {
					c.Fail(verdict.ReasonResidue, "%s, in %s: %s", l.when, k, h)
					return
				}
			}
		}
	})
}

// entries gives the entries of a log, one each.
func entries(t *check.T, log string) []string {
	if strings.TrimSpace(log) == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(identity.Lines(t, log)), "\n")
}

func matches(p profile.Pattern, text string) bool {
	if p.Regexp != nil {
		return p.Regexp.MatchString(text)
	}
	return strings.Contains(text, p.Literal)
}
