package dut

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDuring: when a delivery came while the DUT had another one, by when the last of each
// had gone over and when each was answered.
func TestDuring(t *testing.T) {
	zero := time.Now()
	at := func(began, sent, done time.Duration) Delivery {
		d := Delivery{Began: zero.Add(began)}
		d.Took, d.Kind = done-began, verdict.Garbled
		if sent > 0 {
			d.Sent = zero.Add(sent)
		}
		return d
	}
	const ms = time.Millisecond
	genuine := at(0, 100*ms, 300*ms)
	shut, silent, empty := at(110*ms, 0, 120*ms), at(110*ms, 0, 120*ms), at(100*ms, 0, 100*ms)
	shut.Shut, silent.Kind = true, verdict.Unreachable
	for name, c := range map[string]struct {
		beside  Delivery
		genuine Delivery
		want    Phase
		in      bool
		held    bool // where it takes 50 ms alone
	}{
		"all of it within":                            {at(150*ms, 0, 200*ms), genuine, Phase{0.25, 0.5}, true, false},
		"begun before, gone within":                   {at(50*ms, 150*ms, 200*ms), genuine, Phase{0.25, 0.5}, true, false},
		"gone before":                                 {at(0, 50*ms, 200*ms), genuine, Phase{}, false, false},
		"perhaps gone before":                         {at(50*ms, 0, 200*ms), genuine, Phase{}, false, false},
		"behind":                                      {at(310*ms, 0, 320*ms), genuine, Phase{}, false, false},
		"gone behind, begun late within":              {at(250*ms, 310*ms, 320*ms), genuine, Phase{}, false, false},
		"kept waiting":                                {at(150*ms, 0, 320*ms), genuine, Phase{0.25, 1.1}, true, true},
		"kept waiting for its beginning":              {at(50*ms, 310*ms, 320*ms), genuine, Phase{}, false, true},
		"kept waiting, and the rig heard of it first": {at(150*ms, 0, 299*ms), genuine, Phase{0.25, 0.995}, true, true},
		"answered within, before the end":             {at(150*ms, 0, 290*ms), genuine, Phase{0.25, 0.95}, true, false},
		"late within, answered behind":                {at(250*ms, 0, 320*ms), genuine, Phase{0.75, 1.1}, true, false},
		"sent away as a stranger":                     {shut, genuine, Phase{}, false, false},
		"not answered":                                {silent, genuine, Phase{}, false, false},
		"beside what took no time":                    {at(100*ms, 0, 150*ms), empty, Phase{}, false, false},
	} {
		r := Raced{"api", c.beside}
		p, in := r.During(c.genuine)
		assert.Equal(t, c.in, in, name)
		assert.InDelta(t, c.want.From, p.From, 1e-9, name)
		assert.InDelta(t, c.want.To, p.To, 1e-9, name)
		assert.Equal(t, c.held, r.HeldBy(c.genuine, 50*ms), name)
	}
	slow := Raced{"api", at(150*ms, 0, 320*ms)}
	assert.False(t, slow.HeldBy(genuine, 100*ms), "alone it takes as long")
}

// TestRaceTimes: a DUT that keeps whoever comes waiting is told from one that does not, and a
// race in which a lane comes too late from one that was run.
func TestRaceTimes(t *testing.T) {
	for name, c := range map[string]struct {
		serial   bool          // one at a time
		slow     time.Duration // on the way to the DUT
		in, held bool
	}{
		"sends others away":    {in: true},
		"keeps others waiting": {serial: true, held: true},
		"others come too late": {slow: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var one sync.Mutex
				b := &Bench{Exec: func(_ context.Context, _ []string, values map[string]string) (string, map[string]string, error) {
					forged := values["image-size"] == "5"
					if forged {
						time.Sleep(c.slow)
					}
					if c.serial {
						for !one.TryLock() { // a mutex that is waited for stops the clock of the bubble
							time.Sleep(time.Millisecond)
						}
						defer one.Unlock()
					}
					if forged {
						time.Sleep(10 * time.Millisecond)
						return "", nil, fmt.Errorf("%w: refused", steps.ErrNotDone)
					}
					time.Sleep(time.Second)
					return "installed", nil, nil
				}}
				p := &profile.Profile{}
				p.Updates.Items = map[string]*profile.Update{"api": {Steps: []profile.Step{{Verb: "exec", Exec: []string{"deliver"}}}}}
				d := New(p, Unit{}, b).With(NewSession(t.Context(), nil))
				genuine, others, err := d.Update("api").Race(t.Context(), Image{Name: "genuine", Bytes: []byte("genuine")}, 4*time.Millisecond, Beside{d.Update("api"), Image{Name: "forged", Bytes: []byte("forge")}})
				require.NoError(t, err)
				require.True(t, genuine.Taken)
				in, held := false, false
				for _, o := range others {
					p, ok := o.During(genuine)
					in, held = in || ok && p.To <= 1, held || o.HeldBy(genuine, c.slow+10*time.Millisecond)
				}
				assert.Equal(t, c.in, in)
				assert.Equal(t, c.held, held)
			})
		})
	}
}

// TestShut: what is said to who may not deliver is no answer to an image.
func TestShut(t *testing.T) {
	u := &Update{decl: &profile.Update{Stranger: profile.Stranger{Refused: profile.Refusals{{Match: profile.Pattern{Literal: "log in first"}}}}}}
	said := func(status int, text string) *steps.StepError {
		return &steps.StepError{Status: status, Answer: []byte(text)}
	}
	assert.True(t, u.shut(said(http.StatusUnauthorized, ""), verdict.Garbled))
	assert.True(t, u.shut(said(http.StatusForbidden, ""), verdict.Garbled))
	assert.True(t, u.shut(said(http.StatusOK, "log in first"), verdict.Garbled))
	assert.False(t, u.shut(said(http.StatusConflict, "busy"), verdict.Garbled))
	assert.False(t, u.shut(said(http.StatusForbidden, "bad signature"), verdict.Refused), "it is how an image is refused, as declared")
}
