package credential_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// TestEnumLocksNobody: over a link on which the tries that lock take longer than the window
// in which they count, nobody is shown to be locked: that known and unknown accounts are
// answered alike then, or that one of them is not, says nothing of the accounts.
func TestEnumLocksNobody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("tries over a slow link")
	}
	c := run(t, planted{Drivers: slow(60 * time.Millisecond)}, "cred-enum[api]").Case("cred-enum[api]")
	assert.Equal(t, verdict.Inconclusive, c.Judgement.Verdict, c.Judgement)
	assert.Equal(t, verdict.ReasonIneffective, c.Judgement.Reason, c.Judgement)
	assert.Contains(t, c.Judgement.Detail, "longer than the window of 750ms in which they count")
}

// TestEnumOverABadWire: where the wire garbles answers to equal tries, nobody is locked to be
// compared by one answer each.
func TestEnumOverABadWire(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("each answer is waited for in vain")
	}
	c := run(t, planted{Faults: []string{"garbage"}}, "cred-enum[console]").Case("cred-enum[console]")
	assert.Equal(t, verdict.Inconclusive, c.Judgement.Verdict, c.Judgement)
	for _, claim := range c.Claims {
		assert.Equal(t, journal.Unknown, claim.Holds, claim)
	}
	assert.Less(t, c.Took, time.Minute, "tries that lock, none of which says anything")
}
