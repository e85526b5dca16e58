package identity

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// Lines gives the log as the profile's expressions read it: as it came, or for
// a list in JSON one line for each entry, its members in the order of their
// names.
func Lines(t *check.T, log string) string {
	at := t.Profile().Log.Entries
	if at == "" {
		return log
	}
	list, err := steps.Pick(at, []byte(log))
	t.OK(err)
	var entries []map[string]any
	t.OK(json.Unmarshal([]byte(list), &entries))
	var b strings.Builder
	for _, e := range entries {
		line, err := json.Marshal(e) // sorts the members
		t.OK(err)
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// clockSlack is how far a device's clock may be from the rig's: both may have
// been set by hand, and logs are read by people.
const clockSlack = 5 * time.Minute

// span is when something was done, by the rig's clock.
type span struct{ from, to time.Time }

// off gives how far a time lies from it.
func (s span) off(at time.Time) time.Duration {
	switch {
	case at.Before(s.from):
		return s.from.Sub(at)
	case at.After(s.to):
		return at.Sub(s.to)
	}
	return 0
}

// clock holds the entry's time, the group named time as RFC 3339, against the
// rig's when the login was made: the log may be read much later.
func clock(c *check.Claim, re *regexp.Regexp, made span, entry []string) {
	i := re.SubexpIndex("time")
	if i < 0 {
		c.Unknown(verdict.ReasonProfileMissing, "the profile does not say where the time stands in an entry: log.failed and log.ok need a group (?P<time>…)")
		return
	}
	at, err := time.Parse(time.RFC3339, entry[i])
	if err != nil {
		c.Fail(verdict.ReasonExpectation, "the entry's time %q is none", entry[i])
		return
	}
	if off := made.off(at); off > clockSlack {
		c.Fail(verdict.ReasonExpectation, "the entry says %s, %v from the rig's clock when the login was made", entry[i], off.Round(time.Second))
	}
}
