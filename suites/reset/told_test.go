package reset_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// lateWords has a console say something some time behind what it says.
type lateWords struct {
	wire.Port
	behind, words []byte
	by            time.Duration
	came          chan []byte
	rest          []byte // of what came, for the next Read
}

func newLateWords(p wire.Port, behind, words string, by time.Duration) *lateWords {
	w := &lateWords{Port: p, behind: []byte(behind), words: []byte(words), by: by, came: make(chan []byte, 64)}
	go w.pump()
	return w
}

func (w *lateWords) pump() {
	var tail []byte
	for {
		b := make([]byte, 512)
		n, err := w.Port.Read(b)
		if n > 0 {
			w.came <- b[:n]
			tail = append(tail, b[:n]...)
		}
		if bytes.Contains(tail, w.behind) {
			tail = nil
			time.AfterFunc(w.by, func() { w.came <- w.words })
		}
		tail = tail[max(0, len(tail)-len(w.behind)):]
		if err != nil {
			w.came <- nil // of a port that is closed
			return
		}
	}
}

func (w *lateWords) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		b := <-w.came
		if b == nil {
			w.came <- nil
			return w.Port.Read(p)
		}
		w.rest = b
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// TestToldLate: who resets the device is told in the time that the way has, be it when the
// device answers again already.
func TestToldLate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device")
	}
	res := rigtest.Run(t, reset.Suite, rigtest.Planted{
		Profile: func(p *profile.Profile) {
			p.Reset.Ways = p.Reset.Ways[1:2]
			p.Reset.Confirm.Sign = []profile.Sign{{Console: "main", Seen: profile.Pattern{Literal: "lamp: three times green"}}}
		},
		Drivers: func(d rig.Drivers) {
			open := d.Port["virtual"]
			d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
				port, err := open(ctx, p, e)
				if err != nil || p.Port != "main" {
					return port, err
				}
				return newLateWords(port, "factory reset complete", "lamp: three times green\r\n", 3*time.Second), nil
			}
		},
	}, "rst-confirm")
	for i := range res.Cases {
		if k := &res.Cases[i]; k.ID == "rst-confirm" {
			assert.Equal(t, verdict.Pass, k.Judgement.Verdict, "%s", k.Judgement)
		}
	}
}
