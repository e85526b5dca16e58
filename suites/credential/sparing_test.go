package credential

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// TestSparing: where nobody hears a try nothing is waited for; what is heard again is
// tried anew once it counts, and what opened has opened, though it does so once.
func TestSparing(t *testing.T) {
	t.Parallel()
	unheard, no, yes := dut.Answer{Kind: verdict.Unreachable, Unsent: true}, dut.Answer{Kind: verdict.Refused}, dut.Answer{Kind: verdict.Accepted}
	for name, c := range map[string]struct {
		answers []dut.Answer // of the device
		want    []verdict.Kind
		waits   int
	}{
		"it hears all":                {[]dut.Answer{no, no, yes}, []verdict.Kind{no.Kind, no.Kind, yes.Kind}, 3},
		"nobody is there":             {[]dut.Answer{unheard, unheard, unheard}, []verdict.Kind{unheard.Kind, unheard.Kind, unheard.Kind}, 1},
		"it comes up, and opens":      {[]dut.Answer{unheard, no, yes}, []verdict.Kind{unheard.Kind, yes.Kind}, 2},
		"it comes up, and opens once": {[]dut.Answer{unheard, yes, no}, []verdict.Kind{unheard.Kind, yes.Kind}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			waits := 0
			try := sparing(func(context.Context, login.Credential) (dut.Answer, error) {
				a := c.answers[0]
				c.answers = c.answers[1:]
				return a, nil
			}, func(context.Context, string) error { waits++; return nil })
			for _, want := range c.want {
				a, err := try(t.Context(), login.Credential{User: "root"})
				require.NoError(t, err)
				assert.Equal(t, want, a.Kind)
			}
			assert.Equal(t, c.waits, waits)
		})
	}
}
