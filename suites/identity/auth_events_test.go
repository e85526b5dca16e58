package identity

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/rigs/rigtest"
)

func TestMain(m *testing.M) { os.Exit(abreast.Main(m)) }

// TestAnEntryOfAnother: a device that writes down no name of strangers has entries that
// read alike. One of somebody else's try shows nothing of this one.
func TestAnEntryOfAnother(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failed string
		want   journal.Holds
	}{
		"it names nobody, and is new": {`"channel":"${channel}","event":"login-failed",.*?"source":"(?P<source>[^"]*)","time":"(?P<time>[^"]*)"`, journal.Yes},
		"it is the owner's own":       {`"channel":"${channel}","event":"login-ok",.*?"source":"(?P<source>[^"]*)","time":"(?P<time>[^"]*)"`, journal.No},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.want == journal.No && testing.Short() {
				t.Skip("waits for an entry that does not come; left out by -short")
			}
			res := rigtest.Run(t, Suite, rigtest.Planted{Profile: func(p *profile.Profile) { p.Log.Failed = tt.failed }}, "log-auth-events[ssh]")
			c := res.Case("log-auth-events[ssh]")
			require.NotNil(t, c)
			require.NotEmpty(t, c.Claims)
			assert.Contains(t, c.Claims[0].Text, "the refused login is in the log")
			assert.Equal(t, tt.want, c.Claims[0].Holds, c.Claims[0].Got)
		})
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	entry := regexp.MustCompile(`(?m)^(\d+) failed$`)
	for name, tt := range map[string]struct {
		was, is string
		want    []string
	}{
		"none":                        {"1 failed\n", "1 failed\n2 ok\n", nil},
		"one more":                    {"1 failed\n", "1 failed\n2 failed\n", []string{"2"}},
		"one more in the same second": {"1 failed\n", "1 failed\n1 failed\n", []string{"1"}},
		"it holds so many alone":      {"1 failed\n2 failed\n", "2 failed\n3 failed\n", []string{"3"}},
		"the newest first":            {"1 failed\n", "2 failed\n1 failed\n", []string{"2"}},
		"emptied":                     {"1 failed\n", "", nil},
	} {
		var got []string
		for _, e := range fresh(entry, tt.was, tt.is) {
			got = append(got, e[1])
		}
		assert.Equal(t, tt.want, got, name)
	}
}

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
