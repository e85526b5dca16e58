package reset

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestLostLog: a log that is full forgets no more than it takes; one that is in RAM begins
// anew, and may have as many entries soon.
func TestLostLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, now []string
		want        bool
	}{
		"as it was, and a boot": {[]string{"a", "b"}, []string{"a", "b", "boot"}, false},
		"full":                  {[]string{"a", "b", "c"}, []string{"b", "c", "boot"}, false},
		"in RAM":                {[]string{"a", "b", "c"}, []string{"boot"}, true},
		"in RAM, soon as long":  {[]string{"a", "b"}, []string{"boot", "ready"}, true},
		"not yet written":       {[]string{"a", "b", "c"}, []string{"a", "boot"}, true},
		"not looked at":         {nil, nil, false},
	} {
		assert.Equal(t, c.want, lostLog(c.before, c.now), name)
	}
}
