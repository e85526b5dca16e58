package beside

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(b []byte) byte { return b[3] }

// panics gives what f panics with.
func panics(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

func TestWait(t *testing.T) {
	failed := errors.New("refused")
	require.NoError(t, Begin(func() error { return nil }).Wait())
	require.ErrorIs(t, Begin(func() error { return failed }).Wait(), failed)
	require.ErrorIs(t, Begin(func() error { runtime.Goexit(); return nil }).Wait(), ErrEnded)
	w := Begin(func() error { parse(nil); return nil })
	<-w.Done()
	p := panics(func() { _ = w.Wait() })
	require.IsType(t, &Panic{}, p)
	assert.Regexp(t, `index out of range.* \(beside, in beside\.parse \(beside_test\.go:\d+\) < beside\.TestWait`, p.(*Panic).String())
	// Through two of them it still says where it began.
	again := panics(func() { _ = Begin(func() error { return w.Wait() }).Wait() })
	assert.Same(t, p, again)
}

func TestAll(t *testing.T) {
	failed := errors.New("refused")
	errs := All(3, func(i int) error { return []error{nil, failed, nil}[i] })
	assert.Equal(t, []error{nil, failed, nil}, errs)
	assert.Empty(t, All(0, nil))
	// One that panics waits for the others.
	others := make([]bool, 4)
	p := panics(func() {
		All(4, func(i int) error {
			if i == 0 {
				panic("hostile bytes")
			}
			runtime.Gosched()
			others[i] = true
			return nil
		})
	})
	require.IsType(t, &Panic{}, p)
	assert.Equal(t, []bool{false, true, true, true}, others)
}
