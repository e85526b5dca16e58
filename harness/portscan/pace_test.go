package portscan

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stalls is a host that answers nobody for a while, once.
type stalls struct {
	host
	from, lasts time.Duration
	begun       time.Time
}

// DialContext answers, but for the while.
func (s *stalls) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	since := time.Since(s.begun)
	s.dead.Store(since > s.from && since < s.from+s.lasts)
	return s.host.DialContext(ctx, network, address)
}

// A device, or the computer that emulates it, that stands still for some seconds
// once does not make all that is left slow.
func TestPaceComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, lasts := range []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second} {
			h := &stalls{host: host{open: set(22), delay: 500 * time.Microsecond}, from: 2 * time.Second, lasts: lasts, begun: time.Now()}
			res, err := NewTCP(h, "192.0.2.7", 22, Limits{}).Scan(t.Context(), upTo(20000))
			require.NoError(t, err)
			assert.Equal(t, 19999, res.Count(Closed))
			assert.Positive(t, res.Backoffs)
			assert.Less(t, res.Took, 8*time.Second+lasts+10*time.Second, "stood still for %v; 20000 ports at 2500 a second are 8 s", lasts)
		}
	})
}

// bearing is a host that answers so many a second, and drops what is more.
type bearing struct {
	host
	rate  float64
	mu    sync.Mutex
	left  float64
	since time.Time
}

// DialContext answers what the host bears.
func (b *bearing) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	b.mu.Lock()
	now := time.Now()
	b.left = min(b.left+b.rate*now.Sub(b.since).Seconds(), b.rate/10)
	b.since = now
	over := b.left < 1
	if !over {
		b.left--
	}
	b.mu.Unlock()
	if over {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	return b.host.DialContext(ctx, network, address)
}

// What is too quick for a device is not tried again and again, and nothing that it
// drops for that is called filtered.
func TestPaceIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{100, 400, 1500} {
			b := &bearing{host: host{open: set(22, 7777), delay: 500 * time.Microsecond}, rate: rate, since: time.Now()}
			res, err := NewTCP(b, "192.0.2.7", 22, Limits{}).Scan(t.Context(), upTo(20000))
			require.NoError(t, err, "%v a second", rate)
			assert.Equal(t, []int{22, 7777}, res.In(Open), "%v a second", rate)
			assert.Equal(t, 19998, res.Count(Closed), "%v a second", rate)
			least := time.Duration(20000 / rate * float64(time.Second))
			t.Logf("%v a second: %v, %d backoffs; %v at the least", rate, res.Took.Round(time.Millisecond), res.Backoffs, least)
			assert.Less(t, res.Took, 3*least+10*time.Second, "%v a second", rate)
		}
	})
}
