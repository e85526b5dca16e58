// Package verdict holds the words for what a case ended with: verdicts and
// their precedence, reason codes, and the kinds of answer that a device can
// give. It imports only the standard library.
package verdict

import "fmt"

// Verdict is what a case ends with. The zero value is no verdict and is not
// valid in a result.
type Verdict string

// The verdicts. A pass needs positive evidence; everything that is unclear is
// Inconclusive; trouble of the rig is Error.
const (
	None          Verdict = ""
	Pass          Verdict = "pass"
	NotApplicable Verdict = "not-applicable"
	Inconclusive  Verdict = "inconclusive"
	Error         Verdict = "error"
	Fail          Verdict = "fail"
)

// All lists the verdicts, worst first.
var All = []Verdict{Fail, Error, Inconclusive, Pass, NotApplicable}

// rank orders verdicts by precedence: a proven failure stays one even if the
// rig broke later.
var rank = map[Verdict]int{None: 0, NotApplicable: 1, Pass: 2, Inconclusive: 3, Error: 4, Fail: 5}

// Valid says whether v is one of the verdicts.
func (v Verdict) Valid() bool { return rank[v] > 0 }

// Worst gives the verdict that takes precedence: fail, error, inconclusive,
// pass; not-applicable is neutral. Without arguments it gives None.
func Worst(vs ...Verdict) Verdict {
	worst := None
	for _, v := range vs {
		if rank[v] > rank[worst] {
			worst = v
		}
	}
	return worst
}

// Exit codes of the command, by the worst verdict of a run (and, below, by how
// a command ended).
const (
	ExitPass         = 0
	ExitFail         = 1
	ExitUsage        = 2
	ExitInconclusive = 3
	ExitNothing      = 4 // nothing selected
	ExitBug          = 70
	ExitRig          = 75
	ExitInterrupted  = 130
)

// ExitCode gives the exit code for a run whose worst verdict is v.
func (v Verdict) ExitCode() int {
	switch v {
	case Pass, NotApplicable:
		return ExitPass
	case Fail:
		return ExitFail
	case Inconclusive:
		return ExitInconclusive
	case Error:
		return ExitRig
	}
	return ExitNothing
}

// Reason is a code that says why a verdict is what it is. It is stable:
// histories and waivers use it.
type Reason string

// Reasons of a failure.
const (
	ReasonAccess       Reason = "access"        // something opened that must not
	ReasonExpectation  Reason = "expectation"   // a claim did not hold
	ReasonDUTDisabled  Reason = "dut-disabled"  // gone after our own probe, and its recovery did not bring it back
	ReasonAbsent       Reason = "absent"        // the DUT had to react, the stimulus arrived, and it did not
	ReasonOpenToAll    Reason = "open-to-all"   // the anti-control was accepted: the protected thing is open to everybody
	ReasonLeak         Reason = "leak"          // a secret was seen where none may be
	ReasonResidue      Reason = "residue"       // what was the owner's is there behind a reset
	ReasonUndeclared   Reason = "undeclared"    // something answers that the profile does not declare
	ReasonContradicted Reason = "contradiction" // the profile declares one thing, the DUT shows another
)

// Reasons of an inconclusive case.
const (
	ReasonControlFailed  Reason = "control-failed"  // the path was not shown to work before, between or after
	ReasonNoControl      Reason = "no-control"      // a negative claim without a control
	ReasonAntiControl    Reason = "anti-control"    // the oracle says yes to everything
	ReasonNoProbes       Reason = "no-probes"       // nothing was tried
	ReasonNoClaim        Reason = "no-claim"        // the check claimed nothing
	ReasonNoEvidence     Reason = "no-evidence"     // a claim without evidence
	ReasonIneffective    Reason = "ineffective"     // probes that could not have shown anything
	ReasonWrongRefusal   Reason = "wrong-refusal"   // refused, but not in the declared way
	ReasonPrecondition   Reason = "precondition"    // a precondition of the check did not hold
	ReasonProfileMissing Reason = "profile-missing" // the profile does not say
	ReasonRigLacks       Reason = "rig-lacks"       // the rig has no wire, program or leave for it
	ReasonDUTLost        Reason = "dut-lost"        // the DUT went away
	ReasonDUTChanged     Reason = "dut-changed"     // the DUT is not shown unchanged: it rebooted, or its fingerprint differs
	ReasonCoverageGap    Reason = "coverage-gap"    // not all of what had to be tried was tried
	ReasonBracketOpen    Reason = "bracket"         // the bracket around the case is open or failed
	ReasonState          Reason = "state"           // the DUT could not be brought to the state that the check needs
	ReasonNeedsHuman     Reason = "needs-human"     // a person has to look, and none was there
	ReasonTwoUnits       Reason = "two-units"       // one unit cannot show it
	ReasonLockout        Reason = "lockout-active"  // the DUT is locked by tries that cannot be waited out
	ReasonAmbiguous      Reason = "ambiguous"       // the answer can mean either
	ReasonRigLate        Reason = "rig-late"        // nothing came in time, and the rig's computer was too busy for that to show anything
)

// Reasons of an error.
const (
	ReasonFault       Reason = "fault"        // a part of the rig broke
	ReasonBrokenPart  Reason = "broken-part"  // a part was found broken before; the case was not tried
	ReasonUnfinished  Reason = "unfinished"   // the run ended before the case did
	ReasonPanic       Reason = "panic"        // the check panicked
	ReasonBudget      Reason = "budget"       // the check used up its time
	ReasonLeaked      Reason = "leak-routine" // the check left something running
	ReasonWrongUnit   Reason = "wrong-unit"   // another unit is on the rig
	ReasonInterrupted Reason = "interrupted"
	ReasonJournal     Reason = "journal" // the journal is damaged
	ReasonBug         Reason = "bug"
	ReasonLeaseLost   Reason = "lease-lost"
	ReasonWaiver      Reason = "waiver" // a waiver is expired or no longer needed
	ReasonDisk        Reason = "disk"
)

// Reasons of not-applicable and of a skip that the rig file owns up to.
const (
	ReasonDeclaredNone Reason = "declared-none" // the profile declares that there is none, with its reason
	ReasonLacks        Reason = "lacks"         // the rig file owns up to it
	ReasonNotSelected  Reason = "not-selected"
	ReasonWaived       Reason = "waived"
)

// Reasons lists every reason code.
var Reasons = []Reason{
	ReasonAccess, ReasonExpectation, ReasonResidue, ReasonDUTDisabled, ReasonAbsent,
	ReasonOpenToAll, ReasonLeak, ReasonUndeclared, ReasonContradicted,
	ReasonControlFailed, ReasonNoControl, ReasonAntiControl, ReasonNoProbes,
	ReasonNoClaim, ReasonNoEvidence, ReasonIneffective, ReasonWrongRefusal,
	ReasonPrecondition, ReasonProfileMissing, ReasonRigLacks, ReasonDUTLost,
	ReasonDUTChanged, ReasonCoverageGap, ReasonBracketOpen, ReasonState,
	ReasonNeedsHuman, ReasonTwoUnits, ReasonLockout, ReasonAmbiguous, ReasonRigLate,
	ReasonFault, ReasonBrokenPart, ReasonUnfinished, ReasonPanic,
	ReasonBudget, ReasonLeaked, ReasonWrongUnit, ReasonInterrupted,
	ReasonJournal, ReasonBug, ReasonLeaseLost, ReasonWaiver,
	ReasonDisk, ReasonDeclaredNone, ReasonLacks, ReasonNotSelected,
	ReasonWaived,
}

// Kind is the kind of answer that a probe got. A refusal counts only if it is
// of a kind that was declared for the channel.
type Kind string

// The kinds of answer. Accepted and Restricted come from shown access to a
// protected resource, never from a greeting or a status code alone.
const (
	Accepted     Kind = "accepted"     // a protected resource was reached
	Restricted   Kind = "restricted"   // let in, but only to set a password
	Refused      Kind = "refused"      // the DUT said no
	LockedOut    Kind = "locked-out"   // the DUT said that the account or source is locked
	Throttled    Kind = "throttled"    // the DUT said not now
	Unreachable  Kind = "unreachable"  // nothing answered, or the connection broke before an answer
	Incompatible Kind = "incompatible" // no common version, algorithm or method
	Garbled      Kind = "garbled"      // an answer that the protocol does not know
	Silent       Kind = "silent"       // connected, asked, nothing came back in time
	Unproven     Kind = "unproven"     // the login looks taken, but no protected resource was reached: neither access nor refusal is shown
)

// Kinds lists every kind of answer.
var Kinds = []Kind{Accepted, Restricted, Refused, LockedOut, Throttled, Unreachable, Incompatible, Garbled, Silent, Unproven}

// Opens says whether the kind means that something opened.
func (k Kind) Opens() bool { return k == Accepted || k == Restricted }

// String gives the code as text.
func (r Reason) String() string { return string(r) }

// Judgement is a verdict with its reason and one sentence for a reader.
type Judgement struct {
	Verdict Verdict `json:"verdict"`
	Reason  Reason  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// Why gives "access: telnet opened for root", without the verdict itself.
func (j Judgement) Why() string {
	switch {
	case j.Reason == "":
		return j.Detail
	case j.Detail == "":
		return string(j.Reason)
	}
	return string(j.Reason) + ": " + j.Detail
}

// String gives "fail.access: telnet opened for root".
func (j Judgement) String() string {
	s := string(j.Verdict)
	if j.Reason != "" {
		s += "." + string(j.Reason)
	}
	if j.Detail != "" {
		s = fmt.Sprintf("%s: %s", s, j.Detail)
	}
	return s
}
