package console_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
)

// flow is the port of a console with flow control: it stops at XOFF, and goes on at XON.
type flow struct {
	wire.Port
	sent func([]byte)
	said chan []byte
	rest []byte
	gone error

	mu      sync.Mutex
	stopped bool
	kept    []byte
	offs    int // XOFFs
}

func (f *flow) pump() {
	buf := make([]byte, 512)
	for {
		n, err := f.Port.Read(buf)
		if err != nil {
			f.gone = err
			close(f.said)
			return
		}
		b := bytes.Clone(buf[:n])
		f.mu.Lock()
		if f.stopped {
			f.kept, b = append(f.kept, b...), nil
		}
		f.mu.Unlock()
		if b != nil {
			f.said <- b
		}
	}
}

func (f *flow) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		b, ok := <-f.said
		if !ok {
			return 0, f.gone
		}
		f.rest = b
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *flow) Write(ctx context.Context, p []byte) error {
	if f.sent != nil {
		f.sent(p)
	}
	f.mu.Lock()
	for _, b := range p {
		switch b {
		case 0x13:
			f.stopped = true
			f.offs++
		case 0x11:
			f.stopped = false
		}
	}
	if !f.stopped && len(f.kept) > 0 {
		f.said <- f.kept
		f.kept = nil
	}
	f.mu.Unlock()
	return f.Port.Write(ctx, p)
}

// onMain puts a port before that of the main console.
func onMain(sent func([]byte)) (func(rig.Drivers), func() *flow) {
	var f *flow
	return func(d rig.Drivers) {
		open := d.Port["virtual"]
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			port, err := open(ctx, p, e)
			if err != nil || p.Port != "main" {
				return port, err
			}
			f = &flow{Port: port, sent: sent, said: make(chan []byte, 4096)}
			go f.pump()
			return f, nil
		}
	}, func() *flow { return f }
}

// TestFlowControlInBoot: keys of flow control go through a boot, and leave no console
// stopped: what is claimed of it is what is so.
func TestFlowControlInBoot(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	for want, weak := range map[string][]string{pass: nil, "fail.access": {"boot-interrupt-xoff"}} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			drivers, port := onMain(nil)
			got := run(t, rigtest.Planted{Weaknesses: weak, Drivers: drivers}, "con-boot-interrupt[main]")
			assert.Equal(t, want, judged(got["con-boot-interrupt[main]"]))
			assert.Positive(t, port().offs)
			assert.False(t, port().stopped)
		})
	}
}

// TestNeverSend: a key that the profile has held back is in no boot, and what is open to
// it is not said to be shut.
func TestNeverSend(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	for want, never := range map[string]profile.NeverSend{
		"inconclusive.coverage-gap": {Keys: []string{"x", "BREAK"}, Why: "the loader's menu erases the flash at x"},
		"fail.access":               {Keys: []string{"X"}, Why: "the loader's menu erases the flash at X"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var keys []string
			drivers, _ := onMain(func(p []byte) {
				mu.Lock()
				defer mu.Unlock()
				if len(p) <= 2 {
					keys = append(keys, string(p))
				}
			})
			got := run(t, rigtest.Planted{Weaknesses: []string{"boot-interrupt-odd-key"}, Drivers: drivers, Profile: func(p *profile.Profile) {
				p.Consoles.Items["main"].Boot.Never = never
			}}, "con-boot-interrupt[main]")
			c := got["con-boot-interrupt[main]"]
			assert.Equal(t, want, judged(c))
			assert.NotContains(t, keys, never.Keys[0])
			if strings.HasPrefix(want, "inconclusive") { // one that opens ends the boot's keys
				assert.Contains(t, keys, "y")
				assert.Contains(t, c.Judgement.Detail, "(x BREAK), which were not sent: the loader's menu erases the flash at x")
			}
		})
	}
}
