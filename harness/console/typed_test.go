package console

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTyped: the lines that were sent are kept with where they were sent, the last ones;
// no secret is among them, and nothing that was not a line.
func TestTyped(t *testing.T) {
	t.Parallel()
	port := newFakePort()
	c := Open(t.Context(), port, Options{})
	defer func() { _ = c.Close() }()
	send := func(line string, how ...How) {
		_, err := c.SendLine(t.Context(), line, how...)
		require.NoError(t, err)
	}
	send("set psk")
	send("hunter22", Secret())
	send("")
	send("abc")
	_, err := c.Send(t.Context(), []byte("no line"))
	require.NoError(t, err)
	assert.Equal(t, []Typed{{At: 0, Line: []byte("set psk")}}, c.Typed(0))
	assert.Empty(t, c.Typed(1))
	for range mostTyped {
		send("more")
	}
	assert.LessOrEqual(t, len(c.Typed(0)), mostTyped)
	assert.GreaterOrEqual(t, len(c.Typed(0)), mostTyped/4*3)
	assert.NotContains(t, c.Typed(0), Typed{At: 0, Line: []byte("set psk")})
}
