package cover_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/baseline"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/cover"
)

func TestRows(t *testing.T) {
	rows := cover.Rows(journaltest.Sample().Fold())
	words := map[string]baseline.Word{}
	for _, r := range rows {
		words[r.Clause] = r.Word
		assert.NotEmpty(t, r.Remains, "something always remains for a person")
		if r.Clause == "NISTIR 8259A LA-2" {
			assert.Contains(t, r.Findings, "cred-enum[web]", "a waived finding is one")
			assert.Contains(t, r.Open, "net-info[eth1]", "what was not selected is not decided")
		}
	}
	assert.Equal(t, map[string]baseline.Word{
		"NISTIR 8259A LA-1": baseline.Finding, "NISTIR 8259A LA-2": baseline.Finding, "NISTIR 8259A LA-3": baseline.NotTested, "NISTIR 8259A CSA-1": baseline.NoFinding,
		"EN 303 645 V3.1.3 5.1-1": baseline.PartlyTested, "EN 303 645 V3.1.3 5.1-2": baseline.NotTested, "EN 303 645 V3.1.3 5.6-4 (unverified)": baseline.NoFinding,
	}, words)
}
