package journal

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/verdict"
)

// judge gives a case its verdict, by law 2: fail, error, inconclusive, pass.
func (f *folder) judge(c *Case) verdict.Judgement {
	if c.Skip != nil && !c.Ran {
		return f.skipped(c)
	}
	all := slices.Clone(f.try(c).kept)
	// The end comes first: where it and a claim weigh the same, it says why the
	// claim was left undecided.
	if end := f.judgeEnd(c); end.Verdict != verdict.None {
		all = append(all, end)
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		cl.Judgement = f.judgeClaim(c, cl)
		// What an earlier try found counts only where it failed: that try ended
		// in rig trouble and was run again.
		if cl.Try < c.Tries && cl.Judgement.Verdict != verdict.Fail {
			continue
		}
		all = append(all, cl.Judgement)
	}
	if c.Disabled != "" {
		// It weighs more than what the case was to find out, which is told with it.
		j := verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonDUTDisabled, Detail: c.Disabled}
		if other := worst(all); other.Verdict == verdict.Fail {
			j.Detail += "; besides: " + other.String()
		}
		return j
	}
	if part := f.leansOnBroken(c); part != "" {
		all = append(all, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBrokenPart,
			Detail: part + " was found broken in this run, and this case leans on it"})
	}
	if why := f.bracketOpen(c, c.Bracket); why != "" {
		all = append(all, verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonBracketOpen, Detail: why})
	}
	all = append(all, claimGaps(c)...)
	if f.res.Damage != "" {
		all = append(all, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonJournal, Detail: "the journal is damaged: " + f.res.Damage})
	}
	j := worst(all)
	if seen, ok := f.contradicted(c); ok && j.Verdict == verdict.Pass {
		return verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonContradicted, Detail: "its own look found nothing, but: " + seen}
	}
	return j
}

// contradicted gives what was seen elsewhere in the run against a case.
func (f *folder) contradicted(c *Case) (seen string, ok bool) {
	for _, id := range []string{c.ID, c.Check} {
		if seen, ok := f.contra[id]; ok {
			return seen, true
		}
	}
	return "", false
}

// claimGaps looks for claims that the current try must have made and that are
// not recorded: none at all, or a number that was left out.
func claimGaps(c *Case) []verdict.Judgement {
	inc := func(r verdict.Reason, detail string) []verdict.Judgement {
		return []verdict.Judgement{{Verdict: verdict.Inconclusive, Reason: r, Detail: detail}}
	}
	var have []int
	for i := range c.Claims {
		if c.Claims[i].Try == c.Tries {
			have = append(have, c.Claims[i].Claim.Claim)
		}
	}
	if len(have) == 0 {
		return inc(verdict.ReasonNoClaim, "the check claimed nothing")
	}
	if n := slices.Max(have); n > len(have) {
		return inc(verdict.ReasonNoClaim, fmt.Sprintf("claim %d is recorded, but only %d claims are there", n, len(have)))
	}
	return nil
}

// bracketOpen says what is wrong with a bracket of a case; nothing for the empty id.
func (f *folder) bracketOpen(c *Case, id string) string {
	b := f.brackets[bracketKey{c.Rig, id}]
	why, no := f.disproved[id]
	switch {
	case id == "", !no && b != nil && b.opened && b.closed && !b.failed:
		return ""
	case b == nil || !b.opened:
		return "bracket " + id + " was never opened"
	case b.failed:
		return "bracket " + id + " failed" + orNothing(": ", b.detail)
	case no:
		return "bracket " + id + " failed" + orNothing(": ", why)
	}
	return "bracket " + id + " was not closed"
}

// worst gives the first judgement of the highest precedence, and none of none. A pass
// among others is only the worst when all are passes.
func worst(js []verdict.Judgement) (best verdict.Judgement) {
	for _, j := range js {
		if best.Verdict != j.Verdict && verdict.Worst(best.Verdict, j.Verdict) == j.Verdict {
			best = j
		}
	}
	return best
}

func (f *folder) skipped(c *Case) verdict.Judgement {
	j := *c.Skip
	if j.Verdict != verdict.NotApplicable {
		if j.Verdict == verdict.Pass || !j.Verdict.Valid() { // a plan cannot pass a case
			return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "planned with the verdict " + string(j.Verdict)}
		}
		return j
	}
	if j.Detail == "" {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonProfileMissing, Detail: "declared not applicable without a reason"}
	}
	if seen, ok := f.contradicted(c); ok {
		return verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonContradicted,
			Detail: fmt.Sprintf("declared none (%s), but: %s", j.Detail, seen)}
	}
	return j
}

// judgeEnd says what the way in which a case ended means by itself.
func (f *folder) judgeEnd(c *Case) verdict.Judgement {
	switch {
	case !c.Finished && f.interrupted():
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonInterrupted, Detail: "the run was interrupted" + orNothing(" by ", f.res.Signal)}
	case !c.Ran:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "planned and never run"}
	case !c.Finished:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "the run ended before the case did"}
	case c.End.Retry:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "to be tried again, and was not"}
	case c.End.Judgement != nil:
		j := *c.End.Judgement
		if j.Verdict == verdict.Pass || !j.Verdict.Valid() { // only claims pass a case
			return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "ended with the verdict " + string(j.Verdict)}
		}
		return j
	}
	return verdict.Judgement{}
}

func orNothing(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (f *folder) leansOnBroken(c *Case) string {
	for _, p := range f.bad[c.Rig] {
		if slices.Contains(c.Parts, p) {
			return p
		}
	}
	return ""
}

// judgeClaim holds one claim against law 1.
func (f *folder) judgeClaim(of *Case, cl *ClaimResult) verdict.Judgement {
	inc := func(r verdict.Reason, format string, args ...any) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: fmt.Sprintf(format, args...)}
	}
	c := &cl.Claim
	// A claim that has probes and was never decided was to be a negative one.
	if what := opened(cl.Probes); what != "" && (c.Negative || c.Holds == "") && c.Holds != No && !antiFailed(cl) {
		return verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonAccess, Detail: what}
	}
	switch c.Holds {
	case No:
		r := c.Reason
		if r == "" {
			r = verdict.ReasonExpectation
		}
		return verdict.Judgement{Verdict: verdict.Fail, Reason: r, Detail: firstOf(c.Got, c.Text, claimText(c))}
	case Yes:
	case Unknown:
		r := c.Reason
		if r == "" {
			r = verdict.ReasonAmbiguous
		}
		return inc(r, "%s", firstOf(c.Got, c.Text, claimText(c)))
	default:
		return inc(verdict.ReasonNoClaim, "claim %d was begun and not decided", c.Claim)
	}
	if c.Negative {
		if j := f.judgeNegative(of, cl); j.Verdict != verdict.None {
			return j
		}
	}
	if why := f.lacksEvidence(cl); why != "" {
		return inc(verdict.ReasonNoEvidence, "%q holds, but %s", c.Text, why)
	}
	return verdict.Judgement{Verdict: verdict.Pass, Detail: firstOf(c.Got, c.Text)}
}

// judgeNegative gives what is missing for a negative claim, or nothing.
func (f *folder) judgeNegative(of *Case, cl *ClaimResult) verdict.Judgement {
	inc := func(r verdict.Reason, format string, args ...any) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: fmt.Sprintf(format, args...)}
	}
	seen := map[string]int{}
	for _, ctl := range cl.Controls {
		if !ctl.OK {
			r := verdict.ReasonControlFailed
			if ctl.Role == RoleAnti {
				r = verdict.ReasonAntiControl
			}
			return inc(r, "%s: %s", ctl.Role, firstOf(ctl.Detail, string(ctl.Kind), "it did not answer as it must"))
		}
		seen[ctl.Role]++
	}
	if why := f.bracketOpen(of, cl.Claim.Bracket); why != "" {
		return inc(verdict.ReasonBracketOpen, "%s", why)
	}
	if cl.Claim.Bracket == "" {
		for _, role := range []string{RoleBefore, RoleAfter} {
			if seen[role] == 0 {
				return inc(verdict.ReasonNoControl, "no %s was run", role)
			}
		}
	}
	if seen[RoleAnti] == 0 {
		return inc(verdict.ReasonNoControl, "no anti-control was run")
	}
	p := cl.Probes
	switch {
	case p == nil || p.Planned <= 0 || p.Tried <= 0:
		return inc(verdict.ReasonNoProbes, "nothing was tried")
	case p.Tried < p.Planned:
		return inc(verdict.ReasonCoverageGap, "%d of %d probes were tried", p.Tried, p.Planned)
	case p.Effective < p.Tried:
		return inc(verdict.ReasonIneffective, "%d of %d probes could have shown something", p.Effective, p.Tried)
	}
	var other []string
	total := 0
	for k, n := range p.Kinds {
		total += n
		if n != 0 && !slices.Contains(cl.Claim.Refusal, k) {
			other = append(other, fmt.Sprintf("%d %s", n, k))
		}
	}
	if len(other) > 0 {
		slices.Sort(other)
		return inc(verdict.ReasonWrongRefusal, "answers that are no declared refusal: %s", strings.Join(other, ", "))
	}
	if total != p.Tried {
		return inc(verdict.ReasonCoverageGap, "%d probes were tried, %d answers are recorded", p.Tried, total)
	}
	switch cl.Claim.Unchanged {
	case Yes:
	case No:
		return inc(verdict.ReasonDUTChanged, "the DUT is not the same before and after the probes")
	default:
		return inc(verdict.ReasonDUTChanged, "the DUT is not shown to be unchanged")
	}
	return verdict.Judgement{}
}

// opened says which probes opened something, as text; empty when none did.
func opened(p *Probes) string {
	if p == nil {
		return ""
	}
	var what []string
	for k, n := range p.Kinds {
		if k.Opens() && n > 0 {
			what = append(what, fmt.Sprintf("%d probes were %s", n, k))
		}
	}
	slices.Sort(what)
	return strings.Join(what, ", ")
}

// antiFailed says whether an anti-control was let in: then the oracle says yes
// to everything, and what it says of the probes shows nothing.
func antiFailed(cl *ClaimResult) bool {
	return slices.ContainsFunc(cl.Controls, func(c Control) bool { return c.Role == RoleAnti && !c.OK })
}

// lacksEvidence says what is missing of the evidence of a claim. In a run that
// came to its end, a file that was never closed and hashed is none.
func (f *folder) lacksEvidence(cl *ClaimResult) string {
	refs := slices.Clone(cl.Claim.Evidence)
	if cl.Probes != nil {
		refs = append(refs, cl.Probes.Evidence...)
	}
	if len(refs) == 0 {
		return "nothing was kept to show it"
	}
	if f.res.End == nil {
		return ""
	}
	for _, r := range refs {
		if !f.files[r.Path] {
			return fmt.Sprintf("its evidence %q was never closed and hashed", r.Path)
		}
	}
	return ""
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
