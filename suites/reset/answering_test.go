package reset_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// slowWeb is a bench on which the web of a device answers once behind a power cut in a
// reset, and then only after some time; or on which the network is gone behind a reset.
type slowWeb struct {
	by   time.Duration // until the web answers behind a cut
	gone bool          // the network goes with the end of a reset

	mu     sync.Mutex
	within bool // a reset has begun, and is not over
	once   bool // the next connection is the last one for a time
	until  time.Time
	dead   bool
	cuts   int
}

func (s *slowWeb) plant(d rig.Drivers) {
	port, power, link := d.Port["virtual"], d.Power["virtual"], d.Link["virtual"]
	d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
		w, err := port(ctx, p, e)
		if err != nil || p.Port != "main" {
			return w, err
		}
		return &slowWebPort{Port: w, s: s}, nil
	}
	d.Power["virtual"] = func(ctx context.Context, p *rig.Power, e rig.Env) (wire.Power, error) {
		w, err := power(ctx, p, e)
		return &slowWebPower{w, s}, err
	}
	d.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
		w, err := link(ctx, n, e)
		return &slowWebLink{w, s}, err
	}
}

type slowWebPort struct {
	wire.Port
	s    *slowWeb
	tail []byte
}

func (p *slowWebPort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b)
	p.tail = append(p.tail, b[:n]...)
	begun, over := bytes.LastIndex(p.tail, []byte("factory reset started")), bytes.LastIndex(p.tail, []byte("not set up"))
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.dead = p.s.dead || p.s.gone && bytes.Contains(p.tail, []byte("factory reset complete"))
	if begun >= 0 || over >= 0 {
		p.s.within = begun > over
		p.tail = nil
	}
	p.tail = p.tail[max(0, len(p.tail)-len("factory reset complete")):]
	return n, err
}

type slowWebPower struct {
	wire.Power
	s *slowWeb
}

func (p *slowWebPower) On(ctx context.Context) error {
	p.s.mu.Lock()
	if p.s.within && p.s.by > 0 {
		p.s.within, p.s.once = false, true
		p.s.cuts++
	}
	p.s.mu.Unlock()
	return p.Power.On(ctx)
}

type slowWebLink struct {
	wire.Link
	s *slowWeb
}

func (l *slowWebLink) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.s.mu.Lock()
	shut := l.s.dead || strings.HasSuffix(address, ":443") && time.Now().Before(l.s.until)
	l.s.mu.Unlock()
	if shut {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	c, err := l.Link.DialContext(ctx, network, address)
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err == nil && l.s.once && strings.HasSuffix(address, ":443") {
		l.s.once, l.s.until = false, time.Now().Add(l.s.by)
	}
	return c, err
}

// TestAnswersLater: a device that does not answer yet behind a power cut in a reset is in no
// state that could be blamed on the reset; nor is one that the bench has lost.
func TestAnswersLater(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device")
	}
	patient := func(within time.Duration) func(*profile.Profile) {
		return func(p *profile.Profile) {
			for i := range p.Reset.Ways {
				p.Reset.Ways[i].Cut.Within = within
			}
		}
	}
	for name, c := range map[string]struct {
		bench   *slowWeb
		planted rigtest.Planted
		id      string
		want    string
	}{
		"its web begins later":    {&slowWeb{by: 1500 * time.Millisecond}, rigtest.Planted{Profile: patient(20 * time.Second)}, "rst-power-cut", "pass"},
		"its web never begins":    {&slowWeb{by: time.Hour}, rigtest.Planted{Profile: patient(2 * time.Second)}, "rst-power-cut", "inconclusive"},
		"nothing answers at last": {&slowWeb{gone: true}, rigtest.Planted{Profile: rigtest.Hurried}, "rst-default-state", "inconclusive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.planted.Drivers = c.bench.plant
			res := rigtest.Run(t, reset.Suite, c.planted, c.id)
			for i := range res.Cases {
				if k := &res.Cases[i]; k.ID == c.id {
					assert.Regexp(t, "^"+c.want, rigtest.Judged(k), "%s", k.Judgement)
				}
			}
			assert.Equal(t, c.bench.by > 0, c.bench.cuts > 0)
		})
	}
}
