package credential_test

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/rig"
	"rigor/harness/wire"
)

// latePort gives what the DUT sent as a busy computer does: what has a text in it so
// much later.
type latePort struct {
	wire.Port
	text []byte
	by   time.Duration
	tail []byte // of what came before
}

// Read reads in time, and has nobody see it before its time.
func (p *latePort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b)
	p.tail = append(p.tail, b[:n]...)
	if bytes.Contains(p.tail, p.text) {
		p.tail = nil
		<-time.After(p.by)
	}
	p.tail = p.tail[max(0, len(p.tail)-len(p.text)):]
	return n, err
}

// Empty is the port's.
func (p *latePort) Empty() time.Time {
	if d, ok := p.Port.(wire.Dated); ok {
		return d.Empty()
	}
	return time.Time{}
}

// readLate has console main be read late.
func readLate(text string, by time.Duration) func(rig.Drivers) {
	return func(d rig.Drivers) {
		open := d.Port["virtual"]
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			port, err := open(ctx, p, e)
			return &latePort{Port: port, text: []byte(text), by: by}, err
		}
	}
}

// TestLockRebootLate: who reads late that the device is up knows less of when the lock
// began anew: that the owner gets in then is no failure, unless it is shown to be in the
// lock all the same.
func TestLockRebootLate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots, and locks that are waited out")
	}
	const id = "cred-lock-reboot[api]"
	for _, c := range []struct {
		name string
		p    planted
		want string // how the verdict begins
	}{
		{"hardened", planted{Drivers: readLate("ready", 300*time.Millisecond)}, "inconclusive."},
		{"forgotten, and shown in time", planted{Weaknesses: []string{"lock-forgotten-at-reboot"}, Drivers: readLate("ready", 100*time.Millisecond)}, "fail.expectation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Regexp(t, `^`+regexp.QuoteMeta(c.want), judged(t, inTime(t, c.p, id), id))
		})
	}
}
