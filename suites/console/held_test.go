package console_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
)

// held is the port of a console with flow control, which an XOFF of somebody's has
// stopped: what is said is kept back until XON comes, once.
type held struct {
	wire.Port
	at   []byte // what it stops behind
	said chan []byte
	rest []byte
	gone error

	mu    sync.Mutex
	seen  []byte
	kept  []byte
	state int // 0 not stopped yet, 1 stopped, 2 let go
	ons   int // XONs
	offs  int // XOFFs
}

func (h *held) pump() {
	buf := make([]byte, 512)
	for {
		n, err := h.Port.Read(buf)
		if err != nil {
			h.gone = err
			close(h.said)
			return
		}
		h.mu.Lock()
		b := bytes.Clone(buf[:n])
		h.seen = append(h.seen, b...)
		switch {
		case h.state == 1:
			h.kept = append(h.kept, b...)
			b = nil
		case h.state == 0 && bytes.Contains(h.seen, h.at):
			h.state = 1
		}
		h.mu.Unlock()
		if b != nil {
			h.said <- b
		}
	}
}

func (h *held) Read(p []byte) (int, error) {
	for len(h.rest) == 0 {
		b, ok := <-h.said
		if !ok {
			return 0, h.gone
		}
		h.rest = b
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

func (h *held) Write(ctx context.Context, p []byte) error {
	h.mu.Lock()
	h.ons += bytes.Count(p, []byte{0x11})
	h.offs += bytes.Count(p, []byte{0x13})
	p = bytes.ReplaceAll(p, []byte{0x11}, nil) // it is the line's, and no key
	if h.ons > 0 && h.state == 1 {
		h.state = 2
		if len(h.kept) > 0 {
			h.said <- h.kept
		}
	}
	h.mu.Unlock()
	if len(p) == 0 {
		return nil
	}
	return h.Port.Write(ctx, p)
}

// TestHeldByFlowControl: a console that was stopped by XOFF looks like one that is cut
// off or that locks everybody out. It is let go, and what is claimed of it is what is
// so; XOFF is never sent.
func TestHeldByFlowControl(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, at, want string
		weak         []string
	}{
		{"con-sysrq[main]", "vg login: ", pass, nil},
		{"con-shell-noauth[main]", "vg login: ", "fail.access", []string{"console-menu-noauth"}},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("what does not answer is waited for")
			}
			var h *held
			got := run(t, rigtest.Planted{Weaknesses: c.weak, Drivers: func(d rig.Drivers) {
				open := d.Port["virtual"]
				d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
					port, err := open(ctx, p, e)
					if err != nil || p.Port != "main" {
						return port, err
					}
					h = &held{Port: port, at: []byte(c.at), said: make(chan []byte, 4096)}
					go h.pump()
					return h, nil
				}
			}}, c.id)
			assert.Equal(t, c.want, judged(got[c.id]))
			assert.Equal(t, 2, h.state, "it was never stopped, or never let go")
			assert.Positive(t, h.ons)
			assert.Zero(t, h.offs)
		})
	}
}
