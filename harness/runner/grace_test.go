package runner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestLeakOnABusyComputer: what ends late because nothing runs here for seconds is no
// leak; what does not end is one, however late it is looked at.
func TestLeakOnABusyComputer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		late time.Duration // each pause takes so much longer
		ends int           // looks after which it has ended; 0: it does not
		want []string
	}{
		{"ends at once", 0, 1, nil},
		{"ends late, on an idle computer", 0, 20, nil},
		{"ends late, on a busy one", 3 * time.Second, 20, nil},
		{"does not end", 0, 0, []string{"net/http.(*persistConn).writeLoop"}},
		{"does not end, on a busy computer", 3 * time.Second, 0, []string{"net/http.(*persistConn).writeLoop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, looks := time.Now(), 0
				got := outlast(t.Context(), graceLeak, func(ctx context.Context, d time.Duration) bool { return pause(ctx, d+c.late) }, func() []string {
					if looks++; looks > c.ends && c.ends > 0 {
						return nil
					}
					return []string{"net/http.(*persistConn).writeLoop"}
				})
				assert.Equal(t, c.want, got)
				assert.Less(t, looks, 40, "the grace has an end")
				if c.late == 0 {
					assert.LessOrEqual(t, time.Since(began), graceLeak+gracePause)
				}
			})
		})
	}
}

// TestHadTime: a grace ends, and ends with its context.
func TestHadTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := hadTime(t.Context(), 250*time.Millisecond)
		defer cancel()
		<-ctx.Done()
		assert.Equal(t, 250*time.Millisecond, time.Since(began))
		outer, end := context.WithCancel(t.Context())
		ctx, cancel = hadTime(outer, time.Hour)
		defer cancel()
		end()
		<-ctx.Done()
	})
}

// TestLastLook: the look at the rig behind the cases has its own time, and of a run that was
// told to end three seconds of what is left of the ten in which checks unwind.
func TestLastLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		free, end := signalOf(ctx).left(ctx)
		_, bounded := free.Deadline()
		assert.False(t, bounded)
		end()

		time.Sleep(time.Hour)
		for unwound, want := range map[time.Duration]time.Duration{time.Second: time.Second + graceLook, 9 * time.Second: graceSignal} {
			ctx, cancel := context.WithCancel(t.Context())
			s := signalOf(ctx)
			told := time.Now()
			cancel()
			synctest.Wait()
			time.Sleep(unwound)
			look, end := s.left(ctx)
			assert.NoError(t, look.Err(), "it is looked at all the same")
			<-look.Done()
			assert.Equal(t, want, time.Since(told))
			end()
		}
	})
}
