package credential

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestWithoutNames: answers that differ in the name that was tried alone are alike, also
// where the page itself is called as the owner is; all else tells them apart.
func TestWithoutNames(t *testing.T) {
	t.Parallel()
	const owner, nobody = "admin", "u4kx0q2"
	for _, c := range []struct {
		name, mine, theirs string
		alike              bool
	}{
		{"a page called as the owner", "301 to https://gw/admin/status", "301 to https://gw/admin/status", true},
		{"a page of who logs in", "301 to https://gw/admin/home", "301 to https://gw/u4kx0q2/home", true},
		{"nobody is sent elsewhere", "301 to https://gw/admin/home", "301 to https://gw/login", false},
		{"another status", "301 to https://gw/admin", "401", false},
	} {
		mine, theirs := withoutNames(owner, nobody, c.mine), withoutNames(owner, nobody, c.theirs)
		assert.Equal(t, c.alike, mine == theirs, "%s: %s and %s", c.name, mine, theirs)
	}
}
