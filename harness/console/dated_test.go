package console

import (
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/console/expect"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// datedPort is a fake port whose bytes are read late: it knows when there were none.
type datedPort struct {
	*fakePort
	empty time.Time
}

func (p *datedPort) Empty() time.Time { return p.empty }

// TestNotBefore: a byte that was read late is known not to have come before a moment; of
// a port that cannot tell, and of what has not come, nothing is.
func TestNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := &datedPort{fakePort: newFakePort()}
		c := Open(t.Context(), port, Options{})
		defer func() { assert.NoError(t, c.Close()) }()
		port.empty = time.Now()
		time.Sleep(time.Second) // on the wire all the while
		port.say("system ready\r\n")
		m, err := c.Expect(within(t, time.Second), 0, expect.MustText("ready"))
		require.NoError(t, err)
		assert.Equal(t, port.empty, c.NotBefore(m.To-1))
		assert.Equal(t, port.empty.Add(time.Second), c.When(m.To-1))
		assert.Zero(t, c.NotBefore(100))
		plain, p := open(t, Options{})
		p.say("x")
		synctest.Wait()
		assert.Zero(t, plain.NotBefore(0))
	})
}
