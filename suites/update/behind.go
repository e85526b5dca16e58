package update

import (
	"context"
	"strings"

	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/verdict"
)

// OnFirst plans the case of another suite's check that looks whether the first channel
// still takes what is genuine, and nothing else. It has the channel's bracket.
var OnFirst = mutants(First)

// Opened shows that a genuine image goes over the case's channel, where no case of the run
// has.
func Opened(ctx context.Context, t *check.T) { sit(ctx, t).opened(ctx) }

// IsOpened says whether a case of the run has shown that.
func IsOpened(t *check.T) bool { return t.Shows(bracketOf(t.Case().Channel)) }

// StillRefuses claims of a device to which something was done that it takes no image that
// nobody signed, or that is older by its version or its security counter. No genuine
// image is installed before: it would bring back what may be lost.
func StillRefuses(ctx context.Context, t *check.T, text string) {
	s := sit(ctx, t)
	parent := s.next()
	all := s.make(parent, mutant.Unsigned, mutant.WrongKey, mutant.Downgrade)
	m := made{unmade: all.unmade}
	for _, x := range all.refused {
		if isCore(x) || x.Kind == mutant.Downgrade && !strings.Contains(x.Name, "unprotected") {
			m.refused = append(m.refused, x)
		}
	}
	s.keep(parent, parent.Shows, m)
	if len(m.refused) == 0 {
		t.Inconclusive(verdict.ReasonCoverageGap, "none of these mutants can be made of %s: %s", parent, strings.Join(all.unmade, "; "))
	}
	s.refute(ctx, text, parent, m.refused)
}
