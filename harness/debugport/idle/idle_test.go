package idle_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/debugport/idle"
	"rigor/harness/wire"
)

// pad is a pin on a pad that the board does something with.
type pad struct {
	gpio.PinIO
	name   string
	board  func(pull gpio.Pull) gpio.Level
	fault  error
	pull   gpio.Pull
	driven bool
}

func (p *pad) Name() string         { return p.name }
func (p *pad) Read() gpio.Level     { return p.board(p.pull) }
func (p *pad) Out(gpio.Level) error { p.driven = true; return nil }
func (p *pad) In(pull gpio.Pull, _ gpio.Edge) error {
	if p.fault != nil && pull != gpio.PullNoChange {
		return p.fault
	}
	p.pull = pull
	return nil
}

type pads []gpio.PinIO

func (p pads) Pins() []gpio.PinIO { return p }
func (p pads) Close() error       { return nil }

func TestRead(t *testing.T) {
	n := 0
	held := func(l gpio.Level) func(gpio.Pull) gpio.Level { return func(gpio.Pull) gpio.Level { return l } }
	fault := &wire.Fault{Part: "pads", Op: "in", Err: errors.New("gone")}
	for _, c := range []struct {
		name  string
		board func(gpio.Pull) gpio.Level
		fault error
		want  idle.State
		err   bool
	}{
		{"nothing on it", func(p gpio.Pull) gpio.Level { return p == gpio.PullUp }, nil, idle.Floats, false},
		{"pulled up", held(gpio.High), nil, idle.High, false},
		{"pulled down", held(gpio.Low), nil, idle.Low, false},
		{"a clock", func(gpio.Pull) gpio.Level { n++; return n%2 == 0 }, nil, idle.Moves, false},
		{"a pin without pulls", held(gpio.High), errors.New("no pulls"), idle.Unread, false},
		{"a pin that is gone", held(gpio.High), fault, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &pad{name: "J3.2", board: c.board, fault: c.fault}
			got, err := idle.Read(t.Context(), pads{p})
			assert.False(t, p.driven, "a pad that may be driven was driven")
			if c.err {
				require.ErrorContains(t, err, "J3.2")
				return
			}
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, c.want, got[0].State)
			assert.Equal(t, "J3.2 "+string(c.want), got[0].String())
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := idle.Read(ctx, pads{&pad{}})
	assert.ErrorIs(t, err, context.Canceled)
}
