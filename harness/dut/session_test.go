package dut

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRevoke: after it no operation reaches an instrument, and one that is
// inside has its context ended.
func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(t.Context(), nil)
		var began atomic.Int64
		inside := make(chan error)
		go func() {
			inside <- s.Do(t.Context(), "line.a", func(ctx context.Context) error {
				began.Add(1)
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}()
		synctest.Wait()
		s.Revoke()
		require.ErrorIs(t, <-inside, ErrRevoked)
		require.ErrorIs(t, s.Do(t.Context(), "line.a", func(context.Context) error { began.Add(1); return nil }), ErrRevoked)
		assert.EqualValues(t, 1, began.Load())
		assert.True(t, s.Revoked())
		s.Revoke() // twice does nothing more
		parts, err := s.Quiesce(t.Context())
		require.NoError(t, err)
		assert.Empty(t, parts)
	})
}

// TestDo keeps its count right however the operation ends.
func TestDo(t *testing.T) {
	odd := errors.New("odd")
	tests := map[string]func(context.Context) error{
		"returns":              func(context.Context) error { return nil },
		"fails":                func(context.Context) error { return odd },
		"panics":               func(context.Context) error { panic("odd") },
		"ends its goroutine":   func(context.Context) error { runtime.Goexit(); return nil },
		"calls another inside": nil,
	}
	for name, op := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSession(t.Context(), nil)
			if op == nil {
				op = func(ctx context.Context) error {
					return s.Do(ctx, "power", func(context.Context) error { return nil })
				}
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = s.Do(t.Context(), "line.a", op)
			}()
			<-done
			s.Revoke()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			parts, err := s.Quiesce(ctx)
			require.NoError(t, err)
			assert.Empty(t, parts)
		})
	}
	s := NewSession(t.Context(), nil)
	require.ErrorIs(t, s.Do(t.Context(), "a", func(context.Context) error { return odd }), odd)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Do(over, "a", func(context.Context) error { panic("reached") }), context.Canceled)
}

// TestQuiesce names the part in which somebody still is.
func TestQuiesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(t.Context(), nil)
		release := make(chan struct{})
		for _, part := range []wire.Part{"console.main", "line.a"} {
			go func() {
				_ = s.Do(t.Context(), part, func(context.Context) error { <-release; return nil })
			}()
		}
		synctest.Wait()
		s.Revoke()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		parts, err := s.Quiesce(ctx)
		require.EqualError(t, err, "a driver does not come back: still inside [console.main line.a]")
		assert.Equal(t, []wire.Part{"console.main", "line.a"}, parts)
		close(release)
		parts, err = s.Quiesce(t.Context())
		require.NoError(t, err)
		assert.Empty(t, parts)
	})
}

// TestFaultHeard: trouble of an instrument is heard through the session, and
// not any more once it is taken back.
func TestFaultHeard(t *testing.T) {
	var heard []*wire.Fault
	s := NewSession(t.Context(), func(f *wire.Fault) { heard = append(heard, f) })
	fault := &wire.Fault{Part: "line.a", Op: "assert", Err: errors.New("busy")}
	require.ErrorIs(t, s.Do(t.Context(), "line.a", func(context.Context) error { return fault }), error(fault))
	_ = s.Do(t.Context(), "line.a", func(context.Context) error { return errors.New("the DUT said no") })
	assert.Equal(t, []*wire.Fault{fault}, heard)
	_ = s.Do(t.Context(), "line.a", func(context.Context) error { s.Revoke(); return fault })
	assert.Len(t, heard, 1)
}

type pipes struct {
	mu    sync.Mutex
	there []net.Conn
	gate  chan struct{} // when set, a dial waits for it, whatever its context says
}

func (p *pipes) DialContext(context.Context, string, string) (net.Conn, error) {
	if p.gate != nil {
		<-p.gate
	}
	here, there := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there = append(p.there, there)
	return here, nil
}

// TestConnections are closed with the session, also one that was being dialled.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(t.Context(), nil)
		link := &pipes{}
		d := s.Dialer(link, "link")
		c, err := d.DialContext(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		closed, err := d.DialContext(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		require.NoError(t, closed.Close())
		read := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		link.gate = make(chan struct{})
		dialled := make(chan error)
		go func() {
			_, err := d.DialContext(t.Context(), "tcp", "a:2")
			dialled <- err
		}()
		synctest.Wait()
		s.Revoke()
		require.Error(t, <-read)
		_, err = c.Write([]byte("x"))
		require.Error(t, err)
		close(link.gate)
		require.ErrorIs(t, <-dialled, ErrRevoked)
		_, err = link.there[2].Read(make([]byte, 1))
		require.Error(t, err, "the late connection was closed")
		_, err = d.DialContext(t.Context(), "tcp", "a:1")
		require.ErrorIs(t, err, ErrRevoked)
	})
}

// TestSessionRace: many at once, taken back in the middle. Nothing begins after
// Quiesce.
func TestSessionRace(t *testing.T) {
	s := NewSession(t.Context(), func(*wire.Fault) {})
	var quiet atomic.Bool
	var wg sync.WaitGroup
	link := s.Dialer(&pipes{}, "link")
	for range 8 {
		wg.Go(func() {
			for range 500 {
				_ = s.Do(t.Context(), "line.a", func(context.Context) error {
					assert.False(t, quiet.Load(), "an operation after the session was quiet")
					return nil
				})
				if c, err := link.DialContext(t.Context(), "tcp", "a:1"); err == nil {
					_ = c.Close()
				}
			}
		})
	}
	s.Revoke()
	_, err := s.Quiesce(t.Context())
	require.NoError(t, err)
	quiet.Store(true)
	wg.Wait()
}
