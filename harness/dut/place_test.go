package dut

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// street is a network on which devices have addresses.
type street struct {
	mu     sync.Mutex
	lives  map[string]string // address → hardware address
	err    error
	finds  int
	dialed []string
	after  func() // once connected
}

func (s *street) Find(_ context.Context, mac net.HardwareAddr) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds++
	if s.err != nil {
		return netip.Addr{}, s.err
	}
	for at, is := range s.lives {
		if is == mac.String() {
			return netip.MustParseAddr(at), nil
		}
	}
	return netip.Addr{}, wire.ErrNobody
}

func (s *street) Neighbour(_ context.Context, at netip.Addr) (net.HardwareAddr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mac, err := net.ParseMAC(s.lives[at.String()])
	if err != nil {
		return nil, nil
	}
	return mac, nil
}

func (s *street) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed = append(s.dialed, address)
	host, _, _ := net.SplitHostPort(address)
	if s.lives[host] == "" {
		return nil, errors.New("no route to host")
	}
	if s.after != nil {
		s.after()
	}
	c, other := net.Pipe()
	_ = other.Close()
	return c, nil
}

func (s *street) Check(context.Context) error { return nil }
func (s *street) Close() error                { return nil }

const ourMAC = "02:00:00:00:00:01"

func placed(t *testing.T, s *street, address string) *Device {
	t.Helper()
	p := &profile.Profile{}
	p.Logins.Items = map[string]*profile.Login{"ssh": {Protocol: "ssh", Port: 22}}
	p.Logins.Order = []string{"ssh"}
	p.States.Items = map[string]*profile.State{
		"factory":   {Address: profile.Address{Host: "192.0.2.1"}},
		"onboarded": {Address: profile.Address{Find: "mac"}},
		"updated":   {},
	}
	p.States.Order = []string{"factory", "onboarded", "updated"}
	return New(p, Unit{MAC: ourMAC}, &Bench{Link: s, Address: address}).With(NewSession(t.Context(), nil))
}

func TestAddressOfTheState(t *testing.T) {
	s := &street{lives: map[string]string{"198.51.100.7": ourMAC, "198.51.100.8": "02:00:00:00:00:99"}}
	d := placed(t, s, "203.0.113.5")
	at := func(want string) {
		t.Helper()
		got, err := d.Address(t.Context(), 22)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	at("198.51.100.7:22") // in an unknown state: its hardware address is its own in each
	d.In("factory")
	at("192.0.2.1:22")
	d.In("updated")
	at("203.0.113.5:22")
	d.In("onboarded")
	at("198.51.100.7:22")
	finds := s.finds
	at("198.51.100.7:22")
	assert.Equal(t, finds, s.finds, "one that is there still is not looked for again")

	// It has moved, and another has taken the address.
	s.lives = map[string]string{"198.51.100.7": "02:00:00:00:00:99", "198.51.100.9": ourMAC}
	at("198.51.100.9:22")
	for name, act := range map[string]func(){"a boot": d.moved, "another state": func() { d.In("factory"); d.In("onboarded") }} {
		finds = s.finds
		act()
		at("198.51.100.9:22")
		assert.Equal(t, finds+1, s.finds, "after %s", name)
	}

	s.lives = nil
	_, err := d.Address(t.Context(), 22)
	require.ErrorIs(t, err, ErrLost)
	require.ErrorIs(t, err, wire.ErrNobody)
	a, err := d.Login("ssh").Try(t.Context(), login.Credential{User: "a", Password: "b"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Unreachable, a.Kind, "as a host that does not answer")
	answers, can := d.answers(t.Context())
	assert.False(t, answers)
	assert.True(t, can, "that nobody is there is an answer")

	s.err = wire.ErrAmbiguous
	_, err = d.Login("ssh").Try(t.Context(), login.Credential{User: "a", Password: "b"})
	require.ErrorIs(t, err, ErrLost)
	s.err = &wire.Fault{Part: PartLink, Op: "find", Err: errors.New("no such interface")}
	_, err = d.Login("ssh").Try(t.Context(), login.Credential{User: "a", Password: "b"})
	assert.True(t, IsFault(err))

	d.unit.MAC = ""
	_, err = d.Address(t.Context(), 22)
	require.ErrorIs(t, err, ErrNotDeclared)
	plain := placed(t, s, "")
	plain.bench.Link = nil
	_, err = plain.Address(t.Context(), 22)
	require.ErrorIs(t, err, ErrNotWired)
}

// A connection to somebody else is none, also where the address changed hands
// between the look and the dial.
func TestNeverToAStranger(t *testing.T) {
	s := &street{lives: map[string]string{"198.51.100.7": ourMAC}}
	d := placed(t, s, "")
	dial := func() error {
		addr, err := d.Address(t.Context(), 22)
		require.NoError(t, err)
		dialer, err := d.Dialer()
		require.NoError(t, err)
		c, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	require.NoError(t, dial())
	s.after = func() { s.lives["198.51.100.7"] = "02:00:00:00:00:99" }
	err := dial()
	require.ErrorContains(t, err, "another device answers: 02:00:00:00:00:99")
	assert.True(t, IsFault(err), "two devices on one address are the bench's trouble")
	s.lives["198.51.100.7"], s.after = ourMAC, func() { s.lives["198.51.100.7"] = "unknown" }
	err = dial()
	require.ErrorIs(t, err, ErrLost)
	s.lives["198.51.100.7"], s.after = ourMAC, nil
	require.NoError(t, dial())

	// An address that was not found by it is the rig file's to answer for.
	d.In("factory")
	s.lives["192.0.2.1"] = "02:00:00:00:00:99"
	require.NoError(t, dial())
}
