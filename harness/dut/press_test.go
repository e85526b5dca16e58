package dut

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/profile"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stuck is a line that does not come back from being let go until it is told to.
type stuck struct {
	wire.Line
	waited time.Duration
}

func (*stuck) Assert(context.Context) error { return nil }

func (s *stuck) Release(ctx context.Context) error {
	begun := time.Now()
	<-ctx.Done()
	s.waited = time.Since(begun)
	return context.Cause(ctx)
}

// TestPressThatEnds: a button is let go behind the end of a case, and no line holds the rig
// for ever by it.
func TestPressThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &stuck{}
		d := New(&profile.Profile{}, Unit{}, &Bench{Lines: map[string]wire.Line{"button": l}}).With(NewSession(t.Context(), nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := d.Press(ctx, profile.Press{ID: "reset", Line: "button"}, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, letGoWithin, l.waited)
	})
}
