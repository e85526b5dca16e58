package credential

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestNearEnd: a refusal near the end of a lock shows two thirds of it, whenever the
// device has begun it; on a quick device the look comes as late as it may.
func TestNearEnd(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	const must = 300 * time.Millisecond
	for name, c := range map[string]struct{ answered, early, want time.Duration }{
		"a quick device":                   {5, 60, 240},
		"a quick device, asked earlier":    {5, 100, 205},
		"it answered late":                 {150, 60, 350}, // behind the end, if it had begun at once: an opening shows nothing then
		"it answered a little late":        {45, 60, 245},
		"it answered late, asked earliest": {80, 100, 280},
	} {
		got := nearEnd(sent, sent.Add(c.answered*time.Millisecond), must, c.early*time.Millisecond)
		assert.Equal(t, sent.Add(c.want*time.Millisecond), got, name)
	}
}
