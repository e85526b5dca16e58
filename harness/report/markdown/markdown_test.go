package markdown_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/markdown"
)

func render(t testing.TB, res, before *journal.Result) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, markdown.Write(&buf, res, before))
	return buf.String()
}

func TestSummary(t *testing.T) {
	res := journaltest.Sample().Fold()
	out := render(t, res, res)
	for _, want := range []string{"## ❌ FAILED: acme\\-gateway 1\\.4\\.2 on bench\\-a\n", "9 of 10 planned: 3 passed, 1 failed", "### ❌ Failed", "### ❔ Inconclusive",
		"| con\\-boot\\-interrupt\\[main\\] | access\\: a space sent", "4 still failing", "| finding |", "| no finding in what was tested |"} {
		assert.Contains(t, out, want)
	}
}

func TestOnAnotherUnit(t *testing.T) {
	two := func(s *journal.Start) {
		s.Rig, s.Serial = "bench", "A-1"
		s.Beside = []journal.Place{{Rig: "bench-2", File: "two.yaml", Serial: "A-2"}}
	}
	before := journaltest.New(two).Plan("credential", "cred-blank[ssh]", "").Fail("cred-blank[ssh]").End().Fold()
	now := journaltest.New(two).Plan("credential", "cred-blank[ssh]", "").Pass("cred-blank[ssh]").End().Fold()
	now.Cases[0].Rig = "bench-2"
	assert.Contains(t, render(t, now, before), ", on A\\-2, before A\\-1")
}

func TestIsCutWithANote(t *testing.T) {
	b := journaltest.New()
	for i := range 6000 {
		b.Plan("s", fmt.Sprintf("check-with-a-rather-long-name-%d", i), "main")
	}
	out := render(t, b.End().Fold(), nil)
	assert.LessOrEqual(t, len(out), markdown.Max)
	assert.Greater(t, len(out), markdown.Max*9/10)
	assert.True(t, strings.HasSuffix(out, "\n*The summary was cut here; the report has all of it.*\n"))
	lines := strings.Split(out, "\n")
	assert.True(t, strings.HasSuffix(lines[len(lines)-4], " |"), "no row is cut in two: %q", lines[len(lines)-4])
}

// TestHostileBytes: the text has the same lines as with plain text, each row
// the same cells, and no markup of the device's.
func TestHostileBytes(t *testing.T) {
	shape := func(out string) (lines []string) {
		for l := range strings.SplitSeq(out, "\n") {
			cells := strings.Count(l, "|") - strings.Count(l, `\|`)
			lines = append(lines, fmt.Sprintf("%.1s %d", l, cells))
		}
		return lines
	}
	want := shape(render(t, journaltest.Hostile("plain").Fold(), nil))
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		out := render(t, journaltest.Hostile(journaltest.Nasty[name]).Fold(), nil)
		assert.Equal(t, want, shape(out), name)
		assert.True(t, utf8.ValidString(out))
		rest := strings.NewReplacer("<details>", "", "<summary>", "", "</summary>", "", "</details>", "", "<!-- -->", "").Replace(out)
		assert.NotContains(t, rest, "<", name)
		assert.NotContains(t, out, "](", name)
		assert.NotContains(t, out, "@someone", name)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteError(t *testing.T) {
	require.ErrorIs(t, markdown.Write(full{}, journaltest.Sample().Fold(), nil), io.ErrShortWrite)
}
