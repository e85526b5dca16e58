package journal_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

const id = "cred-known-list[ssh]"

func planned(change ...func(*journal.Plan)) *journaltest.Builder {
	return journaltest.New().Plan("credential", "cred-known-list", "ssh", change...)
}

// spoiled runs one negative claim that would pass but for what f does to it.
func spoiled(f func(n *journaltest.Negative)) *journaltest.Builder {
	n := journaltest.Whole(id, 1)
	f(&n)
	return planned().Begin(id).Refute(id, n).Keep(id).Done(id).End()
}

func drop(role string) func(*journaltest.Negative) {
	return func(n *journaltest.Negative) {
		var keep []journal.Control
		for _, c := range n.Controls {
			if c.Role != role {
				keep = append(keep, c)
			}
		}
		n.Controls = keep
	}
}

func spoil(role string) func(*journaltest.Negative) {
	return func(n *journaltest.Negative) {
		for i := range n.Controls {
			if n.Controls[i].Role == role {
				n.Controls[i].OK, n.Controls[i].Detail = false, "it did not"
			}
		}
	}
}

func kinds(k map[verdict.Kind]int) func(*journaltest.Negative) {
	return func(n *journaltest.Negative) { n.Probes.Kinds = k }
}

// fault is trouble of the console.
func fault(broken bool) journal.Event {
	return journal.Event{Kind: journal.KindFault, Case: id, Fault: &journal.Fault{Part: "console.main", Op: "read", Error: "input/output error", Broken: broken}}
}

func inBracket(p *journal.Plan) { p.Bracket = "b1" }

func bracket(phase string, ok bool) journal.Event {
	return journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: "b1", Phase: phase, OK: ok, Detail: "the owner's login"}}
}

func TestVerdicts(t *testing.T) {
	judged := func(v verdict.Verdict, r verdict.Reason) verdict.Judgement {
		return verdict.Judgement{Verdict: v, Reason: r, Detail: "because"}
	}
	tests := map[string]struct {
		b    *journaltest.Builder
		want string // verdict.reason
	}{
		// Law 1.
		"positive claim with evidence":     {planned().Pass(id).End(), "pass"},
		"negative claim with all it needs": {spoiled(func(*journaltest.Negative) {}), "pass"},
		"no claim":                         {planned().Begin(id).Done(id).End(), "inconclusive.no-claim"},
		"claim without evidence": {planned().Begin(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.Yes}).Done(id).End(),
			"inconclusive.no-evidence"},
		"evidence never closed": {planned().Begin(id).Holds(id, 1).Done(id).End(), "inconclusive.no-evidence"},
		"claim begun, not decided": {planned().Begin(id).Keep(id).Claim(id, journal.Claim{Claim: 1, Evidence: journaltest.Refs(id)}).Done(id).End(),
			"inconclusive.no-claim"},
		"a claim left out of the middle": {planned().Begin(id).Holds(id, 1).Holds(id, 3).Keep(id).Done(id).End(), "inconclusive.no-claim"},
		"cannot be said": {planned().Begin(id).Keep(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.Unknown}).Done(id).End(),
			"inconclusive.ambiguous"},
		"cannot be said, with a reason": {planned().Begin(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.Unknown, Reason: verdict.ReasonTwoUnits}).Done(id).End(),
			"inconclusive.two-units"},
		"no control before":       {spoiled(drop(journal.RoleBefore)), "inconclusive.no-control"},
		"no control after":        {spoiled(drop(journal.RoleAfter)), "inconclusive.no-control"},
		"no anti-control":         {spoiled(drop(journal.RoleAnti)), "inconclusive.no-control"},
		"control before failed":   {spoiled(spoil(journal.RoleBefore)), "inconclusive.control-failed"},
		"control after failed":    {spoiled(spoil(journal.RoleAfter)), "inconclusive.control-failed"},
		"anti-control was let in": {spoiled(spoil(journal.RoleAnti)), "inconclusive.anti-control"},
		"control between failed": {spoiled(func(n *journaltest.Negative) {
			n.Controls = append(n.Controls, journal.Control{Claim: 1, Role: journal.RoleBetween, Kind: verdict.Silent})
		}), "inconclusive.control-failed"},
		"no probes recorded":     {spoiled(func(n *journaltest.Negative) { n.Probes = nil }), "inconclusive.no-probes"},
		"nothing planned":        {spoiled(func(n *journaltest.Negative) { *n.Probes = journal.Probes{Claim: 1} }), "inconclusive.no-probes"},
		"nothing tried":          {spoiled(func(n *journaltest.Negative) { n.Probes.Tried = 0 }), "inconclusive.no-probes"},
		"less than nothing":      {spoiled(func(n *journaltest.Negative) { n.Probes.Planned, n.Probes.Tried = -3, -3 }), "inconclusive.no-probes"},
		"not all tried":          {spoiled(func(n *journaltest.Negative) { n.Probes.Planned = 4 }), "inconclusive.coverage-gap"},
		"one was not effective":  {spoiled(func(n *journaltest.Negative) { n.Probes.Effective = 2 }), "inconclusive.ineffective"},
		"answers are missing":    {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 2})), "inconclusive.coverage-gap"},
		"more answers than asks": {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 4})), "inconclusive.coverage-gap"},
		"a negative count":       {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 4, verdict.Silent: -1})), "inconclusive.wrong-refusal"},
		"another refusal":        {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 2, verdict.Unreachable: 1})), "inconclusive.wrong-refusal"},
		"no refusal declared":    {spoiled(func(n *journaltest.Negative) { n.Claim.Refusal = nil }), "inconclusive.wrong-refusal"},
		"a login that is unproven": {spoiled(func(n *journaltest.Negative) {
			n.Probes.Kinds = map[verdict.Kind]int{verdict.Refused: 2, verdict.Unproven: 1}
		}), "inconclusive.wrong-refusal"},
		"unreachable, where declared": {spoiled(func(n *journaltest.Negative) {
			n.Probes.Kinds = map[verdict.Kind]int{verdict.Unreachable: 3}
			n.Claim.Refusal = []verdict.Kind{verdict.Unreachable}
		}), "pass"},
		"DUT changed":             {spoiled(func(n *journaltest.Negative) { n.Claim.Unchanged = journal.No }), "inconclusive.dut-changed"},
		"DUT not shown unchanged": {spoiled(func(n *journaltest.Negative) { n.Claim.Unchanged = "" }), "inconclusive.dut-changed"},
		"negative claim without evidence": {spoiled(func(n *journaltest.Negative) {
			n.Claim.Evidence, n.Probes.Evidence = nil, nil
		}), "inconclusive.no-evidence"},
		"negative claim begun, not decided": {spoiled(func(n *journaltest.Negative) { n.Claim = nil }), "inconclusive.no-claim"},

		// Law 2.
		"does not hold":                {planned().Fail(id).End(), "fail.access"},
		"does not hold, no reason":     {planned().Begin(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.No}).Done(id).End(), "fail.expectation"},
		"one of two does not hold":     {planned().Begin(id).Holds(id, 1).Fails(id, 2).Keep(id).Done(id).End(), "fail.access"},
		"said to hold, but one opened": {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 2, verdict.Accepted: 1})), "fail.access"},
		"restricted is opened too":     {spoiled(kinds(map[verdict.Kind]int{verdict.Refused: 2, verdict.Restricted: 1})), "fail.access"},
		"an opening declared as a refusal": {spoiled(func(n *journaltest.Negative) {
			n.Probes.Kinds = map[verdict.Kind]int{verdict.Accepted: 3}
			n.Claim.Refusal = []verdict.Kind{verdict.Accepted}
		}), "fail.access"},
		"one opened, the claim left unknown": {spoiled(func(n *journaltest.Negative) {
			n.Probes.Kinds, n.Claim.Holds = map[verdict.Kind]int{verdict.Accepted: 1}, journal.Unknown
		}), "fail.access"},
		"one opened, then a crash": {func() *journaltest.Builder {
			n := journaltest.Whole(id, 1)
			n.Probes.Kinds, n.Claim = map[verdict.Kind]int{verdict.Accepted: 1}, nil
			return planned().Begin(id).Refute(id, n)
		}(), "fail.access"},
		"all opened, and so did the anti-control": {spoiled(func(n *journaltest.Negative) {
			spoil(journal.RoleAnti)(n)
			n.Probes.Kinds = map[verdict.Kind]int{verdict.Accepted: 3}
		}), "inconclusive.anti-control"},
		"opened, then other probes for the same claim": {func() *journaltest.Builder {
			n, open := journaltest.Whole(id, 1), *journaltest.Whole(id, 1).Probes
			open.Kinds = map[verdict.Kind]int{verdict.Accepted: 1, verdict.Refused: 2}
			return planned().Begin(id).Add(journal.Event{Kind: journal.KindProbes, Case: id, Probes: &open}).Refute(id, n).Keep(id).Done(id).End()
		}(), "fail.access"},
		"said to hold after it did not":        {planned().Begin(id).Fails(id, 1).Holds(id, 1).Keep(id).Done(id).End(), "fail.access"},
		"said to hold after it was unknown":    {planned().Begin(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.Unknown}).Holds(id, 1).Keep(id).Done(id).End(), "inconclusive.ambiguous"},
		"failed, then the rig broke":           {planned().Begin(id).Fails(id, 1).Add(fault(true)).Done(id, judged(verdict.Error, verdict.ReasonFault)).End(), "fail.access"},
		"failed, then tried again":             {planned().Begin(id).Fails(id, 1).Retry(id).Pass(id).End(), "fail.access"},
		"rig trouble, then tried again":        {planned().Begin(id).Retry(id).Pass(id).End(), "pass"},
		"what a broken try said does not pass": {planned().Begin(id).Holds(id, 1).Keep(id).Retry(id).Begin(id).Done(id).End(), "inconclusive.no-claim"},
		"to be tried again, and was not":       {planned().Begin(id).Retry(id).End(), "error.unfinished"},
		"tried again after an inconclusive end": {planned().Begin(id).Done(id, judged(verdict.Inconclusive, verdict.ReasonDUTLost)).Pass(id).End(),
			"inconclusive.dut-lost"},
		"tried again after a failing end":    {planned().Begin(id).Done(id, judged(verdict.Fail, verdict.ReasonAbsent)).Pass(id).End(), "fail.absent"},
		"tried again without rig trouble":    {planned().Begin(id).Done(id).Pass(id).End(), "error.bug"},
		"begun again before its end":         {planned().Begin(id).Pass(id).End(), "error.bug"},
		"tried three times":                  {planned().Begin(id).Retry(id).Begin(id).Retry(id).Pass(id).End(), "error.bug"},
		"what is said after the end":         {planned().Begin(id).Done(id).Holds(id, 1).Keep(id).End(), "inconclusive.no-claim"},
		"a failure shown after the end":      {planned().Pass(id).Fails(id, 2).End(), "fail.access"},
		"the end cannot pass a case":         {planned().Begin(id).Done(id, judged(verdict.Pass, "")).End(), "error.bug"},
		"the end with an unknown verdict":    {planned().Begin(id).Holds(id, 1).Keep(id).Done(id, judged("fine", "")).End(), "error.bug"},
		"the end says why a claim is open":   {planned().Begin(id).Claim(id, journal.Claim{Claim: 1, Holds: journal.Unknown}).Done(id, judged(verdict.Inconclusive, verdict.ReasonRigLacks)).End(), "inconclusive.rig-lacks"},
		"holds, but the precondition failed": {planned().Begin(id).Holds(id, 1).Keep(id).Done(id, judged(verdict.Inconclusive, verdict.ReasonPrecondition)).End(), "inconclusive.precondition"},
		"declared none": {planned(journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "no radio")).End(),
			"not-applicable.declared-none"},
		"declared none without a reason": {planned(journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "")).End(),
			"inconclusive.profile-missing"},
		"declared none, and seen": {planned(journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "no telnet")).Add(journal.Event{Kind: journal.KindObserve,
			Observe: &journal.Observe{Topic: "tcp/23", Text: "a login prompt on tcp/23", Contradicts: []string{"cred-known-list"}}}).End(), "fail.contradiction"},
		"passed, and seen elsewhere": {planned().Pass(id).Add(journal.Event{Kind: journal.KindObserve,
			Observe: &journal.Observe{Topic: "console main", Text: "a shell", Contradicts: []string{id}}}).End(), "fail.contradiction"},
		"the plan cannot pass a case": {planned(journaltest.Skip(verdict.Pass, "", "trust me")).End(), "error.bug"},

		// Law 3.
		"rig trouble":     {planned().Begin(id).Add(fault(false)).Done(id, judged(verdict.Error, verdict.ReasonFault)).End(), "error.fault"},
		"a panic":         {planned().Begin(id).Holds(id, 1).Keep(id).Done(id, judged(verdict.Error, verdict.ReasonPanic)).End(), "error.panic"},
		"DUT disabled":    {planned().Begin(id).Holds(id, 1).Keep(id).Done(id, judged(verdict.Fail, verdict.ReasonDUTDisabled)).End(), "fail.dut-disabled"},
		"disabled, later": {planned().Pass(id).Add(journal.Event{Kind: journal.KindLost, Case: id, Lost: &journal.Lost{Diagnosis: "off", Disabled: true}}).End(), "fail.dut-disabled"},

		// Law 4.
		"profile does not say": {planned(journaltest.Skip(verdict.Inconclusive, verdict.ReasonProfileMissing, "logins: missing")).End(), "inconclusive.profile-missing"},
		"rig lacks":            {planned(journaltest.Skip(verdict.Inconclusive, verdict.ReasonRigLacks, "no reset line")).End(), "inconclusive.rig-lacks"},
		"rig owns up":          {planned(journaltest.Skip(verdict.NotApplicable, verdict.ReasonLacks, "no pads")).End(), "not-applicable.lacks"},
		"planned, never run":   {planned().End(), "error.unfinished"},

		// Law 5.
		"part broken before it":  {planned().Add(fault(true)).Pass(id).End(), "error.broken-part"},
		"part broken after it":   {planned().Pass(id).Add(fault(true)).End(), "error.broken-part"},
		"failed on a broken rig": {planned().Fail(id).Add(fault(true)).End(), "fail.access"},
		"found broken at the end": {planned().Pass(id).Add(journal.Event{Kind: journal.KindDoctor,
			Doctor: &journal.Doctor{Phase: "after", Item: "echo", Part: "console.main", Status: "broken"}}).End(), "error.broken-part"},
		"another part is broken": {planned().Pass(id).Add(journal.Event{Kind: journal.KindFault, Fault: &journal.Fault{Part: "lines.reset", Broken: true}}).End(), "pass"},
		"bracket whole":          {planned(inBracket).Add(bracket("open", true)).Pass(id).Add(bracket("close", true)).End(), "pass"},
		"bracket never opened":   {planned(inBracket).Pass(id).End(), "inconclusive.bracket"},
		"bracket not closed":     {planned(inBracket).Add(bracket("open", true)).Pass(id).End(), "inconclusive.bracket"},
		"bracket failed":         {planned(inBracket).Add(bracket("open", true)).Pass(id).Add(bracket("close", false)).End(), "inconclusive.bracket"},
		"bracket failed, then closed well": {planned(inBracket).Add(bracket("open", false)).Pass(id).Add(bracket("close", true)).End(),
			"inconclusive.bracket"},
		"failure in an open bracket": {planned(inBracket).Add(bracket("open", true)).Fail(id).End(), "fail.access"},
		"a claim's bracket that nobody opened": {spoiled(func(n *journaltest.Negative) {
			n.Claim.Bracket, n.Controls = "b1", n.Controls[1:2]
		}), "inconclusive.bracket"},
		"a claim's bracket": {func() *journaltest.Builder {
			n := journaltest.Whole(id, 1)
			n.Claim.Bracket, n.Controls = "b1", n.Controls[1:2]
			return planned().Add(bracket("open", true)).Begin(id).Refute(id, n).Keep(id).Done(id).Add(bracket("close", true)).End()
		}(), "pass"},
		"cut in the middle":    {planned().Begin(id).Holds(id, 1).Keep(id), "error.unfinished"},
		"interrupted in it":    {planned().Begin(id).Add(journal.Event{Kind: journal.KindInterrupt, Interrupt: &journal.Interrupt{Signal: "SIGTERM"}}), "error.interrupted"},
		"interrupted before":   {planned().Add(journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndInterrupted, Safe: true}}), "error.interrupted"},
		"done, then cut":       {planned().Pass(id), "pass"},
		"failed, and then cut": {planned().Begin(id).Fails(id, 1), "fail.access"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res := tt.b.Fold()
			require.Len(t, res.Cases, 1)
			j := res.Cases[0].Judgement
			j.Detail = ""
			assert.Equal(t, tt.want, j.String(), "%s", res.Cases[0].Judgement.Detail)
			assert.Equal(t, 1, res.Counts[j.Verdict])
			if j.Verdict != verdict.Pass && j.Verdict != verdict.NotApplicable {
				assert.NotEmpty(t, res.Cases[0].Judgement.Detail, "the reader is told why")
				assert.NotZero(t, res.Exit)
			}
		})
	}
}

func TestRun(t *testing.T) {
	doctor := func(phase, status string) journal.Event {
		return journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: phase, Item: "clock", Status: status, Detail: "1970"}}
	}
	end := func(how string, safe bool) journal.Event {
		return journal.Event{Kind: journal.KindEnd, End: &journal.End{How: how, Safe: safe}}
	}
	tests := map[string]struct {
		b       *journaltest.Builder
		exit    int
		trouble verdict.Reason
	}{
		"all well":                {planned().Pass(id).End(), 0, ""},
		"a failure":               {planned().Fail(id).End(), 1, ""},
		"inconclusive":            {planned().Begin(id).Done(id).End(), 3, ""},
		"an error":                {planned().End(), 75, ""},
		"nothing was planned":     {journaltest.New().End(), 4, ""},
		"nothing was selected":    {planned(func(p *journal.Plan) { p.Unselected = true }).End(), 4, ""},
		"all not applicable":      {planned(journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "none")).End(), 0, ""},
		"cut short, all passed":   {planned().Pass(id), 75, verdict.ReasonUnfinished},
		"cut short, one failed":   {planned().Fail(id), 1, verdict.ReasonUnfinished},
		"not safe":                {planned().Pass(id).Add(end(journal.EndFinished, false)), 75, verdict.ReasonFault},
		"aborted":                 {planned().Pass(id).Add(end(journal.EndAborted, true)), 75, verdict.ReasonBug},
		"ended in no known way":   {planned().Pass(id).Add(end("", true)), 75, verdict.ReasonBug},
		"interrupted":             {planned().Pass(id).Add(end(journal.EndInterrupted, true)), 130, ""},
		"interrupted, one failed": {planned().Fail(id).Add(end(journal.EndInterrupted, true)), 130, ""},
		"doctor before":           {planned().Add(doctor("before", "broken")).Pass(id).End(), 75, verdict.ReasonFault},
		"doctor after":            {planned().Pass(id).Add(doctor("after", "broken")).End(), 75, verdict.ReasonFault},
		"doctor is content":       {planned().Add(doctor("before", "ok")).Pass(id).Add(doctor("after", "skipped")).End(), 0, ""},
		"another unit": {planned().Pass(id).Add(journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: "AG-1", Got: "AG-2"}}).End(),
			75, verdict.ReasonWrongUnit},
		"run and not planned":   {planned().Pass(id).Pass("x").End(), 75, verdict.ReasonBug},
		"planned twice":         {planned().Plan("credential", "cred-known-list", "ssh").Pass(id).End(), 75, verdict.ReasonBug},
		"two journals in one":   {planned().Pass(id).Add(journal.Event{Kind: journal.KindStart, Start: &journal.Start{Rig: "other"}}).End(), 75, verdict.ReasonJournal},
		"damage and all passed": {planned().Pass(id).End(), 75, verdict.ReasonJournal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			log := tt.b.Log()
			if name == "damage and all passed" {
				log.Damage = "line 3: bad"
			}
			res := journal.Fold(log)
			assert.Equal(t, tt.exit, res.Exit)
			if tt.trouble == "" {
				assert.Empty(t, res.Trouble)
				return
			}
			require.NotEmpty(t, res.Trouble)
			assert.Equal(t, tt.trouble, res.Trouble[0].Reason)
			assert.NotEqual(t, 0, res.Exit)
		})
	}
}

func TestWaivers(t *testing.T) {
	w := journal.Waiver{Case: id, Reason: "fixed in 1.5", Owner: "kim", Expires: "2026-12-24"}
	with := func(f func(*journal.Waiver)) journal.Waiver { x := w; f(&x); return x }
	tests := map[string]struct {
		w    journal.Waiver
		pass bool // the case passes
		want verdict.Verdict
		bad  bool // the run has trouble
	}{
		"holds":                {w, false, verdict.NotApplicable, false},
		"last day":             {with(func(w *journal.Waiver) { w.Expires = "2026-11-23" }), false, verdict.NotApplicable, false},
		"ninety days":          {with(func(w *journal.Waiver) { w.Expires = "2027-02-21" }), false, verdict.NotApplicable, false},
		"too long":             {with(func(w *journal.Waiver) { w.Expires = "2027-02-22" }), false, verdict.Fail, true},
		"expired":              {with(func(w *journal.Waiver) { w.Expires = "2026-11-22" }), false, verdict.Fail, true},
		"no date":              {with(func(w *journal.Waiver) { w.Expires = "never" }), false, verdict.Fail, true},
		"no owner":             {with(func(w *journal.Waiver) { w.Owner = "" }), false, verdict.Fail, true},
		"no reason":            {with(func(w *journal.Waiver) { w.Reason = "" }), false, verdict.Fail, true},
		"no longer needed":     {w, true, verdict.Pass, true},
		"no such case":         {with(func(w *journal.Waiver) { w.Case = "x" }), false, verdict.Fail, true},
		"this unit":            {with(func(w *journal.Waiver) { w.Unit = "AG-000123" }), false, verdict.NotApplicable, false},
		"another unit":         {with(func(w *journal.Waiver) { w.Unit = "AG-2" }), false, verdict.Fail, false},
		"this version":         {with(func(w *journal.Waiver) { w.Model, w.Version = "AG-1", "1.4.2" }), false, verdict.NotApplicable, false},
		"another version":      {with(func(w *journal.Waiver) { w.Model, w.Version = "AG-1", "1.4.3" }), false, verdict.Fail, false},
		"another, and it pass": {with(func(w *journal.Waiver) { w.Model = "AG-2" }), true, verdict.Pass, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := journaltest.New(func(s *journal.Start) { s.Waivers = []journal.Waiver{tt.w} }).Plan("credential", "cred-known-list", "ssh")
			if tt.pass {
				b.Pass(id)
			} else {
				b.Fail(id)
			}
			res := b.End().Fold()
			assert.Equal(t, tt.want, res.Cases[0].Verdict())
			assert.Equal(t, tt.bad, len(res.Trouble) > 0, "%v", res.Trouble)
			if tt.bad {
				assert.NotZero(t, res.Exit)
			}
			if tt.want == verdict.NotApplicable {
				assert.Equal(t, verdict.Fail, res.Cases[0].Raw.Verdict, "the raw verdict stays")
				assert.Contains(t, res.Cases[0].Judgement.Detail, "raw: fail.access")
				assert.Equal(t, "kim", res.Cases[0].Waiver.Owner)
			}
		})
	}
}

// A waiver is for a finding that is known. It is none for a DUT that did not survive the
// case, and that is what the case is judged by.
func TestNoWaiverForADisabledDUT(t *testing.T) {
	gone := journal.Event{Kind: journal.KindLost, Case: id, Lost: &journal.Lost{Diagnosis: "off", Disabled: true}}
	for name, run := range map[string]func(*journaltest.Builder) *journaltest.Builder{
		"that failed": func(b *journaltest.Builder) *journaltest.Builder { return b.Fail(id) },
		"that passed": func(b *journaltest.Builder) *journaltest.Builder { return b.Pass(id) },
		"that failed in its first try": func(b *journaltest.Builder) *journaltest.Builder {
			return b.Begin(id).Fails(id, 1).Retry(id).Pass(id)
		},
		"that ended with a failure": func(b *journaltest.Builder) *journaltest.Builder {
			return b.Begin(id).Done(id, verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonAbsent})
		},
	} {
		t.Run("of a case "+name, func(t *testing.T) {
			b := journaltest.New(func(s *journal.Start) {
				s.Waivers = []journal.Waiver{{Case: id, Reason: "fixed in 1.5", Owner: "kim", Expires: "2026-12-24"}}
			}).Plan("credential", "cred-known-list", "ssh")
			res := run(b).Add(gone).End().Fold()
			c := res.Cases[0]
			assert.Equal(t, verdict.Fail, c.Verdict())
			assert.Equal(t, verdict.ReasonDUTDisabled, c.Judgement.Reason)
			assert.Contains(t, c.Judgement.Detail, "after the case the DUT was gone (off)")
			assert.Contains(t, c.Judgement.Detail, "its waiver is not for that")
			assert.Equal(t, verdict.ReasonDUTDisabled, c.Raw.Reason)
			if name != "that passed" {
				assert.Contains(t, c.Judgement.Detail, "besides: fail.", "what it found is told all the same")
			}
			assert.Nil(t, c.Waiver)
			assert.Equal(t, verdict.ExitFail, res.Exit)
			assert.Empty(t, res.Trouble)
		})
	}
}

func TestWaiverDayFallsBackToTheStart(t *testing.T) {
	res := journaltest.New(func(s *journal.Start) {
		s.WaiversNow = ""
		s.Waivers = []journal.Waiver{{Case: id, Reason: "r", Owner: "o", Expires: "2026-11-22"}}
	}).Plan("credential", "cred-known-list", "ssh").Fail(id).End().Fold()
	assert.Equal(t, verdict.Fail, res.Cases[0].Verdict(), "an expired waiver does not live on where the day is not recorded")
}

func TestOnlyFailuresAreWaived(t *testing.T) {
	res := journaltest.New(func(s *journal.Start) {
		s.Waivers = []journal.Waiver{{Case: id, Reason: "r", Owner: "o", Expires: "2026-12-01"}}
	}).Plan("credential", "cred-known-list", "ssh").Begin(id).Done(id).End().Fold()
	assert.Equal(t, verdict.Inconclusive, res.Cases[0].Verdict())
}

func TestIntents(t *testing.T) {
	intent := func(id string, done bool) journal.Event {
		return journal.Event{Kind: journal.KindIntent, Intent: &journal.Intent{ID: id, What: "password of admin", Done: done}}
	}
	res := planned().Add(intent("a", false), intent("b", false), intent("a", true)).Pass(id).End().Fold()
	require.Len(t, res.Open, 1)
	assert.Equal(t, "b", res.Open[0].ID)
}

// A case is in the state that it was brought to, not in the one before.
func TestStateOfACase(t *testing.T) {
	b := journaltest.New().Plan("s", "a", "").Plan("s", "b", "").Begin("a").
		Add(journal.Event{Kind: journal.KindState, State: &journal.State{From: "onboarded", To: "factory", OK: true}}).
		Claim("a", journal.Claim{Claim: 1, Text: "x", Holds: journal.Yes}).
		Add(journal.Event{Kind: journal.KindState, State: &journal.State{From: "factory", To: "elsewhere", OK: true}}).
		Done("a").
		Add(journal.Event{Kind: journal.KindState, State: &journal.State{From: "factory", To: "onboarded", OK: true}}).
		Begin("b").
		Add(journal.Event{Kind: journal.KindState, State: &journal.State{From: "onboarded", To: "factory"}}).
		Done("b")
	res := b.Fold()
	assert.Equal(t, "factory", res.Case("a").State)
	assert.Equal(t, "onboarded", res.Case("b").State, "a way that was not walked to its end leads nowhere")
}
