package check_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
)

// TestRecallByAClock: what was tried counts by how long it was to count, whatever
// the clock says: one that was set back forgets nothing, and locks nothing for ever.
func TestRecallByAClock(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	tried := func(last, until time.Time) []byte {
		data, err := json.Marshal([]check.Tried{{Key: "k", N: 2, Total: 2, Last: last, Until: until}})
		require.NoError(t, err)
		return data
	}
	for name, c := range map[string]struct {
		last, until time.Time
		want        time.Duration // of what is left; 0: nothing
	}{
		"a moment ago":           {now.Add(-time.Minute), now.Add(9 * time.Minute), 9 * time.Minute},
		"long ago":               {now.Add(-time.Hour), now.Add(-50 * time.Minute), 0},
		"the clock was set back": {now.Add(24 * time.Hour), now.Add(24*time.Hour + 10*time.Minute), 10 * time.Minute},
		"nonsense":               {now.Add(time.Hour), now, 0},
		"for years":              {now, now.Add(10000 * time.Hour), 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			l := check.NewLedger()
			_, err := l.Recall(tried(c.last, c.until), now)
			require.NoError(t, err)
			data, err := l.Leave(now)
			require.NoError(t, err)
			var left []check.Tried
			require.NoError(t, json.Unmarshal(data, &left))
			if c.want == 0 {
				assert.Empty(t, left)
				return
			}
			require.Len(t, left, 1)
			assert.Equal(t, c.want, left[0].Until.Sub(now))
			assert.False(t, left[0].Last.After(now))
		})
	}
	_, err := check.NewLedger().Recall([]byte("{"), now)
	require.Error(t, err)
}
