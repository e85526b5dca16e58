package update_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/rigs/rigtest"
	"rigor/suites/update"
)

// TestRaceMissed: what is sent at the same time and comes only when the other one is through
// has raced with nothing. The device has the weakness; a pass would say that it has not.
func TestRaceMissed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("updates a device many times")
	}
	slow := func(p *profile.Profile) {
		for _, name := range []string{"web", "pull", "ssh"} {
			u := *p.Updates.Items[name]
			u.Steps = slices.Insert(slices.Clone(u.Steps), 0, profile.Step{Verb: "wait", Wait: time.Second})
			p.Updates.Items[name] = &u
		}
	}
	res := rigtest.Run(t, update.Suite, rigtest.Planted{Weaknesses: []string{"fw-race-across"}, Profile: slow}, "upd-toctou[api]")
	i := slices.IndexFunc(res.Cases, func(c journal.Case) bool { return c.ID == "upd-toctou[api]" })
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, "inconclusive.ineffective", rigtest.Judged(&res.Cases[i]), "%s", res.Cases[i].Judgement)
}
