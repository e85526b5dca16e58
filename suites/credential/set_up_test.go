package credential

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// TestNotTaken: what a set-up says of a request that it did not carry out is a refusal
// only if it decided about it.
func TestNotTaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		no   *steps.StepError
		want verdict.Kind
	}{
		{nil, verdict.Refused},
		{&steps.StepError{Status: 403}, verdict.Refused},
		{&steps.StepError{Status: 200}, verdict.Refused}, // a no in words
		{&steps.StepError{}, verdict.Refused},            // of a console, say
		{&steps.StepError{Status: 423}, verdict.Throttled},
		{&steps.StepError{Status: 429}, verdict.Throttled},
		{&steps.StepError{Status: 503}, verdict.Throttled},
		{&steps.StepError{Unanswered: true}, verdict.Silent},
	} {
		assert.Equal(t, c.want, notTaken(c.no).Kind, "%+v", c.no)
	}
}

// TestSameShape: another label has the form of the unit's, so that it is refused for
// what it is and not for how it looks, and no place of it is right by chance.
func TestSameShape(t *testing.T) {
	t.Parallel()
	kind := func(s string) string { // of each place
		return strings.Map(func(r rune) rune {
			switch {
			case r >= '0' && r <= '9':
				return '0'
			case r >= 'a' && r <= 'f':
				return 'f'
			case r >= 'g' && r <= 'z':
				return 'z'
			case r >= 'A' && r <= 'F':
				return 'F'
			case r >= 'G' && r <= 'Z':
				return 'Z'
			}
			return r
		}, s)
	}
	for _, label := range []string{"3f9c1a7be02d", "12345670", "0000", "1a", "A1-B2-C3", "7", "aaaaaa", "\xc3\xa9-1f"} {
		for _, noise := range []string{"aB3dE6gH9jKl", "zzzzzzzzzzzz", "000000000000"} {
			got := sameShape(label, noise)
			assert.Equal(t, kind(label), kind(got), "%s: it may be a hex number", label)
			for i := range label {
				if strings.ContainsRune("0123456789abcdefABCDEF", rune(label[i])) {
					assert.NotEqual(t, label[i], got[i], "%s and %s at %d", label, got, i)
				}
			}
		}
	}
	got := sameShape("k3xq-wm2t", "aB3dE6gH9")
	for i := range got {
		assert.Contains(t, "k3xq-wm2t", got[i:i+1], "of what the label has itself")
		assert.Equal(t, got[i] == '-', i == 4)
	}
	assert.Equal(t, "aB3d", sameShape("----", "aB3d"), "nothing in it has another of its kind")
}
