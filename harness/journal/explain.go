package journal

import "rigor/harness/verdict"

// Field is one line of what is to be said of a case. The text may hold the
// DUT's own words, and is to be escaped for where it goes.
type Field struct{ Name, Text string }

// The names of fields.
const (
	FieldWhy      = "why"
	FieldClaim    = "claim"
	FieldExpected = "expected"
	FieldGot      = "got"
	FieldUnit     = "unit"     // and rig, in a run that several share
	FieldEvidence = "evidence" // a path, relative to the run's folder
	FieldAgain    = "again"    // the command that runs the case again
)

// Explain gives what a reader needs of a case: why, the claims that failed with
// their evidence, and how to run it again. What there is nothing to say of is
// left out.
func (r *Result) Explain(c *Case) []Field {
	var out []Field
	add := func(name, text string) {
		if text != "" {
			out = append(out, Field{name, text})
		}
	}
	add(FieldWhy, c.Judgement.Why())
	for i := range c.Claims {
		cl := &c.Claims[i]
		if c.Verdict() != verdict.Fail || cl.Judgement.Verdict != verdict.Fail {
			continue
		}
		add(FieldClaim, cl.Text)
		add(FieldExpected, cl.Expected)
		add(FieldGot, cl.Got)
		for _, ref := range cl.Evidence {
			add(FieldEvidence, ref.Path)
		}
	}
	add(FieldUnit, r.Unit(c))
	add(FieldAgain, r.Rerun(c.ID))
	return out
}
