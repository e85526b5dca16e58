package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/json"
	"rigor/harness/verdict"
)

func TestReadBack(t *testing.T) {
	for _, res := range []*journal.Result{journaltest.Sample().Fold(), journaltest.New().End().Fold(), journaltest.New().Plan("s", "a", "").Begin("a").Fold()} {
		var buf bytes.Buffer
		require.NoError(t, json.Write(&buf, res))
		var got json.Run
		dec := stdjson.NewDecoder(bytes.NewReader(buf.Bytes()))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&got))
		assert.Equal(t, json.Of(res), &got, "nothing is lost on the way")
		assert.Equal(t, json.Schema, got.Schema)
		assert.Equal(t, res.Exit, got.Exit)
		assert.Len(t, got.Cases, len(res.Cases))
		sum := 0
		for _, n := range got.Counts {
			sum += n
		}
		assert.Equal(t, got.Selected, sum)
		assert.Len(t, got.Counts, len(verdict.All), "each verdict is counted, also with none")
	}
}

// TestLossless: each field of a result and of its cases has its place in the
// document. A field that is added to the fold and forgotten here is found.
func TestLossless(t *testing.T) {
	renamed := map[string]string{"Took": "TookUS", "At": "AtUS", "Hash": "Journal", "Damage": "Journal", "Torn": "Journal", "Worst": "Verdict", "Open": "Undone", "Observe": "Observed"}
	check := func(from, to reflect.Type) {
		for i := range from.NumField() {
			name := from.Field(i).Name
			_, same := to.FieldByName(name)
			_, other := to.FieldByName(renamed[name])
			assert.True(t, same || other, "%s.%s is not in run.json", from.Name(), name)
		}
	}
	check(reflect.TypeFor[journal.Result](), reflect.TypeFor[json.Run]())
	check(reflect.TypeFor[journal.Case](), reflect.TypeFor[json.Case]())
	check(reflect.TypeFor[journal.ClaimResult](), reflect.TypeFor[json.Claim]())
}

func TestContent(t *testing.T) {
	run := json.Of(journaltest.Sample().Fold())
	assert.Equal(t, verdict.Fail, run.Verdict)
	assert.Equal(t, time.UTC, run.At.Location())
	assert.Equal(t, 10, run.Planned)
	require.Len(t, run.Left, 1)
	assert.Equal(t, "net-info[eth1]", run.Left[0].ID)
	i := slices.IndexFunc(run.Cases, func(c json.Case) bool { return c.ID == "cred-enum[web]" })
	require.GreaterOrEqual(t, i, 0)
	require.NotNil(t, run.Cases[i].Raw)
	assert.Equal(t, verdict.Fail, run.Cases[i].Raw.Verdict)
	assert.Equal(t, verdict.NotApplicable, run.Cases[i].Judgement.Verdict)
}

func TestHostileBytes(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		var buf bytes.Buffer
		require.NoError(t, json.Write(&buf, journaltest.Hostile(journaltest.Nasty[name]).Fold()))
		assert.True(t, stdjson.Valid(buf.Bytes()), name)
		assert.True(t, utf8.Valid(buf.Bytes()), name)
		for _, c := range buf.Bytes() {
			if good := c == '\n' || c >= 0x20; !good { // Helper, which each assertion calls, costs more than the look
				t.Fatalf("%s: %#x", name, c)
			}
		}
	}
}
