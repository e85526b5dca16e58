package steps

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What shows that an act is done may come before anybody begins to wait for it: right
// behind what the act itself has waited for, or behind its last step.
func TestRunThenMissesNothing(t *testing.T) {
	for _, c := range []struct{ name, act, meanwhile, between string }{
		{"a console that the act looks at", `
    - {assert: button}
    - {console: main, expect: {seen: reset started}, within: 1s}
    - {release: button}
`, "reset started\r\nreset complete\r\n", ""},
		{"one that it does not look at", "    - {assert: button}\n    - {release: button}\n", "", "reset complete\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bench{lines: map[string]*line{"button": newLine()}}
				p := b.withConsole(t)
				if c.meanwhile != "" {
					time.AfterFunc(100*time.Millisecond, func() { p.say(c.meanwhile) })
				}
				there := 0
				_, err := RunThen(t.Context(), b, stepsOf(t, c.act), func() {
					there++
					if c.between != "" {
						p.say(c.between)
					}
					synctest.Wait()
				}, stepsOf(t, "    - {console: main, expect: {seen: reset complete}, within: 1s}\n"), nil)
				require.NoError(t, err)
				assert.Equal(t, 1, there)
				assert.False(t, b.lines["button"].on)
				require.NoError(t, b.consoles["main"].Close())
			})
		})
	}
}
