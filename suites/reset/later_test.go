package reset_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// lateEffect has a console say something some time after a button was held for about a time.
type lateEffect struct {
	wire.Line
	hold, by time.Duration
	says     func()

	mu    sync.Mutex
	since time.Time
	seen  int
}

func (l *lateEffect) Assert(ctx context.Context) error {
	l.mu.Lock()
	l.since = time.Now()
	l.mu.Unlock()
	return l.Line.Assert(ctx)
}

func (l *lateEffect) Release(ctx context.Context) error {
	l.mu.Lock()
	if held := time.Since(l.since); held > l.hold && held < l.hold*6/5 {
		l.seen++
		time.AfterFunc(l.by, l.says)
	}
	l.mu.Unlock()
	return l.Line.Release(ctx)
}

// TestLaterThanAnother: what a press does that must do nothing may show itself later than
// what another one does: it has the time that is declared.
func TestLaterThanAnother(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device")
	}
	button := &lateEffect{hold: 430 * time.Millisecond, by: time.Second}
	res := rigtest.Run(t, reset.Suite, rigtest.Planted{Drivers: func(d rig.Drivers) {
		line, port := d.Line["virtual"], d.Port["virtual"]
		d.Line["virtual"] = func(ctx context.Context, l *rig.Line, e rig.Env) (wire.Line, error) {
			w, err := line(ctx, l, e)
			if err != nil || l.Line != "button" {
				return w, err
			}
			button.Line = w
			return button, nil
		}
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			w, err := port(ctx, p, e)
			if err != nil || p.Port != "main" {
				return w, err
			}
			words := newLateWords(w, "what nobody says", "", 0)
			button.says = func() { words.came <- []byte("pairing: open\r\n") }
			return words, nil
		}
	}}, "rst-press")
	assert.Positive(t, button.seen)
	for i := range res.Cases {
		if k := &res.Cases[i]; k.ID == "rst-press" {
			assert.NotEqual(t, verdict.Pass, k.Judgement.Verdict, "%s", k.Judgement)
			if k.Judgement.Verdict != verdict.Inconclusive { // as on a computer that is too busy
				assert.Equal(t, "fail.expectation", rigtest.Judged(k), "%s", k.Judgement)
			}
		}
	}
}
