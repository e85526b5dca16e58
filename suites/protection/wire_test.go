package protection_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/capture"
	"rigor/harness/login/tap"
	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/protection"
)

// wireOf is a network on which everything is heard: what the rig says, and what the
// device says to others, which the test makes up.
type wireOf struct {
	wire.Link
	ear    *tap.Dialer
	says   string // the device, to somebody else
	mac    string // who answers at the device's address
	refuse error  // to hear
	deaf   bool
}

func (w *wireOf) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return w.ear.DialContext(ctx, network, address)
}

func (w *wireOf) Find(context.Context, net.HardwareAddr) (netip.Addr, error) {
	return netip.Addr{}, wire.ErrNobody
}

func (w *wireOf) Neighbour(context.Context, netip.Addr) (net.HardwareAddr, error) {
	return net.ParseMAC(w.mac)
}

func (w *wireOf) Hear(context.Context, net.HardwareAddr) (wire.Ear, error) {
	if w.refuse != nil {
		return nil, w.refuse
	}
	before, _ := w.ear.Frames()
	return &earOf{w: w, before: len(before)}, nil
}

type earOf struct {
	w      *wireOf
	before int
}

func (e *earOf) Frames() ([]wire.Frame, bool) {
	if e.w.deaf {
		return nil, false
	}
	frames, cut := e.w.ear.Frames()
	frames = frames[e.before:]
	if e.w.says != "" {
		now := time.Now()
		frames = append(frames, capture.Conversation{Client: netip.MustParseAddrPort("192.0.2.7:40000"), Server: netip.MustParseAddrPort("203.0.113.9:80"), Opened: now,
			Chunks: []capture.Chunk{{At: now, Sent: true, Data: []byte(e.w.says)}}}.Frames()...)
	}
	return frames, cut
}

func (e *earOf) Scope() string { return "all of the made-up wire" }
func (e *earOf) Close() error  { return nil }

// What the device says to others counts, where the wire can be heard. Where it cannot,
// the rig's own connections are heard, and the claim says so.
func TestTheWire(t *testing.T) {
	t.Parallel()
	const unit, router = "02:56:47:00:01:23", "02:00:00:00:00:01"
	for _, c := range []struct {
		name  string
		w     wireOf
		want  string
		scope string
	}{
		{"it keeps to itself", wireOf{mac: unit}, "pass", "all of the made-up wire"},
		{"it says something harmless", wireOf{mac: unit, says: "GET /time HTTP/1.1\r\nHost: clock\r\n\r\n"}, "pass", "all of the made-up wire"},
		{"it says who it is, in clear", wireOf{mac: unit, says: "GET /v1 HTTP/1.1\r\nAuthorization: Basic ZGV2OnB3\r\n\r\n"}, "fail.leak", "all of the made-up wire"},
		{"nothing is heard at all", wireOf{mac: unit, deaf: true}, "inconclusive", ""},
		{"the adapter is gone", wireOf{mac: unit, refuse: errors.New("no such device")}, "error", ""},
		{"nobody may hear", wireOf{mac: unit, refuse: wire.ErrUnsupported}, "pass", "the rig's own connections"},
		{"behind a router", wireOf{mac: router, says: "GET /v1 HTTP/1.1\r\nAuthorization: Basic another's\r\n\r\n"}, "pass", "the rig's own connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := c.w
			res := rigtest.Run(t, protection.Suite, planted{Drivers: func(d rig.Drivers) {
				open := d.Link["virtual"]
				d.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
					l, err := open(ctx, n, e)
					w.Link, w.ear = l, tap.New(l, 0)
					return &w, err
				}
			}}, "dat-plaintext")
			got := res.Case("dat-plaintext")
			require.NotNil(t, got)
			assert.Contains(t, rigtest.Judged(got), c.want, "%s", got.Judgement)
			if c.scope == "" {
				return
			}
			var says string
			for i := range got.Claims {
				says += got.Claims[i].Got + "\n"
			}
			assert.Contains(t, says, c.scope)
		})
	}
}
