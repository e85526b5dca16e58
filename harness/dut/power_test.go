package dut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/console"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// board is a DUT with a supply, a console and a network service, of which each
// can be dead.
type board struct {
	mu      sync.Mutex
	on      bool
	deadOff bool // its supply does not switch off
	deadOn  bool // nor on
	silent  bool // nothing on the console
	noNet   bool
	noState bool          // the switch cannot tell
	boot    string        // what it says when power comes
	slow    time.Duration // until then
	out     chan []byte
	closed  chan struct{}
}

func (b *board) On(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deadOn {
		return nil
	}
	if was := b.on; !was && !b.silent {
		if b.slow == 0 {
			b.out <- []byte(b.boot)
		} else {
			time.AfterFunc(b.slow, func() { b.out <- []byte(b.boot) })
		}
	}
	b.on = true
	return nil
}

func (b *board) Off(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = b.on && b.deadOff
	return nil
}

func (b *board) State(context.Context) (wire.PowerState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.noState:
		return wire.PowerUnknown, nil
	case b.on:
		return wire.PowerOn, nil
	}
	return wire.PowerOff, nil
}

func (b *board) Read(p []byte) (int, error) {
	select {
	case data := <-b.out:
		return copy(p, data), nil
	case <-b.closed:
		return 0, io.EOF
	}
}

func (b *board) Write(_ context.Context, _ []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on && !b.silent {
		b.out <- []byte("\r\nlogin: ")
	}
	return nil
}
func (*board) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (*board) SetRate(context.Context, int) error         { return nil }
func (*board) Close() error                               { return nil }
func (*board) Check(context.Context) error                { return nil }

func (b *board) DialContext(context.Context, string, string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.on || b.noNet {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	return here, there.Close()
}

const bootText = "ROM 1.2\r\nloading\r\nsystem ready\r\nlogin: "

// with is the board's device over a session, with a console and a login where
// asked for.
func (b *board) with(t *testing.T, withConsole, withNetwork bool) *Device {
	t.Helper()
	b.out, b.closed = make(chan []byte, 64), make(chan struct{})
	p := &profile.Profile{}
	bench := &Bench{Power: b, Consoles: map[string]*console.Console{}}
	if withConsole {
		con := console.Open(t.Context(), b, console.Options{Part: "console.main"})
		t.Cleanup(func() { close(b.closed); _ = con.Close() })
		bench.Consoles["main"] = con
		p.Consoles = profile.Section[*profile.Console]{Given: true, Order: []string{"main"}, Items: map[string]*profile.Console{"main": {
			Boot: profile.Boot{Banner: profile.Pattern{Literal: "ROM 1.2"}, Done: profile.Pattern{Literal: "system ready"}, Within: 5 * time.Second}}}}
	}
	if withNetwork {
		bench.Link, bench.Address = b, "192.0.2.1"
		p.Logins = profile.Section[*profile.Login]{Given: true, Order: []string{"ssh"}, Items: map[string]*profile.Login{"ssh": {Protocol: "ssh", Port: 22}}}
	}
	return New(p, Unit{Serial: "A1"}, bench).With(NewSession(t.Context(), nil))
}

// signOfLife is what a program of the bench sees.
var signOfLife = &profile.Alive{Steps: []profile.Step{{Verb: "exec", Exec: []string{"ping-it"}, Expect: profile.Expect{Match: profile.Pattern{Literal: "here"}}}}}

func (b *board) exec(context.Context, []string, map[string]string) (string, map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.noNet:
		return "", nil, &wire.Fault{Part: "exec", Op: "run", Err: errors.New("no such program")}
	case !b.on:
		return "", nil, fmt.Errorf("%w: nobody there", steps.ErrNotDone)
	}
	return "here", nil, nil
}

// TestPowerCycle: a cycle that did not happen is never taken for one.
func TestPowerCycle(t *testing.T) {
	tests := []struct {
		name             string
		b                *board
		console, network bool
		alive            *profile.Alive
		want             error // nil: it happened
		fault            bool
	}{
		{name: "seen on the console", b: &board{on: true, boot: bootText}, console: true},
		{name: "from off", b: &board{boot: bootText}, console: true},
		{name: "no banner", b: &board{on: true, boot: "loading\r\nsystem ready\r\n"}, console: true, want: ErrLost},
		{name: "no end of the boot", b: &board{on: true, boot: "ROM 1.2\r\nloading\r\n"}, console: true, want: ErrLost},
		{name: "the supply stays on", b: &board{on: true, deadOff: true, boot: bootText}, console: true, want: ErrLost},
		{name: "the supply stays off", b: &board{on: true, deadOn: true, boot: bootText}, console: true, want: ErrLost},
		{name: "seen on the network", b: &board{on: true}, network: true},
		{name: "the network answers while it is off", b: &board{on: true, deadOff: true}, network: true, fault: true},
		{name: "the network does not come back", b: &board{on: true, deadOn: true}, network: true, want: ErrLost},
		{name: "nothing could show it", b: &board{on: true}, want: ErrNotDeclared},
		{name: "its sign of life goes and comes", b: &board{on: true}, alive: signOfLife},
		{name: "its sign of life stays", b: &board{on: true, deadOff: true}, alive: signOfLife, fault: true},
		{name: "its sign of life does not come back", b: &board{on: true, deadOn: true}, alive: signOfLife, want: ErrLost},
		{name: "the program that looks for it is broken", b: &board{on: true, noNet: true}, alive: signOfLife, fault: true},
		{name: "nothing shows it, and that is declared", b: &board{on: true}, alive: &profile.Alive{None: profile.None{None: "it is potted"}}, want: ErrNotWired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := tt.b.with(t, tt.console, tt.network)
				if tt.alive != nil {
					d.Profile.Alive, d.bench.Exec = *tt.alive, tt.b.exec
				}
				err := d.PowerCycle(t.Context())
				_, fault := wire.AsFault(err)
				assert.Equal(t, tt.fault, fault, "%v", err)
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
				} else if !tt.fault {
					require.NoError(t, err)
				}
			})
		})
	}
}

// TestWaitThatEnds: who ends a wait for a DUT has not seen that it is lost, and what is
// told of one that is says why.
func TestWaitThatEnds(t *testing.T) {
	for name, alive := range map[string]*profile.Alive{"its sign of life": signOfLife, "its services": nil} {
		for end, want := range map[string]error{"the run": context.Canceled, "its session": ErrRevoked, "its time": ErrLost} {
			t.Run(name+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &board{on: true, deadOn: true}
					d := b.with(t, false, alive == nil)
					if alive != nil {
						d.Profile.Alive, d.bench.Exec = *alive, b.exec
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					switch end {
					case "the run":
						time.AfterFunc(3500*time.Millisecond, cancel)
					case "its session":
						time.AfterFunc(3500*time.Millisecond, func() { d.s.Revoke() })
					}
					err := d.PowerCycle(ctx)
					require.ErrorIs(t, err, want)
					assert.Equal(t, end == "its time", errors.Is(err, ErrLost), "%v", err)
					assert.NotContains(t, err.Error(), "%!")
				})
			})
		}
	}
}

// TestPowerUp takes a DUT as it is where there is no switch, and where nothing
// shows the boot.
func TestPowerUp(t *testing.T) {
	require.NoError(t, New(&profile.Profile{}, Unit{}, &Bench{}).With(NewSession(t.Context(), nil)).PowerUp(t.Context()))
	b := &board{}
	require.NoError(t, b.with(t, false, false).PowerUp(t.Context()))
	assert.True(t, b.on)
}

// TestFingerprint: a power cut, a boot that we did not ask for, and another
// unit change it; nothing else does.
func TestFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, boot: bootText}
		d := b.with(t, true, false)
		serial := "A1"
		d.Profile.Identity = profile.Identity{Steps: []profile.Step{{Verb: "exec", Exec: []string{"id"}, Extract: map[string]string{"serial": "text"}}}}
		d.bench.Exec = func(context.Context, []string, map[string]string) (string, map[string]string, error) {
			return serial, nil, nil
		}
		print := func() string {
			t.Helper()
			synctest.Wait()
			f, err := d.Fingerprint(t.Context())
			require.NoError(t, err)
			return f
		}
		say := func(s string) { b.out <- []byte(s) }

		first := print()
		assert.Equal(t, `0 power-ons by us, 0 boots seen on main, unit "A1"`, first)
		say("some text\r\n")
		say("ROM 1.")
		assert.Equal(t, first, print(), "half a banner is none")
		say("2\r\n")
		rebooted := print()
		assert.NotEqual(t, first, rebooted, "a banner that came in two pieces counts")
		assert.Equal(t, rebooted, print(), "and once")
		say("ROM 1.2\r\nROM 1.2\r\n")
		assert.Contains(t, print(), "3 boots seen on main")
		before := print()
		require.NoError(t, d.PowerCycle(t.Context()))
		cycled := print()
		assert.NotEqual(t, before, cycled)
		serial = "B2"
		assert.NotEqual(t, cycled, print())
	})
	t.Run("nothing to go by", func(t *testing.T) {
		_, err := (&board{}).with(t, false, false).Fingerprint(t.Context())
		require.ErrorIs(t, err, ErrNotDeclared)
	})
}

// TestDiagnose: what seems to have become of a DUT, and whether the rig could
// tell.
func TestDiagnose(t *testing.T) {
	tests := []struct {
		b                *board
		console, network bool
		want             Diagnosis
	}{
		{&board{on: true}, true, true, Diagnosis{"in another state than expected", true, false}},
		{&board{on: true}, true, false, Diagnosis{"in another state than expected", true, false}},
		{&board{on: true, noNet: true}, true, true, Diagnosis{"network gone", true, false}},
		{&board{on: true, silent: true}, true, true, Diagnosis{"console silent", true, false}},
		{&board{on: true, silent: true, noNet: true}, true, true, Diagnosis{"hung or off: neither console nor network answers", true, true}},
		{&board{on: true, silent: true, noNet: true, noState: true}, true, true, Diagnosis{"hung or off: neither console nor network answers", false, true}},
		{&board{}, true, true, Diagnosis{Diagnosis: "off"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.want.Diagnosis, tt.want.CanTell), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, tt.want, tt.b.with(t, tt.console, tt.network).Diagnose(t.Context()))
			})
		})
	}
}

// TestIdentify: the unit that the rig names, another one, and one whose
// identifier is wrong while its hardware address is right.
func TestIdentify(t *testing.T) {
	tests := []struct {
		name   string
		unit   Unit
		said   map[string]string
		equals string
		err    error
	}{
		{"right", Unit{Serial: "A1"}, map[string]string{"serial": "A1"}, "unit.serial", nil},
		{"another", Unit{Serial: "A1"}, map[string]string{"serial": "B2"}, "unit.serial", ErrOtherUnit},
		{"none said", Unit{Serial: "A1"}, map[string]string{"serial": ""}, "unit.serial", ErrOtherUnit},
		{"right by its address", Unit{Serial: "A1", MAC: "02:00:00:00:00:0a"}, map[string]string{"serial": "0", "mac": "02:00:00:00:00:0A"}, "unit.serial", nil},
		{"wrong by its address too", Unit{Serial: "A1", MAC: "02:00:00:00:00:0a"}, map[string]string{"serial": "0", "mac": "02:00:00:00:00:0b"}, "unit.serial", ErrOtherUnit},
		{"another that has the same address", Unit{Serial: "A1", MAC: "02:00:00:00:00:0a", Others: []Unit{{Serial: "B2", MAC: "02:00:00:00:00:0b"}}}, map[string]string{"serial": "B2", "mac": "02:00:00:00:00:0a"}, "unit.serial", ErrOtherUnit},
		{"an address that nobody gave it", Unit{Serial: "A1", MAC: "00:00:00:00:00:00"}, map[string]string{"serial": "B2", "mac": "00:00:00:00:00:00"}, "unit.serial", ErrOtherUnit},
		{"an address that is everybody's", Unit{Serial: "A1", MAC: "ff:ff:ff:ff:ff:ff"}, map[string]string{"serial": "B2", "mac": "ff:ff:ff:ff:ff:ff"}, "unit.serial", ErrOtherUnit},
		{"no address on either side", Unit{Serial: "A1"}, map[string]string{"serial": "0", "mac": ""}, "unit.serial", ErrOtherUnit},
		{"the rig does not say", Unit{}, map[string]string{"serial": "A1"}, "unit.serial", nil},
		{"a value of its own", Unit{Values: map[string]string{"imei": "35"}}, map[string]string{"serial": "36"}, "unit.imei", ErrOtherUnit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &profile.Profile{Identity: profile.Identity{Equals: tt.equals, Steps: []profile.Step{{Verb: "exec", Exec: []string{"id"}}}}}
			d := New(p, tt.unit, &Bench{Exec: func(context.Context, []string, map[string]string) (string, map[string]string, error) {
				return "", tt.said, nil
			}}).With(NewSession(t.Context(), nil))
			_, err := d.Identify(t.Context())
			if tt.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tt.err)
			}
		})
	}
}

// TestReachable waits for a DUT that takes its time, and no longer than a boot.
func TestReachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, noNet: true}
		d := b.with(t, false, true)
		time.AfterFunc(3*time.Second, func() { b.mu.Lock(); defer b.mu.Unlock(); b.noNet = false })
		begin := time.Now()
		require.NoError(t, d.Reachable(t.Context()))
		assert.Less(t, time.Since(begin), 5*time.Second)
		b.noNet = true
		require.ErrorIs(t, d.Reachable(t.Context()), ErrLost)
		assert.LessOrEqual(t, time.Since(begin), defaultBoot+6*time.Second)
	})
}

// TestNobodyLooked: a program that is ended before it answers has not seen that the DUT is
// dead, so that a supply that stays on is not taken for one that was cut.
func TestNobodyLooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, deadOff: true}
		d := b.with(t, false, false)
		d.Profile.Alive = *signOfLife
		first := true
		d.bench.Exec = func(ctx context.Context, argv []string, values map[string]string) (string, map[string]string, error) {
			if first {
				first = false
				<-ctx.Done()
				return "", nil, ctx.Err()
			}
			return b.exec(ctx, argv, values)
		}
		require.ErrorContains(t, d.PowerCycle(t.Context()), "to be done within 10s")
	})
}
