package gpio

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	periph "periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"rigor/harness/wire"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		conf Config
		want []string // parts of the error; none is a good configuration
	}{
		{Config{Part: "line.x", Active: ActiveLow}, nil},
		{Config{Part: "line.x", Active: ActiveHigh, Drive: OpenSource, Poll: time.Millisecond, Pull: periph.PullDown}, nil},
		{Config{}, []string{"no part name", "active is missing: want low or high"}},
		{Config{Part: "line.x", Active: 9}, []string{"active is missing"}},
		{Config{Part: "line.x", Active: ActiveHigh, Drive: OpenDrain}, []string{`line "line.x"`, "can only pull low"}},
		{Config{Part: "line.x", Active: ActiveLow, Drive: OpenSource}, []string{"can only pull high"}},
		{Config{Part: "line.x", Active: ActiveLow, Drive: OpenDrain, HoldIdle: true}, []string{"open-drain line cannot hold"}},
		{Config{Part: "line.x", Active: ActiveLow, Drive: 7}, []string{"Drive(7)"}},
		{Config{Part: "line.x", Active: ActiveLow, Pull: 9}, []string{"Pull(9)"}},
		{Config{Part: "line.x", Active: ActiveLow, Poll: time.Hour}, []string{"poll 1h0m0s: want 100µs to 1s"}},
		{Config{Part: "line.x", Active: ActiveLow, Poll: -1}, []string{"poll -1ns"}},
	} {
		_, err := NewLine(newCdevPin(high), tc.conf)
		if tc.want == nil {
			assert.NoError(t, err)
			continue
		}
		for _, w := range tc.want {
			assert.ErrorContains(t, err, w)
		}
	}
	_, err := NewLine(nil, Config{Part: "line.x", Active: ActiveLow})
	assert.Error(t, err)
}

func TestParse(t *testing.T) {
	for _, a := range []Active{ActiveLow, ActiveHigh} {
		got, err := ParseActive(a.String())
		require.NoError(t, err)
		assert.Equal(t, a, got)
	}
	for _, d := range []Drive{PushPull, OpenDrain, OpenSource} {
		got, err := ParseDrive(d.String())
		require.NoError(t, err)
		assert.Equal(t, d, got)
	}
	for s, want := range map[string]periph.Pull{"none": periph.Float, "up": periph.PullUp, "down": periph.PullDown} {
		got, err := ParsePull(s)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := ParseActive("Low")
	require.ErrorContains(t, err, "want low or high")
	_, err = ParseDrive("")
	require.ErrorContains(t, err, "want push-pull")
	_, err = ParsePull("PullUp")
	require.ErrorContains(t, err, "want none, up or down")
}

func TestFind(t *testing.T) {
	pins := make([]*cdevPin, 5)
	for i := range pins {
		pins[i] = newCdevPin(high)
	}
	all := []chip{
		{name: "gpiochip0", label: "pinctrl-bcm2711", path: "/dev/gpiochip0", lines: []chipLine{
			{offset: 0, name: "ID_SDA", pin: pins[0]}, {offset: 1, name: "GPIO1", pin: pins[1], consumer: "hog"}, {offset: 2, pin: pins[2]}}},
		{name: "gpiochip1", label: "expander", path: "/dev/gpiochip1", lines: []chipLine{
			{offset: 0, name: "GPIO1", pin: pins[3]}, {offset: 1, name: "-", pin: pins[4]}}},
		{name: "gpiochip2", label: "expander", path: "/dev/gpiochip2"},
	}
	for ref, want := range map[string]*cdevPin{
		"ID_SDA": pins[0], "gpiochip0:2": pins[2], "/dev/gpiochip1:1": pins[4], "pinctrl-bcm2711:1": pins[1], "gpiochip1:0": pins[3],
	} {
		got, err := find(ref, all)
		require.NoError(t, err, ref)
		assert.Same(t, want, got.pin, ref)
	}
	for ref, want := range map[string]string{
		"GPIO1":        "not unique, say which: gpiochip0:1, gpiochip1:0",
		"GPIO17":       "there are: gpiochip0 (pinctrl-bcm2711) with 0=ID_SDA 1=GPIO1 2; gpiochip1 (expander) with 0=GPIO1 1",
		"gpiochip0:9":  "there are: gpiochip0",
		"gpiochip9:0":  "there are: gpiochip0",
		"gpiochip0:x":  `offset "x" is no number`,
		"gpiochip0:-1": "is no number",
		"expander:0":   `2 chips are called "expander"`,
		"-":            "names no line",
		"":             "names no line",
	} {
		_, err := find(ref, all)
		require.ErrorIs(t, err, ErrNoLine, ref)
		assert.ErrorContains(t, err, want, ref)
	}
	_, err := find("GPIO17", nil)
	require.ErrorContains(t, err, "there are: no GPIO chips")
	long := []chip{{name: "gpiochip0", label: "big", lines: make([]chipLine, 500)}}
	_, err = find("GPIO17", long)
	require.ErrorContains(t, err, "and 436 more")
	assert.Less(t, len(err.Error()), 500)
}

func TestOpenMissing(t *testing.T) {
	_, err := Open("no-such-line-anywhere", Config{Part: "line.reset", Active: ActiveLow})
	f, ok := wire.AsFault(err)
	require.True(t, ok, "%v", err)
	require.ErrorIs(t, err, ErrNoLine)
	assert.Equal(t, `open GPIO line "no-such-line-anywhere"`, f.Op)
	if len(gpioioctl.Chips) == 0 {
		assert.ErrorContains(t, err, "no GPIO chips found")
	}
	_, err = Open("GPIO4", Config{})
	require.ErrorContains(t, err, "no part name")
}

func TestPower(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			pin := newCdevPin(high)
			line := newLine(t, pin, Config{Active: ActiveLow})
			p, err := NewPower("power", line, PowerConfig{NormallyClosed: closed, OnSettle: time.Second, OffSettle: 2 * time.Second})
			require.NoError(t, err)
			assert.Equal(t, []periph.Level{high}, pin.levels(), "making a switch switches nothing")
			rest := wire.PowerOff
			if closed {
				rest = wire.PowerOn
			}
			state := func() wire.PowerState {
				s, err := p.State(ctx)
				require.NoError(t, err)
				return s
			}
			assert.Equal(t, rest, state())
			start := time.Now()
			require.NoError(t, p.On(ctx))
			assert.Equal(t, time.Second, time.Since(start))
			assert.Equal(t, wire.PowerOn, state())
			assert.Equal(t, !closed, pin.isOutput())
			require.NoError(t, p.Off(ctx))
			assert.Equal(t, 3*time.Second, time.Since(start))
			assert.Equal(t, wire.PowerOff, state())
			assert.Equal(t, closed, pin.isOutput())
			pin.fail(errors.New("gone"), errors.New("gone"))
			for _, err := range []error{p.On(ctx), p.Off(ctx)} {
				f, ok := wire.AsFault(err)
				require.True(t, ok)
				assert.Equal(t, wire.Part("power"), f.Part)
			}
			pin.fail(nil, nil)
			require.NoError(t, p.Close())
			assert.False(t, pin.isOutput())
		})
	}
	_, err := NewPower("power", nil, PowerConfig{})
	require.Error(t, err)
	_, err = NewPower("power", &Line{}, PowerConfig{OffSettle: time.Hour})
	require.ErrorContains(t, err, "want 0 to 1m0s")
}

func TestGroup(t *testing.T) {
	ctx := t.Context()
	pins := []*cdevPin{newCdevPin(high), newCdevPin(high), newCdevPin(high)}
	var g Group
	for _, p := range pins {
		g = append(g, newLine(t, p, Config{Active: ActiveLow}))
	}
	require.NoError(t, g.Assert(ctx))
	for _, p := range pins {
		assert.True(t, p.isOutput())
	}
	pins[2].fail(errors.New("stuck"), nil)
	require.ErrorContains(t, g.Release(ctx), "stuck")
	assert.False(t, pins[0].isOutput() || pins[1].isOutput(), "one stuck line does not hold the others")
	pins[2].fail(nil, nil)
	require.NoError(t, g.Release(ctx))
	pins[1].fail(nil, errors.New("refused"))
	require.ErrorContains(t, g.Assert(ctx), "refused")
	for _, p := range pins {
		assert.False(t, p.isOutput(), "half a group is no group")
	}
	require.NoError(t, g.Close())
}
