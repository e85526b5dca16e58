package network_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/network"
)

func run(t *testing.T, p rigtest.Planted, selectors ...string) map[string]journal.Case {
	t.Helper()
	cases := map[string]journal.Case{}
	for _, c := range rigtest.Run(t, network.Suite, p, selectors...).Cases {
		cases[c.ID] = c
	}
	return cases
}

func judged(c journal.Case) string { return rigtest.Judged(&c) }

const (
	pass = string(verdict.Pass)
	none = "not-applicable.declared-none"
)

func TestHardenedDevice(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for id, c := range run(t, rigtest.Planted{}) {
		got[id] = judged(c)
	}
	assert.Equal(t, map[string]string{
		"net-ports[tcp]": pass, "net-ports[udp]": pass, "net-ports[tcp6]": none, "net-ports[udp6]": none,
		"net-ports-factory[tcp]": pass, "net-ports-factory[udp]": pass, "net-ports-factory[tcp6]": none, "net-ports-factory[udp6]": none,
		"net-unauth-map": pass,
	}, got)
}

func TestWeaknesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		weakness, id, want string
		quick              bool // also with -short
	}{
		{"undeclared-port", "net-ports[tcp]", "fail.undeclared", true},
		{"undeclared-port", "net-ports-factory[tcp]", pass, false},
		{"undeclared-port-factory", "net-ports-factory[tcp]", "fail.undeclared", false},
		{"undeclared-port-factory", "net-ports[tcp]", pass, false},
		{"undeclared-udp", "net-ports[udp]", "fail.undeclared", false},
		{"harmless-filtered-ports", "net-ports[tcp]", pass, false},
		{"unauth-route", "net-unauth-map", "fail.access", false},
		{"unauth-put", "net-unauth-map", "fail.access", true},
		{"unauth-trailing-slash", "net-unauth-map", "fail.access", false},
		{"unauth-encoded", "net-unauth-map", "fail.access", false},
		{"unauth-forwarded", "net-unauth-map", "fail.access", false},
		{"unauth-redirect-body", "net-unauth-map", "fail.access", false},
		{"unauth-action", "net-unauth-map", "fail.access", true},
		{"web-open-to-all", "net-unauth-map", "fail.open-to-all", false},
		{"harmless-error-page-200", "net-unauth-map", pass, false},
		{"harmless-json-order", "net-unauth-map", pass, false},
		{"harmless-single-session", "net-unauth-map", pass, false},
	} {
		t.Run(c.weakness+" "+c.id, func(t *testing.T) {
			if testing.Short() && !c.quick {
				t.Skip("one of each check is enough")
			}
			t.Parallel()
			assert.Equal(t, c.want, judged(run(t, rigtest.Planted{Weaknesses: []string{c.weakness}}, c.id)[c.id]))
		})
	}
}

// between is something that stands between rig and device.
type between struct {
	wire.Link
	dial func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error)
	mac  net.HardwareAddr // that answers; nil: the device's
}

// DialContext dials as what stands between lets it.
func (b *between) DialContext(ctx context.Context, kind, address string) (net.Conn, error) {
	return b.dial(ctx, kind, address, b.Link)
}

// Find is the device's.
func (b *between) Find(ctx context.Context, mac net.HardwareAddr) (netip.Addr, error) {
	return b.Link.(wire.Finder).Find(ctx, mac)
}

// Neighbour gives who answers.
func (b *between) Neighbour(ctx context.Context, addr netip.Addr) (net.HardwareAddr, error) {
	if b.mac != nil {
		return b.mac, nil
	}
	return b.Link.(wire.Finder).Neighbour(ctx, addr)
}

// put stands something between rig and device.
func put(b *between) func(rig.Drivers) {
	return func(d rig.Drivers) {
		inner := d.Link["virtual"]
		d.Link["virtual"] = func(ctx context.Context, n *rig.Network, env rig.Env) (wire.Link, error) {
			var err error
			b.Link, err = inner(ctx, n, env)
			return b, err
		}
	}
}

// taken is a connection that somebody takes who says nothing.
func taken() (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		buf := make([]byte, 256)
		for {
			if _, err := far.Read(buf); err != nil {
				_ = far.Close()
				return
			}
		}
	}()
	return near, nil
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

var services = []string{"22", "23", "80", "443"}

// noSupply is a rig that may not switch the supply.
func noSupply(f *rig.File) {
	f.Allow = slices.DeleteFunc(f.Allow, func(a string) bool { return a == "power" })
}

// impatient has what proves the device give up soon: in this process an answer is a
// question of milliseconds.
func impatient(p *profile.Profile) {
	p.Recovery.Within = 2 * time.Second
	p.EachStep(func(s *profile.Step) {
		if s.Verb == "http" {
			s.Within = 2 * time.Second
		}
	})
}

// What somebody else on the way answers is neither the device's failure nor its
// pass.
func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for ports that say nothing; left out by -short")
	}
	answersAll := func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
		if kind == "tcp" && !slices.Contains(services, port(address)) {
			return taken()
		}
		return next.DialContext(ctx, kind, address)
	}
	answersOne := func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
		if kind == "tcp" && port(address) == "8080" {
			return taken()
		}
		return next.DialContext(ctx, kind, address)
	}
	dropsUDP := func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
		if kind == "udp" {
			return taken() // a filter: what is sent is never answered
		}
		return next.DialContext(ctx, kind, address)
	}
	var many atomic.Int64
	dies := func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
		if kind == "tcp" && many.Add(1) > 30_000 {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: kind, Err: ctx.Err()}
		}
		return next.DialContext(ctx, kind, address)
	}
	router := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	for name, c := range map[string]struct {
		between *between
		file    func(*rig.File)
		id      string
		want    []string
		long    bool
	}{
		"a proxy takes all connections":        {&between{dial: answersAll}, nil, "net-ports[tcp]", []string{"inconclusive.anti-control"}, false},
		"a proxy takes one, and has its power": {&between{dial: answersOne}, nil, "net-ports[tcp]", []string{"inconclusive.ineffective"}, false},
		"a router takes one":                   {&between{dial: answersOne, mac: router}, noSupply, "net-ports[tcp]", []string{"inconclusive.ineffective"}, false},
		"a filter drops datagrams":             {&between{dial: dropsUDP}, nil, "net-ports[udp]", []string{"inconclusive.control-failed"}, true},
		"the path dies in the middle":          {&between{dial: dies}, nil, "net-ports[tcp]", []string{"inconclusive.control-failed", "inconclusive.dut-lost"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.long && testing.Short() {
				t.Skip("waits for what does not answer")
			}
			t.Parallel()
			got := run(t, rigtest.Planted{Drivers: put(c.between), File: c.file, Profile: impatient}, c.id)[c.id]
			assert.Contains(t, c.want, judged(got), "%s", got.Judgement)
		})
	}
}

// Without the supply, the hardware address says whose an undeclared port is;
// without that, nobody does.
func TestWhosePortWithoutSupply(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for ports that say nothing; left out by -short")
	}
	got := run(t, rigtest.Planted{Weaknesses: []string{"undeclared-port"}, File: noSupply}, "net-ports[tcp]")["net-ports[tcp]"]
	assert.Equal(t, "fail.undeclared", judged(got))
	assert.Contains(t, got.Judgement.Detail, "hardware address")
	got = run(t, rigtest.Planted{Weaknesses: []string{"undeclared-port"}, File: func(f *rig.File) {
		noSupply(f)
		f.Unit.MAC = ""
	}}, "net-ports[tcp]")["net-ports[tcp]"]
	assert.Equal(t, "inconclusive.ineffective", judged(got))
}

// A stack that takes few connections at a time is asked more slowly, and passes.
func TestSmallStack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what is dropped")
	}
	t.Parallel()
	var now atomic.Int64
	small := func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
		defer now.Add(-1)
		if n := now.Add(1); kind == "tcp" && !slices.Contains(services, port(address)) && n > 2 {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: kind, Err: ctx.Err()}
		}
		return next.DialContext(ctx, kind, address)
	}
	assert.Equal(t, pass, judged(run(t, rigtest.Planted{Drivers: put(&between{dial: small})}, "net-ports[tcp]")["net-ports[tcp]"]))
}

// Over IPv6 the device may offer other ports than over IPv4: those are asked too.
func TestIPv6(t *testing.T) {
	t.Parallel()
	stack := func(extra string) *between {
		return &between{dial: func(ctx context.Context, kind, address string, next wire.Dialer) (net.Conn, error) {
			host, p, err := net.SplitHostPort(address)
			switch {
			case err != nil:
				return nil, err
			case host == "fd00::7" && p == extra:
				address = "127.0.0.1:443" // any service will do
			case host == "fd00::7" && kind == "tcp" && p != "443":
				return nil, &net.OpError{Op: "dial", Net: kind, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			case host == "fd00::7":
				address = "127.0.0.1:" + p
			}
			return next.DialContext(ctx, kind, address)
		}}
	}
	onIPv6 := func(p *profile.Profile) { p.Network.IPv6 = profile.IPv6{Host: "unit.ipv6"} }
	unit := func(f *rig.File) { f.Unit.Values = map[string]string{"ipv6": "fd00::7"} }
	for _, tc := range []struct {
		name, extra string
		file        func(*rig.File)
		tcp, udp    string
	}{
		{"as declared", "", unit, pass, pass},
		{"one more", "5555", unit, "fail.undeclared", ""},
		{"the rig file does not say where", "", nil, "inconclusive.profile-missing", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ids := []string{"net-ports[tcp6]"}
			if tc.udp != "" {
				ids = append(ids, "net-ports[udp6]")
			}
			got := run(t, rigtest.Planted{Drivers: put(stack(tc.extra)), Profile: onIPv6, File: tc.file}, ids...)
			assert.Equal(t, tc.tcp, judged(got[ids[0]]))
			if tc.udp != "" {
				assert.Equal(t, tc.udp, judged(got[ids[1]]))
			}
		})
	}
}
