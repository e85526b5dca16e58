package catalogue

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/baseline"
)

func TestClausesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^[A-Z0-9][A-Z0-9.\[\]-]*[A-Ca-c0-9]$`)
	for _, c := range All() {
		assert.False(t, seen[c.Selector()], "%s twice", c.Selector())
		seen[c.Selector()] = true
		assert.Regexp(t, form, c.ID)
		assert.NotEmpty(t, c.Title, "%s", c)
		assert.Less(t, len(c.Title), 70, "%s: a few words", c)
		assert.Equal(t, strings.TrimRight(c.Title, "."), c.Title)
		assert.Equal(t, !c.Verified, strings.HasSuffix(c.String(), "(unverified)"))
		found, err := Find(c.Selector())
		require.NoError(t, err)
		assert.Equal(t, []baseline.Clause{c}, found, "its selector names it alone")
	}
	assert.Len(t, find(t, "NISTIR8259A"), 22, "the elements of six capabilities")
	assert.Len(t, find(t, "EN303645:V2.1.1"), 62)
	assert.Len(t, find(t, "EN303645:V3.1.3"), 67)
}

func find(t *testing.T, sel string) []baseline.Clause {
	t.Helper()
	cs, err := Find(sel)
	require.NoError(t, err)
	return cs
}

func TestFind(t *testing.T) {
	assert.Len(t, find(t, "5.1-1"), 2, "both editions")
	assert.Len(t, find(t, "en303645:v3.1.3:5.1-1"), 1)
	assert.Len(t, find(t, " LA-2 "), 1)
	assert.Len(t, find(t, "DP-1"), 2, "two standards use it")
	assert.Len(t, find(t, "NISTIR8425:DP-1"), 1)
	assert.Equal(t, "DES-AUTHZ-001", find(t, "istg:des-authz-001")[0].ID)

	_, err := Find("NISTIR8259A:LA-9")
	require.ErrorIs(t, err, ErrUnknown)
	assert.ErrorContains(t, err, `clause "NISTIR8259A:LA-9": no such clause; NISTIR8259A has CFG-1, CFG-2`)
	_, err = Find("ISO27001:5.1")
	assert.EqualError(t, err, `clause "ISO27001:5.1": no such clause; the standards are NISTIR8259A, NISTIR8425, EN303645, EN18031, ISTG`)
	_, err = Find("")
	assert.ErrorIs(t, err, ErrUnknown)
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"LA-2", "EN303645:5.1-1", "::", "\x00", "ISTG:INT[UART]-INFO-001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cs, err := Find(s)
		require.Equal(t, err != nil, len(cs) == 0)
	})
}
