package credential

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestListWordsAreLongEnough: a word that is shorter than the least shows nothing of a
// list: its length is what is refused.
func TestListWordsAreLongEnough(t *testing.T) {
	t.Parallel()
	for least, want := range map[int][]string{
		1: {"password", "12345678"}, 8: {"password", "12345678"}, 9: {"password1", "123456789"}, 10: {"password12", "1234567890"},
		12: {"password1234", "123456789012"}, 20: {"password123456789012", "12345678901234567890"},
	} {
		var got []string
		for _, w := range listed(least) {
			got = append(got, w.password)
			assert.GreaterOrEqual(t, len(w.password), least)
			assert.Contains(t, w.why, w.password)
		}
		assert.Equal(t, want, got, "at least %d", least)
	}
}
