package cable

import (
	"context"
	"fmt"
	"net"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

// Hear keeps the frames from and to a hardware address that go over the cable, in both
// directions, whoever says them: there is nothing else on it.
func (l *Link) Hear(ctx context.Context, mac net.HardwareAddr) (wire.Ear, error) {
	op := "hear " + mac.String()
	switch {
	case l.ctx.Err() != nil:
		return nil, l.fault(op, net.ErrClosed)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %s: %w", l.conf.Part, op, ctx.Err())
	case len(mac) != 6:
		return nil, fmt.Errorf("%s: %s: want the six bytes of a hardware address", l.conf.Part, op)
	}
	var ear *capture.Ear
	ear = capture.NewEar(mac, "on the cable, whoever says it; nobody else is on it", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ears, ear)
		return nil
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ears == nil {
		l.ears = map[*capture.Ear]struct{}{}
	}
	l.ears[ear] = struct{}{}
	return ear, nil
}

// heard hands a frame to who listens.
func (l *Link) heard(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ear := range l.ears {
		ear.Take(frame)
	}
}
