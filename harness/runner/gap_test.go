package runner

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/wire"
)

// gappy is a port of an adapter that can be pulled out and put back.
type gappy struct {
	gone chan struct{}
	gaps int
}

func (p *gappy) Read([]byte) (int, error)                 { <-p.gone; return 0, io.EOF }
func (*gappy) Write(context.Context, []byte) error        { return nil }
func (*gappy) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (*gappy) SetRate(context.Context, int) error         { return nil }
func (p *gappy) Close() error                             { close(p.gone); return nil }
func (p *gappy) Gaps() (int, error) {
	if p.gaps == 0 {
		return 0, nil
	}
	return p.gaps, &wire.Fault{Part: "console.main", Op: "read", Err: errors.New("the adapter was taken away")}
}

// TestGaps: what a console said while its adapter was away, nobody heard: a case that
// leans on it and saw nothing wrong has not looked.
func TestGaps(t *testing.T) {
	for name, tt := range map[string]struct {
		parts []wire.Part
		times int // that the adapter is pulled out, once in each try
		want  []string
		tries int
	}{
		"none":              {[]wire.Part{"console.main"}, 0, []string{"pass"}, 1},
		"once":              {[]wire.Part{"console.main"}, 1, []string{"pass"}, 2},
		"in each try":       {[]wire.Part{"console.main"}, 2, []string{"error.fault", "error.broken-part"}, 2},
		"of another's wire": {[]wire.Part{"line.good"}, 2, []string{"pass"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			port, tries := &gappy{gone: make(chan struct{})}, 0
			r := newRun(t, &check.Check{ID: "silent", Title: "silent", Budget: check.Budget{Case: time.Second, Cleanup: time.Second},
				Cases: func(check.Input) []check.Case { return []check.Case{{Parts: tt.parts}} },
				Run: func(_ context.Context, ct *check.T) {
					if tries++; tries <= tt.times {
						port.gaps++
					}
					holds(ct)
				}})
			con := console.Open(t.Context(), port, console.Options{Part: "console.main"})
			defer func() { _ = con.Close() }()
			r.bench.Consoles = map[string]*console.Console{"main": con}
			c := r.run(t.Context()).Case("silent")
			assert.Contains(t, tt.want, words(c.Judgement))
			assert.Equal(t, tt.tries, c.Tries)
		})
	}
}
