package dut

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// TestConfirmed: an image that is on trial is waited for, as long as a health check may take;
// one that waits for a start is not.
func TestConfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		pending string
		good    time.Duration // behind the start nothing is pending
		want    string
		least   time.Duration
		most    time.Duration
	}{
		"it confirms itself":          {"1.4.3", 40 * time.Second, "", 40 * time.Second, 42 * time.Second},
		"it never does":               {"1.4.3", time.Hour, "1.4.3", defaultBoot, defaultBoot + 2*time.Second},
		"another one waits":           {"1.5.0", time.Hour, "1.5.0", maxSettle, maxSettle + time.Second},
		"another one waits a moment":  {"1.5.0", time.Second, "", time.Second, 2 * time.Second},
		"nothing was ever on a trial": {"", 0, "", 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, began := &profile.Profile{}, time.Now()
				p.Firmware.Read = []profile.Step{{Verb: "exec", Exec: []string{"tell"}}}
				d := New(p, Unit{}, &Bench{Exec: func(context.Context, []string, map[string]string) (string, map[string]string, error) {
					now := map[string]string{"version": "v1.4.3", "pending": c.pending}
					if time.Since(began) >= c.good {
						now["pending"] = ""
					}
					return "", now, nil
				}}).With(NewSession(t.Context(), nil))
				run, err := d.Confirmed(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.want, run.Pending)
				assert.GreaterOrEqual(t, time.Since(began), c.least)
				assert.LessOrEqual(t, time.Since(began), c.most)
			})
		})
	}
}
