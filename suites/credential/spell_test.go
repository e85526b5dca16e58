package credential

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSpell: how long a lock has lasted is counted from the earliest moment at which it
// can have begun, and not from where a busy computer saw what it began with.
func TestSpell(t *testing.T) {
	t.Parallel()
	last := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return last.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name                      string
		anew                      bool
		notUp, up, answered, want int
	}{
		{"anew, seen at once", true, 498, 500, 510, 12},
		{"anew, seen 230 ms late", true, 498, 728, 750, 252},
		{"anew, nobody can tell when", true, 20, 500, 510, 490},
		{"its time goes on", false, 498, 500, 510, 510},
		{"its time goes on, seen late", false, 498, 728, 750, 750},
	} {
		s := spellOf(c.anew, last, at(c.notUp), at(c.up), at(c.answered))
		assert.Equal(t, time.Duration(c.want)*time.Millisecond, s.at, c.name)
		assert.Equal(t, at(c.answered).Sub(at(c.up)), s.since, c.name)
		assert.Equal(t, at(c.up).Sub(last), s.up, c.name)
	}
}
