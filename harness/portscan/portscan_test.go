package portscan

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// quick are limits for hosts that answer at once.
var quick = Limits{Connections: 64, Rate: 1_000_000, Least: 10 * time.Millisecond, Most: 80 * time.Millisecond}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

func TestTCP(t *testing.T) {
	for name, tt := range map[string]struct {
		host           *host
		open, filtered []int
	}{
		"refuses":        {&host{open: set(22, 80)}, []int{22, 80}, nil},
		"one is dropped": {&host{open: set(22), drops: set(100)}, []int{22}, []int{100}},
		"one is rejected in between": {
			&host{open: set(22), rejects: set(23)}, []int{22}, []int{23},
		},
		"most are dropped": {&host{open: set(22), drops: set(upTo(400)[30:]...)}, []int{22}, upTo(400)[30:]},
		"slow":             {&host{open: set(22), delay: 5 * time.Millisecond}, []int{22}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, err := NewTCP(tt.host, "192.0.2.7", 22, quick).Scan(t.Context(), upTo(400))
			require.NoError(t, err)
			assert.Equal(t, tt.open, res.In(Open))
			assert.Equal(t, tt.filtered, res.In(Filtered))
			assert.Equal(t, 400-len(tt.open)-len(tt.filtered), res.Count(Closed))
			assert.Empty(t, res.In(Unasked), "every port has a final state")
			for _, f := range res.Found {
				if f.State == Filtered {
					assert.Equal(t, DefaultTries, f.Tries)
					assert.NotEmpty(t, f.Why)
				}
			}
		})
	}
}

// A stack that drops what is too much at once filters nothing: the open port
// among them is found, and no port that refuses is called filtered.
func TestSmallStack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a slow device; left out by -short")
	}
	for _, bears := range []int64{3, 6, 20} {
		h := &host{open: set(22, 133), bears: bears, delay: time.Millisecond}
		res, err := NewTCP(h, "192.0.2.7", 22, quick).Scan(t.Context(), upTo(200))
		require.NoError(t, err, "bears %d", bears)
		assert.Equal(t, []int{22, 133}, res.In(Open), "bears %d", bears)
		assert.Equal(t, 198, res.Count(Closed), "bears %d: filtered %v", bears, res.In(Filtered))
	}
}

// Silence with a dead path is no state.
func TestDeadPath(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a slow device; left out by -short")
	}
	dead := &host{open: set(22)}
	dead.dead.Store(true)
	_, err := NewTCP(dead, "192.0.2.7", 22, quick).Scan(t.Context(), upTo(200))
	require.ErrorIs(t, err, ErrPath)

	dies := &host{open: set(22)}
	dies.broken = func(n int64) error {
		dies.dead.Store(n > 100)
		return nil
	}
	res, err := NewTCP(dies, "192.0.2.7", 22, quick).Scan(t.Context(), upTo(200))
	require.ErrorIs(t, err, ErrPath)
	assert.Zero(t, res.Count(Filtered), "nothing that was silent on a dead path is filtered")
	assert.NotEmpty(t, res.In(Unasked))

	_, err = NewTCP(&host{drops: set(7)}, "192.0.2.7", 0, quick).Scan(t.Context(), upTo(10))
	require.ErrorIs(t, err, ErrPath, "without a port that is known to be open, silence is nothing")
}

func TestRigTrouble(t *testing.T) {
	t.Parallel()
	fault := &wire.Fault{Part: "link", Op: "dial", Err: syscall.ENETDOWN}
	for name, broken := range map[string]error{"a fault": fault, "another error": errors.New("no address")} {
		h := &host{open: set(22), broken: func(n int64) error {
			if n > 20 {
				return broken
			}
			return nil
		}}
		_, err := NewTCP(h, "192.0.2.7", 22, quick).Scan(t.Context(), upTo(400))
		require.ErrorIs(t, err, broken, name)
		_, err = ScanUDP(t.Context(), h, "192.0.2.7", CommonUDP(), quick)
		require.ErrorIs(t, err, broken, name)
	}
}

// The end of the context ends a scan at once, and says so.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := NewTCP(&host{open: set(22), drops: set(upTo(5000)[30:]...)}, "192.0.2.7", 22, Limits{Least: time.Second}).Scan(ctx, upTo(5000))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begun), 5*time.Second)
}

func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	h := &host{open: set(22), delay: 2 * time.Millisecond}
	begun := time.Now()
	_, err := NewTCP(h, "192.0.2.7", 22, Limits{Connections: 5, Rate: 1000}).Scan(t.Context(), upTo(300))
	require.NoError(t, err)
	assert.LessOrEqual(t, h.peak.Load(), int64(5))
	assert.GreaterOrEqual(t, time.Since(begun), 280*time.Millisecond, "1000 a second")
}

func TestUDP(t *testing.T) {
	t.Parallel()
	h := &host{udp: map[int]string{53: "an answer", 4000: "too"}, quiet: set(161, 4001)}
	res, err := ScanUDP(t.Context(), h, "192.0.2.7", append(CommonUDP(), 4000, 4001), Limits{Tries: 2})
	require.NoError(t, err)
	assert.Equal(t, []int{53, 4000}, res.In(Open))
	assert.Equal(t, []int{161, 4001}, res.In(Filtered))
	assert.Equal(t, len(CommonUDP())-2, res.Count(Closed))
	assert.Empty(t, res.In(Unasked))
	assert.Equal(t, "an answer", string(res.Found[0].Said))
	assert.Equal(t, 3, h.asked[161], "each question is asked once at least")
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for _, p := range CommonUDP() {
		for _, q := range Questions(p) {
			assert.NotEmpty(t, q.Name, "port %d", p)
			assert.NotEmpty(t, q.Bytes, "port %d", p)
			assert.LessOrEqual(t, len(q.Bytes), 1200, "port %d: it fits into one packet", p)
		}
	}
	assert.NotEmpty(t, Questions(40000))
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	said, to, err := Greeting(t.Context(), &host{open: set(22)}, "192.0.2.7", 22)
	require.NoError(t, err)
	assert.Equal(t, "hello\n", string(said))
	assert.Equal(t, "by itself", to)
	said, _, err = Greeting(t.Context(), &host{}, "192.0.2.7", 22)
	require.NoError(t, err)
	assert.Empty(t, said)
}

func TestRanges(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "1-3, 7, 9-10", Ranges([]int{10, 1, 2, 3, 7, 9}))
	assert.Empty(t, Ranges(nil))
}

// What a lookup in the own process costs for each port: the engine alone.
func BenchmarkEngine(b *testing.B) {
	h := inProcess{}
	ports := upTo(65535)
	for b.Loop() {
		if _, err := NewTCP(h, "192.0.2.7", 22, Limits{Connections: 64, Rate: 1_000_000_000}).Scan(b.Context(), ports); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/65535, "ns/port")
}
