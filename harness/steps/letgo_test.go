package steps

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Steps that fail let go of what they asserted, and of nothing else: a button that stays
// pressed would be found stuck, as trouble of the rig.
func TestStepsThatFailLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{lines: map[string]*line{"button": newLine(), "strap": newLine(), "flash": newLine()}}
		b.withConsole(t)
		b.lines["strap"].set(true) // by somebody before
		_, err := Run(t.Context(), b, stepsOf(t, `
    - {assert: flash}
    - {release: flash}
    - {assert: button}
    - {console: main, expect: {seen: reset started}, within: 1s}
    - {release: button}
    - {release: strap}
`), nil)
		var se *StepError
		require.ErrorAs(t, err, &se)
		assert.False(t, b.lines["button"].on)
		assert.True(t, b.lines["strap"].on)

		_, err = Run(t.Context(), b, stepsOf(t, "    - {assert: flash}\n"), nil)
		require.NoError(t, err)
		assert.True(t, b.lines["flash"].on, "what went well leaves it as it says")
		require.NoError(t, b.consoles["main"].Close())
	})
}
