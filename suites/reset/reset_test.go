package reset_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

func run(t *testing.T, p rigtest.Planted, selectors ...string) *journal.Result {
	t.Helper()
	return rigtest.Run(t, reset.Suite, p, selectors...)
}

func TestHardened(t *testing.T) {
	res := run(t, rigtest.Planted{Dir: "/tmp/r2-run"})
	for _, c := range res.Cases {
		t.Logf("%s %s", c.ID, c.Judgement)
	}
	require.NotEmpty(t, res.Cases)
}
