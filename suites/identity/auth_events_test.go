package identity

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
)

// TestClock: an entry's time is held against when the login was made, and not against
// when somebody read the log.
func TestClock(t *testing.T) {
	t.Parallel()
	re := regexp.MustCompile(`at=(?P<time>\S*)`)
	made := span{from: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), to: time.Date(2026, 5, 4, 12, 0, 40, 0, time.UTC)}
	for entry, fails := range map[string]bool{
		"at=2026-05-04T12:00:20Z":      false,
		"at=2026-05-04T14:00:20+02:00": false,
		"at=2026-05-04T11:55:10Z":      false,
		"at=2026-05-04T12:05:30Z":      false,
		"at=2026-05-04T11:54:50Z":      true,
		"at=2026-05-04T12:06:00Z":      true,
		"at=1970-01-01T00:00:07Z":      true,
		"at=noon":                      true,
	} {
		var c check.Claim
		clock(&c, re, made, re.FindStringSubmatch(entry))
		assert.Equal(t, fails, c.Failed(), entry)
	}
}

// TestNobody: no two tries share a name, in no two runs, so that an entry that was
// there before is not taken for one of now.
func TestNobody(t *testing.T) {
	t.Parallel()
	now := time.Now()
	assert.NotEqual(t, nobody(now), nobody(now.Add(time.Millisecond)))
	assert.NotEqual(t, nobody(now), nobody(now.Add(24*time.Hour)))
	assert.Regexp(t, `^u[0-9a-z]{8,15}$`, nobody(now))
}
