package journal

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/verdict"
)

// The texts of a case's timeline. They are made here and not in a report, so
// that all reports tell the same story.

func stateText(s *State) string {
	text := fmt.Sprintf("state: %s to %s", firstOf(s.From, "unknown"), s.To) + orNothing(", by ", s.Way)
	if !s.OK {
		text += ": failed"
	}
	return text + orNothing(": ", s.Detail)
}

func controlText(c *Control) string {
	how := "as it must"
	if !c.OK {
		how = "NOT as it must"
	}
	return c.Role + orNothing(": ", string(c.Kind)) + ", " + how + orNothing(": ", firstOf(c.Detail, c.Text))
}

func probesText(p *Probes) string {
	return fmt.Sprintf("probes: %d of %d tried", p.Tried, p.Planned) + orNothing(": ", KindsText(p.Kinds))
}

// KindsText gives "3 refused, 1 locked-out", in the order in which the kinds
// are listed in package verdict, others after them.
func KindsText(kinds map[verdict.Kind]int) string {
	var others []verdict.Kind
	for k := range kinds {
		if !slices.Contains(verdict.Kinds, k) {
			others = append(others, k)
		}
	}
	slices.Sort(others)
	var out []string
	for _, k := range slices.Concat(verdict.Kinds, others) {
		if n := kinds[k]; n != 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k))
		}
	}
	return strings.Join(out, ", ")
}

func claimText(c *Claim) string {
	how := map[Holds]string{Yes: "holds", No: "does NOT hold", Unknown: "cannot be said"}[c.Holds]
	return fmt.Sprintf("claim %d %s", c.Claim, firstOf(how, "is not decided")) + orNothing(": ", c.Text)
}
