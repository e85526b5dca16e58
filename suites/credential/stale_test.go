package credential_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A login that goes by the password that it remembers refuses the new one and takes the
// old: that it was changed is shown by another login, which the new one opens.
func TestStalePassword(t *testing.T) {
	t.Parallel()
	const id = "cred-change[ssh]"
	assert.Equal(t, "fail.access", judged(t, run(t, planted{Weaknesses: []string{"change-stale-ssh"}}, id), id))
	if !testing.Short() {
		assert.Equal(t, pass, judged(t, run(t, planted{}, id), id))
	}
}
