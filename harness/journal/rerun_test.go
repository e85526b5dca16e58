package journal_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
)

func TestRerun(t *testing.T) {
	res := green().Fold()
	assert.Equal(t, "rigor run --rig rigs/bench-a.yaml --seed 7 'cred-known-list[ssh]'", res.Rerun(id))
	res.Start.Rerun = []string{"go", "test", "-run", "^TestGateway$/^" + journal.CasePattern + "$", "example.org/gateway"}
	assert.Equal(t, `go test -run '^TestGateway$/^cred-known-list\[ssh\]$' example.org/gateway`, res.Rerun(id))
	assert.Contains(t, res.Rerun("a"), "/^a$'", "what the journal holds stays")
	res.Start.Rerun = nil
	assert.Empty(t, res.Rerun(id))
}

// A shell reads back what was meant, whatever a path is called.
func TestRerunIsQuoted(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh: apt-get install dash")
	}
	for _, nasty := range []string{"", "a b", "$(touch x)", "it's", "`x`", "a;b|c&d", "*?[x]", "~", "!", "\\", `"`, "#x", "{a,b}", "tab\there", "neu\nline", "ü"} {
		res := journaltest.New(func(s *journal.Start) { s.Rerun = []string{"printf", `%s.`, nasty} }).End().Fold()
		out, err := exec.CommandContext(t.Context(), sh, "-c", res.Rerun("id[x]")).CombinedOutput() //nolint:gosec // the quoting is what is tested
		require.NoError(t, err, "%s", out)
		assert.Equal(t, strings.Join([]string{nasty, "id[x]", ""}, "."), string(out))
	}
}
