package check_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/profile"
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

// TestKilledInACase: who was killed while a case made tries may have locked the owner,
// and nobody's tries are known. It is over when the declared lock-out is, counted from
// the latest moment at which that can have been.
func TestKilledInACase(t *testing.T) {
	begun := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	login := func(after int, window, lasts time.Duration) *profile.Login {
		l := &profile.Login{}
		l.Lockout.After, l.Lockout.Window, l.Lockout.Lasts = after, window, lasts
		return l
	}
	none := &profile.Login{}
	none.Lockout.None.None = "it slows down"
	for name, c := range map[string]struct {
		logins []*profile.Login
		later  time.Duration // when the next run begins
		want   time.Duration // for which it waits
		file   bool          // something is left to know
	}{
		"at once":                  {[]*profile.Login{login(5, time.Minute, 2*time.Minute)}, 0, 2 * time.Minute, true},
		"a moment later":           {[]*profile.Login{login(5, time.Minute, 2*time.Minute)}, 10 * time.Second, 2 * time.Minute, true},
		"when the case had to end": {[]*profile.Login{login(5, 3*time.Minute, 2*time.Minute)}, 10 * time.Minute, 3 * time.Minute, true},
		"a minute later":           {[]*profile.Login{login(5, 3*time.Minute, 2*time.Minute)}, 11 * time.Minute, 2 * time.Minute, true},
		"in the next night":        {[]*profile.Login{login(5, time.Minute, 2*time.Minute)}, 24 * time.Hour, 0, true},
		"the longest of them":      {[]*profile.Login{login(5, time.Minute, 2*time.Minute), none, login(3, time.Second, time.Hour)}, 0, time.Hour, true},
		"nothing locks":            {[]*profile.Login{none}, 0, 0, false},
		"nobody knows":             {[]*profile.Login{{}}, 0, 0, true}, // no login of that kind gets a wrong try
	} {
		t.Run(name, func(t *testing.T) {
			data, err := check.NewLedger().LeaveUnderway(begun, begun.Add(10*time.Minute), c.logins)
			require.NoError(t, err)
			assert.Equal(t, c.file, strings.Contains(string(data), `"any"`))
			now := begun.Add(c.later)
			l := check.NewLedger()
			_, err = l.Recall(data, now)
			require.NoError(t, err)
			left := l.Locked(c.logins, now).Sub(now)
			assert.InDelta(t, c.want, max(0, left), float64(time.Second))
			kept, err := l.Leave(now)
			require.NoError(t, err)
			assert.Equal(t, c.want > 0 || name == "nobody knows", strings.Contains(string(kept), `"any"`), "the run behind the next one has to know too")
		})
	}
}
